/*
 * life: the lifecycle as one table [state][event]. No state of its own; run.c keeps the current one.
 */
#include <stdbool.h>

#include "life.h"

struct entry {
	bool defined; /* an event without an entry means nothing in that state */
	struct life_step step;
};

#define GO(next, action) \
	{ \
		true, \
		{ \
			next, action \
		} \
	}

static const struct entry table[LIFE_STATES][LIFE_EVENTS] = {
        [LIFE_NEW] =
                {
                        [LIFE_START] = GO(LIFE_RUNNING, LIFE_LAUNCH),
                },
        [LIFE_RUNNING] =
                {
                        [LIFE_POWER_OFF] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_RESET] = GO(LIFE_RESETTING, LIFE_STOP),
                        [LIFE_CRASH] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_FAIL] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_TERM] = GO(LIFE_CLOSING, LIFE_PRESS),
                        [LIFE_QUIT] = GO(LIFE_STOPPING, LIFE_END),
                },
        [LIFE_CLOSING] =
                {
                        [LIFE_POWER_OFF] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_RESET] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_CRASH] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_FAIL] = GO(LIFE_STOPPING, LIFE_STOP),
                        [LIFE_TERM] = GO(LIFE_STOPPING, LIFE_END),
                        [LIFE_GRACE_OVER] = GO(LIFE_STOPPING, LIFE_END),
                        [LIFE_QUIT] = GO(LIFE_STOPPING, LIFE_END),
                },
        /* The guest that crashes while it is being reset is being reset all the same. */
        [LIFE_RESETTING] =
                {
                        [LIFE_STOPPED] = GO(LIFE_RUNNING, LIFE_RELAUNCH),
                        [LIFE_FAIL] = GO(LIFE_STOPPING, LIFE_NOTHING),
                        [LIFE_TERM] = GO(LIFE_STOPPING, LIFE_NOTHING),
                        [LIFE_QUIT] = GO(LIFE_STOPPING, LIFE_END),
                },
        [LIFE_STOPPING] =
                {
                        [LIFE_STOPPED] = GO(LIFE_FLUSHING, LIFE_FLUSH),
                },
        /* A console that nobody reads is not waited for when the user insists. */
        [LIFE_FLUSHING] =
                {
                        [LIFE_FLUSHED] = GO(LIFE_ENDED, LIFE_FINISH),
                        [LIFE_TERM] = GO(LIFE_ENDED, LIFE_FINISH),
                        [LIFE_GRACE_OVER] = GO(LIFE_ENDED, LIFE_FINISH),
                        [LIFE_QUIT] = GO(LIFE_ENDED, LIFE_FINISH),
                },
};

struct life_step life_step(enum life_state state, enum life_event event)
{
	const struct entry *entry = &table[state][event];

	return entry->defined ? entry->step : (struct life_step){state, LIFE_NOTHING};
}

const char *life_state_name(enum life_state state)
{
	static const char *const names[LIFE_STATES] = {
	        [LIFE_NEW] = "new",
	        [LIFE_RUNNING] = "running",
	        [LIFE_CLOSING] = "asked to shut down",
	        [LIFE_RESETTING] = "resetting",
	        [LIFE_STOPPING] = "stopping",
	        [LIFE_FLUSHING] = "stopped",
	        [LIFE_ENDED] = "ended",
	};

	return names[state];
}
