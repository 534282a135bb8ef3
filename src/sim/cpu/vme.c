/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vme: the extensions of virtual 8086 mode, and virtual interrupts of protected mode (APM 2, 8.10
 * and 12.2.5).
 */
#include "vme.h"
#include "segment.h"

#include "ops.h"

#define TSS_MAP_AT     102 /* where the task's map of ports begins; the map of interrupts lies before it */
#define TSS_LIMIT_MIN  103
#define REDIRECT_BYTES 32
#define FLAGS_POPPED   (FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT)

static bool may_change_if(const struct cpu *cpu)
{
	return (cpu->rflags_rest & FLAG_IOPL) == FLAG_IOPL;
}

bool cpu_vme_has_flag(const struct cpu *cpu)
{
	if (may_change_if(cpu) || cpu->cpl != 3)
		return false;
	return cpu->cr4 & (cpu->mode & MODE_VM ? CR4_VME : CR4_PVI);
}

void cpu_vme_set_flag(struct cpu *cpu, bool on)
{
	if (on && cpu->rflags_rest & FLAG_VIP)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->rflags_rest = (cpu->rflags_rest & ~(u64)FLAG_VIF) | (on ? FLAG_VIF : 0);
}

bool cpu_vme_replaces(const struct cpu *cpu, unsigned size)
{
	return size == 2 && cpu->mode & MODE_VM && cpu_vme_has_flag(cpu);
}

u64 cpu_vme_flags(const struct cpu *cpu)
{
	u64 flags = cpu_rflags(cpu);

	return (flags & ~(u64)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
}

void cpu_vme_check_flags(struct cpu *cpu, u64 flags)
{
	if (flags & FLAG_TF || (flags & FLAG_IF && cpu->rflags_rest & FLAG_VIP))
		cpu_raise_error(cpu, EXC_GP, 0);
}

void cpu_vme_set_flags(struct cpu *cpu, u64 flags)
{
	u64 rest = cpu_rflags(cpu) & ~(u64)(FLAGS_POPPED | FLAG_VIF);

	cpu_set_rflags(cpu, rest | (flags & FLAGS_POPPED) | (flags & FLAG_IF ? FLAG_VIF : 0));
}

/* A set bit in the task's map: the interrupt is for the monitor. */
static bool goes_to_program(struct cpu *cpu, u8 vector)
{
	const struct cpu_seg *tr = &cpu->seg[CPU_TR];
	u32 at;

	if (!(tr->attr & 8) || tr->limit < TSS_LIMIT_MIN)
		cpu_raise_error(cpu, EXC_GP, 0);
	at = (u32)cpu_sys_read(cpu, tr->base + TSS_MAP_AT, 2) - REDIRECT_BYTES + vector / 8;
	if (at > tr->limit)
		cpu_raise_error(cpu, EXC_GP, 0);
	return !(cpu_sys_read(cpu, tr->base + at, 1) >> (vector % 8) & 1);
}

bool cpu_vme_interrupt(struct cpu *cpu, const struct cpu_op *op, u8 vector)
{
	bool own = may_change_if(cpu);
	u32 handler;

	if (!(cpu->mode & MODE_VM) || !(cpu->cr4 & CR4_VME) || !goes_to_program(cpu, vector))
		return false;
	handler = (u32)cpu_mem_read_slow(cpu, vector * 4u, 4, CPU_DS);
	cpu_stack_poke(cpu, -2, 2, own ? cpu_rflags(cpu) : cpu_vme_flags(cpu));
	cpu_stack_poke(cpu, -4, 2, cpu->seg[CPU_CS].selector);
	cpu_stack_poke(cpu, -6, 2, REG_RIP + op->next);
	cpu_stack_move(cpu, -6);
	cpu_seg_load_real(cpu, CPU_CS, (u16)(handler >> 16));
	REG_RIP = (u16)handler;
	cpu->rflags_rest &= ~(u64)(FLAG_TF | (own ? FLAG_IF : FLAG_VIF));
	cpu_flags_changed(cpu);
	cpu_mode_changed(cpu);
	cpu_code_serialize(cpu);
	return true;
}
