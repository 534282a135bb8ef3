/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int_move: MOV and its kin, XCHG, LEA, PUSH, POP, CMOVcc, SETcc, sign extension, and the flag instructions.
 */
#include "ops.h"

/* ---- MOV: eg: rm = reg, ge: reg = rm, ei: rm = immediate, moffs: the accumulator and memory ---- */

ALWAYS void mov_eg_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->rm, size, reg_get(cpu, op->reg, size));
}

ALWAYS void mov_eg_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	rm_mem_write(cpu, op, size, reg_get(cpu, op->reg, size));
}
HANDLERS_RM(mov_eg);

ALWAYS void mov_ge_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, reg_get(cpu, op->rm, size));
}

ALWAYS void mov_ge_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, rm_mem_read(cpu, op, size));
}
HANDLERS_RM(mov_ge);

ALWAYS void mov_ei_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->rm, size, op->imm);
}

ALWAYS void mov_ei_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	rm_mem_write(cpu, op, size, op->imm);
}
HANDLERS_RM(mov_ei);

ALWAYS void moffs_load_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, 0, size, rm_mem_read(cpu, op, size));
}
HANDLERS_M(moffs_load);

ALWAYS void moffs_store_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	rm_mem_write(cpu, op, size, reg_get(cpu, 0, size));
}
HANDLERS_M(moffs_store);

/* ---- XCHG: with memory it always behaves as with LOCK ---- */

ALWAYS void xchg_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	u64 a = reg_get(cpu, op->rm, size), b = reg_get(cpu, op->reg, size);

	reg_set(cpu, op->rm, size, b);
	reg_set(cpu, op->reg, size, a);
}

ALWAYS void xchg_l(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	void *p = rm_begin_locked(cpu, op, size);
	u64 a = ram_exchange(p, reg_get(cpu, op->reg, size), size);

	rmw_end(cpu, p);
	reg_set(cpu, op->reg, size, a);
}

ALWAYS void xchg_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	xchg_l(cpu, op, size);
}
HANDLERS_RML(xchg);

/* ---- MOVZX, MOVSX, MOVSXD: the number in a name is the size of the source in bits ---- */

ALWAYS void movzx8_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, reg_get(cpu, op->rm, 1));
}

ALWAYS void movzx8_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, rm_mem_read(cpu, op, 1));
}
HANDLERS_WIDE_RM(movzx8);

ALWAYS void movzx16_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, reg_get(cpu, op->rm, 2));
}

ALWAYS void movzx16_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, rm_mem_read(cpu, op, 2));
}
HANDLERS_WIDE_RM(movzx16);

ALWAYS void movsx8_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(reg_get(cpu, op->rm, 1), 1));
}

ALWAYS void movsx8_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(rm_mem_read(cpu, op, 1), 1));
}
HANDLERS_WIDE_RM(movsx8);

ALWAYS void movsx16_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(reg_get(cpu, op->rm, 2), 2));
}

ALWAYS void movsx16_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(rm_mem_read(cpu, op, 2), 2));
}
HANDLERS_WIDE_RM(movsx16);

/*
 * Without REX.W, MOVSXD is a plain move. The memory operand always has 32 bits, even if a 16-bit register
 * takes only half of them.
 */
ALWAYS void movsxd_r(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(reg_get(cpu, op->rm, 4), 4));
}

ALWAYS void movsxd_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, sign_extend(rm_mem_read(cpu, op, 4), 4));
}
HANDLERS_WIDE_RM(movsxd);

ALWAYS void lea_m(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	reg_set(cpu, op->reg, size, op_offset(cpu, op));
}
HANDLERS_WIDE_M(lea);

/* ---- stack ---- */

static void push_r64(struct cpu *cpu, const struct cpu_op *op)
{
	mem_write(cpu, REG_RSP - 8, 8, reg_get(cpu, op->rm, 8), CPU_SEG_FLAT_SS);
	REG_RSP -= 8;
}

static void push_m64(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_push(cpu, 8, rm_mem_read(cpu, op, 8));
}

static void pop_r64(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = mem_read(cpu, REG_RSP, 8, CPU_SEG_FLAT_SS);

	REG_RSP += 8;
	reg_set(cpu, op->rm, 8, value);
}

/* Pops to memory. The address is computed with the stack pointer already moved (APM 3, POP). */
static void pop_memory(struct cpu *cpu, const struct cpu_op *op)
{
	u64 value = cpu_stack_peek(cpu, 0, op->size), old = REG_RSP;

	cpu_stack_move(cpu, op->size);
	u64 linear = op_offset(cpu, op);
	REG_RSP = old;
	linear = seg_linear(cpu, op->seg, linear, op->size, ACCESS_WRITE);
	mem_write(cpu, linear, op->size, value, op->seg);
	cpu_stack_move(cpu, op->size);
}

static void push_narrow_r(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_push(cpu, op->size, reg_get(cpu, op->rm, op->size));
}

static void push_narrow_m(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_push(cpu, op->size, cpu_rm_read(cpu, op, op->size));
}

static void pop_narrow_r(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, op->rm, op->size, cpu_pop(cpu, op->size));
}

const struct cpu_handlers h_push = {.r = {NULL, push_narrow_r, push_narrow_r, push_r64},
        .m = {NULL, push_narrow_m, push_narrow_m, push_m64}};
const struct cpu_handlers h_pop = {
        .r = {NULL, pop_narrow_r, pop_narrow_r, pop_r64}, .m = {NULL, pop_memory, pop_memory, pop_memory}};

void op_push_imm(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_push(cpu, op->size, op->imm);
}

void op_pusha(struct cpu *cpu, const struct cpu_op *op)
{
	u64 rsp = REG_RSP;

	for (unsigned i = 0; i < 8; i++)
		cpu_stack_poke(cpu, -(s64)((i + 1) * op->size), op->size, i == CPU_RSP ? rsp : cpu->gpr[i]);
	cpu_stack_move(cpu, -8 * (s64)op->size);
}

void op_popa(struct cpu *cpu, const struct cpu_op *op)
{
	u64 values[8];

	for (unsigned i = 0; i < 8; i++)
		values[i] = cpu_stack_peek(cpu, i * op->size, op->size);
	cpu_stack_move(cpu, 8 * (s64)op->size);
	for (unsigned i = 0; i < 8; i++)
		if (i != 7 - CPU_RSP)
			reg_set(cpu, (7 - i) * 8, op->size, values[i]);
}

void op_enter(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->size, level = (op->imm >> 16) & 31;
	unsigned ss = cpu->mode & MODE_64 ? CPU_SEG_FLAT_SS : CPU_SS;
	u64 mask = cpu->mode & MODE_64 ? ~(u64)0 : cpu->mode & MODE_SS32 ? 0xffffffff : 0xffff;
	u64 frame = (REG_RSP - size) & mask;
	s64 down = -(s64)size;

	cpu_stack_poke(cpu, down, size, reg_get(cpu, CPU_RBP * 8, size));
	for (unsigned i = 1; i < level; i++) {
		u64 linear = seg_linear(cpu, ss, (REG_RBP - i * size) & mask, size, ACCESS_READ);

		down -= size;
		cpu_stack_poke(cpu, down, size, cpu_mem_read_slow(cpu, linear, size, ss));
	}
	if (level) {
		down -= size;
		cpu_stack_poke(cpu, down, size, frame);
	}
	down -= (u16)op->imm;
	/* The new top of the stack must be writable, although ENTER writes nothing there (SDM 2, ENTER). */
	cpu_mem_probe(cpu, seg_linear(cpu, ss, (REG_RSP + (u64)down) & mask, size, ACCESS_WRITE), size,
	        ACCESS_WRITE, ss);
	reg_set(cpu, CPU_RBP * 8, size, frame);
	cpu_stack_move(cpu, down);
}

void op_leave(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->size;
	unsigned ss = cpu->mode & MODE_64 ? CPU_SEG_FLAT_SS : CPU_SS;
	unsigned width = cpu->mode & MODE_64 ? 8 : cpu->mode & MODE_SS32 ? 4 : 2;
	u64 top = reg_get(cpu, CPU_RBP * 8, width);
	u64 value = cpu_mem_read_slow(cpu, seg_linear(cpu, ss, top, size, ACCESS_READ), size, ss);

	reg_set(cpu, CPU_RSP * 8, width, top);
	cpu_stack_move(cpu, size);
	reg_set(cpu, CPU_RBP * 8, size, value);
}

/* ---- conditions ---- */

#define CONDITION(cc) \
	static void setcc_r_##cc(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		reg_set(cpu, op->rm, 1, flag_condition(cpu, cc)); \
	} \
	static void setcc_m_##cc(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		rm_mem_write(cpu, op, 1, flag_condition(cpu, cc)); \
	} \
	static void cmov_##cc(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		u64 value = cpu_rm_read(cpu, op, op->size); \
		if (flag_condition(cpu, cc)) \
			reg_set(cpu, op->reg, op->size, value); \
		else if (op->size == 4) \
			reg_set(cpu, op->reg, 4, reg_get(cpu, op->reg, 4)); \
	}
EACH_CONDITION(CONDITION)
#define CONDITION_ROW(cc) {setcc_r_##cc, setcc_m_##cc, cmov_##cc},
static cpu_op_fn *const conditions[16][3] = {EACH_CONDITION(CONDITION_ROW)};

/* Returns the handler of a condition, which the decoder puts into the operation. */
cpu_op_fn *cpu_condition_handler(enum cpu_condition what, unsigned cc)
{
	return conditions[cc & 15][what];
}

/* ---- sign extension of the accumulator ---- */

void op_cbw(struct cpu *cpu, const struct cpu_op *op)
{
	if (op->size == 8)
		REG_RAX = (u64)(s64)(s32)REG_RAX;
	else if (op->size == 4)
		reg_set(cpu, 0, 4, (u32)(s32)(s16)REG_RAX);
	else
		reg_set(cpu, 0, 2, (u16)(s16)(s8)REG_RAX);
}

void op_cwd(struct cpu *cpu, const struct cpu_op *op)
{
	bool negative = reg_get(cpu, 0, op->size) >> (op->size * 8 - 1);

	reg_set(cpu, CPU_RDX * 8, op->size, negative ? ~(u64)0 : 0);
}

void op_xlat(struct cpu *cpu, const struct cpu_op *op)
{
	u64 offset = (REG_RBX + (u8)REG_RAX) << op->address_shift >> op->address_shift;

	reg_set(cpu, 0, 1, mem_read(cpu, seg_linear(cpu, op->seg, offset, 1, ACCESS_READ), 1, op->seg));
}

/* ---- flags ---- */

void op_lahf(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, 1, 1, (u8)(flags_arith(cpu) | FLAG_ONE));
}

void op_sahf(struct cpu *cpu, const struct cpu_op *op)
{
	flags_arith_set(cpu, (flags_arith(cpu) & FLAG_OF) | (reg_get(cpu, 1, 1) & 0xd5));
}

void op_salc(struct cpu *cpu, const struct cpu_op *op)
{
	reg_set(cpu, 0, 1, flag_cf(cpu) ? 0xff : 0);
}

void op_cmc(struct cpu *cpu, const struct cpu_op *op)
{
	flag_cf_set(cpu, !flag_cf(cpu));
}

void op_clc(struct cpu *cpu, const struct cpu_op *op)
{
	flag_cf_set(cpu, false);
}

void op_stc(struct cpu *cpu, const struct cpu_op *op)
{
	flag_cf_set(cpu, true);
}

void op_cld(struct cpu *cpu, const struct cpu_op *op)
{
	cpu->rflags_rest &= ~(u64)FLAG_DF;
}

void op_std(struct cpu *cpu, const struct cpu_op *op)
{
	cpu->rflags_rest |= FLAG_DF;
}

void op_nop(struct cpu *cpu, const struct cpu_op *op)
{
}

/* A loop that waits for another processor executes PAUSE, and that processor may have written code. */
void op_pause(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_code_serialize_lazily(cpu);
}

/* Reads both bounds before it compares the index with either. */
void op_bound(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned size = op->size, shift = 64 - size * 8;
	u64 offset = op_offset(cpu, op);
	s64 index = (s64)(reg_get(cpu, op->reg, size) << shift) >> shift, bounds[2];

	for (unsigned i = 0; i < 2; i++) {
		u64 linear = seg_linear(cpu, op->seg, offset + i * size, size, ACCESS_READ);

		bounds[i] = (s64)(cpu_mem_read_slow(cpu, linear, size, op->seg) << shift) >> shift;
	}
	if (index < bounds[0] || index > bounds[1])
		cpu_raise(cpu, EXC_BR);
}
