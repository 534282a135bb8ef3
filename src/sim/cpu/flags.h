/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flags: the arithmetic flags. They are kept as the last result and a word of carries (aux), and computed
 * when they are needed. In aux, bit 63 is CF, bit 62 the carry into the sign (OF is bit 63 ^ bit 62), and
 * bit 3 AF. Bits 0 and 1 invert SF and PF, for flags that no result can have, such as ZF with SF after POPF.
 */
#ifndef CPU_FLAGS_H
#define CPU_FLAGS_H

#include "internal.h"

#define AUX_CF ((u64)1 << 63)
#define AUX_AF 8u
#define AUX_SF 1u
#define AUX_PF 2u

ALWAYS bool flag_cf(const struct cpu *cpu)
{
	return cpu->flag_aux >> 63;
}
ALWAYS bool flag_of(const struct cpu *cpu)
{
	return (cpu->flag_aux + ((u64)1 << 62)) >> 63;
}
ALWAYS bool flag_zf(const struct cpu *cpu)
{
	return cpu->flag_result == 0;
}
ALWAYS bool flag_sf(const struct cpu *cpu)
{
	return ((cpu->flag_result >> 63) ^ cpu->flag_aux) & 1;
}
ALWAYS bool flag_pf(const struct cpu *cpu)
{
	return (!__builtin_parity((unsigned)(u8)cpu->flag_result) ^ (cpu->flag_aux >> 1)) & 1;
}
ALWAYS bool flag_af(const struct cpu *cpu)
{
	return cpu->flag_aux & AUX_AF;
}

/* Sets all flags; result is sign-extended from the operand's size. */
ALWAYS void flags_set(struct cpu *cpu, u64 result, bool cf, bool of, bool af)
{
	cpu->flag_result = result;
	cpu->flag_aux = (u64)cf << 63 | (u64)(cf ^ of) << 62 | (u64)af << 3;
}

/* Sets CF and OF; the other flags stay as they are. */
ALWAYS void flag_cf_of_set(struct cpu *cpu, bool cf, bool of)
{
	cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

ALWAYS void flag_cf_set(struct cpu *cpu, bool cf)
{
	flag_cf_of_set(cpu, cf, flag_of(cpu));
}

static inline u32 flags_arith(const struct cpu *cpu)
{
	return (u32)(flag_cf(cpu) * FLAG_CF | flag_pf(cpu) * FLAG_PF | flag_af(cpu) * FLAG_AF |
	             flag_zf(cpu) * FLAG_ZF | flag_sf(cpu) * FLAG_SF | flag_of(cpu) * FLAG_OF);
}

static inline void flags_arith_set(struct cpu *cpu, u32 flags)
{
	/* The result 0 has ZF and PF set and SF clear; the result 1 has ZF, SF and PF clear. */
	bool zf = flags & FLAG_ZF;

	flags_set(cpu, zf ? 0 : 1, flags & FLAG_CF, flags & FLAG_OF, flags & FLAG_AF);
	cpu->flag_aux |= (flags & FLAG_SF) ? AUX_SF : 0;
	cpu->flag_aux |= (!!(flags & FLAG_PF) != zf) ? AUX_PF : 0;
}

/*
 * Arithmetic that sets the flags. Operands have size bytes and are zero-extended. Only the low size bytes of
 * a result count; the bits above them are whatever the computation left there.
 */

/* Sets the flags; bit i of carries is the carry (or borrow) out of bit i. */
ALWAYS void flags_carries(struct cpu *cpu, u64 result, u64 carries, unsigned size)
{
	cpu->flag_result = sign_extend(result, size);
	cpu->flag_aux = (carries << (64 - size * 8) & (u64)3 << 62) | (carries & AUX_AF);
}

ALWAYS u64 flags_logic(struct cpu *cpu, u64 result, unsigned size)
{
	cpu->flag_result = sign_extend(result, size);
	cpu->flag_aux = 0;
	return result;
}

ALWAYS u64 add_with_carry(struct cpu *cpu, u64 a, u64 b, bool carry, unsigned size)
{
	u64 r = a + b + carry;

	flags_carries(cpu, r, (a & b) | ((a | b) & ~r), size);
	return r;
}

ALWAYS u64 subtract_with_borrow(struct cpu *cpu, u64 a, u64 b, bool borrow, unsigned size)
{
	u64 r = a - b - borrow;

	flags_carries(cpu, r, (~a & b) | ((~a | b) & r), size);
	return r;
}

/* The functions that compute ADD to NOT: a op b. */
typedef u64 alu_fn(struct cpu *cpu, u64 a, u64 b, unsigned size);

ALWAYS u64 alu_add(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return add_with_carry(cpu, a, b, false, size);
}

ALWAYS u64 alu_adc(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return add_with_carry(cpu, a, b, flag_cf(cpu), size);
}

ALWAYS u64 alu_sub(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return subtract_with_borrow(cpu, a, b, false, size);
}

ALWAYS u64 alu_sbb(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return subtract_with_borrow(cpu, a, b, flag_cf(cpu), size);
}

ALWAYS u64 alu_and(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return flags_logic(cpu, a & b, size);
}

ALWAYS u64 alu_or(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return flags_logic(cpu, a | b, size);
}

ALWAYS u64 alu_xor(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return flags_logic(cpu, a ^ b, size);
}

/* INC and DEC keep CF. They and the next two functions have no second operand. */
ALWAYS u64 alu_inc(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	bool cf = flag_cf(cpu);
	u64 r = alu_add(cpu, a, 1, size);

	flag_cf_set(cpu, cf);
	return r;
}

ALWAYS u64 alu_dec(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	bool cf = flag_cf(cpu);
	u64 r = alu_sub(cpu, a, 1, size);

	flag_cf_set(cpu, cf);
	return r;
}

ALWAYS u64 alu_neg(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return alu_sub(cpu, 0, a, size);
}

ALWAYS u64 alu_not(struct cpu *cpu, u64 a, u64 b, unsigned size)
{
	return ~a;
}

/* Returns whether a condition holds; cc is the condition code in the low four bits of Jcc. */
ALWAYS bool flag_condition(const struct cpu *cpu, unsigned cc)
{
	bool yes;

	switch (cc >> 1) {
	case 0: yes = flag_of(cpu); break;
	case 1: yes = flag_cf(cpu); break;
	case 2: yes = flag_zf(cpu); break;
	case 3: yes = (unsigned)flag_cf(cpu) | flag_zf(cpu); break;
	case 4: yes = flag_sf(cpu); break;
	case 5: yes = flag_pf(cpu); break;
	case 6: yes = flag_sf(cpu) ^ flag_of(cpu); break;
	default: yes = (unsigned)flag_zf(cpu) | (flag_sf(cpu) ^ flag_of(cpu)); break;
	}
	return yes ^ (cc & 1);
}

/*
 * Saves the flags. An instruction that sets flags before it writes memory calls this first: the memory may
 * be missing, and giving the instruction up restores the flags.
 */
ALWAYS void flags_save(struct cpu *cpu, const struct cpu_op *op)
{
	cpu->saved_op = op;
	cpu->saved_result = cpu->flag_result;
	cpu->saved_aux = cpu->flag_aux;
}

ALWAYS void flags_restore(struct cpu *cpu)
{
	cpu->flag_result = cpu->saved_result;
	cpu->flag_aux = cpu->saved_aux;
}

#endif
