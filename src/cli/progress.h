/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: shows people at a terminal how far a long piece of work is. Nothing is written to a pipe, or for
 * work that is done at once. Main thread only.
 */
#ifndef VMM_CLI_PROGRESS_H
#define VMM_CLI_PROGRESS_H

#include <time.h>

#include "vmm/base.h"

struct cli_progress {
	const char *what; /* "measuring" */
	uint64_t done, total;
	bool terminal, shown;
	struct timespec next; /* when to write again */
};

void cli_progress_start(struct cli_progress *progress, const char *what, uint64_t total);
void cli_progress_advance(struct cli_progress *progress, uint64_t amount);
/* Erases the line. */
void cli_progress_finish(struct cli_progress *progress);

#endif
