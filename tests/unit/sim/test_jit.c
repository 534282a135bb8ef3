/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of what the translator must do beside computing: give an instruction up whose memory is missing, with
 * all that was before it done, come back from code that never leaves itself, and notice between two blocks
 * that the next is not what it was.
 */
#include <sys/mman.h>

#include "cpu_bench.h"

#define MISSING 0x40000u
#define PAGE    0x1000u

static int setup(void **state)
{
	struct bench *b;

	setenv("SIM_CPU", "translator", 1);
	if (bench_setup(state))
		return -1;
	b = *state;
	free(b->ram);
	b->ram = aligned_alloc(PAGE, RAM_BYTES);
	memset(b->ram, 0, RAM_BYTES);
	b->memory.map.slots[0].host = b->ram;
	return 0;
}

/* CMP leaves CF and SF, which the store must not lose. */
GUEST(stores, 64,
        "mov $5, %eax\n\t"
        "cmp $7, %rax\n\t"
        "lea 1(%rbx), %rbx\n\t"
        "mov %rbx, (%rdi)\n\t"
        "hlt\n\t");
#define STORE (CODE + 13)

static void start(struct bench *b, uint64_t rdi)
{
	struct kvm_regs regs = bench_regs(b);

	regs.rip = CODE;
	regs.rbx = 41;
	regs.rdi = rdi;
	regs.rflags = 2;
	cpu_set_regs(b->cpu, &regs);
}

static void test_jit_store_to_missing_memory_is_given_up_exactly(void **state)
{
	struct bench *b = *state;
	struct kvm_regs regs;
	uint64_t before;

	bench_long(b, stores, stores_end, 0);
	start(b, MISSING + 8);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT); /* the page is in the TLB now */
	assert_int_equal(bench_get(b, MISSING + 8), 42);
	start(b, MISSING + 16);
	before = cpu_icount(b->cpu);
	assert_int_equal(mprotect(b->ram + MISSING, PAGE, PROT_NONE), 0);
	assert_int_equal(bench_run(b), CPU_EXIT_MISSING);
	assert_int_equal(mprotect(b->ram + MISSING, PAGE, PROT_READ | PROT_WRITE), 0);
	regs = bench_regs(b);
	assert_int_equal(regs.rip, STORE);
	assert_int_equal(regs.rax, 5);
	assert_int_equal(regs.rbx, 42);
	assert_int_equal(regs.rflags & 0x8d5, 0x91); /* CF, AF, SF */
	assert_int_equal(cpu_icount(b->cpu) - before, 3);
	assert_int_equal(bench_get(b, MISSING + 16), 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_get(b, MISSING + 16), 42);
}

GUEST(forever, 64,
        "1: inc %rax\n\t"
        "jmp 1b\n\t");

static void test_jit_deadline_ends_a_loop_of_translated_blocks(void **state)
{
	struct bench *b = *state;

	bench_long(b, forever, forever_end, 0);
	assert_int_equal(cpu_run(b->cpu, cpu_icount(b->cpu) + 1000), CPU_EXIT_DEADLINE);
	assert_int_equal(bench_regs(b).rax, 500);
	assert_int_equal(bench_regs(b).rip, CODE);
	cpu_post(b->cpu, CPU_PENDING_STOP);
	assert_int_equal(cpu_run(b->cpu, UINT64_MAX), CPU_EXIT_STOPPED);
	assert_int_equal(bench_regs(b).rax, 500);
}

/* The store is the last of the 32 operations of its block; in one turn it meets the immediate of the ADD. */
GUEST(changes, 64,
        "mov $20, %ecx\n\t"
        "mov $0x60000, %edx\n\t"
        "lea 2f + 2(%rip), %rbx\n\t"
        "1: cmp $10, %ecx\n\t"
        "mov %rdx, %rdi\n\t"
        "cmove %rbx, %rdi\n\t"
        ".rept 28\n\t"
        "nop\n\t"
        ".endr\n\t"
        "movb $100, (%rdi)\n\t"
        "2: add $1, %eax\n\t"
        "dec %ecx\n\t"
        "jnz 1b\n\t"
        "hlt\n\t");

static void test_jit_jump_to_a_block_that_was_written_finds_the_new_one(void **state)
{
	struct bench *b = *state;

	bench_long(b, changes, changes_end, 0);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 10 + 10 * 100);
}

#define OLD 0x50000u
#define NEW 0x52000u

/* The function's page is another one behind the 11th call of 20; the entry of the page table is at b280. */
GUEST(remaps, 64,
        "mov $20, %ecx\n\t"
        "mov $0x50000, %esi\n\t"
        "1: call *%rsi\n\t"
        "cmp $10, %ecx\n\t"
        "jne 2f\n\t"
        "movq $0x52007, 0xb280\n\t"
        "invlpg (%rsi)\n\t"
        "2: dec %ecx\n\t"
        "jnz 1b\n\t"
        "hlt\n\t");

static void test_jit_call_of_a_page_that_was_remapped_finds_the_other_page(void **state)
{
	struct bench *b = *state;

	bench_long(b, remaps, remaps_end, 0);
	bench_put(b, OLD, 0xc301c083); /* add $1, %eax; ret */
	bench_put(b, NEW, 0xc302c083);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rax, 11 + 9 * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_jit_store_to_missing_memory_is_given_up_exactly, setup, bench_teardown),
	        cmocka_unit_test_setup_teardown(
	                test_jit_deadline_ends_a_loop_of_translated_blocks, setup, bench_teardown),
	        cmocka_unit_test_setup_teardown(
	                test_jit_jump_to_a_block_that_was_written_finds_the_new_one, setup, bench_teardown),
	        cmocka_unit_test_setup_teardown(
	                test_jit_call_of_a_page_that_was_remapped_finds_the_other_page, setup,
	                bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
