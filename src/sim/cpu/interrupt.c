/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupt: the one path by which interrupts and exceptions are delivered, in real, protected and long mode
 * (APM 2, 8), and the instructions that raise them.
 */
#include "debug.h"
#include "far.h"
#include "vc.h"
#include "vme.h"

/* ---- stacks of inner levels ---- */

static struct new_stack stack_long(struct cpu *cpu, u32 cpl, unsigned ist, u32 ext)
{
	const struct cpu_seg *tr = &cpu->seg[CPU_TR];
	unsigned at = ist ? 28 + ist * 8 : 4 + cpl * 8;

	if (at + 7 > tr->limit)
		cpu_raise_error(cpu, EXC_TS, (tr->selector & ~3u) | ext);
	return (struct new_stack){.rsp = cpu_sys_read(cpu, tr->base + at, 8),
	        .cpl = cpl,
	        .ext = ext,
	        .ss = {.selector = (u16)(cpl == cpu->cpl ? 0 : cpl), .attr = (u16)(cpl << 5)},
	        .keep_ss = cpl == cpu->cpl};
}

struct new_stack cpu_new_stack(struct cpu *cpu, u32 cpl, unsigned ist, u32 ext)
{
	const struct cpu_seg *tr = &cpu->seg[CPU_TR];
	bool wide = tr->attr & 8;
	unsigned at = wide ? 4 + cpl * 8 : 2 + cpl * 4;
	struct new_stack stack = {.cpl = cpl, .ext = ext};
	u64 descriptor[2], linear;
	u16 selector;

	if (mode_is(cpu, MODE_LONG))
		return stack_long(cpu, cpl, ist, ext);
	if (at + (wide ? 5 : 3) > tr->limit)
		cpu_raise_error(cpu, EXC_TS, (tr->selector & ~3u) | ext);
	stack.rsp = cpu_sys_read(cpu, tr->base + at, wide ? 4 : 2);
	selector = (u16)cpu_sys_read(cpu, tr->base + at + (wide ? 4 : 2), 2);
	if (!(selector & ~3u) || !cpu_descriptor_read(cpu, selector, descriptor, &linear))
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	cpu_descriptor_unpack(descriptor, selector, false, &stack.ss);
	if ((stack.ss.attr & (SEG_S | SEG_CODE | SEG_WRITE)) != (SEG_S | SEG_WRITE) ||
	        (selector & 3u) != cpl || SEG_DPL(stack.ss.attr) != cpl)
		cpu_raise_error(cpu, EXC_TS, (selector & ~3u) | ext);
	if (!(stack.ss.attr & SEG_P))
		cpu_raise_error(cpu, EXC_SS, (selector & ~3u) | ext);
	cpu_descriptor_accessed(cpu, linear, &stack.ss);
	return stack;
}

static bool stack_fits(const struct new_stack *stack, u64 offset, unsigned size)
{
	const struct cpu_seg *ss = &stack->ss;

	if (ss->attr & SEG_DOWN)
		return offset > ss->limit && offset + size - 1 <= (ss->attr & SEG_DB ? 0xffffffffu : 0xffffu);
	return offset + size - 1 <= ss->limit;
}

void cpu_new_stack_push(struct cpu *cpu, struct new_stack *stack, unsigned size, u64 value)
{
	u64 linear;

	stack->rsp -= size;
	if (mode_is(cpu, MODE_LONG)) {
		linear = stack->rsp;
		if (!is_canonical(linear))
			cpu_raise_error(cpu, EXC_SS, stack->ext);
	} else {
		u64 offset = stack->ss.attr & SEG_DB ? (u32)stack->rsp : (u16)stack->rsp;

		if (!stack_fits(stack, offset, size))
			cpu_raise_error(
			        cpu, EXC_SS, (stack->keep_ss ? 0 : stack->ss.selector & ~3u) | stack->ext);
		linear = (u32)(stack->ss.base + offset);
	}
	if (stack->cpl == 3)
		cpu_mem_write_slow(cpu, linear, size, value, CPU_SEG_FLAT_SS);
	else
		cpu_sys_write(cpu, linear, size, value);
}

void cpu_new_stack_commit(struct cpu *cpu, const struct new_stack *stack)
{
	bool wide = mode_is(cpu, MODE_LONG);

	reg_set(cpu, CPU_RSP * 8, wide ? 8 : stack->ss.attr & SEG_DB ? 4 : 2, stack->rsp);
	if (!stack->keep_ss)
		cpu->seg[CPU_SS] = stack->ss;
}

/* ---- delivery ---- */

#define PROTECTED_CLEAR (FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM)

/* Completes a delivery; clear has the flags that are clear when the handler starts. */
static void delivered(struct cpu *cpu, u64 clear)
{
	bool soft = cpu->event.kind == CPU_EVENT_SOFT;

	if (cpu->event.kind == CPU_EVENT_NMI)
		cpu->nmi_blocked = true;
	cpu->event.kind = CPU_EVENT_NONE;
	cpu->shadow = false;
	cpu->rflags_rest &= ~clear;
	cpu_access_forget(cpu);
	cpu_mode_changed(cpu);
	cpu_code_serialize(cpu);
	if (soft)
		cpu_debug_behind_int(cpu);
}

static void deliver_real(struct cpu *cpu)
{
	u32 at = cpu->event.vector * 4u;
	u32 vector;

	if (at + 3 > cpu->idtr.limit)
		cpu_raise_error(cpu, cpu->event.vector == EXC_GP ? EXC_DF : EXC_GP, 0);
	vector = (u32)cpu_sys_read(cpu, cpu->idtr.base + at, 4);
	cpu_stack_poke(cpu, -2, 2, cpu_rflags(cpu));
	cpu_stack_poke(cpu, -4, 2, cpu->seg[CPU_CS].selector);
	cpu_stack_poke(cpu, -6, 2, REG_RIP);
	cpu_stack_move(cpu, -6);
	cpu_seg_load_real(cpu, CPU_CS, (u16)(vector >> 16));
	REG_RIP = (u16)vector;
	delivered(cpu, FLAG_TF | FLAG_RF | FLAG_AC | FLAG_IF);
}

/*
 * Returns the flags to push. Faults push RF, so that the instruction does not meet its breakpoint again;
 * traps, aborts and interrupts do not.
 */
static u64 pushed_flags(const struct cpu *cpu)
{
	u8 vector = cpu->event.vector;
	bool debug = vector == EXC_DB || (vector == EXC_VC && cpu->event.error == VC_DB);
	bool fault = cpu->event.kind == CPU_EVENT_EXCEPTION && !debug && vector != EXC_BP &&
	             vector != EXC_OF && vector != EXC_DF;

	return cpu_rflags(cpu) | (fault ? FLAG_RF : 0);
}

struct idt_gate {
	u16 selector;
	u64 offset;
	unsigned type, ist;
};

static struct idt_gate gate_read(struct cpu *cpu, u32 ext)
{
	bool wide = mode_is(cpu, MODE_LONG);
	u32 at = cpu->event.vector * (wide ? 16u : 8u), error = cpu->event.vector * 8u + 2 + ext;
	u64 low, high;
	struct idt_gate gate;
	bool known;

	if (at + (wide ? 15 : 7) > cpu->idtr.limit)
		cpu_raise_error(cpu, EXC_GP, error);
	low = cpu_sys_read(cpu, cpu->idtr.base + at, 8);
	high = wide ? cpu_sys_read(cpu, cpu->idtr.base + at + 8, 8) : 0;
	gate = (struct idt_gate){.selector = (u16)(low >> 16),
	        .offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32,
	        .type = low >> 40 & 31,
	        .ist = wide ? low >> 32 & 7 : 0};
	known = gate.type == 14 || gate.type == 15 || (!wide && gate.type >= 5 && gate.type <= 7);
	if (!known || (cpu->event.kind == CPU_EVENT_SOFT && (low >> 45 & 3) < cpu->cpl))
		cpu_raise_error(cpu, EXC_GP, error);
	if (!(low >> 47 & 1))
		cpu_raise_error(cpu, EXC_NP, error);
	if (gate.type < 8)
		gate.offset &= 0xffff;
	return gate;
}

/*
 * In virtual 8086 mode these registers hold no selectors: the handler finds their values on its stack, and
 * null selectors in the registers.
 */
static const u8 virtual_saved[] = {CPU_GS, CPU_FS, CPU_DS, CPU_ES};

/* Pushes the return frame onto a new stack, or below the current stack pointer. */
static void push_frame(struct cpu *cpu, struct new_stack *stack, unsigned size, bool with_stack)
{
	if (cpu->mode & MODE_VM)
		for (unsigned i = 0; i < ARRAY_LEN(virtual_saved); i++)
			cpu_new_stack_push(cpu, stack, size, cpu->seg[virtual_saved[i]].selector);
	if (with_stack) {
		cpu_new_stack_push(cpu, stack, size, cpu->seg[CPU_SS].selector);
		cpu_new_stack_push(cpu, stack, size, REG_RSP);
	}
	cpu_new_stack_push(cpu, stack, size, pushed_flags(cpu));
	cpu_new_stack_push(cpu, stack, size, cpu->seg[CPU_CS].selector);
	cpu_new_stack_push(cpu, stack, size, REG_RIP);
	if (cpu->event.has_error)
		cpu_new_stack_push(cpu, stack, size, cpu->event.error);
}

static void deliver_protected(struct cpu *cpu)
{
	u32 ext = cpu->event.kind == CPU_EVENT_SOFT ? 0 : 1, cpl;
	struct idt_gate gate = gate_read(cpu, ext);
	bool wide = mode_is(cpu, MODE_LONG);
	struct new_stack stack;
	struct cpu_seg cs;
	u64 linear;

	if (gate.type == 5) {
		cpu_task_switch(cpu, gate.selector, TASK_EVENT, pushed_flags(cpu));
		delivered(cpu, 0);
		return;
	}
	cpu_code_descriptor(cpu, gate.selector, ext, &cs, &linear);
	cpl = cs.attr & SEG_DOWN ? cpu->cpl : SEG_DPL(cs.attr);
	if (SEG_DPL(cs.attr) > cpu->cpl || (cpu->mode & MODE_VM && cpl) ||
	        (wide && (cs.attr & (SEG_L | SEG_DB)) != SEG_L))
		cpu_raise_error(cpu, EXC_GP, (gate.selector & ~3u) | ext);
	if (!(cs.attr & SEG_P))
		cpu_raise_error(cpu, EXC_NP, (gate.selector & ~3u) | ext);
	if (cpl < cpu->cpl || gate.ist)
		stack = cpu_new_stack(cpu, cpl, gate.ist, ext);
	else
		stack = (struct new_stack){
		        .rsp = REG_RSP, .ss = cpu->seg[CPU_SS], .cpl = cpl, .ext = ext, .keep_ss = true};
	if (wide)
		stack.rsp &= ~(u64)15;
	cpu_check_target(cpu, &cs, gate.offset);
	push_frame(cpu, &stack, wide ? 8 : gate.type >= 14 ? 4 : 2, wide || cpl < cpu->cpl);
	cpu_descriptor_accessed(cpu, linear, &cs);
	cpu_new_stack_commit(cpu, &stack);
	if (cpu->mode & MODE_VM)
		for (unsigned i = 0; i < ARRAY_LEN(virtual_saved); i++)
			cpu->seg[virtual_saved[i]] = (struct cpu_seg){0};
	cpu_load_cs(cpu, &cs, cpl, gate.offset);
	delivered(cpu, PROTECTED_CLEAR | (gate.type & 1 ? 0 : FLAG_IF));
}

void cpu_deliver(struct cpu *cpu)
{
	cpu_debug_deliver(cpu);
	if (!(cpu->mode & MODE_PE))
		deliver_real(cpu);
	else
		deliver_protected(cpu);
}

/* ---- INT n, INT3, INTO, INT1: traps, which come after the instruction ---- */

/*
 * Raises the event of an INT instruction. If the delivery faults, the fault is reported at the INT
 * instruction: soft_len takes rip back to it.
 */
static void raise_soft(struct cpu *cpu, const struct cpu_op *op, u8 vector, enum cpu_event_kind kind)
{
	REG_RIP += op->next;
	cpu->event = (struct cpu_event){.kind = kind, .vector = vector, .soft_len = op->len};
	cpu->attention = true;
}

void op_int(struct cpu *cpu, const struct cpu_op *op)
{
	if (cpu_vme_interrupt(cpu, op, (u8)op->imm))
		return;
	/* INT n in virtual 8086 mode raises #GP, and the guest's monitor does the rest. */
	if (cpu->mode & MODE_VM && (cpu->rflags_rest & FLAG_IOPL) != FLAG_IOPL)
		cpu_raise_error(cpu, EXC_GP, 0);
	raise_soft(cpu, op, (u8)op->imm, CPU_EVENT_SOFT);
}

void op_int3(struct cpu *cpu, const struct cpu_op *op)
{
	raise_soft(cpu, op, EXC_BP, CPU_EVENT_SOFT);
}

void op_into(struct cpu *cpu, const struct cpu_op *op)
{
	if (flag_of(cpu))
		raise_soft(cpu, op, EXC_OF, CPU_EVENT_SOFT);
	else
		REG_RIP += op->next;
}

void op_int1(struct cpu *cpu, const struct cpu_op *op)
{
	vc_intercept(cpu, VC_ICEBP);
	raise_soft(cpu, op, EXC_DB, CPU_EVENT_EXCEPTION);
}
