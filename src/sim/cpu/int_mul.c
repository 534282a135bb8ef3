/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_mul: MUL, IMUL, DIV and IDIV, and the decimal instructions, which 64-bit mode does not have.
 */
#include "ops.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

#define REG_AX 0u /* offsets into struct cpu */
#define REG_DX (CPU_RDX * 8u)

/* Sets the halves of a product, or quotient and remainder: AL and AH, or the accumulator and DX to RDX. */
ALWAYS void pair_set(struct cpu *cpu, u64 low, u64 high, unsigned size)
{
	if (size == 1) {
		reg_set(cpu, REG_AX, 2, (u8)low | (u64)(u8)high << 8);
	} else {
		reg_set(cpu, REG_AX, size, low);
		reg_set(cpu, REG_DX, size, high);
	}
}

/* Returns the dividend of up to 8 bytes, zero-extended: AX, DX:AX or EDX:EAX. */
ALWAYS u64 pair_get(const struct cpu *cpu, unsigned size)
{
	if (size == 1)
		return reg_get(cpu, REG_AX, 2);
	return reg_get(cpu, REG_DX, size) << (size * 8) | reg_get(cpu, REG_AX, size);
}

/*
 * Sets the flags of a product. CF and OF say that the upper half matters. SF, ZF, AF and PF are undefined;
 * here they follow the low half, as on real processors.
 */
ALWAYS void product_flags(struct cpu *cpu, u64 low, bool over, unsigned size)
{
	flags_set(cpu, sign_extend(low, size), over, over, false);
}

/* ---- with the accumulator ---- */

ALWAYS void by_mul(struct cpu *cpu, u64 value, unsigned size)
{
	u128 product = (u128)value * reg_get(cpu, REG_AX, size);
	u64 low = (u64)product, high = (u64)(product >> (size * 8));

	pair_set(cpu, low, high, size);
	product_flags(cpu, low, high != 0, size);
}

ALWAYS void by_imul(struct cpu *cpu, u64 value, unsigned size)
{
	s128 product =
	        (s128)(s64)sign_extend(value, size) * (s64)sign_extend(reg_get(cpu, REG_AX, size), size);
	u64 low = (u64)product, high = (u64)(product >> (size * 8));

	pair_set(cpu, low, high, size);
	product_flags(cpu, low, product != (s64)sign_extend(low, size), size);
}

/* Divides RDX:RAX by a value of 64 bits. */
static void div_wide(struct cpu *cpu, u64 value)
{
	u128 n = (u128)REG_RDX << 64 | REG_RAX;

	if (REG_RDX >= value)
		cpu_raise(cpu, EXC_DE);
	REG_RAX = (u64)(n / value);
	REG_RDX = (u64)(n % value);
}

/* Divides by value. Raises #DE for a division by zero, or if the quotient does not fit. */
ALWAYS void by_div(struct cpu *cpu, u64 value, unsigned size)
{
	u64 n;

	if (size == 8) {
		div_wide(cpu, value);
		return;
	}
	n = pair_get(cpu, size);
	if (n >> (size * 8) >= value)
		cpu_raise(cpu, EXC_DE);
	pair_set(cpu, n / value, n % value, size);
}

static void idiv_wide(struct cpu *cpu, s64 value)
{
	u128 pair = (u128)REG_RDX << 64 | REG_RAX;
	s128 n = (s128)pair, quotient;

	if (!value || (pair == (u128)1 << 127 && value == -1))
		cpu_raise(cpu, EXC_DE);
	quotient = n / value;
	if (quotient != (s64)quotient)
		cpu_raise(cpu, EXC_DE);
	REG_RAX = (u64)quotient;
	REG_RDX = (u64)(n % value);
}

ALWAYS void by_idiv(struct cpu *cpu, u64 value, unsigned size)
{
	s64 n, divisor = (s64)sign_extend(value, size), quotient;

	if (size == 8) {
		idiv_wide(cpu, divisor);
		return;
	}
	n = (s64)sign_extend(pair_get(cpu, size), size * 2);
	if (!divisor || (n == INT64_MIN && divisor == -1))
		cpu_raise(cpu, EXC_DE);
	quotient = n / divisor;
	if (quotient != (s64)sign_extend((u64)quotient, size))
		cpu_raise(cpu, EXC_DE);
	pair_set(cpu, (u64)quotient, (u64)(n % divisor), size);
}

#define MUL(name) \
	ALWAYS void name##_e_r(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		by_##name(cpu, reg_get(cpu, op->rm, size), size); \
	} \
	ALWAYS void name##_e_m(struct cpu *cpu, const struct cpu_op *op, unsigned size) \
	{ \
		by_##name(cpu, rm_mem_read(cpu, op, size), size); \
	} \
	HANDLERS_RM(name##_e);
MUL(mul)
MUL(imul)
MUL(div)
MUL(idiv)

/* ---- IMUL into any register: the upper half is lost ---- */

ALWAYS void imul_to_reg(struct cpu *cpu, const struct cpu_op *op, u64 a, u64 b, unsigned size)
{
	s128 product = (s128)(s64)sign_extend(a, size) * (s64)sign_extend(b, size);
	u64 low = (u64)product;

	product_flags(cpu, low, product != (s64)sign_extend(low, size), size);
	reg_set(cpu, op->reg, size, low);
}

ALWAYS void imul_ge_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	imul_to_reg(cpu, op, reg_get(cpu, op->reg, size), reg_get(cpu, op->rm, size), size);
}

ALWAYS void imul_ge_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 b = rm_mem_read(cpu, op, size);

	imul_to_reg(cpu, op, reg_get(cpu, op->reg, size), b, size);
}
HANDLERS_WIDE_RM(imul_ge);

ALWAYS void imul_gei_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	imul_to_reg(cpu, op, reg_get(cpu, op->rm, size), op->imm, size);
}

ALWAYS void imul_gei_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	imul_to_reg(cpu, op, rm_mem_read(cpu, op, size), op->imm, size);
}
HANDLERS_WIDE_RM(imul_gei);

/* ---- decimal adjustment (APM 3); AL is register offset 0, AH 1 ---- */

static void decimal_adjust(struct cpu *cpu, bool subtract)
{
	u8 old = (u8)REG_RAX, al = old;
	bool old_cf = flag_cf(cpu), af = (old & 15) > 9 || flag_af(cpu), cf = false;

	if (af) {
		cf = old_cf || (subtract ? old < 6 : old > 0xf9);
		al = (u8)(subtract ? al - 6 : al + 6);
	}
	if (old > 0x99 || old_cf) {
		al = (u8)(subtract ? al - 0x60 : al + 0x60);
		cf = true;
	}
	reg_set(cpu, 0, 1, al);
	flags_set(cpu, (u64)(s64)(s8)al, cf, false, af);
}

void op_daa(struct cpu *cpu, const struct cpu_op *op)
{
	decimal_adjust(cpu, false);
}

void op_das(struct cpu *cpu, const struct cpu_op *op)
{
	decimal_adjust(cpu, true);
}

static void ascii_adjust(struct cpu *cpu, int by)
{
	bool adjust = (REG_RAX & 15) > 9 || flag_af(cpu);
	u16 ax = (u16)REG_RAX;

	if (adjust)
		ax = (u16)(ax + by * 0x106);
	ax &= 0xff0f;
	reg_set(cpu, 0, 2, ax);
	flags_set(cpu, (u64)(s64)(s8)ax, adjust, false, adjust);
}

void op_aaa(struct cpu *cpu, const struct cpu_op *op)
{
	ascii_adjust(cpu, 1);
}

void op_aas(struct cpu *cpu, const struct cpu_op *op)
{
	ascii_adjust(cpu, -1);
}

void op_aam(struct cpu *cpu, const struct cpu_op *op)
{
	u8 base = (u8)op->imm, al = reg_get(cpu, 0, 1);

	if (!base)
		cpu_raise(cpu, EXC_DE);
	reg_set(cpu, 0, 2, (u16)((al / base) << 8 | al % base));
	flags_set(cpu, (u64)(s64)(s8)(al % base), false, false, false);
}

void op_aad(struct cpu *cpu, const struct cpu_op *op)
{
	u8 al = (u8)(reg_get(cpu, 0, 1) + reg_get(cpu, 1, 1) * (u8)op->imm);

	reg_set(cpu, 0, 2, al);
	flags_set(cpu, (u64)(s64)(s8)al, false, false, false);
}
