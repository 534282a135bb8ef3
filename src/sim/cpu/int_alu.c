/*
 * int_alu: ADD to CMP, TEST, INC, DEC, NEG, NOT, XADD, CMPXCHG in all sizes and operand forms. The forms are
 * macros over the flag-setting functions of flags.h; eg: rm op= reg, ge: reg op= rm, ei: rm op= immediate.
 */
#include "ops.h"

/* Read-modify-write of the register or memory operand; b is the other operand. */
#define RM_FORM(name, form, alu, N, b) \
	static void name##_##form##_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->rm, alu##N(cpu, reg_get##N(cpu, op->rm), (u##N)(b))); \
	} \
	static void name##_##form##_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		*p = alu##N(cpu, *p, (u##N)(b)); \
		rmw_end(cpu, p); \
	} \
	static void name##_##form##_l##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		u##N *p = rmw_begin_locked##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N old = __atomic_load_n(p, __ATOMIC_RELAXED), new; \
		do { \
			flags_restore(cpu); \
			new = alu##N(cpu, old, (u##N)(b)); \
		} while (!ram_replace##N(p, &old, new)); \
		rmw_end(cpu, p); \
	}

#define GE_FORM(name, alu, N) \
	static void name##_ge_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, alu##N(cpu, reg_get##N(cpu, op->reg), reg_get##N(cpu, op->rm))); \
	} \
	static void name##_ge_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N b = rm_read##N(cpu, op); \
		reg_set##N(cpu, op->reg, alu##N(cpu, reg_get##N(cpu, op->reg), b)); \
	}

/* The operands are only compared. */
#define TEST_FORM(name, form, alu, N, b) \
	static void name##_##form##_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		alu##N(cpu, reg_get##N(cpu, op->rm), (u##N)(b)); \
	} \
	static void name##_##form##_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		alu##N(cpu, rm_read##N(cpu, op), (u##N)(b)); \
	}

#define ALU_SIZE(name, N) \
	RM_FORM(name, eg, alu_##name, N, reg_get##N(cpu, op->reg)) \
	RM_FORM(name, ei, alu_##name, N, op->imm) \
	GE_FORM(name, alu_##name, N)

#define ALU(name) \
	ALU_SIZE(name, 8) \
	ALU_SIZE(name, 16) \
	ALU_SIZE(name, 32) \
	ALU_SIZE(name, 64) \
	HANDLERS_RML(name##_eg); \
	HANDLERS_RML(name##_ei); \
	HANDLERS_RM(name##_ge);

ALU(add)
ALU(or)
ALU(adc)
ALU(sbb)
ALU(and)
ALU(sub)
ALU(xor)

#define CMP_SIZE(N) \
	TEST_FORM(cmp, eg, alu_sub, N, reg_get##N(cpu, op->reg)) \
	TEST_FORM(cmp, ei, alu_sub, N, op->imm) \
	TEST_FORM(test, eg, alu_and, N, reg_get##N(cpu, op->reg)) \
	TEST_FORM(test, ei, alu_and, N, op->imm) \
	static void cmp_ge_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		alu_sub##N(cpu, reg_get##N(cpu, op->reg), reg_get##N(cpu, op->rm)); \
	} \
	static void cmp_ge_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		alu_sub##N(cpu, reg_get##N(cpu, op->reg), rm_read##N(cpu, op)); \
	}
CMP_SIZE(8)
CMP_SIZE(16)
CMP_SIZE(32)
CMP_SIZE(64)
HANDLERS_RM(cmp_eg);
HANDLERS_RM(cmp_ei);
HANDLERS_RM(cmp_ge);
HANDLERS_RM(test_eg);
HANDLERS_RM(test_ei);

#define UNARY(name) \
	RM_FORM(name, e, alu_##name, 8, 0) \
	RM_FORM(name, e, alu_##name, 16, 0) \
	RM_FORM(name, e, alu_##name, 32, 0) \
	RM_FORM(name, e, alu_##name, 64, 0) \
	HANDLERS_RML(name##_e);
UNARY(inc)
UNARY(dec)
UNARY(neg)
UNARY(not )

/* XADD: rm and reg are exchanged, rm gets the sum. A register pair: reg is written first (APM 3). */
#define XADD_SIZE(N) \
	static void xadd_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N a = reg_get##N(cpu, op->rm), b = reg_get##N(cpu, op->reg); \
		reg_set##N(cpu, op->reg, a); \
		reg_set##N(cpu, op->rm, alu_add##N(cpu, a, b)); \
	} \
	static void xadd_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N a = *p, b = reg_get##N(cpu, op->reg); \
		*p = alu_add##N(cpu, a, b); \
		rmw_end(cpu, p); \
		reg_set##N(cpu, op->reg, a); \
	} \
	static void xadd_l##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N *p = rmw_begin_locked##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N b = reg_get##N(cpu, op->reg), a = ram_add##N(p, b); \
		alu_add##N(cpu, a, b); \
		rmw_end(cpu, p); \
		reg_set##N(cpu, op->reg, a); \
	}
XADD_SIZE(8)
XADD_SIZE(16)
XADD_SIZE(32)
XADD_SIZE(64)
HANDLERS_RML(xadd);

/* CMPXCHG writes its memory operand always, what it held if unequal; the accumulator only if unequal. */
#define CMPXCHG_SIZE(N) \
	static void cmpxchg_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N old = reg_get##N(cpu, op->rm); \
		alu_sub##N(cpu, reg_get##N(cpu, 0), old); \
		if (flag_zf(cpu)) \
			reg_set##N(cpu, op->rm, reg_get##N(cpu, op->reg)); \
		else \
			reg_set##N(cpu, 0, old); \
	} \
	static void cmpxchg_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		flags_save(cpu, op); \
		unaligned##N *p = rmw_begin##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N old = *p; \
		alu_sub##N(cpu, reg_get##N(cpu, 0), old); \
		if (flag_zf(cpu)) \
			*p = reg_get##N(cpu, op->reg); \
		rmw_end(cpu, p); \
		if (!flag_zf(cpu)) \
			reg_set##N(cpu, 0, old); \
	} \
	static void cmpxchg_l##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N *p = rmw_begin_locked##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N old = reg_get##N(cpu, 0); \
		ram_replace##N(p, &old, reg_get##N(cpu, op->reg)); \
		alu_sub##N(cpu, reg_get##N(cpu, 0), old); \
		rmw_end(cpu, p); \
		if (!flag_zf(cpu)) \
			reg_set##N(cpu, 0, old); \
	}
CMPXCHG_SIZE(8)
CMPXCHG_SIZE(16)
CMPXCHG_SIZE(32)
CMPXCHG_SIZE(64)
HANDLERS_RML(cmpxchg);

/* CMPXCHG8B and CMPXCHG16B: as one access of the double width. */
static bool pair_exchange(struct sim_cpu *cpu, void *memory, unsigned size, u64 *old_low, u64 *old_high)
{
	bool equal;

	*old_low = REG_RAX;
	*old_high = REG_RDX;
	/* The compiler's own would call a library where the build machine might lack CMPXCHG16B. */
	if (size == 8)
		__asm__ volatile("lock cmpxchg16b %1"
		                 : "=@ccz"(equal), "+m"(*(u64(*)[2])memory), "+a"(*old_low), "+d"(*old_high)
		                 : "b"(REG_RBX), "c"(REG_RCX)
		                 : "memory");
	else
		__asm__ volatile("lock cmpxchg8b %1"
		                 : "=@ccz"(equal), "+m"(*(u64 *)memory), "+a"(*old_low), "+d"(*old_high)
		                 : "b"(REG_RBX), "c"(REG_RCX)
		                 : "memory");
	return equal;
}

void op_cmpxchg_pair(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned size = op->size == 8 ? 8 : 4;
	u64 linear = op_linear(cpu, op, size * 2, ACCESS_WRITE), low, high;
	void *p;
	bool equal;

	if (size == 8 && !(cpu->features & FEATURE_CX16))
		op_invalid(cpu, op);
	if (size == 8 && linear % 16)
		sim_raise_error(cpu, EXC_GP, 0);
	p = sim_rmw_slow(cpu, linear, size * 2, op->seg, true);
	equal = pair_exchange(cpu, p, size, &low, &high);
	rmw_end(cpu, p);
	if (!equal) {
		reg_set(cpu, SIM_RAX * 8, size, low);
		reg_set(cpu, SIM_RDX * 8, size, high);
	}
	flags_arith_set(cpu, (flags_arith(cpu) & ~FLAG_ZF) | (equal ? FLAG_ZF : 0));
}
