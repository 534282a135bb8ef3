/* SPDX-License-Identifier: Apache-2.0 */
/*
 * branch: near jumps, calls and returns, and LOOP. Far transfers are in far.c.
 */
#include "ops.h"

void cpu_jump(struct cpu *cpu, u64 target, unsigned size)
{
	if (cpu->mode & MODE_64 && size == 8) {
		if (unlikely(!is_canonical(target)))
			cpu_raise_error(cpu, EXC_GP, 0);
	} else {
		target = size == 2 ? (u16)target : (u32)target;
		if (target > cpu->seg[CPU_CS].limit && !(cpu->mode & MODE_64))
			cpu_raise_error(cpu, EXC_GP, 0);
	}
	REG_RIP = target;
}

ALWAYS void jump_relative(struct cpu *cpu, const struct cpu_op *op)
{
	if (likely(!(op->flags & OP_LEGACY)))
		REG_RIP += op->imm;
	else
		cpu_jump(cpu, REG_RIP + op->imm, op->size);
}

void op_jmp_relative(struct cpu *cpu, const struct cpu_op *op)
{
	jump_relative(cpu, op);
}

#define JCC(cc) \
	static void jcc_##cc(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		if (flag_condition(cpu, cc)) \
			jump_relative(cpu, op); \
		else \
			REG_RIP += op->next; \
	}
EACH_CONDITION(JCC)
#define JCC_ROW(cc) jcc_##cc,
cpu_op_fn *const cpu_jcc[16] = {EACH_CONDITION(JCC_ROW)};

/*
 * Pushes the return address and jumps. If the target is bad, the stack stays as it was. A fault of the stack
 * comes before a fault of the target.
 */
static void call(struct cpu *cpu, const struct cpu_op *op, u64 target)
{
	u64 from = REG_RIP;

	cpu_stack_probe(cpu, op->size);
	cpu_jump(cpu, target, op->size);
	cpu_stack_poke(cpu, -(s64)op->size, op->size, from + op->next);
	cpu_stack_move(cpu, -(s64)op->size);
}

void op_call_relative(struct cpu *cpu, const struct cpu_op *op)
{
	u64 next = REG_RIP + op->next;

	if (likely(!(op->flags & OP_LEGACY))) {
		mem_write(cpu, REG_RSP - 8, 8, next, CPU_SEG_FLAT_SS);
		REG_RSP -= 8;
		REG_RIP += op->imm;
		return;
	}
	call(cpu, op, REG_RIP + op->imm);
}

void op_jmp_indirect(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_jump(cpu, cpu_rm_read(cpu, op, op->size), op->size);
}

void op_call_indirect(struct cpu *cpu, const struct cpu_op *op)
{
	call(cpu, op, cpu_rm_read(cpu, op, op->size));
}

void op_ret(struct cpu *cpu, const struct cpu_op *op)
{
	u64 target;

	if (likely(!(op->flags & OP_LEGACY))) {
		target = mem_read(cpu, REG_RSP, 8, CPU_SEG_FLAT_SS);
		if (unlikely(!is_canonical(target)))
			cpu_raise_error(cpu, EXC_GP, 0);
		REG_RIP = target;
		REG_RSP += 8 + (u16)op->imm;
		return;
	}
	cpu_jump(cpu, cpu_stack_peek(cpu, 0, op->size), op->size);
	cpu_stack_move(cpu, op->size + (u16)op->imm);
}

/* Handles LOOPNE, LOOPE, LOOP and JCXZ (E0 to E3). The counter is as wide as an address. */
void op_loop(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned width = 8u - op->address_shift / 8u;
	u64 count = reg_get(cpu, CPU_RCX * 8, width);
	bool taken;

	if (op->opcode == 0xe3) {
		taken = count == 0;
	} else {
		taken = --count << op->address_shift != 0;
		if (op->opcode != 0xe2)
			taken = taken && flag_zf(cpu) == (op->opcode == 0xe1);
	}
	u64 target = REG_RIP;
	if (taken)
		jump_relative(cpu, op);
	else
		REG_RIP = target + op->next;
	if (op->opcode != 0xe3)
		reg_set(cpu, CPU_RCX * 8, width, count);
}
