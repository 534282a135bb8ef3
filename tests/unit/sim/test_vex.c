/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the software processor decodes VEX where tests/diff cannot compare: in the modes that the host's
 * processor may not have for programs, and without the features.
 */
#include "cpu/decode.h"
#include "cpu/vex.h"
#include "support/test.h"

#define PROTECTED_32 (MODE_PE | MODE_CS32 | MODE_SS32)
#define LONG_64      (MODE_PE | MODE_LONG | MODE_64)

static cpu_op_fn *decoded(uint32_t mode, uint64_t features, const char *code, struct cpu_op *ret_op)
{
	const struct cpu cpu = {.mode = mode, .features = features};
	uint8_t bytes[15] = {0};
	bool end;

	memcpy(bytes, code, strlen(code));
	assert_int_not_equal(cpu_decode(&cpu, bytes, sizeof(bytes), 0, ret_op, &end), 0);
	return ret_op->fn;
}

static void test_vex_is_of_protected_mode_alone(void **state)
{
	static const char andn[] = "\xc4\xe2\x60\xf2\xc1", les[] = "\xc4\x42\x60\xf2\xc1";
	struct cpu_op op;

	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, andn, &op), op_andn);
	assert_ptr_equal(decoded(PROTECTED_32, UINT64_MAX, andn, &op), op_andn);
	assert_int_equal(op.len, 5);
	assert_ptr_equal(decoded(0, UINT64_MAX, andn, &op), op_invalid);
	assert_ptr_equal(decoded(MODE_PE | MODE_VM, UINT64_MAX, andn, &op), op_invalid);
	/* The same first byte with a memory operand is LES, where there is LES. */
	assert_ptr_not_equal(decoded(PROTECTED_32, UINT64_MAX, les, &op), op_andn);
	assert_ptr_not_equal(op.fn, op_invalid);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, les, &op), op_andn);
}

static void test_vex_names_eight_registers_in_32_bits(void **state)
{
	static const char shlx[] = "\xc4\xe2\xa1\xf7\xc1"; /* W, vvvv 1011 inverted */
	struct cpu_op op;

	assert_ptr_equal(decoded(PROTECTED_32, UINT64_MAX, shlx, &op), op_shlx);
	assert_int_equal(op.size, 4);
	assert_int_equal(vex_reg(&op), 3);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, shlx, &op), op_shlx);
	assert_int_equal(op.size, 8);
	assert_int_equal(vex_reg(&op), 11);
}

static void test_vex_needs_its_feature(void **state)
{
	static const char andn[] = "\xc4\xe2\x60\xf2\xc1", bzhi[] = "\xc4\xe2\x60\xf5\xc1";
	struct cpu_op op;

	assert_ptr_equal(decoded(LONG_64, FEATURE_BMI2, andn, &op), op_invalid);
	assert_ptr_equal(decoded(LONG_64, FEATURE_BMI1, andn, &op), op_andn);
	assert_ptr_equal(decoded(LONG_64, FEATURE_BMI1, bzhi, &op), op_invalid);
	assert_ptr_equal(decoded(LONG_64, FEATURE_BMI2, bzhi, &op), op_bzhi);
}

static void test_vex_with_wrong_fields_or_prefixes_is_refused(void **state)
{
	static const char *const bad[] = {
	        "\xf0\xc4\xe2\x60\xf2\x01", /* LOCK */
	        "\x66\xc4\xe2\x60\xf2\xc1", /* 66 */
	        "\xf3\xc4\xe2\x60\xf2\xc1", /* F3 */
	        "\x48\xc4\xe2\x60\xf2\xc1", /* REX */
	        "\xc4\xe2\x64\xf2\xc1",     /* L */
	        "\xc4\xe3\x73\xf0\xc1\x01", /* RORX with vvvv */
	        "\xc4\xe4\x60\xf2\xc1",     /* a map that is none */
	};
	struct cpu_op op;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_ptr_equal(decoded(LONG_64, UINT64_MAX, bad[i], &op), op_invalid);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe3\x7b\xf0\xc1\x01", &op), op_rorx);
	assert_int_equal(vex_imm(&op), 1);
}

static void test_vex_may_name_a_register_unless_the_operand_is_memory(void **state)
{
	struct cpu_op op;

	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x62\x10\xc1", &op), op_vex_single);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x62\x10\x01", &op), op_invalid);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x7a\x10\x01", &op), op_vex_single);
	/* VMOVLPD is of memory alone, VMOVUPS has no second source. */
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x61\x12\x01", &op), op_vex_single);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x61\x12\xc1", &op), op_invalid);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x7c\x10\xc1", &op), op_vmovups_load);
	assert_ptr_equal(decoded(LONG_64, UINT64_MAX, "\xc4\xe1\x64\x10\xc1", &op), op_invalid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vex_is_of_protected_mode_alone),
	        cmocka_unit_test(test_vex_names_eight_registers_in_32_bits),
	        cmocka_unit_test(test_vex_needs_its_feature),
	        cmocka_unit_test(test_vex_with_wrong_fields_or_prefixes_is_refused),
	        cmocka_unit_test(test_vex_may_name_a_register_unless_the_operand_is_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
