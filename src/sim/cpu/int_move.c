/*
 * int_move: MOV and its kin, XCHG, LEA, PUSH, POP, CMOVcc, SETcc, sign extension, the flag instructions.
 */
#include "ops.h"

#define MOV_SIZE(N) \
	static void mov_eg_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->rm, reg_get##N(cpu, op->reg)); \
	} \
	static void mov_eg_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		rm_write##N(cpu, op, reg_get##N(cpu, op->reg)); \
	} \
	static void mov_ge_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, reg_get##N(cpu, op->rm)); \
	} \
	static void mov_ge_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, rm_read##N(cpu, op)); \
	} \
	static void mov_ei_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->rm, (u##N)op->imm); \
	} \
	static void mov_ei_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		rm_write##N(cpu, op, (u##N)op->imm); \
	} \
	static void xchg_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N a = reg_get##N(cpu, op->rm), b = reg_get##N(cpu, op->reg); \
		reg_set##N(cpu, op->rm, b); \
		reg_set##N(cpu, op->reg, a); \
	} \
	static void xchg_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u##N *p = rmw_begin_locked##N(cpu, op_linear(cpu, op, N / 8, ACCESS_WRITE), op->seg); \
		u##N a = ram_exchange##N(p, reg_get##N(cpu, op->reg)); \
		rmw_end(cpu, p); \
		reg_set##N(cpu, op->reg, a); \
	} \
	static void moffs_load_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, 0, rm_read##N(cpu, op)); \
	} \
	static void moffs_store_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		rm_write##N(cpu, op, reg_get##N(cpu, 0)); \
	}
MOV_SIZE(8)
MOV_SIZE(16)
MOV_SIZE(32)
MOV_SIZE(64)
HANDLERS_RM(mov_eg);
HANDLERS_RM(mov_ge);
HANDLERS_RM(mov_ei);
HANDLERS_M(moffs_load);
HANDLERS_M(moffs_store);
#define xchg_l8  xchg_m8
#define xchg_l16 xchg_m16
#define xchg_l32 xchg_m32
#define xchg_l64 xchg_m64
HANDLERS_RML(xchg);

#define EXTEND(name, N, from, cast) \
	static void name##_r##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, (u##N)(cast)reg_get##from(cpu, op->rm)); \
	} \
	static void name##_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, (u##N)(cast)rm_read##from(cpu, op)); \
	}
#define EXTENDS(name, from, cast) \
	EXTEND(name, 16, from, cast) \
	EXTEND(name, 32, from, cast) \
	EXTEND(name, 64, from, cast) \
	HANDLERS_WIDE(name);
EXTENDS(movzx8, 8, u8)
EXTENDS(movzx16, 16, u16)
EXTENDS(movsx8, 8, s8)
EXTENDS(movsx16, 16, s16)
EXTEND(movsx32, 64, 32, s32)
/* MOVSXD: without REX.W it just moves; the memory operand has 32 bits whatever the register takes of it. */
EXTEND(movcut32, 16, 32, u16)
const struct sim_handlers h_movsxd = {.r = {NULL, movcut32_r16, mov_ge_r32, movsx32_r64},
        .m = {NULL, movcut32_m16, mov_ge_m32, movsx32_m64}};

#define LEA_SIZE(N) \
	static void lea_m##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set##N(cpu, op->reg, (u##N)op_offset(cpu, op)); \
	}
LEA_SIZE(16)
LEA_SIZE(32)
LEA_SIZE(64)
HANDLERS_WIDE_M(lea);

/* ---- stack ---- */

static void push_r64(struct sim_cpu *cpu, const struct sim_op *op)
{
	mem_write64(cpu, REG_RSP - 8, reg_get64(cpu, op->rm), SIM_SEG_FLAT_SS);
	REG_RSP -= 8;
}

static void push_m64(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_push(cpu, 8, rm_read64(cpu, op));
}

static void pop_r64(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 value = mem_read64(cpu, REG_RSP, SIM_SEG_FLAT_SS);

	REG_RSP += 8;
	reg_set64(cpu, op->rm, value);
}

/* POP to memory: the address is computed with the stack pointer moved already (APM 3, POP). */
static void pop_memory(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 value = sim_stack_peek(cpu, 0, op->size), old = REG_RSP;

	sim_stack_move(cpu, op->size);
	u64 linear = op_offset(cpu, op);
	REG_RSP = old;
	linear = seg_linear(cpu, op->seg, linear, op->size, ACCESS_WRITE);
	if (op->size == 8)
		mem_write64(cpu, linear, value, op->seg);
	else if (op->size == 4)
		mem_write32(cpu, linear, (u32)value, op->seg);
	else
		mem_write16(cpu, linear, (u16)value, op->seg);
	sim_stack_move(cpu, op->size);
}

static void push_narrow_r(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_push(cpu, op->size, reg_get(cpu, op->rm, op->size));
}

static void push_narrow_m(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_push(cpu, op->size, sim_rm_read(cpu, op, op->size));
}

static void pop_narrow_r(struct sim_cpu *cpu, const struct sim_op *op)
{
	reg_set(cpu, op->rm, op->size, sim_pop(cpu, op->size));
}

const struct sim_handlers h_push = {.r = {NULL, push_narrow_r, push_narrow_r, push_r64},
        .m = {NULL, push_narrow_m, push_narrow_m, push_m64}};
const struct sim_handlers h_pop = {
        .r = {NULL, pop_narrow_r, pop_narrow_r, pop_r64}, .m = {NULL, pop_memory, pop_memory, pop_memory}};

void op_push_imm(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_push(cpu, op->size, op->imm);
}

void op_pusha(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 rsp = REG_RSP;

	for (unsigned i = 0; i < 8; i++)
		sim_stack_poke(cpu, -(s64)((i + 1) * op->size), op->size, i == SIM_RSP ? rsp : cpu->gpr[i]);
	sim_stack_move(cpu, -8 * (s64)op->size);
}

void op_popa(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 values[8];

	for (unsigned i = 0; i < 8; i++)
		values[i] = sim_stack_peek(cpu, i * op->size, op->size);
	sim_stack_move(cpu, 8 * (s64)op->size);
	for (unsigned i = 0; i < 8; i++)
		if (i != 7 - SIM_RSP)
			reg_set(cpu, (7 - i) * 8, op->size, values[i]);
}

void op_enter(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned size = op->size, level = (op->imm >> 16) & 31;
	unsigned ss = cpu->mode & MODE_64 ? SIM_SEG_FLAT_SS : SIM_SS;
	u64 mask = cpu->mode & MODE_64 ? ~(u64)0 : cpu->mode & MODE_SS32 ? 0xffffffff : 0xffff;
	u64 frame = (REG_RSP - size) & mask;
	s64 down = -(s64)size;

	sim_stack_poke(cpu, down, size, reg_get(cpu, SIM_RBP * 8, size));
	for (unsigned i = 1; i < level; i++) {
		u64 linear = seg_linear(cpu, ss, (REG_RBP - i * size) & mask, size, ACCESS_READ);

		down -= size;
		sim_stack_poke(cpu, down, size, sim_mem_read_slow(cpu, linear, size, ss));
	}
	if (level) {
		down -= size;
		sim_stack_poke(cpu, down, size, frame);
	}
	down -= (u16)op->imm;
	/* The new top must be writable, although nothing is written (SDM 2, ENTER). */
	sim_mem_probe(cpu, seg_linear(cpu, ss, (REG_RSP + (u64)down) & mask, size, ACCESS_WRITE), size,
	        ACCESS_WRITE, ss);
	reg_set(cpu, SIM_RBP * 8, size, frame);
	sim_stack_move(cpu, down);
}

void op_leave(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned size = op->size;
	unsigned ss = cpu->mode & MODE_64 ? SIM_SEG_FLAT_SS : SIM_SS;
	unsigned width = cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2;
	u64 top = reg_get(cpu, SIM_RBP * 8, width);
	u64 value = sim_mem_read_slow(cpu, seg_linear(cpu, ss, top, size, ACCESS_READ), size, ss);

	reg_set(cpu, SIM_RSP * 8, width, top);
	sim_stack_move(cpu, size);
	reg_set(cpu, SIM_RBP * 8, size, value);
}

/* ---- conditions ---- */

#define CONDITION(cc) \
	static void setcc_r_##cc(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		reg_set8(cpu, op->rm, flag_condition(cpu, cc)); \
	} \
	static void setcc_m_##cc(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		rm_write8(cpu, op, flag_condition(cpu, cc)); \
	} \
	static void cmov_##cc(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		u64 value = sim_rm_read(cpu, op, op->size); \
		if (flag_condition(cpu, cc)) \
			reg_set(cpu, op->reg, op->size, value); \
		else if (op->size == 4) \
			reg_set32(cpu, op->reg, reg_get32(cpu, op->reg)); \
	}
EACH_CONDITION(CONDITION)
#define CONDITION_ROW(cc) {setcc_r_##cc, setcc_m_##cc, cmov_##cc},
static sim_op_fn *const conditions[16][3] = {EACH_CONDITION(CONDITION_ROW)};

/* The decoder puts the function in by condition. */
sim_op_fn *sim_condition_handler(enum sim_condition what, unsigned cc)
{
	return conditions[cc & 15][what];
}

/* ---- sign extension of the accumulator ---- */

void op_cbw(struct sim_cpu *cpu, const struct sim_op *op)
{
	if (op->size == 8)
		REG_RAX = (u64)(s64)(s32)REG_RAX;
	else if (op->size == 4)
		reg_set32(cpu, 0, (u32)(s32)(s16)REG_RAX);
	else
		reg_set16(cpu, 0, (u16)(s16)(s8)REG_RAX);
}

void op_cwd(struct sim_cpu *cpu, const struct sim_op *op)
{
	bool negative = reg_get(cpu, 0, op->size) >> (op->size * 8 - 1);

	reg_set(cpu, SIM_RDX * 8, op->size, negative ? ~(u64)0 : 0);
}

void op_xlat(struct sim_cpu *cpu, const struct sim_op *op)
{
	u64 offset = (REG_RBX + (u8)REG_RAX) << op->address_shift >> op->address_shift;

	reg_set8(cpu, 0, mem_read8(cpu, seg_linear(cpu, op->seg, offset, 1, ACCESS_READ), op->seg));
}

/* ---- flags ---- */

void op_lahf(struct sim_cpu *cpu, const struct sim_op *op)
{
	reg_set8(cpu, 1, (u8)(flags_arith(cpu) | FLAG_ONE));
}

void op_sahf(struct sim_cpu *cpu, const struct sim_op *op)
{
	flags_arith_set(cpu, (flags_arith(cpu) & FLAG_OF) | (reg_get8(cpu, 1) & 0xd5));
}

void op_salc(struct sim_cpu *cpu, const struct sim_op *op)
{
	reg_set8(cpu, 0, flag_cf(cpu) ? 0xff : 0);
}

void op_cmc(struct sim_cpu *cpu, const struct sim_op *op)
{
	flag_cf_set(cpu, !flag_cf(cpu));
}

void op_clc(struct sim_cpu *cpu, const struct sim_op *op)
{
	flag_cf_set(cpu, false);
}

void op_stc(struct sim_cpu *cpu, const struct sim_op *op)
{
	flag_cf_set(cpu, true);
}

void op_cld(struct sim_cpu *cpu, const struct sim_op *op)
{
	cpu->rflags_rest &= ~(u64)FLAG_DF;
}

void op_std(struct sim_cpu *cpu, const struct sim_op *op)
{
	cpu->rflags_rest |= FLAG_DF;
}

void op_nop(struct sim_cpu *cpu, const struct sim_op *op)
{
}

/* A loop that waits for another processor ends up here: what that one wrote may be code. */
void op_pause(struct sim_cpu *cpu, const struct sim_op *op)
{
	sim_code_serialize_lazily(cpu);
}

/* Both bounds are read before either decides. */
void op_bound(struct sim_cpu *cpu, const struct sim_op *op)
{
	unsigned size = op->size, shift = 64 - size * 8;
	u64 offset = op_offset(cpu, op);
	s64 index = (s64)(reg_get(cpu, op->reg, size) << shift) >> shift, bounds[2];

	for (unsigned i = 0; i < 2; i++) {
		u64 linear = seg_linear(cpu, op->seg, offset + i * size, size, ACCESS_READ);

		bounds[i] = (s64)(sim_mem_read_slow(cpu, linear, size, op->seg) << shift) >> shift;
	}
	if (index < bounds[0] || index > bounds[1])
		sim_raise(cpu, EXC_BR);
}
