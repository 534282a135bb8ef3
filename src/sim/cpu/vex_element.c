/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_element: what AVX and AVX2 do to each element by a mask, a count or an index of its own (APM 4).
 */
#include "vex.h"

static bool chosen(const u8 mask[static 32], unsigned end)
{
	return mask[end - 1] & 0x80;
}

/* ---- masked moves: of any alignment; elements whose mask is not set are not accessed ---- */

static u64 element_linear(
        struct cpu *cpu, const struct cpu_op *op, unsigned at, unsigned size, enum access access)
{
	return seg_linear(cpu, op->seg, op_offset(cpu, op) + at, size, access);
}

static void masked_load(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u8 mask[32], result[32] = {0};

	cpu_avx_check(cpu);
	vex_get(cpu, vex_reg(op), mask);
	cpu->any_alignment = true;
	for (unsigned i = 0; i < vex_lanes(op) * 16; i += size)
		if (chosen(mask, i + size))
			store_le(result + i, size,
			        mem_read(cpu, element_linear(cpu, op, i, size, ACCESS_READ), size, op->seg));
	cpu->any_alignment = false;
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

/* All elements must be writable before the first is written. */
static void masked_store(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 mask[32], value[32];

	cpu_avx_check(cpu);
	vex_get(cpu, vex_reg(op), mask);
	vex_get(cpu, op->xreg, value);
	cpu->any_alignment = true;
	for (unsigned i = 0; i < bytes; i += size)
		if (chosen(mask, i + size))
			cpu_mem_probe(cpu, element_linear(cpu, op, i, size, ACCESS_WRITE), size, ACCESS_WRITE,
			        op->seg);
	for (unsigned i = 0; i < bytes; i += size)
		if (chosen(mask, i + size))
			mem_write(cpu, element_linear(cpu, op, i, size, ACCESS_WRITE), size,
			        load_le(value + i, size), op->seg);
	cpu->any_alignment = false;
}

/* VMASKMOVPS and VPMASKMOV: W says which elements. */
void op_vmaskmov_load(struct cpu *cpu, const struct cpu_op *op)
{
	masked_load(cpu, op, op->flags & OP_REXW ? 8 : 4);
}

void op_vmaskmov_store(struct cpu *cpu, const struct cpu_op *op)
{
	masked_store(cpu, op, op->flags & OP_REXW ? 8 : 4);
}

void op_vmaskmovpd_load(struct cpu *cpu, const struct cpu_op *op)
{
	masked_load(cpu, op, 8);
}

void op_vmaskmovpd_store(struct cpu *cpu, const struct cpu_op *op)
{
	masked_store(cpu, op, 8);
}
