/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of errors that are caused by limits; they are complete whatever text stands in front. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "support/test.h"

/*
 * The text names both limits of threads, though the user's does not bind root, and the cgroup's cannot be
 * seen here.
 */
static void test_limit_of_threads_names_the_user_and_the_cgroup(void **state)
{
	struct err err;

	err_sys(&err, ERR_FAILED, EAGAIN, "the thread of vCPU 3");
	limit_explain_thread(&err);
	assert_int_equal(err.kind, ERR_HOST);
	assert_int_equal(err.sys, EAGAIN);
	assert_non_null(strstr(err.text, "the thread of vCPU 3: "));
	assert_non_null(strstr(err.text, "ulimit -u, RLIMIT_NPROC"));
	assert_non_null(strstr(err.text, "pids.max"));
	assert_non_null(strstr(err.text, "LimitNPROC=, TasksMax="));
}

static void test_limit_of_threads_is_not_behind_other_errors(void **state)
{
	struct err err;

	err_sys(&err, ERR_FAILED, EPERM, "the thread of vCPU 3");
	limit_explain_thread(&err);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_null(strstr(err.text, "ulimit"));
}

/* If a long path takes all of the text, its middle is cut and the remedy stays. */
static void test_limit_remedy_survives_a_long_text(void **state)
{
	const struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	char path[5000];
	struct err err;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	err_sys(&err, ERR_USAGE, EMFILE, "%s: cannot be opened", path);
	limit_explain(&err);
	assert_int_equal(err.kind, ERR_HOST);
	assert_non_null(
	        strstr(err.text, "RLIMIT_NOFILE is 64; raise it (ulimit -n, LimitNOFILE= of a service)"));
	assert_non_null(strstr(err.text, "(EMFILE)"));
	assert_true(strlen(err.text) < sizeof(err.text));

	err_sys(&err, ERR_FAILED, EAGAIN, "%s", path);
	limit_explain_thread(&err);
	assert_non_null(strstr(err.text, "pids.max"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_limit_of_threads_names_the_user_and_the_cgroup),
	        cmocka_unit_test(test_limit_of_threads_is_not_behind_other_errors),
	        cmocka_unit_test(test_limit_remedy_survives_a_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
