/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ioctl: a random sequence of calls with random arguments on the software platform: VMs of all types,
 * vCPUs that run random code, event descriptors. Input: steps, each a kind and its bytes; missing bytes are
 * zero. Pointers are made to point at memory of the target's own, except for one in sixteen.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "input.h"
#include "vmm/sim.h"
#include "vmm/uapi.h"

#define STEPS_MAX   96u
#define FDS_MAX     12u
#define RAM_BYTES   0x40000u
#define GUARD_BYTES ((size_t)16 << 20)
#define ARG_BYTES   16384u
#define RUN_BYTES   (3u * 4096)
#define RUN_NS      2000000 /* a guest has two milliseconds of the host's time */
#define RUNS_MAX    8u
#define KICK        SIGUSR1

static const unsigned capabilities[] = {KVM_CAP_EXIT_HYPERCALL, KVM_CAP_DISABLE_QUIRKS2,
        KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_EXCEPTION_PAYLOAD,
        KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM,
        KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, KVM_CAP_X2APIC_API, KVM_CAP_MAX_VCPU_ID, KVM_CAP_DISABLE_QUIRKS};

enum role { ROLE_SYSTEM, ROLE_VM, ROLE_VCPU, ROLE_EVENT, ROLE_GMEM, ROLE_SEV };

struct descriptor {
	enum role role;
	int fd;
	void *run; /* of a vCPU */
};

static struct {
	struct host *host;
	timer_t timer;
	uint8_t *ram;
	uint8_t arg[ARG_BYTES] __attribute__((aligned(64)));
	uint8_t scratch[ARG_BYTES] __attribute__((aligned(64)));
	struct descriptor fds[FDS_MAX];
	unsigned count, runs;
} f;

/* ---- input ---- */

static uint32_t take32(void)
{
	uint32_t value;

	take(&value, 4);
	return value;
}

/* ---- descriptors ---- */

static struct descriptor *find(enum role role, uint8_t which)
{
	struct descriptor *found[FDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < f.count; i++) {
		if (f.fds[i].role == role)
			found[n++] = &f.fds[i];
	}
	return n ? found[which % n] : NULL;
}

static int fd_of(enum role role, uint8_t which)
{
	const struct descriptor *d = find(role, which);

	return d ? d->fd : -1;
}

static void drop(struct descriptor *d)
{
	if (d->run)
		host_munmap(f.host, d->run, RUN_BYTES);
	host_close(f.host, d->fd);
	*d = f.fds[--f.count];
}

static void keep(enum role role, int fd)
{
	struct descriptor d = {.role = role, .fd = fd};

	if (fd < 0)
		return;
	if (f.count == FDS_MAX) {
		host_close(f.host, fd);
		return;
	}
	if (role == ROLE_VCPU) {
		d.run = host_mmap(f.host, NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		fuzz_assert(d.run != MAP_FAILED);
	}
	f.fds[f.count++] = d;
}

/* ---- arguments ---- */

static void put(size_t at, size_t size, uint64_t value)
{
	store_le(f.arg + at, size, value);
}

static void put_pointer(size_t at, const void *to)
{
	if (take8() % 16)
		put(at, 8, (uintptr_t)to);
}

/*
 * Makes guest memory the target's own in every case, because a VMM that gives a wrong address harms only
 * itself.
 */
static void fix_region(void)
{
	uint64_t page = take8() % (RAM_BYTES / 4096), size = load_le(f.arg + 16, 8);

	if (size > RAM_BYTES - page * 4096)
		size = (size & 0x3f000) % (RAM_BYTES - page * 4096 + 1);
	put(16, 8, size);
	put(24, 8, (uintptr_t)f.ram + page * 4096);
	if (take8() % 4)
		put(0, 4, take8() % 4);
	if (take8() % 4)
		put(8, 8, (uint64_t)(take8() % 64) << 12);
}

static void fix_region2(void)
{
	fix_region();
	put(40, 4, (uint32_t)fd_of(ROLE_GMEM, take8()));
}

static void fix_log(void)
{
	put_pointer(8, f.scratch);
	put(0, 4, take8() % 5);
}

static void fix_clear(void)
{
	put_pointer(16, f.scratch);
	put(0, 4, take8() % 5);
}

static void fix_filter(void)
{
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		put_pointer(8 + 24 * i + 16, f.scratch);
		put(8 + 24 * i + 4, 4, load_le(f.arg + 8 + 24 * i + 4, 4) % 0x4000);
	}
}

static void fix_attr(void)
{
	put_pointer(16, f.scratch);
	put(0, 4, take8() % 3);
	put(8, 8, take8() % 3);
}

/* The guest's time must always end. */
static void fix_mask(void)
{
	f.arg[4 + (KICK - 1) / 8] &= (uint8_t) ~(1u << ((KICK - 1) % 8));
	if (take8() % 4)
		put(0, 4, 8);
}

static void fix_irqfd(void)
{
	put(0, 4, (uint32_t)fd_of(ROLE_EVENT, take8()));
	put(12, 4, (uint32_t)fd_of(ROLE_EVENT, take8()));
	put(4, 4, take8() % 32);
}

static void fix_bell(void)
{
	put(20, 4, (uint32_t)fd_of(ROLE_EVENT, take8()));
	put(16, 4, take8() % 9);
}

static void fix_cap(void)
{
	uint8_t which = take8();

	if (which % 16)
		put(0, 4, capabilities[which % ARRAY_LEN(capabilities)]);
	if (which & 16)
		put(4, 4, 0);
	put(8, 8, take8() & 1 ? (uint32_t)fd_of(ROLE_VM, take8()) : load_le(f.arg + 8, 8) & 0xfff1f);
}

/* Words of the command's struct that are to be pointers point at the guest's memory. */
static void fix_sev(void)
{
	uint8_t id = take8(), pointers = take8();

	put(0, 4, id & 128 ? 100 + id % 4 : id % 24);
	put_pointer(8, f.scratch);
	put(20, 4, (uint32_t)fd_of(ROLE_SEV, 0));
	take(f.scratch, take8());
	for (unsigned i = 0; i < 8; i++) {
		if (pointers >> i & 1)
			store_le(f.scratch + 8 * (size_t)i, 8, (uintptr_t)f.ram + (size_t)take8() * 256);
	}
}

static void fix_encrypted(void)
{
	put(0, 8, (uintptr_t)f.ram);
	put(8, 8, take8() % 2 ? RAM_BYTES : load_le(f.arg + 8, 8) & 0x3ffff);
}

static void fix_gmem(void)
{
	put(0, 8, (uint64_t)take8() << 12);
	if (take8() % 8)
		memset(f.arg + 8, 0, 56);
}

static void fix_regs(void)
{
	if (take8() % 4)
		put(128, 8, take8()); /* rip */
}

/* Mostly a mode that runs. */
static void fix_sregs(void)
{
	struct kvm_sregs s;

	if (take8() % 4 == 0)
		return;
	memcpy(&s, f.arg, sizeof(s));
	s.cr0 = (s.cr0 & 0x80050033) | 0x10;
	s.cr4 &= 0x6f8;
	s.efer &= 0xd01;
	s.cr3 &= 0xffffff;
	s.cr8 &= 15;
	s.cs.l = 0;
	s.cs.base = 0;
	s.apic_base = 0xfee00900;
	if (take8() & 1)
		s.cr0 &= ~UINT64_C(0x80000000), s.efer &= 1;
	memcpy(f.arg, &s, sizeof(s));
}

static const struct row {
	enum role role;
	unsigned long request;
	void (*fix)(void);
} rows[] = {{ROLE_SYSTEM, KVM_GET_API_VERSION, NULL}, {ROLE_SYSTEM, KVM_CREATE_VM, NULL},
        {ROLE_SYSTEM, KVM_CHECK_EXTENSION, NULL}, {ROLE_SYSTEM, KVM_GET_SUPPORTED_CPUID, NULL},
        {ROLE_SYSTEM, KVM_GET_EMULATED_CPUID, NULL}, {ROLE_SYSTEM, KVM_GET_MSR_INDEX_LIST, NULL},
        {ROLE_SYSTEM, KVM_GET_MSR_FEATURE_INDEX_LIST, NULL}, {ROLE_SYSTEM, KVM_GET_MSRS, NULL},
        {ROLE_SYSTEM, KVM_GET_DEVICE_ATTR, fix_attr}, {ROLE_SYSTEM, KVM_X86_GET_MCE_CAP_SUPPORTED, NULL},
        {ROLE_VM, KVM_CREATE_VCPU, NULL}, {ROLE_VM, KVM_CREATE_VCPU, NULL},
        {ROLE_VM, KVM_SET_USER_MEMORY_REGION, fix_region}, {ROLE_VM, KVM_SET_USER_MEMORY_REGION, fix_region},
        {ROLE_VM, UAPI_SET_USER_MEMORY_REGION2, fix_region2}, {ROLE_VM, UAPI_CREATE_GUEST_MEMFD, fix_gmem},
        {ROLE_VM, UAPI_SET_MEMORY_ATTRIBUTES, NULL}, {ROLE_VM, KVM_MEMORY_ENCRYPT_OP, fix_sev},
        {ROLE_VM, KVM_MEMORY_ENCRYPT_OP, fix_sev}, {ROLE_VM, KVM_MEMORY_ENCRYPT_REG_REGION, fix_encrypted},
        {ROLE_VM, KVM_MEMORY_ENCRYPT_UNREG_REGION, fix_encrypted}, {ROLE_VM, KVM_GET_DIRTY_LOG, fix_log},
        {ROLE_VM, KVM_CLEAR_DIRTY_LOG, fix_clear}, {ROLE_VM, KVM_RESET_DIRTY_RINGS, NULL},
        {ROLE_VM, KVM_SET_TSS_ADDR, NULL}, {ROLE_VM, KVM_SET_IDENTITY_MAP_ADDR, NULL},
        {ROLE_VM, KVM_ENABLE_CAP, fix_cap}, {ROLE_VM, KVM_ENABLE_CAP, fix_cap},
        {ROLE_VM, KVM_CREATE_IRQCHIP, NULL}, {ROLE_VM, KVM_CREATE_IRQCHIP, NULL},
        {ROLE_VM, KVM_GET_IRQCHIP, NULL}, {ROLE_VM, KVM_SET_IRQCHIP, NULL}, {ROLE_VM, KVM_CREATE_PIT2, NULL},
        {ROLE_VM, KVM_GET_PIT2, NULL}, {ROLE_VM, KVM_SET_PIT2, NULL}, {ROLE_VM, KVM_REINJECT_CONTROL, NULL},
        {ROLE_VM, KVM_IRQ_LINE, NULL}, {ROLE_VM, KVM_IRQ_LINE_STATUS, NULL},
        {ROLE_VM, KVM_SET_GSI_ROUTING, NULL}, {ROLE_VM, KVM_SIGNAL_MSI, NULL},
        {ROLE_VM, KVM_IRQFD, fix_irqfd}, {ROLE_VM, KVM_IOEVENTFD, fix_bell},
        {ROLE_VM, KVM_REGISTER_COALESCED_MMIO, NULL}, {ROLE_VM, KVM_UNREGISTER_COALESCED_MMIO, NULL},
        {ROLE_VM, KVM_SET_BOOT_CPU_ID, NULL}, {ROLE_VCPU, KVM_ENABLE_CAP, NULL},
        {ROLE_VM, KVM_X86_SET_MSR_FILTER, fix_filter}, {ROLE_VM, KVM_GET_CLOCK, NULL},
        {ROLE_VM, KVM_SET_CLOCK, NULL}, {ROLE_VM, KVM_CREATE_DEVICE, NULL}, {ROLE_VCPU, KVM_GET_REGS, NULL},
        {ROLE_VCPU, KVM_SET_REGS, fix_regs}, {ROLE_VCPU, KVM_GET_SREGS, NULL},
        {ROLE_VCPU, KVM_SET_SREGS, fix_sregs}, {ROLE_VCPU, KVM_GET_SREGS2, NULL},
        {ROLE_VCPU, KVM_SET_SREGS2, fix_sregs}, {ROLE_VCPU, KVM_GET_FPU, NULL},
        {ROLE_VCPU, KVM_SET_FPU, NULL}, {ROLE_VCPU, KVM_GET_XSAVE, NULL}, {ROLE_VCPU, KVM_SET_XSAVE, NULL},
        {ROLE_VCPU, KVM_GET_XCRS, NULL}, {ROLE_VCPU, KVM_SET_XCRS, NULL},
        {ROLE_VCPU, KVM_GET_DEBUGREGS, NULL}, {ROLE_VCPU, KVM_SET_DEBUGREGS, NULL},
        {ROLE_VCPU, KVM_SET_GUEST_DEBUG, NULL}, {ROLE_VCPU, KVM_GET_MSRS, NULL},
        {ROLE_VCPU, KVM_SET_MSRS, NULL}, {ROLE_VCPU, KVM_GET_CPUID2, NULL}, {ROLE_VCPU, KVM_SET_CPUID2, NULL},
        {ROLE_VCPU, KVM_GET_LAPIC, NULL}, {ROLE_VCPU, KVM_SET_LAPIC, NULL},
        {ROLE_VCPU, KVM_GET_MP_STATE, NULL}, {ROLE_VCPU, KVM_SET_MP_STATE, NULL},
        {ROLE_VCPU, KVM_GET_VCPU_EVENTS, NULL}, {ROLE_VCPU, KVM_SET_VCPU_EVENTS, NULL},
        {ROLE_VCPU, KVM_INTERRUPT, NULL}, {ROLE_VCPU, KVM_NMI, NULL}, {ROLE_VCPU, KVM_SMI, NULL},
        {ROLE_VCPU, KVM_TRANSLATE, NULL}, {ROLE_VCPU, KVM_SET_SIGNAL_MASK, fix_mask},
        {ROLE_VCPU, KVM_GET_TSC_KHZ, NULL}, {ROLE_VCPU, KVM_SET_TSC_KHZ, NULL},
        {ROLE_VCPU, KVM_KVMCLOCK_CTRL, NULL}, {ROLE_VCPU, KVM_GET_DEVICE_ATTR, fix_attr},
        {ROLE_VCPU, KVM_SET_DEVICE_ATTR, fix_attr}, {ROLE_VCPU, KVM_X86_SETUP_MCE, NULL},
        {ROLE_VCPU, KVM_X86_SET_MCE, NULL}};

/* ---- steps ---- */

static void on_kick(int signal)
{
}

static void set_timer(long ns)
{
	const struct itimerspec when = {.it_value.tv_nsec = ns, .it_interval.tv_nsec = ns};

	timer_settime(f.timer, 0, &when, NULL);
}

static void check_result(int result)
{
	fuzz_assert(result >= 0 || (errno > 0 && errno < 4096));
}

static void step_run(void)
{
	struct descriptor *d = find(ROLE_VCPU, take8());

	if (!d || ++f.runs > RUNS_MAX)
		return;
	set_timer(RUN_NS);
	check_result(host_ioctl_number(f.host, d->fd, KVM_RUN, 0));
	set_timer(0);
}

static void step_call(void)
{
	const struct row *row = &rows[take8() % ARRAY_LEN(rows)];
	uint8_t which = take8(), target = take8();
	unsigned long request = row->request;
	struct descriptor *d = find(target % 32 ? row->role : (enum role)(target / 32 % 3), which);
	int result;

	if (!d)
		return;
	memset(f.arg, 0, sizeof(f.arg));
	if (_IOC_DIR(request) == _IOC_NONE && request != KVM_REINJECT_CONTROL) {
		result = host_ioctl_number(f.host, d->fd, request, which & 64 ? take32() : take8() % 6);
	} else {
		take(f.arg, (size_t)take8() * (which & 128 ? 16 : 1));
		if (row->fix)
			row->fix();
		result = host_ioctl(f.host, d->fd, request, which == 0xff ? NULL : f.arg);
	}
	check_result(result);
	if (request == KVM_CREATE_VM && d->role == ROLE_SYSTEM)
		keep(ROLE_VM, result);
	if (request == KVM_CREATE_VCPU && d->role == ROLE_VM)
		keep(ROLE_VCPU, result);
	if (request == UAPI_CREATE_GUEST_MEMFD && d->role == ROLE_VM)
		keep(ROLE_GMEM, result);
}

/*
 * Takes any number except those of the platform's own calls, which would give descriptors or run without end.
 */
static void step_stranger(void)
{
	uint8_t role = take8();
	unsigned long request = take32();
	struct descriptor *d = find((enum role)(role % 3), role / 3);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].request == request || request == KVM_RUN)
			return;
	}
	memset(f.arg, 0, sizeof(f.arg));
	take(f.arg, take8());
	if (d)
		check_result(host_ioctl(f.host, d->fd, request, f.arg));
}

static void step_poke(void)
{
	uint8_t kind = take8();
	struct descriptor *d = find(ROLE_VCPU, kind);
	uint32_t at = take32(), size = take8() % 64;

	if (kind & 128)
		take(f.ram + at % (RAM_BYTES - 64), size);
	else if (d)
		take((uint8_t *)d->run + at % (kind & 64 ? RUN_BYTES - 64 : 256), size);
}

static void step_other(void)
{
	uint8_t kind = take8();
	struct descriptor *d = kind & 1 ? find(ROLE_VCPU, kind) : find(ROLE_VM, kind);
	struct descriptor *event = find(ROLE_EVENT, kind);

	if (kind & 2 && event)
		check_result(eventfd_write(event->fd, 1));
	else if (kind & 4)
		keep(ROLE_EVENT, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	else if ((kind & 0x38) == 0x38 && d)
		drop(d);
}

/* ---- life ---- */

static void create(void)
{
	const struct sim_options options = {.clock = SIM_CLOCK_VIRTUAL, .product = "Milan"};
	/*
	 * Sends the signal to this thread, because libFuzzer has another thread, which takes the process's
	 * signals while this one blocks them.
	 */
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK};
	struct err err;

	event._sigev_un._tid = gettid();
	signal(KICK, on_kick);
	/* None of the sanitizer's memory lies next to it, so accesses beyond it must give EFAULT. */
	f.ram = mmap(NULL, RAM_BYTES + 2 * GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.ram == MAP_FAILED)
		abort();
	f.ram += GUARD_BYTES;
	if (mprotect(f.ram, RAM_BYTES, PROT_READ | PROT_WRITE) < 0 ||
	        timer_create(CLOCK_MONOTONIC, &event, &f.timer) < 0 ||
	        sim_host_create(&options, &f.host, &err) < 0)
		abort();
	log_set_level(LOG_ERROR);
}

/* Returns the lowest free number. If it is not the same before and after, a descriptor was left open. */
static int lowest_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
	        step_call, step_call, step_call, step_call, step_run, step_poke, step_other, step_stranger};
	int lowest;

	if (!f.host)
		create();
	lowest = lowest_fd();
	input.data = data;
	input.size = size;
	f.runs = 0;
	memset(f.ram, 0, RAM_BYTES);
	memset(f.scratch, 0, sizeof(f.scratch));
	keep(ROLE_SYSTEM, host_open(f.host, "/dev/kvm", O_RDWR));
	keep(ROLE_SEV, host_open(f.host, "/dev/sev", O_RDWR));
	keep(ROLE_VM, host_ioctl_number(f.host, f.fds[0].fd, KVM_CREATE_VM, take8() % 5));
	for (unsigned i = 0; i < STEPS_MAX && input.size; i++)
		steps[take8() % ARRAY_LEN(steps)]();
	while (f.count)
		drop(&f.fds[f.count - 1]);
	fuzz_assert(lowest_fd() == lowest);
	return 0;
}
