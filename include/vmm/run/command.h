/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: what a controller tells a guest that lives, and what it hears of it. Everything here runs on the
 * main thread, between run_create() and run_destroy().
 */
#ifndef VMM_RUN_COMMAND_H
#define VMM_RUN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"

struct run;

/* ---- what happened ---- */

enum run_event_kind {
	RUN_EVENT_STOP,   /* all vCPUs wait, and the disks have done what the guest gave them */
	RUN_EVENT_RESUME, /* the vCPUs run, for the first time or again; a reset of a running guest is no stop
	                   */
	RUN_EVENT_RESET,  /* the incarnation has ended, and another one is launched */
	RUN_EVENT_POWERDOWN,          /* the power button was pressed */
	RUN_EVENT_SHUTDOWN,           /* the guest ends; vmm will end, too */
	RUN_EVENT_PANICKED,           /* the guest crashed; RUN_EVENT_SHUTDOWN follows */
	RUN_EVENT_LAUNCH,             /* a step of the launch began, came forward or ended */
	RUN_EVENT_DISK_ERROR,         /* a disk answered a request with an I/O error */
	RUN_EVENT_DIMM,               /* the guest's system answered for memory that was added (_OST) */
	RUN_EVENT_SHARED_RANGES_FULL, /* a conversion was refused for want of room in the record of shared
	                                 pages; told once for each incarnation */
	RUN_EVENT_CONVERSION_STORM,   /* the guest converts many pages; at most one in PAGE_FLIPS_TELL_S */
	RUN_EVENT_RELEASED,           /* a disk was released, or could not be, after run_release() */
	RUN_EVENT_SETTLED,            /* run_is_settled() has become true */
	RUN_EVENTS
};

/* Why a guest was reset or ended: QEMU's ShutdownCause, of which run_cause_name() gives the name. */
enum run_cause {
	RUN_CAUSE_HOST_ERROR,
	RUN_CAUSE_HOST_QUIT,   /* run_quit() */
	RUN_CAUSE_HOST_RESET,  /* run_reset() */
	RUN_CAUSE_HOST_SIGNAL, /* SIGTERM and its like */
	RUN_CAUSE_HOST_UI,     /* the user of the console, or an expect script */
	RUN_CAUSE_GUEST_SHUTDOWN,
	RUN_CAUSE_GUEST_RESET,
	RUN_CAUSE_GUEST_PANIC,
	RUN_CAUSES
};
/* "host-qmp-quit" */
const char *run_cause_name(enum run_cause cause);
/* Did the guest do it itself? */
bool run_cause_is_guest(enum run_cause cause);

/* How a guest told that it cannot go on. */
enum run_panic {
	RUN_PANIC_TRIPLE_FAULT, /* a vCPU shut down, or used memory that does not exist */
	RUN_PANIC_PVPANIC,      /* the guest's kernel panicked and said so to the device pvpanic */
	RUN_PANIC_SEV,          /* a termination request of a SEV-ES or SEV-SNP guest */
};

/* Members that belong to no kind of event are valid for all. Pointers are valid during the call. */
struct run_event {
	enum run_event_kind kind;
	enum run_cause cause; /* RESET, SHUTDOWN */
	/* PANICKED */
	enum run_panic panic;
	uint64_t sev_set, sev_code; /* of RUN_PANIC_SEV: GHCB 2.3.1 */
	/* LAUNCH: which row of launch_row_facts() (vmm/launch.h), which tells the rest */
	unsigned row;
	/* DISK_ERROR: the id of the device in the configuration, and the errno of the request that failed
	 * last */
	const char *device;
	bool writes; /* it was no read */
	int sys;
	/* DIMM: the slot, and the latest answer (struct device_dimm) */
	unsigned slot;
	uint32_t source, status;
};

/* Whoever wants to hear of events. on_event must not call run_*() functions that change the guest. */
struct run_observer {
	void (*on_event)(void *ctx, const struct run_event *event);
	void *ctx;
	struct run_observer *next; /* kept by run_observe() */
};
/*
 * Adds an observer. It is borrowed until run_guest() returns: from then on it hears nothing, so it may be
 * freed before run_destroy(). run itself stays valid until run_destroy(): run_status_of() and vmm/run/facts.h
 * answer as before, and commands fail as for any guest that has ended.
 */
void run_observe(struct run *run, struct run_observer *observer);

/* ---- what is to happen ---- */

/*
 * Each of these functions is idempotent, and returns before all of it has happened. When the guest is between
 * two states afterwards, run_is_settled() is false, and RUN_EVENT_SETTLED comes when it has arrived. Whoever
 * answers a command after that has all events of the command in front of the answer.
 */
bool run_is_settled(const struct run *run);

/*
 * Only the move decides over a guest that is between two vmms. ERR_USAGE, with the reason: another vmm has
 * the guest, is about to get it, or has not sent it yet; or it has ended. The functions below that stop, run,
 * reset or power down the guest ask it themselves.
 */
int run_refuse_moved(const struct run *run, struct err *err) MUST_CHECK;

/*
 * Lets all vCPUs wait, and the disks do what the guest gave them: then nothing reads or writes their images
 * until the guest runs again. A disk whose server does not answer keeps the guest on its way there. During a
 * launch: the launch goes on up to where a paused guest waits, which is before the guest owner's secret (SEV,
 * SEV-ES), before SNP_LAUNCH_FINISH (SEV-SNP), or after the last step. Fails for a guest that was asked to
 * shut down by a signal.
 */
int run_stop(struct run *run, struct err *err) MUST_CHECK;
/* Lets the vCPUs run, after the rest of the launch if there is one. Fails for a guest that is ending. */
int run_cont(struct run *run, struct err *err) MUST_CHECK;
/*
 * Ends this incarnation and launches another one on the same machine. That of a guest that is paused or not
 * yet started waits as a paused one does. Fails for a guest that is ending.
 */
int run_reset(struct run *run, struct err *err) MUST_CHECK;
/* Presses the power button. A paused guest sees it when it runs again. Fails for a guest that is ending. */
int run_powerdown(struct run *run, struct err *err) MUST_CHECK;
/*
 * Gives the guest another size_bytes of RAM (launch_plug()), and tells it, unless it is a SEV-SNP guest. A
 * paused guest hears of it when it runs again. Fails for a guest whose launch is not complete, or that is
 * ending.
 */
int run_plug(struct run *run, uint64_t size_bytes, struct err *err) MUST_CHECK;
/* While it is held, no memory is added: run_plug() is refused, because the guest is being moved. */
void run_hold_memory(struct run *run, bool hold);
/* Ends the guest at once, also during its launch. RUN_EVENT_SHUTDOWN has been sent when it returns. */
void run_quit(struct run *run);

/* ---- a guest that goes to another vmm, or comes from one (the room migrate calls these) ---- */

/*
 * With `arrives` of struct run_place the machine is made, its vCPUs wait, and no firmware runs.
 * RUN_EVENT_SETTLED comes when the guest can be loaded, and run_is_awaiting() is true from then on, until the
 * guest runs or vmm ends.
 */
bool run_is_awaiting(const struct run *run);
/*
 * The guest is here. Takes its disks, which the other vmm has released. ERR_USAGE, ERR_HOST: one cannot be
 * taken; it can be called again.
 */
int run_arrive(struct run *run, struct err *err) MUST_CHECK;
/* It runs from now on, or is paused. run_arrive() was successful. */
void run_own(struct run *run, bool paused);
/* The guest that was awaited will not come: vmm ends with this error. */
void run_miss(struct run *run, const struct err *why);

/*
 * Stops the guest as run_stop() does, so that it can be sent. It has left when run_has_left() is true; until
 * then and afterwards no other command but run_quit() changes it. Fails for a guest that neither runs nor is
 * paused.
 */
int run_leave(struct run *run, struct err *err) MUST_CHECK;
bool run_has_left(const struct run *run);
/* Was it paused before run_leave()? */
bool run_left_paused(const struct run *run);
/*
 * Releases the disks of a guest that has left. run_has_released() returns 1 when all are, 0 until then, -1
 * with ERR_HOST if one could not be flushed. RUN_EVENT_RELEASED is told when it may have changed.
 */
void run_release(struct run *run);
int run_has_released(struct run *run, struct err *err) MUST_CHECK;
/*
 * It runs here again, or is paused again; also after run_give(). ERR_USAGE, ERR_HOST: a disk cannot be taken
 * back; the guest is paused, and run_cont() tries again.
 */
int run_stay(struct run *run, struct err *err) MUST_CHECK;
/* It is the other vmm's from now on. It has left, and its disks are released. */
void run_give(struct run *run);

/* ---- how the guest is ---- */

struct run_status {
	bool running;
	const char *
	        name; /* QEMU's RunState: prelaunch, running, paused, shutdown, guest-panicked, internal-error
	               */
	const char *phase; /* vmm's own words for the state: "asked to shut down" */
	unsigned resets;
	int64_t started_s; /* wall clock, when run_guest() was called */
};
struct run_status run_status_of(const struct run *run);

#endif
