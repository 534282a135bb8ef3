/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops: the translations of operations. Each emits nothing before it has returned false or knows that it will
 * return true. rows.c says which handler each is for, and what its detail means.
 */
#ifndef JIT_OPS_H
#define JIT_OPS_H

#include "internal.h"

/* rm op= reg, reg op= rm, rm op= immediate (cpu/int_alu.c) */
enum form { FORM_EG, FORM_GE, FORM_EI };
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

#define EXTEND_DWORD 0x63u /* jit_extend's detail for MOVSXD; else it is the opcode */

/* Returns whether an operand is AH to BH, which the host's registers of the guest do not show. */
ALWAYS bool is_high(const struct cpu_op *op, enum form form)
{
	return (form != FORM_EI && op->reg & 1) || (!(op->flags & OP_MEM) && op->rm & 1);
}

/* alu.c */
jit_fn jit_alu, jit_test, jit_unary, jit_imul, jit_product;
/* move.c */
jit_fn jit_load, jit_store, jit_move_imm, jit_extend, jit_lea, jit_exchange, jit_swap, jit_widen, jit_setcc,
        jit_cmov, jit_nothing;
/* stack.c */
jit_fn jit_push, jit_push_imm, jit_pop, jit_leave_frame;
/* shift.c */
jit_fn jit_shift, jit_shift_cl;
/* branch.c */
jit_fn jit_jump, jit_jcc, jit_call, jit_ret, jit_jump_indirect, jit_call_indirect;
/* sse.c */
jit_fn jit_sse_load, jit_sse_store;

#endif
