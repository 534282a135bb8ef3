/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "support/test.h"

static void test_err_sys_says_text_and_name(void **state)
{
	struct err err;

	assert_int_equal(err_sys(&err, ERR_HOST, EACCES, "/dev/kvm: cannot be opened"), -1);
	assert_int_equal(err.kind, ERR_HOST);
	assert_int_equal(err.sys, EACCES);
	assert_string_equal(err.text, "/dev/kvm: cannot be opened: Permission denied (EACCES)");
}

static void test_err_wrap_keeps_facts_and_prepends(void **state)
{
	struct err err;

	err_sys(&err, ERR_FAILED, ENOMEM, "slot %d", 2);
	err_wrap(&err, "guest %s", "a");
	assert_int_equal(err.sys, ENOMEM);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_string_equal(err.text, "guest a: slot 2: Cannot allocate memory (ENOMEM)");
}

static void test_err_long_text_is_cut_not_overrun(void **state)
{
	struct err err;
	char text[2 * sizeof(err.text)];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_FAILED, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_wrap(&err, "front");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "front: xxx", 10);
}

/* A path may be longer than the text: what failed and why are at the ends. */
static void test_err_long_value_hides_no_reason(void **state)
{
	char path[5000];
	struct err err;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	err_sys(&err, ERR_USAGE, ENOENT, "%s: cannot be opened", path);
	err_wrap(&err, "boot.kernel");
	assert_memory_equal(err.text, "boot.kernel: ppp", 16);
	assert_non_null(strstr(err.text, "ppp: cannot be opened: No such file or directory (ENOENT)"));
	assert_true(strlen(err.text) < sizeof(err.text));
}

static void test_err_null_and_unknown_number_are_taken(void **state)
{
	assert_int_equal(err_set(NULL, ERR_FAILED, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
	assert_string_equal(err_sys_name(4095), "errno 4095");
	assert_string_equal(err_sys_name(ENOENT), "ENOENT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_err_sys_says_text_and_name),
	        cmocka_unit_test(test_err_wrap_keeps_facts_and_prepends),
	        cmocka_unit_test(test_err_long_text_is_cut_not_overrun),
	        cmocka_unit_test(test_err_long_value_hides_no_reason),
	        cmocka_unit_test(test_err_null_and_unknown_number_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
