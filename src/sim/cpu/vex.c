/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vex: the array in which the decoder looks up what VEX encodes, made of the list rows_vex.h.
 */
#include "vex.h"

#define VEX_MAPS 3u /* 0F, 0F 38, 0F 3A */

enum { VEX_MAP_0F, VEX_MAP_38, VEX_MAP_3A };

#define AT(map, opcode, prefix) [(VEX_MAP_##map * 256u + (opcode)) * 4u + PREFIX_##prefix]

/* clang-format off */
#define VEX(map, opcode, prefix, name, a, b, c, what, need) \
	AT(map, opcode, prefix) = { \
	        .row = {.fn = op_##name, .flags = OPERANDS(a, b, c) | ROW_Y}, .rules = (what), .needs = NEED_##need},
#define LANE(map, opcode, prefix, how, name, immediate, what, bytes, step, need) \
	AT(map, opcode, prefix) = { \
	        .row = {.fn = op_##how, .flags = OPERANDS(V, W, immediate) | ROW_Y}, .lane = op_##name, \
	        .rules = (what), .needs = NEED_##need, .part = (bytes), .imm_step = (step)},
#define ONE(map, opcode, prefix, how, name, a, b, c, what, need) \
	AT(map, opcode, prefix) = { \
	        .row = {.fn = op_##how, .flags = OPERANDS(a, b, c) | ROW_Y}, .lane = op_##name, \
	        .rules = (what), .needs = NEED_##need},
/* clang-format on */

static const struct vex_row rows[VEX_MAPS * 256u * 4u] = {
#include "rows_lane.h"
#include "rows_one.h"
#include "rows_vex.h"
};

const u64 cpu_vex_needs[VEX_NEEDS][2] = {
        [NEED_BMI1] = {FEATURE_BMI1},
        [NEED_BMI2] = {FEATURE_BMI2},
        [NEED_AVX] = {FEATURE_AVX, FEATURE_AVX},
        [NEED_INT] = {FEATURE_AVX, FEATURE_AVX2},
        [NEED_AVX2] = {FEATURE_AVX | FEATURE_AVX2, FEATURE_AVX | FEATURE_AVX2},
        [NEED_FMA] = {FEATURE_AVX | FEATURE_FMA, FEATURE_AVX | FEATURE_FMA},
        [NEED_F16C] = {FEATURE_AVX | FEATURE_F16C, FEATURE_AVX | FEATURE_F16C},
        [NEED_AES] = {FEATURE_AVX | FEATURE_AES, FEATURE_AVX | FEATURE_VAES},
        [NEED_PCLMUL] = {FEATURE_AVX | FEATURE_PCLMUL, FEATURE_AVX | FEATURE_VPCLMUL},
};

const struct vex_row *cpu_vex_row(unsigned map, u8 opcode, unsigned prefix)
{
	static const struct vex_row none = {.row = {.fn = op_invalid}};
	const struct vex_row *row;

	if (map < 1 || map > VEX_MAPS || prefix == VEX_NO_PREFIX)
		return &none;
	row = &rows[((map - 1) * 256u + opcode) * 4u + prefix];
	return row->row.fn ? row : &none;
}

u64 cpu_vex_pack(u8 imm, unsigned reg, unsigned length, const struct vex_row *row)
{
	bool listed = row >= rows && row < rows + ARRAY_LEN(rows);

	return imm | (u64)reg << 8 | (u64)length << 12 | (listed ? (u64)(row - rows) << 16 : 0);
}

const struct vex_row *cpu_vex_row_of(const struct cpu_op *op)
{
	return &rows[op->imm >> 16];
}
