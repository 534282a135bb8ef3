/*
 * fast: SYSCALL, SYSENTER and their returns (APM 2, 6.1; APM 3): no tables are read, no stack is written.
 */
#include "debug.h"
#include "far.h"

static struct sim_seg flat_segment(u16 selector, u16 attr)
{
	return (struct sim_seg){.selector = selector, .limit = 0xffffffff, .attr = attr};
}

#define CODE64(dpl) (u16)(0xa9b | (dpl) << 5) /* G L, P S, execute read accessed */
#define CODE32(dpl) (u16)(0xc9b | (dpl) << 5)
#define DATA32(dpl) (u16)(0xc93 | (dpl) << 5)

void op_syscall(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)(cpu->star >> 32) & 0xfffcu;
	struct sim_seg cs;
	u64 target;

	if (!(cpu->efer & EFER_SCE))
		sim_raise(cpu, EXC_UD);
	REG_RCX = sim_op_next_rip(cpu);
	if (mode_is(cpu, MODE_LONG)) {
		target = mode_is(cpu, MODE_64) ? cpu->lstar : cpu->cstar;
		cpu->gpr[11] = sim_cpu_rflags(cpu);
		cs = flat_segment(selector, CODE64(0));
		sim_cpu_set_rflags(cpu, sim_cpu_rflags(cpu) & ~(cpu->sfmask | FLAG_RF));
	} else {
		target = (u32)cpu->star;
		cs = flat_segment(selector, CODE32(0));
		sim_cpu_set_rflags(cpu, sim_cpu_rflags(cpu) & ~(u64)(FLAG_IF | FLAG_RF | FLAG_VM));
	}
	cpu->seg[SIM_SS] = flat_segment((u16)(selector + 8), DATA32(0));
	sim_load_cs(cpu, &cs, 0, target);
	sim_debug_step_behind(cpu);
}

void op_sysret(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)(cpu->star >> 48);
	bool wide = op->size == 8;
	struct sim_seg cs;
	u64 rip = wide ? REG_RCX : (u32)REG_RCX;

	if (!(cpu->efer & EFER_SCE))
		sim_raise(cpu, EXC_UD);
	if (!(cpu->mode & MODE_PE) || cpu->cpl)
		sim_raise_error(cpu, EXC_GP, 0);
	cs = flat_segment((u16)((wide ? selector + 16 : selector) | 3), wide ? CODE64(3) : CODE32(3));
	cpu->seg[SIM_SS] = flat_segment((u16)((selector + 8) | 3), DATA32(3));
	if (mode_is(cpu, MODE_LONG))
		sim_cpu_set_rflags(cpu, cpu->gpr[11] & 0x3c7fd7);
	else
		sim_cpu_set_rflags(cpu, sim_cpu_rflags(cpu) | FLAG_IF);
	sim_load_cs(cpu, &cs, 3, rip);
	sim_debug_step_behind(cpu);
}

/* AMD's SYSENTER and SYSEXIT are of legacy mode alone. */
static void check_legacy(struct sim_cpu *cpu)
{
	if (mode_is(cpu, MODE_LONG))
		sim_raise(cpu, EXC_UD);
}

void op_sysenter(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)cpu->sysenter_cs & 0xfffcu;
	struct sim_seg cs = flat_segment(selector, CODE32(0));

	check_legacy(cpu);
	if (!(cpu->mode & MODE_PE) || !selector)
		sim_raise_error(cpu, EXC_GP, 0);
	sim_cpu_set_rflags(cpu, sim_cpu_rflags(cpu) & ~(u64)(FLAG_IF | FLAG_RF | FLAG_VM));
	cpu->seg[SIM_SS] = flat_segment((u16)(selector + 8), DATA32(0));
	REG_RSP = (u32)cpu->sysenter_esp;
	sim_load_cs(cpu, &cs, 0, (u32)cpu->sysenter_eip);
}

void op_sysexit(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)cpu->sysenter_cs & 0xfffcu;
	struct sim_seg cs = flat_segment((u16)((selector + 16) | 3), CODE32(3));

	check_legacy(cpu);
	if (!(cpu->mode & MODE_PE) || cpu->cpl || !selector)
		sim_raise_error(cpu, EXC_GP, 0);
	cpu->seg[SIM_SS] = flat_segment((u16)((selector + 24) | 3), DATA32(3));
	REG_RSP = (u32)REG_RCX;
	sim_load_cs(cpu, &cs, 3, (u32)REG_RDX);
}
