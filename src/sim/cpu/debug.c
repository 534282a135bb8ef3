/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug: debug registers, breakpoints, single step, and a debugger outside the guest that takes the
 * exceptions that these cause. While a breakpoint is armed, each instruction runs alone and no page is
 * accessed directly. Runs on the vCPU's thread. Law: APM 2, 13.1.
 */
#include "debug.h"
#include "ops.h"
#include "vc.h"

#define DR6_FIXED   UINT64_C(0xffff0ff0)
#define DR6_KNOWN   UINT64_C(0xe00f)
#define DR6_HITS    UINT64_C(0xf)
#define DR6_GENERAL UINT64_C(0x2000)
#define DR6_STEP    UINT64_C(0x4000)
#define DR7_FIXED   UINT64_C(0x400)
#define DR7_KNOWN   UINT64_C(0xffff2fff)
#define DR7_GENERAL UINT64_C(0x2000)

/* ---- which breakpoints are armed ---- */

enum kind { KIND_CODE, KIND_WRITE, KIND_PORT, KIND_ACCESS };

/* Returns the addresses of the debugger's breakpoints if these replace the guest's, else the guest's. */
static const u64 *addresses(const struct cpu *cpu)
{
	return cpu->debugger.ask & CPU_DEBUG_BREAK ? cpu->debugger.dr : cpu->dr;
}

static u64 control(const struct cpu *cpu)
{
	return cpu->debugger.ask & CPU_DEBUG_BREAK ? cpu->debugger.dr7 : cpu->dr[7];
}

static enum kind kind_of(const struct cpu *cpu, unsigned i)
{
	return control(cpu) >> (16 + 4 * i) & 3;
}

static u64 length_of(const struct cpu *cpu, unsigned i)
{
	static const u8 lengths[] = {1, 2, 8, 4};

	return lengths[control(cpu) >> (18 + 4 * i) & 3];
}

void cpu_debug_changed(struct cpu *cpu)
{
	u8 armed[4] = {0};

	for (unsigned i = 0; i < 4; i++) {
		if (control(cpu) >> (2 * i) & 3)
			armed[kind_of(cpu, i)] |= (u8)(1u << i);
	}
	cpu->watch_code = armed[KIND_CODE];
	cpu->watch_data = armed[KIND_WRITE] | armed[KIND_ACCESS];
	cpu->watch_port = armed[KIND_PORT];
	cpu_tlb_flush(cpu);
	cpu_flags_changed(cpu);
}

/* Returns whether breakpoint i, whose address is aligned to its length, overlaps size bytes from at. */
static bool covers(const struct cpu *cpu, unsigned i, u64 at, unsigned size)
{
	u64 length = length_of(cpu, i), first = addresses(cpu)[i] & ~(length - 1);

	return at - first < length || first - at < size;
}

void cpu_debug_data(struct cpu *cpu, u64 linear, unsigned size, bool write)
{
	for (unsigned i = 0; i < 4; i++) {
		if (cpu->watch_data >> i & 1 && (write || kind_of(cpu, i) == KIND_ACCESS) &&
		        covers(cpu, i, linear, size))
			cpu->debug_hits |= 1u << i;
	}
}

void cpu_debug_port(struct cpu *cpu, u16 port, unsigned size)
{
	for (unsigned i = 0; i < 4 && cpu->cr4 & CR4_DE; i++) {
		if (cpu->watch_port >> i & 1 && covers(cpu, i, port, size))
			cpu->debug_hits |= 1u << i;
	}
}

/* ---- hits ---- */

static struct cpu_event event_of(struct cpu *cpu, u64 dr6)
{
	cpu->debug_dr6 = dr6;
	return (struct cpu_event){.kind = CPU_EVENT_EXCEPTION, .vector = EXC_DB};
}

/* Returns whether the debugger outside the guest takes each #DB. */
static bool debugger_takes(const struct cpu *cpu)
{
	return cpu->debugger.ask & (CPU_DEBUG_STEP | CPU_DEBUG_BREAK);
}

/*
 * Raises #DB before the instruction. If the guest gets the #DB, RF is set, so that the return from its
 * handler gets past the breakpoint. A #DB that the debugger takes is not delivered and leaves RF alone, so
 * the same breakpoint is met again unless the debugger moves it.
 */
static _Noreturn void raise_debug(struct cpu *cpu, u64 dr6)
{
	event_of(cpu, dr6);
	if (!debugger_takes(cpu))
		cpu->rflags_rest |= FLAG_RF;
	cpu_raise(cpu, EXC_DB);
}

void cpu_debug_before(struct cpu *cpu, u64 linear)
{
	u64 hits = 0;

	if (!cpu->shadow) /* hits of a load of SS wait for the next instruction */
		cpu->debug_hits = 0;
	if (!(cpu->rflags_rest & FLAG_RF)) {
		for (unsigned i = 0; i < 4; i++) {
			if (cpu->watch_code >> i & 1 && addresses(cpu)[i] == linear)
				hits |= 1u << i;
		}
	}
	if (hits)
		raise_debug(cpu, hits);
}

bool cpu_debug_steps(const struct cpu *cpu, const struct cpu_op *op)
{
	bool by_end = op->fn == op_syscall || op->fn == op_sysret;

	return (cpu->rflags_rest & FLAG_TF && !by_end) || cpu->debugger.ask & CPU_DEBUG_STEP;
}

void cpu_debug_step_behind(struct cpu *cpu)
{
	if (!(cpu->rflags_rest & FLAG_TF))
		return;
	cpu->event = event_of(cpu, DR6_STEP | cpu->debug_hits);
	cpu->attention = true;
}

void cpu_debug_after(struct cpu *cpu, const struct cpu_op *op, bool step)
{
	u64 dr6 = cpu->debug_hits | (step ? DR6_STEP : 0);

	/*
	 * After a load of SS, breakpoint traps wait for one instruction, and the single-step trap is lost.
	 * After STI only interrupts wait. An INT n is delivered first: see cpu_debug_behind_int().
	 */
	if (!dr6 || (cpu->shadow && op->fn != op_sti) || cpu->event.kind != CPU_EVENT_NONE)
		return;
	/* The exit for HLT serves as the exit for the step. */
	if (cpu->exit == CPU_EXIT_HLT && cpu->debugger.ask & CPU_DEBUG_STEP)
		return;
	cpu->event = event_of(cpu, dr6);
	cpu->debug_hits = 0;
}

void cpu_debug_behind_int(struct cpu *cpu)
{
	if (!cpu->debug_hits)
		return;
	cpu->event = event_of(cpu, cpu->debug_hits);
	cpu->debug_hits = 0;
	cpu->attention = true;
}

void cpu_debug_deliver(struct cpu *cpu)
{
	if (cpu->event.kind != CPU_EVENT_EXCEPTION || cpu->event.vector != EXC_DB)
		return;
	if (cpu->debug_dr6 & DR6_HITS)
		cpu->dr[6] &= ~DR6_HITS;
	cpu->dr[6] |= cpu->debug_dr6;
	cpu->debug_dr6 = 0;
	cpu->dr[7] &= ~DR7_GENERAL;
	if (cpu->vc & CPU_VC_DR7 && !cpu->event.given)
		cpu->event = (struct cpu_event){
		        .kind = CPU_EVENT_EXCEPTION, .vector = EXC_VC, .has_error = true, .error = VC_DB};
}

bool cpu_debug_takes(struct cpu *cpu)
{
	const struct cpu_event *e = &cpu->event;
	bool debug = e->kind == CPU_EVENT_EXCEPTION && e->vector == EXC_DB && debugger_takes(cpu);
	bool int3 = e->kind == CPU_EVENT_SOFT && e->vector == EXC_BP && cpu->debugger.ask & CPU_DEBUG_INT3;

	if (e->given || (!debug && !int3))
		return false;
	if (int3)
		REG_RIP -= e->soft_len;
	cpu->exit_info.debug.vector = e->vector;
	cpu->exit_info.debug.linear = cpu->mode & MODE_64 ? REG_RIP : (u32)(cpu->seg[CPU_CS].base + REG_RIP);
	cpu->exit_info.debug.dr6 = DR6_FIXED | cpu->debug_dr6;
	cpu->exit_info.debug.dr7 = control(cpu);
	cpu->event.kind = CPU_EVENT_NONE;
	cpu->debug_dr6 = 0;
	cpu->exit = CPU_EXIT_DEBUG;
	return true;
}

/* ---- a debugger outside the guest ---- */

void cpu_set_debugger(struct cpu *cpu, const struct cpu_debugger *debugger)
{
	cpu->debugger = *debugger;
	cpu_debug_changed(cpu);
}

void cpu_get_debugregs(const struct cpu *cpu, struct kvm_debugregs *ret_regs)
{
	*ret_regs = (struct kvm_debugregs){.dr6 = cpu->dr[6], .dr7 = cpu->dr[7]};
	memcpy(ret_regs->db, cpu->dr, sizeof(ret_regs->db));
}

int cpu_set_debugregs(struct cpu *cpu, const struct kvm_debugregs *regs)
{
	if (regs->flags || regs->dr6 >> 32 || regs->dr7 >> 32)
		return -1;
	memcpy(cpu->dr, regs->db, sizeof(regs->db));
	cpu->dr[6] = regs->dr6;
	cpu->dr[7] = regs->dr7;
	cpu_debug_changed(cpu);
	return 0;
}

/* ---- MOV to and from debug registers ---- */

/* Checks the number, the privilege and general detection, in this order. Returns the register's number. */
static unsigned debug_register(struct cpu *cpu, unsigned number)
{
	if (number >= 8 || ((number == 4 || number == 5) && cpu->cr4 & CR4_DE))
		cpu_raise(cpu, EXC_UD);
	require_cpl0(cpu);
	if (control(cpu) & DR7_GENERAL)
		raise_debug(cpu, DR6_GENERAL);
	return number == 4 || number == 5 ? number + 2 : number;
}

void op_mov_from_dr(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned number = debug_register(cpu, op->xreg);
	u64 fixed = number == 6 ? DR6_FIXED : number == 7 ? DR7_FIXED : 0;

	if (number == 7 && cpu->vc & CPU_VC_DR7)
		vc_intercept(cpu, VC_DR7_READ);
	reg_set(cpu, op->xrm * 8u, register_width(cpu), cpu->dr[number] | fixed);
}

void op_mov_to_dr(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned number = debug_register(cpu, op->xreg);
	u64 value = reg_get(cpu, op->xrm * 8u, register_width(cpu));

	if (number >= 6 && value >> 32)
		cpu_raise_error(cpu, EXC_GP, 0);
	if (number == 7 && cpu->vc & CPU_VC_DR7)
		vc_intercept(cpu, VC_DR7_WRITE);
	if (number == 6)
		value = (value & DR6_KNOWN) | DR6_FIXED;
	if (number == 7)
		value = (value & DR7_KNOWN) | DR7_FIXED;
	cpu->dr[number] = value;
	cpu_debug_changed(cpu);
}
