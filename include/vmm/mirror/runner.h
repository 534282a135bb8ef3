/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror/runner: a mirror with a thread of its own, for helpers that nobody waits for. The thread runs the
 * mirror when it is told to, and says when the helper has stopped. A helper that loops for ever costs this
 * thread alone. All functions are the owner's, on one thread.
 */
#ifndef VMM_MIRROR_RUNNER_H
#define VMM_MIRROR_RUNNER_H

#include "vmm/mirror.h"

struct mirror_runner;

enum mirror_runner_state {
	MIRROR_RUNNER_READY,  /* it stands at its entry */
	MIRROR_RUNNER_RUNS,   /* or is about to */
	MIRROR_RUNNER_HALTED, /* the next run goes on behind the HLT */
	MIRROR_RUNNER_KICKED, /* the next run goes on where it was */
	MIRROR_RUNNER_FAILED, /* it never runs again */
	MIRROR_RUNNER_STATES
};

struct mirror_runner_facts {
	enum mirror_runner_state state;
	uint64_t runs;  /* how often it was told to run */
	char text[600]; /* why it failed; "" otherwise */
};

/*
 * Makes the mirror and its thread. on_stop(ctx) is called on that thread when a run has ended, and must not
 * call back. Errors as mirror_create(); ERR_FAILED also if there is no thread.
 */
int mirror_runner_create(const struct mirror_guest *guest, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, void (*on_stop)(void *ctx), void *ctx,
        struct mirror_runner **ret_runner, struct err *err) MUST_CHECK;
/* Lets the mirror run. ERR_USAGE: it runs, or has failed. */
int mirror_runner_go(struct mirror_runner *runner, struct err *err) MUST_CHECK;
/* Has a run that is under way end soon. false: none is. */
bool mirror_runner_kick(struct mirror_runner *runner);
struct mirror_runner_facts mirror_runner_facts(struct mirror_runner *runner);
/* Ends the run that is under way, the thread and the mirror; waits for it. NULL is allowed. */
void mirror_runner_destroy(struct mirror_runner *runner);

#endif
