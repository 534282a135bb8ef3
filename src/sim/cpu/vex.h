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
	VEX_VSIB = 1 << 5, /* the index is a vector */
};

/* Which features an instruction needs, by L. */
enum vex_need {
	NEED_NONE,
	NEED_BMI1,
	NEED_BMI2,
	NEED_AVX,
	NEED_INT,
	NEED_AVX2,
	NEED_FMA,
	NEED_F16C,
	NEED_AES,
	NEED_PCLMUL,
	VEX_NEEDS
};
extern const u64 cpu_vex_needs[VEX_NEEDS][2];

struct vex_row {
	struct row row;
	cpu_op_fn *lane; /* the SSE instruction that does the work of 128 bits */
	u16 rules;
	u8 needs;
	u8 part;     /* how many bytes of the source a lane takes */
	u8 imm_step; /* how many bits of the immediate a lane takes; 0: all lanes take the same */
};

#define VEX_NO_PREFIX 4u /* what must not be in front of VEX was there */
/* Returns the row of an instruction; if there is none, a row that raises #UD. */
const struct vex_row *cpu_vex_row(unsigned map, u8 opcode, unsigned prefix);

/* ---- cpu_op.imm has the immediate byte, vvvv, L, and the number of the row ---- */

u64 cpu_vex_pack(u8 imm, unsigned reg, unsigned length, const struct vex_row *row);
const struct vex_row *cpu_vex_row_of(const struct cpu_op *op);

ALWAYS unsigned vex_lanes(const struct cpu_op *op)
{
	return 1 + (op->imm >> 12 & 1);
}

ALWAYS u8 vex_imm(const struct cpu_op *op)
{
	return (u8)op->imm;
}

ALWAYS unsigned vex_reg(const struct cpu_op *op)
{
	return op->imm >> 8 & 15;
}

ALWAYS void vex_get(const struct cpu *cpu, unsigned number, u8 ret_value[static 32])
{
	memcpy(ret_value, cpu->xmm[number], 16);
	memcpy(ret_value + 16, cpu->ymm_high[number], 16);
}

/* Reads a vector register, or `bytes` bytes of memory of any alignment, into two lanes of 16 bytes. */
void cpu_vex_read(struct cpu *cpu, const struct cpu_op *op, unsigned bytes, u8 ret_source[static 32]);
/* Writes a vector register. With one lane the upper half becomes zero. */
void cpu_vex_write(struct cpu *cpu, unsigned number, const u8 result[static 32], unsigned lanes);

/* clang-format off */
#define VEX(map, opcode, prefix, name, a, b, c, rules, need) cpu_op_fn op_##name;
#include "rows_vex.h"
cpu_op_fn op_vex_packed, op_vex_single, op_vex_narrow, op_vex_count, op_vex_store, op_vex_plain,
        op_vex_text, op_vex_shift;
/* These run as the SSE instructions of other rows, but SSE has none of them. */
cpu_op_fn op_vcmpps, op_vcmppd, op_vcmpss, op_vcmpsd;
/* clang-format on */

#endif
