/*
 * flags: the arithmetic flags, kept as the last result and a word of carries, and computed when asked.
 * aux: bit 63 CF, bit 62 the carry into the sign (OF = 63 ^ 62), bit 3 AF, bits 0 and 1 turn SF and PF over
 * (for flags that no result can have, such as ZF with SF after POPF).
 */
#ifndef SIM_CPU_FLAGS_H
#define SIM_CPU_FLAGS_H

#include "internal.h"

#define AUX_CF ((u64)1 << 63)
#define AUX_AF 8u
#define AUX_SF 1u
#define AUX_PF 2u

ALWAYS bool flag_cf(const struct sim_cpu *cpu)
{
	return cpu->flag_aux >> 63;
}
ALWAYS bool flag_of(const struct sim_cpu *cpu)
{
	return (cpu->flag_aux + ((u64)1 << 62)) >> 63;
}
ALWAYS bool flag_zf(const struct sim_cpu *cpu)
{
	return cpu->flag_result == 0;
}
ALWAYS bool flag_sf(const struct sim_cpu *cpu)
{
	return ((cpu->flag_result >> 63) ^ cpu->flag_aux) & 1;
}
ALWAYS bool flag_pf(const struct sim_cpu *cpu)
{
	return (!__builtin_parity((unsigned)(u8)cpu->flag_result) ^ (cpu->flag_aux >> 1)) & 1;
}
ALWAYS bool flag_af(const struct sim_cpu *cpu)
{
	return cpu->flag_aux & AUX_AF;
}

/* result is sign-extended from the operand's size. */
ALWAYS void flags_set(struct sim_cpu *cpu, u64 result, bool cf, bool of, bool af)
{
	cpu->flag_result = result;
	cpu->flag_aux = (u64)cf << 63 | (u64)(cf ^ of) << 62 | (u64)af << 3;
}

ALWAYS void flag_cf_set(struct sim_cpu *cpu, bool cf)
{
	bool of = flag_of(cpu);

	cpu->flag_aux = (cpu->flag_aux & ~((u64)3 << 62)) | (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

static inline u32 flags_arith(const struct sim_cpu *cpu)
{
	return (u32)(flag_cf(cpu) * FLAG_CF | flag_pf(cpu) * FLAG_PF | flag_af(cpu) * FLAG_AF |
	             flag_zf(cpu) * FLAG_ZF | flag_sf(cpu) * FLAG_SF | flag_of(cpu) * FLAG_OF);
}

static inline void flags_arith_set(struct sim_cpu *cpu, u32 flags)
{
	/* With ZF the result is 0, whose SF is clear and PF set; without, 1 has SF and PF clear. */
	bool zf = flags & FLAG_ZF;

	flags_set(cpu, zf ? 0 : 1, flags & FLAG_CF, flags & FLAG_OF, flags & FLAG_AF);
	cpu->flag_aux |= (flags & FLAG_SF) ? AUX_SF : 0;
	cpu->flag_aux |= (!!(flags & FLAG_PF) != zf) ? AUX_PF : 0;
}

/* carries: bit i = carry (borrow) out of bit i. */
#define DEFINE_FLAGS(N) \
	ALWAYS void flags_carries##N(struct sim_cpu *cpu, u##N result, u##N carries) \
	{ \
		cpu->flag_result = (u64)(s64)(s##N)result; \
		cpu->flag_aux = ((u64)carries << (64 - N) & (u64)3 << 62) | (carries & AUX_AF); \
	} \
	ALWAYS void flags_logic##N(struct sim_cpu *cpu, u##N result) \
	{ \
		cpu->flag_result = (u64)(s64)(s##N)result; \
		cpu->flag_aux = 0; \
	} \
	ALWAYS u##N alu_add##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		u##N r = (u##N)(a + b); \
		flags_carries##N(cpu, r, (u##N)((a & b) | ((a | b) & ~r))); \
		return r; \
	} \
	ALWAYS u##N alu_adc##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		u##N r = (u##N)(a + b + flag_cf(cpu)); \
		flags_carries##N(cpu, r, (u##N)((a & b) | ((a | b) & ~r))); \
		return r; \
	} \
	ALWAYS u##N alu_sub##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		u##N r = (u##N)(a - b); \
		flags_carries##N(cpu, r, (u##N)((~a & b) | ((~a | b) & r))); \
		return r; \
	} \
	ALWAYS u##N alu_sbb##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		u##N r = (u##N)(a - b - flag_cf(cpu)); \
		flags_carries##N(cpu, r, (u##N)((~a & b) | ((~a | b) & r))); \
		return r; \
	} \
	ALWAYS u##N alu_and##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		a &= b; \
		flags_logic##N(cpu, a); \
		return a; \
	} \
	ALWAYS u##N alu_or##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		a |= b; \
		flags_logic##N(cpu, a); \
		return a; \
	} \
	ALWAYS u##N alu_xor##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		a ^= b; \
		flags_logic##N(cpu, a); \
		return a; \
	} \
	ALWAYS u##N alu_inc##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		bool cf = flag_cf(cpu); \
		a = alu_add##N(cpu, a, 1); \
		flag_cf_set(cpu, cf); \
		return a; \
	} \
	ALWAYS u##N alu_dec##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		bool cf = flag_cf(cpu); \
		a = alu_sub##N(cpu, a, 1); \
		flag_cf_set(cpu, cf); \
		return a; \
	} \
	ALWAYS u##N alu_neg##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		return alu_sub##N(cpu, 0, a); \
	} \
	ALWAYS u##N alu_not##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		return (u##N) ~a; \
	}
DEFINE_FLAGS(8)
DEFINE_FLAGS(16)
DEFINE_FLAGS(32)
DEFINE_FLAGS(64)

/* Condition codes as in the low four bits of Jcc. */
ALWAYS bool flag_condition(const struct sim_cpu *cpu, unsigned cc)
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

/* First in what sets flags before it writes memory, which may be missing: giving up restores the flags. */
ALWAYS void flags_save(struct sim_cpu *cpu, const struct sim_op *op)
{
	cpu->saved_op = op;
	cpu->saved_result = cpu->flag_result;
	cpu->saved_aux = cpu->flag_aux;
}

ALWAYS void flags_restore(struct sim_cpu *cpu)
{
	cpu->flag_result = cpu->saved_result;
	cpu->flag_aux = cpu->saved_aux;
}

#endif
