/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: registers, operands, and exceptions of the host's arithmetic, which the SSE files share.
 */
#ifndef CPU_SSE_H
#define CPU_SSE_H

#include "ops.h"

typedef long long sse_value __attribute__((vector_size(16)));

ALWAYS sse_value *sse_xmm(struct cpu *cpu, unsigned number)
{
	return (sse_value *)(void *)cpu->xmm[number];
}

sse_value cpu_mem_read128(struct cpu *cpu, u64 linear, unsigned seg);
void cpu_mem_write128(struct cpu *cpu, u64 linear, sse_value value, unsigned seg);

/* Reads a register, or 16 bytes of memory. Misaligned memory raises #GP(0), unless MXCSR.MM allows it. */
ALWAYS sse_value sse_source(struct cpu *cpu, const struct cpu_op *op)
{
	u64 linear;

	if (!(op->flags & OP_MEM))
		return *sse_xmm(cpu, op->xrm);
	linear = op_linear(cpu, op, 16, ACCESS_READ);
	if (unlikely(linear % 16) && !(cpu->mxcsr & MXCSR_MM))
		cpu_raise_error(cpu, EXC_GP, 0);
	return cpu_mem_read128(cpu, linear, op->seg);
}

ALWAYS sse_value sse_source_unaligned(struct cpu *cpu, const struct cpu_op *op)
{
	if (!(op->flags & OP_MEM))
		return *sse_xmm(cpu, op->xrm);
	return cpu_mem_read128(cpu, op_linear(cpu, op, 16, ACCESS_READ), op->seg);
}

/* Reads a register, or 2, 4 or 8 bytes of memory, which become the low end of the value. */
ALWAYS sse_value sse_source_part(struct cpu *cpu, const struct cpu_op *op, unsigned bytes)
{
	if (!(op->flags & OP_MEM))
		return *sse_xmm(cpu, op->xrm);
	return (sse_value){(long long)cpu_rm_read(cpu, op, bytes), 0};
}

/* Takes over the exceptions of arithmetic that left mxcsr in MXCSR; raises #XM if one is not masked. */
void cpu_sse_exceptions(struct cpu *cpu, u32 mxcsr);

/* The scalar instruction that does the work of one lane. */
enum sse_step {
	SSE_ADDSS,
	SSE_SUBSS,
	SSE_MULSS,
	SSE_DIVSS,
	SSE_ADDSD,
	SSE_SUBSD,
	SSE_MULSD,
	SSE_DIVSD,
	SSE_CVTSD2SS, /* converts the lane of b */
};
struct sse_shape {
	enum sse_step even, odd;
	u8 lanes;
	bool horizontal; /* computes with neighbours in a, then with neighbours in b */
};
/* Returns the flags of MXCSR if overflow or underflow is not masked (sse_late.c). */
u32 cpu_sse_late_flags(const struct cpu *cpu, const struct sse_shape *shape, sse_value a, sse_value b);

/*
 * Returns an MXCSR with the guest's rounding and denormal modes, all exceptions masked, and none set. If the
 * guest wants underflow to trap, flushing to zero makes the host report exact results, too.
 */
ALWAYS u32 sse_control(const struct cpu *cpu)
{
	return ((cpu->mxcsr | 0x1f80) & 0xffc0) | (cpu->mxcsr & MXCSR_UM ? 0 : MXCSR_FTZ);
}

/*
 * Executes insn with the guest's MXCSR, and stores the MXCSR that it leaves in `after`. One output and the
 * inputs follow, as for __asm__.
 */
#define SSE_HOST(insn, after, output, ...) \
	do { \
		u32 guest_ = sse_control(cpu), host_; \
		__asm__ volatile("stmxcsr %[host]\n\tldmxcsr %[guest]\n\t" insn \
		                 "\n\tstmxcsr %[after_]\n\tldmxcsr %[host]" \
		                 : output, [host] "=m"(host_), [after_] "=m"(after) \
		                 : [guest] "m"(guest_), ##__VA_ARGS__); \
	} while (0)

#endif
