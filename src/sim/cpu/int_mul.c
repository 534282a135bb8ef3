/*
 * int_mul: MUL, IMUL, DIV, IDIV; and the decimal instructions of other than 64-bit mode.
 */
#include "ops.h"

/* CF and OF: the upper half matters. SF, ZF, AF, PF are undefined: of the low half, as processors do. */
#define MUL_SIZE(N, W, SW) \
	static void mul_common##N(struct sim_cpu *cpu, u##N a) \
	{ \
		W r = (W)a * (W)reg_get##N(cpu, SIM_RAX * 8); \
		u##N low = (u##N)r, high = (u##N)(r >> N); \
		if (N == 8) { \
			reg_set16(cpu, SIM_RAX * 8, (u16)r); \
		} else { \
			reg_set##N(cpu, SIM_RAX * 8, low); \
			reg_set##N(cpu, SIM_RDX * 8, high); \
		} \
		flags_set(cpu, (u64)(s64)(s##N)low, high != 0, high != 0, false); \
	} \
	static void imul_common##N(struct sim_cpu *cpu, u##N a) \
	{ \
		SW r = (SW)(s##N)a * (SW)(s##N)reg_get##N(cpu, SIM_RAX * 8); \
		u##N low = (u##N)r, high = (u##N)((W)r >> N); \
		bool over = r != (SW)(s##N)low; \
		if (N == 8) { \
			reg_set16(cpu, SIM_RAX * 8, (u16)r); \
		} else { \
			reg_set##N(cpu, SIM_RAX * 8, low); \
			reg_set##N(cpu, SIM_RDX * 8, high); \
		} \
		flags_set(cpu, (u64)(s64)(s##N)low, over, over, false); \
	} \
	static void div_common##N(struct sim_cpu *cpu, u##N d) \
	{ \
		W n = N == 8 ? (W)reg_get16(cpu, SIM_RAX * 8) \
		             : (W)reg_get##N(cpu, SIM_RDX * 8) << (N % (sizeof(W) * 8)) | \
		                       reg_get##N(cpu, SIM_RAX * 8); \
		if (!d || (u##N)(n >> N) >= d) \
			sim_raise(cpu, EXC_DE); \
		if (N == 8) { \
			reg_set16(cpu, SIM_RAX * 8, (u16)((n % d) << 8 | n / d)); \
		} else { \
			reg_set##N(cpu, SIM_RAX * 8, (u##N)(n / d)); \
			reg_set##N(cpu, SIM_RDX * 8, (u##N)(n % d)); \
		} \
	} \
	static void idiv_common##N(struct sim_cpu *cpu, u##N u) \
	{ \
		SW n = N == 8 ? (SW)(s16)reg_get16(cpu, SIM_RAX * 8) \
		              : (SW)((W)reg_get##N(cpu, SIM_RDX * 8) << (N % (sizeof(W) * 8)) | \
		                        reg_get##N(cpu, SIM_RAX * 8)); \
		SW d = (s##N)u, q; \
		W smallest = (W)1 << (2 * N - 1); \
		if (!d || ((W)n == smallest && d == -1)) \
			sim_raise(cpu, EXC_DE); \
		q = n / d; \
		if (q != (SW)(s##N)q) \
			sim_raise(cpu, EXC_DE); \
		if (N == 8) { \
			reg_set16(cpu, SIM_RAX * 8, (u16)((u8)(n % d) << 8 | (u8)q)); \
		} else { \
			reg_set##N(cpu, SIM_RAX * 8, (u##N)q); \
			reg_set##N(cpu, SIM_RDX * 8, (u##N)(n % d)); \
		} \
	}
MUL_SIZE(8, u16, s16)
MUL_SIZE(16, u32, s32)
MUL_SIZE(32, u64, s64)
MUL_SIZE(64, unsigned __int128, __int128)

#define MUL_FORM(name, N) \
	static void name##_e_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		name##_common##N(cpu, reg_get##N(cpu, op->rm)); \
	} \
	static void name##_e_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		name##_common##N(cpu, rm_read##N(cpu, op)); \
	}
#define MUL(name) \
	MUL_FORM(name, 8) MUL_FORM(name, 16) MUL_FORM(name, 32) MUL_FORM(name, 64) HANDLERS_RM(name##_e);
MUL(mul)
MUL(imul)
MUL(div)
MUL(idiv)

#define IMUL_SIZE(N, SW) \
	static u##N imul_cut##N(struct sim_cpu *cpu, u##N a, u##N b) \
	{ \
		SW r = (SW)(s##N)a * (SW)(s##N)b; \
		bool over = r != (SW)(s##N)r; \
		flags_set(cpu, (u64)(s64)(s##N)r, over, over, false); \
		return (u##N)r; \
	} \
	static void imul_ge_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N( \
		        cpu, op->reg, imul_cut##N(cpu, reg_get##N(cpu, op->reg), reg_get##N(cpu, op->rm))); \
	} \
	static void imul_ge_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N b = rm_read##N(cpu, op); \
		reg_set##N(cpu, op->reg, imul_cut##N(cpu, reg_get##N(cpu, op->reg), b)); \
	} \
	static void imul_gei_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, imul_cut##N(cpu, reg_get##N(cpu, op->rm), (u##N)op->imm)); \
	} \
	static void imul_gei_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, imul_cut##N(cpu, rm_read##N(cpu, op), (u##N)op->imm)); \
	}
IMUL_SIZE(16, s32)
IMUL_SIZE(32, s64)
IMUL_SIZE(64, __int128)
HANDLERS_WIDE(imul_ge);
HANDLERS_WIDE(imul_gei);

/* ---- decimal adjustment (APM 3); AL is register offset 0, AH 1 ---- */

static void decimal_adjust(struct sim_cpu *cpu, bool subtract)
{
	u8 old = reg_get8(cpu, 0), al = old;
	bool old_cf = flag_cf(cpu), af = (old & 15) > 9 || flag_af(cpu), cf = false;

	if (af) {
		cf = old_cf || (subtract ? old < 6 : old > 0xf9);
		al = (u8)(subtract ? al - 6 : al + 6);
	}
	if (old > 0x99 || old_cf) {
		al = (u8)(subtract ? al - 0x60 : al + 0x60);
		cf = true;
	}
	reg_set8(cpu, 0, al);
	flags_set(cpu, (u64)(s64)(s8)al, cf, false, af);
}

void op_daa(struct sim_cpu *cpu, const struct sim_op *op)
{
	decimal_adjust(cpu, false);
}

void op_das(struct sim_cpu *cpu, const struct sim_op *op)
{
	decimal_adjust(cpu, true);
}

static void ascii_adjust(struct sim_cpu *cpu, int by)
{
	bool adjust = (REG_RAX & 15) > 9 || flag_af(cpu);
	u16 ax = (u16)REG_RAX;

	if (adjust)
		ax = (u16)(ax + by * 0x106);
	ax &= 0xff0f;
	reg_set16(cpu, 0, ax);
	flags_set(cpu, (u64)(s64)(s8)ax, adjust, false, adjust);
}

void op_aaa(struct sim_cpu *cpu, const struct sim_op *op)
{
	ascii_adjust(cpu, 1);
}

void op_aas(struct sim_cpu *cpu, const struct sim_op *op)
{
	ascii_adjust(cpu, -1);
}

void op_aam(struct sim_cpu *cpu, const struct sim_op *op)
{
	u8 base = (u8)op->imm, al = reg_get8(cpu, 0);

	if (!base)
		sim_raise(cpu, EXC_DE);
	reg_set16(cpu, 0, (u16)((al / base) << 8 | al % base));
	flags_set(cpu, (u64)(s64)(s8)(al % base), false, false, false);
}

void op_aad(struct sim_cpu *cpu, const struct sim_op *op)
{
	u8 al = (u8)(reg_get8(cpu, 0) + reg_get8(cpu, 1) * (u8)op->imm);

	reg_set16(cpu, 0, al);
	flags_set(cpu, (u64)(s64)(s8)al, false, false, false);
}
