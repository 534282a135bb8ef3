/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex_fma: FMA and F16C, which the host's own instructions compute (APM 4). As in sse_late.c the flags of
 * results with an unmasked overflow or underflow take a second computation: of the same digits, with
 * exponents for which there is no overflow.
 */
#include <math.h>

#include "sse.h"
#include "vex.h"

#define FLAG_O 0x08u
#define FLAG_U 0x10u
#define FLAG_P 0x20u

/* ---- FMA ---- */

/* Computes with the register in reg, the one in vvvv, and the source; returns MXCSR. */
typedef u32 fma_fn(const struct cpu *cpu, sse_value *a, sse_value b, sse_value c);

#define FMA(name) \
	static u32 run_##name(const struct cpu *cpu, sse_value *a, sse_value b, sse_value c) \
	{ \
		u32 after; \
		SSE_HOST(#name " %[c], %[b], %[a]", after, [a] "+x"(*a), [b] "x"(b), [c] "x"(c)); \
		return after; \
	}
#define FMA_PACKED(kind, form) FMA(v##kind##form##ps) FMA(v##kind##form##pd)
#define FMA_BOTH(kind, form)   FMA_PACKED(kind, form) FMA(v##kind##form##ss) FMA(v##kind##form##sd)
#define FMA_FORM(form) \
	FMA_PACKED(fmaddsub, form) \
	FMA_PACKED(fmsubadd, form) \
	FMA_BOTH(fmadd, form) \
	FMA_BOTH(fmsub, form) \
	FMA_BOTH(fnmadd, form) \
	FMA_BOTH(fnmsub, form)
FMA_FORM(132)
FMA_FORM(213)
FMA_FORM(231)

/* By the low digit of the opcode minus 6, and W. */
/* clang-format off */
#define ROW_PACKED(kind, form) {run_v##kind##form##ps, run_v##kind##form##pd}
#define ROW_SCALAR(kind, form) {run_v##kind##form##ss, run_v##kind##form##sd}
#define FORM(form) { \
	ROW_PACKED(fmaddsub, form), ROW_PACKED(fmsubadd, form), \
	ROW_PACKED(fmadd, form), ROW_SCALAR(fmadd, form), ROW_PACKED(fmsub, form), ROW_SCALAR(fmsub, form), \
	ROW_PACKED(fnmadd, form), ROW_SCALAR(fnmadd, form), ROW_PACKED(fnmsub, form), ROW_SCALAR(fnmsub, form)}
static fma_fn *const functions[3][10][2] = {FORM(132), FORM(213), FORM(231)};
/* clang-format on */

static bool is_scalar(const struct cpu_op *op)
{
	return (op->opcode & 15) > 8 && op->opcode & 1;
}

/* One element: first * second + third. */
struct term {
	double first, second, third;
};

/* MXCSR.DAZ makes a denormal operand zero. */
static double element(const struct cpu *cpu, const u8 *at, unsigned size)
{
	float single;
	double value;

	if (size == 4) {
		memcpy(&single, at, 4);
		value = fpclassify(single) == FP_SUBNORMAL && cpu->mxcsr & MXCSR_DAZ ? 0 : (double)single;
	} else {
		memcpy(&value, at, 8);
		value = fpclassify(value) == FP_SUBNORMAL && cpu->mxcsr & MXCSR_DAZ ? 0 : value;
	}
	return value;
}

/*
 * Returns whether the result would be inexact if exponents had no bounds: with factors and sum near one.
 * Where the two parts are farther apart than their digits reach, it does not matter how far.
 */
static u32 unbounded_precision(const struct cpu *cpu, const struct term *t, unsigned size)
{
	int far = size == 4 ? 60 : 200, first, second, third, apart;
	double doubles[3] = {frexp(t->first, &first), frexp(t->second, &second), frexp(t->third, &third)};
	sse_value values[3] = {{0}};

	if (t->first == 0 || t->second == 0)
		return 0;
	apart = third - first - second;
	apart = apart > far ? far : apart < -far ? -far : apart;
	if (apart > 0)
		doubles[0] = ldexp(doubles[0], -apart);
	else
		doubles[2] = ldexp(doubles[2], apart);
	for (unsigned i = 0; i < 3; i++) {
		float single = (float)doubles[i];

		memcpy(&values[i], size == 4 ? (const void *)&single : (const void *)&doubles[i], size);
	}
	return (size == 4 ? run_vfmadd231ss : run_vfmadd231sd)(cpu, &values[2], values[0], values[1]) &
	       FLAG_P;
}

/* Returns the low digit of the opcode that does to one element what op does to element i. */
static unsigned scalar_kind(const struct cpu_op *op, unsigned i)
{
	unsigned kind = op->opcode & 15;

	if (kind < 8)
		return (kind + i) & 1 ? 9 : 11;
	return kind | 1;
}

/* at: the element of reg, vvvv and the source */
static u32 element_flags(const struct cpu *cpu, const struct cpu_op *op, unsigned kind, const u8 *const at[3])
{
	static const u8 orders[3][3] = {{0, 2, 1}, {1, 0, 2}, {1, 2, 0}};
	unsigned form = (op->opcode >> 4) - 9u, size = op->flags & OP_REXW ? 8 : 4;
	const u8 *order = orders[form];
	sse_value values[3] = {{0}};
	struct term t;
	u32 flags;

	for (unsigned i = 0; i < 3; i++)
		memcpy(&values[i], at[i], size);
	flags = functions[form][kind - 6][size == 8](cpu, &values[0], values[1], values[2]);
	if (!(flags & FLAG_O && !(cpu->mxcsr & MXCSR_OM)) && !(flags & FLAG_U && !(cpu->mxcsr & MXCSR_UM)))
		return flags;
	t.first = element(cpu, at[order[0]], size) * (kind >= 12 ? -1 : 1);
	t.second = element(cpu, at[order[1]], size);
	t.third = element(cpu, at[order[2]], size) * (kind & 2 ? -1 : 1);
	return (flags & ~FLAG_P) | unbounded_precision(cpu, &t, size);
}

static u32 late_flags(const struct cpu *cpu, const struct cpu_op *op, const u8 *const operands[3])
{
	unsigned size = op->flags & OP_REXW ? 8 : 4, count = is_scalar(op) ? 1 : vex_lanes(op) * 16 / size;
	u32 flags = 0;

	for (unsigned i = 0; i < count; i++) {
		const u8 *const at[3] = {
		        operands[0] + i * size, operands[1] + i * size, operands[2] + i * size};

		flags |= element_flags(cpu, op, scalar_kind(op, i), at);
	}
	return flags;
}

void op_vfma(struct cpu *cpu, const struct cpu_op *op)
{
	bool wide = op->flags & OP_REXW, scalar = is_scalar(op);
	fma_fn *fn = functions[(op->opcode >> 4) - 9][(op->opcode & 15) - 6][wide];
	unsigned lanes = scalar ? 1 : vex_lanes(op);
	u8 a[32], b[32], c[32] = {0}, result[32];
	u32 flags = 0;

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, scalar ? (wide ? 8 : 4) : lanes * 16, c);
	vex_get(cpu, op->xreg, a);
	vex_get(cpu, vex_reg(op), b);
	for (unsigned i = 0; i < lanes * 16; i += 16) {
		sse_value values[3];

		memcpy(&values[0], a + i, 16);
		memcpy(&values[1], b + i, 16);
		memcpy(&values[2], c + i, 16);
		flags |= fn(cpu, &values[0], values[1], values[2]);
		memcpy(result + i, &values[0], 16);
	}
	if (unlikely(~cpu->mxcsr & (MXCSR_OM | MXCSR_UM)))
		flags = late_flags(cpu, op, (const u8 *const[3]){a, b, c});
	cpu_sse_exceptions(cpu, flags);
	cpu_vex_write(cpu, op->xreg, result, lanes);
}

/* ---- F16C ---- */

void op_vcvtph2ps(struct cpu *cpu, const struct cpu_op *op)
{
	u8 source[32], result[32];
	u32 flags = 0;

	cpu_avx_check(cpu);
	cpu_vex_read(cpu, op, vex_lanes(op) * 8, source);
	for (unsigned i = 0; i < vex_lanes(op); i++) {
		sse_value from = {0}, to;
		u32 after;

		memcpy(&from, source + i * 8, 8);
		SSE_HOST("vcvtph2ps %[b], %[a]", after, [a] "=x"(to), [b] "x"(from));
		memcpy(result + i * 16, &to, 16);
		flags |= after;
	}
	cpu_sse_exceptions(cpu, flags);
	cpu_vex_write(cpu, op->xreg, result, vex_lanes(op));
}

#define TO_HALF(n) \
	case n: SSE_HOST("vcvtps2ph $" #n ", %[b], %[a]", after, [a] "=x"(to), [b] "x"(from)); break;

/* Bit 2 of imm leaves the rounding to MXCSR. */
static u32 to_half(const struct cpu *cpu, u8 imm, sse_value from, sse_value *ret_to)
{
	sse_value to;
	u32 after;

	switch (imm & 4 ? 4 : imm & 3) {
		TO_HALF(0)
		TO_HALF(1)
		TO_HALF(2)
		TO_HALF(3)
	default: SSE_HOST("vcvtps2ph $4, %[b], %[a]", after, [a] "=x"(to), [b] "x"(from)); break;
	}
	*ret_to = to;
	return after;
}

/* at: a single */
static u32 half_flags(const struct cpu *cpu, u8 imm, const u8 *at)
{
	double value = element(cpu, at, 4);
	sse_value from = {0}, to;
	u32 flags, unbounded;
	float near_one;
	int exponent;

	memcpy(&from, at, 4);
	flags = to_half(cpu, imm, from, &to);
	if (!isfinite(value) || value == 0)
		return flags;
	near_one = (float)frexp(value, &exponent);
	memcpy(&from, &near_one, 4);
	unbounded = to_half(cpu, imm, from, &to) & FLAG_P;
	/* Has rounding made it one? */
	exponent += (to[0] & 0x7fff) == 0x3c00;
	if (!(cpu->mxcsr & MXCSR_OM) && exponent > 16)
		return (flags & ~FLAG_P) | FLAG_O | unbounded;
	if (!(cpu->mxcsr & MXCSR_UM) && exponent < -13)
		return (flags & ~FLAG_P) | FLAG_U | unbounded;
	return flags;
}

void op_vcvtps2ph(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned bytes = vex_lanes(op) * 8;
	u8 value[32], result[32] = {0};
	u64 linear = 0;
	u32 flags = 0;

	cpu_avx_check(cpu);
	vex_get(cpu, op->xreg, value);
	for (unsigned i = 0; i < vex_lanes(op); i++) {
		sse_value from, to;

		memcpy(&from, value + i * 16, 16);
		flags |= to_half(cpu, vex_imm(op), from, &to);
		memcpy(result + i * 8, &to, 8);
	}
	if (unlikely(~cpu->mxcsr & (MXCSR_OM | MXCSR_UM))) {
		flags = 0;
		for (unsigned i = 0; i < bytes * 2; i += 4)
			flags |= half_flags(cpu, vex_imm(op), value + i);
	}
	if (op->flags & OP_MEM) {
		linear = op_linear(cpu, op, bytes, ACCESS_WRITE);
		/* A fault of the operand comes before exceptions. */
		cpu_mem_probe(cpu, linear, bytes, ACCESS_WRITE, op->seg);
	}
	cpu_sse_exceptions(cpu, flags);
	if (op->flags & OP_MEM)
		cpu_mem_write_bytes(cpu, linear, result, bytes, op->seg);
	else
		cpu_vex_write(cpu, op->xrm, result, 1);
}
