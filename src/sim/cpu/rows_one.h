/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_one: the rows of the VEX forms of SSE instructions on one element, a general register or 64 bits of
 * memory, and of those that need a function of their own (APM 4). vex_single is for those with the
 * destination in reg, vex_store for those with it in rm, vex_plain for those that write no vector register.
 */
/* clang-format off */

/*  map, opcode, prefix, how, SSE instruction, three operands without H, rules, features */

/* ---- moves ---- */

ONE(0F, 0x10, F3, vex_single, movss_load,   V,  W,  _,  VEX_REG_OF_REG,   AVX)
ONE(0F, 0x10, F2, vex_single, movsd_load,   V,  W,  _,  VEX_REG_OF_REG,   AVX)
ONE(0F, 0x11, F3, vex_store,  movss_store,  W,  V,  _,  VEX_REG_OF_REG,   AVX)
ONE(0F, 0x11, F2, vex_store,  movsd_store,  W,  V,  _,  VEX_REG_OF_REG,   AVX)
ONE(0F, 0x12, NP, vex_single, movlps_load,  V,  W,  _,  VEX_REG | VEX_L0, AVX)
ONE(0F, 0x12, 66, vex_single, movlpd_load,  V,  M,  _,  VEX_REG | VEX_L0, AVX)
ONE(0F, 0x13, NP, vex_plain,  movlps_store, M,  V,  _,  VEX_L0,           AVX)
ONE(0F, 0x13, 66, vex_plain,  movlps_store, M,  V,  _,  VEX_L0,           AVX)
ONE(0F, 0x16, NP, vex_single, movhps_load,  V,  W,  _,  VEX_REG | VEX_L0, AVX)
ONE(0F, 0x16, 66, vex_single, movhpd_load,  V,  M,  _,  VEX_REG | VEX_L0, AVX)
ONE(0F, 0x17, NP, vex_plain,  movhps_store, M,  V,  _,  VEX_L0,           AVX)
ONE(0F, 0x17, 66, vex_plain,  movhps_store, M,  V,  _,  VEX_L0,           AVX)
ONE(0F, 0x6e, 66, vex_single, movd_load,    V,  Ey, _,  VEX_L0,           AVX)
ONE(0F, 0x7e, 66, vex_plain,  movd_store,   Ey, V,  _,  VEX_L0,           AVX)
ONE(0F, 0x7e, F3, vex_single, movq_load,    V,  W,  _,  VEX_L0,           AVX)
ONE(0F, 0xd6, 66, vex_store,  movq_store,   W,  V,  _,  VEX_L0,           AVX)

/* ---- comparisons ---- */

ONE(0F, 0x2e, NP, vex_plain,  ucomiss,      V,  W,  _,  0,                AVX)
ONE(0F, 0x2e, 66, vex_plain,  ucomisd,      V,  W,  _,  0,                AVX)
ONE(0F, 0x2f, NP, vex_plain,  comiss,       V,  W,  _,  0,                AVX)
ONE(0F, 0x2f, 66, vex_plain,  comisd,       V,  W,  _,  0,                AVX)
ONE(0F, 0xc2, F3, vex_single, vcmpss,       V,  W,  Ib, VEX_REG,          AVX)
ONE(0F, 0xc2, F2, vex_single, vcmpsd,       V,  W,  Ib, VEX_REG,          AVX)

/* ---- general registers ---- */

ONE(0F, 0x2a, F3, vex_single, cvtsi2ss,     V,  Ey, _,  VEX_REG,          AVX)
ONE(0F, 0x2a, F2, vex_single, cvtsi2sd,     V,  Ey, _,  VEX_REG,          AVX)
ONE(0F, 0x2c, F3, vex_plain,  cvttss2si,    Gy, W,  _,  0,                AVX)
ONE(0F, 0x2c, F2, vex_plain,  cvttsd2si,    Gy, W,  _,  0,                AVX)
ONE(0F, 0x2d, F3, vex_plain,  cvtss2si,     Gy, W,  _,  0,                AVX)
ONE(0F, 0x2d, F2, vex_plain,  cvtsd2si,     Gy, W,  _,  0,                AVX)
ONE(0F, 0xc4, 66, vex_single, pinsrw,       V,  Ey, Ib, VEX_REG | VEX_L0, AVX)
ONE(0F, 0xc5, 66, vex_plain,  pextrw,       Gy, U,  Ib, VEX_L0,           AVX)
ONE(0F, 0xf7, 66, vex_plain,  maskmovdqu,   V,  U,  _,  VEX_L0,           AVX)
ONE(3A, 0x14, 66, vex_plain,  pextrb,       Ey, V,  Ib, VEX_L0,           AVX)
ONE(3A, 0x15, 66, vex_plain,  pextrw_store, Ey, V,  Ib, VEX_L0,           AVX)
ONE(3A, 0x16, 66, vex_plain,  pextrd,       Ey, V,  Ib, VEX_L0,           AVX)
ONE(3A, 0x17, 66, vex_plain,  extractps,    Ey, V,  Ib, VEX_L0,           AVX)
ONE(3A, 0x20, 66, vex_single, pinsrb,       V,  Ey, Ib, VEX_REG | VEX_L0, AVX)
ONE(3A, 0x21, 66, vex_single, insertps,     V,  W,  Ib, VEX_REG | VEX_L0, AVX)
ONE(3A, 0x22, 66, vex_single, pinsrd,       V,  Ey, Ib, VEX_REG | VEX_L0, AVX)

/* ---- strings ---- */

ONE(3A, 0x60, 66, vex_text,   pcmpestrm,    V,  W,  Ib, VEX_L0,           AVX)
ONE(3A, 0x61, 66, vex_plain,  pcmpestri,    V,  W,  Ib, VEX_L0,           AVX)
ONE(3A, 0x62, 66, vex_text,   pcmpistrm,    V,  W,  Ib, VEX_L0,           AVX)
ONE(3A, 0x63, 66, vex_plain,  pcmpistri,    V,  W,  Ib, VEX_L0,           AVX)

/* ---- shifts by an immediate: the destination is H ---- */

ONE(0F, 0x71, 66, vex_shift,  shift_imm,    U,  Ib, _,  VEX_REG,          INT)
ONE(0F, 0x72, 66, vex_shift,  shift_imm,    U,  Ib, _,  VEX_REG,          INT)
ONE(0F, 0x73, 66, vex_shift,  shift_imm,    U,  Ib, _,  VEX_REG,          INT)

/* clang-format on */
#undef ONE
