/* SPDX-License-Identifier: Apache-2.0 */
/* The software platform's own promises: its time, sleep, kicks and memory. Through struct host. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "support/test.h"
#include "vmm/sim.h"

#include "../../abi/abi.h"

#define LAPIC     0xfee00000u
#define SECOND_NS UINT64_C(1000000000)
#define ATTEMPTS  5

static struct err err;

/* ---- helpers ---- */

static void platform_open(struct abi *abi, enum sim_clock_kind clock)
{
	const struct sim_options options = {.clock = clock};

	assert_ok(sim_host_create(&options, &abi->host, &err));
	abi->kvm = host_open(abi->host, "/dev/kvm", O_RDWR);
	assert_true(abi->kvm >= 0);
}

static void platform_close(struct abi *abi)
{
	host_close(abi->host, abi->kvm);
	host_destroy(abi->host);
}

static void start_timer(struct code *c, uint32_t lvt, uint32_t ticks)
{
	store(c, LAPIC + 0xf0, 0x1ff);
	store(c, LAPIC + 0x3e0, 0xb);
	store(c, LAPIC + 0x320, lvt);
	store(c, LAPIC + 0x380, ticks);
}

static int exit_of(struct guest *g)
{
	return guest_run_once(g, 0);
}

/* ---- time ---- */

static void test_clock_idle_guest_skips_to_its_timer(void **state)
{
	struct abi abi;
	struct guest g;
	uint64_t start;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	guest_set_handler(&g, 0x40, 1);
	start_timer(&g.code, 0x40, 4000000000u);
	sti(&g.code);
	for (int i = 0; i < 5; i++) {
		hlt(&g.code);
		store(&g.code, LAPIC + 0x380, 4000000000u);
	}
	done(&g.code);
	start = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(guest_run(&g), KVM_EXIT_IO);
	assert_in_range(sim_now_ns(abi.host), 20 * SECOND_NS, 20 * SECOND_NS + SECOND_NS / 100);
	assert_true(clock_ns(CLOCK_MONOTONIC) - start < 5 * SECOND_NS);
	guest_close(&g);
	platform_close(&abi);
}

static void test_clock_polled_device_sees_time_pass(void **state)
{
	struct abi abi;
	struct guest g;
	unsigned reads = 0;
	uint64_t last = 0;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_QUIET);
	emit_bytes(&g.code, 0xe4, 0x50, 0xeb, 0xfc); /* again: in al, 50h; jmp again */
	while (sim_now_ns(abi.host) < SECOND_NS) {
		assert_int_equal(exit_of(&g), KVM_EXIT_IO);
		assert_true(sim_now_ns(abi.host) > last);
		last = sim_now_ns(abi.host);
		/* The first reads are a microsecond apart, so short delays are exact. */
		if (++reads == 10)
			assert_true(last < 20000);
	}
	assert_in_range(reads, 1000, 50000);
	guest_close(&g);
	platform_close(&abi);
}

struct record {
	struct kvm_regs regs;
	uint64_t now_ns;
	uint32_t value;
};

/* The guest works, is interrupted by a timer meanwhile, and writes the time-stamp counter at every step. */
static void record_run(struct record *records, unsigned count)
{
	struct abi abi;
	struct guest g;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	guest_set_handler(&g, 0x40, 1);
	start_timer(&g.code, 0x20040, 300000);
	sti(&g.code);
	set_ecx(&g.code, 20000);
	emit_bytes(&g.code, 0x49, 0x75, 0xfd);             /* dec ecx; jnz */
	emit_bytes(&g.code, 0x0f, 0x31, 0xe7, 0x80, 0xf4); /* rdtsc; out 80h, eax; hlt */
	emit_bytes(&g.code, 0xeb, 0xf1);                   /* jmp to set_ecx */
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(exit_of(&g), KVM_EXIT_IO);
		assert_int_equal(ask(&abi, g.vcpu[0], KVM_GET_REGS, &records[i].regs), 0);
		records[i].now_ns = sim_now_ns(abi.host);
		records[i].value =
		        (uint32_t)load_le((char *)g.run[0] + g.run[0]->io.data_offset, g.run[0]->io.size);
	}
	guest_close(&g);
	platform_close(&abi);
}

static void test_clock_two_runs_are_the_same(void **state)
{
	enum { COUNT = 400 };
	struct record *first = calloc(COUNT, sizeof(*first)), *second = calloc(COUNT, sizeof(*second));

	record_run(first, COUNT);
	record_run(second, COUNT);
	assert_memory_equal(first, second, COUNT * sizeof(*first));
	assert_true(first[COUNT - 1].now_ns > first[0].now_ns);
	free(first);
	free(second);
}

static void test_clock_of_the_host_goes_with_it(void **state)
{
	struct abi abi;
	struct guest g;
	uint64_t start;

	platform_open(&abi, SIM_CLOCK_HOST);
	guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	guest_set_handler(&g, 0x40, 1);
	start_timer(&g.code, 0x40, 50000000);
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	start = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(guest_run(&g), KVM_EXIT_IO);
	assert_true(clock_ns(CLOCK_MONOTONIC) - start >= 49000000);
	guest_close(&g);
	platform_close(&abi);
}

/* ---- sleep and kicks ---- */

static void on_signal(int signal)
{
}

struct helper {
	struct guest *g;
	pthread_t thread, target;
	clockid_t busy;     /* the target's processor time, which other work on this machine leaves alone */
	uint64_t kicked_ns; /* the busy time when the target was asked to leave */
	_Atomic bool returned;
	unsigned delay_us;
	void (*act)(struct helper *h);
};

static void kick(struct helper *h)
{
	h->kicked_ns = clock_ns(h->busy);
	__atomic_store_n(&h->g->run[0]->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(h->target, SIGUSR1);
}

/* A signal that comes before KVM_RUN does is lost. */
static void signal_only(struct helper *h)
{
	h->kicked_ns = clock_ns(h->busy);
	do {
		pthread_kill(h->target, SIGUSR1);
		usleep(50000);
	} while (!atomic_load(&h->returned));
}

static void raise_line(struct helper *h)
{
	const struct kvm_irq_level line = {.irq = 20, .level = 1};

	ask(h->g->abi, h->g->vm, KVM_IRQ_LINE, &line);
}

static void *helper_main(void *ctx)
{
	struct helper *h = ctx;

	usleep(h->delay_us);
	h->act(h);
	return NULL;
}

/* Runs the guest once while the helper acts. */
static int run_with(struct guest *g, struct helper *h, unsigned delay_us, void (*act)(struct helper *h))
{
	int result;

	*h = (struct helper){.g = g, .target = pthread_self(), .delay_us = delay_us, .act = act};
	assert_int_equal(pthread_getcpuclockid(h->target, &h->busy), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, helper_main, h), 0);
	result = exit_of(g);
	atomic_store(&h->returned, true);
	pthread_join(h->thread, NULL);
	return result;
}

/*
 * The processor time that the vCPU may still use. It is generous with sanitizers, which slow the vCPU down by
 * an unknown factor.
 */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define KICK_NS_MAX UINT64_C(1000000000)
#else
#define KICK_NS_MAX UINT64_C(10000000)
#endif

/*
 * Returns the processor time that the vCPU used after it was asked to leave: the best of a few attempts,
 * because the first one has to fill caches.
 */
static uint64_t kick_latency_ns(struct guest *g, void (*act)(struct helper *h))
{
	uint64_t best = UINT64_MAX;
	bool left = false;

	for (int i = 0; i < ATTEMPTS; i++) {
		struct helper h;
		uint64_t took;

		g->run[0]->immediate_exit = 0;
		assert_int_equal(run_with(g, &h, 20000, act), -1);
		took = clock_ns(h.busy) - h.kicked_ns;
		left |= g->run[0]->exit_reason == KVM_EXIT_INTR; /* not if it was asked before it began */
		best = took < best ? took : best;
	}
	assert_true(left);
	return best;
}

static void test_kick_stops_a_loop_within_10_ms(void **state)
{
	struct abi abi;
	struct guest g;

	for (int rewriting = 0; rewriting <= 1; rewriting++) {
		platform_open(&abi, SIM_CLOCK_VIRTUAL);
		guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
		emit_bytes(&g.code, 0xfa); /* cli */
		if (rewriting) {
			emit_bytes(&g.code, 0xff, 0x05); /* inc dword [the immediate of MOV] */
			emit_number(&g.code, (uint32_t)(g.code.at - g.memory) + 5, 4);
			emit_bytes(&g.code, 0xb8, 0, 0, 0, 0); /* mov eax, 0 */
		}
		emit_bytes(&g.code, 0xeb, rewriting ? 0xf3 : 0xfe); /* jmp to INC, or to itself */
		assert_true(kick_latency_ns(&g, kick) < KICK_NS_MAX);
		assert_true(kick_latency_ns(&g, signal_only) < KICK_NS_MAX);
		guest_close(&g);
		platform_close(&abi);
	}
}

static void test_idle_without_timer_sleeps_until_kicked_or_called(void **state)
{
	struct abi abi;
	struct guest g;
	struct helper h;
	uint64_t busy;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	guest_set_handler(&g, 0x41, 1);
	store(&g.code, LAPIC + 0xf0, 0x1ff);
	store(&g.code, 0xfec00000, 0x10 + 2 * 20);
	store(&g.code, 0xfec00010, 0x41);
	sti(&g.code);
	hlt(&g.code);
	done(&g.code);
	assert_true(kick_latency_ns(&g, kick) < KICK_NS_MAX);
	g.run[0]->immediate_exit = 0;
	busy = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	assert_int_equal(run_with(&g, &h, 300000, raise_line), KVM_EXIT_IO);
	assert_int_equal(g.run[0]->io.port, PORT_VECTOR);
	assert_true(clock_ns(CLOCK_THREAD_CPUTIME_ID) - busy < 50000000);
	guest_close(&g);
	platform_close(&abi);
}

/* A guest that looks for a key a hundred times a second would burn a processor of the host for nothing. */
static void test_idle_for_long_goes_at_the_pace_of_the_host(void **state)
{
	struct abi abi;
	struct guest g;
	struct helper h;
	struct code stub;
	uint64_t started, busy, before;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_IRQCHIP | GUEST_QUIET);
	guest_set_handler(&g, 0x40, 1);
	/* A handler that writes nothing. */
	stub = guest_stub(&g, 0x40);
	emit_bytes(&stub, 0x50);
	store(&stub, LAPIC + 0xb0, 0);
	emit_bytes(&stub, 0x58, 0xcf);
	start_timer(&g.code, 0x20040, 10000000);
	sti(&g.code);
	emit_bytes(&g.code, 0xf4, 0xeb, 0xfd); /* hlt; jmp */
	/* The guest's half minute passes as fast as this machine can run it. */
	do {
		g.run[0]->immediate_exit = 0;
		assert_int_equal(run_with(&g, &h, 500000, kick), -1);
		before = sim_now_ns(abi.host);
	} while (before < 29 * SECOND_NS);
	g.run[0]->immediate_exit = 0;
	started = clock_ns(CLOCK_MONOTONIC);
	busy = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	assert_int_equal(run_with(&g, &h, 500000, kick), -1);
	assert_in_range(sim_now_ns(abi.host) - before, 1, clock_ns(CLOCK_MONOTONIC) - started + SECOND_NS);
	assert_true(clock_ns(CLOCK_THREAD_CPUTIME_ID) - busy < 200000000);
	guest_close(&g);
	platform_close(&abi);
}

/* ---- memory ---- */

static void *more_memory;

static void take_memory_away(struct helper *h)
{
	const struct kvm_userspace_memory_region gone = {.slot = 1};

	assert_int_equal(ask(h->g->abi, h->g->vm, KVM_SET_USER_MEMORY_REGION, &gone), 0);
	munmap(more_memory, 0x10000); /* nobody uses it any more */
}

static void test_memory_taken_away_under_a_running_guest_becomes_mmio(void **state)
{
	struct abi abi;
	struct guest g;
	struct helper h;
	struct kvm_userspace_memory_region more = {
	        .slot = 1, .guest_phys_addr = 0x40000, .memory_size = 0x10000};

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_QUIET);
	more_memory = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	more.userspace_addr = (uintptr_t)more_memory;
	assert_int_equal(ask(&abi, g.vm, KVM_SET_USER_MEMORY_REGION, &more), 0);
	emit_bytes(
	        &g.code, 0xff, 0x05, 0x00, 0x40, 0x04, 0x00, 0xeb, 0xf8); /* again: inc dword [44000h]; jmp */
	assert_int_equal(run_with(&g, &h, 50000, take_memory_away), KVM_EXIT_MMIO);
	assert_int_equal(g.run[0]->mmio.phys_addr, 0x44000);
	guest_close(&g);
	platform_close(&abi);
}

static void test_dirty_log_has_what_was_written_since(void **state)
{
	struct abi abi;
	struct guest g;
	uint64_t bits = 0;
	struct kvm_userspace_memory_region region = {
	        .flags = KVM_MEM_LOG_DIRTY_PAGES, .memory_size = GUEST_BYTES};
	const struct kvm_dirty_log log = {.dirty_bitmap = &bits};

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_QUIET);
	assert_int_equal(ask(&abi, g.vm, KVM_GET_DIRTY_LOG, &log), -1);
	assert_int_equal(errno, ENOENT);
	region.userspace_addr = (uintptr_t)g.memory;
	assert_int_equal(ask(&abi, g.vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
	store(&g.code, 0x10000, 1);
	out8(&g.code, 0x50, 0);
	store(&g.code, 0x10004, 1);
	store(&g.code, 0x1f000, 1);
	done(&g.code);
	exit_of(&g);
	assert_int_equal(ask(&abi, g.vm, KVM_GET_DIRTY_LOG, &log), 0);
	assert_int_equal(bits, UINT64_C(1) << 0x10);
	assert_int_equal(guest_run(&g), KVM_EXIT_IO);
	assert_int_equal(ask(&abi, g.vm, KVM_GET_DIRTY_LOG, &log), 0);
	assert_int_equal(bits, UINT64_C(1) << 0x10 | UINT64_C(1) << 0x1f);
	assert_int_equal(ask(&abi, g.vm, KVM_GET_DIRTY_LOG, &log), 0);
	assert_int_equal(bits, 0);
	guest_close(&g);
	platform_close(&abi);
}

static void test_figures_tell_what_ran(void **state)
{
	struct sim_figures figures;
	struct abi abi;
	struct guest g;

	platform_open(&abi, SIM_CLOCK_VIRTUAL);
	guest_open(&g, &abi, 32, 1, GUEST_QUIET);
	set_ecx(&g.code, 1000);
	emit_bytes(&g.code, 0x49, 0x75, 0xfd);
	done(&g.code);
	assert_int_equal(guest_run(&g), KVM_EXIT_IO);
	sim_figures(abi.host, &figures);
	assert_in_range(figures.instructions, 2001, 2005);
	assert_int_equal(figures.exits, 1);
	assert_int_equal(figures.unknown, 0);
	guest_close(&g);
	sim_figures(abi.host, &figures);
	assert_in_range(figures.instructions, 2001, 2005); /* also of a VM that is gone */
	platform_close(&abi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_clock_idle_guest_skips_to_its_timer),
	        cmocka_unit_test(test_clock_polled_device_sees_time_pass),
	        cmocka_unit_test(test_clock_two_runs_are_the_same),
	        cmocka_unit_test(test_clock_of_the_host_goes_with_it),
	        cmocka_unit_test(test_kick_stops_a_loop_within_10_ms),
	        cmocka_unit_test(test_idle_without_timer_sleeps_until_kicked_or_called),
	        cmocka_unit_test(test_idle_for_long_goes_at_the_pace_of_the_host),
	        cmocka_unit_test(test_memory_taken_away_under_a_running_guest_becomes_mmio),
	        cmocka_unit_test(test_dirty_log_has_what_was_written_since),
	        cmocka_unit_test(test_figures_tell_what_ran),
	};

	signal(SIGUSR1, on_signal);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
