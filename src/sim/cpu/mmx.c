/*
 * mmx: the MMX instructions (APM 5), computed by the host's own. The registers are the mantissas of the
 * x87's.
 */
#include "ops.h"

static void mmx_check(struct sim_cpu *cpu)
{
	if (cpu->cr0 & CR0_EM)
		sim_raise(cpu, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		sim_raise(cpu, EXC_NM);
	sim_x87_pending(cpu);
}

/* Any MMX instruction makes the x87's stack start at register 0 and all of it valid. */
static void mmx_used(struct sim_cpu *cpu)
{
	cpu->x87.fsw &= (u16)~0x3800u;
	cpu->x87.ftw = 0xff;
}

static u64 mmx_get(const struct sim_cpu *cpu, unsigned number)
{
	return load_le(cpu->x87.st[number & 7], 8);
}

static void mmx_set(struct sim_cpu *cpu, unsigned number, u64 value)
{
	store_le(cpu->x87.st[number & 7], 8, value);
	store_le(cpu->x87.st[number & 7] + 8, 2, 0xffff);
	mmx_used(cpu);
}

static u64 mmx_source(struct sim_cpu *cpu, const struct sim_op *op, unsigned bytes)
{
	mmx_check(cpu);
	return op->flags & OP_MEM ? sim_rm_read(cpu, op, bytes) : mmx_get(cpu, op->xrm);
}

/* mm = mm insn source of so many bytes, if memory. */
#define MMX(name, bytes) \
	void op_mmx_##name(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u64 b = mmx_source(cpu, op, bytes), a = mmx_get(cpu, op->xreg); \
		__asm__ volatile("movq %[a], %%mm0\n\tmovq %[b], %%mm1\n\t" #name \
		                 " %%mm1, %%mm0\n\tmovq %%mm0, %[a]\n\temms" \
		                 : [a] "+m"(a) \
		                 : [b] "m"(b) \
		                 : "mm0", "mm1"); \
		mmx_set(cpu, op->xreg, a); \
	}

MMX(punpcklbw, 4)
MMX(punpcklwd, 4)
MMX(punpckldq, 4)
MMX(packsswb, 8)
MMX(pcmpgtb, 8)
MMX(pcmpgtw, 8)
MMX(pcmpgtd, 8)
MMX(packuswb, 8)
MMX(punpckhbw, 8)
MMX(punpckhwd, 8)
MMX(punpckhdq, 8)
MMX(packssdw, 8)
MMX(pcmpeqb, 8)
MMX(pcmpeqw, 8)
MMX(pcmpeqd, 8)
MMX(psrlw, 8)
MMX(psrld, 8)
MMX(psrlq, 8)
MMX(paddq, 8)
MMX(pmullw, 8)
MMX(psubusb, 8)
MMX(psubusw, 8)
MMX(pminub, 8)
MMX(pand, 8)
MMX(paddusb, 8)
MMX(paddusw, 8)
MMX(pmaxub, 8)
MMX(pandn, 8)
MMX(pavgb, 8)
MMX(psraw, 8)
MMX(psrad, 8)
MMX(pavgw, 8)
MMX(pmulhuw, 8)
MMX(pmulhw, 8)
MMX(psubsb, 8)
MMX(psubsw, 8)
MMX(pminsw, 8)
MMX(por, 8)
MMX(paddsb, 8)
MMX(paddsw, 8)
MMX(pmaxsw, 8)
MMX(pxor, 8)
MMX(psllw, 8)
MMX(pslld, 8)
MMX(psllq, 8)
MMX(pmuludq, 8)
MMX(pmaddwd, 8)
MMX(psadbw, 8)
MMX(psubb, 8)
MMX(psubw, 8)
MMX(psubd, 8)
MMX(psubq, 8)
MMX(paddb, 8)
MMX(paddw, 8)
MMX(paddd, 8)
MMX(pshufb, 8)
MMX(phaddw, 8)
MMX(phaddd, 8)
MMX(phaddsw, 8)
MMX(pmaddubsw, 8)
MMX(phsubw, 8)
MMX(phsubd, 8)
MMX(phsubsw, 8)
MMX(psignb, 8)
MMX(psignw, 8)
MMX(psignd, 8)
MMX(pmulhrsw, 8)
MMX(pabsb, 8)
MMX(pabsw, 8)
MMX(pabsd, 8)

/* ---- moves ---- */

void op_mmx_movd_load(struct sim_cpu *cpu, const struct sim_op *op)
{
	mmx_check(cpu);
	mmx_set(cpu, op->xreg, sim_rm_read(cpu, op, op->size));
}

void op_mmx_movd_store(struct sim_cpu *cpu, const struct sim_op *op)
{
	mmx_check(cpu);
	sim_rm_write(cpu, op, op->size, mmx_get(cpu, op->xreg));
	mmx_used(cpu);
}

void op_mmx_movq_load(struct sim_cpu *cpu, const struct sim_op *op)
{
	mmx_set(cpu, op->xreg, mmx_source(cpu, op, 8));
}

void op_mmx_movq_store(struct sim_cpu *cpu, const struct sim_op *op)
{
	mmx_check(cpu);
	if (op->flags & OP_MEM)
		rm_mem_write(cpu, op, 8, mmx_get(cpu, op->xreg));
	else
		mmx_set(cpu, op->xrm, mmx_get(cpu, op->xreg));
	mmx_used(cpu);
}

void op_mmx_maskmovq(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 offset = REG_RDI << op->address_shift >> op->address_shift;
	u64 mask = mmx_source(cpu, op, 8), value = mmx_get(cpu, op->xreg);

	/* All of it must be writable, whatever the mask; a fault finds the registers in use. */
	mmx_used(cpu);
	sim_mem_probe(cpu, seg_linear(cpu, op->seg, offset, 8, ACCESS_WRITE), 8, ACCESS_WRITE, op->seg);
	for (unsigned i = 0; i < 8; i++)
		if (mask >> (8 * i) & 0x80)
			mem_write(cpu, seg_linear(cpu, op->seg, offset + i, 1, ACCESS_WRITE), 1,
			        (u8)(value >> (8 * i)), op->seg);
}

/* MOVDQ2Q and MOVQ2DQ: between the two files of registers. */
void op_mmx_from_xmm(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_sse_check(cpu);
	mmx_check(cpu);
	mmx_set(cpu, op->xreg, load_le(cpu->xmm[op->xrm], 8));
}

void op_mmx_to_xmm(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_sse_check(cpu);
	mmx_check(cpu);
	store_le(cpu->xmm[op->xreg], 8, mmx_get(cpu, op->xrm));
	memset(cpu->xmm[op->xreg] + 8, 0, 8);
	mmx_used(cpu);
}

/* ---- with an immediate ---- */

void op_mmx_pshufw(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = mmx_source(cpu, op, 8), r = 0;

	for (unsigned i = 0; i < 4; i++)
		r |= (source >> (16 * (op->imm >> (2 * i) & 3)) & 0xffff) << (16 * i);
	mmx_set(cpu, op->xreg, r);
}

void op_mmx_palignr(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 low = mmx_source(cpu, op, 8);
	unsigned __int128 both = (unsigned __int128)mmx_get(cpu, op->xreg) << 64 | low;

	mmx_set(cpu, op->xreg, op->imm < 16 ? (u64)(both >> (8 * op->imm)) : 0);
}

void op_mmx_pinsrw(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned at = (op->imm & 3) * 16;
	u64 value, a;

	mmx_check(cpu);
	value = op->flags & OP_MEM ? rm_mem_read(cpu, op, 2) : (u16)reg_get(cpu, op->xrm * 8u, 8);
	a = mmx_get(cpu, op->xreg) & ~((u64)0xffff << at);
	mmx_set(cpu, op->xreg, a | value << at);
}

void op_mmx_pextrw(struct sim_cpu *cpu, const struct sim_op *op)
{
	mmx_check(cpu);
	reg_set(cpu, op->xreg * 8u, 8, mmx_get(cpu, op->xrm) >> ((op->imm & 3) * 16) & 0xffff);
	mmx_used(cpu);
}

void op_mmx_pmovmskb(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 source = mmx_source(cpu, op, 8), mask = 0;

	for (unsigned i = 0; i < 8; i++)
		mask |= (source >> (8 * i + 7) & 1) << i;
	reg_set(cpu, op->xreg * 8u, 8, mask);
	mmx_used(cpu);
}

/* Each of so many bits shifted by the immediate. */
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

/* 71 words, 72 double words, 73 quad words; /2 logical right, /4 arithmetic right, /6 left. */
void op_mmx_shift_imm(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned how = op->modrm >> 3 & 7, bits = 8u << (op->opcode & 3);

	if ((how != 2 && how != 4 && how != 6) || (how == 4 && bits == 64))
		sim_raise(cpu, EXC_UD);
	mmx_check(cpu);
	mmx_set(cpu, op->xrm, shift_lanes(mmx_get(cpu, op->xrm), bits, op->imm, how));
}
