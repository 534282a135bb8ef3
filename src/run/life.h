/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: the states of a guest and what moves it between them.
 */
#ifndef VMM_RUN_LIFE_H
#define VMM_RUN_LIFE_H

#include <stdbool.h>

enum run_life_state {
	RUN_LIFE_NEW,
	RUN_LIFE_LAUNCHING, /* the guest runs afterwards */
	RUN_LIFE_HOLDING,   /* the same, but the guest waits afterwards, or before a step of its launch */
	RUN_LIFE_HELD,      /* it waits there */
	RUN_LIFE_RUNNING,
	RUN_LIFE_PAUSING,    /* vCPUs are being parked */
	RUN_LIFE_QUIETENING, /* disks do the rest of what the guest gave them */
	RUN_LIFE_PAUSED,
	RUN_LIFE_ARRIVING,          /* the machine is made for a guest that another vmm will send */
	RUN_LIFE_AWAITING,          /* it waits for that guest, or has it and is not to run it yet */
	RUN_LIFE_LEAVING,           /* vCPUs are being parked, to be sent to another vmm */
	RUN_LIFE_LEAVING_QUIETLY,   /* they wait, and disks do the rest */
	RUN_LIFE_LEFT,              /* nothing moves: the guest can be given away */
	RUN_LIFE_GIVEN,             /* another vmm has it */
	RUN_LIFE_CLOSING,           /* the power button was pressed, the guest has its grace period */
	RUN_LIFE_RESETTING,         /* vCPUs are being stopped for a new incarnation */
	RUN_LIFE_RESETTING_TO_HOLD, /* the same, and the new one is to wait */
	RUN_LIFE_STOPPING,          /* vCPUs are being stopped for good */
	RUN_LIFE_FLUSHING,          /* the console's last output is being written */
	RUN_LIFE_ENDED,
	RUN_LIFE_STATES,
};

enum run_life_event {
	RUN_LIFE_START,
	RUN_LIFE_START_PAUSED,
	RUN_LIFE_START_EMPTY,   /* for a guest that another vmm will send */
	RUN_LIFE_LAUNCHED,      /* the launch has done all its steps */
	RUN_LIFE_HOLDS,         /* the launch has come to where a paused guest waits */
	RUN_LIFE_POWER_OFF,     /* by the guest */
	RUN_LIFE_RESET,         /* by the guest, or by a controller */
	RUN_LIFE_PAUSE,         /* by a controller */
	RUN_LIFE_CONT,          /* by a controller */
	RUN_LIFE_PARKED,        /* all vCPUs wait */
	RUN_LIFE_QUIET,         /* no disk does anything any more */
	RUN_LIFE_ARRIVE,        /* the guest that was awaited is here, and runs from now on */
	RUN_LIFE_ARRIVE_PAUSED, /* the same, and it was paused there */
	RUN_LIFE_LEAVE,         /* it is to be sent to another vmm */
	RUN_LIFE_STAY,          /* it is not, and runs again */
	RUN_LIFE_STAY_PAUSED,   /* the same, and it was paused before */
	RUN_LIFE_GIVE,          /* the other vmm has it */
	RUN_LIFE_CRASH,
	RUN_LIFE_FAIL, /* the host gave up */
	RUN_LIFE_TERM, /* SIGTERM and its like */
	RUN_LIFE_GRACE_OVER,
	RUN_LIFE_QUIT,    /* by the user, or by a controller */
	RUN_LIFE_STOPPED, /* the last vCPU has stopped */
	RUN_LIFE_FLUSHED,
	RUN_LIFE_EVENTS,
};

enum run_life_action {
	RUN_LIFE_NOTHING,
	RUN_LIFE_LAUNCH,   /* begin to launch an incarnation */
	RUN_LIFE_RELAUNCH, /* end the old incarnation first */
	RUN_LIFE_GO_ON,    /* with the launch, or look whether it is to be held */
	RUN_LIFE_HOLD,     /* give the vCPUs threads that wait */
	RUN_LIFE_GO,       /* let the vCPUs run */
	RUN_LIFE_PARK,     /* let them wait */
	RUN_LIFE_QUIETEN,  /* the disks, while they wait */
	RUN_LIFE_TELL,     /* that the guest is paused */
	RUN_LIFE_PRESS,    /* the power button, and start the grace period */
	RUN_LIFE_STOP,     /* end the launch, and ask all vCPUs to stop */
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
/* Is the guest on its way to another state, where it arrives by itself? */
bool run_life_is_moving(enum run_life_state state);

#endif
