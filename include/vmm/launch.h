/*
 * launch: from a configuration to a measured guest. The launch plan is data: the exact sequence of what the
 * SEV firmware will measure. One code path makes it; `vmm measure` hashes it and a launch issues it, so what
 * was predicted is what is launched.
 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/abi/id_block.h"
#include "vmm/abi/key.h"
#include "vmm/abi/ovmf.h"
#include "vmm/abi/snp.h"
#include "vmm/abi/vmsa.h"
#include "vmm/attest.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/host.h"
#include "vmm/machine.h"
#include "vmm/page.h"
#include "vmm/uapi.h"

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

/* Who wants to see how a digest comes about; each function may be NULL. */
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

/* ---- ID block: the firmware refuses a guest whose digest is another (SNP ABI 8.18) ---- */

#define LAUNCH_ID_FILE_MAX_BYTES KIB(16)

/* A private ECDSA P-384 key. */
struct launch_id_key;

/* From a PEM file without a password. ERR_USAGE with the remedy if it holds no such key. */
int launch_id_key_read(const char *path, struct launch_id_key **ret_key, struct err *err) MUST_CHECK;
/* A new one, in memory only. */
int launch_id_key_generate(struct launch_id_key **ret_key, struct err *err) MUST_CHECK;
/* Wipes it. NULL is allowed. */
void launch_id_key_destroy(struct launch_id_key *key);

/* Signs the block, and with author (NULL: none) the ID key. */
int launch_id_sign(const struct abi_id_block *block, const struct launch_id_key *id,
        const struct launch_id_key *author, struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;
/*
 * A block that lets only this digest and policy run, signed with a key that is wiped before this returns:
 * who launched need not be believed, but what was launched cannot be another. For sev.enforce-digest.
 */
int launch_id_make(const struct launch_digest *digest, uint64_t policy, struct abi_id_block *ret_block,
        struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;

/* From a file: the bare structure, or Base64 of it in lines of any length, or hexadecimal. ERR_USAGE
 * otherwise. */
int launch_id_block_read(const char *path, struct abi_id_block *ret_block, struct err *err) MUST_CHECK;
int launch_id_auth_read(const char *path, struct abi_id_auth *ret_auth, struct err *err) MUST_CHECK;

/* Is there an author key in it? */
bool launch_id_has_author(const struct abi_id_auth *auth);
/* SHA-384 of a key: ID_KEY_DIGEST and AUTHOR_KEY_DIGEST of the attestation report. */
void launch_id_key_digest(const struct abi_public_key *key, uint8_t ret_digest[static SHA384_BYTES]);
/* Would the firmware take block and signatures? ERR_USAGE says which of its checks fails. */
int launch_id_verify(
        const struct abi_id_block *block, const struct abi_id_auth *auth, struct err *err) MUST_CHECK;
/* Would it take a guest of this digest and policy with them? ERR_USAGE says what differs. */
int launch_id_match(const struct abi_id_block *block, const struct launch_digest *digest, uint64_t policy,
        struct err *err) MUST_CHECK;

/* ---- what this host can do (launch/facts.c) ---- */

/* What no descriptor tells of a process and of its host's KVM. Strings are borrowed; "" means there is none.
 */
struct launch_process {
	const char *cgroup;     /* the folder whose misc controller counts this process's guests */
	uint32_t hiding_asids;  /* kvm_amd.ciphertext_hiding_asids; 0: off, or not to be seen */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: none, or CAP_IPC_LOCK is held */
	bool smt;               /* simultaneous multithreading is on */
	unsigned linux_version; /* LAUNCH_LINUX() of the host's kernel; 0: not known */
	unsigned vcpu_files;    /* descriptors of this process that a vCPU takes */
};

#define LAUNCH_LINUX(major, minor) ((unsigned)(major) << 16 | (minor))

/*
 * This process's own. join: the folder of another cgroup that the process will be in (the key cgroup), or "".
 * ret_process points into static storage: one thread.
 */
void launch_process_own(const char *join, struct launch_process *ret_process);

/* The ASIDs of a kind, as its misc controller and CPUID tell. */
struct launch_asids {
	uint64_t limit; /* of this host; 0: it has none of this kind */
	uint64_t used;  /* by all guests, as far as can be seen */
	uint64_t free;  /* for one more guest of this process */
	bool used_known, free_known;
	char limiting[160]; /* the cgroup whose limit free comes from; "": none limits more than the host */
	const char *why;    /* why used or free are not known; NULL: they are */
};

enum launch_asid_kind { LAUNCH_ASIDS_SEV, LAUNCH_ASIDS_ES, LAUNCH_ASIDS_SNP, LAUNCH_ASID_KINDS };

struct launch_facts {
	struct err
	        kvm; /* kind ERR_NONE: /dev/kvm is usable; otherwise nothing below but the device is known */
	uint32_t vm_types;       /* a bit each, enum uapi_vm_type */
	bool has_init2;          /* KVM_SEV_INIT2, Linux 6.10 */
	bool has_private_memory; /* guest_memfd, its slots and attributes */
	bool has_conversion;     /* KVM_CAP_EXIT_HYPERCALL */
	bool features_known, policy_known, certs_known;
	uint64_t vmsa_features, policy_bits, req_certs;
	uint32_t cpu_signature; /* CPUID.1:EAX of the host */
	enum attest_product product;
	uint32_t sev_eax; /* CPUID 8000001F: generations */
	unsigned c_bit, reduced_bits;
	uint32_t sev_asid_max, sev_asid_min; /* ECX, EDX */

	struct err device; /* kind ERR_NONE: /dev/sev was opened */
	struct err status; /* of SEV_PLATFORM_STATUS; kind ERR_NONE: below is known */
	uint8_t api_major, api_minor, build, state;
	bool owned, es_initialised;
	uint32_t guests;
	struct err snp_status; /* of SNP_PLATFORM_STATUS; kind ERR_NONE: below is known */
	struct uapi_sev_snp_status snp;

	uint32_t hiding_asids; /* as in launch_process */
	struct launch_asids asids[LAUNCH_ASID_KINDS];
	uint64_t memlock_bytes; /* as in launch_process */
	bool smt;               /* as in launch_process */
	unsigned linux_version; /* as in launch_process */
};

/* The oldest firmware with which Linux initialises SEV-SNP: drivers/crypto/ccp, SNP_MIN_API_MAJOR and _MINOR.
 */
#define LAUNCH_SNP_API_MAJOR 1
#define LAUNCH_SNP_API_MINOR 51
#define LAUNCH_SNP_API       "1.51"
/* Is the firmware known, and older than that? */
bool launch_firmware_is_too_old(const struct launch_facts *facts);

/* Asks everything that costs nothing and changes nothing. Never fails: what is not to be had says why. */
void launch_facts_gather(
        struct host *host, const struct launch_process *process, struct launch_facts *ret_facts);
enum launch_asid_kind launch_asid_kind(enum config_sev_type type);

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
int launch_create(struct host *host, const struct config *config, const struct launch_process *process,
        struct launch **ret_launch, struct err *err) MUST_CHECK;
/* The files as the launch has read them, once, and measures them; as long as the launch. */
struct machine_files launch_machine_files(const struct launch *launch);
/* launch_create() that goes on where the host would refuse: for launch_findings(). */
int launch_create_unjudged(struct host *host, const struct config *config,
        const struct launch_process *process, struct launch **ret_launch, struct err *err) MUST_CHECK;
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
 * What measures well and protects nothing, or starts and says nothing: warnings, each a sentence with a
 * remedy. files: those that config names; without a firmware image nothing is said.
 */
void launch_judge(
        const struct config *config, const struct launch_files *files, struct launch_findings *ret_warnings);
/* Says them, a line each, to the log. */
void launch_warn(const struct launch_findings *warnings);
/* Those of a launch, and what its host may refuse though nothing that is known decides it. */
const struct launch_findings *launch_warnings(const struct launch *launch);
/*
 * Reads all files that config names, once, and tells every mistake that they show, with the key at fault in
 * front ("boot.kernel: ..."), and the warnings. Files that cannot be read are config_check_files()'s to tell.
 */
void launch_check(const struct config *config, struct launch_findings *ret_mistakes,
        struct launch_findings *ret_warnings);

#endif
