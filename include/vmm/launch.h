/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: turns a machine into a measured guest. launch/plan.h lists what is measured, launch/digest.h
 * computes the digest of that, and this header has the launch itself: its steps, what this host would refuse,
 * and warnings.
 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdbool.h>

#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/facts.h"
#include "vmm/host.h"
#include "vmm/launch/digest.h"
#include "vmm/launch/plan.h"
#include "vmm/machine.h"
#include "vmm/mirror/runner.h"

/* ---- a launch (launch/launch.c) ---- */

/* The steps at which a launch can be refused, in the order that most launches have. */
enum launch_step {
	LAUNCH_STEP_OPEN,         /* /dev/sev */
	LAUNCH_STEP_CGROUP,       /* joining it */
	LAUNCH_STEP_CREATE,       /* the VM, its memory */
	LAUNCH_STEP_INIT,         /* the context: an ASID */
	LAUNCH_STEP_CERTIFICATES, /* the guest's requests for them are to come to vmm (SEV-SNP) */
	LAUNCH_STEP_VCPUS,
	LAUNCH_STEP_REPORTS, /* of pages that a SEV or SEV-ES guest shares */
	LAUNCH_STEP_MEMORY,  /* pinned (SEV, SEV-ES) or made private (SEV-SNP) */
	LAUNCH_STEP_START,
	LAUNCH_STEP_UPDATE,
	LAUNCH_STEP_VMSA,
	LAUNCH_STEP_HELPER_VMSA, /* the mirror on which the helper runs, and its vCPU's registers (SEV-ES) */
	LAUNCH_STEP_MEASURE,
	LAUNCH_STEP_SECRET,
	LAUNCH_STEP_FINISH,
	LAUNCH_STEP_HELPER, /* the mirror on which it runs (SEV) */
	LAUNCH_STEP_STATUS, /* GUEST_STATUS after any of them */
	/* Of a SEV guest that goes to another host: SEND_START, _UPDATE_DATA, _FINISH or _CANCEL. */
	LAUNCH_STEP_SEND_START,
	LAUNCH_STEP_SEND_PAGE,
	LAUNCH_STEP_SEND_END,
	/* Of one that comes. */
	LAUNCH_STEP_RECEIVE_START,
	LAUNCH_STEP_RECEIVE_PAGE,
	LAUNCH_STEP_RECEIVE_FINISH,
	LAUNCH_STEPS
};

/*
 * SEV and SEV-ES: the firmware's guest states (SEV API, GUEST_STATUS); SEV-SNP has no LSECRET. The last three
 * are of guests on their way to another host and from one.
 */
enum launch_state {
	LAUNCH_UNINIT,
	LAUNCH_LUPDATE,
	LAUNCH_LSECRET,
	LAUNCH_RUNNING,
	LAUNCH_SUPDATE,
	LAUNCH_RUPDATE,
	LAUNCH_SENT
};

struct launch;
struct mirror_helper;

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
 * Begins to launch an incarnation of the guest: a new VM at its reset vector, measured. For a reset the
 * caller ends the incarnation and begins another one on the same machine. Main thread.
 */
void launch_begin(struct launch *launch, struct machine *machine);
/*
 * The same for a guest that another host sends. A SEV guest without sev.helper comes by the secure processor:
 * its launch ends before LAUNCH_START, and launch_receive_start() goes on with it.
 */
void launch_begin_to_receive(struct launch *launch, struct machine *machine);
/*
 * Does the next part of the launch, about as much as one call of the kernel does. Returns one of these, or
 * -1. hold: the guest is to be paused, and its launch waits where its owner may want to take part.
 */
enum launch_next {
	LAUNCH_DONE,  /* the guest can run */
	LAUNCH_MORE,  /* call again */
	LAUNCH_WAITS, /* for files of the guest's owner: call again in LAUNCH_WAIT_NS */
	LAUNCH_HELD,  /* nothing was done: the launch is where that of a paused guest waits */
};
#define LAUNCH_WAIT_NS 50000000
int launch_next(struct launch *launch, bool hold, struct err *err) MUST_CHECK;
/* Which row is at work, or is the next one, for launch_row_facts(). */
unsigned launch_row_at(const struct launch *launch);
/* The incarnation's VM, borrowed; it has its vCPUs from the launch's step "processors" on. NULL: none yet. */
struct machine_vm *launch_vm(const struct launch *launch);
/* The helper of a guest with sev.helper, borrowed, once it has been launched. NULL: there is none. */
struct mirror_helper *launch_helper(const struct launch *launch);
/* Ends the incarnation. Its vCPUs have stopped. Allowed when there is none. */
void launch_end(struct launch *launch);
void launch_destroy(struct launch *launch); /* NULL is allowed */

/* ---- a SEV guest that the secure processor sends or receives (launch/move.c). One thread at a time ---- */

struct call_sev_receiver;

/* Does the guest of this incarnation come, or has it come, by the secure processor? */
bool launch_receives(const struct launch *launch);
/*
 * Begins to receive the guest. ERR_HOST: the firmware refuses, and another session may be tried; or it is in
 * no state for it, and the incarnation is lost. ERR_FAILED: one is received already.
 */
int launch_receive_start(struct launch *launch, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session, struct err *err) MUST_CHECK;
/* Fills a page of the guest. ERR_FAILED: there is none; ERR_HOST: that is no packet of this session. */
int launch_receive_page(struct launch *launch, struct gpa gpa, const struct abi_sev_secret_header *header,
        const void *packet, struct err *err) MUST_CHECK;
/* The guest is complete. */
int launch_receive_finish(struct launch *launch, struct err *err) MUST_CHECK;

/*
 * Begins to send the guest, which may run meanwhile. Whom the receiver's certificates belong to the caller
 * has verified. ERR_HOST: the firmware refuses. After an error launch_send_end() is called as well.
 */
int launch_send_start(struct launch *launch, const struct call_sev_receiver *receiver,
        struct abi_sev_session *ret_session, struct err *err) MUST_CHECK;
/* Makes a packet of PAGE_SIZE_BYTES of a page that is the guest's own. */
int launch_send_page(struct launch *launch, struct gpa gpa, struct abi_sev_secret_header *ret_header,
        void *ret_packet, struct err *err) MUST_CHECK;
/* given: the other host has the guest, which is never sent again. Otherwise it may be. Allowed at any time.
 */
int launch_send_end(struct launch *launch, bool given, struct err *err) MUST_CHECK;

/* ---- what a launch has done so far. Main thread ---- */

enum launch_row_state { LAUNCH_ROW_WAITS, LAUNCH_ROW_RUNS, LAUNCH_ROW_DONE, LAUNCH_ROW_FAILED };

struct launch_row_facts {
	const char *name, *call; /* as launch_step_words() gives them */
	enum launch_row_state state;
	unsigned done, total; /* parts: items of the plan, regions of memory */
	uint64_t ns;          /* how long it has worked or waited */
};
/*
 * Of row i, from 0, of the launch under way, or of the last one. Rows that do nothing for this configuration
 * are among them. False past the last row.
 */
bool launch_row_facts(const struct launch *launch, unsigned i, struct launch_row_facts *ret_facts);
/* The state of the guest's context; LAUNCH_UNINIT for a plain guest. */
enum launch_state launch_state_of(const struct launch *launch);
/* QEMU's word for it: "launch-secret". */
const char *launch_state_word(enum launch_state state);
/* The digest that was computed beforehand. Zeroed for a plain guest. */
const struct launch_digest *launch_digest_of(const struct launch *launch);
/* What LAUNCH_MEASURE gave (SEV, SEV-ES); NULL before, and for other guests. */
const struct abi_sev_measure *launch_measurement_of(const struct launch *launch);
/* The guest's handle (SEV, SEV-ES); 0 before LAUNCH_START, and for other guests. */
uint32_t launch_handle_of(const struct launch *launch);
/* How many secrets of the guest's owner this incarnation got. */
unsigned launch_secrets_of(const struct launch *launch);

/*
 * Gives a SEV or SEV-ES guest in the state LAUNCH_LSECRET a secret of its owner. gpa NULL: the place that the
 * firmware image names. ERR_USAGE: not now, not for this guest, or not there; ERR_HOST: the firmware refuses.
 */
int launch_inject(struct launch *launch, const struct abi_sev_secret_header *header, const void *secret,
        size_t size_bytes, const uint64_t *gpa, struct err *err) MUST_CHECK;
/* The report of a SEV or SEV-ES guest that was launched (SEV API 6.8). ERR_USAGE, ERR_HOST. */
int launch_report(struct launch *launch, const uint8_t nonce[static 16], struct abi_sev_report *ret_report,
        struct err *err) MUST_CHECK;

/*
 * Gives a guest that was launched another size_bytes of RAM. That of a SEV or SEV-ES guest is pinned, that of
 * a SEV-SNP guest private and not validated. ERR_USAGE: the guest cannot have it (machine_vm_plug_find());
 * ERR_HOST: this host does not give it. Nothing has changed then.
 */
int launch_plug(struct launch *launch, uint64_t size_bytes, struct err *err) MUST_CHECK;

/* The facts of the host as they were before the launch; zeroed for a plain guest. */
const struct facts *launch_facts_of(const struct launch *launch);
/* Asks the host for its facts as they are now. */
void launch_ask_facts(const struct launch *launch, struct facts *ret_facts);

/* ---- mirrors of a SEV guest, for helpers of a controller (launch/mirrors.c). Main thread ---- */

#define LAUNCH_MIRRORS_MAX 4

/* on_stop(ctx) is called on a thread of the mirror's when a run of its helper has ended. */
struct launch_mirror_watch {
	void (*on_stop)(void *ctx);
	void *ctx;
};
struct launch_mirror_facts {
	unsigned id;   /* from 1; none is given twice */
	uint64_t told; /* the number of launch_mirror_told(); 0 at first */
	struct mirror_runner_facts facts;
};

/*
 * Makes a mirror with these views, which stands at the entry until it is told to run. It ends when the
 * incarnation does. ERR_USAGE: the guest is not launched, has LAUNCH_MIRRORS_MAX of them, or the arguments
 * are wrong; ERR_HOST: such a guest has no mirrors, or the host gives none.
 */
int launch_mirror_add(struct launch *launch, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, const struct launch_mirror_watch *watch, unsigned *ret_id,
        struct err *err) MUST_CHECK;
/* These do not wait for the helper. ERR_USAGE: there is no such mirror; it runs already; it does not run. */
int launch_mirror_run(struct launch *launch, unsigned id, struct err *err) MUST_CHECK;
int launch_mirror_kick(struct launch *launch, unsigned id, struct err *err) MUST_CHECK;
/* Ends a mirror, also one that runs. ERR_USAGE: there is none. */
int launch_mirror_remove(struct launch *launch, unsigned id, struct err *err) MUST_CHECK;
void launch_mirrors_end(struct launch *launch); /* all of them */
/* How many there are. */
unsigned launch_mirrors(const struct launch *launch);
/* Of the one in place i, from 0. False past the last. */
bool launch_mirror_facts(const struct launch *launch, unsigned i, struct launch_mirror_facts *ret_facts);
/* Keeps how many runs were told of, for whoever tells. */
void launch_mirror_told(struct launch *launch, unsigned id, uint64_t runs);

/* ---- for people ---- */

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

/*
 * Explains why KVM_MEMORY_ENCRYPT_OP refused a command that another program has given: what vmm says when a
 * step of its own launch is refused so. id: of the command; sys: the errno; fw: the firmware's code, 0 if it
 * was not asked. Returns -1.
 */
int launch_explain_command(uint32_t id, enum config_sev_type type, const struct facts *facts, int sys,
        uint32_t fw, struct err *err);

#endif
