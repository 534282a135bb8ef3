/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: the socket by which other programs ask about a guest and steer it. It speaks QMP, the protocol of
 * QEMU's monitor, to several clients at once; docs/control-protocol.md describes it, and control/table.h has
 * its commands and events. Everything here runs on the main thread and its loop. What clients send is
 * hostile: each client's memory and its share of a turn of the loop are bounded.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/control/table.h"
#include "vmm/migrate.h"
#include "vmm/run.h"

struct control;

/* Functions that only the software platform has. The control socket calls them on the main thread. */
struct control_platform {
	bool own_time;                 /* the guest's time is not this computer's */
	uint64_t (*now_ns)(void *ctx); /* the guest's time, from 0 */
	/*
	 * The nth of the calls of this name that come from now on, counted from 1, waits delay_ns and then
	 * fails with the errno sys, or is made if sys is 0. Names are those of traces: "KVM_RUN", "any".
	 */
	int (*fail_call)(
	        void *ctx, const char *call, uint64_t nth, int sys, uint64_t delay_ns, struct err *err);
	/* The same for the firmware's commands ("LAUNCH_START"), which answer with this status code. */
	int (*fail_firmware)(void *ctx, const char *command, unsigned nth, uint32_t code, struct err *err);
	void *ctx;
};

/* The guest and the configuration that a control socket serves. It borrows all of them. */
struct control_place {
	struct run *run;
	struct migrate *migrate;
	const struct config *config;
	const struct control_platform *platform; /* NULL: this is no software platform */
	/* Returns what `vmm host --json` prints; NULL with err. */
	json_t *(*host_report)(void *ctx, struct err *err);
	void *host_ctx;
	int listen_fd; /* a listening socket that vmm inherited; -1: control.socket says where to listen */
};

/*
 * Starts to listen. If neither a descriptor nor control.socket is given, there is no socket, and *ret_control
 * is NULL. A socket file that a dead process left behind is replaced; ERR_USAGE if a living one has it, or if
 * the path is anything else. To be called between run_create() and run_guest().
 */
int control_create(
        const struct control_place *place, struct control **ret_control, struct err *err) MUST_CHECK;
/*
 * Sends what the clients' sockets take at once, disconnects them and removes the socket file. Before
 * run_destroy(). NULL is allowed.
 */
void control_destroy(struct control *control);

/*
 * Returns the first listening socket that systemd or another starter handed over by LISTEN_FDS
 * (sd_listen_fds(3)), or the one that LISTEN_FDNAMES calls "control", and removes these variables from the
 * environment. Returns -1 if there is none. Call it before threads and children exist.
 */
int control_inherited(void);

#endif
