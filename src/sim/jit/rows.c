/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: which translation each handler has. What is not here runs by its handler.
 */
#include <pthread.h>

#include "ops.h"

#define ALU(name, group) \
	{&h_##name##_eg, jit_alu, (group) | FORM_EG << 4, SETS_FLAGS}, \
	        {&h_##name##_ge, jit_alu, (group) | FORM_GE << 4, SETS_FLAGS}, \
	{ \
		&h_##name##_ei, jit_alu, (group) | FORM_EI << 4, SETS_FLAGS \
	}
#define ALU_CARRY(name, group) \
	{&h_##name##_eg, jit_alu, (group) | FORM_EG << 4, READS_FLAGS | SETS_FLAGS}, \
	        {&h_##name##_ge, jit_alu, (group) | FORM_GE << 4, READS_FLAGS | SETS_FLAGS}, \
	{ \
		&h_##name##_ei, jit_alu, (group) | FORM_EI << 4, READS_FLAGS | SETS_FLAGS \
	}
#define SHIFT(name, number) \
	{&h_##name##_ei, jit_shift, number, USES_NONE}, \
	{ \
		&h_##name##_ec, jit_shift_cl, number, USES_NONE \
	}

/* Handlers by size. */
static const struct {
	const struct cpu_handlers *handlers;
	jit_fn *fn;
	u16 detail;
	u8 uses;
} sized[] = {
        ALU(add, ALU_ADD),
        ALU(or, ALU_OR),
        ALU_CARRY(adc, ALU_ADC),
        ALU_CARRY(sbb, ALU_SBB),
        ALU(and, ALU_AND),
        ALU(sub, ALU_SUB),
        ALU(xor, ALU_XOR),
        ALU(cmp, ALU_CMP),
        {&h_test_eg, jit_test, FORM_EG << 4, SETS_FLAGS},
        {&h_test_ei, jit_test, FORM_EI << 4, SETS_FLAGS},
        {&h_inc_e, jit_unary, 0x00ff, USES_NONE},
        {&h_dec_e, jit_unary, 0x01ff, USES_NONE},
        {&h_not_e, jit_unary, 0x02f7, USES_NONE},
        {&h_neg_e, jit_unary, 0x03f7, SETS_FLAGS},
        {&h_imul_ge, jit_imul, 0, SETS_FLAGS},
        {&h_imul_gei, jit_imul, 1, SETS_FLAGS},
        {&h_mul_e, jit_product, 4, SETS_FLAGS},
        {&h_imul_e, jit_product, 5, SETS_FLAGS},
        {&h_mov_eg, jit_store, 0, USES_NONE},
        {&h_mov_ge, jit_load, 0, USES_NONE},
        {&h_mov_ei, jit_move_imm, 0, USES_NONE},
        {&h_moffs_load, jit_load, 1, USES_NONE},
        {&h_moffs_store, jit_store, 1, USES_NONE},
        {&h_movzx8, jit_extend, 0x0fb6, USES_NONE},
        {&h_movzx16, jit_extend, 0x0fb7, USES_NONE},
        {&h_movsx8, jit_extend, 0x0fbe, USES_NONE},
        {&h_movsx16, jit_extend, 0x0fbf, USES_NONE},
        {&h_movsxd, jit_extend, EXTEND_DWORD, USES_NONE},
        {&h_lea, jit_lea, 0, USES_NONE},
        {&h_xchg, jit_exchange, 0, USES_NONE},
        SHIFT(rol, 0),
        SHIFT(ror, 1),
        SHIFT(shl, 4),
        SHIFT(shr, 5),
        SHIFT(sar, 7),
        {&h_push, jit_push, 0, ACCESSES},
        {&h_pop, jit_pop, 0, ACCESSES},
};

/* Handlers for all sizes. */
static const struct jit_row plain[] = {
        {op_push_imm, jit_push_imm, 0, ACCESSES},
        {op_leave, jit_leave_frame, 0, ACCESSES},
        {op_cbw, jit_widen, 0, USES_NONE},
        {op_cwd, jit_widen, 1, USES_NONE},
        {op_bswap, jit_swap, 0, USES_NONE},
        {op_nop, jit_nothing, 0, USES_NONE},
        {op_jmp_relative, jit_jump, 0, READS_FLAGS},
        {op_call_relative, jit_call, 0, ACCESSES},
        {op_ret, jit_ret, 0, ACCESSES},
        {op_jmp_indirect, jit_jump_indirect, 0, ACCESSES},
        {op_call_indirect, jit_call_indirect, 0, ACCESSES},
        {op_movups_load, jit_sse_load, 0, ACCESSES},
        {op_movaps_load, jit_sse_load, 1, ACCESSES},
        {op_movups_store, jit_sse_store, 0, ACCESSES},
        {op_movaps_store, jit_sse_store, 1, ACCESSES},
};

#define HASH_ROWS 2048u
static struct jit_row rows[HASH_ROWS];

static unsigned hash_of(cpu_op_fn *handler)
{
	return (unsigned)(((uintptr_t)handler * 0x9e3779b97f4a7c15u) >> 53);
}

static void add(struct jit_row row)
{
	unsigned at = hash_of(row.handler);

	while (rows[at].handler)
		at = (at + 1) % HASH_ROWS;
	rows[at] = row;
}

static void add_conditions(unsigned cc)
{
	add((struct jit_row){cpu_jcc[cc], jit_jcc, (u16)cc, READS_FLAGS});
	add((struct jit_row){cpu_condition_handler(CONDITION_SET_R, cc), jit_setcc, (u16)cc, READS_FLAGS});
	add((struct jit_row){cpu_condition_handler(CONDITION_SET_M, cc), jit_setcc, (u16)cc, READS_FLAGS});
	add((struct jit_row){cpu_condition_handler(CONDITION_MOVE, cc), jit_cmov, (u16)cc, READS_FLAGS});
}

static void make(void)
{
	for (size_t i = 0; i < ARRAY_LEN(sized); i++) {
		for (unsigned size = 0; size < 4; size++) {
			const struct cpu_handlers *h = sized[i].handlers;

			if (h->r[size])
				add((struct jit_row){
				        h->r[size], sized[i].fn, sized[i].detail, sized[i].uses});
			if (h->m[size])
				add((struct jit_row){
				        h->m[size], sized[i].fn, sized[i].detail, sized[i].uses});
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		add(plain[i]);
	for (unsigned cc = 0; cc < 16; cc++)
		add_conditions(cc);
}

void jit_rows_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make);
}

const struct jit_row *jit_row_find(cpu_op_fn *handler)
{
	unsigned at = hash_of(handler);

	while (rows[at].handler && rows[at].handler != handler)
		at = (at + 1) % HASH_ROWS;
	return rows[at].handler ? &rows[at] : NULL;
}
