/* SPDX-License-Identifier: Apache-2.0 */
/*
 * both: runs the tests of a program on each of the loop's back ends. io_uring is left out where it is
 * refused.
 */
#ifndef TEST_LOOP_BOTH_H
#define TEST_LOOP_BOTH_H

#include "../../../src/loop/backend.h"
#include "support/test.h"

/* run_on runs the tests on one back end, and returns how many failed. So does this, for both. */
static inline int both_run(int (*run_on)(const struct loop_backend *with))
{
	struct loop *loop;
	struct err refused;
	int failed = 0;

	if (loop_create_with(&loop_uring, &loop, &refused) == 0) {
		loop_destroy(loop);
		failed = run_on(&loop_uring);
	} else {
		print_message("# not on io_uring: %s\n", refused.text);
	}
	return failed + run_on(&loop_poll);
}

#endif
