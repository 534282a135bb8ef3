/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "support/test.h"

static const struct timespec moment = {.tv_nsec = 1000000};

/* Runs emit() with standard error sent to a pipe and returns what came out. */
static char *captured(void (*emit)(void))
{
	static char text[8192];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	emit();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(ends[0]);
	return text;
}

static void emit_escape(void)
{
	log_error("guest says \033[2J\n");
}

static void emit_long(void)
{
	char text[5000];

	memset(text, '\001', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
}

static void emit_debug(void)
{
	log_debug("hidden");
}

static void emit_storm(void)
{
	for (int i = 0; i < 1000; i++)
		log_guest(LOG_ERROR, "storm");
}

static void test_log_control_characters_are_escaped(void **state)
{
	assert_string_equal(captured(emit_escape), "vmm: error: guest says \\x1b[2J\\x0a\n");
}

static void test_log_long_line_is_cut(void **state)
{
	char *text = captured(emit_long);

	assert_in_range(strlen(text), 900, 1100);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_log_below_level_is_silent(void **state)
{
	assert_string_equal(captured(emit_debug), "");
}

static void test_log_guest_storm_is_limited(void **state)
{
	unsigned count = 0;

	for (char *c = captured(emit_storm); *c; c++)
		count += *c == '\n';
	/*
	 * A second may end meanwhile, which allows a few more lines and the line that counts the dropped
	 * ones.
	 */
	assert_in_range(count, LOG_LIMIT_BURST, 3 * LOG_LIMIT_BURST + 2);
}

static void on_signal(int signal)
{
}

static _Atomic pid_t logging_tid;

static void *log_thread(void *ctx)
{
	atomic_store(&logging_tid, gettid());
	log_error("nobody reads this");
	return NULL;
}

/* Waits until the thread that logs sleeps in a call. */
static void wait_for_sleep(void)
{
	char path[64], state = 0;
	FILE *file;

	while (state != 'S') {
		nanosleep(&moment, NULL);
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", logging_tid);
		if (logging_tid && (file = fopen(path, "r"))) {
			assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
			fclose(file);
		}
	}
}

/* Sends one signal, as one kick stops a vCPU. After it no write may wait for the reader. */
static void test_log_signal_ends_the_wait_for_a_reader(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}, old;
	int ends[2], saved = dup(STDERR_FILENO), joined = ETIMEDOUT;
	pthread_t thread;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], "x", 1) == 1)
		;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	dup2(ends[1], STDERR_FILENO);
	sigaction(SIGUSR1, &action, &old);
	assert_int_equal(pthread_create(&thread, NULL, log_thread, NULL), 0);
	wait_for_sleep();
	pthread_kill(thread, SIGUSR1);
	for (int i = 0; i < 10000 && (joined = pthread_tryjoin_np(thread, NULL)); i++)
		nanosleep(&moment, NULL);
	dup2(saved, STDERR_FILENO);
	assert_int_equal(joined, 0);
	sigaction(SIGUSR1, &old, NULL);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_log_control_characters_are_escaped),
	        cmocka_unit_test(test_log_long_line_is_cut),
	        cmocka_unit_test(test_log_below_level_is_silent),
	        cmocka_unit_test(test_log_guest_storm_is_limited),
	        cmocka_unit_test(test_log_signal_ends_the_wait_for_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
