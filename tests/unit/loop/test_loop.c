#include <poll.h>
#include <pthread.h>

#include "support/test.h"
#include "vmm/loop.h"

static struct loop *loop;
static struct loop_op *op;
static struct err err;
static unsigned count;
static int ends[2];

static int setup(void **state)
{
	count = 0;
	op = NULL;
	return pipe(ends) || loop_create(&loop, &err);
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void on_time_stop(void *ctx)
{
	loop_stop(loop);
}

/* Runs the loop for a while, so that what should not happen has time to. */
static void run_for(unsigned ms)
{
	struct loop_op *timer;

	assert_ok(loop_timer_start(loop, ms * 1000000ull, on_time_stop, NULL, &timer, &err));
	assert_ok(loop_run(loop, &err));
}

static void on_ready_read(void *ctx, int events)
{
	char byte;

	assert_true(events & POLLIN);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	if (++count == 3)
		loop_stop(loop);
}

static void test_loop_watch_calls_again_until_drained(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_read, NULL, &op, &err));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 3);
}

static void on_ready_stop_watching(void *ctx, int events)
{
	count++;
	loop_op_stop(op);
}

static void test_loop_watch_stopped_by_its_callback_is_silent(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_stop_watching, NULL, &op, &err));
	assert_int_equal(write(ends[1], "abc", 3), 3);
	run_for(20);
	assert_int_equal(count, 1);
}

static void test_loop_watch_stopped_before_is_silent(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_ready_stop_watching, NULL, &op, &err));
	loop_op_stop(op);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	run_for(20);
	assert_int_equal(count, 0);
}

static void on_hangup(void *ctx, int events)
{
	count = (unsigned)events;
	loop_op_stop(op);
	loop_stop(loop);
}

static void test_loop_watch_tells_a_hangup(void **state)
{
	assert_ok(loop_watch_start(loop, ends[0], POLLIN, on_hangup, NULL, &op, &err));
	close(ends[1]);
	ends[1] = -1;
	assert_ok(loop_run(loop, &err));
	assert_true(count & POLLHUP);
}

static void on_time_count(void *ctx)
{
	count++;
}

static void test_loop_timer_fires_once_and_not_when_stopped(void **state)
{
	struct loop_op *stopped;

	assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &op, &err));
	assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &stopped, &err));
	loop_op_stop(stopped);
	run_for(30);
	assert_int_equal(count, 1);
}

static void on_written(void *ctx, int result)
{
	count = (unsigned)result;
	loop_stop(loop);
}

static void test_loop_write_tells_what_was_written(void **state)
{
	char text[6] = {0};

	assert_ok(loop_write_start(loop, ends[1], "hello", 5, on_written, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_int_equal(count, 5);
	assert_int_equal(read(ends[0], text, 5), 5);
	assert_string_equal(text, "hello");
}

static void on_write_failed(void *ctx, int result)
{
	assert_true(result < 0);
	loop_stop(loop);
}

static void test_loop_write_to_a_bad_descriptor_fails(void **state)
{
	assert_ok(loop_write_start(loop, 9999, "hello", 5, on_write_failed, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
}

static void test_loop_blocked_write_does_not_block_the_loop(void **state)
{
	static char much[1 << 20];

	/* The first fills the pipe, the second finds it full. */
	assert_ok(loop_write_start(loop, ends[1], much, sizeof(much), on_written, NULL, &op, &err));
	assert_ok(loop_run(loop, &err));
	assert_in_range(count, 1, sizeof(much) - 1);
	count = 0;
	assert_ok(loop_write_start(loop, ends[1], much, sizeof(much), on_written, NULL, &op, &err));
	run_for(20);
	assert_int_equal(count, 0);
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
	run_for(20);
	assert_int_equal(posted_runs, 1);
}

static void test_loop_many_operations_exceed_the_ring(void **state)
{
	struct loop_op *ops[200];

	for (int i = 0; i < 200; i++)
		assert_ok(loop_timer_start(loop, 1000000, on_time_count, NULL, &ops[i], &err));
	run_for(50);
	assert_int_equal(count, 200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(test_loop_watch_calls_again_until_drained),
	        T(test_loop_watch_stopped_by_its_callback_is_silent),
	        T(test_loop_watch_stopped_before_is_silent),
	        T(test_loop_watch_tells_a_hangup),
	        T(test_loop_timer_fires_once_and_not_when_stopped),
	        T(test_loop_write_tells_what_was_written),
	        T(test_loop_write_to_a_bad_descriptor_fails),
	        T(test_loop_blocked_write_does_not_block_the_loop),
	        T(test_loop_post_from_a_thread_arrives_each_time),
	        T(test_loop_post_of_what_waits_is_one_call),
	        T(test_loop_many_operations_exceed_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
