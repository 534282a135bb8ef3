/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behaviour of the software platform that a transcript shared with a real KVM cannot show: a ring that is
 * about to overflow, entries that the VMM made up, filters at the edges of their ranges, machine checks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest_bench.h"
#include "vmm/abi/policy.h"
#include "vmm/uapi.h"

#define LOGGED    0x100000u
#define PAGES     1024u
#define RING      4096u
#define ENTRIES   (RING / sizeof(struct kvm_dirty_gfn))
#define RESERVED  64u
#define EXITS_MAX 100

/* ---- the ring ---- */

struct ring_bench {
	struct guest g;
	uint8_t *memory;
	struct kvm_dirty_gfn *ring;
};

static void ring_open(struct ring_bench *b, struct abi *abi)
{
	struct kvm_userspace_memory_region region = {.slot = 7,
	        .flags = KVM_MEM_LOG_DIRTY_PAGES,
	        .guest_phys_addr = LOGGED,
	        .memory_size = (uint64_t)PAGES * 4096};

	guest_open(&b->g, abi, 32, 1, GUEST_QUIET | GUEST_RING);
	b->memory =
	        mmap(NULL, (size_t)PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(b->memory, MAP_FAILED);
	region.userspace_addr = (uintptr_t)b->memory;
	assert_int_equal(ask(abi, b->g.vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
	b->ring = host_mmap(abi->host, NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, b->g.vcpu[0],
	        (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * 4096);
	assert_ptr_not_equal(b->ring, MAP_FAILED);
}

static void ring_close(struct ring_bench *b)
{
	host_munmap(b->g.abi->host, b->ring, RING);
	guest_close(&b->g);
	munmap(b->memory, (size_t)PAGES * 4096);
}

/* mov edi, LOGGED; mov ecx, COUNT; then an instruction that writes it all: rep stosd */
static void write_stos(struct code *c, uint32_t bytes)
{
	emit_bytes(c, 0xbf);
	emit_number(c, LOGGED, 4);
	set_ecx(c, bytes / 4);
	set_eax(c, 0x55555555);
	emit_bytes(c, 0xfc, 0xf3, 0xab);
	hlt(c);
}

/* One instruction that dirties more pages than the ring holds: none is lost, none comes twice. */
static void test_kvm_ring_overflow_stops_within_an_instruction(void **state)
{
	bool seen[PAGES] = {false};
	struct ring_bench b;
	unsigned at = 0, fulls = 0;
	int reason = KVM_EXIT_DIRTY_RING_FULL;

	ring_open(&b, *state);
	write_stos(&b.g.code, PAGES * 4096);
	for (unsigned i = 0; i < EXITS_MAX && reason == KVM_EXIT_DIRTY_RING_FULL; i++) {
		unsigned n = 0;

		reason = guest_run_once(&b.g, 0);
		fulls += reason == KVM_EXIT_DIRTY_RING_FULL;
		for (; b.ring[at % ENTRIES].flags & KVM_DIRTY_GFN_F_DIRTY; at++, n++) {
			assert_int_equal(b.ring[at % ENTRIES].slot, 7);
			assert_in_range(b.ring[at % ENTRIES].offset, 0, PAGES - 1);
			assert_false(seen[b.ring[at % ENTRIES].offset]);
			seen[b.ring[at % ENTRIES].offset] = true;
			b.ring[at % ENTRIES].flags = KVM_DIRTY_GFN_F_RESET;
		}
		if (reason == KVM_EXIT_DIRTY_RING_FULL)
			assert_in_range(n, ENTRIES - RESERVED, ENTRIES);
		assert_int_equal(ask_number(*state, b.g.vm, KVM_RESET_DIRTY_RINGS, 0), n);
	}
	assert_int_equal(reason, KVM_EXIT_HLT);
	assert_in_range(fulls, PAGES / ENTRIES, PAGES / (ENTRIES - RESERVED) + 1);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_true(seen[i]);
		assert_int_equal(b.memory[i * 4096 + 17], 0x55);
	}
	ring_close(&b);
}

/* Entries are the VMM's memory, so the platform skips slots and pages that do not exist. */
static void test_kvm_ring_entries_of_nonsense_do_no_harm(void **state)
{
	static const struct kvm_dirty_gfn rows[] = {{2, 7, PAGES}, {2, 7, UINT64_MAX}, {2, 8, 0},
	        {2, 60000, 1}, {2, UINT32_MAX, UINT64_MAX}, {2, 0, 0}};
	struct ring_bench b;

	ring_open(&b, *state);
	memcpy(b.ring, rows, sizeof(rows));
	assert_int_equal(ask_number(*state, b.g.vm, KVM_RESET_DIRTY_RINGS, 0), ARRAY_LEN(rows));
	for (size_t i = 0; i < ENTRIES; i++)
		b.ring[i].flags = KVM_DIRTY_GFN_F_RESET;
	assert_int_equal(ask_number(*state, b.g.vm, KVM_RESET_DIRTY_RINGS, 0), ENTRIES);
	ring_close(&b);
}

/* ---- filters ---- */

static bool allows(struct guest *g, uint32_t index)
{
	struct kvm_regs regs = {.rip = GUEST_CODE, .rsp = GUEST_STACK, .rflags = 2, .rcx = index};

	assert_int_equal(ask(g->abi, g->vcpu[0], KVM_SET_REGS, &regs), 0);
	if (guest_run_once(g, 0) == KVM_EXIT_HLT)
		return true;
	assert_int_equal(g->run[0]->exit_reason, KVM_EXIT_X86_RDMSR);
	assert_int_equal(g->run[0]->msr.index, index);
	assert_int_equal(guest_run_once(g, 0), KVM_EXIT_HLT);
	return false;
}

static void test_kvm_filter_ends_where_its_range_ends(void **state)
{
	const struct kvm_enable_cap cap = {
	        .cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = KVM_MSR_EXIT_REASON_FILTER};
	uint8_t none[8] = {0}, all[8] = {0xff, 0xff};
	struct kvm_msr_filter f = {.ranges[0] = {KVM_MSR_FILTER_READ, 3, 0x175, none},
	        .ranges[1] = {KVM_MSR_FILTER_READ, 9, 0x170, all},
	        .ranges[2] = {KVM_MSR_FILTER_READ, 1, 0xfffffffe, none}};
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	emit_bytes(&g.code, 0x0f, 0x32);
	hlt(&g.code);
	assert_int_equal(ask(*state, g.vm, KVM_ENABLE_CAP, &cap), 0);
	assert_int_equal(ask(*state, g.vm, KVM_X86_SET_MSR_FILTER, &f), 0);
	assert_true(allows(&g, 0x174));
	assert_false(allows(&g, 0x175)); /* the first range that names it counts */
	assert_false(allows(&g, 0x176));
	assert_true(allows(&g, 0x10)); /* in no range */
	assert_false(allows(&g, 0xfffffffe));
	guest_close(&g);
}

/* ---- signals ---- */

static void on_signal(int signal)
{
}

static _Atomic bool returned;

/* A signal that comes before KVM_RUN does is lost. */
static void *signal_main(void *thread)
{
	while (!atomic_load(&returned)) {
		usleep(50000);
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	}
	return NULL;
}

/* immediate_exit is not set: KVM_RUN returns because the handler has run. */
static void test_kvm_signal_alone_ends_the_sleep_of_a_guest(void **state)
{
	pthread_t self = pthread_self(), thread;
	struct guest g;

	signal(SIGUSR1, on_signal);
	guest_open(&g, *state, 32, 1, GUEST_QUIET | GUEST_IRQCHIP);
	hlt(&g.code);
	assert_int_equal(pthread_create(&thread, NULL, signal_main, &self), 0);
	assert_int_equal(ask_number(*state, g.vcpu[0], KVM_RUN, 0), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(g.run[0]->exit_reason, KVM_EXIT_INTR);
	atomic_store(&returned, true);
	pthread_join(thread, NULL);
	guest_close(&g);
}

/* ---- registers in struct kvm_run ---- */

static void test_kvm_registers_of_an_es_guest_are_not_in_kvm_run(void **state)
{
	const struct sim_options options = {.clock = SIM_CLOCK_VIRTUAL, .product = "Milan"};
	struct uapi_sev_init init = {.ghcb_version = 2};
	struct kvm_sev_launch_start start = {.policy = ABI_SEV_POLICY_ES};
	struct kvm_sev_cmd cmd = {.id = UAPI_SEV_INIT2, .data = (uintptr_t)&init};
	struct kvm_run *run;
	struct err err;
	struct abi abi;
	int vm, vcpu;

	assert_ok(sim_host_create(&options, &abi.host, &err));
	abi.kvm = host_open(abi.host, "/dev/kvm", O_RDWR);
	cmd.sev_fd = (uint32_t)host_open(abi.host, "/dev/sev", O_RDWR);
	vm = ask_number(&abi, abi.kvm, KVM_CREATE_VM, UAPI_VM_SEV_ES);
	assert_int_equal(ask(&abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), 0);
	vcpu = ask_number(&abi, vm, KVM_CREATE_VCPU, 0);
	run = host_mmap(abi.host, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	assert_ptr_not_equal(run, MAP_FAILED);
	run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	assert_int_equal(ask_number(&abi, vcpu, KVM_RUN, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(run->s.regs.regs.rip, 0xfff0); /* store_regs() asks for the vCPU alone */
	run->s.regs.regs.rip = 0;
	cmd.id = KVM_SEV_LAUNCH_START;
	cmd.data = (uintptr_t)&start;
	assert_int_equal(ask(&abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), 0);
	cmd.id = KVM_SEV_LAUNCH_UPDATE_VMSA;
	assert_int_equal(ask(&abi, vm, KVM_MEMORY_ENCRYPT_OP, &cmd), 0);
	assert_int_equal(ask_number(&abi, vcpu, KVM_RUN, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(run->s.regs.regs.rip, 0); /* and not that of a reset */
	host_munmap(abi.host, run, 4096);
	host_close(abi.host, vcpu);
	host_close(abi.host, vm);
	host_close(abi.host, (int)cmd.sev_fd);
	host_close(abi.host, abi.kvm);
	host_destroy(abi.host);
}

/* ---- irqfds ---- */

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/*
 * Two eventfds are told apart without opening a descriptor, by the duplicates that the platform keeps: a new
 * descriptor could get the number that another thread of the VMM has just closed and asks about.
 */
static void test_kvm_irqfd_opens_nothing_but_its_duplicate(void **state)
{
	int fds[] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)}, lowest;
	struct rlimit before;
	struct guest g;

	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fds[0], fds[0]) < 0) {
		print_message("kcmp(2) is refused here\n");
		skip();
	}
	guest_open(&g, *state, 32, 1, GUEST_QUIET | GUEST_IRQCHIP);
	getrlimit(RLIMIT_NOFILE, &before);
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
		const struct kvm_irqfd irqfd = {.fd = (uint32_t)fds[i], .gsi = 5};
		int result;

		lowest = dup(fds[i]);
		close(lowest);
		if (i > 0)
			limit_descriptors((rlim_t)lowest + 1);
		result = ask(*state, g.vm, KVM_IRQFD, &irqfd);
		limit_descriptors(before.rlim_cur);
		assert_int_equal(result, 0);
	}
	guest_close(&g);
	for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* ---- time ---- */

#define TIMER_VECTOR  0x42
#define ANSWER_VECTOR 0x43
#define LAPIC_BASE    0xfee00000u
#define BELL_PORT     0x500

struct device_thread {
	struct guest *g;
	int bell;
};

/* A device that takes a while: it waits for the doorbell, and answers with an interrupt. */
static void *answer(void *ctx)
{
	struct device_thread *device = ctx;
	const struct kvm_msi msi = {.address_lo = LAPIC_BASE, .data = ANSWER_VECTOR};
	eventfd_t count;

	eventfd_read(device->bell, &count);
	usleep(50000);
	ask(device->g->abi, device->g->vm, KVM_SIGNAL_MSI, &msi);
	return NULL;
}

/* A guest that sets a timer of four seconds, rings or does not, and halts. Returns the first interrupt. */
static unsigned first_interrupt(struct abi *abi, bool rings)
{
	struct device_thread device = {.bell = eventfd(0, EFD_CLOEXEC)};
	const struct kvm_ioeventfd port = {
	        .addr = BELL_PORT, .len = 1, .fd = device.bell, .flags = KVM_IOEVENTFD_FLAG_PIO};
	pthread_t thread;
	unsigned vector;
	struct guest g;

	guest_open(&g, abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	device.g = &g;
	assert_int_equal(ask(abi, g.vm, KVM_IOEVENTFD, &port), 0);
	guest_set_handler(&g, TIMER_VECTOR, 1);
	guest_set_handler(&g, ANSWER_VECTOR, 1);
	store(&g.code, LAPIC_BASE + 0xf0, 0x1ff); /* on */
	store(&g.code, LAPIC_BASE + 0x3e0, 0xb);
	store(&g.code, LAPIC_BASE + 0x320, TIMER_VECTOR);
	store(&g.code, LAPIC_BASE + 0x380, 4000000000u);
	set_edx(&g.code, rings ? BELL_PORT : BELL_PORT + 8);
	out_dx(&g.code, 1);
	sti(&g.code);
	hlt(&g.code);
	if (rings)
		assert_int_equal(pthread_create(&thread, NULL, answer, &device), 0);
	else
		assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO); /* nobody answers at that port */
	assert_int_equal(guest_run_once(&g, 0), KVM_EXIT_IO);
	assert_int_equal(g.run[0]->io.port, PORT_VECTOR);
	vector = *((uint8_t *)g.run[0] + g.run[0]->io.data_offset);
	if (rings)
		pthread_join(thread, NULL);
	guest_close(&g);
	close(device.bell);
	return vector;
}

/* The time of a guest that only waits jumps to its next timer, but not past a device's answer. */
static void test_kvm_time_waits_for_the_answer_to_a_doorbell(void **state)
{
	assert_int_equal(first_interrupt(*state, false), TIMER_VECTOR);
	assert_int_equal(first_interrupt(*state, true), ANSWER_VECTOR);
}

/* ---- machine checks ---- */

static void test_kvm_uncorrected_error_is_an_exception_or_the_end(void **state)
{
	const struct kvm_x86_mce mce = {
	        .status = UINT64_C(0xa) << 60, .mcg_status = 5, .addr = 0x1234, .bank = 1};
	uint64_t cap = 4;

	for (int ready = 0; ready < 2; ready++) {
		struct kvm_sregs sregs;
		struct guest g;

		guest_open(&g, *state, 32, 1, GUEST_QUIET);
		guest_set_handler(&g, 18, 0);
		hlt(&g.code);
		ask(*state, g.vcpu[0], KVM_GET_SREGS, &sregs);
		sregs.cr4 |= ready ? 0x40 : 0;
		assert_int_equal(ask(*state, g.vcpu[0], KVM_SET_SREGS, &sregs), 0);
		assert_int_equal(ask(*state, g.vcpu[0], KVM_X86_SETUP_MCE, &cap), 0);
		assert_int_equal(ask(*state, g.vcpu[0], KVM_X86_SET_MCE, &mce), 0);
		assert_int_equal(guest_run_once(&g, 0), ready ? KVM_EXIT_IO : KVM_EXIT_SHUTDOWN);
		if (ready)
			assert_int_equal(*((uint8_t *)g.run[0] + g.run[0]->io.data_offset), 18);
		guest_close(&g);
	}
}

/* ---- XSAVE areas ---- */

#define AREA_XCR0_BV 128 /* in words of the area: the components that are not in their initial state */
#define AREA_YMM     144

static void test_kvm_xsave_area_has_the_upper_halves(void **state)
{
	struct kvm_xsave area = {.region[6] = 0x1f80, .region[AREA_XCR0_BV] = 4}, read;
	struct guest g;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	for (unsigned i = 0; i < 64; i++)
		area.region[AREA_YMM + i] = 0x1000 + i;
	assert_int_equal(ask(*state, g.vcpu[0], KVM_SET_XSAVE, &area), 0);
	assert_int_equal(ask(*state, g.vcpu[0], KVM_GET_XSAVE, &read), 0);
	assert_int_equal(read.region[AREA_XCR0_BV] & 4, 4);
	assert_memory_equal(read.region + AREA_YMM, area.region + AREA_YMM, 256);
	area.region[AREA_XCR0_BV] = 0;
	assert_int_equal(ask(*state, g.vcpu[0], KVM_SET_XSAVE, &area), 0);
	assert_int_equal(ask(*state, g.vcpu[0], KVM_GET_XSAVE, &read), 0);
	assert_int_equal(read.region[AREA_XCR0_BV] & 4, 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(read.region[AREA_YMM + i], 0);
	area.region[AREA_XCR0_BV] = 8;
	assert_int_not_equal(ask(*state, g.vcpu[0], KVM_SET_XSAVE, &area), 0);
	guest_close(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_bench_setup, guest_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_kvm_ring_overflow_stops_within_an_instruction),
	        TEST(test_kvm_ring_entries_of_nonsense_do_no_harm),
	        TEST(test_kvm_filter_ends_where_its_range_ends),
	        TEST(test_kvm_signal_alone_ends_the_sleep_of_a_guest),
	        TEST(test_kvm_registers_of_an_es_guest_are_not_in_kvm_run),
	        TEST(test_kvm_irqfd_opens_nothing_but_its_duplicate),
	        TEST(test_kvm_time_waits_for_the_answer_to_a_doorbell),
	        TEST(test_kvm_xsave_area_has_the_upper_halves),
	        TEST(test_kvm_uncorrected_error_is_an_exception_or_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
