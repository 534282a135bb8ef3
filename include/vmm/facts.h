/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what this host can do for a confidential guest: its KVM, its secure processor, the ASIDs that are
 * left, the limits of this process. Everything is asked without changing anything.
 */
#ifndef VMM_FACTS_H
#define VMM_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/attest.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/host.h"
#include "vmm/uapi.h"

/* ---- the process ---- */

/*
 * Facts about a process, and about the KVM of its host, that no call on /dev/kvm or /dev/sev gives. Strings
 * are borrowed; "" means that there is none.
 */
struct facts_process {
	const char *cgroup;     /* the folder whose misc controller counts this process's guests */
	uint32_t hiding_asids;  /* kvm_amd.ciphertext_hiding_asids; 0: off, or it cannot be seen */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: none, or CAP_IPC_LOCK is held */
	bool smt;               /* simultaneous multithreading is on */
	unsigned linux_version; /* FACTS_LINUX() of the host's kernel; 0: not known */
	unsigned vcpu_files;    /* descriptors of this process that a vCPU takes */
};

#define FACTS_LINUX(major, minor) ((unsigned)(major) << 16 | (minor))

/*
 * The facts of this process. join: the folder of another cgroup that the process will be in (the key cgroup),
 * or "". ret_process points into static storage, so only one thread may call this.
 */
void facts_process_own(const char *join, struct facts_process *ret_process);

/* ---- the host ---- */

/* The ASIDs of a kind, as the misc controller and CPUID give them. */
struct facts_asids {
	uint64_t limit; /* of this host; 0: it has none of this kind */
	uint64_t used;  /* by all guests, as far as this process can see */
	uint64_t free;  /* for one more guest of this process */
	bool used_known, free_known;
	uint64_t group_limit; /* the least limit of this process's cgroup and those above; UINT64_MAX: none */
	char limiting[160];   /* the cgroup whose limit free comes from; "": none limits more than the host */
	const char *why;      /* why used or free are not known; NULL: they are */
};

struct facts {
	/* kind ERR_NONE: /dev/kvm can be used; otherwise only the facts of the device below are known. */
	struct err kvm;
	uint32_t vm_types;       /* a bit each, enum uapi_vm_type */
	bool has_init2;          /* KVM_SEV_INIT2, Linux 6.10 */
	bool has_private_memory; /* guest_memfd, its slots and attributes */
	bool has_conversion;     /* KVM_CAP_EXIT_HYPERCALL */
	bool has_mirrors;        /* KVM_CAP_VM_COPY_ENC_CONTEXT_FROM (Linux 5.13) */
	bool has_msr_exits;      /* KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_MSR_FILTER (Linux 5.10) */
	bool features_known, policy_known, certs_known;
	uint64_t vmsa_features, policy_bits, req_certs;
	uint32_t cpu_signature; /* CPUID.1:EAX of the host */
	enum product_id product;
	uint32_t sev_eax; /* CPUID 8000001F: generations */
	unsigned c_bit, reduced_bits;
	uint32_t sev_asid_max, sev_asid_min; /* ECX, EDX */

	struct err device; /* kind ERR_NONE: /dev/sev was opened */
	struct err status; /* of SEV_PLATFORM_STATUS; kind ERR_NONE: the next three lines are known */
	uint8_t api_major, api_minor, build, state;
	bool owned, es_initialised;
	uint32_t guests;
	struct err snp_status; /* of SNP_PLATFORM_STATUS; kind ERR_NONE: snp is known */
	struct uapi_sev_snp_status snp;

	uint32_t hiding_asids; /* as in facts_process */
	struct facts_asids asids[PRODUCT_ASID_KINDS];
	uint64_t memlock_bytes; /* as in facts_process */
	bool smt;               /* as in facts_process */
	unsigned linux_version; /* as in facts_process */
};

/* The oldest firmware with which Linux initialises SEV-SNP (SNP_MIN_API_MAJOR and _MINOR of its module ccp).
 */
#define FACTS_SNP_API_MAJOR 1
#define FACTS_SNP_API_MINOR 51
#define FACTS_SNP_API       "1.51"
/* Is the firmware known, and older than that? */
bool facts_firmware_is_too_old(const struct facts *facts);

/* Never fails: where something could not be asked, ret_facts says why. Any thread. */
void facts_gather(struct host *host, const struct facts_process *process, struct facts *ret_facts);
/* Which ASIDs a guest of this type uses; not for CONFIG_SEV_NONE. */
enum product_asid_kind facts_asid_kind(enum config_sev_type type);

#endif
