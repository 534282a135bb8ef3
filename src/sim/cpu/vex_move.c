/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_move: the moves of whole vector registers, of which only some need aligned memory, of masks to general
 * registers, and of MXCSR (APM 4).
 */
#include "vex.h"

static void load(struct cpu *cpu, const struct cpu_op *op, bool aligned)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 value[32];

	cpu_avx_check(cpu);
	if (aligned && op->flags & OP_MEM && op_linear(cpu, op, bytes, ACCESS_READ) % bytes)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_vex_read(cpu, op, bytes, value);
	cpu_vex_write(cpu, op->xreg, value, vex_lanes(op));
}

static void store(struct cpu *cpu, const struct cpu_op *op, bool aligned)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 value[32];
	u64 linear;

	cpu_avx_check(cpu);
	vex_get(cpu, op->xreg, value);
	if (!(op->flags & OP_MEM)) {
		cpu_vex_write(cpu, op->xrm, value, vex_lanes(op));
		return;
	}
	linear = op_linear(cpu, op, bytes, ACCESS_WRITE);
	if (aligned && linear % bytes)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_mem_write_bytes(cpu, linear, value, bytes, op->seg);
}

void op_vmovups_load(struct cpu *cpu, const struct cpu_op *op)
{
	load(cpu, op, false);
}

void op_vmovups_store(struct cpu *cpu, const struct cpu_op *op)
{
	store(cpu, op, false);
}

void op_vmovaps_load(struct cpu *cpu, const struct cpu_op *op)
{
	load(cpu, op, true);
}

void op_vmovaps_store(struct cpu *cpu, const struct cpu_op *op)
{
	store(cpu, op, true);
}

/* ---- masks: the signs of elements of `size` bytes ---- */

static void move_mask(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	unsigned count = vex_lanes(op) * 16 / size;
	u32 mask = 0;
	u8 value[32];

	cpu_avx_check(cpu);
	vex_get(cpu, op->xrm, value);
	for (unsigned i = 0; i < count; i++)
		mask |= (u32)(value[i * size + size - 1] >> 7) << i;
	reg_set(cpu, op->xreg * 8u, 8, mask);
}

void op_vmovmskps(struct cpu *cpu, const struct cpu_op *op)
{
	move_mask(cpu, op, 4);
}

void op_vmovmskpd(struct cpu *cpu, const struct cpu_op *op)
{
	move_mask(cpu, op, 8);
}

void op_vpmovmskb(struct cpu *cpu, const struct cpu_op *op)
{
	move_mask(cpu, op, 1);
}

/* VLDMXCSR, VSTMXCSR */
void op_vmxcsr(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned which = op->modrm >> 3 & 7;

	if (which != 2 && which != 3)
		cpu_raise(cpu, EXC_UD);
	cpu_avx_check(cpu);
	if (which == 2)
		op_ldmxcsr(cpu, op);
	else
		op_stmxcsr(cpu, op);
}

/* VZEROUPPER, or with L VZEROALL. Outside 64-bit mode there are eight registers. */
void op_vzero(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned count = op->flags & OP_LEGACY ? 8 : 16;

	cpu_avx_check(cpu);
	memset(cpu->ymm_high, 0, count * 16);
	if (vex_lanes(op) == 2)
		memset(cpu->xmm, 0, count * 16);
}
