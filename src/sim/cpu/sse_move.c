/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_move: the instructions of SSE to SSE4.1 that move, shuffle and pick without computing (APM 4).
 */
#include "sse.h"

sse_value cpu_mem_read128(struct cpu *cpu, u64 linear, unsigned seg)
{
	const struct cpu_tlb_entry *e = &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
	sse_value value;

	if (likely(e->read == ((linear + 15) & ~(u64)0xfff)))
		ram_copy(&value, (const void *)(e->host + (uintptr_t)linear), 16);
	else
		cpu_mem_read_bytes(cpu, linear, &value, 16, seg);
	return value;
}

void cpu_mem_write128(struct cpu *cpu, u64 linear, sse_value value, unsigned seg)
{
	const struct cpu_tlb_entry *e = &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];

	if (likely(e->write == ((linear + 15) & ~(u64)0xfff)))
		ram_copy((void *)(e->host + (uintptr_t)linear), &value, 16);
	else
		cpu_mem_write_bytes(cpu, linear, &value, 16, seg);
}

static void store128(struct cpu *cpu, const struct cpu_op *op, bool aligned)
{
	u64 linear;

	cpu_sse_check(cpu);
	if (!(op->flags & OP_MEM)) {
		*sse_xmm(cpu, op->xrm) = *sse_xmm(cpu, op->xreg);
		return;
	}
	linear = op_linear(cpu, op, 16, ACCESS_WRITE);
	if (aligned && linear % 16)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_mem_write128(cpu, linear, *sse_xmm(cpu, op->xreg), op->seg);
}

void op_movups_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	*sse_xmm(cpu, op->xreg) = sse_source_unaligned(cpu, op);
}

void op_movups_store(struct cpu *cpu, const struct cpu_op *op)
{
	store128(cpu, op, false);
}

void op_movaps_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	if (op->flags & OP_MEM && op_linear(cpu, op, 16, ACCESS_READ) % 16)
		cpu_raise_error(cpu, EXC_GP, 0);
	*sse_xmm(cpu, op->xreg) = sse_source_unaligned(cpu, op);
}

void op_movaps_store(struct cpu *cpu, const struct cpu_op *op)
{
	store128(cpu, op, true);
}

void op_lddqu(struct cpu *cpu, const struct cpu_op *op)
{
	op_movups_load(cpu, op);
}

void op_movnt_store(struct cpu *cpu, const struct cpu_op *op)
{
	store128(cpu, op, true);
}

void op_movntdqa(struct cpu *cpu, const struct cpu_op *op)
{
	op_movaps_load(cpu, op);
}

void op_movnti(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_rm_write(cpu, op, op->size, reg_get(cpu, op->reg, op->size));
}

/* ---- elements ---- */

#define LANE(type, number, i) (((type *)(void *)cpu->xmm[number])[i])

/* A load from memory clears the upper part of the register. A move between registers keeps it. */
#define MOVE_SCALAR(name, type, bytes) \
	void op_##name##_load(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		cpu_sse_check(cpu); \
		if (op->flags & OP_MEM) \
			*sse_xmm(cpu, op->xreg) = sse_source_part(cpu, op, bytes); \
		else \
			LANE(type, op->xreg, 0) = LANE(type, op->xrm, 0); \
	} \
	void op_##name##_store(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		cpu_sse_check(cpu); \
		if (op->flags & OP_MEM) \
			cpu_rm_write(cpu, op, bytes, LANE(type, op->xreg, 0)); \
		else \
			LANE(type, op->xrm, 0) = LANE(type, op->xreg, 0); \
	}
MOVE_SCALAR(movss, u32, 4)
MOVE_SCALAR(movsd, u64, 8)

/* MOVLPS, or MOVHLPS between registers */
void op_movlps_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	LANE(u64, op->xreg, 0) = op->flags & OP_MEM ? rm_mem_read(cpu, op, 8) : LANE(u64, op->xrm, 1);
}

void op_movlpd_load(struct cpu *cpu, const struct cpu_op *op)
{
	if (!(op->flags & OP_MEM))
		cpu_raise(cpu, EXC_UD);
	op_movlps_load(cpu, op);
}

void op_movlps_store(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	rm_mem_write(cpu, op, 8, LANE(u64, op->xreg, 0));
}

/* MOVHPS, or MOVLHPS between registers */
void op_movhps_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	LANE(u64, op->xreg, 1) = op->flags & OP_MEM ? rm_mem_read(cpu, op, 8) : LANE(u64, op->xrm, 0);
}

void op_movhpd_load(struct cpu *cpu, const struct cpu_op *op)
{
	if (!(op->flags & OP_MEM))
		cpu_raise(cpu, EXC_UD);
	op_movhps_load(cpu, op);
}

void op_movhps_store(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	rm_mem_write(cpu, op, 8, LANE(u64, op->xreg, 1));
}

void op_movd_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	*sse_xmm(cpu, op->xreg) = (sse_value){(long long)cpu_rm_read(cpu, op, op->size), 0};
}

void op_movd_store(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	cpu_rm_write(cpu, op, op->size, LANE(u64, op->xreg, 0));
}

void op_movq_load(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	*sse_xmm(cpu, op->xreg) = (sse_value){sse_source_part(cpu, op, 8)[0], 0};
}

void op_movq_store(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	if (op->flags & OP_MEM)
		rm_mem_write(cpu, op, 8, LANE(u64, op->xreg, 0));
	else
		*sse_xmm(cpu, op->xrm) = (sse_value){(long long)LANE(u64, op->xreg, 0), 0};
}

/* ---- masks ---- */

static void mask_to_register(struct cpu *cpu, const struct cpu_op *op, unsigned lanes)
{
	unsigned bytes = 16 / lanes;
	u32 mask = 0;

	cpu_sse_check(cpu);
	for (unsigned i = 0; i < lanes; i++)
		mask |= (u32)(cpu->xmm[op->xrm][i * bytes + bytes - 1] >> 7) << i;
	reg_set(cpu, op->xreg * 8u, 8, mask);
}

void op_movmskps(struct cpu *cpu, const struct cpu_op *op)
{
	mask_to_register(cpu, op, 4);
}

void op_movmskpd(struct cpu *cpu, const struct cpu_op *op)
{
	mask_to_register(cpu, op, 2);
}

void op_pmovmskb(struct cpu *cpu, const struct cpu_op *op)
{
	mask_to_register(cpu, op, 16);
}

void op_maskmovdqu(struct cpu *cpu, const struct cpu_op *op)
{
	u64 offset = REG_RDI << op->address_shift >> op->address_shift;

	cpu_sse_check(cpu);
	/* All 16 bytes must be writable, whatever the mask says. */
	cpu_mem_probe(cpu, seg_linear(cpu, op->seg, offset, 16, ACCESS_WRITE), 16, ACCESS_WRITE, op->seg);
	for (unsigned i = 0; i < 16; i++)
		if (cpu->xmm[op->xrm][i] & 0x80)
			mem_write(cpu, seg_linear(cpu, op->seg, offset + i, 1, ACCESS_WRITE), 1,
			        cpu->xmm[op->xreg][i], op->seg);
}

/* ---- shuffles ---- */

/* Picks dwords by two bits of the immediate: the first `own` from the destination, others from the source. */
static void shuffle32(struct cpu *cpu, const struct cpu_op *op, unsigned own)
{
	u32 a[4], b[4], r[4];
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(b, &source, 16);
	memcpy(a, cpu->xmm[op->xreg], 16);
	for (unsigned i = 0; i < 4; i++)
		r[i] = (i < own ? a : b)[op->imm >> (2 * i) & 3];
	memcpy(cpu->xmm[op->xreg], r, 16);
}

void op_pshufd(struct cpu *cpu, const struct cpu_op *op)
{
	shuffle32(cpu, op, 0);
}

void op_shufps(struct cpu *cpu, const struct cpu_op *op)
{
	shuffle32(cpu, op, 2);
}

void op_shufpd(struct cpu *cpu, const struct cpu_op *op)
{
	sse_value b, *a = sse_xmm(cpu, op->xreg);

	cpu_sse_check(cpu);
	b = sse_source(cpu, op);
	*a = (sse_value){(*a)[op->imm & 1], b[op->imm >> 1 & 1]};
}

static void shuffle16(struct cpu *cpu, const struct cpu_op *op, unsigned at)
{
	u16 b[8], r[8];
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(b, &source, 16);
	memcpy(r, b, 16);
	for (unsigned i = 0; i < 4; i++)
		r[at + i] = b[at + (op->imm >> (2 * i) & 3)];
	memcpy(cpu->xmm[op->xreg], r, 16);
}

void op_pshufhw(struct cpu *cpu, const struct cpu_op *op)
{
	shuffle16(cpu, op, 4);
}

void op_pshuflw(struct cpu *cpu, const struct cpu_op *op)
{
	shuffle16(cpu, op, 0);
}

void op_pinsrw(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	LANE(u16, op->xreg, op->imm & 7) =
	        (u16)(op->flags & OP_MEM ? rm_mem_read(cpu, op, 2) : reg_get(cpu, op->xrm * 8u, 8));
}

void op_pextrw(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	reg_set(cpu, op->xreg * 8u, 8, LANE(u16, op->xrm, op->imm & 7));
}

/* ---- SSE3 duplications ---- */

static void duplicate(struct cpu *cpu, const struct cpu_op *op, unsigned odd)
{
	u32 b[4];
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(b, &source, 16);
	for (unsigned i = 0; i < 4; i++)
		LANE(u32, op->xreg, i) = b[(i & ~1u) + odd];
}

void op_movsldup(struct cpu *cpu, const struct cpu_op *op)
{
	duplicate(cpu, op, 0);
}

void op_movshdup(struct cpu *cpu, const struct cpu_op *op)
{
	duplicate(cpu, op, 1);
}

void op_movddup(struct cpu *cpu, const struct cpu_op *op)
{
	long long low;

	cpu_sse_check(cpu);
	low = sse_source_part(cpu, op, 8)[0];
	*sse_xmm(cpu, op->xreg) = (sse_value){low, low};
}

/* ---- SSE4.1 and SSSE3: single elements and blends ---- */

#define EXTRACT(name, type, count, bytes) \
	void op_##name(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		u64 value; \
		cpu_sse_check(cpu); \
		value = LANE(type, op->xreg, op->imm % (count)); \
		if (op->flags & OP_MEM) \
			cpu_rm_write(cpu, op, bytes, value); \
		else \
			reg_set(cpu, op->xrm * 8u, 8, value); \
	}
EXTRACT(pextrb, u8, 16, 1)
EXTRACT(pextrw_store, u16, 8, 2)
EXTRACT(extractps, u32, 4, 4)

void op_pextrd(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	cpu_rm_write(cpu, op, op->size,
	        op->size == 8 ? LANE(u64, op->xreg, op->imm & 1) : LANE(u32, op->xreg, op->imm & 3));
}

void op_pinsrb(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_sse_check(cpu);
	cpu->xmm[op->xreg][op->imm & 15] =
	        (u8)(op->flags & OP_MEM ? rm_mem_read(cpu, op, 1) : reg_get(cpu, op->xrm * 8u, 8));
}

void op_pinsrd(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value;

	cpu_sse_check(cpu);
	value = cpu_rm_read(cpu, op, op->size);
	if (op->size == 8)
		LANE(u64, op->xreg, op->imm & 1) = value;
	else
		LANE(u32, op->xreg, op->imm & 3) = (u32)value;
}

void op_insertps(struct cpu *cpu, const struct cpu_op *op)
{
	u32 value;

	cpu_sse_check(cpu);
	value = op->flags & OP_MEM ? rm_mem_read(cpu, op, 4) : LANE(u32, op->xrm, op->imm >> 6 & 3);
	LANE(u32, op->xreg, op->imm >> 4 & 3) = value;
	for (unsigned i = 0; i < 4; i++)
		if (op->imm >> i & 1)
			LANE(u32, op->xreg, i) = 0;
}

/* Takes lane i from the source where bit i of the immediate is set. */
static void blend(struct cpu *cpu, const struct cpu_op *op, unsigned lanes)
{
	unsigned bytes = 16 / lanes;
	u8 b[16];
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(b, &source, 16);
	for (unsigned i = 0; i < lanes; i++)
		if (op->imm >> i & 1)
			memcpy(cpu->xmm[op->xreg] + i * bytes, b + i * bytes, bytes);
}

void op_blendps(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 4);
}

void op_blendpd(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 2);
}

void op_pblendw(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 8);
}

/* Does the same as blend(), but the signs of XMM0's lanes choose. */
static void blend_variable(struct cpu *cpu, const struct cpu_op *op, unsigned lanes)
{
	unsigned bytes = 16 / lanes;
	u8 b[16], mask[16];
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(b, &source, 16);
	memcpy(mask, cpu->xmm[0], 16);
	for (unsigned i = 0; i < 16; i += bytes)
		if (mask[i + bytes - 1] & 0x80)
			memcpy(cpu->xmm[op->xreg] + i, b + i, bytes);
}

void op_pblendvb(struct cpu *cpu, const struct cpu_op *op)
{
	blend_variable(cpu, op, 16);
}

void op_blendvps(struct cpu *cpu, const struct cpu_op *op)
{
	blend_variable(cpu, op, 4);
}

void op_blendvpd(struct cpu *cpu, const struct cpu_op *op)
{
	blend_variable(cpu, op, 2);
}

void op_palignr(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned by = op->imm < 32 ? (unsigned)op->imm : 32;
	u8 both[64] = {0};
	sse_value source;

	cpu_sse_check(cpu);
	source = sse_source(cpu, op);
	memcpy(both, &source, 16);
	memcpy(both + 16, cpu->xmm[op->xreg], 16);
	memcpy(cpu->xmm[op->xreg], both + by, 16);
}

void op_ptest(struct cpu *cpu, const struct cpu_op *op)
{
	sse_value a = *sse_xmm(cpu, op->xreg), b;

	cpu_sse_check(cpu);
	b = sse_source(cpu, op);
	flags_arith_set(
	        cpu, ((a & b)[0] | (a & b)[1] ? 0 : FLAG_ZF) | ((~a & b)[0] | (~a & b)[1] ? 0 : FLAG_CF));
}

/* ---- shifts by an immediate: 71 words, 72 dwords, 73 qwords or (/3, /7) the whole register by bytes ---- */

static void shift_bytes(struct cpu *cpu, const struct cpu_op *op, bool left)
{
	unsigned by = op->imm < 16 ? (unsigned)op->imm : 16;
	u8 wide[48] = {0};

	memcpy(wide + 16, cpu->xmm[op->xrm], 16);
	memcpy(cpu->xmm[op->xrm], left ? wide + 16 - by : wide + 16 + by, 16);
}

#define SHIFT_BY(insn) __asm__(insn " %1, %0" : "+x"(*v) : "x"(by))

void op_shift_imm(struct cpu *cpu, const struct cpu_op *op)
{
	sse_value *v = sse_xmm(cpu, op->xrm), by = {(long long)op->imm, 0};

	cpu_sse_check(cpu);
	switch ((op->opcode & 3) << 4 | (op->modrm >> 3 & 7)) {
	case 0x12: SHIFT_BY("psrlw"); break;
	case 0x14: SHIFT_BY("psraw"); break;
	case 0x16: SHIFT_BY("psllw"); break;
	case 0x22: SHIFT_BY("psrld"); break;
	case 0x24: SHIFT_BY("psrad"); break;
	case 0x26: SHIFT_BY("pslld"); break;
	case 0x32: SHIFT_BY("psrlq"); break;
	case 0x33: shift_bytes(cpu, op, false); break;
	case 0x36: SHIFT_BY("psllq"); break;
	case 0x37: shift_bytes(cpu, op, true); break;
	default: cpu_raise(cpu, EXC_UD);
	}
}
