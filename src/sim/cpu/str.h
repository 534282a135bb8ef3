/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str: the counters and pointers of string instructions, which string.c and io.c share.
 */
#ifndef CPU_STR_H
#define CPU_STR_H

#include "debug.h"
#include "ops.h"

ALWAYS unsigned address_width(const struct cpu_op *op)
{
	return 8u - op->address_shift / 8u;
}

ALWAYS u64 string_pointer(const struct cpu *cpu, const struct cpu_op *op, enum cpu_reg reg)
{
	return cpu->gpr[reg] << op->address_shift >> op->address_shift;
}

ALWAYS void string_advance(struct cpu *cpu, const struct cpu_op *op, enum cpu_reg reg, u64 bytes)
{
	u64 by = cpu->rflags_rest & FLAG_DF ? -bytes : bytes;

	reg_set(cpu, reg * 8u, address_width(op), cpu->gpr[reg] + by);
}

/* Returns how many iterations are left: 1 without REP. */
ALWAYS u64 string_count(const struct cpu *cpu, const struct cpu_op *op)
{
	if (!(op->flags & (OP_REP | OP_REPNE)))
		return 1;
	return REG_RCX << op->address_shift >> op->address_shift;
}

/* Completes n iterations for good: an exit or fault in the next one repeats only that one. */
ALWAYS void string_done(struct cpu *cpu, const struct cpu_op *op, u64 n)
{
	if (op->flags & (OP_REP | OP_REPNE))
		reg_set(cpu, CPU_RCX * 8u, address_width(op), REG_RCX - n);
	cpu->accesses = cpu->accesses_used = 0;
}

/* The number of iterations after which interrupts are looked at again. */
#define STRING_CHUNK 4096u

ALWAYS u64 string_budget(const struct cpu *cpu)
{
	return unlikely(cpu_debug_active(cpu)) ? 1 : STRING_CHUNK;
}

/*
 * Ends a repeated instruction, which is the last of its block. rip goes on to the next instruction, or stays
 * for more iterations if the instruction has used up its time. budget is what is left of STRING_CHUNK; the
 * iterations take time, too.
 */
ALWAYS void string_leave(struct cpu *cpu, const struct cpu_op *op, bool finished, u64 budget)
{
	if (op->flags & (OP_REP | OP_REPNE)) {
		REG_RIP += finished ? op->next : op->next - op->len;
		cpu->icount += (string_budget(cpu) - budget) / 16;
	}
}

ALWAYS unsigned string_es(const struct cpu *cpu)
{
	return cpu->mode & MODE_64 ? CPU_SEG_FLAT : CPU_ES;
}

#endif
