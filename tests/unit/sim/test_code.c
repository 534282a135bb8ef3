/* SPDX-License-Identifier: Apache-2.0 */
/* The software processor's cache of decoded code, while that code is written. */
#include <pthread.h>
#include <sched.h>

#include "cpu_bench.h"

/* ---- written by another thread ---- */

#define ROUNDS 200
#define RUNS   50

GUEST(written_guest, 64, "1: mov $0, %eax; hlt; jmp 1b");

struct writer {
	struct bench *b;
	pthread_t thread;
	pthread_barrier_t begin, end;
	_Atomic bool writes, enough;
};

/* The first byte of the MOV's immediate, one of two values. */
static void *write_code(void *ctx)
{
	struct writer *w = ctx;
	uint8_t value = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&w->begin);
		for (; !atomic_load(&w->enough); atomic_store(&w->writes, true))
			__atomic_store_n(&w->b->ram[CODE + 1], value ^= 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&w->end);
	}
	return NULL;
}

/* Code that was decoded while its bytes changed is not used for the bytes as they are afterwards. */
static void test_code_decoded_while_it_changes_is_decoded_again(void **state)
{
	struct bench *b = *state;
	struct writer w = {.b = b};

	bench_long(b, written_guest, written_guest_end, 0);
	pthread_barrier_init(&w.begin, NULL, 2);
	pthread_barrier_init(&w.end, NULL, 2);
	assert_int_equal(pthread_create(&w.thread, NULL, write_code, &w), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		atomic_store(&w.writes, false);
		atomic_store(&w.enough, false);
		pthread_barrier_wait(&w.begin);
		while (!atomic_load(&w.writes))
			sched_yield();
		for (unsigned k = 0; k < RUNS; k++)
			assert_int_equal(bench_run(b), CPU_EXIT_HLT);
		atomic_store(&w.enough, true);
		pthread_barrier_wait(&w.end);
		assert_int_equal(bench_run(b), CPU_EXIT_HLT);
		assert_int_equal(bench_regs(b).rax, b->ram[CODE + 1]);
	}
	pthread_join(w.thread, NULL);
	pthread_barrier_destroy(&w.begin);
	pthread_barrier_destroy(&w.end);
}

/* ---- written by itself ---- */

/* Each round is decoded anew. */
GUEST(rewriting_guest, 64, "1: incb 2f+1(%rip); 2: mov $0, %al; inc %ecx; jmp 1b");

static void test_code_that_rewrites_itself_leaves_often_and_always_there(void **state)
{
	struct bench *b = *state;
	struct cpu *first = b->cpu;
	uint64_t rounds = 0;

	bench_long(b, rewriting_guest, rewriting_guest_end, 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(cpu_run(first, UINT64_MAX), CPU_EXIT_DEADLINE);
		assert_in_range(bench_regs(b).rcx - rounds, 50, 1000);
		rounds = bench_regs(b).rcx;
		assert_int_equal((uint8_t)bench_regs(b).rax, (uint8_t)rounds);
	}
	b->cpu = bench_cpu(b);
	bench_long(b, rewriting_guest, rewriting_guest_end, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_DEADLINE);
	assert_int_equal(cpu_icount(b->cpu), cpu_icount(first));
	assert_int_equal(bench_regs(b).rcx, rounds);
	cpu_destroy(b->cpu);
	b->cpu = first;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_code_that_rewrites_itself_leaves_often_and_always_there),
	        TEST(test_code_decoded_while_it_changes_is_decoded_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
