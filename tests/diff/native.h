/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native: the memory that native.c shares with the process that it starts.
 */
#ifndef DIFF_NATIVE_H
#define DIFF_NATIVE_H

#include "diff.h"

#define DIFF_FD_SHARED 3
#define DIFF_FD_IN     4
#define DIFF_FD_OUT    5

struct diff_shared {
	struct diff_case cases[DIFF_BATCH];
	struct diff_result results[DIFF_BATCH];
	uint8_t data[DIFF_DATA_BYTES]; /* before the first case; after the last one */
	unsigned count, next;
};

#endif
