/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops: the handlers of the instructions, and the macros that make them for each operand size.
 */
#ifndef CPU_OPS_H
#define CPU_OPS_H

#include "flags.h"
#include "rows.h"

/*
 * A handler is written once, as an inline function whose last parameter is the operand's size in bytes:
 * name_r for a register, name_m for memory, name_l for memory with LOCK. The macros below make a handler for
 * each size from it, and put these into the table h_name. A macro with WIDE in its name makes none for
 * bytes.
 */
#define ONE_SIZE(name, N) \
	static void name##N(struct cpu *cpu, const struct cpu_op *op) \
	{ \
		name(cpu, op, N / 8); \
	}
#define SIZES_WIDE(name) ONE_SIZE(name, 16) ONE_SIZE(name, 32) ONE_SIZE(name, 64)
#define SIZES(name)      ONE_SIZE(name, 8) SIZES_WIDE(name)
/* clang-format off */
#define OF_SIZES(name)      {name##8, name##16, name##32, name##64}
#define OF_SIZES_WIDE(name) {NULL, name##16, name##32, name##64}
/* clang-format on */
#define HANDLERS_RML(name) \
	SIZES(name##_r) \
	SIZES(name##_m) \
	SIZES(name##_l) \
	const struct cpu_handlers h_##name = { \
	        .r = OF_SIZES(name##_r), .m = OF_SIZES(name##_m), .l = OF_SIZES(name##_l)}
#define HANDLERS_RM(name) \
	SIZES(name##_r) \
	SIZES(name##_m) \
	const struct cpu_handlers h_##name = {.r = OF_SIZES(name##_r), .m = OF_SIZES(name##_m)}
#define HANDLERS_M(name) \
	SIZES(name##_m) \
	const struct cpu_handlers h_##name = {.m = OF_SIZES(name##_m)}
#define HANDLERS_WIDE_RML(name) \
	SIZES_WIDE(name##_r) \
	SIZES_WIDE(name##_m) \
	SIZES_WIDE(name##_l) \
	const struct cpu_handlers h_##name = { \
	        .r = OF_SIZES_WIDE(name##_r), .m = OF_SIZES_WIDE(name##_m), .l = OF_SIZES_WIDE(name##_l)}
#define HANDLERS_WIDE_RM(name) \
	SIZES_WIDE(name##_r) \
	SIZES_WIDE(name##_m) \
	const struct cpu_handlers h_##name = {.r = OF_SIZES_WIDE(name##_r), .m = OF_SIZES_WIDE(name##_m)}
#define HANDLERS_WIDE_M(name) \
	SIZES_WIDE(name##_m) \
	const struct cpu_handlers h_##name = {.m = OF_SIZES_WIDE(name##_m)}

#define EACH_CONDITION(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

enum cpu_condition { CONDITION_SET_R, CONDITION_SET_M, CONDITION_MOVE };
cpu_op_fn *cpu_condition_handler(enum cpu_condition what, unsigned cc);
extern cpu_op_fn *const cpu_jcc[16];

/* ---- the handlers, declared from the lists of rows; several rows may name the same handler ---- */

/* clang-format off */
#define SIZED(table, at, name, ...)  extern const struct cpu_handlers h_##name;
#define SIZED8(table, at, name, ...) extern const struct cpu_handlers h_##name;
#define PLAIN(table, at, name, ...)  cpu_op_fn op_##name;
#define PLAIN8(table, at, name, ...) cpu_op_fn op_##name;
#define COND8(...)
#define SPLIT(...)
#include "rows_int.h"
#define SSE(map, opcode, prefix, name, a, b, c, twin, feature) cpu_op_fn op_##name; TWIN_##twin(name)
#define TWIN__(name)
#define TWIN_mmx(name) cpu_op_fn op_mmx_##name;
#define SSE_SPLIT(...)
#define SSE_IN_GROUP(table, at, name, ...) cpu_op_fn op_##name;
#include "rows_sse.h"
#undef TWIN__
#undef TWIN_mmx
/* clang-format on */
cpu_op_fn op_pause; /* NOP with F3 is PAUSE */

#endif
