/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: the secure processor as the kernel sees it: the product that the platform pretends to be, its
 * ASIDs and frames, and the kernel's driver of its firmware (platform.c, hardware_cpuid.c, driver.c). What
 * the firmware does is psp/.
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
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK of whoever has a SEV or SEV-ES guest; UINT64_MAX: none */
	struct psp *psp;

	/*
	 * Protects the two below. It is held while a guest is started, so that no command of /dev/sev shuts
	 * the firmware down meanwhile (sev_cmd_mutex of the kernel). sev_guest.lock may be held,
	 * sev_platform.lock not.
	 */
	pthread_mutex_t driver_lock;
	bool sev_is_on, snp_is_on; /* as the kernel's driver has it, which asks the firmware for neither */

	pthread_mutex_t lock; /* all below; outside of the lock of psp, inside of every other */
	uint8_t *uses;        /* of each ASID: enum asid_use (asid.c) */
	struct sev_spa_range *spa_ranges;
	struct sev_cgroup cgroup;
};

/*
 * Makes what the options describe; the caller ends it with sev_platform_destroy(). No product in the options:
 * there is no secure processor, *ret_secure is NULL, and that is success.
 */
int sev_platform_create(
        const struct sim_options *options, struct sev_platform **ret_secure, struct err *err) MUST_CHECK;
void sev_platform_destroy(struct sev_platform *secure); /* NULL is allowed */

/* ---- what KVM tells of it; for struct kvm_hooks, which says more ---- */

unsigned sev_platform_vm_types(const struct sev_platform *secure);
uint32_t sev_platform_add_cpuid(
        const struct sev_platform *secure, struct kvm_cpuid_entry2 *entries, uint32_t count);
int sev_platform_attribute(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value);

/*
 * What CPUID says on that product, if it has SEV-SNP, for its firmware to judge CPUID pages by. Returns how
 * many entries.
 */
unsigned sev_hardware_cpuid(
        const struct sev_platform *secure, struct abi_cpuid_entry entries[static PSP_CPUID_MAX]);

/* ---- the kernel's driver: each function returns the firmware's code ---- */

/* For a guest: initialises SEV-SNP, then SEV, unless SEV is initialised. Takes driver_lock. */
uint32_t sev_driver_init(struct sev_platform *secure);
/* Initialises SEV, or shuts it down, if it is not so already. driver_lock is held. */
uint32_t sev_driver_init_sev(struct sev_platform *secure);
uint32_t sev_driver_shutdown_sev(struct sev_platform *secure);
/* Shuts down SEV and, unless it has guests, SEV-SNP. driver_lock is held. */
void sev_driver_shutdown(struct sev_platform *secure);

#endif
