/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that are posted to the loop, on both of its back ends. */
#include <pthread.h>

#include "../../../src/loop/backend.h"
#include "support/loop_run.h"

static const struct loop_backend *backend;
static struct loop *loop;
static struct err err;

static int setup(void **state)
{
	return loop_create_with(backend, &loop, &err);
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	return 0;
}

#define POSTS 1000

static _Atomic unsigned posted_runs;
static struct loop_task task;

static void on_posted(void *ctx)
{
	if (++posted_runs == POSTS)
		loop_stop(loop);
}

static void *post_one_by_one(void *ctx)
{
	for (unsigned i = 0; i < POSTS; i++) {
		while (posted_runs < i)
			;
		loop_post(loop, &task);
	}
	return NULL;
}

static void test_loop_post_from_a_thread_arrives_each_time(void **state)
{
	pthread_t thread;

	posted_runs = 0;
	task = (struct loop_task){.fn = on_posted};
	assert_int_equal(pthread_create(&thread, NULL, post_one_by_one, NULL), 0);
	assert_ok(loop_run(loop, &err));
	pthread_join(thread, NULL);
	assert_int_equal(posted_runs, POSTS);
}

static void test_loop_post_of_what_waits_is_one_call(void **state)
{
	posted_runs = 0;
	task = (struct loop_task){.fn = on_posted};
	for (int i = 0; i < 100; i++)
		loop_post(loop, &task);
	loop_run_for(loop, 20);
	assert_int_equal(posted_runs, 1);
}

static struct loop_task tasks[4];
static char called[8];

/* Notes its number; the first one also takes the second and the last one back. */
static void on_noted(void *ctx)
{
	struct loop_task *self = ctx;

	called[strlen(called)] = (char)('0' + (self - tasks));
	if (self == &tasks[0]) {
		loop_cancel(loop, &tasks[1]);
		loop_cancel(loop, &tasks[3]);
	}
}

static void post_noted(unsigned i)
{
	tasks[i].fn = on_noted;
	tasks[i].ctx = &tasks[i];
	loop_post(loop, &tasks[i]);
}

static void test_loop_cancelled_task_is_not_called(void **state)
{
	memset(called, 0, sizeof(called));
	post_noted(1);
	post_noted(2);
	loop_cancel(loop, &tasks[2]);
	loop_cancel(loop, &tasks[2]); /* it does not wait any more */
	post_noted(3);
	loop_run_for(loop, 20);
	assert_string_equal(called, "13");
	/* Tasks that were taken from the list to be called can be taken back, too. */
	for (unsigned i = 0; i < 4; i++)
		post_noted(i);
	loop_run_for(loop, 20);
	assert_string_equal(called, "1302");
	post_noted(1);
	loop_cancel(loop, &tasks[1]);
	post_noted(1);
	loop_run_for(loop, 20);
	assert_string_equal(called, "13021");
}

static int run_on(const struct loop_backend *with)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                test_loop_post_from_a_thread_arrives_each_time, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_loop_post_of_what_waits_is_one_call, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_loop_cancelled_task_is_not_called, setup, teardown),
	};

	backend = with;
	if (loop_create_with(with, &loop, &err) < 0) {
		print_message("# not on %s: %s\n", with->name, err.text);
		return 0;
	}
	loop_destroy(take_ptr(&loop));
	return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}

int main(void)
{
	return run_on(&loop_uring) + run_on(&loop_poll);
}
