/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the generated cases: locked accesses stay within a cache line where the test asks for it. The data
 * shows where an instruction wrote.
 */
#include "diff.h"
#include "support/test.h"

#define CASES 20000

static bool splits_line(const uint8_t before[DIFF_DATA_BYTES], const uint8_t after[DIFF_DATA_BYTES])
{
	unsigned first = 0, last = DIFF_DATA_BYTES - 1;

	while (first < DIFF_DATA_BYTES && before[first] == after[first])
		first++;
	while (last > first && before[last] == after[last])
		last--;
	return first < DIFF_DATA_BYTES && first / 64 != last / 64;
}

/* How many cases of the form wrote to two cache lines at once with LOCK, or XCHG. */
static unsigned splits(const char *form, uint32_t features)
{
	static uint8_t before[DIFF_DATA_BYTES], after[DIFF_DATA_BYTES];
	struct diff_random random = {.state = 1};
	struct diff_soft *soft = diff_soft_start(false);
	struct diff_result result;
	struct diff_case c;
	unsigned count = 0;

	memset(before, 0xa5, sizeof(before));
	for (unsigned i = 0; i < CASES; i++) {
		diff_generate(&random, features, form, &c);
		if (c.code[0] != 0xf0 && strcmp(form, "87 /r") != 0)
			continue;
		memcpy(after, before, sizeof(after));
		diff_soft_run(soft, &c, 1, after, &result);
		count += splits_line(before, after);
	}
	diff_soft_stop(soft);
	return count;
}

static void test_diff_locked_access_stays_in_a_line_unless_allowed(void **state)
{
	static const char *const forms[] = {"87 /r", "01 /r", "0f ab /r", "0f c1 /r", "0f c7 /1", "ff /0"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		assert_int_equal(splits(forms[i], DIFF_MODE32), 0);
		if (i < 2)
			assert_int_not_equal(splits(forms[i], DIFF_MODE32 | DIFF_SPLIT_LOCK), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_diff_locked_access_stays_in_a_line_unless_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
