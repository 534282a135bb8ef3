/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_test: the comparisons with 32 predicates, the tests that set flags, and the blends by a mask in a
 * fourth register (APM 4).
 */
#include "sse.h"
#include "vex.h"

/* ---- VCMP ---- */

/* The results that a comparison of two values can have. A predicate is the set of those for which it holds.
 */
enum { UNORDERED = 1, EQUAL = 2, LESS = 4, GREATER = 8 };

/* The other half of the predicates holds for the same, and differs in whether a QNaN is invalid. */
static const u8 predicates[16] = {
        EQUAL,
        LESS,
        LESS | EQUAL,
        UNORDERED,
        LESS | GREATER | UNORDERED,
        EQUAL | GREATER | UNORDERED,
        GREATER | UNORDERED,
        LESS | EQUAL | GREATER,
        EQUAL | UNORDERED,
        LESS | UNORDERED,
        LESS | EQUAL | UNORDERED,
        0,
        LESS | GREATER,
        EQUAL | GREATER,
        GREATER,
        LESS | EQUAL | GREATER | UNORDERED,
};
#define SIGNALING 0x6666u /* predicates of the first half for which a QNaN is invalid */

/* The elements that are all ones for a relation. */
struct relations {
	sse_value less, equal, unordered;
	u32 quiet, signaling; /* MXCSR after a comparison for which a QNaN is valid, or invalid */
};

static sse_value choose(const struct relations *r, u64 imm)
{
	unsigned holds = predicates[imm & 15];
	sse_value result = {0}, known = r->less | r->equal | r->unordered;

	if (holds & LESS)
		result |= r->less;
	if (holds & EQUAL)
		result |= r->equal;
	if (holds & UNORDERED)
		result |= r->unordered;
	return holds & GREATER ? result | ~known : result;
}

static u32 compare_flags(const struct relations *r, u64 imm)
{
	return (SIGNALING >> (imm & 15) ^ imm >> 4) & 1 ? r->signaling : r->quiet;
}

#define RELATION(insn, field, after) SSE_HOST(insn " %[b], %[a]", after, [a] "+x"(r.field), [b] "x"(b))
#define COMPARE(kind, source, bytes) \
	void op_vcmp##kind(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		sse_value a = *sse_xmm(cpu, op->xreg), b = source, result; \
		struct relations r = {.less = a, .equal = a, .unordered = a}; \
		RELATION("cmplt" #kind, less, r.signaling); \
		RELATION("cmpunord" #kind, unordered, r.quiet); \
		RELATION("cmpeq" #kind, equal, r.quiet); \
		cpu_sse_exceptions(cpu, compare_flags(&r, op->imm)); \
		result = choose(&r, op->imm); \
		memcpy(cpu->xmm[op->xreg], &result, bytes); \
	}
COMPARE(ps, sse_source(cpu, op), 16)
COMPARE(pd, sse_source(cpu, op), 16)
COMPARE(ss, sse_source_part(cpu, op, 4), 4)
COMPARE(sd, sse_source_part(cpu, op, 8), 8)

/* ---- tests ---- */

/*
 * Sets ZF if source AND register is zero, and CF if source AND NOT register is. mask: of every step-th byte
 */
static void test(struct cpu *cpu, const struct cpu_op *op, unsigned step, u8 mask)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 a[32], b[32], both = 0, only = 0;

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, bytes, b);
	vex_get(cpu, op->xreg, a);
	for (unsigned i = step - 1; i < bytes; i += step) {
		both |= a[i] & b[i];
		only |= (u8)~a[i] & b[i];
	}
	flags_arith_set(cpu, (both & mask ? 0 : FLAG_ZF) | (only & mask ? 0 : FLAG_CF));
}

void op_vptest(struct cpu *cpu, const struct cpu_op *op)
{
	test(cpu, op, 1, 0xff);
}

void op_vtestps(struct cpu *cpu, const struct cpu_op *op)
{
	test(cpu, op, 4, 0x80);
}

void op_vtestpd(struct cpu *cpu, const struct cpu_op *op)
{
	test(cpu, op, 8, 0x80);
}

/* ---- blends: the upper half of the immediate names the mask ---- */

/* Takes from the source the elements of `size` bytes whose sign is set in the mask. */
static void blend(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	unsigned bytes = vex_lanes(op) * 16;
	u8 source[32], mask[32], result[32];

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, bytes, source);
	vex_get(cpu, vex_reg(op), result);
	vex_get(cpu, vex_imm(op) >> 4 & (op->flags & OP_LEGACY ? 7 : 15), mask);
	for (unsigned i = 0; i < bytes; i += size)
		if (mask[i + size - 1] & 0x80)
			memcpy(result + i, source + i, size);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

void op_vblendvps(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 4);
}

void op_vblendvpd(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 8);
}

void op_vpblendvb(struct cpu *cpu, const struct cpu_op *op)
{
	blend(cpu, op, 1);
}
