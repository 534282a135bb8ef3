/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_run: runs a loop for a while.
 */
#ifndef TEST_LOOP_RUN_H
#define TEST_LOOP_RUN_H

#include "support/test.h"
#include "vmm/loop.h"

static inline void loop_run_stop(void *ctx)
{
	loop_stop(ctx);
}

/* So that what should not happen has time to. */
static inline void loop_run_for(struct loop *loop, unsigned ms)
{
	struct loop_op *timer;
	struct err err;

	assert_ok(loop_timer_start(loop, ms * 1000000ull, loop_run_stop, loop, &timer, &err));
	assert_ok(loop_run(loop, &err));
}

#endif
