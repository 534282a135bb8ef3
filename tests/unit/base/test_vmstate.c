/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "support/test.h"
#include "vmm/base/vmstate.h"

struct part {
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;
	bool e;
	unsigned count;
	char text[5];
};

static void visit(struct vmstate *s, struct part *part)
{
	vmstate_same(s, "version", 1);
	vmstate_u8(s, "a", &part->a, 0x0f);
	vmstate_u16(s, "b", &part->b, UINT16_MAX);
	vmstate_u32(s, "c", &part->c, UINT32_MAX);
	vmstate_u64(s, "d", &part->d, UINT64_MAX);
	vmstate_bool(s, "e", &part->e);
	vmstate_count(s, "count", &part->count, 7);
	vmstate_bytes(s, "text", part->text, sizeof(part->text));
}

static const struct part example = {0x0a, 0x1234, 0xdeadbeef, 0x0123456789abcdef, true, 7, "four"};
#define EXAMPLE_BYTES (8 + 1 + 2 + 4 + 8 + 1 + 4 + 5)

static struct vmstate saved(void)
{
	struct vmstate s = vmstate_save("part");
	struct part part = example;

	visit(&s, &part);
	assert_int_equal(vmstate_end(&s, NULL), 0);
	assert_int_equal(s.size, EXAMPLE_BYTES);
	return s;
}

static int load(const void *data, size_t size, struct part *ret_part, struct err *err)
{
	struct vmstate s = vmstate_load("part", data, size);

	visit(&s, ret_part);
	return vmstate_end(&s, err);
}

static void test_what_was_saved_is_loaded(void **state)
{
	struct vmstate s = saved();
	struct part part = {0};
	struct err err;

	assert_int_equal(s.data[9], 0x34);
	assert_int_equal(load(s.data, s.size, &part, &err), 0);
	assert_int_equal(part.a, example.a);
	assert_int_equal(part.b, example.b);
	assert_int_equal(part.c, example.c);
	assert_true(part.d == example.d);
	assert_true(part.e);
	assert_int_equal(part.count, 7);
	assert_string_equal(part.text, "four");
	vmstate_finish(&s);
}

static void test_every_missing_byte_is_told(void **state)
{
	struct vmstate s = saved();

	for (size_t size = 0; size < s.size; size++) {
		struct part part;
		struct err err;

		assert_int_equal(load(s.data, size, &part, &err), -1);
		assert_non_null(strstr(err.text, "state of the part: it ends before "));
	}
	vmstate_finish(&s);
}

static void test_impossible_values_are_told(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		const char *text;
	} rows[] = {
	        {0, 2, "state of the part: version is 2 there and 1 here"},
	        {8, 0x1a, "state of the part: a is 0x1a, and only bits of 0xf are possible"},
	        {23, 2, "state of the part: e is 0x2, and only bits of 0x1 are possible"},
	        {24, 8, "state of the part: count is 8, and at most 7 is possible"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vmstate s = saved();
		struct part part;
		struct err err;

		s.data[rows[i].at] = rows[i].byte;
		assert_int_equal(load(s.data, s.size, &part, &err), -1);
		assert_string_equal(err.text, rows[i].text);
		assert_int_equal(err.kind, ERR_FAILED);
		vmstate_finish(&s);
	}
}

static void test_bytes_that_are_left_are_told(void **state)
{
	uint8_t longer[EXAMPLE_BYTES + 2] = {0};
	struct vmstate s = saved();
	struct part part;
	struct err err;

	memcpy(longer, s.data, s.size);
	assert_int_equal(load(longer, sizeof(longer), &part, &err), -1);
	assert_string_equal(err.text, "state of the part: 2 bytes are left over");
	vmstate_finish(&s);
}

static void test_a_part_is_bounded(void **state)
{
	struct vmstate s = vmstate_save("part");
	struct err err;
	static uint8_t block[MIB(1)];

	for (int i = 0; i < 17; i++)
		vmstate_bytes(&s, "block", block, sizeof(block));
	assert_int_equal(vmstate_end(&s, &err), -1);
	assert_int_equal(s.size, VMSTATE_MAX_BYTES);
	vmstate_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_what_was_saved_is_loaded),
	        cmocka_unit_test(test_every_missing_byte_is_told),
	        cmocka_unit_test(test_impossible_values_are_told),
	        cmocka_unit_test(test_bytes_that_are_left_are_told),
	        cmocka_unit_test(test_a_part_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
