/*
 * launch: from a configuration to a measured guest. The launch plan is data: the exact sequence of what the
 * SEV firmware will measure. One code path makes it; `vmm measure` hashes it and a launch issues it, so what
 * was predicted is what is launched.
 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/abi/ovmf.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"
#include "vmm/attest.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/facts.h"
#include "vmm/host.h"
#include "vmm/machine.h"
#include "vmm/page.h"

/* ---- the firmware image's own tables (edk2 OvmfPkg/ResetVector) ---- */

#define LAUNCH_SECTIONS_MAX 32

/* One entry of the table at the end of the image; value[1] only where the entry has two numbers. */
struct launch_ovmf_entry {
	bool present;
	uint32_t value[2];
};

struct launch_ovmf {
	bool has_table;
	struct launch_ovmf_entry reset;    /* where SEV-ES application processors start: eip */
	struct launch_ovmf_entry secret;   /* where a launch secret goes: base, size; 0, 0: nowhere */
	struct launch_ovmf_entry hashes;   /* where the kernel hashes go: base, size; 0, 0: nowhere */
	struct launch_ovmf_entry metadata; /* where the sections lie: offset from the end of the image */
	struct abi_ovmf_section sections[LAUNCH_SECTIONS_MAX]; /* in the image's order, none empty */
	unsigned section_count;
};

/*
 * Reads the tables of an image of any content. An image without them is not an error here (has_table is
 * false); a table that contradicts itself is ERR_USAGE.
 */
int launch_ovmf_parse(
        const void *image, size_t image_bytes, struct launch_ovmf *ret_ovmf, struct err *err) MUST_CHECK;

/* ---- the VMSA of a vCPU that KVM has reset (APM volume 2, table B-4) ---- */

struct launch_vmsa {
	uint32_t eip;           /* first instruction: cs.base is its upper, rip its lower half */
	uint32_t cpu_signature; /* CPUID.1:EAX, which a processor leaves in RDX at reset */
	uint64_t sev_features;
	bool legacy_init; /* KVM_SEV_ES_INIT: KVM leaves the FPU fields zero */
};

#define LAUNCH_RESET_EIP 0xfffffff0u /* of the boot processor */

void launch_vmsa_fill(const struct launch_vmsa *from, struct abi_vmsa *ret_vmsa);

/* The fields by name, for people: every field that a register of a fresh vCPU can reach. */
struct launch_vmsa_field {
	const char *name; /* "cs.base" */
	uint16_t offset, size;
	uint64_t reset; /* under KVM, when QEMU's or our reset state was set */
};
extern const struct launch_vmsa_field launch_vmsa_fields[];
extern const size_t launch_vmsa_field_count;

/* ---- kernel hashes (edk2 BlobVerifierLibSevHashes) ---- */

/*
 * The table that the firmware compares with what fw_cfg hands it. The kernel's hash is that of the file:
 * setup header and kernel go to the guest unchanged, joined they are the file again. cmdline is hashed with
 * its NUL; no initrd (NULL, 0) hashes as empty. crypto_load() must have succeeded.
 */
void launch_hashes_fill(const void *kernel, size_t kernel_bytes, const void *initrd, size_t initrd_bytes,
        const char *cmdline, struct abi_hashes *ret_hashes);

/* ---- the plan ---- */

struct launch_item {
	const char *name;        /* "firmware", "memory", "kernel hashes", "VMSA", ...; static text */
	enum abi_page_type type; /* SEV, SEV-ES: NORMAL is LAUNCH_UPDATE_DATA, VMSA is LAUNCH_UPDATE_VMSA */
	struct gpa gpa;          /* of a VMSA: ABI_VMSA_GPA */
	uint64_t size_bytes;     /* whole pages, but for the kernel hashes of SEV and SEV-ES */
	const void *data;        /* size_bytes of contents, borrowed; NULL: zero, or filled by the firmware */
	unsigned vcpu;           /* whose VMSA, from 0 */
};

#define LAUNCH_ITEMS_MAX (2 + LAUNCH_SECTIONS_MAX + CONFIG_VCPUS_MAX)

/* Borrows the files it was made from: they must outlive it. */
struct launch_plan {
	enum config_sev_type type;
	uint64_t policy;
	unsigned vcpus;
	struct launch_vmsa vmsa; /* of the boot processor; the others differ in eip only */
	struct launch_ovmf ovmf;
	bool hashed; /* are the kernel hashes part of it? */
	struct abi_hashes hashes;
	struct launch_item items[LAUNCH_ITEMS_MAX]; /* in the order of the launch */
	unsigned count;
	/* What items point to. */
	struct abi_vmsa bsp, ap;
	uint8_t hash_page[PAGE_SIZE_BYTES];
};

/* A file's contents; the launch's inputs beside the configuration. */
struct launch_file {
	void *data;
	size_t size_bytes;
};

struct launch_files {
	struct launch_file firmware, kernel, initrd; /* data NULL: not configured */
};

/*
 * Reads, once, the files that the configuration names. They are read into memory and not mapped, also of a
 * plain guest: who changes or cuts a mapped file changes the guest, or kills vmm (SIGBUS). On failure
 * ret_files is zeroed.
 */
int launch_files_read(
        const struct config *config, struct launch_files *ret_files, struct err *err) MUST_CHECK;
void launch_files_finish(struct launch_files *files);

/*
 * ERR_USAGE if the configuration contradicts itself or the image cannot be launched that way; the text names
 * the remedy. sev.init "auto" counts as KVM_SEV_INIT2. The plan is the caller's to destroy, before the files.
 */
int launch_plan_make(const struct config *config, const struct launch_files *files,
        struct launch_plan **ret_plan, struct err *err) MUST_CHECK;
void launch_plan_destroy(struct launch_plan *plan); /* NULL is allowed */

/* ---- the digest ---- */

struct launch_digest {
	uint8_t bytes[SHA384_BYTES];
	unsigned size_bytes; /* 48 for SEV-SNP, 32 for SEV and SEV-ES */
};

/* Callbacks for a caller that wants to see how a digest is computed; each may be NULL. */
struct launch_watch {
	/* Before a page (or less, at the end of an item) is hashed. */
	void (*on_page)(void *ctx, const struct launch_item *item, uint64_t offset_bytes);
	void *ctx;
};

struct launch_hasher;

/* type: SEV, SEV-ES or SEV-SNP. watch is borrowed, NULL: nobody. */
int launch_hasher_create(enum config_sev_type type, const struct launch_watch *watch,
        struct launch_hasher **ret_hasher, struct err *err) MUST_CHECK;
void launch_hasher_add(struct launch_hasher *hasher, const struct launch_item *item);
/* The digest of all items so far; more may follow. */
int launch_hasher_value(
        struct launch_hasher *hasher, struct launch_digest *ret_digest, struct err *err) MUST_CHECK;
void launch_hasher_destroy(struct launch_hasher *hasher); /* NULL is allowed */

/* The digest of a whole plan. */
int launch_plan_digest(const struct launch_plan *plan, const struct launch_watch *watch,
        struct launch_digest *ret_digest, struct err *err) MUST_CHECK;

/* ---- a launch (launch/launch.c) ---- */

/* What a launch does, in the order of most: the places at which it can be refused. */
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
 * Reads what the configuration names, makes the plan, asks the host and judges (launch_findings()); nothing
 * irreversible happens yet. ERR_USAGE or ERR_HOST with the first reason why the launch would be refused.
 * host, config's strings and process are borrowed; process NULL: this process's own facts.
 */
int launch_create(struct host *host, const struct config *config, const struct facts_process *process,
        struct launch **ret_launch, struct err *err) MUST_CHECK;
/* The files as the launch has read them, once, and measures them; as long as the launch. */
struct machine_files launch_machine_files(const struct launch *launch);
/* launch_create() that goes on where the host would refuse: for launch_findings(). */
int launch_create_unjudged(struct host *host, const struct config *config,
        const struct facts_process *process, struct launch **ret_launch, struct err *err) MUST_CHECK;
/*
 * One incarnation: a new VM at its reset vector, launched and measured. A reset is another one under the same
 * machine. The VM is the caller's to destroy, before the launch. Main thread.
 */
int launch_guest(struct launch *launch, struct machine *machine, struct machine_vm **ret_vm,
        struct err *err) MUST_CHECK;
void launch_destroy(struct launch *launch); /* NULL is allowed */

/* NULL for a plain guest, which has no plan. */
const struct launch_plan *launch_plan_of(const struct launch *launch);
const struct launch_digest *launch_digest_of(const struct launch *launch);
/* The steps, for people: name and kernel call of row i; false past the last. */
bool launch_step_words(const struct launch *launch, unsigned i, const char **ret_name, const char **ret_call);

/* ---- preflight (launch/preflight.c) ---- */

#define LAUNCH_FINDINGS_MAX 24

/* Why a launch would be refused: each is a sentence with cause and remedy. */
struct launch_findings {
	struct err list[LAUNCH_FINDINGS_MAX];
	unsigned count;
};

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
/* The warnings of a launch, including what its host may refuse although no known fact decides it. */
const struct launch_findings *launch_warnings(const struct launch *launch);
/*
 * Reads all files that config names, once, and tells every mistake that they show, with the key at fault in
 * front ("boot.kernel: ..."), and the warnings. Files that cannot be read are config_check_files()'s to tell.
 */
void launch_check(const struct config *config, struct launch_findings *ret_mistakes,
        struct launch_findings *ret_warnings);

#endif
