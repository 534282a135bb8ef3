/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fast: SYSCALL, SYSENTER and their returns (APM 2, 6.1; APM 3). They read no tables and write no stack.
 */
#include "debug.h"
#include "far.h"

static struct cpu_seg flat_segment(u16 selector, u16 attr)
{
	return (struct cpu_seg){.selector = selector, .limit = 0xffffffff, .attr = attr};
}

#define CODE64(dpl) (u16)(0xa9b | (dpl) << 5) /* G L, P S, execute read accessed */
#define CODE32(dpl) (u16)(0xc9b | (dpl) << 5)
#define DATA32(dpl) (u16)(0xc93 | (dpl) << 5)

void op_syscall(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)(cpu->star >> 32) & 0xfffcu;
	struct cpu_seg cs;
	u64 target;

	if (!(cpu->efer & EFER_SCE))
		cpu_raise(cpu, EXC_UD);
	REG_RCX = cpu_op_next_rip(cpu);
	if (mode_is(cpu, MODE_LONG)) {
		target = mode_is(cpu, MODE_64) ? cpu->lstar : cpu->cstar;
		cpu->gpr[11] = cpu_rflags(cpu);
		cs = flat_segment(selector, CODE64(0));
		cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(cpu->sfmask | FLAG_RF));
	} else {
		target = (u32)cpu->star;
		cs = flat_segment(selector, CODE32(0));
		cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(u64)(FLAG_IF | FLAG_RF | FLAG_VM));
	}
	cpu->seg[CPU_SS] = flat_segment((u16)(selector + 8), DATA32(0));
	cpu_load_cs(cpu, &cs, 0, target);
	cpu_debug_step_behind(cpu);
}

void op_sysret(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)(cpu->star >> 48);
	bool wide = op->size == 8;
	struct cpu_seg cs;
	u64 rip = wide ? REG_RCX : (u32)REG_RCX;

	if (!(cpu->efer & EFER_SCE))
		cpu_raise(cpu, EXC_UD);
	if (!(cpu->mode & MODE_PE) || cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	cs = flat_segment((u16)((wide ? selector + 16 : selector) | 3), wide ? CODE64(3) : CODE32(3));
	cpu->seg[CPU_SS] = flat_segment((u16)((selector + 8) | 3), DATA32(3));
	if (mode_is(cpu, MODE_LONG))
		cpu_set_rflags(cpu, cpu->gpr[11] & 0x3c7fd7);
	else
		cpu_set_rflags(cpu, cpu_rflags(cpu) | FLAG_IF);
	cpu_load_cs(cpu, &cs, 3, rip);
	cpu_debug_step_behind(cpu);
}

/* Raises #UD in long mode, where AMD's processors have no SYSENTER and SYSEXIT. */
static void check_legacy(struct cpu *cpu)
{
	if (mode_is(cpu, MODE_LONG))
		cpu_raise(cpu, EXC_UD);
}

void op_sysenter(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu->sysenter_cs & 0xfffcu;
	struct cpu_seg cs = flat_segment(selector, CODE32(0));

	check_legacy(cpu);
	if (!(cpu->mode & MODE_PE) || !selector)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_set_rflags(cpu, cpu_rflags(cpu) & ~(u64)(FLAG_IF | FLAG_RF | FLAG_VM));
	cpu->seg[CPU_SS] = flat_segment((u16)(selector + 8), DATA32(0));
	REG_RSP = (u32)cpu->sysenter_esp;
	cpu_load_cs(cpu, &cs, 0, (u32)cpu->sysenter_eip);
}

void op_sysexit(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu->sysenter_cs & 0xfffcu;
	struct cpu_seg cs = flat_segment((u16)((selector + 16) | 3), CODE32(3));

	check_legacy(cpu);
	if (!(cpu->mode & MODE_PE) || cpu->cpl || !selector)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->seg[CPU_SS] = flat_segment((u16)((selector + 24) | 3), DATA32(3));
	REG_RSP = (u32)REG_RCX;
	cpu_load_cs(cpu, &cs, 3, (u32)REG_RDX);
}
