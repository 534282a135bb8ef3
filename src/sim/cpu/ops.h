/*
 * ops: every handler that a row of the opcode maps names, and the macros that gather handlers by operand
 * size.
 */
#ifndef SIM_CPU_OPS_H
#define SIM_CPU_OPS_H

#include "flags.h"

/*
 * A handler is written once, as an inline function whose last parameter is the operand's size in bytes:
 * name_r for a register, name_m for memory, name_l for memory with LOCK. The macros below make a handler for
 * each size of it, and put them into the table h_name. WIDE: there is no form for bytes.
 */
#define SIZED(name, N) \
	static void name##N(struct sim_cpu *cpu, const struct sim_op *op) \
	{ \
		name(cpu, op, N / 8); \
	}
#define SIZES_WIDE(name) SIZED(name, 16) SIZED(name, 32) SIZED(name, 64)
#define SIZES(name)      SIZED(name, 8) SIZES_WIDE(name)
/* clang-format off */
#define OF_SIZES(name)      {name##8, name##16, name##32, name##64}
#define OF_SIZES_WIDE(name) {NULL, name##16, name##32, name##64}
/* clang-format on */
#define HANDLERS_RML(name) \
	SIZES(name##_r) \
	SIZES(name##_m) \
	SIZES(name##_l) \
	const struct sim_handlers h_##name = { \
	        .r = OF_SIZES(name##_r), .m = OF_SIZES(name##_m), .l = OF_SIZES(name##_l)}
#define HANDLERS_RM(name) \
	SIZES(name##_r) \
	SIZES(name##_m) \
	const struct sim_handlers h_##name = {.r = OF_SIZES(name##_r), .m = OF_SIZES(name##_m)}
#define HANDLERS_M(name) \
	SIZES(name##_m) \
	const struct sim_handlers h_##name = {.m = OF_SIZES(name##_m)}
#define HANDLERS_WIDE_RML(name) \
	SIZES_WIDE(name##_r) \
	SIZES_WIDE(name##_m) \
	SIZES_WIDE(name##_l) \
	const struct sim_handlers h_##name = { \
	        .r = OF_SIZES_WIDE(name##_r), .m = OF_SIZES_WIDE(name##_m), .l = OF_SIZES_WIDE(name##_l)}
#define HANDLERS_WIDE_RM(name) \
	SIZES_WIDE(name##_r) \
	SIZES_WIDE(name##_m) \
	const struct sim_handlers h_##name = {.r = OF_SIZES_WIDE(name##_r), .m = OF_SIZES_WIDE(name##_m)}
#define HANDLERS_WIDE_M(name) \
	SIZES_WIDE(name##_m) \
	const struct sim_handlers h_##name = {.m = OF_SIZES_WIDE(name##_m)}

#define EACH_CONDITION(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

enum sim_condition { CONDITION_SET_R, CONDITION_SET_M, CONDITION_MOVE };
sim_op_fn *sim_condition_handler(enum sim_condition what, unsigned cc);
extern sim_op_fn *const sim_jcc[16];

/* int_alu.c */
extern const struct sim_handlers h_add_eg, h_add_ge, h_add_ei, h_or_eg, h_or_ge, h_or_ei, h_adc_eg, h_adc_ge,
        h_adc_ei, h_sbb_eg, h_sbb_ge, h_sbb_ei, h_and_eg, h_and_ge, h_and_ei, h_sub_eg, h_sub_ge, h_sub_ei,
        h_xor_eg, h_xor_ge, h_xor_ei, h_cmp_eg, h_cmp_ge, h_cmp_ei, h_test_eg, h_test_ei, h_inc_e, h_dec_e,
        h_neg_e, h_not_e, h_xadd, h_cmpxchg;
sim_op_fn op_cmpxchg_pair;

/* int_shift.c */
extern const struct sim_handlers h_rol_ei, h_rol_ec, h_ror_ei, h_ror_ec, h_rcl_ei, h_rcl_ec, h_rcr_ei,
        h_rcr_ec, h_shl_ei, h_shl_ec, h_shr_ei, h_shr_ec, h_sar_ei, h_sar_ec, h_shld_ei, h_shld_ec, h_shrd_ei,
        h_shrd_ec;

/* int_mul.c */
extern const struct sim_handlers h_mul_e, h_imul_e, h_div_e, h_idiv_e, h_imul_ge, h_imul_gei;
sim_op_fn op_daa, op_das, op_aaa, op_aas, op_aam, op_aad;

/* int_bit.c */
extern const struct sim_handlers h_bt_eg, h_bt_ei, h_bts_eg, h_bts_ei, h_btr_eg, h_btr_ei, h_btc_eg, h_btc_ei;
sim_op_fn op_bsf, op_bsr, op_tzcnt, op_lzcnt, op_popcnt, op_bswap, op_movbe_load, op_movbe_store, op_crc32,
        op_adcx, op_adox, op_rdrand;

/* int_move.c */
extern const struct sim_handlers h_mov_eg, h_mov_ge, h_mov_ei, h_moffs_load, h_moffs_store, h_xchg, h_movzx8,
        h_movzx16, h_movsx8, h_movsx16, h_movsxd, h_lea, h_push, h_pop;
sim_op_fn op_push_imm, op_pusha, op_popa, op_enter, op_leave, op_cbw, op_cwd, op_xlat, op_lahf, op_sahf,
        op_salc, op_cmc, op_clc, op_stc, op_cld, op_std, op_nop, op_pause, op_bound;

/* branch.c */
sim_op_fn op_jmp_relative, op_call_relative, op_jmp_indirect, op_call_indirect, op_ret, op_loop;

/* string.c */
sim_op_fn op_movs, op_stos, op_lods, op_scas, op_cmps, op_ins, op_outs;

/* io.c */
sim_op_fn op_in, op_out;

/* segment.c, far.c, interrupt.c */
sim_op_fn op_mov_from_seg, op_mov_to_seg, op_push_seg, op_pop_seg, op_load_far, op_call_far, op_jmp_far,
        op_call_far_indirect, op_jmp_far_indirect, op_ret_far, op_iret, op_int, op_int3, op_into, op_int1,
        op_syscall, op_sysret, op_sysenter, op_sysexit, op_lar, op_lsl, op_verr, op_verw, op_sldt, op_str,
        op_lldt, op_ltr, op_arpl;

/* system.c */
sim_op_fn op_hlt, op_cli, op_sti, op_pushf, op_popf, op_lgdt, op_lidt, op_sgdt, op_sidt, op_smsw, op_lmsw,
        op_clts, op_invlpg, op_wbinvd, op_mov_from_cr, op_mov_to_cr, op_mov_from_dr, op_mov_to_dr, op_rdmsr,
        op_wrmsr, op_rdtsc, op_rdtscp, op_rdpmc, op_cpuid, op_swapgs, op_clac, op_stac, op_vmcall, op_vmmcall,
        op_monitor, op_mwait, op_xgetbv, op_xsetbv, op_rdfsbase, op_wrfsbase, op_rdpid, op_fence;

/* fpu.c, x87.c */
sim_op_fn op_x87, op_fwait, op_fxsave, op_fxrstor, op_ldmxcsr, op_stmxcsr, op_xsave, op_xrstor, op_xsaveopt,
        op_xsavec, op_emms;

/* sse*.c */
#define SSE_OP(name) extern sim_op_fn op_##name;
#include "sse_list.h"
#undef SSE_OP

/* ---- rows of the opcode maps (map1.c, map2.c, map3.c) ---- */

enum row_flag {
	ROW_MODRM = 1 << 0,
	ROW_BYTE = 1 << 1,      /* 8-bit operand */
	ROW_IB = 1 << 2,        /* immediate byte, sign-extended */
	ROW_IZ = 1 << 3,        /* immediate of 16 or 32 bits, sign-extended */
	ROW_IV = 1 << 4,        /* immediate of the operand's size */
	ROW_IW = 1 << 5,        /* immediate of 16 bits; with IB: then a byte (ENTER) */
	ROW_IU = 1 << 6,        /* the immediate byte is not sign-extended */
	ROW_ONE = 1 << 7,       /* the immediate is 1 */
	ROW_MOFFS = 1 << 8,     /* an address of the address size */
	ROW_FAR = 1 << 9,       /* offset of the operand's size, selector */
	ROW_RELATIVE = 1 << 10, /* the immediate is relative to the next instruction */
	ROW_OPREG = 1 << 11,    /* rm is the register in the opcode */
	ROW_ACC = 1 << 12,      /* rm is the accumulator */
	ROW_D64 = 1 << 13,      /* 64 bits by default in 64-bit mode, 16 with 66 */
	ROW_F64 = 1 << 14,      /* likewise; of near branches, where Intel's processors ignore 66 */
	ROW_Y = 1 << 15,        /* 32 bits, 64 with REX.W; 66 does not count */
	ROW_LOCK = 1 << 16,     /* LOCK is allowed with a memory destination */
	ROW_END = 1 << 17,      /* ends a block */
	ROW_BRANCH = 1 << 18,   /* sets rip; ends a block */
	ROW_STRING = 1 << 19,   /* with REP or REPNE a branch: maybe to itself */
	ROW_NO64 = 1 << 20,
	ROW_MEM = 1 << 21, /* a register operand is #UD */
	ROW_REG = 1 << 22, /* a memory operand is #UD */
	ROW_JCC = 1 << 23,
	ROW_SETCC = 1 << 24,
	ROW_CMOV = 1 << 25,
	ROW_PE = 1 << 26,   /* #UD in real and virtual 8086 mode */
	ROW_RM16 = 1 << 27, /* a register operand has the operand's size, memory 16 bits (SLDT and others) */
	ROW_ONLY64 = 1 << 28,
};

enum row_sub { SUB_NONE, SUB_REG, SUB_PREFIX, SUB_MOD, SUB_RM, SUB_LONG };

/* How an opcode is decoded and by what it is executed; an empty row is not implemented. */
struct row {
	sim_op_fn *fn;
	const struct sim_handlers *h;
	const struct row *sub; /* by /reg (8), prefix none 66 F3 F2 (4), memory or register (2), rm (8),
	                          64-bit mode (2) */
	u32 flags;
	u32 feature;
	u8 by; /* enum row_sub */
};

extern const struct row sim_map1[256], sim_map2[256], sim_map38[256];
extern const struct row sim_map_sse[256][4], sim_map38_sse[256], sim_map3a_sse[256], sim_map38_mmx[256],
        sim_map3a_mmx[256];

#endif
