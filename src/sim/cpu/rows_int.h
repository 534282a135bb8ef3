/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_int: the rows of the general instructions, whose opcodes have one byte or follow 0F or 0F 38 (APM 3,
 * appendix A). rows.h says what the letters mean. ops.h includes this list to declare the handlers, and
 * rows.c to make the rows.
 *
 *   SIZED  the handlers are h_NAME, by the operand's size      PLAIN  the handler is op_NAME, for all sizes
 *   SIZED8, PLAIN8  the same for eight opcodes from this one on; COND8: the condition chooses the handler
 *   SPLIT  a group's row is taken by REG, PREFIX, MOD, RM or LONG
 */
/* clang-format off */

#define ALU(at, name, lock) \
	SIZED(MAP_1, (at) + 0, name##_eg, Eb,  Gb,  _, lock, NONE) \
	SIZED(MAP_1, (at) + 1, name##_eg, Ev,  Gv,  _, lock, NONE) \
	SIZED(MAP_1, (at) + 2, name##_ge, Gb,  Eb,  _, 0,    NONE) \
	SIZED(MAP_1, (at) + 3, name##_ge, Gv,  Ev,  _, 0,    NONE) \
	SIZED(MAP_1, (at) + 4, name##_ei, AL,  sIb, _, 0,    NONE) \
	SIZED(MAP_1, (at) + 5, name##_ei, rAX, sIz, _, 0,    NONE)
#define SEGMENT(at) \
	PLAIN(MAP_1, (at) + 0, push_seg,  Sw,  _,   _, ROW_D64 | ROW_NO64,           NONE) \
	PLAIN(MAP_1, (at) + 1, pop_seg,   Sw,  _,   _, ROW_D64 | ROW_NO64 | ROW_END, NONE)

/* ---- one byte ---- */

ALU(0x00, add, ROW_LOCK)
ALU(0x08, or,  ROW_LOCK)
ALU(0x10, adc, ROW_LOCK)
ALU(0x18, sbb, ROW_LOCK)
ALU(0x20, and, ROW_LOCK)
ALU(0x28, sub, ROW_LOCK)
ALU(0x30, xor, ROW_LOCK)
ALU(0x38, cmp, 0)
SEGMENT(0x06)
PLAIN( MAP_1, 0x0e, push_seg,      Sw,  _,   _,   ROW_NO64,                        NONE)
SEGMENT(0x16)
SEGMENT(0x1e)
PLAIN( MAP_1, 0x27, daa,           _,   _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0x2f, das,           _,   _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0x37, aaa,           _,   _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0x3f, aas,           _,   _,   _,   ROW_NO64,                        NONE)
SIZED8(MAP_1, 0x40, inc_e,         Zv,  _,   _,   ROW_NO64,                        NONE)
SIZED8(MAP_1, 0x48, dec_e,         Zv,  _,   _,   ROW_NO64,                        NONE)
SIZED8(MAP_1, 0x50, push,          Zv,  _,   _,   ROW_D64,                         NONE)
SIZED8(MAP_1, 0x58, pop,           Zv,  _,   _,   ROW_D64,                         NONE)
PLAIN( MAP_1, 0x60, pusha,         _,   _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0x61, popa,          _,   _,   _,   ROW_NO64,                        NONE)
SPLIT( MAP_1, 0x62, LONG,          GROUP_62, 0)
SPLIT( MAP_1, 0x63, LONG,          GROUP_63, 0)
PLAIN( MAP_1, 0x68, push_imm,      sIz, _,   _,   ROW_D64,                         NONE)
SIZED( MAP_1, 0x69, imul_gei,      Gv,  Ev,  sIz, 0,                               NONE)
PLAIN( MAP_1, 0x6a, push_imm,      sIb, _,   _,   ROW_D64,                         NONE)
SIZED( MAP_1, 0x6b, imul_gei,      Gv,  Ev,  sIb, 0,                               NONE)
PLAIN( MAP_1, 0x6c, ins,           Yb,  DX,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0x6d, ins,           Yv,  DX,  _,   ROW_STRING | ROW_Y,              NONE)
PLAIN( MAP_1, 0x6e, outs,          DX,  Xb,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0x6f, outs,          DX,  Xv,  _,   ROW_STRING | ROW_Y,              NONE)
COND8( MAP_1, 0x70,                Jb,       ROW_JCC | ROW_F64)
COND8( MAP_1, 0x78,                Jb,       ROW_JCC | ROW_F64)
SPLIT( MAP_1, 0x80, REG,           GROUP_1_80, 0)
SPLIT( MAP_1, 0x81, REG,           GROUP_1_81, 0)
SPLIT( MAP_1, 0x82, REG,           GROUP_1_82, 0)
SPLIT( MAP_1, 0x83, REG,           GROUP_1_83, 0)
SIZED( MAP_1, 0x84, test_eg,       Eb,  Gb,  _,   0,                               NONE)
SIZED( MAP_1, 0x85, test_eg,       Ev,  Gv,  _,   0,                               NONE)
SIZED( MAP_1, 0x86, xchg,          Eb,  Gb,  _,   ROW_LOCK,                        NONE)
SIZED( MAP_1, 0x87, xchg,          Ev,  Gv,  _,   ROW_LOCK,                        NONE)
SIZED( MAP_1, 0x88, mov_eg,        Eb,  Gb,  _,   0,                               NONE)
SIZED( MAP_1, 0x89, mov_eg,        Ev,  Gv,  _,   0,                               NONE)
SIZED( MAP_1, 0x8a, mov_ge,        Gb,  Eb,  _,   0,                               NONE)
SIZED( MAP_1, 0x8b, mov_ge,        Gv,  Ev,  _,   0,                               NONE)
PLAIN( MAP_1, 0x8c, mov_from_seg,  Ev,  Sw,  _,   0,                               NONE)
SIZED( MAP_1, 0x8d, lea,           Gv,  M,   _,   0,                               NONE)
PLAIN( MAP_1, 0x8e, mov_to_seg,    Sw,  Ew,  _,   ROW_END,                         NONE)
SPLIT( MAP_1, 0x8f, REG,           GROUP_1A, 0)
SIZED8(MAP_1, 0x90, xchg,          Zv,  rAX, _,   ROW_NOP,                         NONE)
PLAIN( MAP_1, 0x98, cbw,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0x99, cwd,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0x9a, call_far,      Ap,  _,   _,   ROW_NO64 | ROW_BRANCH,           NONE)
PLAIN( MAP_1, 0x9b, fwait,         _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0x9c, pushf,         _,   _,   _,   ROW_D64,                         NONE)
PLAIN( MAP_1, 0x9d, popf,          _,   _,   _,   ROW_D64 | ROW_END,               NONE)
PLAIN( MAP_1, 0x9e, sahf,          _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0x9f, lahf,          _,   _,   _,   0,                               NONE)
SIZED( MAP_1, 0xa0, moffs_load,    AL,  Ob,  _,   0,                               NONE)
SIZED( MAP_1, 0xa1, moffs_load,    rAX, Ov,  _,   0,                               NONE)
SIZED( MAP_1, 0xa2, moffs_store,   Ob,  AL,  _,   0,                               NONE)
SIZED( MAP_1, 0xa3, moffs_store,   Ov,  rAX, _,   0,                               NONE)
PLAIN( MAP_1, 0xa4, movs,          Yb,  Xb,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xa5, movs,          Yv,  Xv,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xa6, cmps,          Yb,  Xb,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xa7, cmps,          Yv,  Xv,  _,   ROW_STRING,                      NONE)
SIZED( MAP_1, 0xa8, test_ei,       AL,  sIb, _,   0,                               NONE)
SIZED( MAP_1, 0xa9, test_ei,       rAX, sIz, _,   0,                               NONE)
PLAIN( MAP_1, 0xaa, stos,          Yb,  AL,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xab, stos,          Yv,  rAX, _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xac, lods,          AL,  Xb,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xad, lods,          rAX, Xv,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xae, scas,          AL,  Yb,  _,   ROW_STRING,                      NONE)
PLAIN( MAP_1, 0xaf, scas,          rAX, Yv,  _,   ROW_STRING,                      NONE)
SIZED8(MAP_1, 0xb0, mov_ei,        Zb,  sIb, _,   0,                               NONE)
SIZED8(MAP_1, 0xb8, mov_ei,        Zv,  Iv,  _,   0,                               NONE)
SPLIT( MAP_1, 0xc0, REG,           GROUP_2_C0, 0)
SPLIT( MAP_1, 0xc1, REG,           GROUP_2_C1, 0)
PLAIN( MAP_1, 0xc2, ret,           Iw,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xc3, ret,           _,   _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
SPLIT( MAP_1, 0xc4, LONG,          GROUP_C4, 0)
SPLIT( MAP_1, 0xc5, LONG,          GROUP_C4, 0)
SPLIT( MAP_1, 0xc6, REG,           GROUP_11_C6, 0)
SPLIT( MAP_1, 0xc7, REG,           GROUP_11_C7, 0)
PLAIN( MAP_1, 0xc8, enter,         Iw,  sIb, _,   ROW_D64,                         NONE)
PLAIN( MAP_1, 0xc9, leave,         _,   _,   _,   ROW_D64,                         NONE)
PLAIN( MAP_1, 0xca, ret_far,       Iw,  _,   _,   ROW_BRANCH,                      NONE)
PLAIN( MAP_1, 0xcb, ret_far,       _,   _,   _,   ROW_BRANCH,                      NONE)
PLAIN( MAP_1, 0xcc, int3,          _,   _,   _,   ROW_BRANCH,                      NONE)
PLAIN( MAP_1, 0xcd, int,           Ib,  _,   _,   ROW_BRANCH,                      NONE)
PLAIN( MAP_1, 0xce, into,          _,   _,   _,   ROW_NO64 | ROW_BRANCH,           NONE)
PLAIN( MAP_1, 0xcf, iret,          _,   _,   _,   ROW_BRANCH,                      NONE)
SPLIT( MAP_1, 0xd0, REG,           GROUP_2_D0, 0)
SPLIT( MAP_1, 0xd1, REG,           GROUP_2_D1, 0)
SPLIT( MAP_1, 0xd2, REG,           GROUP_2_D2, 0)
SPLIT( MAP_1, 0xd3, REG,           GROUP_2_D3, 0)
PLAIN( MAP_1, 0xd4, aam,           Ib,  _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0xd5, aad,           Ib,  _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0xd6, salc,          _,   _,   _,   ROW_NO64,                        NONE)
PLAIN( MAP_1, 0xd7, xlat,          _,   _,   _,   0,                               NONE)
PLAIN8(MAP_1, 0xd8, x87,           Ev,  _,   _,   0,                               NONE)
PLAIN( MAP_1, 0xe0, loop,          Jb,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xe1, loop,          Jb,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xe2, loop,          Jb,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xe3, loop,          Jb,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xe4, in,            AL,  Ib,  _,   0,                               NONE)
PLAIN( MAP_1, 0xe5, in,            rAX, Ib,  _,   0,                               NONE)
PLAIN( MAP_1, 0xe6, out,           Ib,  AL,  _,   0,                               NONE)
PLAIN( MAP_1, 0xe7, out,           Ib,  rAX, _,   0,                               NONE)
PLAIN( MAP_1, 0xe8, call_relative, Jz,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xe9, jmp_relative,  Jz,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xea, jmp_far,       Ap,  _,   _,   ROW_NO64 | ROW_BRANCH,           NONE)
PLAIN( MAP_1, 0xeb, jmp_relative,  Jb,  _,   _,   ROW_F64 | ROW_BRANCH,            NONE)
PLAIN( MAP_1, 0xec, in,            AL,  DX,  _,   0,                               NONE)
PLAIN( MAP_1, 0xed, in,            rAX, DX,  _,   0,                               NONE)
PLAIN( MAP_1, 0xee, out,           DX,  AL,  _,   0,                               NONE)
PLAIN( MAP_1, 0xef, out,           DX,  rAX, _,   0,                               NONE)
PLAIN( MAP_1, 0xf1, int1,          _,   _,   _,   ROW_BRANCH,                      NONE)
PLAIN( MAP_1, 0xf4, hlt,           _,   _,   _,   ROW_END,                         NONE)
PLAIN( MAP_1, 0xf5, cmc,           _,   _,   _,   0,                               NONE)
SPLIT( MAP_1, 0xf6, REG,           GROUP_3_F6, 0)
SPLIT( MAP_1, 0xf7, REG,           GROUP_3_F7, 0)
PLAIN( MAP_1, 0xf8, clc,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0xf9, stc,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0xfa, cli,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0xfb, sti,           _,   _,   _,   ROW_END,                         NONE)
PLAIN( MAP_1, 0xfc, cld,           _,   _,   _,   0,                               NONE)
PLAIN( MAP_1, 0xfd, std,           _,   _,   _,   0,                               NONE)
SPLIT( MAP_1, 0xfe, REG,           GROUP_4, 0)
SPLIT( MAP_1, 0xff, REG,           GROUP_5, 0)

/* ---- groups of the one-byte opcodes ---- */

#define ALU_GROUP(group, e, i, also) \
	SIZED(group, 0, add_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 1, or_ei,  e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 2, adc_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 3, sbb_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 4, and_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 5, sub_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 6, xor_ei, e, i, _, (also) | ROW_LOCK, NONE) \
	SIZED(group, 7, cmp_ei, e, i, _, also,              NONE)
ALU_GROUP(GROUP_1_80, Eb, sIb, 0)
ALU_GROUP(GROUP_1_81, Ev, sIz, 0)
ALU_GROUP(GROUP_1_82, Eb, sIb, ROW_NO64)
ALU_GROUP(GROUP_1_83, Ev, sIb, 0)

#define SHIFT_GROUP(group, form, e, by) \
	SIZED(group, 0, rol_##form, e, by, _, 0, NONE) \
	SIZED(group, 1, ror_##form, e, by, _, 0, NONE) \
	SIZED(group, 2, rcl_##form, e, by, _, 0, NONE) \
	SIZED(group, 3, rcr_##form, e, by, _, 0, NONE) \
	SIZED(group, 4, shl_##form, e, by, _, 0, NONE) \
	SIZED(group, 5, shr_##form, e, by, _, 0, NONE) \
	SIZED(group, 6, shl_##form, e, by, _, 0, NONE) \
	SIZED(group, 7, sar_##form, e, by, _, 0, NONE)
SHIFT_GROUP(GROUP_2_C0, ei, Eb, sIb)
SHIFT_GROUP(GROUP_2_C1, ei, Ev, sIb)
SHIFT_GROUP(GROUP_2_D0, ei, Eb, One)
SHIFT_GROUP(GROUP_2_D1, ei, Ev, One)
SHIFT_GROUP(GROUP_2_D2, ec, Eb, CL)
SHIFT_GROUP(GROUP_2_D3, ec, Ev, CL)

#define UNARY_GROUP(group, e, i) \
	SIZED(group, 0, test_ei, e, i, _, 0,        NONE) \
	SIZED(group, 1, test_ei, e, i, _, 0,        NONE) \
	SIZED(group, 2, not_e,   e, _, _, ROW_LOCK, NONE) \
	SIZED(group, 3, neg_e,   e, _, _, ROW_LOCK, NONE) \
	SIZED(group, 4, mul_e,   e, _, _, 0,        NONE) \
	SIZED(group, 5, imul_e,  e, _, _, 0,        NONE) \
	SIZED(group, 6, div_e,   e, _, _, 0,        NONE) \
	SIZED(group, 7, idiv_e,  e, _, _, 0,        NONE)
UNARY_GROUP(GROUP_3_F6, Eb, sIb)
UNARY_GROUP(GROUP_3_F7, Ev, sIz)

SIZED( GROUP_1A,    0, pop,               Ev,  _,   _, ROW_D64,              NONE)
SIZED( GROUP_4,     0, inc_e,             Eb,  _,   _, ROW_LOCK,             NONE)
SIZED( GROUP_4,     1, dec_e,             Eb,  _,   _, ROW_LOCK,             NONE)
SIZED( GROUP_5,     0, inc_e,             Ev,  _,   _, ROW_LOCK,             NONE)
SIZED( GROUP_5,     1, dec_e,             Ev,  _,   _, ROW_LOCK,             NONE)
PLAIN( GROUP_5,     2, call_indirect,     Ev,  _,   _, ROW_F64 | ROW_BRANCH, NONE)
PLAIN( GROUP_5,     3, call_far_indirect, M,   _,   _, ROW_BRANCH,           NONE)
PLAIN( GROUP_5,     4, jmp_indirect,      Ev,  _,   _, ROW_F64 | ROW_BRANCH, NONE)
PLAIN( GROUP_5,     5, jmp_far_indirect,  M,   _,   _, ROW_BRANCH,           NONE)
SIZED( GROUP_5,     6, push,              Ev,  _,   _, ROW_D64,              NONE)
PLAIN( GROUP_5,     7, invalid,           Ev,  _,   _, 0,                    NONE)
SIZED( GROUP_11_C6, 0, mov_ei,            Eb,  sIb, _, 0,                    NONE)
SIZED( GROUP_11_C7, 0, mov_ei,            Ev,  sIz, _, 0,                    NONE)
PLAIN( GROUP_63,    0, arpl,              Ew,  Gv,  _, ROW_PE,               NONE)
SIZED( GROUP_63,    1, movsxd,            Gv,  Ev,  _, 0,                    NONE)
/* In 64-bit mode, and with a register operand, these are the prefixes of AVX. */
PLAIN( GROUP_62,    0, bound,             Gv,  M,   _, 0,                    NONE)
PLAIN( GROUP_C4,    0, load_far,          Gv,  M,   _, 0,                    NONE)

/* ---- behind 0F; what is not here is in rows_sse.h ---- */

SPLIT( MAP_2, 0x00, REG,         GROUP_6, 0)
SPLIT( MAP_2, 0x01, REG,         GROUP_7, 0)
PLAIN( MAP_2, 0x02, lar,         Gv,  Ew,  _,  ROW_PE,             NONE)
PLAIN( MAP_2, 0x03, lsl,         Gv,  Ew,  _,  ROW_PE,             NONE)
PLAIN( MAP_2, 0x05, syscall,     _,   _,   _,  ROW_BRANCH,         NONE)
PLAIN( MAP_2, 0x06, clts,        _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x07, sysret,      _,   _,   _,  ROW_BRANCH,         NONE)
PLAIN( MAP_2, 0x08, wbinvd,      _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x09, wbinvd,      _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x0b, invalid,     _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x0d, nop,         M,   _,   _,  0,                  NONE)
PLAIN8(MAP_2, 0x18, nop,         Ev,  _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x20, mov_from_cr, Ry,  Cy,  _,  ROW_MOD3,           NONE)
PLAIN( MAP_2, 0x21, mov_from_dr, Ry,  Cy,  _,  ROW_MOD3,           NONE)
PLAIN( MAP_2, 0x22, mov_to_cr,   Cy,  Ry,  _,  ROW_MOD3 | ROW_END, NONE)
PLAIN( MAP_2, 0x23, mov_to_dr,   Cy,  Ry,  _,  ROW_MOD3 | ROW_END, NONE)
PLAIN( MAP_2, 0x30, wrmsr,       _,   _,   _,  ROW_END,            NONE)
PLAIN( MAP_2, 0x31, rdtsc,       _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x32, rdmsr,       _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x33, rdpmc,       _,   _,   _,  0,                  NONE)
PLAIN( MAP_2, 0x34, sysenter,    _,   _,   _,  ROW_BRANCH,         NONE)
PLAIN( MAP_2, 0x35, sysexit,     _,   _,   _,  ROW_BRANCH,         NONE)
COND8( MAP_2, 0x40,              Ev,       ROW_CMOV)
COND8( MAP_2, 0x48,              Ev,       ROW_CMOV)
SPLIT( MAP_2, 0x77, PREFIX,      GROUP_EMMS, 0)
COND8( MAP_2, 0x80,              Jz,       ROW_JCC | ROW_F64)
COND8( MAP_2, 0x88,              Jz,       ROW_JCC | ROW_F64)
COND8( MAP_2, 0x90,              Eb,       ROW_SETCC)
COND8( MAP_2, 0x98,              Eb,       ROW_SETCC)
PLAIN( MAP_2, 0xa0, push_seg,    Sw,  _,   _,  ROW_D64,            NONE)
PLAIN( MAP_2, 0xa1, pop_seg,     Sw,  _,   _,  ROW_D64,            NONE)
PLAIN( MAP_2, 0xa2, cpuid,       _,   _,   _,  0,                  NONE)
SIZED( MAP_2, 0xa3, bt_eg,       Ev,  Gv,  _,  0,                  NONE)
SIZED( MAP_2, 0xa4, shld_ei,     Ev,  Gv,  Ib, 0,                  NONE)
SIZED( MAP_2, 0xa5, shld_ec,     Ev,  Gv,  CL, 0,                  NONE)
PLAIN( MAP_2, 0xa8, push_seg,    Sw,  _,   _,  ROW_D64,            NONE)
PLAIN( MAP_2, 0xa9, pop_seg,     Sw,  _,   _,  ROW_D64,            NONE)
SIZED( MAP_2, 0xab, bts_eg,      Ev,  Gv,  _,  ROW_LOCK,           NONE)
SIZED( MAP_2, 0xac, shrd_ei,     Ev,  Gv,  Ib, 0,                  NONE)
SIZED( MAP_2, 0xad, shrd_ec,     Ev,  Gv,  CL, 0,                  NONE)
SPLIT( MAP_2, 0xae, PREFIX,      GROUP_15, ROW_MODRM)
SIZED( MAP_2, 0xaf, imul_ge,     Gv,  Ev,  _,  0,                  NONE)
SIZED( MAP_2, 0xb0, cmpxchg,     Eb,  Gb,  _,  ROW_LOCK,           NONE)
SIZED( MAP_2, 0xb1, cmpxchg,     Ev,  Gv,  _,  ROW_LOCK,           NONE)
PLAIN( MAP_2, 0xb2, load_far,    Gv,  M,   _,  ROW_END,            NONE)
SIZED( MAP_2, 0xb3, btr_eg,      Ev,  Gv,  _,  ROW_LOCK,           NONE)
PLAIN( MAP_2, 0xb4, load_far,    Gv,  M,   _,  0,                  NONE)
PLAIN( MAP_2, 0xb5, load_far,    Gv,  M,   _,  0,                  NONE)
SIZED( MAP_2, 0xb6, movzx8,      Gv,  Eb,  _,  0,                  NONE)
SIZED( MAP_2, 0xb7, movzx16,     Gv,  Ew,  _,  0,                  NONE)
SPLIT( MAP_2, 0xb8, PREFIX,      GROUP_POPCNT, 0)
PLAIN( MAP_2, 0xb9, invalid,     Ev,  _,   _,  0,                  NONE)
SPLIT( MAP_2, 0xba, REG,         GROUP_8, 0)
SIZED( MAP_2, 0xbb, btc_eg,      Ev,  Gv,  _,  ROW_LOCK,           NONE)
SPLIT( MAP_2, 0xbc, PREFIX,      GROUP_BSF, 0)
SPLIT( MAP_2, 0xbd, PREFIX,      GROUP_BSR, 0)
SIZED( MAP_2, 0xbe, movsx8,      Gv,  Eb,  _,  0,                  NONE)
SIZED( MAP_2, 0xbf, movsx16,     Gv,  Ew,  _,  0,                  NONE)
SIZED( MAP_2, 0xc0, xadd,        Eb,  Gb,  _,  ROW_LOCK,           NONE)
SIZED( MAP_2, 0xc1, xadd,        Ev,  Gv,  _,  ROW_LOCK,           NONE)
SPLIT( MAP_2, 0xc7, REG,         GROUP_9, 0)
PLAIN8(MAP_2, 0xc8, bswap,       Zv,  _,   _,  0,                  NONE)
PLAIN( MAP_2, 0xff, invalid,     Ev,  _,   _,  0,                  NONE)

/* ---- groups of the opcodes behind 0F ---- */

PLAIN( GROUP_6,         0, sldt,         Ev, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         1, str,          Ev, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         2, lldt,         Ew, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         3, ltr,          Ew, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         4, verr,         Ew, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         5, verw,         Ew, _,  _, ROW_PE,              NONE)
PLAIN( GROUP_6,         6, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_6,         7, invalid,      Ev, _,  _, 0,                   NONE)
SPLIT( GROUP_7,         0, MOD,          GROUP_7_0, 0)
SPLIT( GROUP_7,         1, MOD,          GROUP_7_1, 0)
SPLIT( GROUP_7,         2, MOD,          GROUP_7_2, 0)
SPLIT( GROUP_7,         3, MOD,          GROUP_7_3, 0)
PLAIN( GROUP_7,         4, smsw,         Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_7,         5, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_7,         6, lmsw,         Ew, _,  _, ROW_END,             NONE)
SPLIT( GROUP_7,         7, MOD,          GROUP_7_7, 0)
PLAIN( GROUP_7_0,       0, sgdt,         M,  _,  _, 0,                   NONE)
SPLIT( GROUP_7_0,       1, RM,           GROUP_7_0_RM, 0)
PLAIN( GROUP_7_0_RM,    1, vmcall,       _,  _,  _, ROW_END,             NONE)
PLAIN( GROUP_7_1,       0, sidt,         M,  _,  _, 0,                   NONE)
SPLIT( GROUP_7_1,       1, RM,           GROUP_7_1_RM, 0)
PLAIN( GROUP_7_1_RM,    0, monitor,      _,  _,  _, 0,                   NONE)
PLAIN( GROUP_7_1_RM,    1, mwait,        _,  _,  _, ROW_END,             NONE)
PLAIN( GROUP_7_1_RM,    2, clac,         _,  _,  _, 0,                   SMAP)
PLAIN( GROUP_7_1_RM,    3, stac,         _,  _,  _, 0,                   SMAP)
PLAIN( GROUP_7_2,       0, lgdt,         M,  _,  _, 0,                   NONE)
SPLIT( GROUP_7_2,       1, RM,           GROUP_7_2_RM, 0)
PLAIN( GROUP_7_2_RM,    0, xgetbv,       _,  _,  _, 0,                   XSAVE)
PLAIN( GROUP_7_2_RM,    1, xsetbv,       _,  _,  _, ROW_END,             XSAVE)
PLAIN( GROUP_7_3,       0, lidt,         M,  _,  _, 0,                   NONE)
SPLIT( GROUP_7_3,       1, RM,           GROUP_7_3_RM, 0)
PLAIN( GROUP_7_3_RM,    0, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    1, vmmcall,      _,  _,  _, ROW_END,             NONE)
PLAIN( GROUP_7_3_RM,    2, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    3, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    4, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    5, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    6, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_3_RM,    7, svm,          _,  _,  _, ROW_PE,              NONE)
PLAIN( GROUP_7_7,       0, invlpg,       M,  _,  _, ROW_END,             NONE)
SPLIT( GROUP_7_7,       1, RM,           GROUP_7_7_RM, 0)
PLAIN( GROUP_7_7_RM,    0, swapgs,       _,  _,  _, ROW_ONLY64,          NONE)
PLAIN( GROUP_7_7_RM,    1, rdtscp,       _,  _,  _, 0,                   RDTSCP)
PLAIN( GROUP_8,         0, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_8,         1, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_8,         2, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_8,         3, invalid,      Ev, _,  _, 0,                   NONE)
SIZED( GROUP_8,         4, bt_ei,        Ev, Ib, _, 0,                   NONE)
SIZED( GROUP_8,         5, bts_ei,       Ev, Ib, _, ROW_LOCK,            NONE)
SIZED( GROUP_8,         6, btr_ei,       Ev, Ib, _, ROW_LOCK,            NONE)
SIZED( GROUP_8,         7, btc_ei,       Ev, Ib, _, ROW_LOCK,            NONE)
PLAIN( GROUP_9,         0, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_9,         1, cmpxchg_pair, M,  _,  _, ROW_LOCK,            NONE)
SPLIT( GROUP_9,         4, PREFIX,       GROUP_9_4, 0)
SPLIT( GROUP_9,         6, MOD,          GROUP_9_6, 0)
SPLIT( GROUP_9,         7, PREFIX,       GROUP_9_7, 0)
PLAIN( GROUP_9_4,       0, xsavec,       M,  _,  _, 0,                   XSAVEC)
PLAIN( GROUP_9_4,       1, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_9_4,       2, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_9_4,       3, invalid,      Ev, _,  _, 0,                   NONE)
PLAIN( GROUP_9_6,       1, rdrand,       Ev, _,  _, 0,                   RDRAND)
SPLIT( GROUP_9_7,       0, MOD,          GROUP_9_7_NP, 0)
SPLIT( GROUP_9_7,       1, MOD,          GROUP_9_7_NP, 0)
SPLIT( GROUP_9_7,       2, MOD,          GROUP_9_7_F3, 0)
PLAIN( GROUP_9_7_NP,    1, rdrand,       Ev, _,  _, 0,                   RDSEED)
PLAIN( GROUP_9_7_F3,    1, rdpid,        Ev, _,  _, 0,                   RDPID)
SPLIT( GROUP_15,        0, MOD,          GROUP_15_NP, 0)
SPLIT( GROUP_15,        1, MOD,          GROUP_15_66, 0)
SPLIT( GROUP_15,        2, MOD,          GROUP_15_F3, 0)
SPLIT( GROUP_15_NP,     0, REG,          GROUP_15_NP_MEM, 0)
SPLIT( GROUP_15_NP,     1, REG,          GROUP_15_NP_REG, 0)
PLAIN( GROUP_15_NP_MEM, 0, fxsave,       M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_NP_MEM, 1, fxrstor,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_NP_MEM, 2, ldmxcsr,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_NP_MEM, 3, stmxcsr,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_NP_MEM, 4, xsave,        M,  _,  _, 0,                   XSAVE)
PLAIN( GROUP_15_NP_MEM, 5, xrstor,       M,  _,  _, 0,                   XSAVE)
PLAIN( GROUP_15_NP_MEM, 6, xsaveopt,     M,  _,  _, 0,                   XSAVEOPT)
PLAIN( GROUP_15_NP_MEM, 7, fence,        M,  _,  _, 0,                   NONE) /* CLFLUSH */
PLAIN( GROUP_15_NP_REG, 5, fence,        _,  _,  _, 0,                   NONE) /* LFENCE */
PLAIN( GROUP_15_NP_REG, 6, fence,        _,  _,  _, 0,                   NONE) /* MFENCE */
PLAIN( GROUP_15_NP_REG, 7, fence,        _,  _,  _, 0,                   NONE) /* SFENCE */
SPLIT( GROUP_15_66,     0, REG,          GROUP_15_66_MEM, 0)
PLAIN( GROUP_15_66_MEM, 0, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 1, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 2, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 3, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 4, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 5, invalid,      M,  _,  _, 0,                   NONE)
PLAIN( GROUP_15_66_MEM, 6, fence,        M,  _,  _, 0,                   CLWB) /* CLWB */
PLAIN( GROUP_15_66_MEM, 7, fence,        M,  _,  _, 0,                   CLFLUSHOPT) /* CLFLUSHOPT */
SPLIT( GROUP_15_F3,     1, REG,          GROUP_15_F3_REG, 0)
PLAIN( GROUP_15_F3_REG, 0, rdfsbase,     Ry, _,  _, ROW_ONLY64,          FSGSBASE)
PLAIN( GROUP_15_F3_REG, 1, rdfsbase,     Ry, _,  _, ROW_ONLY64,          FSGSBASE) /* RDGSBASE */
PLAIN( GROUP_15_F3_REG, 2, wrfsbase,     Ry, _,  _, ROW_ONLY64,          FSGSBASE)
PLAIN( GROUP_15_F3_REG, 3, wrfsbase,     Ry, _,  _, ROW_ONLY64,          FSGSBASE) /* WRGSBASE */
PLAIN( GROUP_EMMS,      0, emms,         _,  _,  _, 0,                   NONE)
PLAIN( GROUP_EMMS,      1, invalid,      _,  _,  _, 0,                   NONE)
PLAIN( GROUP_EMMS,      2, invalid,      _,  _,  _, 0,                   NONE)
PLAIN( GROUP_EMMS,      3, invalid,      _,  _,  _, 0,                   NONE)
PLAIN( GROUP_POPCNT,    2, popcnt,       Gv, Ev, _, 0,                   POPCNT)
PLAIN( GROUP_BSF,       0, bsf,          Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSF,       1, bsf,          Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSF,       2, tzcnt,        Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSF,       3, bsf,          Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSR,       0, bsr,          Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSR,       1, bsr,          Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSR,       2, lzcnt,        Gv, Ev, _, 0,                   NONE)
PLAIN( GROUP_BSR,       3, bsr,          Gv, Ev, _, 0,                   NONE)

/* ---- behind 0F 38 ---- */

SPLIT( MAP_38,       0xf0, PREFIX,       GROUP_38_F0, 0)
SPLIT( MAP_38,       0xf1, PREFIX,       GROUP_38_F1, 0)
SPLIT( MAP_38,       0xf6, PREFIX,       GROUP_38_F6, 0)
PLAIN( GROUP_38_F0,     0, movbe_load,   Gv, M,  _, 0,                   MOVBE)
PLAIN( GROUP_38_F0,     1, movbe_load,   Gv, M,  _, 0,                   MOVBE)
PLAIN( GROUP_38_F0,     3, crc32,        Gv, Eb, _, ROW_BYTE,            SSE42)
PLAIN( GROUP_38_F1,     0, movbe_store,  M,  Gv, _, 0,                   MOVBE)
PLAIN( GROUP_38_F1,     1, movbe_store,  M,  Gv, _, 0,                   MOVBE)
PLAIN( GROUP_38_F1,     3, crc32,        Gv, Ev, _, 0,                   SSE42)
PLAIN( GROUP_38_F6,     1, adcx,         Gy, Ey, _, 0,                   ADX)
PLAIN( GROUP_38_F6,     2, adox,         Gy, Ey, _, 0,                   ADX)

/* clang-format on */
#undef ALU
#undef SEGMENT
#undef ALU_GROUP
#undef SHIFT_GROUP
#undef UNARY_GROUP
#undef SIZED
#undef SIZED8
#undef PLAIN
#undef PLAIN8
#undef COND8
#undef SPLIT
