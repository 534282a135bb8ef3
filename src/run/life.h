/*
 * life: the states of a guest and what moves it between them.
 */
#ifndef VMM_RUN_LIFE_H
#define VMM_RUN_LIFE_H

enum life_state {
	LIFE_NEW,
	LIFE_RUNNING,
	LIFE_CLOSING,   /* the power button was pressed, the guest has its grace period */
	LIFE_RESETTING, /* vCPUs are being stopped for a new incarnation */
	LIFE_STOPPING,  /* vCPUs are being stopped for good */
	LIFE_FLUSHING,  /* the console's last output is being written */
	LIFE_ENDED,
	LIFE_STATES,
};

enum life_event {
	LIFE_START,
	LIFE_POWER_OFF, /* by the guest */
	LIFE_RESET,     /* by the guest */
	LIFE_CRASH,
	LIFE_FAIL, /* the host gave up */
	LIFE_TERM, /* SIGTERM and its like */
	LIFE_GRACE_OVER,
	LIFE_QUIT,    /* by the user */
	LIFE_STOPPED, /* the last vCPU has stopped */
	LIFE_FLUSHED,
	LIFE_EVENTS,
};

enum life_action {
	LIFE_NOTHING,
	LIFE_LAUNCH,   /* make an incarnation and start its vCPUs */
	LIFE_RELAUNCH, /* end the old incarnation first */
	LIFE_PRESS,    /* the power button, and start the grace period */
	LIFE_STOP,     /* ask all vCPUs to stop */
	LIFE_END,      /* the same, and the console must not take long */
	LIFE_FLUSH,    /* wait for the console */
	LIFE_FINISH,   /* leave the loop */
};

struct life_step {
	enum life_state next;
	enum life_action action;
};

/* What to do now; events that mean nothing in a state leave it as it is. */
struct life_step life_step(enum life_state state, enum life_event event);
const char *life_state_name(enum life_state state);

#endif
