/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fpu: the state of x87, MMX and SSE, and the checks before their instructions (fpu.c, x87.c).
 */
#ifndef CPU_FPU_H
#define CPU_FPU_H

#include "op.h"

/* Raises #NM if the FPU is not available. Each x87 instruction calls it first. */
void cpu_fpu_check(struct cpu *cpu);
/* Raises #UD or #NM if SSE is not available. Each SSE instruction calls it first. */
void cpu_sse_check(struct cpu *cpu);
/* The same for AVX. */
void cpu_avx_check(struct cpu *cpu);
/* Raises #MF if an unmasked exception waits. */
void cpu_x87_pending(struct cpu *cpu);
/* Computes FSW.ES and B from the flags and masks. */
void cpu_x87_summary(struct cpu *cpu);

/*
 * Write and read the 512 bytes of FXSAVE (APM 2, 11.4.4). With wide, instruction and data pointers have 64
 * bits; with_xmm16 includes XMM8 to XMM15. Reading returns false, and changes nothing, if MXCSR has a bit
 * that may not be set.
 */
void cpu_fxsave_write(const struct cpu *cpu, u8 area[static 512], bool wide, bool with_xmm16);
bool cpu_fxsave_read(struct cpu *cpu, const u8 area[static 512], bool wide, bool with_xmm16);

#endif
