/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launching: the launch of an incarnation, a part in each turn of the loop, so that signals, the console and
 * controllers have their turns, too. Main thread.
 */
#include "run.h"

static void tell_row(struct run *run, unsigned row)
{
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_LAUNCH, .row = row});
}

static void on_wait_over(void *ctx)
{
	struct run *run = ctx;

	run->wait = NULL;
	loop_post(run->loop, &run->turn);
}

static void fail(struct run *run, const struct err *err)
{
	run->err = *err;
	run_step_because(run, RUN_LIFE_FAIL, RUN_CAUSE_HOST_ERROR);
}

static void wait_a_little(struct run *run)
{
	struct err err;

	if (loop_timer_start(run->loop, LAUNCH_WAIT_NS, on_wait_over, run, &run->wait, &err) < 0)
		fail(run, &err);
	run_tell_if_settled(run);
}

static void on_turn(void *ctx)
{
	struct run *run = ctx;
	unsigned row = launch_row_at(run->launch);
	struct err err;
	int next = launch_next(run->launch, run->state == RUN_LIFE_HOLDING, &err);

	if (next != LAUNCH_HELD)
		tell_row(run, row);
	/* A launch that waited for the guest's owner goes on, and its end is told. */
	if (next != LAUNCH_WAITS)
		run_tell_if_settled(run);
	switch (next) {
	case LAUNCH_MORE: loop_post(run->loop, &run->turn); break;
	case LAUNCH_WAITS: wait_a_little(run); break;
	case LAUNCH_HELD: run_step(run, RUN_LIFE_HOLDS); break;
	case LAUNCH_DONE: run_step(run, RUN_LIFE_LAUNCHED); break;
	default: fail(run, &err);
	}
}

void run_launching_init(struct run *run)
{
	run->turn = (struct loop_task){.fn = on_turn, .ctx = run};
}

void run_launching_begin(struct run *run)
{
	if (run->state == RUN_LIFE_ARRIVING)
		launch_begin_to_receive(run->launch, run->machine);
	else
		launch_begin(run->launch, run->machine);
	loop_post(run->loop, &run->turn);
}

void run_launching_go_on(struct run *run)
{
	loop_op_stop(take_ptr(&run->wait));
	loop_post(run->loop, &run->turn);
}

void run_launching_stop(struct run *run)
{
	loop_op_stop(take_ptr(&run->wait));
	loop_cancel(run->loop, &run->turn);
}

bool run_launching_waits(const struct run *run)
{
	return run->wait != NULL;
}
