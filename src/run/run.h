/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: the guest whose life the files of this room share. Main thread. What other threads notice is posted to
 * it.
 */
#ifndef VMM_RUN_RUN_H
#define VMM_RUN_RUN_H

#include <signal.h>

#include "console.h"
#include "life.h"
#include "spin.h"
#include "vcpu.h"
#include "vmm/launch.h"
#include "vmm/run.h"
#include "vmm/run/command.h"
#include "vmm/run/facts.h"

struct run {
	const struct config *config;
	struct loop *loop;
	struct machine *machine;
	struct launch *launch;
	struct run_console console;
	enum run_life_state state;
	struct run_vcpu vcpus[MACHINE_VCPUS_MAX];
	unsigned vcpu_count, running; /* that have a thread; whose thread has not ended */
	struct run_spin spin;
	_Atomic bool told_certificates; /* that they cannot be read (exit_certs.c) */
	_Atomic bool told_full;         /* of this incarnation: its record of shared pages is full */
	_Atomic bool told_storm;        /* of this incarnation: it converted many pages */
	int64_t started_s;              /* wall clock; 0: not yet */
	unsigned resets;
	bool empty;           /* the guest comes from another vmm */
	bool released;        /* another vmm may have the disks' images */
	bool given;           /* another vmm may have the guest */
	bool memory_held;     /* none is added now */
	bool left_paused;     /* it was paused before it was to be moved */
	enum run_cause cause; /* of the reset or the end that comes next */

	/* launching.c */
	struct loop_task turn;
	struct loop_op *wait;

	/* tell.c */
	struct run_observer *observers;
	struct loop_task settled_task;
	bool unsettled;    /* RUN_EVENT_SETTLED is owed */
	bool told_running; /* the last of RUN_EVENT_RESUME and RUN_EVENT_STOP was RESUME */

	/* disks.c */
	struct loop_task disk_error_task, disk_quiet_task;
	uint64_t disk_errors[CONFIG_DEVICES_MAX]; /* of each disk, that observers know of */

	/* dimms.c */
	struct loop_task dimm_task;
	uint64_t dimm_answers[PAGE_PLUGS_MAX]; /* of each slot, that observers know of */

	/* What other threads have reported. */
	struct loop_task event_task, output_task, room_task, full_task, storm_task;
	_Atomic(const char *) events[DEVICE_EVENTS]; /* how each was asked for; NULL: it was not */

	int signal_fd;
	uint64_t signalled_ns; /* when the last signal came that counted; 0: none has come */
	sigset_t old_mask;
	bool masked;
	bool held;  /* devices do nothing (virtio_hold()) */
	bool hurry; /* the guest is being ended: the console gets a short time */
	struct loop_op *signal_watch, *grace, *flush;
	struct err err; /* why the guest ended, if not by shutting down */
	char report[RUN_TEXT_BYTES];
};

/* run.c: takes the step of the lifecycle's table. */
void run_step(struct run *run, enum run_life_event event);
/* Would the event change the guest's state? One that means nothing in its present state leaves it as it is.
 */
bool run_changes(const struct run *run, enum run_life_event event);
/* A step that may reset or end the guest, for this cause. */
void run_step_because(struct run *run, enum run_life_event event, enum run_cause cause);

/* command.c */
bool run_is_ending(const struct run *run);
/* move.c: the disks are this vmm's again, or for the first time. Does nothing if they are. */
int run_take_disks(struct run *run, struct err *err) MUST_CHECK;

/* Is the guest on its way to where it is paused? What it did before it gets there still counts. */
bool run_is_pausing(const struct run *run);

/* ---- notice.c: what devices, the console and its user tell ---- */

void run_notice_init(struct run *run, const struct run_console_io *io);
struct device_events run_notice_events(struct run *run);

/* ---- signals.c: the signals that ask vmm to end its guest ---- */

/* Blocks them; from now on they come through the loop. */
int run_signals_take(struct run *run, struct err *err) MUST_CHECK;
/* Puts the signal mask back. Signals that wait are dropped. Also after run_signals_take() failed. */
void run_signals_give_back(struct run *run);

/* ---- launching.c: the launch, a part in each turn of the loop ---- */

void run_launching_init(struct run *run);
void run_launching_begin(struct run *run);
/* Goes on with the launch, soon: it was held, or is to be held, or has waited long enough. */
void run_launching_go_on(struct run *run);
/* Leaves the launch where it is. Allowed when there is none. */
void run_launching_stop(struct run *run);
/* Does the launch wait for the guest's owner? */
bool run_launching_waits(const struct run *run);

/* ---- vcpus.c: all vCPUs of the guest ---- */

/* Gives them threads, if they have none, and lets them run (GO) or wait (PARK). */
int run_vcpus_start(struct run *run, enum run_vcpu_wish wish, struct err *err) MUST_CHECK;
void run_vcpus_park(struct run *run);
/* Ends their threads; RUN_LIFE_STOPPED comes when all have ended, or at once. */
void run_vcpus_end(struct run *run);
/* The same, and waits for it, for a loop that does not run any more. */
void run_vcpus_end_now(struct run *run);

/* ---- tell.c: what observers hear ---- */

void run_tell_init(struct run *run);
void run_tell(struct run *run, const struct run_event *event);
/* Tells that the guest runs, or does not, unless that was told. A reset of a running guest is no stop. */
void run_tell_running(struct run *run, bool running);
void run_tell_panic(struct run *run, enum run_panic panic, uint64_t sev_set, uint64_t sev_code);
/* After each step: tells later that the guest has arrived, if it was on its way. */
void run_tell_if_settled(struct run *run);

/* ---- disks.c ---- */

void run_disks_init(struct run *run);
/* The vCPUs wait: lets the disks do what the guest gave them. RUN_LIFE_QUIET comes when they have, or at
 * once. */
void run_disks_quieten(struct run *run);
/* struct device_events' on_disk_error and on_disk_quiet. Any thread. */
void run_disks_on_error(void *run);
void run_disks_on_quiet(void *run);

/* ---- dimms.c ---- */

void run_dimms_init(struct run *run);
/* struct device_events' on_dimm_answer. Any thread. */
void run_dimms_on_answer(void *run);

#endif
