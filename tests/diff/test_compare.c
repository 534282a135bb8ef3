/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the rules by which a host's processor may differ from the software one: what they excuse, and
 * where.
 */
#include "diff.h"
#include "support/test.h"

static const char *const amd[] = {"AuthenticAMD", NULL}, *const intel[] = {DIFF_INTEL, NULL},
                         *const wide[] = {"AuthenticAMD", DIFF_LA57, NULL};

struct difference {
	const char *form;
	uint8_t code[8], code_size;
	bool mode32;
	uint32_t native, soft; /* vectors */
	uint64_t cr2;          /* of native */
	unsigned parts;
	uint8_t status; /* of native's x87, its low byte */
};

static bool excused(const char *const *hosts, const struct difference *d)
{
	struct diff_case c = {.form = d->form, .code_size = d->code_size, .mode32 = d->mode32};
	struct diff_result n = {.vector = d->native, .cr2 = d->cr2}, s = {.vector = d->soft};

	c.start.gpr[1] = 1;
	memcpy(c.code, d->code, sizeof(d->code));
	n.end.fxsave[2] = d->status;
	return diff_excused(hosts, &c, &n, &s, d->parts);
}

static void test_diff_what_intel_defines_is_excused_there_alone(void **state)
{
	static const struct difference differences[] = {
	        {"f3 90", {0xf3, 0x41, 0x90}, 3, .native = 3, .soft = 3, .parts = PART_GPR},
	        {"f3 90", {0xf3, 0x67, 0x65, 0x4d, 0x90}, 5, .native = 3, .soft = 3, .parts = PART_GPR},
	        {"0f c8 +r", {0x66, 0x0f, 0xc8}, 3, .native = 3, .soft = 3, .parts = PART_GPR},
	        {"0f 07", {0x0f, 0x07}, 2, .mode32 = true, .native = 6, .soft = 13, .parts = PART_FAULT},
	        {"0f 22 /r", {0x0f, 0x22, 0xec}, 3, .native = 13, .soft = 6, .parts = PART_FAULT},
	        {"0f 01 /6", {0x0f, 0x01, 0x30}, 3, .native = 14, .soft = 13, .parts = PART_FAULT},
	        {"0f f7 /r", {0x65, 0x0f, 0xf7, 0xd6}, 4, true, 3, 13, .parts = PART_FAULT | PART_X87},
	        {"0f ae /1", {0x0f, 0xae, 0x09}, 3, .native = 13, .soft = 17, .parts = PART_FAULT},
	        {"d9 /6", {0x66, 0x48, 0xd9, 0x36}, 4, .native = 3, .soft = 3, .parts = PART_DATA},
	        {"df /r", {0xdf, 0xc1}, 2, .native = 3, .soft = 3, .parts = PART_X87},
	        {"0f 58 /r", {0x0f, 0x58, 0xc1}, 3, .native = 19, .soft = 19, .parts = PART_MXCSR},
	        {"dd /3", {0xdd, 0x18}, 2, .native = 3, .soft = 14, .parts = PART_FAULT | PART_X87,
	                .status = 0x81},
	};

	for (size_t i = 0; i < ARRAY_LEN(differences); i++) {
		if (!excused(intel, &differences[i]))
			fail_msg("%zu, %s: not excused", i, differences[i].form);
		if (excused(amd, &differences[i]))
			fail_msg("%zu, %s: excused on AMD's", i, differences[i].form);
	}
}

static void test_diff_what_no_rule_names_is_excused_nowhere(void **state)
{
	static const struct difference differences[] = {
	        {"f3 90", {0xf3, 0x90}, 2, .native = 3, .soft = 3, .parts = PART_GPR},
	        {"f3 90", {0xf3, 0x41, 0x90}, 3, .native = 3, .soft = 3, .parts = PART_GPR | PART_FLAGS},
	        {"0f c8 +r", {0x0f, 0xc8}, 2, .native = 3, .soft = 3, .parts = PART_GPR},
	        {"0f 07", {0x0f, 0x07}, 2, .native = 6, .soft = 13, .parts = PART_FAULT},
	        {"0f 22 /r", {0x0f, 0x22, 0xec}, 3, .native = 3, .soft = 6, .parts = PART_FAULT},
	        {"d9 /6", {0x66, 0xd9, 0x36}, 3, .native = 3, .soft = 3, .parts = PART_DATA},
	        {"df /r", {0xdf, 0xe0}, 2, .native = 3, .soft = 3, .parts = PART_X87},
	        {"0f 58 /r", {0x0f, 0x58, 0xc1}, 3, .native = 19, .soft = 19, .parts = PART_XMM},
	        {"dd /3", {0xdd, 0x18}, 2, .native = 3, .soft = 14, .parts = PART_FAULT | PART_X87},
	        {"dd /3", {0xdd, 0x18}, 2, .native = 14, .soft = 3, .parts = PART_FAULT, .status = 0x81},
	        {"dd /0", {0xdd, 0x00}, 2, .native = 3, .soft = 14, .parts = PART_FAULT, .status = 0x81},
	};

	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		if (excused(intel, &differences[i]))
			fail_msg("%zu, %s: excused", i, differences[i].form);
}

static void test_diff_order_of_two_operands_faults_is_left_to_each_processor(void **state)
{
	struct difference d = {
	        .form = "a7", .code = {0xa7}, .code_size = 1, .native = 14, .soft = 17, .parts = PART_FAULT};

	assert_true(excused(amd, &d));
	assert_true(excused(intel, &d));
	d.native = 3; /* one of them did not fault */
	assert_false(excused(amd, &d));
}

static void test_diff_what_two_rules_loosen_adds_up(void **state)
{
	struct difference d = {.form = "a6",
	        .code = {0xf3, 0xa6},
	        .code_size = 2,
	        .native = 14,
	        .soft = 14,
	        .parts = PART_FAULT | PART_FLAGS};

	assert_true(excused(intel, &d));
	assert_false(excused(amd, &d));
	d.parts = PART_FAULT;
	assert_true(excused(amd, &d));
}

static void test_diff_address_of_57_bits_is_canonical_with_five_levels(void **state)
{
	struct difference d = {.form = "ff /4",
	        .code = {0xff, 0xe0},
	        .code_size = 2,
	        .native = 14,
	        .soft = 13,
	        .cr2 = (uint64_t)1 << 50,
	        .parts = PART_FAULT | PART_GPR};

	assert_true(excused(wide, &d));
	assert_false(excused(amd, &d));
	d.cr2 = (uint64_t)1 << 40; /* of 48 bits */
	assert_false(excused(wide, &d));
	d.cr2 = (uint64_t)1 << 60; /* of more than 57 */
	assert_false(excused(wide, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_diff_what_intel_defines_is_excused_there_alone),
	        cmocka_unit_test(test_diff_what_no_rule_names_is_excused_nowhere),
	        cmocka_unit_test(test_diff_order_of_two_operands_faults_is_left_to_each_processor),
	        cmocka_unit_test(test_diff_what_two_rules_loosen_adds_up),
	        cmocka_unit_test(test_diff_address_of_57_bits_is_canonical_with_five_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
