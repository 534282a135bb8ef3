/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_move: the moves of whole vector registers (APM 4). Only those that ask for it need aligned memory.
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
