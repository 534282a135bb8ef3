/*
 * map2: the rows of the opcodes behind 0F but SSE's, which are in map_sse.c (APM 3, appendix A, tables A-3 to
 *
 */
#include "ops.h"

#define M ROW_MODRM
#define B ROW_BYTE

static const struct row group6[8] = {
        {.fn = op_sldt, .flags = ROW_PE},
        {.fn = op_str, .flags = ROW_PE},
        {.fn = op_lldt, .flags = ROW_PE},
        {.fn = op_ltr, .flags = ROW_PE},
        {.fn = op_verr, .flags = ROW_PE},
        {.fn = op_verw, .flags = ROW_PE},
        {.fn = op_invalid},
        {.fn = op_invalid},
};
static const struct row group7_0[8] = {[1] = {.fn = op_vmcall, .flags = ROW_END}};
static const struct row group7_1[8] = {
        [0] = {.fn = op_monitor},
        [1] = {.fn = op_mwait, .flags = ROW_END},
        [2] = {.fn = op_clac, .feature = FEATURE_SMAP},
        [3] = {.fn = op_stac, .feature = FEATURE_SMAP},
};
static const struct row group7_2[8] = {
        [0] = {.fn = op_xgetbv, .feature = FEATURE_XSAVE},
        [1] = {.fn = op_xsetbv, .feature = FEATURE_XSAVE, .flags = ROW_END},
};
static const struct row group7_3[8] = {[1] = {.fn = op_vmmcall, .flags = ROW_END}};
static const struct row group7_7[8] = {
        [0] = {.fn = op_swapgs, .flags = ROW_ONLY64},
        [1] = {.fn = op_rdtscp, .feature = FEATURE_RDTSCP},
};
#define MEM_OR_RM(name, ...) \
	static const struct row name##_mod[2] = {{__VA_ARGS__}, {.by = SUB_RM, .sub = name}}
MEM_OR_RM(group7_0, .fn = op_sgdt);
MEM_OR_RM(group7_1, .fn = op_sidt);
MEM_OR_RM(group7_2, .fn = op_lgdt);
MEM_OR_RM(group7_3, .fn = op_lidt);
MEM_OR_RM(group7_7, .fn = op_invlpg, .flags = ROW_END);
static const struct row group7[8] = {
        {.by = SUB_MOD, .sub = group7_0_mod},
        {.by = SUB_MOD, .sub = group7_1_mod},
        {.by = SUB_MOD, .sub = group7_2_mod},
        {.by = SUB_MOD, .sub = group7_3_mod},
        {.fn = op_smsw},
        {.fn = op_invalid},
        {.fn = op_lmsw, .flags = ROW_END},
        {.by = SUB_MOD, .sub = group7_7_mod},
};
static const struct row group8[8] = {
        {.fn = op_invalid},
        {.fn = op_invalid},
        {.fn = op_invalid},
        {.fn = op_invalid},
        {.h = &h_bt_ei, .flags = ROW_IB | ROW_IU},
        {.h = &h_bts_ei, .flags = ROW_IB | ROW_IU | ROW_LOCK},
        {.h = &h_btr_ei, .flags = ROW_IB | ROW_IU | ROW_LOCK},
        {.h = &h_btc_ei, .flags = ROW_IB | ROW_IU | ROW_LOCK},
};
static const struct row group9_4[4] = {{.fn = op_xsavec, .flags = ROW_MEM, .feature = FEATURE_XSAVEC},
        {.fn = op_invalid}, {.fn = op_invalid}, {.fn = op_invalid}};
static const struct row group9_6[2] = {{0}, {.fn = op_rdrand, .feature = FEATURE_RDRAND}};
static const struct row group9_7_f3[2] = {{0}, {.fn = op_rdpid, .feature = FEATURE_RDPID}};
static const struct row group9_7_none[2] = {{0}, {.fn = op_rdrand, .feature = FEATURE_RDSEED}};
static const struct row group9_7[4] = {
        {.by = SUB_MOD, .sub = group9_7_none},
        {.by = SUB_MOD, .sub = group9_7_none},
        {.by = SUB_MOD, .sub = group9_7_f3},
};
static const struct row group9[8] = {
        [0] = {.fn = op_invalid},
        [1] = {.fn = op_cmpxchg_pair, .flags = ROW_MEM | ROW_LOCK},
        [4] = {.by = SUB_PREFIX, .sub = group9_4},
        [6] = {.by = SUB_MOD, .sub = group9_6},
        [7] = {.by = SUB_PREFIX, .sub = group9_7},
};
static const struct row group15_mem[8] = {
        {.fn = op_fxsave}, {.fn = op_fxrstor}, {.fn = op_ldmxcsr}, {.fn = op_stmxcsr},
        {.fn = op_xsave, .feature = FEATURE_XSAVE}, {.fn = op_xrstor, .feature = FEATURE_XSAVE},
        {.fn = op_xsaveopt, .feature = FEATURE_XSAVEOPT}, {.fn = op_fence}, /* CLFLUSH */
};
static const struct row group15_reg[8] = {
        [5] = {.fn = op_fence},
        [6] = {.fn = op_fence},
        [7] = {.fn = op_fence},
};
static const struct row group15_66_mem[8] = {
        [0] = {.fn = op_invalid},
        [1] = {.fn = op_invalid},
        [2] = {.fn = op_invalid},
        [3] = {.fn = op_invalid},
        [4] = {.fn = op_invalid},
        [5] = {.fn = op_invalid},
        [6] = {.fn = op_fence, .feature = FEATURE_CLWB},
        [7] = {.fn = op_fence, .feature = FEATURE_CLFLUSHOPT},
};
static const struct row group15_f3_reg[8] = {
        {.fn = op_rdfsbase, .feature = FEATURE_FSGSBASE, .flags = ROW_ONLY64},
        {.fn = op_rdfsbase, .feature = FEATURE_FSGSBASE, .flags = ROW_ONLY64},
        {.fn = op_wrfsbase, .feature = FEATURE_FSGSBASE, .flags = ROW_ONLY64},
        {.fn = op_wrfsbase, .feature = FEATURE_FSGSBASE, .flags = ROW_ONLY64},
};
static const struct row group15_none_mod[2] = {
        {.by = SUB_REG, .sub = group15_mem}, {.by = SUB_REG, .sub = group15_reg}};
static const struct row group15_66_mod[2] = {{.by = SUB_REG, .sub = group15_66_mem}, {0}};
static const struct row group15_f3_mod[2] = {{0}, {.by = SUB_REG, .sub = group15_f3_reg}};
static const struct row group15[4] = {
        {.by = SUB_MOD, .sub = group15_none_mod},
        {.by = SUB_MOD, .sub = group15_66_mod},
        {.by = SUB_MOD, .sub = group15_f3_mod},
};
static const struct row emms[4] = {
        {.fn = op_emms}, {.fn = op_invalid}, {.fn = op_invalid}, {.fn = op_invalid}};
static const struct row popcnt[4] = {[2] = {.fn = op_popcnt, .flags = M, .feature = FEATURE_POPCNT}};
static const struct row bsf[4] = {{.fn = op_bsf, .flags = M}, {.fn = op_bsf, .flags = M},
        {.fn = op_tzcnt, .flags = M}, {.fn = op_bsf, .flags = M}};
static const struct row bsr[4] = {{.fn = op_bsr, .flags = M}, {.fn = op_bsr, .flags = M},
        {.fn = op_lzcnt, .flags = M}, {.fn = op_bsr, .flags = M}};

#define EIGHT(at, ...) \
	[(at) + 0] = __VA_ARGS__, [(at) + 1] = __VA_ARGS__, [(at) + 2] = __VA_ARGS__, \
	        [(at) + 3] = __VA_ARGS__, [(at) + 4] = __VA_ARGS__, [(at) + 5] = __VA_ARGS__, \
	        [(at) + 6] = __VA_ARGS__, [(at) + 7] = __VA_ARGS__

const struct row sim_map2[256] = {
        [0x00] = {.by = SUB_REG, .sub = group6},
        [0x01] = {.by = SUB_REG, .sub = group7},
        [0x02] = {.fn = op_lar, .flags = M | ROW_PE},
        [0x03] = {.fn = op_lsl, .flags = M | ROW_PE},
        [0x05] = {.fn = op_syscall, .flags = ROW_BRANCH},
        [0x06] = {.fn = op_clts},
        [0x07] = {.fn = op_sysret, .flags = ROW_BRANCH},
        [0x08] = {.fn = op_wbinvd},
        [0x09] = {.fn = op_wbinvd},
        [0x0b] = {.fn = op_invalid},
        [0x0d] = {.fn = op_nop, .flags = M | ROW_MEM},
        EIGHT(0x18, {.fn = op_nop, .flags = M}),
        [0x20] = {.fn = op_mov_from_cr, .flags = M},
        [0x21] = {.fn = op_mov_from_dr, .flags = M},
        [0x22] = {.fn = op_mov_to_cr, .flags = M | ROW_END},
        [0x23] = {.fn = op_mov_to_dr, .flags = M | ROW_END},
        [0x30] = {.fn = op_wrmsr, .flags = ROW_END},
        [0x31] = {.fn = op_rdtsc},
        [0x32] = {.fn = op_rdmsr},
        [0x33] = {.fn = op_rdpmc},
        [0x34] = {.fn = op_sysenter, .flags = ROW_BRANCH},
        [0x35] = {.fn = op_sysexit, .flags = ROW_BRANCH},
        EIGHT(0x40, {.flags = ROW_CMOV | M}),
        EIGHT(0x48, {.flags = ROW_CMOV | M}),
        [0x77] = {.by = SUB_PREFIX, .sub = emms},
        EIGHT(0x80, {.flags = ROW_JCC | ROW_IZ | ROW_F64 | ROW_RELATIVE}),
        EIGHT(0x88, {.flags = ROW_JCC | ROW_IZ | ROW_F64 | ROW_RELATIVE}),
        EIGHT(0x90, {.flags = ROW_SETCC | M | B}),
        EIGHT(0x98, {.flags = ROW_SETCC | M | B}),
        [0xa0] = {.fn = op_push_seg, .flags = ROW_D64},
        [0xa1] = {.fn = op_pop_seg, .flags = ROW_D64},
        [0xa2] = {.fn = op_cpuid},
        [0xa3] = {.h = &h_bt_eg, .flags = M},
        [0xa4] = {.h = &h_shld_ei, .flags = M | ROW_IB | ROW_IU},
        [0xa5] = {.h = &h_shld_ec, .flags = M},
        [0xa8] = {.fn = op_push_seg, .flags = ROW_D64},
        [0xa9] = {.fn = op_pop_seg, .flags = ROW_D64},
        [0xab] = {.h = &h_bts_eg, .flags = M | ROW_LOCK},
        [0xac] = {.h = &h_shrd_ei, .flags = M | ROW_IB | ROW_IU},
        [0xad] = {.h = &h_shrd_ec, .flags = M},
        [0xae] = {.by = SUB_PREFIX, .sub = group15, .flags = M},
        [0xaf] = {.h = &h_imul_ge, .flags = M},
        [0xb0] = {.h = &h_cmpxchg, .flags = M | B | ROW_LOCK},
        [0xb1] = {.h = &h_cmpxchg, .flags = M | ROW_LOCK},
        [0xb2] = {.fn = op_load_far, .flags = M | ROW_MEM | ROW_END},
        [0xb3] = {.h = &h_btr_eg, .flags = M | ROW_LOCK},
        [0xb4] = {.fn = op_load_far, .flags = M | ROW_MEM},
        [0xb5] = {.fn = op_load_far, .flags = M | ROW_MEM},
        [0xb6] = {.h = &h_movzx8, .flags = M},
        [0xb7] = {.h = &h_movzx16, .flags = M},
        [0xb8] = {.by = SUB_PREFIX, .sub = popcnt},
        [0xb9] = {.fn = op_invalid, .flags = M},
        [0xba] = {.by = SUB_REG, .sub = group8},
        [0xbb] = {.h = &h_btc_eg, .flags = M | ROW_LOCK},
        [0xbc] = {.by = SUB_PREFIX, .sub = bsf},
        [0xbd] = {.by = SUB_PREFIX, .sub = bsr},
        [0xbe] = {.h = &h_movsx8, .flags = M},
        [0xbf] = {.h = &h_movsx16, .flags = M},
        [0xc0] = {.h = &h_xadd, .flags = M | B | ROW_LOCK},
        [0xc1] = {.h = &h_xadd, .flags = M | ROW_LOCK},
        [0xc7] = {.by = SUB_REG, .sub = group9},
        EIGHT(0xc8, {.fn = op_bswap, .flags = ROW_OPREG}),
        [0xff] = {.fn = op_invalid, .flags = M},
};
