/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_alu: ADD to CMP, TEST, INC, DEC, NEG, NOT, XADD and CMPXCHG in all sizes and operand forms. flags.h
 * has the functions that compute them and set the flags. In names, eg stands for rm op= reg, ge for reg op=
 * rm, ei for rm op= immediate, and e for rm alone.
 */
#include "ops.h"

enum other { OTHER_REG, OTHER_IMM };

/* Returns the second operand: the register in ModRM, or the immediate. */
ALWAYS u64 other_operand(struct cpu *cpu, const struct cpu_op *op, unsigned size, enum other other)
{
	return other == OTHER_REG ? reg_get(cpu, op->reg, size) : zero_extend(op->imm, size);
}

/* ---- read-modify-write of the register or memory operand ---- */

ALWAYS void modify_r(struct cpu *cpu, const struct cpu_op *op, unsigned size, alu_fn *alu, enum other other)
{
	u64 b = other_operand(cpu, op, size, other);

	reg_set(cpu, op->rm, size, alu(cpu, reg_get(cpu, op->rm, size), b, size));
}

ALWAYS void modify_m(struct cpu *cpu, const struct cpu_op *op, unsigned size, alu_fn *alu, enum other other)
{
	void *p;

	flags_save(cpu, op);
	p = rm_begin(cpu, op, size);
	ram_store(p, size, alu(cpu, ram_load(p, size), other_operand(cpu, op, size, other), size));
	rmw_end(cpu, p);
}

ALWAYS void modify_l(struct cpu *cpu, const struct cpu_op *op, unsigned size, alu_fn *alu, enum other other)
{
	u64 old, new;
	void *p;

	flags_save(cpu, op);
	p = rm_begin_locked(cpu, op, size);
	old = ram_load(p, size);
	do {
		flags_restore(cpu);
		new = alu(cpu, old, other_operand(cpu, op, size, other), size);
	} while (!ram_replace(p, &old, new, size));
	rmw_end(cpu, p);
}

#define MODIFY(name, form, alu, other) \
	ALWAYS void name##_##form##_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		modify_r(cpu, op, size, alu, other); \
	} \
	ALWAYS void name##_##form##_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		modify_m(cpu, op, size, alu, other); \
	} \
	ALWAYS void name##_##form##_l(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		modify_l(cpu, op, size, alu, other); \
	} \
	HANDLERS_RML(name##_##form);

#define GE(name, alu) \
	ALWAYS void name##_ge_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		u64 b = reg_get(cpu, op->rm, size); \
		reg_set(cpu, op->reg, size, alu(cpu, reg_get(cpu, op->reg, size), b, size)); \
	} \
	ALWAYS void name##_ge_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		u64 b = rm_mem_read(cpu, op, size); \
		reg_set(cpu, op->reg, size, alu(cpu, reg_get(cpu, op->reg, size), b, size)); \
	} \
	HANDLERS_RM(name##_ge);

#define ALU(name) \
	MODIFY(name, eg, alu_##name, OTHER_REG) \
	MODIFY(name, ei, alu_##name, OTHER_IMM) \
	GE(name, alu_##name)
ALU(add)
ALU(or)
ALU(adc)
ALU(sbb)
ALU(and)
ALU(sub)
ALU(xor)
MODIFY(inc, e, alu_inc, OTHER_REG)
MODIFY(dec, e, alu_dec, OTHER_REG)
MODIFY(neg, e, alu_neg, OTHER_REG)
MODIFY(not, e, alu_not, OTHER_REG)

/* ---- CMP and TEST: only the flags are set ---- */

#define COMPARE(name, form, alu, other) \
	ALWAYS void name##_##form##_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		alu(cpu, reg_get(cpu, op->rm, size), other_operand(cpu, op, size, other), size); \
	} \
	ALWAYS void name##_##form##_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		u64 a = rm_mem_read(cpu, op, size); \
		alu(cpu, a, other_operand(cpu, op, size, other), size); \
	} \
	HANDLERS_RM(name##_##form);
COMPARE(cmp, eg, alu_sub, OTHER_REG)
COMPARE(cmp, ei, alu_sub, OTHER_IMM)
COMPARE(test, eg, alu_and, OTHER_REG)
COMPARE(test, ei, alu_and, OTHER_IMM)

ALWAYS void cmp_ge_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	alu_sub(cpu, reg_get(cpu, op->reg, size), reg_get(cpu, op->rm, size), size);
}

ALWAYS void cmp_ge_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 b = rm_mem_read(cpu, op, size);

	alu_sub(cpu, reg_get(cpu, op->reg, size), b, size);
}
HANDLERS_RM(cmp_ge);

/* ---- XADD: rm and reg are exchanged, rm gets the sum ---- */

/* Exchanges and adds two registers; reg is written first (APM 3). */
ALWAYS void xadd_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 a = reg_get(cpu, op->rm, size), b = reg_get(cpu, op->reg, size);

	reg_set(cpu, op->reg, size, a);
	reg_set(cpu, op->rm, size, alu_add(cpu, a, b, size));
}

ALWAYS void xadd_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 a;
	void *p;

	flags_save(cpu, op);
	p = rm_begin(cpu, op, size);
	a = ram_load(p, size);
	ram_store(p, size, alu_add(cpu, a, reg_get(cpu, op->reg, size), size));
	rmw_end(cpu, p);
	reg_set(cpu, op->reg, size, a);
}

ALWAYS void xadd_l(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	void *p = rm_begin_locked(cpu, op, size);
	u64 b = reg_get(cpu, op->reg, size), a = ram_add(p, b, size);

	alu_add(cpu, a, b, size);
	rmw_end(cpu, p);
	reg_set(cpu, op->reg, size, a);
}
HANDLERS_RML(xadd);

/*
 * ---- CMPXCHG ----
 * The memory operand is always written: with its old value if the comparison fails. The accumulator is
 * written only in that case.
 */

ALWAYS void cmpxchg_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 old = reg_get(cpu, op->rm, size);

	alu_sub(cpu, reg_get(cpu, 0, size), old, size);
	if (flag_zf(cpu))
		reg_set(cpu, op->rm, size, reg_get(cpu, op->reg, size));
	else
		reg_set(cpu, 0, size, old);
}

ALWAYS void cmpxchg_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 old;
	void *p;

	flags_save(cpu, op);
	p = rm_begin(cpu, op, size);
	old = ram_load(p, size);
	alu_sub(cpu, reg_get(cpu, 0, size), old, size);
	if (flag_zf(cpu))
		ram_store(p, size, reg_get(cpu, op->reg, size));
	rmw_end(cpu, p);
	if (!flag_zf(cpu))
		reg_set(cpu, 0, size, old);
}

ALWAYS void cmpxchg_l(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	void *p = rm_begin_locked(cpu, op, size);
	u64 old = reg_get(cpu, 0, size);

	ram_replace(p, &old, reg_get(cpu, op->reg, size), size);
	alu_sub(cpu, reg_get(cpu, 0, size), old, size);
	rmw_end(cpu, p);
	if (!flag_zf(cpu))
		reg_set(cpu, 0, size, old);
}
HANDLERS_RML(cmpxchg);

/* Performs CMPXCHG8B or CMPXCHG16B as one access of the double width. */
static bool pair_exchange(struct cpu *cpu, void *memory, unsigned size, u64 *old_low, u64 *old_high)
{
	bool equal;

	*old_low = REG_RAX;
	*old_high = REG_RDX;
	/*
	 * The compiler's own function would call a library, because the build machine might lack CMPXCHG16B.
	 */
	if (size == 8)
		__asm__ volatile("lock cmpxchg16b %1"
		                 : "=@ccz"(equal), "+m"(*(u64(*)[2])memory), "+a"(*old_low), "+d"(*old_high)
		                 : "b"(REG_RBX), "c"(REG_RCX)
		                 : "memory");
	else
		__asm__ volatile("lock cmpxchg8b %1"
		                 : "=@ccz"(equal), "+m"(*(u64 *)memory), "+a"(*old_low), "+d"(*old_high)
		                 : "b"(REG_RBX), "c"(REG_RCX)
		                 : "memory");
	return equal;
}

void op_cmpxchg_pair(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->size == 8 ? 8 : 4;
	u64 linear = op_linear(cpu, op, size * 2, ACCESS_WRITE), low, high;
	void *p;
	bool equal;

	if (size == 8 && !(cpu->features & FEATURE_CX16))
		op_invalid(cpu, op);
	if (size == 8 && linear % 16)
		cpu_raise_error(cpu, EXC_GP, 0);
	p = cpu_rmw_slow(cpu, linear, size * 2, op->seg, true);
	equal = pair_exchange(cpu, p, size, &low, &high);
	rmw_end(cpu, p);
	if (!equal) {
		reg_set(cpu, CPU_RAX * 8, size, low);
		reg_set(cpu, CPU_RDX * 8, size, high);
	}
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (equal ? FLAG_ZF : 0));
}
