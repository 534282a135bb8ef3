/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment: segment registers, their descriptors and limits, and the stack to which SS points (APM 2, 4).
 */
#include "ops.h"

/* ---- limits, outside 64-bit mode ---- */

static bool within(const struct cpu_seg *s, u64 offset, unsigned size)
{
	u64 last = offset + size - 1;

	if (!(s->attr & SEG_CODE) && s->attr & SEG_DOWN)
		return offset > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static bool type_allows(const struct cpu_seg *s, enum access access)
{
	if (!(s->attr & SEG_P))
		return false;
	if (access == ACCESS_WRITE)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE;
	return !(s->attr & SEG_CODE) || s->attr & SEG_WRITE;
}

u64 cpu_seg_linear(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access)
{
	const struct cpu_seg *s = &cpu->seg[seg];
	bool typed = (cpu->mode & (MODE_PE | MODE_VM)) == MODE_PE;

	if ((typed && !type_allows(s, access)) || !within(s, offset, size))
		cpu_raise_error(cpu, seg == CPU_SS ? EXC_SS : EXC_GP, 0);
	return (u32)(s->base + offset);
}

/* ---- descriptors ---- */

/* Reads the descriptor that the selector names. False: it lies beyond its table's limit. */
bool cpu_descriptor_read(struct cpu *cpu, u16 selector, u64 ret_descriptor[static 2], u64 *ret_linear)
{
	const struct cpu_seg *ldt = &cpu->seg[CPU_LDTR];
	bool local = selector & 4;
	u64 base = local ? ldt->base : cpu->gdtr.base;
	u32 limit = local ? ldt->limit : cpu->gdtr.limit, index = selector & ~7u;
	bool system;

	if ((local && !(ldt->attr & SEG_P)) || index + 7 > limit)
		return false;
	*ret_linear = base + index;
	ret_descriptor[0] = cpu_sys_read(cpu, *ret_linear, 8);
	ret_descriptor[1] = 0;
	system = !(ret_descriptor[0] >> 44 & 1);
	/* In long mode system descriptors have 16 bytes; a null descriptor's second half does not matter. */
	if (system && mode_is(cpu, MODE_LONG) && index + 15 <= limit)
		ret_descriptor[1] = cpu_sys_read(cpu, *ret_linear + 8, 8);
	return true;
}

void cpu_descriptor_unpack(
        const u64 descriptor[static 2], u16 selector, bool system64, struct cpu_seg *ret_seg)
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

void cpu_descriptor_accessed(struct cpu *cpu, u64 linear, struct cpu_seg *seg)
{
	if (seg->attr & 1)
		return;
	seg->attr |= 1;
	cpu_sys_write(cpu, linear + 5, 1, cpu_sys_read(cpu, linear + 5, 1) | 1);
}

/* ---- loading ---- */

void cpu_seg_load_real(struct cpu *cpu, unsigned index, u16 selector)
{
	struct cpu_seg *s = &cpu->seg[index];

	s->selector = selector;
	s->base = (u32)selector << 4;
	if (cpu->mode & MODE_VM) {
		s->limit = 0xffff;
		s->attr = 0xf3;
	}
}

static void load_null(struct cpu *cpu, unsigned index, u16 selector)
{
	/* SS may be null only in 64-bit mode, at CPL 0 to 2. */
	if (index == CPU_SS && (!mode_is(cpu, MODE_64) || cpu->cpl == 3 || (selector & 3) != cpu->cpl))
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu->seg[index] = (struct cpu_seg){.selector = selector};
	if (index == CPU_SS)
		cpu->seg[index].attr = (u16)(cpu->cpl << 5);
}

static bool data_allowed(const struct cpu *cpu, unsigned index, u16 selector, const struct cpu_seg *s)
{
	u32 dpl = SEG_DPL(s->attr), rpl = selector & 3;

	if (!(s->attr & SEG_S))
		return false;
	if (index == CPU_SS)
		return (s->attr & (SEG_CODE | SEG_WRITE)) == SEG_WRITE && rpl == cpu->cpl && dpl == cpu->cpl;
	if (s->attr & SEG_CODE && !(s->attr & SEG_WRITE))
		return false;
	if ((s->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN))
		return true;
	return dpl >= cpu->cpl && dpl >= rpl;
}

void cpu_seg_load(struct cpu *cpu, unsigned index, u16 selector)
{
	u64 descriptor[2], linear;
	struct cpu_seg s;

	if ((cpu->mode & (MODE_PE | MODE_VM)) != MODE_PE) {
		cpu_seg_load_real(cpu, index, selector);
	} else if (!(selector & ~3u)) {
		load_null(cpu, index, selector);
	} else {
		if (!cpu_descriptor_read(cpu, selector, descriptor, &linear))
			cpu_raise_error(cpu, EXC_GP, selector & ~3u);
		cpu_descriptor_unpack(descriptor, selector, false, &s);
		if (!data_allowed(cpu, index, selector, &s))
			cpu_raise_error(cpu, EXC_GP, selector & ~3u);
		if (!(s.attr & SEG_P))
			cpu_raise_error(cpu, index == CPU_SS ? EXC_SS : EXC_NP, selector & ~3u);
		cpu_descriptor_accessed(cpu, linear, &s);
		cpu->seg[index] = s;
	}
	if (index == CPU_SS)
		cpu_mode_changed(cpu);
}

/* ---- instructions ---- */

void op_mov_from_seg(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned index = op->xreg & 7;

	if (index > CPU_GS)
		cpu_raise(cpu, EXC_UD);
	cpu_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[index].selector);
}

/* Makes interrupts wait until the instruction after a load of SS is done (APM 2, 8.1.2). */
static void shadow_ss(struct cpu *cpu)
{
	cpu->shadow = true;
	cpu->attention = true;
}

void op_mov_to_seg(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned index = op->xreg & 7;

	if (index > CPU_GS || index == CPU_CS)
		cpu_raise(cpu, EXC_UD);
	cpu_seg_load(cpu, index, (u16)cpu_rm_read(cpu, op, 2));
	if (index == CPU_SS)
		shadow_ss(cpu);
}

/* Returns the segment register of opcodes 06 0E 16 1E, 0F A0 and 0F A8. */
static unsigned seg_of_opcode(const struct cpu_op *op)
{
	return (op->opcode >> 3) & 7 & (op->opcode >= 0xa0 ? 7 : 3);
}

void op_push_seg(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned index = seg_of_opcode(op);

	/* Processors write 16 bits of a 32-bit slot and leave the rest; they write all of a 64-bit slot. */
	if (op->size == 4) {
		cpu_mem_probe(
		        cpu, seg_linear(cpu, CPU_SS, REG_RSP - 4, 4, ACCESS_WRITE), 4, ACCESS_WRITE, CPU_SS);
		cpu_stack_poke(cpu, -4, 2, cpu->seg[index].selector);
		cpu_stack_move(cpu, -4);
		return;
	}
	cpu_push(cpu, op->size, cpu->seg[index].selector);
}

void op_pop_seg(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned index = seg_of_opcode(op);
	u16 selector = (u16)cpu_stack_peek(cpu, 0, op->size);
	u32 mode = cpu->mode;

	cpu_seg_load(cpu, index, selector);
	/* POP SS moves the stack pointer that the old stack segment used: SP or ESP. */
	if (index == CPU_SS && (mode ^ cpu->mode) & MODE_SS32)
		reg_set(cpu, CPU_RSP * 8, mode & MODE_SS32 ? 4 : 2, REG_RSP + op->size);
	else
		cpu_stack_move(cpu, op->size);
	if (index == CPU_SS)
		shadow_ss(cpu);
}

/* Loads a far pointer: LES C4, LDS C5, LSS 0F B2, LFS B4, LGS B5. */
void op_load_far(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned index = op->opcode == 0xc4   ? CPU_ES
	                 : op->opcode == 0xc5 ? CPU_DS
	                 : op->opcode == 0xb2 ? CPU_SS
	                                      : (op->opcode & 7u);
	u64 linear = op_linear(cpu, op, op->size + 2u, ACCESS_READ), pair[2] = {0};
	u16 selector;

	cpu_mem_read_bytes(cpu, linear, pair, op->size + 2u, op->seg);
	memcpy(&selector, (const u8 *)pair + op->size, 2);
	cpu_seg_load(cpu, index, selector);
	reg_set(cpu, op->reg, op->size, pair[0]);
	if (index == CPU_SS)
		shadow_ss(cpu);
}

/* ---- asking about descriptors ---- */

static void zf_set(struct cpu *cpu, bool zf)
{
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/*
 * Returns whether the program may learn about the descriptor. system has a bit for each type of system
 * descriptor that LAR or LSL accepts.
 */
static bool visible(struct cpu *cpu, u16 selector, u32 system, struct cpu_seg *ret)
{
	u64 descriptor[2], linear;

	if (!(selector & ~3u) || !cpu_descriptor_read(cpu, selector, descriptor, &linear))
		return false;
	cpu_descriptor_unpack(descriptor, selector, false, ret);
	if (!(ret->attr & SEG_S) && !(system >> (ret->attr & SEG_TYPE) & 1))
		return false;
	if (ret->attr & SEG_S && (ret->attr & (SEG_CODE | SEG_DOWN)) == (SEG_CODE | SEG_DOWN))
		return true;
	return SEG_DPL(ret->attr) >= cpu->cpl && SEG_DPL(ret->attr) >= (selector & 3u);
}

void op_lar(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu_rm_read(cpu, op, 2);
	u32 types = mode_is(cpu, MODE_LONG) ? 0x1a04 : 0x1a3e;
	struct cpu_seg s;
	bool yes = visible(cpu, selector, types, &s);

	if (yes)
		reg_set(cpu, op->reg, op->size, ((u64)s.attr & 0xff) << 8 | ((u64)s.attr & 0xf00) << 12);
	zf_set(cpu, yes);
}

void op_lsl(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu_rm_read(cpu, op, 2);
	u32 types = mode_is(cpu, MODE_LONG) ? 0x0a04 : 0x0a0e;
	struct cpu_seg s;
	bool yes = visible(cpu, selector, types, &s);

	if (yes)
		reg_set(cpu, op->reg, op->size, s.limit);
	zf_set(cpu, yes);
}

static void verify(struct cpu *cpu, const struct cpu_op *op, enum access access)
{
	u16 selector = (u16)cpu_rm_read(cpu, op, 2);
	struct cpu_seg s = {0};
	bool yes = visible(cpu, selector, 0, &s);

	s.attr |= SEG_P; /* VERR and VERW do not check presence */
	zf_set(cpu, yes && type_allows(&s, access));
}

void op_verr(struct cpu *cpu, const struct cpu_op *op)
{
	verify(cpu, op, ACCESS_READ);
}

void op_verw(struct cpu *cpu, const struct cpu_op *op)
{
	verify(cpu, op, ACCESS_WRITE);
}

void op_arpl(struct cpu *cpu, const struct cpu_op *op)
{
	u16 target = (u16)cpu_rm_read(cpu, op, 2), rpl = (u16)reg_get(cpu, op->xreg * 8u, 8) & 3;
	bool raise = (target & 3) < rpl;

	if (raise)
		cpu_rm_write(cpu, op, 2, (target & ~3u) | rpl);
	zf_set(cpu, raise);
}

/* ---- LDTR and TR ---- */

static void check_umip(struct cpu *cpu)
{
	if (cpu->cr4 & CR4_UMIP && cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
}

void op_sldt(struct cpu *cpu, const struct cpu_op *op)
{
	check_umip(cpu);
	cpu_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[CPU_LDTR].selector);
}

void op_str(struct cpu *cpu, const struct cpu_op *op)
{
	check_umip(cpu);
	cpu_rm_write(cpu, op, op->flags & OP_MEM ? 2 : op->size, cpu->seg[CPU_TR].selector);
}

/* Reads a system descriptor from the GDT; types has a bit for each type that is accepted. */
static void system_descriptor(struct cpu *cpu, u16 selector, u32 types, struct cpu_seg *ret, u64 *ret_linear)
{
	u64 descriptor[2];

	if (selector & 4 || !cpu_descriptor_read(cpu, selector, descriptor, ret_linear))
		cpu_raise_error(cpu, EXC_GP, selector & ~3u);
	cpu_descriptor_unpack(descriptor, selector, mode_is(cpu, MODE_LONG), ret);
	if (ret->attr & SEG_S || !(types >> (ret->attr & SEG_TYPE) & 1))
		cpu_raise_error(cpu, EXC_GP, selector & ~3u);
	if (!(ret->attr & SEG_P))
		cpu_raise_error(cpu, EXC_NP, selector & ~3u);
	/* The base has 64 bits (APM 2, 4.8.3). */
	if (!is_canonical(ret->base))
		cpu_raise_error(cpu, EXC_GP, selector & ~3u);
}

void op_lldt(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu_rm_read(cpu, op, 2);
	struct cpu_seg s = {.selector = selector};
	u64 linear;

	if (cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	if (selector & ~3u)
		system_descriptor(cpu, selector, 1 << 2, &s, &linear);
	cpu->seg[CPU_LDTR] = s;
}

void op_ltr(struct cpu *cpu, const struct cpu_op *op)
{
	u16 selector = (u16)cpu_rm_read(cpu, op, 2);
	struct cpu_seg s;
	u64 linear;

	if (cpu->cpl || !(selector & ~3u))
		cpu_raise_error(cpu, EXC_GP, 0);
	system_descriptor(cpu, selector, mode_is(cpu, MODE_LONG) ? 1 << 9 : 1 << 9 | 1 << 1, &s, &linear);
	s.attr |= 2; /* busy */
	cpu_sys_write(cpu, linear + 5, 1, cpu_sys_read(cpu, linear + 5, 1) | 2);
	cpu->seg[CPU_TR] = s;
}

/* ---- the stack ---- */

static u64 stack_linear(struct cpu *cpu, u64 offset, unsigned size, enum access access)
{
	if (likely(cpu->mode & MODE_64))
		return offset;
	return cpu_seg_linear(cpu, CPU_SS, cpu->mode & MODE_SS32 ? (u32)offset : (u16)offset, size, access);
}

u64 cpu_stack_peek(struct cpu *cpu, unsigned offset, unsigned size)
{
	u64 linear = stack_linear(cpu, REG_RSP + offset, size, ACCESS_READ);

	return mem_read(cpu, linear, size, CPU_SEG_FLAT_SS);
}

void cpu_stack_poke(struct cpu *cpu, s64 offset, unsigned size, u64 value)
{
	u64 linear = stack_linear(cpu, REG_RSP + (u64)offset, size, ACCESS_WRITE);

	mem_write(cpu, linear, size, value, CPU_SEG_FLAT_SS);
}

void cpu_stack_probe(struct cpu *cpu, unsigned size)
{
	u64 linear = stack_linear(cpu, REG_RSP - size, size, ACCESS_WRITE);

	cpu_mem_probe(cpu, linear, size, ACCESS_WRITE, CPU_SEG_FLAT_SS);
}

void cpu_stack_move(struct cpu *cpu, s64 by)
{
	reg_set(cpu, CPU_RSP * 8, cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2, REG_RSP + (u64)by);
}

void cpu_push(struct cpu *cpu, unsigned size, u64 value)
{
	cpu_stack_poke(cpu, -(s64)size, size, value);
	cpu_stack_move(cpu, -(s64)size);
}

u64 cpu_pop(struct cpu *cpu, unsigned size)
{
	u64 value = cpu_stack_peek(cpu, 0, size);

	cpu_stack_move(cpu, size);
	return value;
}

/* ---- operands of any size ---- */

u64 cpu_rm_read(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	if (!(op->flags & OP_MEM))
		return reg_get(cpu, op->rm, size);
	return rm_mem_read(cpu, op, size);
}

void cpu_rm_write(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 value)
{
	if (op->flags & OP_MEM)
		rm_mem_write(cpu, op, size, value);
	else
		reg_set(cpu, op->rm, size, value);
}
