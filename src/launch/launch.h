/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: what the files of this room share of a launch under way. Main thread.
 */
#ifndef VMM_LAUNCH_LAUNCH_H
#define VMM_LAUNCH_LAUNCH_H

#include <stdatomic.h>
#include <time.h>

#include "vmm/abi/id_block.h"
#include "vmm/call.h"
#include "vmm/launch.h"
#include "vmm/machine.h"
#include "vmm/mirror/helper.h"
#include "vmm/uapi.h"

/* ---- what the configuration brings beside the plan ---- */

struct launch_options {
	struct launch_file dh_cert, session; /* SEV, SEV-ES: from the guest's owner */
	bool has_id;                         /* SEV-SNP: block and auth are filled */
	struct abi_id_block block;
	struct abi_id_auth auth;
	uint8_t host_data[UAPI_SNP_HOST_DATA_BYTES];
};

/* digest: what the ID block of sev.enforce-digest is made for. */
int launch_options_read(const struct config *config, const struct launch_digest *digest,
        struct launch_options *ret_options, struct err *err) MUST_CHECK;
/* A part each: *ret_file is left alone where config names no such file. */
int launch_dh_cert_read(
        const struct config *config, struct launch_file *ret_file, struct err *err) MUST_CHECK;
int launch_session_read(
        const struct config *config, struct launch_file *ret_file, struct err *err) MUST_CHECK;
void launch_options_finish(struct launch_options *options);

/* ---- fit.c ---- */

/*
 * Refuses a guest whose memory certainly cannot hold kernel and initial RAM disk while the firmware starts
 * the kernel. ERR_USAGE, beginning with the key.
 */
int launch_fit(const struct config *config, const struct launch_files *files, struct err *err) MUST_CHECK;

/* ---- a guest's launches ---- */

/* How far a row of the launch has come. */
struct launch_progress {
	enum launch_row_state state;
	unsigned done, total; /* parts */
	uint64_t began_ns, ns;
};
#define LAUNCH_ROWS_MAX 15

/* One incarnation, in the making or made. */
struct launch_work {
	struct launch *launch;
	struct machine *machine; /* NULL: there is none */
	struct machine_vm *vm;
	struct mirror_helper *helper; /* NULL: there is none; it is ended before vm */
	struct call_sev sev;
	unsigned row, part; /* the next row to be done, and how many of its parts were done */
	struct launch_progress progress[LAUNCH_ROWS_MAX];
	bool receives; /* the guest comes by the secure processor: the rows end before LAUNCH_START */
	_Atomic enum launch_state state;
	_Atomic uint32_t handle;
	void *staging;                  /* SEV-SNP: where the kernel copies contents from */
	struct abi_sev_measure measure; /* SEV, SEV-ES: after LAUNCH_MEASURE */
	struct timespec measured;       /* by the clock of file systems */
	unsigned secrets;
};

/* A mirror of the incarnation that a controller has made. */
struct launch_mirror {
	struct mirror_runner *runner; /* NULL: there is none in this place */
	unsigned id;
	uint64_t told;
};

struct launch {
	struct host *host;
	struct config config;                /* borrowed strings; sev.init is never "auto" */
	const struct facts_process *process; /* borrowed; NULL: this process itself */
	struct facts facts;
	struct launch_files files;
	struct launch_plan *plan; /* NULL: a plain guest */
	struct launch_digest digest;
	struct launch_options options;
	struct launch_findings warnings;
	unsigned vcpu_files; /* as in facts_process */
	int sev_fd;          /* from the first launch on */
	bool in_cgroup;
	struct launch_work work;
	struct launch_mirror mirrors[LAUNCH_MIRRORS_MAX];
	unsigned mirrors_made; /* so many had an id */
};

/*
 * Does the next part of a row. Returns what launch_next() returns for it: LAUNCH_DONE when the row is done,
 * LAUNCH_MORE when a part of it is, LAUNCH_WAITS; -1 with err set.
 */
typedef int launch_step_fn(struct launch_work *work, struct err *err);

/* A row of a launch: steps in their order. */
struct launch_row {
	const char *name; /* for people: "context" */
	const char *call; /* what it asks the kernel for, above all */
	enum launch_step step;
	launch_step_fn *fn;
	enum launch_state state; /* of the guest's context afterwards */
	bool held;               /* a guest that is paused waits before it */
};

/* Each ends with a row without a name. */
extern const struct launch_row launch_rows_none[], launch_rows_sev[], launch_rows_snp[];
const struct launch_row *launch_rows(enum config_sev_type type);
const char *launch_state_name(enum launch_state state);
/* What the row asks the kernel for in this launch. */
const char *launch_row_call(const struct launch *launch, const struct launch_row *row);
/* The end of a part, of total ones that the row has: returns LAUNCH_DONE for the last one, else LAUNCH_MORE.
 */
int launch_parts(struct launch_work *work, unsigned total);

/*
 * work.c: asks the firmware of SEV and SEV-ES whether the guest is in this state and has the policy of the
 * configuration. after: what was done, for the error.
 */
int launch_check_state(const struct launch_work *work, enum launch_state state, const char *after,
        struct err *err) MUST_CHECK;

/* ---- steps.c: steps that generations share ---- */

/* Opens /dev/sev, once a launch. */
int launch_open_device(struct launch_work *work, struct err *err) MUST_CHECK;
/* Moves this process into the cgroup that the configuration names, if it names one. */
int launch_join_cgroup(struct launch_work *work, struct err *err) MUST_CHECK;
/* The type of KVM's VMs for this guest (enum uapi_vm_type). */
unsigned launch_vm_type(const struct config *config);
/* Makes the VM and its memory. */
int launch_create_vm(struct launch_work *work, struct err *err) MUST_CHECK;
/* Makes the guest's context, which takes an ASID. */
int launch_init(struct launch_work *work, struct err *err) MUST_CHECK;
/* Adds the vCPUs and gives them the registers of the measured VMSAs. */
int launch_add_vcpus(struct launch_work *work, struct err *err) MUST_CHECK;

/* How many items of a plan are contents; those behind them are the VMSAs. */
unsigned launch_contents(const struct launch_plan *plan);

/* ---- step_sev.c: the steps of SEV and SEV-ES ---- */

/* With sev.page-status: has the guest's reports of shared pages, and its word on migration, come to vmm. */
int launch_sev_ask_reports(struct launch_work *work, struct err *err) MUST_CHECK;
/* Pins guest memory, which the firmware encrypts where it lies. */
int launch_sev_pin_memory(struct launch_work *work, struct err *err) MUST_CHECK;
/* LAUNCH_START, with the guest owner's session if there is one. */
int launch_sev_start(struct launch_work *work, struct err *err) MUST_CHECK;
/* LAUNCH_UPDATE_DATA for each item of the plan. */
int launch_sev_update(struct launch_work *work, struct err *err) MUST_CHECK;
/* LAUNCH_UPDATE_VMSA for all vCPUs of a SEV-ES guest. */
int launch_sev_update_vmsa(struct launch_work *work, struct err *err) MUST_CHECK;
/* LAUNCH_MEASURE; the measurement goes to the file of sev.measurement. */
int launch_sev_measure(struct launch_work *work, struct err *err) MUST_CHECK;
/* LAUNCH_SECRET with the guest owner's secret, which may be waited for. */
int launch_sev_secret(struct launch_work *work, struct err *err) MUST_CHECK;
/*
 * With sev.helper: make the mirror on which the helper runs. That of a SEV guest is made when it has been
 * launched; that of a SEV-ES guest after the guest's own LAUNCH_UPDATE_VMSA, so that its vCPU is measured.
 */
int launch_sev_measure_helper(struct launch_work *work, struct err *err) MUST_CHECK;
int launch_sev_start_helper(struct launch_work *work, struct err *err) MUST_CHECK;
/* The guest as a mirror wants it. The caller closes kvm_fd. */
int launch_mirror_guest(
        const struct launch_work *work, struct mirror_guest *ret_guest, struct err *err) MUST_CHECK;
/* LAUNCH_FINISH. */
int launch_sev_finish(struct launch_work *work, struct err *err) MUST_CHECK;

/* ---- certificates.c ---- */

/*
 * Checks what sev.certificates names, as a verifier would need it; warns of what is missing. Files that
 * somebody has locked are not looked at. ERR_USAGE, ERR_HOST, beginning with the key.
 */
int launch_certificates_check(const char *path, struct err *err) MUST_CHECK;

/* ---- step_snp.c: the steps of SEV-SNP ---- */

/* Has requests for certificates come to vmm, if the configuration names some. */
int launch_snp_ask_certificates(struct launch_work *work, struct err *err) MUST_CHECK;

/* Makes all guest memory private, and has the guest's wishes for shared pages reported to vmm. */
int launch_snp_own_memory(struct launch_work *work, struct err *err) MUST_CHECK;
/* SNP_LAUNCH_START. */
int launch_snp_start(struct launch_work *work, struct err *err) MUST_CHECK;
/* SNP_LAUNCH_UPDATE for each item of the plan, except for the VMSAs. */
int launch_snp_update(struct launch_work *work, struct err *err) MUST_CHECK;
/* SNP_LAUNCH_FINISH, with the ID block if there is one. KVM measures the VMSAs here. */
int launch_snp_finish(struct launch_work *work, struct err *err) MUST_CHECK;

/* ---- vcpu_state.c: the registers that KVM builds a measured VMSA from ---- */

void launch_vcpu_regs(const struct abi_vmsa *vmsa, struct kvm_regs *ret_regs);
/* sregs: as KVM gave them. Those that a VMSA contains are replaced. */
void launch_vcpu_sregs(const struct abi_vmsa *vmsa, struct kvm_sregs *sregs);

/* ---- cpuid_page.c (SNP ABI 8.17.2.6) ---- */

/* ERR_FAILED: the table has more entries than the page. */
int launch_cpuid_page_fill(
        const struct machine_cpuid *cpuid, struct abi_cpuid_page *ret_page, struct err *err) MUST_CHECK;
/*
 * What the firmware changed, a line a changed register to the log at that level ("CPUID 80000008 ECX: 0x7 ->
 * 0x3, bits 2"). Returns how many registers changed; -1: the answer is not a valid page.
 */
int launch_cpuid_page_tell(
        const struct abi_cpuid_page *asked, const struct abi_cpuid_page *answer, enum log_level level);

/* ---- secret.c ---- */

/* Writes the measurement where the owner looks for it; nothing without sev.measurement. */
int launch_measure_write(
        const struct config *config, const struct abi_sev_measure *measure, struct err *err) MUST_CHECK;

struct launch_secret {
	struct abi_sev_secret_header header;
	void *packet;
	size_t size_bytes;
	struct gpa gpa;
};

/*
 * Looks for the guest owner's files, which must be younger than the measurement. Returns LAUNCH_DONE if they
 * are there, LAUNCH_WAITS if they may still come, -1. looks: how often this was asked before.
 */
int launch_secret_look(const struct config *config, const struct timespec *measured, unsigned looks,
        struct err *err) MUST_CHECK;
/* Reads them. The caller finishes *ret_secret, which is zeroed, also after an error. */
int launch_secret_read(const struct config *config, const struct launch_plan *plan,
        struct launch_secret *ret_secret, struct err *err) MUST_CHECK;
/* Can a secret have this size? The error's text begins with a verb. */
int launch_secret_check(size_t size_bytes, struct err *err) MUST_CHECK;
/* The place that the firmware image has for a secret of this size. */
int launch_secret_place(
        const struct launch_plan *plan, size_t size_bytes, struct gpa *ret_gpa, struct err *err) MUST_CHECK;
void launch_secret_finish(struct launch_secret *secret);

/* ---- preflight.c, limits.c, owner.c ---- */

/* A check that can refuse a launch of these types; the error gives the reason. */
struct launch_check_row {
	unsigned types; /* CONFIG_FOR() */
	int (*fn)(const struct launch *launch, struct err *err);
};

/* Adds what the rows for this launch's type find. */
void launch_run_checks(const struct launch *launch, const struct launch_check_row *check, size_t count,
        struct launch_findings *findings);

/* Adds warnings of what this host may refuse; nothing that is known decides it. */
void launch_doubt(const struct launch *launch, struct launch_findings *warnings);
/* Adds what limits of this process would refuse. */
void launch_limits(const struct launch *launch, struct launch_findings *findings);
/* Adds what is wrong with the owner's files: ID block, session, secret. Of launch, facts are not looked at.
 */
void launch_owner_findings(const struct launch *launch, struct launch_findings *findings);

/* ---- reason.c ---- */

/* Adds the cause and the remedy to the error of a step. Returns -1. */
int launch_explain(
        enum launch_step step, enum config_sev_type type, const struct facts *facts, struct err *err);

#endif
