/* SPDX-License-Identifier: Apache-2.0 */
/* XSAVE and its kin with the state of AVX, which CPUID offers here by the test's own word. */
#include "cpu_bench.h"

#define CR4_OSXSAVE 0x40000u
#define AREA        0x7000u
#define AREA_XCOMP  (AREA + 520)
#define AREA_YMM    (AREA + 576)

static void set_avx(struct bench *b, bool there)
{
	struct kvm_cpuid_entry2 entries[64];
	uint32_t count = ARRAY_LEN(entries);
	struct err err;

	cpu_supported_cpuid(entries, &count);
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function == 1)
			entries[i].ecx = (entries[i].ecx & ~(1u << 28)) | (uint32_t)there << 28;
	assert_ok(cpu_set_cpuid(b->cpu, entries, count, &err));
}

static void start(struct bench *b, const uint8_t *code, const uint8_t *end)
{
	struct kvm_sregs s;

	bench_long(b, code, end, 0);
	cpu_get_sregs(b->cpu, &s);
	s.cr4 |= CR4_OSXSAVE;
	assert_int_equal(cpu_set_sregs(b->cpu, &s), 0);
}

/* Bytes that are different in each register. */
static void fill(struct bench *b, uint8_t first)
{
	uint8_t high[CPU_YMM_BYTES];

	for (unsigned i = 0; i < sizeof(high); i++)
		high[i] = (uint8_t)(first + i);
	cpu_set_ymm(b->cpu, high);
}

static void assert_filled(const uint8_t *high, uint8_t first)
{
	for (unsigned i = 0; i < CPU_YMM_BYTES; i++)
		assert_int_equal(high[i], (uint8_t)(first + i));
}

#define XCR0(value) "xor %ecx, %ecx; xor %edx, %edx; mov $" #value ", %eax; xsetbv; mov $0x7000, %edi;"
GUEST(save_guest, 64, XCR0(7) "xsave (%rdi); hlt; xrstor (%rdi); hlt");
GUEST(compact_guest, 64, XCR0(7) "xsavec (%rdi); hlt; xrstor (%rdi); hlt");
GUEST(without_guest, 64, XCR0(3) "xsave (%rdi); hlt; mov $7, %eax; xrstor (%rdi); hlt");
GUEST(alone_guest, 64, XCR0(5) "hlt");
GUEST(size_guest, 64, XCR0(7) "mov $0xd, %eax; xor %ecx, %ecx; cpuid; hlt");

static void saved_and_restored(struct bench *b, const uint8_t *code, const uint8_t *end)
{
	uint8_t high[CPU_YMM_BYTES];

	set_avx(b, true);
	start(b, code, end);
	fill(b, 3);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(b->ram[AREA + 512], 7);
	assert_filled(b->ram + AREA_YMM, 3);
	fill(b, 100);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	cpu_get_ymm(b->cpu, high);
	assert_filled(high, 3);
}

static void test_xsave_has_the_upper_halves(void **state)
{
	saved_and_restored(*state, save_guest, save_guest_end);
}

static void test_xsavec_names_the_upper_halves(void **state)
{
	struct bench *b = *state;

	saved_and_restored(b, compact_guest, compact_guest_end);
	assert_true(bench_get(b, AREA_XCOMP) == ((uint64_t)1 << 63 | 7));
}

static void test_xrstor_clears_upper_halves_that_the_area_lacks(void **state)
{
	struct bench *b = *state;
	uint8_t high[CPU_YMM_BYTES], zero[CPU_YMM_BYTES] = {0};

	set_avx(b, true);
	start(b, save_guest, save_guest_end);
	fill(b, 3);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	b->ram[AREA + 512] = 3;
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	cpu_get_ymm(b->cpu, high);
	assert_memory_equal(high, zero, sizeof(high));
}

static void test_xsave_leaves_upper_halves_that_are_off(void **state)
{
	struct bench *b = *state;
	uint8_t high[CPU_YMM_BYTES];

	set_avx(b, true);
	start(b, without_guest, without_guest_end);
	fill(b, 3);
	b->ram[AREA_YMM + 1] = 0x55;
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(b->ram[AREA + 512], 3);
	assert_int_equal(b->ram[AREA_YMM], 0);
	assert_int_equal(b->ram[AREA_YMM + 1], 0x55);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	cpu_get_ymm(b->cpu, high);
	assert_filled(high, 3);
}

static void test_xsetbv_takes_avx_with_sse_and_cpuid_alone(void **state)
{
	struct bench *b = *state;

	set_avx(b, true);
	start(b, alone_guest, alone_guest_end);
	assert_int_equal(bench_vector(b), 13);
	set_avx(b, false);
	start(b, save_guest, save_guest_end);
	assert_int_equal(bench_vector(b), 13);
}

static void test_cpuid_tells_the_size_for_xcr0(void **state)
{
	struct bench *b = *state;

	set_avx(b, true);
	start(b, size_guest, size_guest_end);
	assert_int_equal(bench_run(b), CPU_EXIT_HLT);
	assert_int_equal(bench_regs(b).rbx, 0x340);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_xsave_has_the_upper_halves),
	        TEST(test_xsavec_names_the_upper_halves),
	        TEST(test_xrstor_clears_upper_halves_that_the_area_lacks),
	        TEST(test_xsave_leaves_upper_halves_that_are_off),
	        TEST(test_xsetbv_takes_avx_with_sse_and_cpuid_alone),
	        TEST(test_cpuid_tells_the_size_for_xcr0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
