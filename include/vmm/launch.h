/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: turns a machine into a measured guest. launch/plan.h lists what is measured, launch/digest.h
 * computes the digest of that, and this header has the launch itself: its steps, what this host would refuse,
 * and warnings.
 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdbool.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/facts.h"
#include "vmm/host.h"
#include "vmm/launch/digest.h"
#include "vmm/launch/plan.h"
#include "vmm/machine.h"

/* ---- a launch (launch/launch.c) ---- */

/* The steps at which a launch can be refused, in the order that most launches have. */
enum launch_step {
	LAUNCH_STEP_OPEN,   /* /dev/sev */
	LAUNCH_STEP_CGROUP, /* joining it */
	LAUNCH_STEP_CREATE, /* the VM, its memory */
	LAUNCH_STEP_INIT,   /* the context: an ASID */
	LAUNCH_STEP_VCPUS,
	LAUNCH_STEP_MEMORY, /* pinned (SEV, SEV-ES) or made private (SEV-SNP) */
	LAUNCH_STEP_START,
	LAUNCH_STEP_UPDATE,
	LAUNCH_STEP_VMSA,
	LAUNCH_STEP_MEASURE,
	LAUNCH_STEP_SECRET,
	LAUNCH_STEP_FINISH,
	LAUNCH_STEP_STATUS, /* GUEST_STATUS after any of them */
	LAUNCH_STEPS
};

/* SEV and SEV-ES: the firmware's guest states (SEV API, GUEST_STATUS); SEV-SNP has no LSECRET. */
enum launch_state { LAUNCH_UNINIT, LAUNCH_LUPDATE, LAUNCH_LSECRET, LAUNCH_RUNNING };

struct launch;

/*
 * Reads the files that the configuration names, makes the plan, asks the host for its facts and judges them
 * (launch_findings()). Nothing irreversible happens yet. ERR_USAGE or ERR_HOST with the first reason why the
 * launch would be refused. host, config's strings and process are borrowed; process NULL: the facts of this
 * process.
 */
int launch_create(struct host *host, const struct config *config, const struct facts_process *process,
        struct launch **ret_launch, struct err *err) MUST_CHECK;
/* Returns the files as the launch has read and measured them. They live as long as the launch. */
struct machine_files launch_machine_files(const struct launch *launch);
/*
 * Does what launch_create() does, except that a host that would refuse the launch is no error; for
 * launch_findings().
 */
int launch_create_unjudged(struct host *host, const struct config *config,
        const struct facts_process *process, struct launch **ret_launch, struct err *err) MUST_CHECK;
/*
 * Launches one incarnation of the guest: a new VM at its reset vector, measured. For a reset the caller ends
 * that incarnation and launches another one under the same machine. The caller destroys the VM, before the
 * launch. Main thread.
 */
int launch_guest(struct launch *launch, struct machine *machine, struct machine_vm **ret_vm,
        struct err *err) MUST_CHECK;
void launch_destroy(struct launch *launch); /* NULL is allowed */

/* Returns the plan, which lives as long as the launch. NULL for a plain guest, which has no plan. */
const struct launch_plan *launch_plan_of(const struct launch *launch);
/* Gives the name and the kernel call of step i, from 0, for people. False past the last step. */
bool launch_step_words(const struct launch *launch, unsigned i, const char **ret_name, const char **ret_call);

/* ---- preflight (launch/preflight.c) ---- */

#define LAUNCH_FINDINGS_MAX 24

/* The reasons why a launch would be refused: each is a sentence with cause and remedy. */
struct launch_findings {
	struct err list[LAUNCH_FINDINGS_MAX];
	unsigned count;
};

/* Finds every reason that the facts of the host and the process give. */
void launch_findings(const struct launch *launch, struct launch_findings *ret_findings);

/* ---- what a configuration and its files show on any host (launch/judge.c, launch/check.c) ---- */

/*
 * Warns of a configuration that is measured without an error but protects nothing, or that starts but never
 * prints anything. Each warning is a sentence with a remedy. files: those that config names; without a
 * firmware image there are no warnings.
 */
void launch_judge(
        const struct config *config, const struct launch_files *files, struct launch_findings *ret_warnings);
/* Writes the warnings to the log, a line each. */
void launch_warn(const struct launch_findings *warnings);
/* Returns the warnings of a launch, including what its host may refuse although no known fact decides it. */
const struct launch_findings *launch_warnings(const struct launch *launch);
/*
 * Reads all files that config names, each once, and finds every mistake in them, with the key at fault in
 * front ("boot.kernel: ..."), and the warnings. It says nothing about files that cannot be read:
 * config_check_files() does.
 */
void launch_check(const struct config *config, struct launch_findings *ret_mistakes,
        struct launch_findings *ret_warnings);

#endif
