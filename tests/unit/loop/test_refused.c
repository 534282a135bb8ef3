/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where io_uring is refused the loop takes poll(2). Each case is a child of its own: a filter stays for good.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../../src/loop/backend.h"
#include "support/container.h"
#include "support/test.h"

enum { ON_URING, ON_POLL, NO_LOOP, NO_FILTER };

static void on_time_stop(void *ctx)
{
	loop_stop(ctx);
}

/* Returns which back end serves, and checks it by a timer that really comes. */
static int serve(void)
{
	struct loop_op *timer;
	struct loop *loop;
	struct err err;
	int result;

	if (loop_create(&loop, &err) < 0)
		return NO_LOOP;
	result = loop->backend == &loop_poll ? ON_POLL : ON_URING;
	if (loop_timer_start(loop, 1000000, on_time_stop, loop, &timer, &err) < 0 || loop_run(loop, &err) < 0)
		result = NO_LOOP;
	loop_destroy(loop);
	return result;
}

static int in_child(int (*fn)(int arg), int arg)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(fn(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int refused_with(int sys)
{
	return container_enter(sys) < 0 ? NO_FILTER : serve();
}

static void test_loop_without_io_uring_takes_poll(void **state)
{
	static const int reasons[] = {EPERM, ENOSYS, ENOMEM, EACCES, EINVAL};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		int result = in_child(refused_with, reasons[i]);

		if (result == NO_FILTER) {
			print_message("skipped: no seccomp filter can be set here\n");
			skip();
		}
		assert_int_equal(result, ON_POLL);
	}
}

#define NOBODY 65534

/*
 * The kernel may count a ring as locked memory. The limit does not bind a process that may lock any amount.
 */
static int no_locked_memory(int arg)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(NOBODY) < 0))
		return NO_FILTER;
	return serve();
}

static void test_loop_without_locked_memory_runs(void **state)
{
	int result = in_child(no_locked_memory, 0);

	assert_in_range(result, ON_URING, ON_POLL);
	print_message("# without locked memory the loop is on %s\n", result == ON_POLL ? "poll" : "io_uring");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_loop_without_io_uring_takes_poll),
	        cmocka_unit_test(test_loop_without_locked_memory_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
