/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode: the processor modes, and the features of CPUID that instructions depend on.
 */
#ifndef CPU_MODE_H
#define CPU_MODE_H

#include "cpu.h"
#include "types.h"

/* The modes on which decoding depends; they are part of a block's key. */
enum cpu_mode {
	MODE_64 = 1,    /* 64-bit mode: long mode and CS.L */
	MODE_CS32 = 2,  /* CS.D */
	MODE_SS32 = 4,  /* SS.B */
	MODE_PE = 8,    /* CR0.PE */
	MODE_LONG = 16, /* EFER.LMA */
	MODE_VM = 32,   /* virtual 8086 */
};

/* The features of CPUID that a row of the opcode maps may need. */
enum cpu_feature {
	FEATURE_NONE = 0,
	FEATURE_SSE3 = 1 << 0,
	FEATURE_SSSE3 = 1 << 1,
	FEATURE_SSE41 = 1 << 2,
	FEATURE_SSE42 = 1 << 3,
	FEATURE_POPCNT = 1 << 4,
	FEATURE_MOVBE = 1 << 5,
	FEATURE_CX16 = 1 << 6,
	FEATURE_LZCNT = 1 << 7,
	FEATURE_BMI1 = 1 << 8,
	FEATURE_XSAVEC = 1 << 9,
	FEATURE_ADX = 1 << 10,
	FEATURE_RDRAND = 1 << 11,
	FEATURE_RDSEED = 1 << 12,
	FEATURE_FSGSBASE = 1 << 13,
	FEATURE_RDTSCP = 1 << 14,
	FEATURE_XSAVE = 1 << 15,
	FEATURE_SMAP = 1 << 16,
	FEATURE_SMEP = 1 << 17,
	FEATURE_NX = 1 << 18,
	FEATURE_GB_PAGES = 1 << 19,
	FEATURE_LM = 1 << 20,
	FEATURE_CLFLUSHOPT = 1 << 22,
	FEATURE_CLWB = 1 << 23,
	FEATURE_UMIP = 1 << 24,
	FEATURE_SSE4A = 1 << 25,
	FEATURE_AES = 1 << 26,
	FEATURE_PCLMUL = 1 << 27,
	FEATURE_SHA = 1 << 28,
	FEATURE_RDPID = 1 << 29,
	FEATURE_XSAVEOPT = 1 << 30,
	FEATURE_AVX = (u64)1 << 32,
	FEATURE_AVX2 = (u64)1 << 33,
	FEATURE_BMI2 = (u64)1 << 34,
	FEATURE_FMA = (u64)1 << 35,
	FEATURE_F16C = (u64)1 << 36,
	FEATURE_VAES = (u64)1 << 37,
	FEATURE_VPCLMUL = (u64)1 << 38,
};

ALWAYS bool mode_is(const struct cpu *cpu, u32 bits)
{
	return (cpu->mode & bits) == bits;
}

/* Computes cpu->mode again, and what depends on it. Must follow each change of CR0, EFER, CS, SS or CPL. */
void cpu_mode_changed(struct cpu *cpu);
/* Computes again which events may be taken. Must follow each change of RFLAGS.IF, TF or AC. */
void cpu_flags_changed(struct cpu *cpu);

#endif
