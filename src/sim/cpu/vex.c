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
/* clang-format on */

static const struct vex_row rows[VEX_MAPS * 256u * 4u] = {
#include "rows_vex.h"
};

const u64 cpu_vex_needs[VEX_NEEDS][2] = {
        [NEED_BMI1] = {FEATURE_BMI1},
        [NEED_BMI2] = {FEATURE_BMI2},
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
