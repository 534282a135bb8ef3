#include "../../../src/cli/progress.h"

#include <fcntl.h>
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

static size_t written(char *text, size_t size)
{
	ssize_t n;

	fcntl(reader, F_SETFL, O_NONBLOCK);
	n = read(reader, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(reader);
	return n > 0 ? (size_t)n : 0;
}

/* Work that takes as long as it must: until the line is there, or for far too long. */
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
	char text[200];
	int terminal;
	bool shown;

	assert_int_equal(openpty(&reader, &terminal, NULL, NULL, NULL), 0);
	redirect(terminal);
	cli_progress_start(&progress, "measuring", UINT64_MAX / 200);
	work(&progress);
	shown = progress.shown;
	cli_progress_finish(&progress);
	restore();
	written(text, sizeof(text));
	close(terminal);
	assert_true(shown);
	assert_non_null(strstr(text, "\rmeasuring: 0 %"));
	assert_non_null(strstr(text, "\r\033[K"));
}

static void test_progress_writes_nothing_to_a_pipe_or_for_short_work(void **state)
{
	struct cli_progress progress;
	int ends[2], terminal;
	char text[200];

	assert_int_equal(pipe(ends), 0);
	reader = ends[0];
	redirect(ends[1]);
	cli_progress_start(&progress, "measuring", 1);
	progress.next = (struct timespec){0}; /* it would be time to */
	cli_progress_advance(&progress, 1000);
	cli_progress_finish(&progress);
	restore();
	assert_int_equal(written(text, sizeof(text)), 0);
	close(ends[1]);

	assert_int_equal(openpty(&reader, &terminal, NULL, NULL, NULL), 0);
	redirect(terminal);
	cli_progress_start(&progress, "measuring", 1);
	progress.next.tv_sec += 1000; /* it is never time to */
	cli_progress_advance(&progress, 1000);
	cli_progress_finish(&progress);
	restore();
	assert_int_equal(written(text, sizeof(text)), 0);
	close(terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_progress_of_long_work_is_shown_on_a_terminal_and_wiped),
	        cmocka_unit_test(test_progress_writes_nothing_to_a_pipe_or_for_short_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
