/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: the lifecycle as one table [state][event]. No state of its own; run.c keeps the current one.
 */
#include "life.h"

struct entry {
	bool defined; /* an event without an entry means nothing in that state */
	struct run_life_step step;
};

#define GO(next, action) \
	{ \
		true, \
		{ \
			next, action \
		} \
	}

/* What may happen while a guest is brought to rest: what it did just before it got there still counts. */
#define COMES_TO_REST(after_reset) \
	[RUN_LIFE_POWER_OFF] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP), \
	[RUN_LIFE_RESET] = GO(after_reset, RUN_LIFE_STOP), \
	[RUN_LIFE_CRASH] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP), \
	[RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP), \
	[RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END), \
	[RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END)

static const struct entry table[RUN_LIFE_STATES][RUN_LIFE_EVENTS] =
        {
                [RUN_LIFE_NEW] =
                        {
                                [RUN_LIFE_START] = GO(RUN_LIFE_LAUNCHING, RUN_LIFE_LAUNCH),
                                [RUN_LIFE_START_PAUSED] = GO(RUN_LIFE_HOLDING, RUN_LIFE_LAUNCH),
                                [RUN_LIFE_START_EMPTY] = GO(RUN_LIFE_ARRIVING, RUN_LIFE_LAUNCH),
                        },
                /* Nothing is lost when a guest ends that has not run. */
                [RUN_LIFE_LAUNCHING] =
                        {
                                [RUN_LIFE_LAUNCHED] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                [RUN_LIFE_PAUSE] = GO(RUN_LIFE_HOLDING, RUN_LIFE_GO_ON),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_RESETTING, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_HOLDING] =
                        {
                                [RUN_LIFE_LAUNCHED] = GO(RUN_LIFE_HELD, RUN_LIFE_HOLD),
                                [RUN_LIFE_HOLDS] = GO(RUN_LIFE_HELD, RUN_LIFE_HOLD),
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_LAUNCHING, RUN_LIFE_GO_ON),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_RESETTING_TO_HOLD, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_HELD] =
                        {
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_LAUNCHING, RUN_LIFE_GO_ON),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_RESETTING_TO_HOLD, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_RUNNING] =
                        {
                                [RUN_LIFE_POWER_OFF] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_RESETTING, RUN_LIFE_STOP),
                                [RUN_LIFE_PAUSE] = GO(RUN_LIFE_PAUSING, RUN_LIFE_PARK),
                                [RUN_LIFE_LEAVE] = GO(RUN_LIFE_LEAVING, RUN_LIFE_PARK),
                                [RUN_LIFE_CRASH] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_CLOSING, RUN_LIFE_PRESS),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_PAUSING] =
                        {
                                [RUN_LIFE_PARKED] = GO(RUN_LIFE_QUIETENING, RUN_LIFE_QUIETEN),
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                COMES_TO_REST(RUN_LIFE_RESETTING_TO_HOLD),
                        },
                [RUN_LIFE_QUIETENING] =
                        {
                                [RUN_LIFE_QUIET] = GO(RUN_LIFE_PAUSED, RUN_LIFE_TELL),
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                COMES_TO_REST(RUN_LIFE_RESETTING_TO_HOLD),
                        },
                [RUN_LIFE_PAUSED] =
                        {
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                [RUN_LIFE_LEAVE] = GO(RUN_LIFE_LEFT, RUN_LIFE_NOTHING),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_RESETTING_TO_HOLD, RUN_LIFE_STOP),
                                [RUN_LIFE_CRASH] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                /* A machine whose guest is elsewhere, yet or again: only its end is possible. */
                [RUN_LIFE_ARRIVING] =
                        {
                                [RUN_LIFE_LAUNCHED] = GO(RUN_LIFE_AWAITING, RUN_LIFE_HOLD),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_AWAITING] =
                        {
                                [RUN_LIFE_ARRIVE] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                [RUN_LIFE_ARRIVE_PAUSED] = GO(RUN_LIFE_PAUSED, RUN_LIFE_NOTHING),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                /* As while it pauses; only the move decides when it runs again. */
                [RUN_LIFE_LEAVING] =
                        {
                                [RUN_LIFE_PARKED] = GO(RUN_LIFE_LEAVING_QUIETLY, RUN_LIFE_QUIETEN),
                                [RUN_LIFE_STAY] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                COMES_TO_REST(RUN_LIFE_RESETTING),
                        },
                [RUN_LIFE_LEAVING_QUIETLY] =
                        {
                                [RUN_LIFE_QUIET] = GO(RUN_LIFE_LEFT, RUN_LIFE_TELL),
                                [RUN_LIFE_STAY] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                COMES_TO_REST(RUN_LIFE_RESETTING),
                        },
                [RUN_LIFE_LEFT] =
                        {
                                [RUN_LIFE_STAY] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                [RUN_LIFE_STAY_PAUSED] = GO(RUN_LIFE_PAUSED, RUN_LIFE_NOTHING),
                                [RUN_LIFE_GIVE] = GO(RUN_LIFE_GIVEN, RUN_LIFE_NOTHING),
                                [RUN_LIFE_CRASH] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                /* It stays by an order of the operator alone. */
                [RUN_LIFE_GIVEN] =
                        {
                                [RUN_LIFE_STAY] = GO(RUN_LIFE_RUNNING, RUN_LIFE_GO),
                                [RUN_LIFE_STAY_PAUSED] = GO(RUN_LIFE_PAUSED, RUN_LIFE_NOTHING),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_CLOSING] =
                        {
                                [RUN_LIFE_POWER_OFF] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_RESET] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_CRASH] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_STOP),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_GRACE_OVER] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                /* The guest that crashes while it is being reset is being reset all the same. */
                [RUN_LIFE_RESETTING] =
                        {
                                [RUN_LIFE_STOPPED] = GO(RUN_LIFE_LAUNCHING, RUN_LIFE_RELAUNCH),
                                [RUN_LIFE_PAUSE] = GO(RUN_LIFE_RESETTING_TO_HOLD, RUN_LIFE_NOTHING),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_NOTHING),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_NOTHING),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_RESETTING_TO_HOLD] =
                        {
                                [RUN_LIFE_STOPPED] = GO(RUN_LIFE_HOLDING, RUN_LIFE_RELAUNCH),
                                [RUN_LIFE_CONT] = GO(RUN_LIFE_RESETTING, RUN_LIFE_NOTHING),
                                [RUN_LIFE_FAIL] = GO(RUN_LIFE_STOPPING, RUN_LIFE_NOTHING),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_STOPPING, RUN_LIFE_NOTHING),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_STOPPING, RUN_LIFE_END),
                        },
                [RUN_LIFE_STOPPING] =
                        {
                                [RUN_LIFE_STOPPED] = GO(RUN_LIFE_FLUSHING, RUN_LIFE_FLUSH),
                        },
                /* A console that nobody reads is not waited for when the user insists. */
                [RUN_LIFE_FLUSHING] =
                        {
                                [RUN_LIFE_FLUSHED] = GO(RUN_LIFE_ENDED, RUN_LIFE_FINISH),
                                [RUN_LIFE_TERM] = GO(RUN_LIFE_ENDED, RUN_LIFE_FINISH),
                                [RUN_LIFE_GRACE_OVER] = GO(RUN_LIFE_ENDED, RUN_LIFE_FINISH),
                                [RUN_LIFE_QUIT] = GO(RUN_LIFE_ENDED, RUN_LIFE_FINISH),
                        },
};

struct run_life_step run_life_step(enum run_life_state state, enum run_life_event event)
{
	const struct entry *entry = &table[state][event];

	return entry->defined ? entry->step : (struct run_life_step){state, RUN_LIFE_NOTHING};
}

const char *run_life_state_name(enum run_life_state state)
{
	static const char *const names[RUN_LIFE_STATES] = {
	        [RUN_LIFE_NEW] = "new",
	        [RUN_LIFE_LAUNCHING] = "being launched",
	        [RUN_LIFE_HOLDING] = "being launched, to wait",
	        [RUN_LIFE_HELD] = "waiting to be started",
	        [RUN_LIFE_RUNNING] = "running",
	        [RUN_LIFE_PAUSING] = "pausing",
	        [RUN_LIFE_QUIETENING] = "pausing, with requests to its disks under way",
	        [RUN_LIFE_PAUSED] = "paused",
	        [RUN_LIFE_ARRIVING] = "being made for a guest of another vmm",
	        [RUN_LIFE_AWAITING] = "coming from another vmm",
	        [RUN_LIFE_LEAVING] = "pausing, to be moved",
	        [RUN_LIFE_LEAVING_QUIETLY] = "pausing, to be moved, with requests to its disks under way",
	        [RUN_LIFE_LEFT] = "paused, to be moved",
	        [RUN_LIFE_GIVEN] = "given to another vmm",
	        [RUN_LIFE_CLOSING] = "asked to shut down",
	        [RUN_LIFE_RESETTING] = "resetting",
	        [RUN_LIFE_RESETTING_TO_HOLD] = "resetting, to wait",
	        [RUN_LIFE_STOPPING] = "stopping",
	        [RUN_LIFE_FLUSHING] = "stopped",
	        [RUN_LIFE_ENDED] = "ended",
	};

	return names[state];
}

bool run_life_is_moving(enum run_life_state state)
{
	switch (state) {
	case RUN_LIFE_LAUNCHING:
	case RUN_LIFE_HOLDING:
	case RUN_LIFE_PAUSING:
	case RUN_LIFE_QUIETENING:
	case RUN_LIFE_ARRIVING:
	case RUN_LIFE_LEAVING:
	case RUN_LIFE_LEAVING_QUIETLY:
	case RUN_LIFE_RESETTING:
	case RUN_LIFE_RESETTING_TO_HOLD: return true;
	default: return false;
	}
}
