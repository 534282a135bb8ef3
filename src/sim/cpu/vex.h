/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex: the instructions that VEX encodes: their rows, and what an operation holds of them.
 */
#ifndef CPU_VEX_H
#define CPU_VEX_H

#include "ops.h"

enum vex_rule {
	VEX_REG = 1 << 0,        /* vvvv names a register; else it must be 1111 */
	VEX_REG_OF_REG = 1 << 1, /* the same, unless rm is memory */
	VEX_L0 = 1 << 2,         /* L must be 0 */
	VEX_L1 = 1 << 3,
	VEX_W0 = 1 << 4,
	VEX_W1 = 1 << 5,
	VEX_VSIB = 1 << 6, /* the index is a vector */
};

/* Which features an instruction needs, by L. */
enum vex_need { NEED_NONE, NEED_BMI1, NEED_BMI2, VEX_NEEDS };
extern const u64 cpu_vex_needs[VEX_NEEDS][2];

struct vex_row {
	struct row row;
	u16 rules;
	u8 needs;
};

#define VEX_NO_PREFIX 4u /* what must not be in front of VEX was there */
/* Returns the row of an instruction; if there is none, a row that raises #UD. */
const struct vex_row *cpu_vex_row(unsigned map, u8 opcode, unsigned prefix);

/* ---- cpu_op.imm has the immediate byte, and above it vvvv ---- */

ALWAYS u64 vex_pack(u8 imm, unsigned reg)
{
	return imm | (u64)reg << 8;
}

ALWAYS u8 vex_imm(const struct cpu_op *op)
{
	return (u8)op->imm;
}

ALWAYS unsigned vex_reg(const struct cpu_op *op)
{
	return op->imm >> 8 & 15;
}

/* clang-format off */
#define VEX(map, opcode, prefix, name, a, b, c, rules, need) cpu_op_fn op_##name;
#include "rows_vex.h"
/* clang-format on */

#endif
