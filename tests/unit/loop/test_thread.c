/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that run on threads of their own, and calls to a loop from other threads. */
#include <pthread.h>
#include <signal.h>

#include "both.h"

#define CALLERS 4
#define CALLS   500

static const struct loop_backend *backend;
static struct loop *loop;
static struct err err;
static pthread_t runner, seen;
static unsigned count; /* no lock: only the loop's thread changes it */

static int setup(void **state)
{
	count = 0;
	return loop_create_with(backend, &loop, &err);
}

static int teardown(void **state)
{
	loop_destroy(take_ptr(&loop));
	return 0;
}

static void on_call(void *ctx)
{
	seen = pthread_self();
	count++;
}

static void on_call_stop(void *ctx)
{
	loop_stop(loop);
}

static void *run_loop(void *ctx)
{
	struct err failed;

	return loop_run(loop, &failed) < 0 ? loop : NULL;
}

static void on_call_who(void *ctx)
{
	*(pthread_t *)ctx = pthread_self();
}

/* Calls from before the loop runs are ordinary; sooner or later they run on the loop's thread. */
static void start_runner(void)
{
	pthread_t who;

	assert_int_equal(pthread_create(&runner, NULL, run_loop, NULL), 0);
	do
		loop_call(loop, on_call_who, &who);
	while (!pthread_equal(who, runner));
}

static void stop_runner(void)
{
	void *failed;

	loop_call(loop, on_call_stop, NULL);
	pthread_join(runner, &failed);
	assert_null(failed);
}

static void *call_often(void *ctx)
{
	for (unsigned i = 0; i < CALLS; i++)
		loop_call(loop, on_call, NULL);
	return NULL;
}

static void test_call_while_nobody_runs_the_loop_is_an_ordinary_call(void **state)
{
	loop_call(loop, on_call, NULL);
	assert_int_equal(count, 1);
	assert_true(pthread_equal(seen, pthread_self()));
}

static void test_call_runs_on_the_thread_of_the_loop_and_is_done(void **state)
{
	start_runner();
	loop_call(loop, on_call, NULL);
	assert_int_equal(count, 1);
	assert_true(pthread_equal(seen, runner));
	stop_runner();
}

static void on_call_nested(void *ctx)
{
	loop_call(loop, on_call, NULL);
	count++;
}

static void test_call_from_the_thread_of_the_loop_is_an_ordinary_call(void **state)
{
	start_runner();
	loop_call(loop, on_call_nested, NULL);
	assert_int_equal(count, 2);
	stop_runner();
	loop_call(loop, on_call_nested, NULL);
	assert_int_equal(count, 4);
}

/* The loop begins and ends to run again and again while other threads call: no call is lost or doubled. */
static void test_call_from_many_threads_comes_once_each(void **state)
{
	pthread_t callers[CALLERS];

	for (unsigned i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&callers[i], NULL, call_often, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		start_runner();
		stop_runner();
	}
	for (unsigned i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	assert_int_equal(count, CALLERS * CALLS);
}

static char name[32];
static sigset_t mask;

static void on_call_look(void *ctx)
{
	pthread_getname_np(pthread_self(), name, sizeof(name));
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	count++;
}

static void test_thread_has_a_name_and_takes_no_signals(void **state)
{
	struct loop_thread *thread;

	assert_ok(loop_thread_create("a-name-that-is-much-too-long", &thread, &err));
	loop_call(loop_thread_loop(thread), on_call_look, NULL);
	loop_thread_destroy(thread);
	assert_int_equal(count, 1);
	assert_string_equal(name, "a-name-that-is-");
	assert_true(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGINT));
}

static void test_thread_is_made_and_ended_again_and_again(void **state)
{
	struct loop_thread *thread;

	for (unsigned i = 0; i < 100; i++) {
		assert_ok(loop_thread_create("short-lived", &thread, &err));
		if (i % 2)
			loop_call(loop_thread_loop(thread), on_call_look, NULL);
		loop_thread_destroy(thread);
	}
	assert_int_equal(count, 50);
	loop_thread_destroy(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_on(const struct loop_backend *with)
{
	const struct CMUnitTest tests[] = {
	        T(test_call_while_nobody_runs_the_loop_is_an_ordinary_call),
	        T(test_call_runs_on_the_thread_of_the_loop_and_is_done),
	        T(test_call_from_the_thread_of_the_loop_is_an_ordinary_call),
	        T(test_call_from_many_threads_comes_once_each),
	        T(test_thread_has_a_name_and_takes_no_signals),
	        T(test_thread_is_made_and_ended_again_and_again),
	};

	backend = with;
	print_message("# on %s\n", with->name);
	return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}

int main(void)
{
	return both_run(run_on);
}
