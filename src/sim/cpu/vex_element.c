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

/* ---- shifts of vvvv, by a count for each element ---- */

enum shift { SHIFT_LEFT, SHIFT_RIGHT, SHIFT_SIGNED };

static u64 shifted(u64 value, u64 count, unsigned size, enum shift how)
{
	unsigned bits = size * 8;

	if (how == SHIFT_SIGNED)
		return (u64)((s64)(s32)value >> (count < bits ? count : bits - 1));
	if (count >= bits)
		return 0;
	return how == SHIFT_LEFT ? value << count : value >> count;
}

static void shift_each(struct cpu *cpu, const struct cpu_op *op, enum shift how)
{
	unsigned bytes = vex_lanes(op) * 16, size = op->flags & OP_REXW ? 8 : 4;
	u8 counts[32], value[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, bytes, counts);
	vex_get(cpu, vex_reg(op), value);
	for (unsigned i = 0; i < bytes; i += size)
		store_le(value + i, size,
		        shifted(load_le(value + i, size), load_le(counts + i, size), size, how));
	cpu_vex_write(cpu, op->xreg, value, vex_lanes(op));
}

void op_vpsllv(struct cpu *cpu, const struct cpu_op *op)
{
	shift_each(cpu, op, SHIFT_LEFT);
}

void op_vpsrlv(struct cpu *cpu, const struct cpu_op *op)
{
	shift_each(cpu, op, SHIFT_RIGHT);
}

void op_vpsravd(struct cpu *cpu, const struct cpu_op *op)
{
	shift_each(cpu, op, SHIFT_SIGNED);
}

/* ---- gathers, of any alignment ---- */

/* Returns where byte `at` of a vector register is. */
static u8 *place(struct cpu *cpu, unsigned number, unsigned at)
{
	return at < 16 ? cpu->xmm[number] + at : cpu->ymm_high[number] + at - 16;
}

static u64 gather_read(struct cpu *cpu, const struct cpu_op *op, s64 index, unsigned size)
{
	u64 offset = cpu->gpr[op->base] + ((u64)index << op->scale) + (u64)op->disp;

	offset = offset << op->address_shift >> op->address_shift;
	return mem_read(cpu, seg_linear(cpu, op->seg, offset, size, ACCESS_READ), size, op->seg);
}

/* Does element i, if the mask in vvvv says so. Then it is done, even if a later one faults. */
static void gather_element(
        struct cpu *cpu, const struct cpu_op *op, unsigned i, unsigned size, unsigned index_size)
{
	u8 *mask = place(cpu, vex_reg(op), i * size), *index = place(cpu, op->index, i * index_size);
	u64 value;

	if (mask[size - 1] & 0x80) {
		value = load_le(index, index_size);
		value = gather_read(cpu, op, index_size == 4 ? (s32)value : (s64)value, size);
		store_le(place(cpu, op->xreg, i * size), size, value);
		/* If a later element leaves for a device, this one is not read again. */
		cpu_access_forget(cpu);
	}
	memset(mask, 0, size);
}

/* Makes a register zero from byte `at` on. */
static void clear_from(struct cpu *cpu, unsigned number, unsigned at)
{
	u8 value[32];

	vex_get(cpu, number, value);
	memset(value + at, 0, 32 - at);
	cpu_vex_write(cpu, number, value, 2);
}

/* VPGATHER and VGATHER. W is for the elements, and the opcode for the indices: odd ones have 64 bits. */
void op_vgather(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->flags & OP_REXW ? 8 : 4, index_size = op->opcode & 1 ? 8 : 4;
	unsigned count = vex_lanes(op) * 16 / (size > index_size ? size : index_size);

	if (op->xreg == op->index || op->xreg == vex_reg(op) || op->index == vex_reg(op))
		cpu_raise(cpu, EXC_UD);
	cpu_avx_check(cpu);
	cpu->any_alignment = true;
	for (unsigned i = 0; i < count; i++)
		gather_element(cpu, op, i, size, index_size);
	cpu->any_alignment = false;
	clear_from(cpu, op->xreg, count * size);
	clear_from(cpu, vex_reg(op), 0);
}
