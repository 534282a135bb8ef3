/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmx: the MMX instructions (APM 5) that move and pick. The instructions that compute are in sse_int.c, with
 * their twins on XMM registers.
 */
#include "mmx.h"

/* ---- moves ---- */

void op_mmx_movd_load(struct cpu *cpu, const struct cpu_op *op)
{
	mmx_check(cpu);
	mmx_set(cpu, op->xreg, cpu_rm_read(cpu, op, op->size));
}

void op_mmx_movd_store(struct cpu *cpu, const struct cpu_op *op)
{
	mmx_check(cpu);
	cpu_rm_write(cpu, op, op->size, mmx_get(cpu, op->xreg));
	mmx_used(cpu);
}

void op_mmx_movq_load(struct cpu *cpu, const struct cpu_op *op)
{
	mmx_set(cpu, op->xreg, mmx_source(cpu, op, 8));
}

void op_mmx_movq_store(struct cpu *cpu, const struct cpu_op *op)
{
	mmx_check(cpu);
	if (op->flags & OP_MEM)
		rm_mem_write(cpu, op, 8, mmx_get(cpu, op->xreg));
	else
		mmx_set(cpu, op->xrm, mmx_get(cpu, op->xreg));
	mmx_used(cpu);
}

void op_mmx_maskmovq(struct cpu *cpu, const struct cpu_op *op)
{
	u64 offset = REG_RDI << op->address_shift >> op->address_shift;
	u64 mask = mmx_source(cpu, op, 8), value = mmx_get(cpu, op->xreg);

	/*
	 * All 8 bytes must be writable, whatever the mask says. If they are not, the MMX registers still
	 * count as used.
	 */
	mmx_used(cpu);
	cpu_mem_probe(cpu, seg_linear(cpu, op->seg, offset, 8, ACCESS_WRITE), 8, ACCESS_WRITE, op->seg);
	for (unsigned i = 0; i < 8; i++)
		if (mask >> (8 * i) & 0x80)
			mem_write(cpu, seg_linear(cpu, op->seg, offset + i, 1, ACCESS_WRITE), 1,
			        (u8)(value >> (8 * i)), op->seg);
}

/* MOVDQ2Q and MOVQ2DQ move between the two register files. */
void op_mmx_from_xmm(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	mmx_check(cpu);
	mmx_set(cpu, op->xreg, load_le(cpu->xmm[op->xrm], 8));
}

void op_mmx_to_xmm(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	mmx_check(cpu);
	store_le(cpu->xmm[op->xreg], 8, mmx_get(cpu, op->xrm));
	memset(cpu->xmm[op->xreg] + 8, 0, 8);
	mmx_used(cpu);
}

/* ---- with an immediate ---- */

void op_mmx_pshufw(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = mmx_source(cpu, op, 8), r = 0;

	for (unsigned i = 0; i < 4; i++)
		r |= (source >> (16 * (op->imm >> (2 * i) & 3)) & 0xffff) << (16 * i);
	mmx_set(cpu, op->xreg, r);
}

void op_mmx_palignr(struct cpu *cpu, const struct cpu_op *op)
{
	u64 low = mmx_source(cpu, op, 8);
	unsigned __int128 both = (unsigned __int128)mmx_get(cpu, op->xreg) << 64 | low;

	mmx_set(cpu, op->xreg, op->imm < 16 ? (u64)(both >> (8 * op->imm)) : 0);
}

void op_mmx_pinsrw(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned at = (op->imm & 3) * 16;
	u64 value, a;

	mmx_check(cpu);
	value = op->flags & OP_MEM ? rm_mem_read(cpu, op, 2) : (u16)reg_get(cpu, op->xrm * 8u, 8);
	a = mmx_get(cpu, op->xreg) & ~((u64)0xffff << at);
	mmx_set(cpu, op->xreg, a | value << at);
}

void op_mmx_pextrw(struct cpu *cpu, const struct cpu_op *op)
{
	mmx_check(cpu);
	reg_set(cpu, op->xreg * 8u, 8, mmx_get(cpu, op->xrm) >> ((op->imm & 3) * 16) & 0xffff);
	mmx_used(cpu);
}

void op_mmx_pmovmskb(struct cpu *cpu, const struct cpu_op *op)
{
	u64 source = mmx_source(cpu, op, 8), mask = 0;

	for (unsigned i = 0; i < 8; i++)
		mask |= (source >> (8 * i + 7) & 1) << i;
	reg_set(cpu, op->xreg * 8u, 8, mask);
	mmx_used(cpu);
}

/* Shifts each lane of a, which has so many bits; how is the /reg of the opcode. */
static u64 shift_lanes(u64 a, unsigned bits, u64 by, unsigned how)
{
	u64 r = 0, mask = bits == 64 ? ~(u64)0 : ((u64)1 << bits) - 1;

	for (unsigned at = 0; at < 64; at += bits) {
		u64 lane = a >> at & mask;

		if (how == 4) {
			s64 wide = (s64)(lane << (64 - bits)) >> (64 - bits);

			lane = (u64)(wide >> (by < bits ? by : bits - 1)) & mask;
		} else {
			lane = by >= bits ? 0 : how == 2 ? lane >> by : lane << by & mask;
		}
		r |= lane << at;
	}
	return r;
}

/* Shifts by the immediate: 71 words, 72 dwords, 73 qwords; /2 logical right, /4 arithmetic right, /6 left. */
void op_mmx_shift_imm(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned how = op->modrm >> 3 & 7, bits = 8u << (op->opcode & 3);

	if ((how != 2 && how != 4 && how != 6) || (how == 4 && bits == 64))
		cpu_raise(cpu, EXC_UD);
	mmx_check(cpu);
	mmx_set(cpu, op->xrm, shift_lanes(mmx_get(cpu, op->xrm), bits, op->imm, how));
}
