/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_late: unmasked overflow and underflow of SSE arithmetic. The host computes with both masked, which
 * does not give the right flags: unmasked, an exact result that is too small is an underflow as well, and
 * the precision flag belongs to a result whose exponent has no bounds (APM 1, 4.10; SDM 1, 11.5.2.4). The
 * x87 computes such results.
 */
#include "sse.h"
#include "x87_host.h"

#define FLAG_O 0x08u
#define FLAG_U 0x10u
#define FLAG_P 0x20u

#define X87_BIAS 0x3fffu

#define WIDE(name, load, insn) HOST_X87(wide_##name, load " (%[a])\n\t" insn STATUS TAKE)
WIDE(addss, "flds", "fadds (%[b])")
WIDE(subss, "flds", "fsubs (%[b])")
WIDE(mulss, "flds", "fmuls (%[b])")
WIDE(divss, "flds", "fdivs (%[b])")
WIDE(addsd, "fldl", "faddl (%[b])")
WIDE(subsd, "fldl", "fsubl (%[b])")
WIDE(mulsd, "fldl", "fmull (%[b])")
WIDE(divsd, "fldl", "fdivl (%[b])")
WIDE(cvtsd2ss, "fldl", "fld1\n\tfmulp")

#define LANE(name) \
	static u32 lane_##name(const struct cpu *cpu, sse_value a, sse_value b) \
	{ \
		u32 after; \
		SSE_HOST(#name " %[b], %[a]", after, [a] "+x"(a), [b] "x"(b)); \
		return after; \
	}
LANE(addss)
LANE(subss)
LANE(mulss)
LANE(divss)
LANE(addsd)
LANE(subsd)
LANE(mulsd)
LANE(divsd)
LANE(cvtsd2ss)

static const struct {
	host_x87_fn *wide;
	u32 (*lane)(const struct cpu *cpu, sse_value a, sse_value b);
	u8 operand, result; /* in bytes */
} steps[] = {
        [SSE_ADDSS] = {wide_addss, lane_addss, 4, 4},
        [SSE_SUBSS] = {wide_subss, lane_subss, 4, 4},
        [SSE_MULSS] = {wide_mulss, lane_mulss, 4, 4},
        [SSE_DIVSS] = {wide_divss, lane_divss, 4, 4},
        [SSE_ADDSD] = {wide_addsd, lane_addsd, 8, 8},
        [SSE_SUBSD] = {wide_subsd, lane_subsd, 8, 8},
        [SSE_MULSD] = {wide_mulsd, lane_mulsd, 8, 8},
        [SSE_DIVSD] = {wide_divsd, lane_divsd, 8, 8},
        [SSE_CVTSD2SS] = {wide_cvtsd2ss, lane_cvtsd2ss, 8, 4},
};

/* Returns an operand. MXCSR.DAZ makes a denormal operand zero. */
static u64 operand(const struct cpu *cpu, const u8 *at, unsigned bytes)
{
	u64 value = load_le(at, bytes), sign = (u64)1 << (bytes * 8 - 1);
	u64 exponent = bytes == 8 ? 0x7ff0000000000000u : 0x7f800000u;

	return cpu->mxcsr & MXCSR_DAZ && !(value & exponent) ? value & sign : value;
}

static u32 lane_flags(const struct cpu *cpu, enum sse_step step, const u8 *at_a, const u8 *at_b)
{
	unsigned bytes = steps[step].operand, range = steps[step].result == 8 ? 1023 : 127, exponent;
	u64 a = operand(cpu, at_a, bytes), b = operand(cpu, at_b, bytes);
	u32 flags = steps[step].lane(cpu, (sse_value){(long long)a, 0}, (sse_value){(long long)b, 0});
	u16 control = (u16)(0x3f | (steps[step].result == 8 ? 0x200 : 0) | (cpu->mxcsr >> 13 & 3) << 10), sw;
	u8 r[16];

	sw = steps[step].wide(control, &a, &b, r);
	exponent = (unsigned)load_le(r + 8, 2) & 0x7fff;
	if (!load_le(r, 8) || exponent == 0x7fff)
		return flags;
	if (!(cpu->mxcsr & MXCSR_OM) && exponent > X87_BIAS + range)
		return (flags & ~FLAG_P) | FLAG_O | (sw & FLAG_P);
	if (!(cpu->mxcsr & MXCSR_UM) && exponent < X87_BIAS + 1 - range)
		return (flags & ~FLAG_P) | FLAG_U | (sw & FLAG_P);
	return flags;
}

u32 cpu_sse_late_flags(const struct cpu *cpu, const struct sse_shape *shape, sse_value a, sse_value b)
{
	const u8 *at_a = (const u8 *)&a, *at_b = (const u8 *)&b;
	unsigned bytes = steps[shape->even].operand, pairs = shape->lanes / 2;
	u32 flags = 0;

	for (unsigned i = 0; i < shape->lanes; i++) {
		enum sse_step step = i & 1 ? shape->odd : shape->even;
		const u8 *pair = (i < pairs ? at_a : at_b) + (pairs ? i % pairs : 0) * 2 * bytes;

		if (shape->horizontal)
			flags |= lane_flags(cpu, step, pair, pair + bytes);
		else
			flags |= lane_flags(cpu, step, (step == SSE_CVTSD2SS ? at_b : at_a) + i * bytes,
			        at_b + i * bytes);
	}
	return flags;
}
