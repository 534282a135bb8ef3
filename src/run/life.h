/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: the states of a guest and what moves it between them.
 */
#ifndef VMM_RUN_LIFE_H
#define VMM_RUN_LIFE_H

enum run_life_state {
	RUN_LIFE_NEW,
	RUN_LIFE_RUNNING,
	RUN_LIFE_CLOSING,   /* the power button was pressed, the guest has its grace period */
	RUN_LIFE_RESETTING, /* vCPUs are being stopped for a new incarnation */
	RUN_LIFE_STOPPING,  /* vCPUs are being stopped for good */
	RUN_LIFE_FLUSHING,  /* the console's last output is being written */
	RUN_LIFE_ENDED,
	RUN_LIFE_STATES,
};

enum run_life_event {
	RUN_LIFE_START,
	RUN_LIFE_POWER_OFF, /* by the guest */
	RUN_LIFE_RESET,     /* by the guest */
	RUN_LIFE_CRASH,
	RUN_LIFE_FAIL, /* the host gave up */
	RUN_LIFE_TERM, /* SIGTERM and its like */
	RUN_LIFE_GRACE_OVER,
	RUN_LIFE_QUIT,    /* by the user */
	RUN_LIFE_STOPPED, /* the last vCPU has stopped */
	RUN_LIFE_FLUSHED,
	RUN_LIFE_EVENTS,
};

enum run_life_action {
	RUN_LIFE_NOTHING,
	RUN_LIFE_LAUNCH,   /* make an incarnation and start its vCPUs */
	RUN_LIFE_RELAUNCH, /* end the old incarnation first */
	RUN_LIFE_PRESS,    /* the power button, and start the grace period */
	RUN_LIFE_STOP,     /* ask all vCPUs to stop */
	RUN_LIFE_END,      /* the same, and the console must not take long */
	RUN_LIFE_FLUSH,    /* wait for the console */
	RUN_LIFE_FINISH,   /* leave the loop */
};

struct run_life_step {
	enum run_life_state next;
	enum run_life_action action;
};

/* The step for an event. Events that have no meaning in a state leave the state as it is. */
struct run_life_step run_life_step(enum run_life_state state, enum run_life_event event);
const char *run_life_state_name(enum run_life_state state);

#endif
