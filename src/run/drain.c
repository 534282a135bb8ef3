/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain: from a device's ring to a descriptor. Main thread.
 */
#include <errno.h>
#include <poll.h>

#include "console.h"

static void write_next(struct run_console_drain *drain);

/*
 * Takes what nobody reads. A guest may write as fast as this takes, and devices tell only of output that
 * comes when there was none: after some chunks the loop's other work has its turn, and a task goes on here.
 */
static void throw_away(void *ctx)
{
	struct run_console_drain *drain = ctx;

	for (unsigned i = 0; i < RUN_CONSOLE_CHUNKS_A_TURN; i++) {
		if (drain->take(drain->device, drain->chunk, sizeof(drain->chunk)) < sizeof(drain->chunk)) {
			drain->on_idle(drain->ctx);
			return;
		}
	}
	drain->more.fn = throw_away;
	drain->more.ctx = drain;
	loop_post(drain->loop, &drain->more);
}

static void fail(struct run_console_drain *drain, int sys)
{
	drain->broken = true;
	drain->used = 0;
	drain->on_error(drain->ctx, sys);
	throw_away(drain);
}

static void on_room(void *ctx, int events)
{
	struct run_console_drain *drain = ctx;

	loop_op_stop(take_ptr(&drain->op));
	write_next(drain);
}

/* Somebody who shares the descriptor made it non-blocking. */
static void wait_for_room(struct run_console_drain *drain)
{
	struct err err;

	if (loop_watch_start(drain->loop, drain->fd, POLLOUT, on_room, drain, &drain->op, &err) < 0)
		fail(drain, err.sys ?: ENOMEM);
}

static void on_written(void *ctx, int result)
{
	struct run_console_drain *drain = ctx;

	drain->op = NULL;
	if (result == -EAGAIN) {
		wait_for_room(drain);
		return;
	}
	if (result == -EINTR)
		result = 0;
	if (result < 0) {
		fail(drain, -result);
		return;
	}
	drain->written += (size_t)result;
	write_next(drain);
}

static void write_next(struct run_console_drain *drain)
{
	struct err err;

	if (drain->written == drain->used) {
		drain->written = 0;
		drain->used = drain->take(drain->device, drain->chunk, sizeof(drain->chunk));
	}
	if (!drain->used) {
		drain->on_idle(drain->ctx);
		return;
	}
	if (loop_write_start(drain->loop, drain->fd, drain->chunk + drain->written,
	            drain->used - drain->written, on_written, drain, &drain->op, &err) < 0)
		fail(drain, err.sys ?: ENOMEM);
}

void run_console_drain_kick(struct run_console_drain *drain)
{
	if (drain->broken)
		throw_away(drain);
	else if (!drain->op)
		write_next(drain);
}

bool run_console_drain_idle(const struct run_console_drain *drain)
{
	return drain->broken ? !drain->more.queued : !drain->op && !drain->used;
}
