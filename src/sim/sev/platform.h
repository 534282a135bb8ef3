/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: the secure processor as the kernel sees it: the product that the platform pretends to be, its
 * ASIDs and frames, and the kernel's driver of its firmware (platform.c, hardware_cpuid.c, driver.c). The
 * firmware itself is in psp/.
 */
#ifndef SEV_PLATFORM_H
#define SEV_PLATFORM_H

#include <linux/kvm.h>
#include <pthread.h>

#include "cgroup.h"
#include "psp/psp.h"
#include "vmm/abi/policy.h"
#include "vmm/sim.h"

/* The bits of an SNP policy that KVM lets through: those that every firmware knows. */
#define SEV_SNP_POLICY_BITS \
	(0xffff | ABI_SNP_POLICY_SMT | ABI_SNP_POLICY_MUST_BE_ONE | ABI_SNP_POLICY_DEBUG | \
	        ABI_SNP_POLICY_SINGLE_SOCKET)

struct sev_platform {
	const struct product *product;
	uint32_t asids, es_asids; /* 1..es_asids: SEV-ES and SNP; the rest, from min_sev_asid: SEV */
	uint32_t min_sev_asid;
	uint32_t snp_asids; /* the partition of ciphertext hiding: 1..snp_asids; 0: none */
	unsigned c_bit;
	bool has_snp_firmware;  /* SNP, and new enough for the kernel to initialise it */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK of a process with a SEV or SEV-ES guest; UINT64_MAX: none */
	struct psp *psp;
	char vlek[SIM_CSP_ID_MAX + 1]; /* the provider whose VLEK was loaded; "": none */
	int maps_fd;                   /* /proc/self/maps, for sev_backing_of(); -1: there is none */

	/*
	 * Protects the two below. It is held while a guest is started, so that no command of /dev/sev shuts
	 * the firmware down meanwhile (sev_cmd_mutex of the kernel). sev_guest.lock may be held,
	 * sev_platform.lock not.
	 */
	pthread_mutex_t driver_lock;
	bool sev_is_on, snp_is_on; /* as the kernel's driver remembers them, without asking the firmware */

	pthread_mutex_t lock; /* protects all below; taken before the lock of psp and after every other */
	uint8_t *uses;        /* of each ASID: enum asid_use (asid.c) */
	struct sev_spa_range *spa_ranges;
	struct sev_cgroup cgroup;
};

/*
 * Makes the secure processor that the options describe; the caller ends it with sev_platform_destroy(). If
 * the options name no product there is no secure processor: *ret_secure is NULL, and the call succeeds.
 */
int sev_platform_create(
        const struct sim_options *options, struct sev_platform **ret_secure, struct err *err) MUST_CHECK;
void sev_platform_destroy(struct sev_platform *secure); /* NULL is allowed */

/* ---- what KVM reports about it; struct kvm_hooks has the contracts ---- */

unsigned sev_platform_vm_types(const struct sev_platform *secure);
uint32_t sev_platform_add_cpuid(
        const struct sev_platform *secure, struct kvm_cpuid_entry2 *entries, uint32_t count);
int sev_platform_attribute(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value);

/*
 * Fills in the CPUID values of the product, if it has SEV-SNP. Its firmware judges CPUID pages by them.
 * Returns the number of entries.
 */
unsigned sev_hardware_cpuid(
        const struct sev_platform *secure, struct abi_cpuid_entry entries[static PSP_CPUID_MAX]);
/* Does the product, which has SEV-SNP, have this feature of leaf 0x8000001f, EAX? */
#define SEV_HARDWARE_RMPQUERY 0x40u
#define SEV_HARDWARE_TSC_AUX  0x200u /* TSC_AUX is in the VMSA, so that KVM need not intercept it */
bool sev_hardware_has(const struct sev_platform *secure, uint32_t feature);

/* ---- the kernel's driver: each function returns the firmware's code ---- */

/* Initialises SEV-SNP and then SEV for a guest, unless SEV is initialised already. Takes driver_lock. */
uint32_t sev_driver_init(struct sev_platform *secure);
/* The first initialises SEV, the second shuts it down, unless that is done already. driver_lock is held. */
uint32_t sev_driver_init_sev(struct sev_platform *secure);
uint32_t sev_driver_shutdown_sev(struct sev_platform *secure);
/* Shuts down SEV and, unless it has guests, SEV-SNP. driver_lock is held. */
void sev_driver_shutdown(struct sev_platform *secure);

#endif
