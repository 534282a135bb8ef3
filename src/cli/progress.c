/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: a line on the terminal of standard error, rewritten a few times a second. Main thread only.
 */
#include "progress.h"

#define FIRST_MS 300
#define EVERY_MS 100

/* Reading the clock takes time, compared with hashing a page, so it is read once in 64 steps. */
#define CLOCK_MASK 63

static void plan_next(struct cli_progress *progress, long ms)
{
	clock_gettime(CLOCK_MONOTONIC, &progress->next);
	progress->next.tv_nsec += ms * 1000000;
	progress->next.tv_sec += progress->next.tv_nsec / 1000000000;
	progress->next.tv_nsec %= 1000000000;
}

static bool is_time(const struct cli_progress *progress)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > progress->next.tv_sec ||
	       (now.tv_sec == progress->next.tv_sec && now.tv_nsec >= progress->next.tv_nsec);
}

void cli_progress_start(struct cli_progress *progress, const char *what, uint64_t total)
{
	*progress = (struct cli_progress){.what = what, .total = total, .terminal = isatty(STDERR_FILENO)};
	if (progress->terminal)
		plan_next(progress, FIRST_MS);
}

void cli_progress_advance(struct cli_progress *progress, uint64_t amount)
{
	uint64_t before = progress->done;

	progress->done += amount;
	if (!progress->terminal ||
	        (before & ~(uint64_t)CLOCK_MASK) == (progress->done & ~(uint64_t)CLOCK_MASK) ||
	        !is_time(progress))
		return;
	fprintf(stderr, "\r%s: %u %%", progress->what,
	        (unsigned)(progress->done * 100 / (progress->total ?: 1)));
	fflush(stderr);
	progress->shown = true;
	plan_next(progress, EVERY_MS);
}

void cli_progress_finish(struct cli_progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r\033[K");
	progress->shown = false;
}
