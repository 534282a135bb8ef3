/*
 * map1: the rows of the one-byte opcodes (APM 3, appendix A, tables ).
 */
#include "ops.h"

#define M ROW_MODRM
#define B ROW_BYTE

#define ALU_ROWS(at, name) \
	[(at) + 0] = {.h = &h_##name##_eg, .flags = M | B | ROW_LOCK}, \
	        [(at) + 1] = {.h = &h_##name##_eg, .flags = M | ROW_LOCK}, \
	        [(at) + 2] = {.h = &h_##name##_ge, .flags = M | B}, \
	        [(at) + 3] = {.h = &h_##name##_ge, .flags = M}, \
	        [(at) + 4] = {.h = &h_##name##_ei, .flags = B | ROW_ACC | ROW_IB}, \
	        [(at) + 5] = {.h = &h_##name##_ei, .flags = ROW_ACC | ROW_IZ}
#define ALU_GROUP(f) \
	{ \
		{.h = &h_add_ei, .flags = (f) | ROW_LOCK}, {.h = &h_or_ei, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_adc_ei, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_sbb_ei, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_and_ei, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_sub_ei, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_xor_ei, .flags = (f) | ROW_LOCK}, \
		{ \
			.h = &h_cmp_ei, .flags = (f) \
		} \
	}
static const struct row group1_80[8] = ALU_GROUP(B | ROW_IB);
static const struct row group1_81[8] = ALU_GROUP(ROW_IZ);
static const struct row group1_82[8] = ALU_GROUP(B | ROW_IB | ROW_NO64);
static const struct row group1_83[8] = ALU_GROUP(ROW_IB);
static const struct row group1a[8] = {[0] = {.h = &h_pop, .flags = ROW_D64}};

#define SHIFT_GROUP(form, f) \
	{ \
		{.h = &h_rol_##form, .flags = (f)}, {.h = &h_ror_##form, .flags = (f)}, \
		        {.h = &h_rcl_##form, .flags = (f)}, {.h = &h_rcr_##form, .flags = (f)}, \
		        {.h = &h_shl_##form, .flags = (f)}, {.h = &h_shr_##form, .flags = (f)}, \
		        {.h = &h_shl_##form, .flags = (f)}, \
		{ \
			.h = &h_sar_##form, .flags = (f) \
		} \
	}
static const struct row group2_c0[8] = SHIFT_GROUP(ei, B | ROW_IB);
static const struct row group2_c1[8] = SHIFT_GROUP(ei, ROW_IB);
static const struct row group2_d0[8] = SHIFT_GROUP(ei, B | ROW_ONE);
static const struct row group2_d1[8] = SHIFT_GROUP(ei, ROW_ONE);
static const struct row group2_d2[8] = SHIFT_GROUP(ec, B);
static const struct row group2_d3[8] = SHIFT_GROUP(ec, 0);

#define UNARY_GROUP(f, imm) \
	{ \
		{.h = &h_test_ei, .flags = (f) | (imm)}, {.h = &h_test_ei, .flags = (f) | (imm)}, \
		        {.h = &h_not_e, .flags = (f) | ROW_LOCK}, {.h = &h_neg_e, .flags = (f) | ROW_LOCK}, \
		        {.h = &h_mul_e, .flags = (f)}, {.h = &h_imul_e, .flags = (f)}, \
		        {.h = &h_div_e, .flags = (f)}, \
		{ \
			.h = &h_idiv_e, .flags = (f) \
		} \
	}
static const struct row group3_f6[8] = UNARY_GROUP(B, ROW_IB);
static const struct row group3_f7[8] = UNARY_GROUP(0, ROW_IZ);
static const struct row group4[8] = {
        {.h = &h_inc_e, .flags = B | ROW_LOCK}, {.h = &h_dec_e, .flags = B | ROW_LOCK}};
static const struct row group5[8] = {
        {.h = &h_inc_e, .flags = ROW_LOCK},
        {.h = &h_dec_e, .flags = ROW_LOCK},
        {.fn = op_call_indirect, .flags = ROW_F64 | ROW_BRANCH},
        {.fn = op_call_far_indirect, .flags = ROW_MEM | ROW_BRANCH},
        {.fn = op_jmp_indirect, .flags = ROW_F64 | ROW_BRANCH},
        {.fn = op_jmp_far_indirect, .flags = ROW_MEM | ROW_BRANCH},
        {.h = &h_push, .flags = ROW_D64},
        {.fn = op_invalid},
};
static const struct row group11_c6[8] = {[0] = {.h = &h_mov_ei, .flags = B | ROW_IB}};
static const struct row group11_c7[8] = {[0] = {.h = &h_mov_ei, .flags = ROW_IZ}};
static const struct row arpl_movsxd[2] = {{.fn = op_arpl, .flags = M | ROW_PE}, {.h = &h_movsxd, .flags = M}};

/* In 64-bit mode, and with a register operand, these are the prefixes of AVX. */
static const struct row bound_evex[2] = {{.fn = op_bound, .flags = M | ROW_MEM}};
static const struct row load_far_vex[2] = {{.fn = op_load_far, .flags = M | ROW_MEM}};

#define EIGHT(at, ...) \
	[(at) + 0] = __VA_ARGS__, [(at) + 1] = __VA_ARGS__, [(at) + 2] = __VA_ARGS__, \
	        [(at) + 3] = __VA_ARGS__, [(at) + 4] = __VA_ARGS__, [(at) + 5] = __VA_ARGS__, \
	        [(at) + 6] = __VA_ARGS__, [(at) + 7] = __VA_ARGS__

#define SEG_ROWS(at) \
	[at] = {.fn = op_push_seg, .flags = ROW_D64 | ROW_NO64}, \
	[(at) + 1] = {.fn = op_pop_seg, .flags = ROW_D64 | ROW_NO64 | ROW_END}

const struct row sim_map1[256] = {
        ALU_ROWS(0x00, add),
        ALU_ROWS(0x08, or),
        ALU_ROWS(0x10, adc),
        ALU_ROWS(0x18, sbb),
        ALU_ROWS(0x20, and),
        ALU_ROWS(0x28, sub),
        ALU_ROWS(0x30, xor),
        [0x38] = {.h = &h_cmp_eg, .flags = M | B},
        [0x39] = {.h = &h_cmp_eg, .flags = M},
        [0x3a] = {.h = &h_cmp_ge, .flags = M | B},
        [0x3b] = {.h = &h_cmp_ge, .flags = M},
        [0x3c] = {.h = &h_cmp_ei, .flags = B | ROW_ACC | ROW_IB},
        [0x3d] = {.h = &h_cmp_ei, .flags = ROW_ACC | ROW_IZ},
        SEG_ROWS(0x06),
        [0x0e] = {.fn = op_push_seg, .flags = ROW_NO64},
        SEG_ROWS(0x16),
        SEG_ROWS(0x1e),
        [0x27] = {.fn = op_daa, .flags = ROW_NO64},
        [0x2f] = {.fn = op_das, .flags = ROW_NO64},
        [0x37] = {.fn = op_aaa, .flags = ROW_NO64},
        [0x3f] = {.fn = op_aas, .flags = ROW_NO64},
        EIGHT(0x40, {.h = &h_inc_e, .flags = ROW_OPREG | ROW_NO64}),
        EIGHT(0x48, {.h = &h_dec_e, .flags = ROW_OPREG | ROW_NO64}),
        EIGHT(0x50, {.h = &h_push, .flags = ROW_OPREG | ROW_D64}),
        EIGHT(0x58, {.h = &h_pop, .flags = ROW_OPREG | ROW_D64}),
        [0x60] = {.fn = op_pusha, .flags = ROW_NO64},
        [0x61] = {.fn = op_popa, .flags = ROW_NO64},
        [0x62] = {.by = SUB_LONG, .sub = bound_evex},
        [0x63] = {.by = SUB_LONG, .sub = arpl_movsxd},
        [0x68] = {.fn = op_push_imm, .flags = ROW_D64 | ROW_IZ},
        [0x69] = {.h = &h_imul_gei, .flags = M | ROW_IZ},
        [0x6a] = {.fn = op_push_imm, .flags = ROW_D64 | ROW_IB},
        [0x6b] = {.h = &h_imul_gei, .flags = M | ROW_IB},
        [0x6c] = {.fn = op_ins, .flags = B | ROW_STRING},
        [0x6d] = {.fn = op_ins, .flags = ROW_STRING | ROW_Y},
        [0x6e] = {.fn = op_outs, .flags = B | ROW_STRING},
        [0x6f] = {.fn = op_outs, .flags = ROW_STRING | ROW_Y},
        EIGHT(0x70, {.flags = ROW_JCC | ROW_IB | ROW_F64 | ROW_RELATIVE}),
        EIGHT(0x78, {.flags = ROW_JCC | ROW_IB | ROW_F64 | ROW_RELATIVE}),
        [0x80] = {.by = SUB_REG, .sub = group1_80},
        [0x81] = {.by = SUB_REG, .sub = group1_81},
        [0x82] = {.by = SUB_REG, .sub = group1_82},
        [0x83] = {.by = SUB_REG, .sub = group1_83},
        [0x84] = {.h = &h_test_eg, .flags = M | B},
        [0x85] = {.h = &h_test_eg, .flags = M},
        [0x86] = {.h = &h_xchg, .flags = M | B | ROW_LOCK},
        [0x87] = {.h = &h_xchg, .flags = M | ROW_LOCK},
        [0x88] = {.h = &h_mov_eg, .flags = M | B},
        [0x89] = {.h = &h_mov_eg, .flags = M},
        [0x8a] = {.h = &h_mov_ge, .flags = M | B},
        [0x8b] = {.h = &h_mov_ge, .flags = M},
        [0x8c] = {.fn = op_mov_from_seg, .flags = M},
        [0x8d] = {.h = &h_lea, .flags = M | ROW_MEM},
        [0x8e] = {.fn = op_mov_to_seg, .flags = M | ROW_END},
        [0x8f] = {.by = SUB_REG, .sub = group1a},
        EIGHT(0x90, {.h = &h_xchg, .flags = ROW_OPREG}),
        [0x98] = {.fn = op_cbw},
        [0x99] = {.fn = op_cwd},
        [0x9a] = {.fn = op_call_far, .flags = ROW_FAR | ROW_NO64 | ROW_BRANCH},
        [0x9b] = {.fn = op_fwait},
        [0x9c] = {.fn = op_pushf, .flags = ROW_D64},
        [0x9d] = {.fn = op_popf, .flags = ROW_D64 | ROW_END},
        [0x9e] = {.fn = op_sahf},
        [0x9f] = {.fn = op_lahf},
        [0xa0] = {.h = &h_moffs_load, .flags = B | ROW_MOFFS},
        [0xa1] = {.h = &h_moffs_load, .flags = ROW_MOFFS},
        [0xa2] = {.h = &h_moffs_store, .flags = B | ROW_MOFFS},
        [0xa3] = {.h = &h_moffs_store, .flags = ROW_MOFFS},
        [0xa4] = {.fn = op_movs, .flags = B | ROW_STRING},
        [0xa5] = {.fn = op_movs, .flags = ROW_STRING},
        [0xa6] = {.fn = op_cmps, .flags = B | ROW_STRING},
        [0xa7] = {.fn = op_cmps, .flags = ROW_STRING},
        [0xa8] = {.h = &h_test_ei, .flags = B | ROW_ACC | ROW_IB},
        [0xa9] = {.h = &h_test_ei, .flags = ROW_ACC | ROW_IZ},
        [0xaa] = {.fn = op_stos, .flags = B | ROW_STRING},
        [0xab] = {.fn = op_stos, .flags = ROW_STRING},
        [0xac] = {.fn = op_lods, .flags = B | ROW_STRING},
        [0xad] = {.fn = op_lods, .flags = ROW_STRING},
        [0xae] = {.fn = op_scas, .flags = B | ROW_STRING},
        [0xaf] = {.fn = op_scas, .flags = ROW_STRING},
        EIGHT(0xb0, {.h = &h_mov_ei, .flags = B | ROW_OPREG | ROW_IB}),
        EIGHT(0xb8, {.h = &h_mov_ei, .flags = ROW_OPREG | ROW_IV}),
        [0xc0] = {.by = SUB_REG, .sub = group2_c0},
        [0xc1] = {.by = SUB_REG, .sub = group2_c1},
        [0xc2] = {.fn = op_ret, .flags = ROW_IW | ROW_F64 | ROW_BRANCH},
        [0xc3] = {.fn = op_ret, .flags = ROW_F64 | ROW_BRANCH},
        [0xc4] = {.by = SUB_LONG, .sub = load_far_vex},
        [0xc5] = {.by = SUB_LONG, .sub = load_far_vex},
        [0xc6] = {.by = SUB_REG, .sub = group11_c6},
        [0xc7] = {.by = SUB_REG, .sub = group11_c7},
        [0xc8] = {.fn = op_enter, .flags = ROW_IW | ROW_IB | ROW_D64},
        [0xc9] = {.fn = op_leave, .flags = ROW_D64},
        [0xca] = {.fn = op_ret_far, .flags = ROW_IW | ROW_BRANCH},
        [0xcb] = {.fn = op_ret_far, .flags = ROW_BRANCH},
        [0xcc] = {.fn = op_int3, .flags = ROW_BRANCH},
        [0xcd] = {.fn = op_int, .flags = ROW_IB | ROW_IU | ROW_BRANCH},
        [0xce] = {.fn = op_into, .flags = ROW_NO64 | ROW_BRANCH},
        [0xcf] = {.fn = op_iret, .flags = ROW_BRANCH},
        [0xd0] = {.by = SUB_REG, .sub = group2_d0},
        [0xd1] = {.by = SUB_REG, .sub = group2_d1},
        [0xd2] = {.by = SUB_REG, .sub = group2_d2},
        [0xd3] = {.by = SUB_REG, .sub = group2_d3},
        [0xd4] = {.fn = op_aam, .flags = ROW_IB | ROW_IU | ROW_NO64},
        [0xd5] = {.fn = op_aad, .flags = ROW_IB | ROW_IU | ROW_NO64},
        [0xd6] = {.fn = op_salc, .flags = ROW_NO64},
        [0xd7] = {.fn = op_xlat},
        EIGHT(0xd8, {.fn = op_x87, .flags = M}),
        [0xe0] = {.fn = op_loop, .flags = ROW_IB | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xe1] = {.fn = op_loop, .flags = ROW_IB | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xe2] = {.fn = op_loop, .flags = ROW_IB | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xe3] = {.fn = op_loop, .flags = ROW_IB | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xe4] = {.fn = op_in, .flags = B | ROW_IB | ROW_IU},
        [0xe5] = {.fn = op_in, .flags = ROW_IB | ROW_IU},
        [0xe6] = {.fn = op_out, .flags = B | ROW_IB | ROW_IU},
        [0xe7] = {.fn = op_out, .flags = ROW_IB | ROW_IU},
        [0xe8] = {.fn = op_call_relative, .flags = ROW_IZ | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xe9] = {.fn = op_jmp_relative, .flags = ROW_IZ | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xea] = {.fn = op_jmp_far, .flags = ROW_FAR | ROW_NO64 | ROW_BRANCH},
        [0xeb] = {.fn = op_jmp_relative, .flags = ROW_IB | ROW_F64 | ROW_RELATIVE | ROW_BRANCH},
        [0xec] = {.fn = op_in, .flags = B},
        [0xed] = {.fn = op_in},
        [0xee] = {.fn = op_out, .flags = B},
        [0xef] = {.fn = op_out},
        [0xf1] = {.fn = op_int1, .flags = ROW_BRANCH},
        [0xf4] = {.fn = op_hlt, .flags = ROW_END},
        [0xf5] = {.fn = op_cmc},
        [0xf6] = {.by = SUB_REG, .sub = group3_f6},
        [0xf7] = {.by = SUB_REG, .sub = group3_f7},
        [0xf8] = {.fn = op_clc},
        [0xf9] = {.fn = op_stc},
        [0xfa] = {.fn = op_cli},
        [0xfb] = {.fn = op_sti, .flags = ROW_END},
        [0xfc] = {.fn = op_cld},
        [0xfd] = {.fn = op_std},
        [0xfe] = {.by = SUB_REG, .sub = group4},
        [0xff] = {.by = SUB_REG, .sub = group5},
};
