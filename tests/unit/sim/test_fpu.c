/* SPDX-License-Identifier: Apache-2.0 */
/* Overflow and underflow that are not masked: what is stored, what stays, which exception comes when. */
#include "cpu_bench.h"

#define CONTROL 0x50000u
#define A       0x50010u
#define B       0x50020u
#define RESULT  0x50030u

#define FSW_OE  0x0008u
#define FSW_UE  0x0010u
#define FSW_ES  0x8080u
#define FSW_TOP 0x3800u

#define ONE    0x3fffu /* exponents of 80 bits */
#define ADJUST 24576u

/* 2 to the power of (exponent - ONE) */
static void put_power(struct bench *b, uint32_t at, uint32_t exponent)
{
	bench_put(b, at, UINT64_C(1) << 63);
	bench_put(b, at + 8, exponent);
}

static void assert_power(const struct bench *b, uint32_t at, uint32_t exponent)
{
	assert_int_equal(bench_get(b, at), UINT64_C(1) << 63);
	assert_int_equal(bench_get(b, at + 8) & 0xffff, exponent);
}

/* ---- x87 ---- */

#define X87_GUEST(name, insn) \
	GUEST(name, 64, \
	        "fldcw 0x50000; fldt 0x50020; fldt 0x50010; " insn \
	        "; fnstsw %ax; fnclex; fstpt 0x50030; mov %eax, %ebx; fnstsw %ax; hlt")
X87_GUEST(multiply_guest, "fmulp");
X87_GUEST(logarithm_guest, "fyl2x");

static void test_fpu_register_takes_a_result_of_adjusted_exponent(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		uint32_t a, b, result;
		uint16_t status;
	} cases[] = {
	        {multiply_guest, multiply_guest_end, 0x7ffe, ONE + 2, 0x7ffe + 2 - ADJUST, FSW_OE},
	        {multiply_guest, multiply_guest_end, 1, ONE - 2, 1 - 2 + ADJUST, FSW_UE},
	        {logarithm_guest, logarithm_guest_end, ONE + 4, 0x7ffe, 0x7ffe + 2 - ADJUST, FSW_OE},
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = *state;

		bench_long(b, cases[i].code, cases[i].end, 0);
		b->cpu->x87 = (struct cpu_x87){0};
		bench_put(b, CONTROL, 0x37f & ~(FSW_OE | FSW_UE));
		put_power(b, A, cases[i].a);
		put_power(b, B, cases[i].b);
		assert_int_equal(bench_run(b), CPU_EXIT_HLT);
		assert_power(b, RESULT, cases[i].result);
		assert_int_equal(bench_regs(b).rbx & (FSW_OE | FSW_UE | FSW_ES | FSW_TOP),
		        cases[i].status | FSW_ES | 7 << 11);
		assert_int_equal(bench_regs(b).rax & (0xffu | FSW_TOP), 0); /* nothing is left on the stack */
	}
}

GUEST(store_guest, 64, "fldcw 0x50000; fldt 0x50010; fstpl 0x50030; nop; fwait; hlt");

static void test_fpu_memory_takes_nothing_and_the_next_instruction_traps(void **state)
{
	struct bench *b = *state;

	bench_long(b, store_guest, store_guest_end, 0);
	b->cpu->x87 = (struct cpu_x87){0};
	bench_put(b, CONTROL, 0x37f & ~FSW_OE);
	put_power(b, A, 0x7ffe);
	bench_put(b, RESULT, 0x1234);
	assert_int_equal(bench_vector(b), 16);
	assert_int_equal(bench_get(b, (uint32_t)bench_regs(b).rsp),
	        CODE + (uint64_t)(store_guest_end - store_guest) - 2);
	assert_int_equal(bench_get(b, RESULT), 0x1234);
	assert_int_equal(b->cpu->x87.fsw & (FSW_OE | FSW_UE | FSW_ES | FSW_TOP), FSW_OE | FSW_ES | 7 << 11);
}

/* ---- SSE ---- */

GUEST(packed_guest, 64, "ldmxcsr 0x50000; movaps 0x50010, %xmm0; mulps 0x50020, %xmm0; hlt");

/* The third lane alone; its result, of which nothing is lost, is too small or too large. */
static void test_fpu_packed_result_that_traps_leaves_the_register(void **state)
{
	static const struct {
		uint64_t a, b; /* of the upper two lanes */
		uint32_t mxcsr, flags, cr4;
		int vector; /* -1: none */
	} cases[] = {
	        {0x3f80000000800000, 0x3f8000003f000000, 0x1f80 & ~0x800u, 0x10, 0, 19},
	        {0x3f80000000800000, 0x3f8000003f000000, 0x1f80 & ~0x800u, 0x10, 0x400, 6},
	        {0x3f80000000800000, 0x3f8000003f000000, 0x1f80, 0, 0, -1},
	        {0x3f8000007f000000, 0x3f80000040000000, 0x1f80 & ~0x400u, 0x08, 0, 19},
	        {0x3f8000007f000000, 0x3f80000040000000, 0x1f80 & ~0x800u, 0x28, 0, -1},
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = *state;
		struct kvm_sregs sregs;

		bench_long(b, packed_guest, packed_guest_end, 0);
		cpu_get_sregs(b->cpu, &sregs);
		sregs.cr4 &= ~(uint64_t)cases[i].cr4;
		assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
		bench_put(b, CONTROL, cases[i].mxcsr);
		for (uint32_t at = A; at <= B; at += B - A)
			bench_put(b, at, 0x3f8000003f800000);
		bench_put(b, A + 8, cases[i].a);
		bench_put(b, B + 8, cases[i].b);
		assert_int_equal(bench_vector(b), cases[i].vector);
		assert_int_equal(b->cpu->mxcsr, cases[i].mxcsr | cases[i].flags);
		assert_int_equal(load_le(b->cpu->xmm[0] + 8, 8) == cases[i].a, cases[i].vector >= 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_fpu_register_takes_a_result_of_adjusted_exponent),
	        TEST(test_fpu_memory_takes_nothing_and_the_next_instruction_traps),
	        TEST(test_fpu_packed_result_that_traps_leaves_the_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
