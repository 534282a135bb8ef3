/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_vex: the rows of the instructions that VEX encodes (APM 3, appendix A; APM 4). rows.h says what the
 * letters mean; H is a general or a vector register in VEX.vvvv.
 */
/* clang-format off */

/*  map, opcode, prefix, handler, three operands without H, rules, features */

/* ---- BMI1, BMI2 ---- */

VEX(38, 0xf2, NP, andn,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI1)
VEX(38, 0xf3, NP, bls,   Ey, _,  _,  VEX_REG | VEX_L0, BMI1)
VEX(38, 0xf7, NP, bextr, Gy, Ey, _,  VEX_REG | VEX_L0, BMI1)
VEX(38, 0xf5, NP, bzhi,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf5, F3, pext,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf5, F2, pdep,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf6, F2, mulx,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf7, 66, shlx,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf7, F3, sarx,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(38, 0xf7, F2, shrx,  Gy, Ey, _,  VEX_REG | VEX_L0, BMI2)
VEX(3A, 0xf0, F2, rorx,  Gy, Ey, Ib, VEX_L0,           BMI2)

/* ---- moves of whole registers ---- */

VEX(0F, 0x10, NP, vmovups_load,  V, W, _, 0, AVX)
VEX(0F, 0x10, 66, vmovups_load,  V, W, _, 0, AVX)
VEX(0F, 0x11, NP, vmovups_store, W, V, _, 0, AVX)
VEX(0F, 0x11, 66, vmovups_store, W, V, _, 0, AVX)
VEX(0F, 0x28, NP, vmovaps_load,  V, W, _, 0, AVX)
VEX(0F, 0x28, 66, vmovaps_load,  V, W, _, 0, AVX)
VEX(0F, 0x29, NP, vmovaps_store, W, V, _, 0, AVX)
VEX(0F, 0x29, 66, vmovaps_store, W, V, _, 0, AVX)
VEX(0F, 0x2b, NP, vmovaps_store, M, V, _, 0, AVX)
VEX(0F, 0x2b, 66, vmovaps_store, M, V, _, 0, AVX)
VEX(0F, 0x6f, 66, vmovaps_load,  V, W, _, 0, AVX)
VEX(0F, 0x6f, F3, vmovups_load,  V, W, _, 0, AVX)
VEX(0F, 0x7f, 66, vmovaps_store, W, V, _, 0, AVX)
VEX(0F, 0x7f, F3, vmovups_store, W, V, _, 0, AVX)
VEX(0F, 0xe7, 66, vmovaps_store, M, V, _, 0, AVX)
VEX(0F, 0xf0, F2, vmovups_load,  V, M, _, 0, AVX)
VEX(38, 0x2a, 66, vmovaps_load,  V, M, _, 0, INT)

/* ---- tests and blends ---- */

VEX(38, 0x0e, 66, vtestps,   V, W, _,  VEX_W0,           AVX)
VEX(38, 0x0f, 66, vtestpd,   V, W, _,  VEX_W0,           AVX)
VEX(38, 0x17, 66, vptest,    V, W, _,  0,                AVX)
VEX(3A, 0x4a, 66, vblendvps, V, W, Ib, VEX_REG | VEX_W0, AVX)
VEX(3A, 0x4b, 66, vblendvpd, V, W, Ib, VEX_REG | VEX_W0, AVX)
VEX(3A, 0x4c, 66, vpblendvb, V, W, Ib, VEX_REG | VEX_W0, INT)

/* ---- masks, MXCSR ---- */

VEX(0F, 0x50, NP, vmovmskps, Gy, U, _, 0,      AVX)
VEX(0F, 0x50, 66, vmovmskpd, Gy, U, _, 0,      AVX)
VEX(0F, 0xae, NP, vmxcsr,    M,  _, _, VEX_L0, AVX)
VEX(0F, 0xd7, 66, vpmovmskb, Gy, U, _, 0,      INT)

/* ---- VZEROUPPER, VZEROALL ---- */

VEX(0F, 0x77, NP, vzero, _, _, _, 0, AVX)

/* ---- broadcasts, permutes, halves, masked moves of AVX ---- */

VEX(38, 0x0c, 66, vpermilps,        V, W, _,  VEX_REG | VEX_W0,          AVX)
VEX(38, 0x0d, 66, vpermilpd,        V, W, _,  VEX_REG | VEX_W0,          AVX)
VEX(38, 0x18, 66, vbroadcastss,     V, W, _,  VEX_W0,                    AVX)
VEX(38, 0x19, 66, vbroadcastsd,     V, W, _,  VEX_W0 | VEX_L1,           AVX)
VEX(38, 0x1a, 66, vbroadcast128,    V, M, _,  VEX_W0 | VEX_L1,           AVX)
VEX(38, 0x2c, 66, vmaskmov_load,    V, M, _,  VEX_REG | VEX_W0,          AVX)
VEX(38, 0x2d, 66, vmaskmovpd_load,  V, M, _,  VEX_REG | VEX_W0,          AVX)
VEX(38, 0x2e, 66, vmaskmov_store,   M, V, _,  VEX_REG | VEX_W0,          AVX)
VEX(38, 0x2f, 66, vmaskmovpd_store, M, V, _,  VEX_REG | VEX_W0,          AVX)
VEX(3A, 0x05, 66, vpermilpd_imm,    V, W, Ib, VEX_W0,                    AVX)
VEX(3A, 0x06, 66, vperm128,         V, W, Ib, VEX_REG | VEX_W0 | VEX_L1, AVX)
VEX(3A, 0x18, 66, vinsert128,       V, W, Ib, VEX_REG | VEX_W0 | VEX_L1, AVX)
VEX(3A, 0x19, 66, vextract128,      W, V, Ib, VEX_W0 | VEX_L1,           AVX)

/* ---- AVX2 ---- */

VEX(38, 0x16, 66, vpermd,           V, W, _,  VEX_REG | VEX_W0 | VEX_L1, AVX2)
VEX(38, 0x36, 66, vpermd,           V, W, _,  VEX_REG | VEX_W0 | VEX_L1, AVX2)
VEX(38, 0x45, 66, vpsrlv,           V, W, _,  VEX_REG,                   AVX2)
VEX(38, 0x46, 66, vpsravd,          V, W, _,  VEX_REG | VEX_W0,          AVX2)
VEX(38, 0x47, 66, vpsllv,           V, W, _,  VEX_REG,                   AVX2)
VEX(38, 0x58, 66, vpbroadcastd,     V, W, _,  VEX_W0,                    AVX2)
VEX(38, 0x59, 66, vpbroadcastq,     V, W, _,  VEX_W0,                    AVX2)
VEX(38, 0x5a, 66, vbroadcast128,    V, M, _,  VEX_W0 | VEX_L1,           AVX2)
VEX(38, 0x78, 66, vpbroadcastb,     V, W, _,  VEX_W0,                    AVX2)
VEX(38, 0x79, 66, vpbroadcastw,     V, W, _,  VEX_W0,                    AVX2)
VEX(38, 0x8c, 66, vmaskmov_load,    V, M, _,  VEX_REG,                   AVX2)
VEX(38, 0x8e, 66, vmaskmov_store,   M, V, _,  VEX_REG,                   AVX2)
VEX(38, 0x90, 66, vgather,          V, M, _,  VEX_REG | VEX_VSIB,        AVX2)
VEX(38, 0x91, 66, vgather,          V, M, _,  VEX_REG | VEX_VSIB,        AVX2)
VEX(38, 0x92, 66, vgather,          V, M, _,  VEX_REG | VEX_VSIB,        AVX2)
VEX(38, 0x93, 66, vgather,          V, M, _,  VEX_REG | VEX_VSIB,        AVX2)
VEX(3A, 0x00, 66, vpermq,           V, W, Ib, VEX_L1,                    AVX2)
VEX(3A, 0x01, 66, vpermq,           V, W, Ib, VEX_L1,                    AVX2)
VEX(3A, 0x38, 66, vinsert128,       V, W, Ib, VEX_REG | VEX_W0 | VEX_L1, AVX2)
VEX(3A, 0x39, 66, vextract128,      W, V, Ib, VEX_W0 | VEX_L1,           AVX2)
VEX(3A, 0x46, 66, vperm128,         V, W, Ib, VEX_REG | VEX_W0 | VEX_L1, AVX2)

/* ---- FMA: forms 132, 213 and 231 ---- */

VEX(38, 0x96, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x97, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x98, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x99, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9a, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9b, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9c, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9d, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9e, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0x9f, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xa6, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xa7, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xa8, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xa9, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xaa, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xab, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xac, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xad, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xae, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xaf, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xb6, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xb7, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xb8, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xb9, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xba, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xbb, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xbc, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xbd, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xbe, 66, vfma, V, W, _, VEX_REG, FMA)
VEX(38, 0xbf, 66, vfma, V, W, _, VEX_REG, FMA)

/* ---- F16C ---- */

VEX(38, 0x13, 66, vcvtph2ps, V, W, _,  VEX_W0, F16C)
VEX(3A, 0x1d, 66, vcvtps2ph, W, V, Ib, VEX_W0, F16C)

/* clang-format on */
#undef VEX
