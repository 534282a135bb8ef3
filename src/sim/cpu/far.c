/*
 * far: control transfers that load CS: far JMP, CALL and RET with call gates, IRET (APM 2, 4.7; APM 3). All
 * that can fault comes before the first register changes.
 */
#include "far.h"

static _Noreturn void refuse(struct sim_cpu *cpu, u8 vector, u16 selector)
{
	sim_raise_error(cpu, vector, selector & ~3u);
}

/* Reads the descriptor of a code segment; #GP unless it is one, usable in this mode, and present. */
void sim_code_descriptor(struct sim_cpu *cpu, u16 selector, u32 ext, struct sim_seg *ret, u64 *ret_linear)
{
	u64 descriptor[2];

	if (!(selector & ~3u))
		sim_raise_error(cpu, EXC_GP, ext);
	if (!sim_descriptor_read(cpu, selector, descriptor, ret_linear))
		sim_raise_error(cpu, EXC_GP, (selector & ~3u) | ext);
	sim_descriptor_unpack(descriptor, selector, false, ret);
	if ((ret->attr & (SEG_S | SEG_CODE)) != (SEG_S | SEG_CODE) ||
	        (mode_is(cpu, MODE_LONG) && (ret->attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB)))
		sim_raise_error(cpu, EXC_GP, (selector & ~3u) | ext);
}

/* Checks the target before anything is changed. */
void sim_check_target(struct sim_cpu *cpu, const struct sim_seg *cs, u64 rip)
{
	bool wide = mode_is(cpu, MODE_LONG) && cs->attr & SEG_L;

	if (wide ? !is_canonical(rip) : rip > cs->limit)
		sim_raise_error(cpu, EXC_GP, 0);
}

void sim_load_cs(struct sim_cpu *cpu, const struct sim_seg *cs, u32 cpl, u64 rip)
{
	cpu->seg[SIM_CS] = *cs;
	cpu->seg[SIM_CS].selector = (u16)((cs->selector & ~3u) | cpl);
	cpu->cpl = cpl;
	REG_RIP = rip;
	sim_mode_changed(cpu);
}

static bool direct_allowed(const struct sim_cpu *cpu, u16 selector, const struct sim_seg *cs)
{
	u32 dpl = SEG_DPL(cs->attr);

	return cs->attr & SEG_DOWN ? dpl <= cpu->cpl : (selector & 3u) <= cpu->cpl && dpl == cpu->cpl;
}

/* ---- real and virtual 8086 mode ---- */

static void far_real(struct sim_cpu *cpu, u16 selector, u64 offset)
{
	if (offset > cpu->seg[SIM_CS].limit)
		sim_raise_error(cpu, EXC_GP, 0);
	sim_seg_load_real(cpu, SIM_CS, selector);
	REG_RIP = offset;
	sim_mode_changed(cpu);
}

/* ---- gates ---- */

struct gate {
	u16 selector;
	u64 offset;
	unsigned size; /* of what is pushed */
	unsigned params;
};

static bool system_is_gate(const struct sim_cpu *cpu, const u64 d[static 2])
{
	unsigned type = d[0] >> 40 & 15;

	return type == 12 || (type == 4 && !mode_is(cpu, MODE_LONG));
}

static struct gate gate_unpack(const struct sim_cpu *cpu, const u64 d[static 2])
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

/* The checks of a gate and of the code segment behind it; a jump may not raise the privilege. */
static struct gate gate_enter(
        struct sim_cpu *cpu, u16 selector, const u64 d[static 2], bool jump, struct sim_seg *cs)
{
	u32 dpl = d[0] >> 45 & 3;
	struct gate gate = gate_unpack(cpu, d);
	u64 linear;

	if (dpl < cpu->cpl || dpl < (selector & 3u))
		refuse(cpu, EXC_GP, selector);
	if (!(d[0] >> 47 & 1))
		refuse(cpu, EXC_NP, selector);
	sim_code_descriptor(cpu, gate.selector, 0, cs, &linear);
	dpl = SEG_DPL(cs->attr);
	if (dpl > cpu->cpl || (jump && !(cs->attr & SEG_DOWN) && dpl != cpu->cpl) ||
	        (mode_is(cpu, MODE_LONG) && (cs->attr & (SEG_L | SEG_DB)) != SEG_L))
		refuse(cpu, EXC_GP, gate.selector);
	if (!(cs->attr & SEG_P))
		refuse(cpu, EXC_NP, gate.selector);
	sim_check_target(cpu, cs, gate.offset);
	sim_descriptor_accessed(cpu, linear, cs);
	return gate;
}

/* Through a gate to a more privileged level: onto the stack of the TSS, with the old one and parameters
 * pushed. */
static void gate_call_inner(struct sim_cpu *cpu, const struct gate *gate, const struct sim_seg *cs)
{
	u32 cpl = SEG_DPL(cs->attr);
	struct new_stack stack = sim_new_stack(cpu, cpl, 0, 0);
	u64 params[31];

	for (unsigned i = 0; i < gate->params; i++)
		params[i] = sim_stack_peek(cpu, i * gate->size, gate->size);
	sim_new_stack_push(cpu, &stack, gate->size, cpu->seg[SIM_SS].selector);
	sim_new_stack_push(cpu, &stack, gate->size, REG_RSP);
	for (unsigned i = gate->params; i-- > 0;)
		sim_new_stack_push(cpu, &stack, gate->size, params[i]);
	sim_new_stack_push(cpu, &stack, gate->size, cpu->seg[SIM_CS].selector);
	sim_new_stack_push(cpu, &stack, gate->size, sim_op_next_rip(cpu));
	sim_new_stack_commit(cpu, &stack);
	sim_load_cs(cpu, cs, cpl, gate->offset);
}

static void push_return(struct sim_cpu *cpu, unsigned size)
{
	sim_stack_poke(cpu, -(s64)size, size, cpu->seg[SIM_CS].selector);
	sim_stack_poke(cpu, -2 * (s64)size, size, sim_op_next_rip(cpu));
	sim_stack_move(cpu, -2 * (s64)size);
}

/* To a task, by its TSS or by a task gate. */
static void far_task(struct sim_cpu *cpu, u16 selector, const u64 d[static 2], enum task_why why)
{
	u32 dpl = d[0] >> 45 & 3;
	bool gate = (d[0] >> 40 & 15) == 5;

	if (dpl < cpu->cpl || dpl < (selector & 3u))
		refuse(cpu, EXC_GP, selector);
	if (gate && !(d[0] >> 47 & 1))
		refuse(cpu, EXC_NP, selector);
	sim_task_switch(cpu, gate ? (u16)(d[0] >> 16) : selector, why, sim_cpu_rflags(cpu));
}

static void far_system(struct sim_cpu *cpu, u16 selector, const u64 d[static 2], bool call)
{
	unsigned type = d[0] >> 40 & 15;
	struct gate gate;
	struct sim_seg cs;

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
	sim_load_cs(cpu, &cs, cpu->cpl, gate.offset);
}

static void far_transfer(struct sim_cpu *cpu, const struct sim_op *op, u16 selector, u64 offset, bool call)
{
	u64 descriptor[2], linear;
	struct sim_seg cs;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		if (offset > cpu->seg[SIM_CS].limit)
			sim_raise_error(cpu, EXC_GP, 0);
		if (call)
			push_return(cpu, op->size);
		far_real(cpu, selector, offset);
		return;
	}
	if (!(selector & ~3u))
		sim_raise_error(cpu, EXC_GP, 0);
	if (!sim_descriptor_read(cpu, selector, descriptor, &linear))
		refuse(cpu, EXC_GP, selector);
	if (!(descriptor[0] >> 44 & 1)) {
		far_system(cpu, selector, descriptor, call);
		return;
	}
	sim_code_descriptor(cpu, selector, 0, &cs, &linear);
	if (!direct_allowed(cpu, selector, &cs))
		refuse(cpu, EXC_GP, selector);
	if (!(cs.attr & SEG_P))
		refuse(cpu, EXC_NP, selector);
	sim_check_target(cpu, &cs, offset);
	sim_descriptor_accessed(cpu, linear, &cs);
	if (call)
		push_return(cpu, op->size);
	sim_load_cs(cpu, &cs, cpu->cpl, offset);
}

void op_jmp_far(struct sim_cpu *cpu, const struct sim_op *op)
{
	far_transfer(cpu, op, (u16)op->disp, op->imm, false);
}

void op_call_far(struct sim_cpu *cpu, const struct sim_op *op)
{
	far_transfer(cpu, op, (u16)op->disp, op->imm, true);
}

static void far_indirect(struct sim_cpu *cpu, const struct sim_op *op, bool call)
{
	u64 pair[2] = {0};
	u16 selector;

	sim_mem_read_bytes(cpu, op_linear(cpu, op, op->size + 2u, ACCESS_READ), pair, op->size + 2u, op->seg);
	memcpy(&selector, (const u8 *)pair + op->size, 2);
	if (op->size < 8)
		pair[0] &= ((u64)1 << (op->size * 8)) - 1;
	far_transfer(cpu, op, selector, pair[0], call);
}

void op_jmp_far_indirect(struct sim_cpu *cpu, const struct sim_op *op)
{
	far_indirect(cpu, op, false);
}

void op_call_far_indirect(struct sim_cpu *cpu, const struct sim_op *op)
{
	far_indirect(cpu, op, true);
}

/* ---- returns ---- */

/* The stack segment of the less privileged level that a return goes to. */
static struct sim_seg outer_stack(struct sim_cpu *cpu, u16 selector, u32 cpl, const struct sim_seg *cs)
{
	u64 descriptor[2], linear;
	struct sim_seg ss;

	if (!(selector & ~3u)) {
		if (!mode_is(cpu, MODE_LONG) || !(cs->attr & SEG_L) || cpl == 3 || (selector & 3u) != cpl)
			sim_raise_error(cpu, EXC_GP, 0);
		return (struct sim_seg){.selector = selector, .attr = (u16)(cpl << 5)};
	}
	if (!sim_descriptor_read(cpu, selector, descriptor, &linear))
		refuse(cpu, EXC_GP, selector);
	sim_descriptor_unpack(descriptor, selector, false, &ss);
	if ((ss.attr & (SEG_S | SEG_CODE | SEG_WRITE)) != (SEG_S | SEG_WRITE) || (selector & 3u) != cpl ||
	        SEG_DPL(ss.attr) != cpl)
		refuse(cpu, EXC_GP, selector);
	if (!(ss.attr & SEG_P))
		refuse(cpu, EXC_SS, selector);
	sim_descriptor_accessed(cpu, linear, &ss);
	return ss;
}

/*
 * Segments that the outer level may not use become null: their selector and what it allows. The base stays,
 * and 64-bit code goes on using that of FS and GS.
 */
static void drop_privileged(struct sim_cpu *cpu)
{
	for (unsigned i = SIM_ES; i <= SIM_GS; i++) {
		struct sim_seg *s = &cpu->seg[i];
		bool conforming = (s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN);

		if (i != SIM_CS && i != SIM_SS && s->attr & SEG_P && !conforming &&
		        SEG_DPL(s->attr) < cpu->cpl)
			*s = (struct sim_seg){.base = s->base, .limit = s->limit};
	}
}

/* The code segment of a return; its privilege is the selector's. */
static void return_code(struct sim_cpu *cpu, u16 selector, u64 rip, struct sim_seg *cs)
{
	u32 cpl = selector & 3u, dpl;
	u64 linear;

	sim_code_descriptor(cpu, selector, 0, cs, &linear);
	dpl = SEG_DPL(cs->attr);
	if (cpl < cpu->cpl || (cs->attr & SEG_DOWN ? dpl > cpl : dpl != cpl))
		refuse(cpu, EXC_GP, selector);
	if (!(cs->attr & SEG_P))
		refuse(cpu, EXC_NP, selector);
	sim_check_target(cpu, cs, rip);
	sim_descriptor_accessed(cpu, linear, cs);
}

static void stack_set(struct sim_cpu *cpu, const struct sim_seg *ss, u64 rsp)
{
	cpu->seg[SIM_SS] = *ss;
	sim_mode_changed(cpu);
	reg_set(cpu, SIM_RSP * 8, cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2, rsp);
}

void op_ret_far(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned size = op->size, release = (u16)op->imm;
	u64 rip = sim_stack_peek(cpu, 0, size), rsp;
	u16 selector = (u16)sim_stack_peek(cpu, size, size);
	struct sim_seg cs, ss;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		far_real(cpu, selector, rip);
		sim_stack_move(cpu, 2 * size + release);
		return;
	}
	return_code(cpu, selector, rip, &cs);
	if ((selector & 3u) == cpu->cpl) {
		sim_stack_move(cpu, 2 * size + release);
		sim_load_cs(cpu, &cs, cpu->cpl, rip);
		return;
	}
	rsp = sim_stack_peek(cpu, 2 * size + release, size);
	ss = outer_stack(cpu, (u16)sim_stack_peek(cpu, 3 * size + release, size), selector & 3u, &cs);
	sim_load_cs(cpu, &cs, selector & 3u, rip);
	stack_set(cpu, &ss, rsp);
	sim_stack_move(cpu, release);
	drop_privileged(cpu);
}

/* ---- IRET ---- */

/* Which flags an IRET may change, by the privilege before it and the operand size. */
static void iret_flags(struct sim_cpu *cpu, u64 flags, unsigned size, u32 cpl)
{
	u64 change = FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | (size > 2 ? FLAG_RF | FLAG_AC | FLAG_ID : 0);

	if (cpl == 0)
		change |= FLAG_IOPL | (size > 2 ? FLAG_VIF | FLAG_VIP : 0);
	if (!(cpu->mode & MODE_PE) || cpl <= (cpu->rflags_rest & FLAG_IOPL) >> 12)
		change |= FLAG_IF;
	if (!(cpu->mode & MODE_PE))
		change |= FLAG_IOPL;
	sim_cpu_set_rflags(cpu, (sim_cpu_rflags(cpu) & ~change) | (flags & change));
}

static void iret_real(struct sim_cpu *cpu, unsigned size)
{
	u64 rip = sim_stack_peek(cpu, 0, size), flags = sim_stack_peek(cpu, 2 * size, size);

	if (cpu->mode & MODE_VM && (cpu->rflags_rest & FLAG_IOPL) != FLAG_IOPL)
		sim_raise_error(cpu, EXC_GP, 0);
	far_real(cpu, (u16)sim_stack_peek(cpu, size, size), rip);
	sim_stack_move(cpu, 3 * size);
	iret_flags(cpu, flags, size, cpu->cpl);
}

/* To virtual 8086 mode: all segment registers are popped. */
static void iret_virtual(struct sim_cpu *cpu, u64 rip, u16 selector, u64 flags)
{
	static const u8 order[] = {SIM_SS, SIM_ES, SIM_DS, SIM_FS, SIM_GS};
	u64 rsp = sim_stack_peek(cpu, 12, 4);
	u16 selectors[ARRAY_LEN(order)];

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		selectors[i] = (u16)sim_stack_peek(cpu, 16 + 4 * i, 4);
	if ((u32)rip > 0xffff)
		sim_raise_error(cpu, EXC_GP, 0);
	sim_cpu_set_rflags(cpu, flags);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		sim_seg_load_real(cpu, order[i], selectors[i]);
	sim_seg_load_real(cpu, SIM_CS, selector);
	cpu->cpl = 3;
	REG_RIP = rip;
	REG_RSP = rsp;
	sim_mode_changed(cpu);
}

static void iret_protected(struct sim_cpu *cpu, unsigned size)
{
	u64 rip = sim_stack_peek(cpu, 0, size), flags = sim_stack_peek(cpu, 2 * size, size), rsp;
	u16 selector = (u16)sim_stack_peek(cpu, size, size);
	u32 old = cpu->cpl, cpl = selector & 3u;
	struct sim_seg cs, ss;

	if (flags & FLAG_VM && size == 4 && cpu->cpl == 0 && !mode_is(cpu, MODE_LONG)) {
		iret_virtual(cpu, rip, selector, flags);
		return;
	}
	return_code(cpu, selector, rip, &cs);
	/* In 64-bit mode SS:RSP is popped always. */
	if (cpl == old && !mode_is(cpu, MODE_64)) {
		sim_stack_move(cpu, 3 * size);
		sim_load_cs(cpu, &cs, cpl, rip);
		iret_flags(cpu, flags, size, old);
		return;
	}
	rsp = sim_stack_peek(cpu, 3 * size, size);
	ss = outer_stack(cpu, (u16)sim_stack_peek(cpu, 4 * size, size), cpl, &cs);
	sim_load_cs(cpu, &cs, cpl, rip);
	stack_set(cpu, &ss, rsp);
	iret_flags(cpu, flags, size, old);
	if (cpl != old)
		drop_privileged(cpu);
}

void op_iret(struct sim_cpu *cpu, const struct sim_op *op)
{
	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		iret_real(cpu, op->size);
	} else if (cpu->rflags_rest & FLAG_NT) {
		if (mode_is(cpu, MODE_LONG))
			sim_raise_error(cpu, EXC_GP, 0);
		sim_task_switch(cpu, 0, TASK_IRET, sim_cpu_rflags(cpu));
	} else {
		iret_protected(cpu, op->size);
	}
	if (cpu->nmi_blocked) {
		sim_nmis_take(cpu, 0);
		cpu->nmi_blocked = false;
		sim_flags_changed(cpu);
	}
	sim_code_serialize(cpu);
}
