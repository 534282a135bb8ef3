/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_bmi: the bit manipulation of BMI1 and BMI2 (APM 3). Each has operands of 32 or 64 bits, one of them in
 * VEX.vvvv.
 */
#include "vex.h"

static u64 second(struct cpu *cpu, const struct cpu_op *op)
{
	return reg_get(cpu, vex_reg(op) * 8u, op->size);
}

static u64 low_bits(unsigned count)
{
	return count < 64 ? ((u64)1 << count) - 1 : ~(u64)0;
}

static u32 sign_and_zero(u64 value, unsigned size)
{
	return (value ? 0 : FLAG_ZF) | (value >> (size * 8 - 1) & 1 ? FLAG_SF : 0);
}

void op_andn(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = cpu_rm_read(cpu, op, op->size) & ~second(cpu, op);

	reg_set(cpu, op->reg, op->size, value);
	flags_arith_set(cpu, sign_and_zero(value, op->size));
}

/* BLSR, BLSMSK, BLSI */
void op_bls(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned which = op->modrm >> 3 & 7;
	u64 source, value;
	bool carry;

	if (which < 1 || which > 3)
		cpu_raise(cpu, EXC_UD);
	source = cpu_rm_read(cpu, op, op->size);
	value = which == 1 ? source & (source - 1) : which == 2 ? source ^ (source - 1) : source & -source;
	value &= low_bits(op->size * 8u);
	carry = which == 3 ? source : !source;
	reg_set(cpu, vex_reg(op) * 8u, op->size, value);
	flags_arith_set(cpu, sign_and_zero(value, op->size) | (carry ? FLAG_CF : 0));
}

void op_bextr(struct cpu *cpu, const struct cpu_op *op)
{
	u64 field = second(cpu, op), value = cpu_rm_read(cpu, op, op->size);
	unsigned start = (u8)field, length = (u8)(field >> 8);

	value = (start < 64 ? value >> start : 0) & low_bits(length);
	reg_set(cpu, op->reg, op->size, value);
	flags_arith_set(cpu, value ? 0 : FLAG_ZF);
}

void op_bzhi(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned count = (u8)second(cpu, op);
	u64 value = cpu_rm_read(cpu, op, op->size) & low_bits(count);

	reg_set(cpu, op->reg, op->size, value);
	flags_arith_set(cpu, sign_and_zero(value, op->size) | (count >= op->size * 8u ? FLAG_CF : 0));
}

void op_pext(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = second(cpu, op), mask = cpu_rm_read(cpu, op, op->size), value = 0;

	for (unsigned i = 0; mask; mask &= mask - 1, i++)
		value |= (source >> __builtin_ctzll(mask) & 1) << i;
	reg_set(cpu, op->reg, op->size, value);
}

void op_pdep(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = second(cpu, op), mask = cpu_rm_read(cpu, op, op->size), value = 0;

	for (; mask; mask &= mask - 1, source >>= 1)
		value |= (source & 1) << __builtin_ctzll(mask);
	reg_set(cpu, op->reg, op->size, value);
}

/* If both halves go to one register, it gets the upper. */
void op_mulx(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned __int128 product =
	        (unsigned __int128)reg_get(cpu, CPU_RDX * 8u, op->size) * cpu_rm_read(cpu, op, op->size);

	reg_set(cpu, vex_reg(op) * 8u, op->size, (u64)product);
	reg_set(cpu, op->reg, op->size, (u64)(product >> (op->size * 8)));
}

void op_rorx(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned bits = op->size * 8u, by = vex_imm(op) & (bits - 1);
	u64 value = cpu_rm_read(cpu, op, op->size);

	reg_set(cpu, op->reg, op->size, by ? value >> by | value << (bits - by) : value);
}

static unsigned shift_count(struct cpu *cpu, const struct cpu_op *op)
{
	return (unsigned)second(cpu, op) & (op->size * 8u - 1);
}

void op_shlx(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, op->reg, op->size, cpu_rm_read(cpu, op, op->size) << shift_count(cpu, op));
}

void op_shrx(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, op->reg, op->size, cpu_rm_read(cpu, op, op->size) >> shift_count(cpu, op));
}

void op_sarx(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned rest = 64 - op->size * 8u;
	s64 value = (s64)(cpu_rm_read(cpu, op, op->size) << rest) >> rest;

	reg_set(cpu, op->reg, op->size, (u64)(value >> shift_count(cpu, op)));
}
