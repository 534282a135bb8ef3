/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_permute: broadcasts, permutes, and halves of the YMM registers (APM 4).
 */
#include "vex.h"

/* ---- broadcasts ---- */

static void broadcast(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u8 value[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, size, value);
	for (unsigned i = 0; i < 32; i += size)
		memcpy(result + i, value, size);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

/* AVX has these from memory alone. */
static void broadcast_float(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	if (!(op->flags & OP_MEM) && !(cpu->features & FEATURE_AVX2))
		cpu_raise(cpu, EXC_UD);
	broadcast(cpu, op, size);
}

void op_vbroadcastss(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast_float(cpu, op, 4);
}

void op_vbroadcastsd(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast_float(cpu, op, 8);
}

void op_vbroadcast128(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast(cpu, op, 16);
}

void op_vpbroadcastb(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast(cpu, op, 1);
}

void op_vpbroadcastw(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast(cpu, op, 2);
}

void op_vpbroadcastd(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast(cpu, op, 4);
}

void op_vpbroadcastq(struct cpu *cpu, const struct cpu_op *op)
{
	broadcast(cpu, op, 8);
}

/* ---- permutes within 128 bits ---- */

/* The source says for each element of vvvv which one of its lane takes its place. */
static void permute_lanes(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 control[32], value[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, bytes, control);
	vex_get(cpu, vex_reg(op), value);
	for (unsigned i = 0; i < bytes; i += size) {
		unsigned from = size == 4 ? control[i] & 3u : control[i] >> 1 & 1u;

		memcpy(result + i, value + (i & 16) + from * size, size);
	}
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

void op_vpermilps(struct cpu *cpu, const struct cpu_op *op)
{
	permute_lanes(cpu, op, 4);
}

void op_vpermilpd(struct cpu *cpu, const struct cpu_op *op)
{
	permute_lanes(cpu, op, 8);
}

void op_vpermilpd_imm(struct cpu *cpu, const struct cpu_op *op)
{
	u8 value[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, vex_lanes(op) * 16, value);
	for (unsigned i = 0; i < vex_lanes(op) * 2; i++)
		memcpy(result + i * 8, value + (i * 8 & 16) + (vex_imm(op) >> i & 1) * 8, 8);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

/* ---- permutes of 256 bits ---- */

/* VPERMD, VPERMPS: vvvv has the indices. */
void op_vpermd(struct cpu *cpu, const struct cpu_op *op)
{
	u8 value[32], control[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, 32, value);
	vex_get(cpu, vex_reg(op), control);
	for (unsigned i = 0; i < 32; i += 4)
		memcpy(result + i, value + (control[i] & 7) * 4, 4);
	cpu_vex_write(cpu, op->xreg, result, 2);
}

/* VPERMQ, VPERMPD: on AMD's processors also with W0, which Intel's refuse */
void op_vpermq(struct cpu *cpu, const struct cpu_op *op)
{
	u8 value[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, 32, value);
	for (unsigned i = 0; i < 4; i++)
		memcpy(result + i * 8, value + (vex_imm(op) >> (2 * i) & 3) * 8, 8);
	cpu_vex_write(cpu, op->xreg, result, 2);
}

/* ---- halves ---- */

void op_vperm128(struct cpu *cpu, const struct cpu_op *op)
{
	u8 halves[64], result[32] = {0};

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, 32, halves + 32);
	vex_get(cpu, vex_reg(op), halves);
	for (unsigned i = 0; i < 2; i++) {
		unsigned control = vex_imm(op) >> (4 * i);

		if (!(control & 8))
			memcpy(result + 16 * i, halves + (control & 3) * 16, 16);
	}
	cpu_vex_write(cpu, op->xreg, result, 2);
}

void op_vinsert128(struct cpu *cpu, const struct cpu_op *op)
{
	u8 half[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, 16, half);
	vex_get(cpu, vex_reg(op), result);
	memcpy(result + (vex_imm(op) & 1) * 16, half, 16);
	cpu_vex_write(cpu, op->xreg, result, 2);
}

void op_vextract128(struct cpu *cpu, const struct cpu_op *op)
{
	u8 value[32];

	cpu_avx_check(cpu);
	vex_get(cpu, op->xreg, value);
	if (vex_imm(op) & 1)
		memcpy(value, value + 16, 16);
	if (op->flags & OP_MEM)
		cpu_mem_write_bytes(cpu, op_linear(cpu, op, 16, ACCESS_WRITE), value, 16, op->seg);
	else
		cpu_vex_write(cpu, op->xrm, value, 1);
}
