/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: the array in which the decoder looks up opcodes, made of the lists rows_int.h and rows_sse.h.
 */
#include "ops.h"

#define AT(table, at)         [8 * (table) + (at)]
#define AT8(table, at)        [8 * (table) + (at)... 8 * (table) + (at) + 7]
#define AT_0F(opcode, prefix) AT(SSE_0F, 4 * (opcode) + PREFIX_##prefix)
#define AT_38(opcode, prefix) AT(SSE_38, 2 * (opcode) + PREFIX_##prefix)
#define AT_3A(opcode, prefix) AT(SSE_3A, 2 * (opcode) + PREFIX_##prefix)

/* clang-format off */
#define ROW(key, name, what, also, needs) {.key = name, .flags = (what) | (also), .feature = FEATURE_##needs},

#define SIZED(table, at, name, a, b, c, flags, feature)  AT(table, at) = ROW(h, &h_##name, OPERANDS(a, b, c), flags, feature)
#define SIZED8(table, at, name, a, b, c, flags, feature) AT8(table, at) = ROW(h, &h_##name, OPERANDS(a, b, c), flags, feature)
#define PLAIN(table, at, name, a, b, c, flags, feature)  AT(table, at) = ROW(fn, op_##name, OPERANDS(a, b, c), flags, feature)
#define PLAIN8(table, at, name, a, b, c, flags, feature) AT8(table, at) = ROW(fn, op_##name, OPERANDS(a, b, c), flags, feature)
#define COND8(table, at, a, flags)                       AT8(table, at) = ROW(fn, NULL, OPERANDS(a, _, _), flags, NONE)
#define SPLIT(table, at, by, to, also)                   AT(table, at) = {.split = SPLIT_##by, .group = to, .flags = also},

#define SSE(map, opcode, prefix, name, a, b, c, twin, feature) \
	AT_##map(opcode, prefix) = ROW(fn, op_##name, OPERANDS(a, b, c), ROW_Y, feature) \
	TWIN_##twin(map, opcode, name, OPERANDS(a, b, c), feature)
#define TWIN__(map, opcode, name, operands, feature)
#define TWIN_mmx(map, opcode, name, operands, feature) AT_##map(opcode, NP) = ROW(fn, op_mmx_##name, operands, ROW_Y, feature)
#define SSE_SPLIT(map, opcode, prefix, by, to)           AT_##map(opcode, prefix) = {.split = SPLIT_##by, .group = to},
#define SSE_IN_GROUP(table, at, name, a, b, c, feature)  AT(table, at) = ROW(fn, op_##name, OPERANDS(a, b, c), ROW_Y, feature)
/* clang-format on */

const struct row cpu_rows[8 * ROW_TABLES] = {
#include "rows_int.h"
#include "rows_sse.h"
};
