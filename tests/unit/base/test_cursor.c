/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void test_cursor_reads_little_endian_in_order(void **state)
{
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16(&c), 0x0302);
	assert_int_equal(cursor_u32(&c), 0x07060504);
	assert_int_equal(cursor_u64(&c), 0x0f0e0d0c0b0a0908);
	assert_false(c.bad);
	assert_int_equal(c.left, 0);
}

static void test_cursor_past_end_is_bad_for_good(void **state)
{
	struct cursor c = cursor_over(bytes, 3);
	uint8_t copy[4] = {9, 9, 9, 9};

	assert_int_equal(cursor_u32(&c), 0);
	assert_true(c.bad);
	assert_int_equal(cursor_u8(&c), 0);
	cursor_copy(&c, copy, sizeof(copy));
	assert_memory_equal(copy, ((uint8_t[4]){0}), 4);
	assert_null(cursor_take(&c, 0));
}

static void test_cursor_empty_take_is_no_error(void **state)
{
	struct cursor c = cursor_over(bytes, 0);

	assert_non_null(cursor_take(&c, 0));
	assert_false(c.bad);
}

static void test_arithmetic_edges(void **state)
{
	uint64_t sum;

	assert_true(range_fits(4096, 0, 4096));
	assert_false(range_fits(4097, 0, 4096));
	assert_false(range_fits(1, UINT64_MAX, UINT64_MAX));
	assert_true(range_fits(1, UINT64_MAX - 1, UINT64_MAX));
	assert_true(add_ok(UINT64_MAX, (uint64_t)0, &sum));
	assert_false(add_ok(UINT64_MAX, (uint64_t)1, &sum));
	assert_true(is_aligned(0, 4096));
	assert_false(is_aligned(4095, 4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_cursor_reads_little_endian_in_order),
	        cmocka_unit_test(test_cursor_past_end_is_bad_for_good),
	        cmocka_unit_test(test_cursor_empty_take_is_no_error),
	        cmocka_unit_test(test_arithmetic_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
