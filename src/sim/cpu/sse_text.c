/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_text: the string comparisons of SSE4.2 (APM 4, PCMPESTRI and its kin).
 */
#include "sse.h"

struct text {
	const u8 *bytes;
	unsigned count; /* valid elements */
};

static bool wide(u64 imm)
{
	return imm & 1;
}

static s32 element(const u8 *bytes, unsigned i, u64 imm)
{
	u16 word;

	if (!wide(imm))
		return imm & 2 ? (s8)bytes[i] : bytes[i];
	memcpy(&word, bytes + i * 2, 2);
	return imm & 2 ? (s16)word : word;
}

/* Counts the elements before the first zero. */
static unsigned implicit_count(const u8 *bytes, u64 imm)
{
	unsigned lanes = wide(imm) ? 8 : 16, i = 0;

	while (i < lanes && element(bytes, i, imm))
		i++;
	return i;
}

/* Returns the magnitude of the register, but at most the number of lanes. */
static unsigned explicit_count(struct cpu *cpu, const struct cpu_op *op, enum cpu_reg reg)
{
	unsigned lanes = wide(op->imm) ? 8 : 16;
	s64 value = op->flags & OP_REXW ? (s64)cpu->gpr[reg] : (s32)cpu->gpr[reg];
	u64 magnitude = value < 0 ? -(u64)value : (u64)value;

	return magnitude < lanes ? (unsigned)magnitude : lanes;
}

static bool any_equal(const struct text *a, s32 e, u64 imm)
{
	for (unsigned i = 0; i < a->count; i++)
		if (element(a->bytes, i, imm) == e)
			return true;
	return false;
}

static bool in_ranges(const struct text *a, s32 e, u64 imm)
{
	for (unsigned i = 0; i + 1 < a->count; i += 2)
		if (element(a->bytes, i, imm) <= e && e <= element(a->bytes, i + 1, imm))
			return true;
	return false;
}

/* Returns whether a begins at b + at. Elements beyond b's register count as equal. */
static bool ordered(const struct text *a, const struct text *b, unsigned at, u64 imm)
{
	unsigned lanes = wide(imm) ? 8 : 16;

	for (unsigned i = 0; i < a->count && at + i < lanes; i++)
		if (at + i >= b->count || element(a->bytes, i, imm) != element(b->bytes, at + i, imm))
			return false;
	return true;
}

static u32 aggregate(const struct text *a, const struct text *b, u64 imm)
{
	unsigned lanes = wide(imm) ? 8 : 16;
	u32 result = 0;

	for (unsigned i = 0; i < lanes; i++) {
		bool bit, va = i < a->count, vb = i < b->count;

		switch (imm >> 2 & 3) {
		case 0: bit = vb && any_equal(a, element(b->bytes, i, imm), imm); break;
		case 1: bit = vb && in_ranges(a, element(b->bytes, i, imm), imm); break;
		case 2:
			bit = va && vb ? element(a->bytes, i, imm) == element(b->bytes, i, imm) : va == vb;
			break;
		default: bit = ordered(a, b, i, imm); break;
		}
		if (imm & 16 && (!(imm & 32) || vb))
			bit = !bit;
		result |= (u32)bit << i;
	}
	return result;
}

static void index_result(struct cpu *cpu, u64 imm, u32 bits)
{
	unsigned lanes = wide(imm) ? 8 : 16;

	REG_RCX = !bits        ? lanes
	          : imm & 0x40 ? 31u - (unsigned)__builtin_clz(bits)
	                       : (unsigned)__builtin_ctz(bits);
}

static void mask_result(struct cpu *cpu, u64 imm, u32 bits)
{
	unsigned bytes = wide(imm) ? 2 : 1;

	memset(cpu->xmm[0], 0, 16);
	if (!(imm & 0x40)) {
		memcpy(cpu->xmm[0], &bits, 2);
		return;
	}
	for (unsigned i = 0; i < 16; i++)
		cpu->xmm[0][i] = bits >> (i / bytes) & 1 ? 0xff : 0;
}

static void text_compare(struct cpu *cpu, const struct cpu_op *op, bool given, bool mask)
{
	unsigned lanes = wide(op->imm) ? 8 : 16;
	sse_value source;
	u8 a_bytes[16], b_bytes[16];
	struct text a = {.bytes = a_bytes}, b = {.bytes = b_bytes};
	u32 bits;

	cpu_sse_check(cpu);
	source = sse_source_unaligned(cpu, op);
	memcpy(a_bytes, cpu->xmm[op->xreg], 16);
	memcpy(b_bytes, &source, 16);
	a.count = given ? explicit_count(cpu, op, CPU_RAX) : implicit_count(a_bytes, op->imm);
	b.count = given ? explicit_count(cpu, op, CPU_RDX) : implicit_count(b_bytes, op->imm);
	bits = aggregate(&a, &b, op->imm);
	if (mask)
		mask_result(cpu, op->imm, bits);
	else
		index_result(cpu, op->imm, bits);
	flags_arith_set(cpu, (bits ? FLAG_CF : 0) | (b.count < lanes ? FLAG_ZF : 0) |
	                             (a.count < lanes ? FLAG_SF : 0) | (bits & 1 ? FLAG_OF : 0));
}

void op_pcmpestrm(struct cpu *cpu, const struct cpu_op *op)
{
	text_compare(cpu, op, true, true);
}

void op_pcmpestri(struct cpu *cpu, const struct cpu_op *op)
{
	text_compare(cpu, op, true, false);
}

void op_pcmpistrm(struct cpu *cpu, const struct cpu_op *op)
{
	text_compare(cpu, op, false, true);
}

void op_pcmpistri(struct cpu *cpu, const struct cpu_op *op)
{
	text_compare(cpu, op, false, false);
}
