/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user: a program that uses KVM as anybody's does, and knows nothing of vmm. user CASE prints what it met, a
 * line each; preload.py knows what has to come.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/uapi.h" /* what Debian 12 has no header of */

#define GUEST_ADDRESS 0x1000

/* mov al, 42; out 16, al; hlt */
static const unsigned char guest_code[] = {0xb0, 42, 0xe6, 16, 0xf4};

struct guest {
	int kvm, vm, vcpu;
	void *memory;
	struct kvm_run *run;
};

static void make_vm(struct guest *g)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = GUEST_ADDRESS, .memory_size = 4096};

	g->memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(g->memory, guest_code, sizeof(guest_code));
	region.userspace_addr = (unsigned long)g->memory;
	g->kvm = open("/dev/kvm", O_RDWR);
	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		perror("KVM_SET_USER_MEMORY_REGION");
}

static void make_vcpu(struct guest *g, int vm)
{
	struct kvm_regs regs = {.rflags = 2};
	struct kvm_sregs sregs;

	g->vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	g->run = mmap(NULL, (size_t)ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
	        MAP_SHARED, g->vcpu, 0);
	ioctl(g->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = GUEST_ADDRESS;
	sregs.cs.selector = GUEST_ADDRESS >> 4;
	ioctl(g->vcpu, KVM_SET_SREGS, &sregs);
	ioctl(g->vcpu, KVM_SET_REGS, &regs);
}

static void run(struct guest *g, int vcpu)
{
	int result = ioctl(vcpu, KVM_RUN, 0);

	if (result < 0)
		printf("KVM_RUN: %s\n", strerrorname_np(errno));
	else if (g->run->exit_reason == KVM_EXIT_IO)
		printf("port %u gets %u\n", g->run->io.port,
		        *((unsigned char *)g->run + g->run->io.data_offset));
	else
		printf("exit %u\n", g->run->exit_reason);
}

static void tell(const char *what, int result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %d\n", what, result);
}

/* ---- cases ---- */

static void case_run(void)
{
	struct guest g;

	make_vm(&g);
	make_vcpu(&g, g.vm);
	run(&g, g.vcpu);
	run(&g, g.vcpu);
}

/* Each descriptor is closed after it was duplicated, in each way that there is. */
static void case_copies(void)
{
	struct guest g;
	int vm, vcpu, other;

	make_vm(&g);
	vm = dup(g.vm);
	close(g.vm);
	make_vcpu(&g, vm);
	vcpu = fcntl(g.vcpu, F_DUPFD_CLOEXEC, 100);
	close(g.vcpu);
	other = open("/dev/null", O_RDWR);
	printf("the number is another file's: %d\n", ioctl(other, KVM_RUN, 0) < 0 && errno == ENOTTY);
	run(&g, vcpu);
	dup2(vcpu, other);
	dup3(other, 200, O_CLOEXEC);
	close(vcpu);
	close(other);
	run(&g, 200);
	dup2(open("/dev/null", O_RDWR), 200);
	tell("a file in its place", ioctl(200, KVM_RUN, 0));
	close_range(3, ~0U, 0);
	tell("closed", ioctl(vm, KVM_CREATE_VCPU, 1));
}

/* A child has /dev/kvm, and no VM of its parent's. */
static void case_fork(void)
{
	struct guest g, own;
	pid_t pid;

	make_vm(&g);
	make_vcpu(&g, g.vm);
	run(&g, g.vcpu);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		tell("the parent's vCPU", ioctl(g.vcpu, KVM_RUN, 0));
		tell("the parent's /dev/kvm", ioctl(g.kvm, KVM_GET_API_VERSION, 0));
		close(g.vm);
		make_vm(&own);
		make_vcpu(&own, own.vm);
		run(&own, own.vcpu);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	run(&g, g.vcpu);
}

/* What a child of vfork(2) closes stays open in its parent. */
static void case_vfork(void)
{
	struct guest g;
	pid_t pid;

	make_vm(&g);
	make_vcpu(&g, g.vm);
	pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork): what it does is what is tested
	if (pid == 0) {
		close(g.vcpu);
		close_range(3, ~0U, 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	run(&g, g.vcpu);
}

static void case_cpuid(void)
{
	unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	__cpuid(0, eax, ebx, ecx, edx);
	printf("%.4s%.4s%.4s\n", (char *)&ebx, (char *)&edx, (char *)&ecx);
	__cpuid(0x8000001f, eax, ebx, ecx, edx);
	printf("SEV %u SEV-ES %u SEV-SNP %u C-bit %u\n", eax >> 1 & 1, eax >> 3 & 1, eax >> 4 & 1, ebx & 63);
}

static void on_illegal(int number)
{
	static const char text[] = "the program's handler\n";

	if (write(STDOUT_FILENO, text, strlen(text)) > 0)
		_exit(0);
}

/* The program's own handler of SIGILL, and its own illegal instruction; and a CPUID after it was set. */
static void case_illegal(void)
{
	unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

	signal(SIGILL, on_illegal);
	__cpuid(0x80000000, eax, ebx, ecx, edx);
	printf("above 0x80000000: %d\n", eax > 0x80000000);
	fflush(stdout);
	__asm__ volatile("ud2");
}

static void case_crash(void)
{
	case_cpuid();
	fflush(stdout);
	__asm__ volatile("ud2");
}

static void show_file(const char *path)
{
	char line[80] = "nothing";
	struct stat facts = {0};
	FILE *file = fopen(path, "re");
	int fd = open(path, O_RDONLY);

	if (!file || !fgets(line, sizeof(line), file) || fd < 0)
		printf("%s: %s\n", path, strerrorname_np(errno));
	else
		printf("%s: %s", path, line);
	printf("access %d, for writing %d, type %o\n", access(path, F_OK), access(path, W_OK),
	        stat(path, &facts) < 0 ? 0 : facts.st_mode & S_IFMT);
	if (file)
		fclose(file);
	close(fd);
}

static void case_files(void)
{
	show_file("/sys/module/kvm_amd/parameters/sev_snp");
	show_file("/sys/devices/system/cpu/smt/control");
	show_file("/sys/fs/cgroup/misc.capacity");
	tell("/dev/sev", open("/dev/sev", O_RDWR) < 0 ? -1 : 0);
	tell("/dev/kvm", access("/dev/kvm", R_OK | W_OK));
	tell("no parameter of ours", access("/sys/module/kvm/parameters/nonesuch", F_OK));
}

/* Behind a descriptor of KVM's is no file. */
static void case_objects(void)
{
	struct uapi_create_guest_memfd create = {.size = 4096};
	struct guest g;
	char byte = 0;
	int memfd;

	make_vm(&g);
	tell("read", (int)read(g.vm, &byte, 1));
	tell("write", (int)write(g.vm, &byte, 1));
	tell("pread", (int)pread(g.vm, &byte, 1, 0));
	tell("ftruncate", ftruncate(g.vm, 4096));
	errno = 0;
	ioctl(g.kvm, KVM_GET_API_VERSION, 0);
	tell("errno is kept", errno);
	close(g.vm);
	g.vm = ioctl(g.kvm, KVM_CREATE_VM, 4); /* SEV-SNP */
	memfd = ioctl(g.vm, UAPI_CREATE_GUEST_MEMFD, &create);
	tell("guest_memfd", memfd < 0 ? -1 : 0);
	tell("its read", (int)read(memfd, &byte, 1));
	tell("its fallocate", fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
}

static int sev(const struct guest *g, int device, unsigned id, void *data)
{
	struct kvm_sev_cmd cmd = {.id = id, .data = (unsigned long)data, .sev_fd = (unsigned)device};

	return ioctl(g->vm, KVM_MEMORY_ENCRYPT_OP, &cmd);
}

/* Another VM with the number of one that is closed, whose memory was elsewhere. */
static void case_relaunch(void)
{
	struct kvm_userspace_memory_region region = {
	        .slot = 1, .guest_phys_addr = 0x5000, .memory_size = 4096};
	struct kvm_sev_launch_update_data update = {.len = 4096};
	struct kvm_sev_launch_start start = {.policy = 1};
	struct guest g;
	int device = open("/dev/sev", O_RDWR);

	make_vm(&g);
	region.userspace_addr = update.uaddr = (unsigned long)g.memory;
	close(g.vm);
	g.vm = ioctl(g.kvm, KVM_CREATE_VM, 0);
	tell("slot", ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region));
	close(g.vm);
	g.vm = ioctl(g.kvm, KVM_CREATE_VM, 0);
	region.slot = 0;
	region.guest_phys_addr = 0x3000;
	tell("slot", ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region));
	tell("init", sev(&g, device, KVM_SEV_INIT, NULL));
	tell("start", sev(&g, device, KVM_SEV_LAUNCH_START, &start));
	tell("update", sev(&g, device, KVM_SEV_LAUNCH_UPDATE_DATA, &update));
}

/* A SEV guest, whose launch is ended too early once. */
static void case_launch(void)
{
	struct kvm_sev_launch_update_data update = {.len = 4096};
	struct kvm_sev_launch_start start = {.policy = 1};
	struct kvm_sev_launch_measure measure = {0};
	unsigned char blob[48];
	struct guest g;
	int device = open("/dev/sev", O_RDWR);

	make_vm(&g);
	update.uaddr = (unsigned long)g.memory;
	tell("init", sev(&g, device, KVM_SEV_INIT, NULL));
	tell("start", sev(&g, device, KVM_SEV_LAUNCH_START, &start));
	tell("update", sev(&g, device, KVM_SEV_LAUNCH_UPDATE_DATA, &update));
	tell("finish", sev(&g, device, KVM_SEV_LAUNCH_FINISH, NULL));
	tell("size of the measurement", sev(&g, device, KVM_SEV_LAUNCH_MEASURE, &measure));
	measure.uaddr = (unsigned long)blob;
	tell("measure", sev(&g, device, KVM_SEV_LAUNCH_MEASURE, &measure));
	tell("finish", sev(&g, device, KVM_SEV_LAUNCH_FINISH, NULL));
	tell("nothing", sev(&g, device, KVM_SEV_LAUNCH_START, NULL));
	tell("nowhere", ioctl(g.vm, KVM_MEMORY_ENCRYPT_OP, 1));
}

/* A program that closes what it does not know leaves an interrupt's way to the guest alone. */
static void case_strangers(void)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_MASTER};
	struct kvm_irqfd irqfd = {.gsi = 5};
	struct guest g;
	int raised = 0;

	make_vm(&g);
	tell("irqchip", ioctl(g.vm, KVM_CREATE_IRQCHIP, 0));
	irqfd.fd = (unsigned)eventfd(0, 0);
	tell("irqfd", ioctl(g.vm, KVM_IRQFD, &irqfd));
	for (int fd = 3; fd < 5000; fd++) {
		if (fd != g.kvm && fd != g.vm && fd != (int)irqfd.fd)
			close(fd);
	}
	dup2((int)irqfd.fd, 100);
	close_range(101, ~0U, 0);
	closefrom(101);
	eventfd_write(100, 1);
	for (int i = 0; i < 10000 && !raised; i++) {
		ioctl(g.vm, KVM_GET_IRQCHIP, &chip);
		raised = chip.chip.pic.irr >> 5 & 1;
		usleep(1000);
	}
	printf("interrupt: %d\n", raised);
}

/* ---- signals ---- */

static struct guest handled;
static sigjmp_buf back;
static volatile sig_atomic_t alarms;

static void ask_kvm(int number)
{
	struct kvm_regs regs;

	alarms++;
	ioctl(handled.vcpu, KVM_GET_REGS, &regs);
	ioctl(handled.kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP);
	close(open("/dev/kvm", O_RDWR));
}

static void jump(int number)
{
	alarms++;
	siglongjmp(back, 1);
}

static void begin_alarms(void (*handler)(int number))
{
	const struct itimerval often = {{0, 500}, {0, 500}};
	const struct sigaction action = {.sa_handler = handler};

	alarms = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void end_alarms(void)
{
	const struct itimerval never = {0};

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
}

/* Handlers call KVM at any place of calls to it, and then jump out of them; the guest spins. */
static void case_handlers(void)
{
	static const unsigned char spin[] = {0xeb, 0xfe};
	static volatile int jumps;
	struct kvm_regs regs;

	make_vm(&handled);
	memcpy(handled.memory, spin, sizeof(spin));
	make_vcpu(&handled, handled.vm);
	begin_alarms(ask_kvm);
	while (alarms < 200) {
		if (ioctl(handled.vcpu, KVM_RUN, 0) == 0 || errno != EINTR)
			tell("the guest ended", -1);
		for (int i = 0; i < 50; i++)
			ioctl(handled.vcpu, KVM_GET_REGS, &regs);
	}
	end_alarms();
	sigsetjmp(back, 1);
	if (jumps++ == 0)
		begin_alarms(jump);
	while (jumps < 200)
		ioctl(handled.vcpu, KVM_RUN, 0);
	end_alarms();
	memcpy(handled.memory, guest_code, sizeof(guest_code));
	run(&handled, handled.vcpu);
}

static void case_stat(void)
{
	struct stat facts = {0};
	struct statx more = {0};
	struct guest g;

	make_vm(&g);
	fstat(g.kvm, &facts);
	printf("/dev/kvm: %o %u:%u\n", facts.st_mode & S_IFMT, major(facts.st_rdev), minor(facts.st_rdev));
	fstat(g.vm, &facts);
	printf("a VM: %o, %ld bytes\n", facts.st_mode, (long)facts.st_size);
	fstatat(g.kvm, "", &facts, AT_EMPTY_PATH);
	statx(g.kvm, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more);
	printf("by empty paths: %o %o\n", facts.st_mode & S_IFMT, more.stx_mode & S_IFMT);
}

/* The device by other names, from the folder that the program was started in. */
static void case_paths(void)
{
	static const char *const names[] = {
	        "//dev/kvm", "/dev/./kvm", "/dev/../dev/kvm", "/proc/self/root/dev/kvm"};
	int folder = open("/dev", O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tell(names[i], ioctl(open(names[i], O_RDWR), KVM_GET_API_VERSION, 0));
	tell("from /dev on", ioctl(openat(folder, "kvm", O_RDWR), KVM_GET_API_VERSION, 0));
	tell("a link", symlink("/dev/kvm", "link"));
	tell("by the link", ioctl(open("link", O_RDWR), KVM_GET_API_VERSION, 0));
	tell("another link", symlink("link", "other"));
	tell("by the other link", ioctl(open("other", O_RDWR), KVM_GET_API_VERSION, 0));
	tell("kvm in another folder", open("kvm", O_RDWR));
}

static void case_lone_fork(void)
{
	struct guest g;
	pid_t pid;

	make_vm(&g);
	make_vcpu(&g, g.vm);
	pid = _Fork();
	if (pid == 0) {
		tell("the parent's vCPU", ioctl(g.vcpu, KVM_RUN, 0));
		tell("the parent's /dev/kvm", ioctl(g.kvm, KVM_GET_API_VERSION, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	run(&g, g.vcpu);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"run", case_run}, {"copies", case_copies}, {"fork", case_fork}, {"vfork", case_vfork},
	        {"cpuid", case_cpuid}, {"illegal", case_illegal}, {"crash", case_crash},
	        {"files", case_files}, {"objects", case_objects}, {"launch", case_launch},
	        {"strangers", case_strangers}, {"handlers", case_handlers}, {"stat", case_stat},
	        {"paths", case_paths}, {"lone-fork", case_lone_fork}, {"relaunch", case_relaunch}};

	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	}
	return 1;
}
