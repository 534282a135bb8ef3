/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the VMSA: the saved state of a vCPU whose registers are encrypted. Little-endian. Layouts and
 * numbers only; any room may include this.
 */
#ifndef VMM_ABI_VMSA_H
#define VMM_ABI_VMSA_H

#include <stdint.h>

#include "vmm/abi/layout.h"

/* ---- VMSA (APM volume 2, table B-4) ---- */

struct abi_segment {
	uint16_t selector, attrib;
	uint32_t limit;
	uint64_t base;
} ABI_PACKED;
ABI_SIZE(struct abi_segment, 16);

struct abi_vmsa {
	struct abi_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint64_t pl_ssp[4];
	uint64_t u_cet;
	uint8_t reserved_0c8[2];
	uint8_t vmpl, cpl;
	uint8_t reserved_0cc[4];
	uint64_t efer;
	uint8_t reserved_0d8[104];
	uint64_t xss;
	uint64_t cr4, cr3, cr0;
	uint64_t dr7, dr6;
	uint64_t rflags, rip;
	uint64_t dr0, dr1, dr2, dr3;
	uint64_t dr_mask[4];
	uint8_t reserved_1c0[24];
	uint64_t rsp;
	uint64_t s_cet, ssp, isst_addr;
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_248[32];
	uint64_t g_pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t reserved_298[80];
	uint32_t pkru, tsc_aux;
	uint64_t tsc_scale, tsc_offset;
	uint8_t reserved_300[8];
	uint64_t rcx, rdx, rbx;
	uint8_t reserved_320[8];
	uint64_t rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t reserved_380[16];
	uint64_t exit_info_1, exit_info_2, exit_int_info, nrip;
	uint64_t sev_features;
	uint64_t vintr, exit_code, vtom, tlb_id, pcpu_id, event_inj;
	uint64_t xcr0;
	uint8_t reserved_3f0[16];
	uint64_t x87_dp;
	uint32_t mxcsr;
	uint16_t x87_ftw, x87_fsw, x87_fcw, x87_fop, x87_ds, x87_cs;
	uint64_t x87_rip;
	uint8_t x87[80];
	uint8_t xmm[16][16];
	uint8_t ymm[16][16]; /* the upper halves */
	uint8_t reserved_670[2448];
} ABI_PACKED;
ABI_SIZE(struct abi_vmsa, 4096);
ABI_AT(struct abi_vmsa, 0x0ca, vmpl);
ABI_AT(struct abi_vmsa, 0x0d0, efer);
ABI_AT(struct abi_vmsa, 0x140, xss);
ABI_AT(struct abi_vmsa, 0x178, rip);
ABI_AT(struct abi_vmsa, 0x1d8, rsp);
ABI_AT(struct abi_vmsa, 0x1f8, rax);
ABI_AT(struct abi_vmsa, 0x240, cr2);
ABI_AT(struct abi_vmsa, 0x268, g_pat);
ABI_AT(struct abi_vmsa, 0x2e8, pkru);
ABI_AT(struct abi_vmsa, 0x310, rdx);
ABI_AT(struct abi_vmsa, 0x378, r15);
ABI_AT(struct abi_vmsa, 0x3b0, sev_features);
ABI_AT(struct abi_vmsa, 0x3e8, xcr0);
ABI_AT(struct abi_vmsa, 0x408, mxcsr);
ABI_AT(struct abi_vmsa, 0x410, x87_fcw);
ABI_AT(struct abi_vmsa, 0x420, x87);
ABI_AT(struct abi_vmsa, 0x470, xmm);
ABI_AT(struct abi_vmsa, 0x570, ymm);

/* sev_features of the VMSA (APM volume 2, table B-4; SEV_STATUS shows them to the guest). */
#define ABI_FEATURE_SNP              (1ull << 0)
#define ABI_FEATURE_VTOM             (1ull << 1)
#define ABI_FEATURE_REFLECT_VC       (1ull << 2)
#define ABI_FEATURE_RESTRICTED_INJ   (1ull << 3)
#define ABI_FEATURE_ALTERNATE_INJ    (1ull << 4)
#define ABI_FEATURE_DEBUG_SWAP       (1ull << 5)
#define ABI_FEATURE_PREVENT_HOST_IBS (1ull << 6)
#define ABI_FEATURE_BTB_ISOLATION    (1ull << 7)
#define ABI_FEATURE_VMPL_SSS         (1ull << 8)
#define ABI_FEATURE_SECURE_TSC       (1ull << 9)
#define ABI_FEATURE_VMGEXIT_PARAM    (1ull << 10)
#define ABI_FEATURE_PMC_VIRT         (1ull << 11)
#define ABI_FEATURE_IBS_VIRT         (1ull << 12)
#define ABI_FEATURE_VMSA_REG_PROT    (1ull << 14)
#define ABI_FEATURE_SMT_PROT         (1ull << 15)

#endif
