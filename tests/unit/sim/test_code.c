/* The software processor's cache of decoded code, while that code is written. */
#include "cpu_bench.h"

/* ---- written by itself ---- */

/* Each round is decoded anew. */
GUEST(rewriting_guest, 64, "1: incb 2f+1(%rip); 2: mov $0, %al; inc %ecx; jmp 1b");

static void test_code_that_rewrites_itself_leaves_often_and_always_there(void **state)
{
	struct bench *b = *state;
	struct sim_cpu *first = b->cpu;
	uint64_t rounds = 0;

	bench_long(b, rewriting_guest, rewriting_guest_end, 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(sim_cpu_run(first, UINT64_MAX), SIM_EXIT_DEADLINE);
		assert_in_range(bench_regs(b).rcx - rounds, 50, 1000);
		rounds = bench_regs(b).rcx;
		assert_int_equal((uint8_t)bench_regs(b).rax, (uint8_t)rounds);
	}
	b->cpu = bench_cpu(b);
	bench_long(b, rewriting_guest, rewriting_guest_end, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(sim_cpu_run(b->cpu, UINT64_MAX), SIM_EXIT_DEADLINE);
	assert_int_equal(sim_cpu_icount(b->cpu), sim_cpu_icount(first));
	assert_int_equal(bench_regs(b).rcx, rounds);
	sim_cpu_destroy(b->cpu);
	b->cpu = first;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_code_that_rewrites_itself_leaves_often_and_always_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
