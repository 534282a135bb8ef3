/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: a guest's life, from its launch to the exit status: vCPU threads, exits, console, signals. What a
 * controller says to a living guest and hears of it is in run/command.h, what it can know of it in
 * run/facts.h.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/facts.h"
#include "vmm/host.h"

struct run;

struct run_script;

/*
 * What the guest's first serial port is connected to. Descriptors and script are borrowed; -1: to nothing.
 */
struct run_console_io {
	int in, out;
	bool escape; /* Ctrl-] q quits, Ctrl-] s shows the status; for a terminal in raw mode */
	const struct run_script *script; /* waits for the guest's output and types; NULL: none */
};

/* Where a guest runs; everything is borrowed. */
struct run_place {
	struct host *host;
	const struct device_clock *clock;    /* of hosts with a time of their own; NULL: this computer's */
	const struct facts_process *process; /* NULL: this process's own limits and cgroup */
	bool arrives;                        /* the guest comes from another vmm (vmm/run/command.h) */
	bool controlled;                     /* controllers will speak to it */
};

/*
 * Makes the machine of a configuration. Fails if the launch would be refused. place and config are borrowed.
 * From here until run_destroy(), run_guest() takes the signals SIGTERM, SIGINT and SIGHUP, and the calling
 * thread must be the only one.
 */
int run_create(const struct run_place *place, const struct config *config,
        const struct run_console_io *console, struct run **ret_run, struct err *err) MUST_CHECK;
/*
 * Launches the guest and runs it to its end. Returns 0 if the guest shut down or the user quit. Otherwise -1:
 * ERR_GUEST if the guest crashed, another kind if vmm or the host failed. run_report() has more.
 */
int run_guest(struct run *run, struct err *err) MUST_CHECK;
/*
 * The registers of the vCPU that crashed or that KVM gave up on, or the last output of a guest that did not
 * do what the script expected, as lines of text; "" if there is nothing to report.
 */
const char *run_report(const struct run *run);
void run_destroy(struct run *run); /* NULL is allowed */

/* ---- scripts: what `vmm run --expect` waits for and types; vmm(1) describes the file ---- */

/* ERR_USAGE with "PATH:LINE:COLUMN: ..." for the first mistake of the file. */
int run_script_load(const char *path, struct run_script **ret_script, struct err *err) MUST_CHECK;
void run_script_destroy(struct run_script *script); /* NULL is allowed */

#endif
