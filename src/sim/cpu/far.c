/* SPDX-License-Identifier: Apache-2.0 */
/*
 * far: control transfers that load CS: far JMP, CALL and RET, also through call gates, and IRET (APM 2, 4.7;
 * APM 3). All checks that can fault come before the first register changes.
 */
#include "far.h"
#include "vme.h"

static _Noreturn void refuse(struct cpu *cpu, u8 vector, u16 selector)
{
	cpu_raise_error(cpu, vector, selector & ~3u);
}

/*
 * Reads the descriptor of a code segment. Raises #GP unless it is one, and is usable in this mode. The
 * caller checks whether it is present.
 */
void cpu_code_descriptor(struct cpu *cpu, u16 selector, u32 ext, struct cpu_seg *ret, u64 *ret_linear)
{
	u64 descriptor[2];

	if (!(selector & ~3u))
		cpu_raise_error(cpu, EXC_GP, ext);
	if (!cpu_descriptor_read(cpu, selector, descriptor, ret_linear))
		cpu_raise_error(cpu, EXC_GP, (selector & ~3u) | ext);
	cpu_descriptor_unpack(descriptor, selector, false, ret);
	if ((ret->attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) ||
	        (mode_is(cpu, MODE_LONG) && (ret->attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB)))
		cpu_raise_error(cpu, EXC_GP, (selector & ~3u) | ext);
}

/* Raises #GP for a bad target, before anything is changed. */
void cpu_check_target(struct cpu *cpu, const struct cpu_seg *cs, u64 rip)
{
	bool wide = mode_is(cpu, MODE_LONG) && cs->attr & SEG_L;

	if (wide ? !is_canonical(rip) : rip > cs->limit)
		cpu_raise_error(cpu, EXC_GP, 0);
}

void cpu_load_cs(struct cpu *cpu, const struct cpu_seg *cs, u32 cpl, u64 rip)
{
	cpu->seg[CPU_CS] = *cs;
	cpu->seg[CPU_CS].selector = (u16)((cs->selector & ~3u) | cpl);
	cpu->cpl = cpl;
	REG_RIP = rip;
	cpu_mode_changed(cpu);
}

static bool direct_allowed(const struct cpu *cpu, u16 selector, const struct cpu_seg *cs)
{
	u32 dpl = SEG_DPL(cs->attr);

	return cs->attr & SEG_DOWN ? dpl <= cpu->cpl : (selector & 3u) <= cpu->cpl && dpl == cpu->cpl;
}

/* ---- real and virtual 8086 mode ---- */

static void far_real(struct cpu *cpu, u16 selector, u64 offset)
{
	if (offset > cpu->seg[CPU_CS].limit)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_seg_load_real(cpu, CPU_CS, selector);
	REG_RIP = offset;
	cpu_mode_changed(cpu);
}

/* ---- gates ---- */

struct gate {
	u16 selector;
	u64 offset;
	unsigned size; /* of each value that is pushed */
	unsigned params;
};

static bool system_is_gate(const struct cpu *cpu, const u64 d[static 2])
{
	unsigned type = d[0] >> 40 & 15;

	return type == 12 || (type == 4 && !mode_is(cpu, MODE_LONG));
}

static struct gate gate_unpack(const struct cpu *cpu, const u64 d[static 2])
{
	struct gate gate = {.selector = (u16)(d[0] >> 16),
	        .offset = (d[0] & 0xffff) | (d[0] >> 32 & 0xffff0000),
	        .size = (d[0] >> 40 & 8) ? 4 : 2,
	        .params = d[0] >> 32 & 31};

	if (mode_is(cpu, MODE_LONG)) {
		gate.offset |= d[1] << 32;
		gate.size = 8;
		gate.params = 0;
	} else if (gate.size == 2) {
		gate.offset &= 0xffff;
	}
	return gate;
}

/* Checks a gate and the code segment behind it, and returns the gate; a jump may not raise the privilege. */
static struct gate gate_enter(
        struct cpu *cpu, u16 selector, const u64 d[static 2], bool jump, struct cpu_seg *cs)
{
	u32 dpl = d[0] >> 45 & 3;
	struct gate gate = gate_unpack(cpu, d);
	u64 linear;

	if (dpl < cpu->cpl || dpl < (selector & 3u))
		refuse(cpu, EXC_GP, selector);
	if (!(d[0] >> 47 & 1))
		refuse(cpu, EXC_NP, selector);
	cpu_code_descriptor(cpu, gate.selector, 0, cs, &linear);
	dpl = SEG_DPL(cs->attr);
	if (dpl > cpu->cpl || (jump && !(cs->attr & SEG_DOWN) && dpl != cpu->cpl) ||
	        (mode_is(cpu, MODE_LONG) && (cs->attr & (SEG_L | SEG_DB)) != SEG_L))
		refuse(cpu, EXC_GP, gate.selector);
	if (!(cs->attr & SEG_P))
		refuse(cpu, EXC_NP, gate.selector);
	cpu_check_target(cpu, cs, gate.offset);
	cpu_descriptor_accessed(cpu, linear, cs);
	return gate;
}

/*
 * Calls through a gate to a more privileged level: changes to the stack that the TSS names, and pushes the
 * old stack pointer and the parameters there.
 */
static void gate_call_inner(struct cpu *cpu, const struct gate *gate, const struct cpu_seg *cs)
{
	u32 cpl = SEG_DPL(cs->attr);
	struct new_stack stack = cpu_new_stack(cpu, cpl, 0, 0);
	u64 params[31];

	for (unsigned i = 0; i < gate->params; i++)
		params[i] = cpu_stack_peek(cpu, i * gate->size, gate->size);
	cpu_new_stack_push(cpu, &stack, gate->size, cpu->seg[CPU_SS].selector);
	cpu_new_stack_push(cpu, &stack, gate->size, REG_RSP);
	for (unsigned i = gate->params; i-- > 0;)
		cpu_new_stack_push(cpu, &stack, gate->size, params[i]);
	cpu_new_stack_push(cpu, &stack, gate->size, cpu->seg[CPU_CS].selector);
	cpu_new_stack_push(cpu, &stack, gate->size, cpu_op_next_rip(cpu));
	cpu_new_stack_commit(cpu, &stack);
	cpu_load_cs(cpu, cs, cpl, gate->offset);
}

static void push_return(struct cpu *cpu, unsigned size)
{
	cpu_stack_poke(cpu, -(s64)size, size, cpu->seg[CPU_CS].selector);
	cpu_stack_poke(cpu, -2 * (s64)size, size, cpu_op_next_rip(cpu));
	cpu_stack_move(cpu, -2 * (s64)size);
}

/* Switches to a task, by its TSS or by a task gate. */
static void far_task(struct cpu *cpu, u16 selector, const u64 d[static 2], enum task_why why)
{
	u32 dpl = d[0] >> 45 & 3;
	bool gate = (d[0] >> 40 & 15) == 5;

	if (dpl < cpu->cpl || dpl < (selector & 3u))
		refuse(cpu, EXC_GP, selector);
	if (gate && !(d[0] >> 47 & 1))
		refuse(cpu, EXC_NP, selector);
	cpu_task_switch(cpu, gate ? (u16)(d[0] >> 16) : selector, why, cpu_rflags(cpu));
}

static void far_system(struct cpu *cpu, u16 selector, const u64 d[static 2], bool call)
{
	unsigned type = d[0] >> 40 & 15;
	struct gate gate;
	struct cpu_seg cs;

	if (!system_is_gate(cpu, d)) {
		if (mode_is(cpu, MODE_LONG) || !(type == 5 || (type & 5) == 1))
			refuse(cpu, EXC_GP, selector);
		far_task(cpu, selector, d, call ? TASK_CALL : TASK_JUMP);
		return;
	}
	gate = gate_enter(cpu, selector, d, !call, &cs);
	if (call && !(cs.attr & SEG_DOWN) && SEG_DPL(cs.attr) < cpu->cpl) {
		gate_call_inner(cpu, &gate, &cs);
		return;
	}
	if (call)
		push_return(cpu, gate.size);
	cpu_load_cs(cpu, &cs, cpu->cpl, gate.offset);
}

static void far_transfer(struct cpu *cpu, const struct cpu_op *op, u16 selector, u64 offset, bool call)
{
	u64 descriptor[2], linear;
	struct cpu_seg cs;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		if (offset > cpu->seg[CPU_CS].limit)
			cpu_raise_error(cpu, EXC_GP, 0);
		if (call)
			push_return(cpu, op->size);
		far_real(cpu, selector, offset);
		return;
	}
	if (!(selector & ~3u))
		cpu_raise_error(cpu, EXC_GP, 0);
	if (!cpu_descriptor_read(cpu, selector, descriptor, &linear))
		refuse(cpu, EXC_GP, selector);
	if (!(descriptor[0] >> 44 & 1)) {
		far_system(cpu, selector, descriptor, call);
		return;
	}
	cpu_code_descriptor(cpu, selector, 0, &cs, &linear);
	if (!direct_allowed(cpu, selector, &cs))
		refuse(cpu, EXC_GP, selector);
	if (!(cs.attr & SEG_P))
		refuse(cpu, EXC_NP, selector);
	cpu_check_target(cpu, &cs, offset);
	cpu_descriptor_accessed(cpu, linear, &cs);
	if (call)
		push_return(cpu, op->size);
	cpu_load_cs(cpu, &cs, cpu->cpl, offset);
}

void op_jmp_far(struct cpu *cpu, const struct cpu_op *op)
{
	far_transfer(cpu, op, (u16)op->disp, op->imm, false);
}

void op_call_far(struct cpu *cpu, const struct cpu_op *op)
{
	far_transfer(cpu, op, (u16)op->disp, op->imm, true);
}

static void far_indirect(struct cpu *cpu, const struct cpu_op *op, bool call)
{
	u64 pair[2] = {0};
	u16 selector;

	cpu_mem_read_bytes(cpu, op_linear(cpu, op, op->size + 2u, ACCESS_READ), pair, op->size + 2u, op->seg);
	memcpy(&selector, (const u8 *)pair + op->size, 2);
	if (op->size < 8)
		pair[0] &= ((u64)1 << (op->size * 8)) - 1;
	far_transfer(cpu, op, selector, pair[0], call);
}

void op_jmp_far_indirect(struct cpu *cpu, const struct cpu_op *op)
{
	far_indirect(cpu, op, false);
}

void op_call_far_indirect(struct cpu *cpu, const struct cpu_op *op)
{
	far_indirect(cpu, op, true);
}

/* ---- returns ---- */

/* Loads the stack segment of the less privileged level that a return goes to. */
static struct cpu_seg outer_stack(struct cpu *cpu, u16 selector, u32 cpl, const struct cpu_seg *cs)
{
	u64 descriptor[2], linear;
	struct cpu_seg ss;

	if (!(selector & ~3u)) {
		if (!mode_is(cpu, MODE_LONG) || !(cs->attr & SEG_L) || cpl == 3 || (selector & 3u) != cpl)
			cpu_raise_error(cpu, EXC_GP, 0);
		return (struct cpu_seg){.selector = selector, .attr = (u16)(cpl << 5)};
	}
	if (!cpu_descriptor_read(cpu, selector, descriptor, &linear))
		refuse(cpu, EXC_GP, selector);
	cpu_descriptor_unpack(descriptor, selector, false, &ss);
	if ((ss.attr & (SEG_S | SEG_CODE | SEG_WRITE)) != (SEG_S | SEG_WRITE) || (selector & 3u) != cpl ||
	        SEG_DPL(ss.attr) != cpl)
		refuse(cpu, EXC_GP, selector);
	if (!(ss.attr & SEG_P))
		refuse(cpu, EXC_SS, selector);
	cpu_descriptor_accessed(cpu, linear, &ss);
	return ss;
}

/*
 * Makes segments null that the outer level may not use: clears their selectors and their rights. The bases
 * stay, and 64-bit code goes on using those of FS and GS.
 */
static void drop_privileged(struct cpu *cpu)
{
	for (unsigned i = CPU_ES; i <= CPU_GS; i++) {
		struct cpu_seg *s = &cpu->seg[i];
		bool conforming = (s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);

		if (i != CPU_CS && i != CPU_SS && s->attr & SEG_P && !conforming &&
		        SEG_DPL(s->attr) < cpu->cpl)
			*s = (struct cpu_seg){.base = s->base, .limit = s->limit};
	}
}

/* Reads and checks the code segment of a return; the selector decides the new privilege. */
static void return_code(struct cpu *cpu, u16 selector, u64 rip, struct cpu_seg *cs)
{
	u32 cpl = selector & 3u, dpl;
	u64 linear;

	cpu_code_descriptor(cpu, selector, 0, cs, &linear);
	dpl = SEG_DPL(cs->attr);
	if (cpl < cpu->cpl || (cs->attr & SEG_DOWN ? dpl > cpl : dpl != cpl))
		refuse(cpu, EXC_GP, selector);
	if (!(cs->attr & SEG_P))
		refuse(cpu, EXC_NP, selector);
	cpu_check_target(cpu, cs, rip);
	cpu_descriptor_accessed(cpu, linear, cs);
}

static void stack_set(struct cpu *cpu, const struct cpu_seg *ss, u64 rsp)
{
	cpu->seg[CPU_SS] = *ss;
	cpu_mode_changed(cpu);
	reg_set(cpu, CPU_RSP * 8, cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2, rsp);
}

void op_ret_far(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->size, release = (u16)op->imm;
	u64 rip = cpu_stack_peek(cpu, 0, size), rsp;
	u16 selector = (u16)cpu_stack_peek(cpu, size, size);
	struct cpu_seg cs, ss;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		far_real(cpu, selector, rip);
		cpu_stack_move(cpu, 2 * size + release);
		return;
	}
	return_code(cpu, selector, rip, &cs);
	if ((selector & 3u) == cpu->cpl) {
		cpu_stack_move(cpu, 2 * size + release);
		cpu_load_cs(cpu, &cs, cpu->cpl, rip);
		return;
	}
	rsp = cpu_stack_peek(cpu, 2 * size + release, size);
	ss = outer_stack(cpu, (u16)cpu_stack_peek(cpu, 3 * size + release, size), selector & 3u, &cs);
	cpu_load_cs(cpu, &cs, selector & 3u, rip);
	stack_set(cpu, &ss, rsp);
	cpu_stack_move(cpu, release);
	drop_privileged(cpu);
}

/* ---- IRET ---- */

/* Sets the flags that an IRET may change, by the privilege before it and the operand size. */
static void iret_flags(struct cpu *cpu, u64 flags, unsigned size, u32 cpl)
{
	u64 change = FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | (size > 2 ? FLAG_RF | FLAG_AC | FLAG_ID : 0);

	if (cpl == 0)
		change |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
	if (!(cpu->mode & MODE_PE) || cpl <= (cpu->rflags_rest & FLAG_IOPL) >> 12)
		change |= FLAG_IF;
	if (!(cpu->mode & MODE_PE))
		change |= FLAG_IOPL;
	cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~change) | (flags & change));
}

static void iret_real(struct cpu *cpu, unsigned size)
{
	u64 rip = cpu_stack_peek(cpu, 0, size), flags = cpu_stack_peek(cpu, 2 * size, size);
	bool virtual = cpu_vme_replaces(cpu, size);

	if (virtual)
		cpu_vme_check_flags(cpu, flags);
	else if (cpu->mode & MODE_VM && (cpu->rflags_rest & FLAG_IOPL) != FLAG_IOPL)
		cpu_raise_error(cpu, EXC_GP, 0);
	far_real(cpu, (u16)cpu_stack_peek(cpu, size, size), rip);
	cpu_stack_move(cpu, 3 * size);
	if (virtual)
		cpu_vme_set_flags(cpu, flags);
	else
		iret_flags(cpu, flags, size, cpu->cpl);
}

/* Returns to virtual 8086 mode: pops all segment registers. */
static void iret_virtual(struct cpu *cpu, u64 rip, u16 selector, u64 flags)
{
	static const u8 order[] = {CPU_SS, CPU_ES, CPU_DS, CPU_FS, CPU_GS};
	u64 rsp = cpu_stack_peek(cpu, 12, 4);
	u16 selectors[ARRAY_LEN(order)];

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		selectors[i] = (u16)cpu_stack_peek(cpu, 16 + 4 * i, 4);
	if ((u32)rip > 0xffff)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_set_rflags(cpu, flags);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		cpu_seg_load_real(cpu, order[i], selectors[i]);
	cpu_seg_load_real(cpu, CPU_CS, selector);
	cpu->cpl = 3;
	REG_RIP = rip;
	REG_RSP = rsp;
	cpu_mode_changed(cpu);
}

static void iret_protected(struct cpu *cpu, unsigned size)
{
	u64 rip = cpu_stack_peek(cpu, 0, size), flags = cpu_stack_peek(cpu, 2 * size, size), rsp;
	u16 selector = (u16)cpu_stack_peek(cpu, size, size);
	u32 old = cpu->cpl, cpl = selector & 3u;
	struct cpu_seg cs, ss;

	if (flags & FLAG_VM && size == 4 && cpu->cpl == 0 && !mode_is(cpu, MODE_LONG)) {
		iret_virtual(cpu, rip, selector, flags);
		return;
	}
	return_code(cpu, selector, rip, &cs);
	/* In 64-bit mode SS:RSP is always popped. */
	if (cpl == old && !mode_is(cpu, MODE_64)) {
		cpu_stack_move(cpu, 3 * size);
		cpu_load_cs(cpu, &cs, cpl, rip);
		iret_flags(cpu, flags, size, old);
		return;
	}
	rsp = cpu_stack_peek(cpu, 3 * size, size);
	ss = outer_stack(cpu, (u16)cpu_stack_peek(cpu, 4 * size, size), cpl, &cs);
	cpu_load_cs(cpu, &cs, cpl, rip);
	stack_set(cpu, &ss, rsp);
	iret_flags(cpu, flags, size, old);
	if (cpl != old)
		drop_privileged(cpu);
}

void op_iret(struct cpu *cpu, const struct cpu_op *op)
{
	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		iret_real(cpu, op->size);
	} else if (cpu->rflags_rest & FLAG_NT) {
		if (mode_is(cpu, MODE_LONG))
			cpu_raise_error(cpu, EXC_GP, 0);
		cpu_task_switch(cpu, 0, TASK_IRET, cpu_rflags(cpu));
	} else {
		iret_protected(cpu, op->size);
	}
	if (!cpu->vc)
		cpu_end_nmi_blocking(cpu);
	cpu_code_serialize(cpu);
}
