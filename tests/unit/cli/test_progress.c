/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/cli/progress.h"

#include <pty.h>

#include "support/test.h"

static int saved = -1, reader = -1;

/* Standard error becomes fd; restore() undoes it. */
static void redirect(int fd)
{
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void restore(void)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

/*
 * Returns everything that was written to the other end, which is closed for this: bytes written to a terminal
 * arrive some time later, but before the end.
 */
static size_t written(int other, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	close(other);
	do {
		n = read(reader, text + used, size - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	text[used] = '\0';
	close(reader);
	return used;
}

/* Works until the line is there, or for far too long. */
static void work(struct cli_progress *progress)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		cli_progress_advance(progress, 64);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!progress->shown && now.tv_sec - start.tv_sec < 20);
}

static void test_progress_of_long_work_is_shown_on_a_terminal_and_wiped(void **state)
{
	struct cli_progress progress;
	char text[400];
	int terminal;
	bool shown;

	assert_int_equal(openpty(&reader, &terminal, NULL, NULL, NULL), 0);
	redirect(terminal);
	cli_progress_start(&progress, "measuring", UINT64_MAX / 200);
	work(&progress);
	shown = progress.shown;
	cli_progress_finish(&progress);
	restore();
	written(terminal, text, sizeof(text));
	assert_true(shown);
	assert_non_null(strstr(text, "\rmeasuring: 0 %"));
	assert_non_null(strstr(text, "\r\033[K"));
}

static void test_progress_writes_nothing_to_a_pipe_or_for_short_work(void **state)
{
	struct cli_progress progress;
	int ends[2], terminal;
	char text[400];

	assert_int_equal(pipe(ends), 0);
	reader = ends[0];
	redirect(ends[1]);
	cli_progress_start(&progress, "measuring", 1);
	progress.next = (struct timespec){0}; /* it would be time to */
	cli_progress_advance(&progress, 1000);
	cli_progress_finish(&progress);
	restore();
	assert_int_equal(written(ends[1], text, sizeof(text)), 0);

	assert_int_equal(openpty(&reader, &terminal, NULL, NULL, NULL), 0);
	redirect(terminal);
	cli_progress_start(&progress, "measuring", 1);
	progress.next.tv_sec += 1000; /* it is never time to */
	cli_progress_advance(&progress, 1000);
	cli_progress_finish(&progress);
	restore();
	assert_int_equal(written(terminal, text, sizeof(text)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_progress_of_long_work_is_shown_on_a_terminal_and_wiped),
	        cmocka_unit_test(test_progress_writes_nothing_to_a_pipe_or_for_short_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
