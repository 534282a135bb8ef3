/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_shift: ROL to SAR, SHLD and SHRD in all sizes. Flags that the manuals leave undefined get the values
 * that current processors compute, where these are known: OF for a count other than 1 is computed as for 1.
 */
#include "ops.h"

/* Returns bit number bit of a. */
ALWAYS bool bit_of(u64 a, unsigned bit)
{
	return a >> bit & 1;
}

/* Returns the bits of the count that matter: 5, or 6 if the operand has 64 bits (APM 3). */
ALWAYS unsigned count_of(u64 count, unsigned size)
{
	return (unsigned)count & (size == 8 ? 63 : 31);
}

/* ---- the computations: the count is already cut; a count of 0 changes no flag ---- */

typedef u64 shift_fn(struct cpu *cpu, u64 a, unsigned count, unsigned size);

/* Rotates a, which has size bytes. The conditions let the compiler find the host's rotation. */
ALWAYS u64 rotate_left(u64 a, unsigned n, unsigned size)
{
	if (size == 8)
		return a << (n & 63) | a >> (-n & 63);
	if (size == 4)
		return (u32)a << (n & 31) | (u32)a >> (-n & 31);
	n %= size * 8;
	return a << n | a >> (size * 8 - n);
}

ALWAYS u64 shift_rol(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	bool cf;

	if (!count)
		return a;
	a = rotate_left(a, count, size);
	cf = a & 1;
	flag_cf_of_set(cpu, cf, cf ^ bit_of(a, size * 8 - 1));
	return a;
}

ALWAYS u64 shift_ror(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned bits = size * 8;
	bool cf;

	if (!count)
		return a;
	a = rotate_left(a, bits - count % bits, size);
	cf = bit_of(a, bits - 1);
	flag_cf_of_set(cpu, cf, cf ^ bit_of(a, bits - 2));
	return a;
}

/* Rotates left through CF: RCL and RCR rotate one bit more than the operand has, which is CF. */
ALWAYS u64 shift_rcl(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned bits = size * 8, n = count % (bits + 1);
	u64 high, low, carried = flag_cf(cpu);
	bool cf;

	if (!n)
		return a;
	cf = bit_of(a, bits - n);
	high = n == bits ? 0 : a << n;
	low = n == 1 ? 0 : a >> (bits + 1 - n);
	a = high | carried << (n - 1) | low;
	flag_cf_of_set(cpu, cf, cf ^ bit_of(a, bits - 1));
	return a;
}

ALWAYS u64 shift_rcr(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned bits = size * 8, n = count % (bits + 1);
	u64 high, low, carried = flag_cf(cpu);
	bool cf;

	if (!n)
		return a;
	cf = bit_of(a, n - 1);
	high = n == 1 ? 0 : a << (bits + 1 - n);
	low = n == bits ? 0 : a >> n;
	a = high | carried << (bits - n) | low;
	flag_cf_of_set(cpu, cf, bit_of(a, bits - 1) ^ bit_of(a, bits - 2));
	return a;
}

ALWAYS u64 shift_shl(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned bits = size * 8;
	bool cf;

	if (!count)
		return a;
	cf = count <= bits && bit_of(a, bits - count);
	a = count < bits ? a << count : 0;
	flags_set(cpu, sign_extend(a, size), cf, cf ^ bit_of(a, bits - 1), false);
	return a;
}

ALWAYS u64 shift_shr(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned bits = size * 8;
	bool cf, of;

	if (!count)
		return a;
	cf = count <= bits && bit_of(a, count - 1);
	of = bit_of(a, bits - 1);
	a = count < bits ? a >> count : 0;
	flags_set(cpu, sign_extend(a, size), cf, of, false);
	return a;
}

ALWAYS u64 shift_sar(struct cpu *cpu, u64 a, unsigned count, unsigned size)
{
	unsigned last = size * 8 - 1;
	bool cf;

	if (!count)
		return a;
	cf = bit_of(a, count <= last ? count - 1 : last);
	a = (u64)((s64)sign_extend(a, size) >> (count <= last ? count : last));
	flags_set(cpu, sign_extend(a, size), cf, false, false);
	return a;
}

/* ---- by the immediate (or 1): ei; by CL: ec ---- */

ALWAYS void shift_r(struct cpu *cpu, const struct cpu_op *op, unsigned size, shift_fn *shift, u64 count)
{
	reg_set(cpu, op->rm, size, shift(cpu, reg_get(cpu, op->rm, size), count_of(count, size), size));
}

ALWAYS void shift_m(struct cpu *cpu, const struct cpu_op *op, unsigned size, shift_fn *shift, u64 count)
{
	void *p;

	flags_save(cpu, op);
	p = rm_begin(cpu, op, size);
	ram_store(p, size, shift(cpu, ram_load(p, size), count_of(count, size), size));
	rmw_end(cpu, p);
}

#define SHIFT_FORM(name, form, count) \
	ALWAYS void name##_##form##_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		shift_r(cpu, op, size, shift_##name, count); \
	} \
	ALWAYS void name##_##form##_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		shift_m(cpu, op, size, shift_##name, count); \
	} \
	HANDLERS_RM(name##_##form);
#define SHIFT(name) \
	SHIFT_FORM(name, ei, op->imm) \
	SHIFT_FORM(name, ec, REG_RCX)
SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

/* ---- SHLD and SHRD ---- */

typedef u64 double_fn(struct cpu *cpu, u64 a, u64 b, unsigned count, unsigned size);

/*
 * Shifts a left and fills it from b. The result of a 16-bit shift by more than 16 is undefined; here the
 * pair is rotated, so that the bits of a follow those of b once more.
 */
ALWAYS u64 double_shl(struct cpu *cpu, u64 a, u64 b, unsigned count, unsigned size)
{
	unsigned bits = size * 8;
	u64 r, pair = a << 32 | b << 16 | a;
	bool cf;

	if (!count)
		return a;
	if (size == 2) {
		r = pair << count >> 32;
		cf = bit_of(pair, 48 - count);
	} else {
		r = a << count | b >> (bits - count);
		cf = bit_of(a, bits - count);
	}
	flags_set(cpu, sign_extend(r, size), cf, bit_of(r ^ a, bits - 1), false);
	return r;
}

ALWAYS u64 double_shr(struct cpu *cpu, u64 a, u64 b, unsigned count, unsigned size)
{
	unsigned bits = size * 8;
	u64 r, pair = a << 32 | b << 16 | a;

	if (!count)
		return a;
	r = size == 2 ? pair >> count : a >> count | b << (bits - count);
	flags_set(cpu, sign_extend(r, size), bit_of(size == 2 ? pair : a, count - 1), bit_of(r ^ a, bits - 1),
	        false);
	return r;
}

ALWAYS void double_r(struct cpu *cpu, const struct cpu_op *op, unsigned size, double_fn *shift, u64 count)
{
	u64 a = reg_get(cpu, op->rm, size), b = reg_get(cpu, op->reg, size);

	reg_set(cpu, op->rm, size, shift(cpu, a, b, count_of(count, size), size));
}

ALWAYS void double_m(struct cpu *cpu, const struct cpu_op *op, unsigned size, double_fn *shift, u64 count)
{
	void *p;
	u64 b;

	flags_save(cpu, op);
	p = rm_begin(cpu, op, size);
	b = reg_get(cpu, op->reg, size);
	ram_store(p, size, shift(cpu, ram_load(p, size), b, count_of(count, size), size));
	rmw_end(cpu, p);
}

#define DOUBLE_FORM(name, form, count) \
	ALWAYS void name##d_##form##_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		double_r(cpu, op, size, double_##name, count); \
	} \
	ALWAYS void name##d_##form##_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		double_m(cpu, op, size, double_##name, count); \
	} \
	HANDLERS_WIDE_RM(name##d_##form);
#define DOUBLE(name) \
	DOUBLE_FORM(name, ei, op->imm) \
	DOUBLE_FORM(name, ec, REG_RCX)
DOUBLE(shl)
DOUBLE(shr)
