/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmx: the MMX registers, which are the mantissas of the x87's registers (APM 5).
 */
#ifndef CPU_MMX_H
#define CPU_MMX_H

#include "ops.h"

static inline void mmx_check(struct cpu *cpu)
{
	if (cpu->cr0 & CR0_EM)
		cpu_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM);
	cpu_x87_pending(cpu);
}

/* Marks the MMX registers as used: the x87's stack starts at register 0, and all its registers are valid. */
static inline void mmx_used(struct cpu *cpu)
{
	cpu->x87.fsw &= (u16)~0x3800u;
	cpu->x87.ftw = 0xff;
}

static inline u64 mmx_get(const struct cpu *cpu, unsigned number)
{
	return load_le(cpu->x87.st[number & 7], 8);
}

static inline void mmx_set(struct cpu *cpu, unsigned number, u64 value)
{
	store_le(cpu->x87.st[number & 7], 8, value);
	store_le(cpu->x87.st[number & 7] + 8, 2, 0xffff);
	mmx_used(cpu);
}

/* Returns a register, or so many bytes of memory. */
static inline u64 mmx_source(struct cpu *cpu, const struct cpu_op *op, unsigned bytes)
{
	mmx_check(cpu);
	return op->flags & OP_MEM ? cpu_rm_read(cpu, op, bytes) : mmx_get(cpu, op->xrm);
}

#endif
