/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory that comes and goes under running vCPUs, and signals that have nothing to do with it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest_bench.h"

#include "cpu/ram.h"

#define COUNTERS 0x18000
#define END      0x19000
#define REFUSALS 100
#define PAGE     4096

/* ---- running ---- */

struct toggler {
	struct guest *guest;
	atomic_bool stop;
	pthread_t thread;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;

	while (!atomic_load(&t->stop)) {
		mprotect(t->guest->memory + COUNTERS, PAGE, PROT_READ);
		usleep(100);
		mprotect(t->guest->memory + COUNTERS, PAGE, PROT_READ | PROT_WRITE);
		usleep(100);
	}
	return NULL;
}

/* inc dword [at], with or without LOCK */
static void increment(struct code *c, uint32_t at, bool locked)
{
	if (locked)
		emit_bytes(c, 0xf0);
	emit_bytes(c, 0xff, 0x05);
	emit_number(c, at, 4);
}

/*
 * Each instruction is done once, however often its memory was missing. The guest counts until the test stops
 * it.
 */
static void test_instructions_are_done_once(void **state)
{
	struct toggler t = {0};
	struct kvm_regs regs;
	unsigned refused = 0; /* at different places */
	uint64_t last = 0;
	struct guest g;
	uint8_t *loop;

	guest_open(&g, *state, 32, 1, GUEST_QUIET);
	set_ecx(&g.code, 0);
	loop = g.code.at;
	emit_bytes(&g.code, 0xf9, 0x83, 0x15); /* stc; adc dword [COUNTERS], 0 */
	emit_number(&g.code, COUNTERS, 4);
	emit_bytes(&g.code, 0);
	increment(&g.code, COUNTERS + 4, true);
	increment(&g.code, COUNTERS + 8, false);
	emit_bytes(&g.code, 0x41, 0x80, 0x3d); /* inc ecx; cmp byte [END], 0 */
	emit_number(&g.code, END, 4);
	emit_bytes(&g.code, 0, 0x74, (uint8_t)(loop - g.code.at - 3)); /* je loop */
	done(&g.code);
	t.guest = &g;
	assert_int_equal(pthread_create(&t.thread, NULL, toggle, &t), 0);
	while (ask_number(g.abi, g.vcpu[0], KVM_RUN, 0) < 0) {
		assert_int_equal(errno, EFAULT);
		assert_int_equal(ask(g.abi, g.vcpu[0], KVM_GET_REGS, &regs), 0);
		refused += regs.rcx != last;
		last = regs.rcx;
		g.memory[END] = refused >= REFUSALS;
	}
	atomic_store(&t.stop, true);
	pthread_join(t.thread, NULL);
	assert_int_equal(g.run[0]->exit_reason, KVM_EXIT_IO);
	assert_int_equal(ask(g.abi, g.vcpu[0], KVM_GET_REGS, &regs), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(load_le(g.memory + COUNTERS + 4 * (size_t)i, 4), regs.rcx);
	guest_close(&g);
}

/* ---- guards ---- */

static uint8_t *make_page(int protection)
{
	uint8_t *page = mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	return page;
}

static void test_attempts_say_what_can_be_done(void **state)
{
	uint8_t *none = make_page(PROT_NONE), *read = make_page(PROT_READ),
	        *both = make_page(PROT_READ | PROT_WRITE);
	uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	assert_false(cpu_ram_try_read(bytes, none, 8));
	assert_false(cpu_ram_try_write(none, bytes, 8));
	assert_false(cpu_ram_try_touch(none));
	assert_true(cpu_ram_try_read(bytes + 4, read, 4));
	assert_false(cpu_ram_try_write(read, bytes, 8));
	assert_false(cpu_ram_try_touch(read));
	assert_true(cpu_ram_try_write(both, bytes, 8));
	assert_true(cpu_ram_try_touch(both));
	assert_memory_equal(both, "\1\2\3\4\0\0\0\0", 8);
	munmap(none, PAGE);
	munmap(read, PAGE);
	munmap(both, PAGE);
}

/* ---- signals of others ---- */

static void say_once(int signal)
{
	static const char text[] = "before\n";

	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
	raise(signal);
}

static void fault_unowned(void)
{
	*(volatile uint8_t *)make_page(PROT_NONE) = 1;
}

static void kill_self(void)
{
	kill(getpid(), SIGSEGV);
}

/* Runs the action in a process of its own, and checks how it ends and what it prints. */
static void ends_by_segv(void (*action)(void), bool with_handler)
{
	char said[32] = "";
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct sigaction before = {
		        .sa_handler = with_handler ? say_once : SIG_DFL, .sa_flags = (int)SA_RESETHAND};

		dup2(ends[1], STDOUT_FILENO);
		sigaction(SIGSEGV, &before, NULL);
		cpu_ram_guard_prepare();
		action();
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(read(ends[0], said, sizeof(said) - 1) >= 0);
	close(ends[0]);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_string_equal(said, with_handler ? "before\n" : "");
}

/*
 * The signal is handled as if the platform were not there: a handler that another part of the program set is
 * called.
 */
static void test_other_faults_end_the_process(void **state)
{
	ends_by_segv(fault_unowned, false);
	ends_by_segv(fault_unowned, true);
	ends_by_segv(kill_self, false);
	ends_by_segv(kill_self, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_attempts_say_what_can_be_done),
	        cmocka_unit_test(test_other_faults_end_the_process),
	        cmocka_unit_test_setup_teardown(
	                test_instructions_are_done_once, guest_bench_setup, guest_bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
