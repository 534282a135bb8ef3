/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp: SEV-SNP: types of launched pages, what the launch digest hashes, and the pages that the firmware
 * checks or fills. Little-endian. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_SNP_H
#define VMM_ABI_SNP_H

#include <stdint.h>

#include "vmm/abi/layout.h"

/* ---- SNP launch digest (SNP ABI 8.17, PAGE_INFO and PAGE_TYPE) ---- */

enum abi_page_type {
	ABI_PAGE_NORMAL = 1,
	ABI_PAGE_VMSA = 2,
	ABI_PAGE_ZERO = 3,
	ABI_PAGE_UNMEASURED = 4,
	ABI_PAGE_SECRETS = 5,
	ABI_PAGE_CPUID = 6,
};

/*
 * The guest physical address under which the RMP records VMSA pages: all ones, page aligned, cut to 48 bits.
 */
#define ABI_VMSA_GPA 0xfffffffff000ull

struct abi_page_info {
	uint8_t digest_cur[48];
	uint8_t contents[48]; /* SHA-384 of a NORMAL or VMSA page, else 0 */
	uint16_t length;      /* of this structure */
	uint8_t page_type;
	uint8_t imi_page;
	uint8_t permissions[4]; /* of VMPL 3, 2, 1 and reserved: 0 under KVM */
	uint64_t gpa;
} ABI_PACKED;
ABI_SIZE(struct abi_page_info, 0x70);
ABI_AT(struct abi_page_info, 0x60, length);
ABI_AT(struct abi_page_info, 0x68, gpa);

/* ---- SNP: pages that the firmware checks or fills (SNP ABI, SNP_LAUNCH_UPDATE) ---- */

#define ABI_CPUID_PAGE_MAX 64

struct abi_cpuid_entry {
	uint32_t eax_in, ecx_in;
	uint64_t xcr0_in, xss_in;
	uint32_t eax, ebx, ecx, edx;
	uint64_t reserved;
} ABI_PACKED;
ABI_SIZE(struct abi_cpuid_entry, 48);

struct abi_cpuid_page {
	uint32_t count;
	uint32_t reserved_04;
	uint64_t reserved_08;
	struct abi_cpuid_entry entries[ABI_CPUID_PAGE_MAX];
	uint8_t reserved_c10[1008];
} ABI_PACKED;
ABI_SIZE(struct abi_cpuid_page, 4096);

struct abi_secrets_page {
	uint32_t version;
	uint32_t flags; /* bit 0: initial migration image */
	uint32_t fms;   /* family, model, stepping: CPUID.1.EAX */
	uint32_t reserved_0c;
	uint8_t gosvw[16];
	uint8_t vmpck[4][32];
	uint8_t os_area[96];
	uint8_t vmsa_tweak_bitmap[64];
	uint64_t svsm_base, svsm_size, svsm_caa;
	uint32_t svsm_max_version;
	uint8_t svsm_guest_vmpl, reserved_15d[3];
	uint32_t tsc_factor;
	uint8_t reserved_164[3740];
} ABI_PACKED;
ABI_SIZE(struct abi_secrets_page, 4096);
ABI_AT(struct abi_secrets_page, 0x20, vmpck);
ABI_AT(struct abi_secrets_page, 0xa0, os_area);
ABI_AT(struct abi_secrets_page, 0x100, vmsa_tweak_bitmap);
ABI_AT(struct abi_secrets_page, 0x140, svsm_base);
ABI_AT(struct abi_secrets_page, 0x15c, svsm_guest_vmpl);
ABI_AT(struct abi_secrets_page, 0x160, tsc_factor);

#endif
