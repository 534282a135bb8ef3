/*
 * segment: segment registers, their descriptors and limits, and the stack that SS makes (APM 2, 4).
 */
#include "ops.h"

/* ---- limits, outside 64-bit mode ---- */

static bool within(const struct sim_seg *s, u64 offset, unsigned size)
{
	u64 last = offset + size - 1;

	if (!(s->attr & SEG_CODE) && s->attr & SEG_DOWN)
		return offset > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static bool type_allows(const struct sim_seg *s, enum access access)
{
	if (!(s->attr & SEG_P))
		return false;
	if (access == ACCESS_WRITE)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE;
	return !(s->attr & SEG_CODE) || s->attr & SEG_WRITE;
}

u64 sim_seg_linear(struct sim_cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access)
{
	const struct sim_seg *s = &cpu->seg[seg];
	bool typed = (cpu->mode & (MODE_PE | MODE_VM)) == MODE_PE;

	if ((typed && !type_allows(s, access)) || !within(s, offset, size))
		sim_raise_error(cpu, seg == SIM_SS ? EXC_SS : EXC_GP, 0);
	return (u32)(s->base + offset);
}

/* ---- descriptors ---- */

/* base_limit: of the table that the selector names; false: beyond it. */
bool sim_descriptor_read(struct sim_cpu *cpu, u16 selector, u64 ret_descriptor[static 2], u64 *ret_linear)
{
	const struct sim_seg *ldt = &cpu->seg[SIM_LDTR];
	bool local = selector & 4;
	u64 base = local ? ldt->base : cpu->gdtr.base;
	u32 limit = local ? ldt->limit : cpu->gdtr.limit, index = selector & ~7u;
	bool system;

	if ((local && !(ldt->attr & SEG_P)) || index + 7 > limit)
		return false;
	*ret_linear = base + index;
	ret_descriptor[0] = sim_sys_read(cpu, *ret_linear, 8);
	ret_descriptor[1] = 0;
	system = !(ret_descriptor[0] >> 44 & 1);
	/* In long mode system descriptors have 16 bytes; a null descriptor's second half does not matter. */
	if (system && mode_is(cpu, MODE_LONG) && index + 15 <= limit)
		ret_descriptor[1] = sim_sys_read(cpu, *ret_linear + 8, 8);
	return true;
}

void sim_descriptor_unpack(
        const u64 descriptor[static 2], u16 selector, bool system64, struct sim_seg *ret_seg)
{
	u64 d = descriptor[0];
	u32 limit = (u32)((d & 0xffff) | (d >> 32 & 0xf0000));

	ret_seg->selector = selector;
	ret_seg->attr = (u16)((d >> 40 & 0xff) | (d >> 52 & 0xf) << 8);
	ret_seg->base = (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24;
	if (system64)
		ret_seg->base |= descriptor[1] << 32;
	ret_seg->limit = ret_seg->attr & SEG_G ? limit << 12 | 0xfff : limit;
}

void sim_descriptor_accessed(struct sim_cpu *cpu, u64 linear, struct sim_seg *seg)
{
	if (seg->attr & 1)
		return;
	seg->attr |= 1;
	sim_sys_write(cpu, linear + 5, 1, sim_sys_read(cpu, linear + 5, 1) | 1);
}

/* ---- loading ---- */

void sim_seg_load_real(struct sim_cpu *cpu, unsigned index, u16 selector)
{
	struct sim_seg *s = &cpu->seg[index];

	s->selector = selector;
	s->base = (u32)selector << 4;
	if (cpu->mode & MODE_VM) {
		s->limit = 0xffff;
		s->attr = 0xf3;
	}
}

static void load_null(struct sim_cpu *cpu, unsigned index, u16 selector)
{
	/* SS may be null in 64-bit mode only, below CPL 3. */
	if (index == SIM_SS && (!mode_is(cpu, MODE_64) || cpu->cpl == 3 || (selector & 3) != cpu->cpl))
		sim_raise_error(cpu, EXC_GP, 0);
	cpu->seg[index] = (struct sim_seg){.selector = selector};
	if (index == SIM_SS)
		cpu->seg[index].attr = (u16)(cpu->cpl << 5);
}

static bool data_allowed(const struct sim_cpu *cpu, unsigned index, u16 selector, const struct sim_seg *s)
{
	u32 dpl = SEG_DPL(s->attr), rpl = selector & 3;

	if (!(s->attr & SEG_S))
		return false;
	if (index == SIM_SS)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE && rpl == cpu->cpl && dpl == cpu->cpl;
	if (s->attr & SEG_CODE && !(s->attr & SEG_WRITE))
		return false;
	if ((s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN))
		return true;
	return dpl >= cpu->cpl && dpl >= rpl;
}

void sim_seg_load(struct sim_cpu *cpu, unsigned index, u16 selector)
{
	u64 descriptor[2], linear;
	struct sim_seg s;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		sim_seg_load_real(cpu, index, selector);
	} else if (!(selector & ~3u)) {
		load_null(cpu, index, selector);
	} else {
		if (!sim_descriptor_read(cpu, selector, descriptor, &linear))
			sim_raise_error(cpu, EXC_GP, selector & ~3u);
		sim_descriptor_unpack(descriptor, selector, false, &s);
		if (!data_allowed(cpu, index, selector, &s))
			sim_raise_error(cpu, EXC_GP, selector & ~3u);
		if (!(s.attr & SEG_P))
			sim_raise_error(cpu, index == SIM_SS ? EXC_SS : EXC_NP, selector & ~3u);
		sim_descriptor_accessed(cpu, linear, &s);
		cpu->seg[index] = s;
	}
	if (index == SIM_SS)
		sim_mode_changed(cpu);
}

/* ---- instructions ---- */

void op_mov_from_seg(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned index = op->xreg & 7;

	if (index > SIM_GS)
		sim_raise(cpu, EXC_UD);
	sim_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[index].selector);
}

/* Interrupts wait until the instruction behind a load of SS is done (APM 2, 8.1.2). */
static void shadow_ss(struct sim_cpu *cpu)
{
	cpu->shadow = true;
	cpu->attention = true;
}

void op_mov_to_seg(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned index = op->xreg & 7;

	if (index > SIM_GS || index == SIM_CS)
		sim_raise(cpu, EXC_UD);
	sim_seg_load(cpu, index, (u16)sim_rm_read(cpu, op, 2));
	if (index == SIM_SS)
		shadow_ss(cpu);
}

/* 06 0E 16 1E, 0F A0, 0F A8 */
static unsigned seg_of_opcode(const struct sim_op *op)
{
	return (op->opcode >> 3) & 7 & (op->opcode >= 0xa0 ? 7 : 3);
}

void op_push_seg(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned index = seg_of_opcode(op);

	/* Processors write 16 bits of the slot and leave the rest; with 64-bit slots they write all. */
	if (op->size == 4) {
		sim_mem_probe(
		        cpu, seg_linear(cpu, SIM_SS, REG_RSP - 4, 4, ACCESS_WRITE), 4, ACCESS_WRITE, SIM_SS);
		sim_stack_poke(cpu, -4, 2, cpu->seg[index].selector);
		sim_stack_move(cpu, -4);
		return;
	}
	sim_push(cpu, op->size, cpu->seg[index].selector);
}

void op_pop_seg(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned index = seg_of_opcode(op);
	u16 selector = (u16)sim_stack_peek(cpu, 0, op->size);
	u32 mode = cpu->mode;

	sim_seg_load(cpu, index, selector);
	/* A POP of SS moves the stack pointer of the width that held before. */
	if (index == SIM_SS && (mode ^ cpu->mode) & MODE_SS32)
		reg_set(cpu, SIM_RSP * 8, mode & MODE_SS32 ? 4 : 2, REG_RSP + op->size);
	else
		sim_stack_move(cpu, op->size);
	if (index == SIM_SS)
		shadow_ss(cpu);
}

/* LES C4, LDS C5, LSS 0F B2, LFS B4, LGS B5 */
void op_load_far(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned index = op->opcode == 0xc4   ? SIM_ES
	                 : op->opcode == 0xc5 ? SIM_DS
	                 : op->opcode == 0xb2 ? SIM_SS
	                                      : (op->opcode & 7u);
	u64 linear = op_linear(cpu, op, op->size + 2u, ACCESS_READ), pair[2] = {0};
	u16 selector;

	sim_mem_read_bytes(cpu, linear, pair, op->size + 2u, op->seg);
	memcpy(&selector, (const u8 *)pair + op->size, 2);
	sim_seg_load(cpu, index, selector);
	reg_set(cpu, op->reg, op->size, pair[0]);
	if (index == SIM_SS)
		shadow_ss(cpu);
}

/* ---- asking about descriptors ---- */

static void zf_set(struct sim_cpu *cpu, bool zf)
{
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/* Is the descriptor one that the program may know of? system: the types LAR or LSL accepts, by bit. */
static bool visible(struct sim_cpu *cpu, u16 selector, u32 system, struct sim_seg *ret)
{
	u64 descriptor[2], linear;

	if (!(selector & ~3u) || !sim_descriptor_read(cpu, selector, descriptor, &linear))
		return false;
	sim_descriptor_unpack(descriptor, selector, false, ret);
	if (!(ret->attr & SEG_S) && !(system >> (ret->attr & SEG_TYPE) & 1))
		return false;
	if (ret->attr & SEG_S && (ret->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN))
		return true;
	return SEG_DPL(ret->attr) >= cpu->cpl && SEG_DPL(ret->attr) >= (selector & 3u);
}

void op_lar(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)sim_rm_read(cpu, op, 2);
	u32 types = mode_is(cpu, MODE_LONG) ? 0x1a04 : 0x1a3e;
	struct sim_seg s;
	bool yes = visible(cpu, selector, types, &s);

	if (yes)
		reg_set(cpu, op->reg, op->size, ((u64)s.attr & 0xff) << 8 | ((u64)s.attr & 0xf00) << 12);
	zf_set(cpu, yes);
}

void op_lsl(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)sim_rm_read(cpu, op, 2);
	u32 types = mode_is(cpu, MODE_LONG) ? 0x0a04 : 0x0a0e;
	struct sim_seg s;
	bool yes = visible(cpu, selector, types, &s);

	if (yes)
		reg_set(cpu, op->reg, op->size, s.limit);
	zf_set(cpu, yes);
}

static void verify(struct sim_cpu *cpu, const struct sim_op *op, enum access access)
{
	u16 selector = (u16)sim_rm_read(cpu, op, 2);
	struct sim_seg s = {0};
	bool yes = visible(cpu, selector, 0, &s);

	s.attr |= SEG_P; /* presence does not matter to VERR and VERW */
	zf_set(cpu, yes && type_allows(&s, access));
}

void op_verr(struct sim_cpu *cpu, const struct sim_op *op)
{
	verify(cpu, op, ACCESS_READ);
}

void op_verw(struct sim_cpu *cpu, const struct sim_op *op)
{
	verify(cpu, op, ACCESS_WRITE);
}

void op_arpl(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 target = (u16)sim_rm_read(cpu, op, 2), rpl = (u16)reg_get(cpu, op->xreg * 8u, 8) & 3;
	bool raise = (target & 3) < rpl;

	if (raise)
		sim_rm_write(cpu, op, 2, (target & ~3u) | rpl);
	zf_set(cpu, raise);
}

/* ---- LDTR and TR ---- */

static void check_umip(struct sim_cpu *cpu)
{
	if (cpu->cr4 & CR4_UMIP && cpu->cpl)
		sim_raise_error(cpu, EXC_GP, 0);
}

void op_sldt(struct sim_cpu *cpu, const struct sim_op *op)
{
	check_umip(cpu);
	sim_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[SIM_LDTR].selector);
}

void op_str(struct sim_cpu *cpu, const struct sim_op *op)
{
	check_umip(cpu);
	sim_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[SIM_TR].selector);
}

/* Reads a system descriptor of one of the types (by bit) from the GDT. */
static void system_descriptor(
        struct sim_cpu *cpu, u16 selector, u32 types, struct sim_seg *ret, u64 *ret_linear)
{
	u64 descriptor[2];

	if (selector & 4 || !sim_descriptor_read(cpu, selector, descriptor, ret_linear))
		sim_raise_error(cpu, EXC_GP, selector & ~3u);
	sim_descriptor_unpack(descriptor, selector, mode_is(cpu, MODE_LONG), ret);
	if (ret->attr & SEG_S || !(types >> (ret->attr & SEG_TYPE) & 1))
		sim_raise_error(cpu, EXC_GP, selector & ~3u);
	if (!(ret->attr & SEG_P))
		sim_raise_error(cpu, EXC_NP, selector & ~3u);
	/* 64 bits of base (APM 2, 4.8.3) */
	if (!is_canonical(ret->base))
		sim_raise_error(cpu, EXC_GP, selector & ~3u);
}

void op_lldt(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)sim_rm_read(cpu, op, 2);
	struct sim_seg s = {.selector = selector};
	u64 linear;

	if (cpu->cpl)
		sim_raise_error(cpu, EXC_GP, 0);
	if (selector & ~3u)
		system_descriptor(cpu, selector, 1 << 2, &s, &linear);
	cpu->seg[SIM_LDTR] = s;
}

void op_ltr(struct sim_cpu *cpu, const struct sim_op *op)
{
	u16 selector = (u16)sim_rm_read(cpu, op, 2);
	struct sim_seg s;
	u64 linear;

	if (cpu->cpl || !(selector & ~3u))
		sim_raise_error(cpu, EXC_GP, 0);
	system_descriptor(cpu, selector, mode_is(cpu, MODE_LONG) ? 1 << 9 : 1 << 9 | 1 << 1, &s, &linear);
	s.attr |= 2; /* busy */
	sim_sys_write(cpu, linear + 5, 1, sim_sys_read(cpu, linear + 5, 1) | 2);
	cpu->seg[SIM_TR] = s;
}

/* ---- the stack ---- */

static u64 stack_linear(struct sim_cpu *cpu, u64 offset, unsigned size, enum access access)
{
	if (likely(cpu->mode & MODE_64))
		return offset;
	return sim_seg_linear(cpu, SIM_SS, cpu->mode & MODE_SS32 ? (u32)offset : (u16)offset, size, access);
}

u64 sim_stack_peek(struct sim_cpu *cpu, unsigned offset, unsigned size)
{
	u64 linear = stack_linear(cpu, REG_RSP + offset, size, ACCESS_READ);

	return mem_read(cpu, linear, size, SIM_SEG_FLAT_SS);
}

void sim_stack_poke(struct sim_cpu *cpu, s64 offset, unsigned size, u64 value)
{
	u64 linear = stack_linear(cpu, REG_RSP + (u64)offset, size, ACCESS_WRITE);

	mem_write(cpu, linear, size, value, SIM_SEG_FLAT_SS);
}

void sim_stack_probe(struct sim_cpu *cpu, unsigned size)
{
	u64 linear = stack_linear(cpu, REG_RSP - size, size, ACCESS_WRITE);

	sim_mem_probe(cpu, linear, size, ACCESS_WRITE, SIM_SEG_FLAT_SS);
}

void sim_stack_move(struct sim_cpu *cpu, s64 by)
{
	reg_set(cpu, SIM_RSP * 8, cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2, REG_RSP + (u64)by);
}

void sim_push(struct sim_cpu *cpu, unsigned size, u64 value)
{
	sim_stack_poke(cpu, -(s64)size, size, value);
	sim_stack_move(cpu, -(s64)size);
}

u64 sim_pop(struct sim_cpu *cpu, unsigned size)
{
	u64 value = sim_stack_peek(cpu, 0, size);

	sim_stack_move(cpu, size);
	return value;
}

/* ---- operands of any size ---- */

u64 sim_rm_read(struct sim_cpu *cpu, const struct sim_op *op, unsigned size)
{
	if (!(op->flags & OP_MEM))
		return reg_get(cpu, op->rm, size);
	return rm_mem_read(cpu, op, size);
}

void sim_rm_write(struct sim_cpu *cpu, const struct sim_op *op, unsigned size, u64 value)
{
	if (op->flags & OP_MEM)
		rm_mem_write(cpu, op, size, value);
	else
		reg_set(cpu, op->rm, size, value);
}
