/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch: bits and numbers of the architecture (APM 2, 3 to 8).
 */
#ifndef CPU_ARCH_H
#define CPU_ARCH_H

#define PAGE_OF(address) ((address) & ~(u64)0xfff)

#define CR0_PE 0x1u
#define CR0_MP 0x2u
#define CR0_EM 0x4u
#define CR0_TS 0x8u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_AM 0x40000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME        0x1u
#define CR4_PVI        0x2u
#define CR4_TSD        0x4u
#define CR4_DE         0x8u
#define CR4_PSE        0x10u
#define CR4_PAE        0x20u
#define CR4_MCE        0x40u
#define CR4_PGE        0x80u
#define CR4_PCE        0x100u
#define CR4_OSFXSR     0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_UMIP       0x800u
#define CR4_FSGSBASE   0x10000u
#define CR4_OSXSAVE    0x40000u
#define CR4_SMEP       0x100000u
#define CR4_SMAP       0x200000u

#define EFER_SCE   0x1u
#define EFER_LME   0x100u
#define EFER_LMA   0x400u
#define EFER_NXE   0x800u
#define EFER_SVME  0x1000u
#define EFER_FFXSR 0x4000u

#define MXCSR_DAZ 0x40u
#define MXCSR_OM  0x400u
#define MXCSR_UM  0x800u
#define MXCSR_FTZ 0x8000u
#define MXCSR_MM  0x20000u /* misaligned operands are allowed */

#define XSTATE_X87 0x1u /* in XCR0 and in the areas of XSAVE */
#define XSTATE_SSE 0x2u
#define XSTATE_AVX 0x4u

#define FLAG_CF    0x1u
#define FLAG_ONE   0x2u
#define FLAG_PF    0x4u
#define FLAG_AF    0x10u
#define FLAG_ZF    0x40u
#define FLAG_SF    0x80u
#define FLAG_TF    0x100u
#define FLAG_IF    0x200u
#define FLAG_DF    0x400u
#define FLAG_OF    0x800u
#define FLAG_IOPL  0x3000u
#define FLAG_NT    0x4000u
#define FLAG_RF    0x10000u
#define FLAG_VM    0x20000u
#define FLAG_AC    0x40000u
#define FLAG_VIF   0x80000u
#define FLAG_VIP   0x100000u
#define FLAG_ID    0x200000u
#define FLAG_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

enum vector {
	EXC_DE = 0,
	EXC_DB = 1,
	EXC_NMI = 2,
	EXC_BP = 3,
	EXC_OF = 4,
	EXC_BR = 5,
	EXC_UD = 6,
	EXC_NM = 7,
	EXC_DF = 8,
	EXC_TS = 10,
	EXC_NP = 11,
	EXC_SS = 12,
	EXC_GP = 13,
	EXC_PF = 14,
	EXC_MF = 16,
	EXC_AC = 17,
	EXC_XM = 19,
	EXC_VC = 29,
};

#define SEG_TYPE   0xfu
#define SEG_WRITE  0x2u /* data: writable; code: readable */
#define SEG_DOWN   0x4u /* data: expand-down; code: conforming */
#define SEG_CODE   0x8u
#define SEG_S      0x10u
#define SEG_DPL(a) (((a) >> 5) & 3u)
#define SEG_P      0x80u
#define SEG_L      0x200u
#define SEG_DB     0x400u
#define SEG_G      0x800u

#endif
