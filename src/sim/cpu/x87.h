/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87: the register stack, the status word and the exceptions of the x87, shared by its files (APM 5; APM 1,
 * 6).
 */
#ifndef CPU_X87_H
#define CPU_X87_H

#include "ops.h"

typedef u16 host_x87_fn(u16 fcw, const void *a, const void *b, void *r);

#define FSW_IE  0x01u
#define FSW_SF  0x40u
#define FSW_C0  0x100u
#define FSW_C1  0x200u
#define FSW_C2  0x400u
#define FSW_C3  0x4000u
#define FSW_TOP 0x3800u

static const u8 x87_indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};

/* ---- the stack ---- */

static inline unsigned x87_physical(const struct cpu *cpu, unsigned i)
{
	return ((cpu->x87.fsw >> 11) + i) & 7;
}

static inline u8 *x87_st(struct cpu *cpu, unsigned i)
{
	return cpu->x87.st[x87_physical(cpu, i)];
}

static inline bool x87_empty(const struct cpu *cpu, unsigned i)
{
	return !(cpu->x87.ftw >> x87_physical(cpu, i) & 1);
}

static inline void x87_set(struct cpu *cpu, unsigned i, const void *value)
{
	memcpy(x87_st(cpu, i), value, 10);
	cpu->x87.ftw |= (u8)(1u << x87_physical(cpu, i));
}

static inline void x87_top_move(struct cpu *cpu, int by)
{
	unsigned top = ((cpu->x87.fsw >> 11) + (unsigned)by) & 7;

	cpu->x87.fsw = (u16)((cpu->x87.fsw & ~FSW_TOP) | top << 11);
}

static inline void x87_pop(struct cpu *cpu)
{
	cpu->x87.ftw &= (u8) ~(1u << x87_physical(cpu, 0));
	x87_top_move(cpu, 1);
}

/* ---- exceptions and condition codes ---- */

#define AFTER 0x18u /* overflow, underflow: unmasked, they change the result */

static inline u16 x87_host_control(const struct cpu *cpu)
{
	return cpu->x87.fcw | (0x3f & ~AFTER);
}

#define BEFORE 0x07u /* invalid, denormal, division by zero: nothing is stored */
#define LOAD   0x05u /* from memory: a denormal is still loaded */
#define STORE  0x1fu /* to memory: overflow and underflow prevent it, too */

/* Takes over exceptions and C1. False: an unmasked exception of these kinds forbids the result. */
static inline bool x87_status(struct cpu *cpu, unsigned sw, unsigned kinds)
{
	/* If one of these is not masked, nothing is computed, so those of a computation cannot occur. */
	if (sw & ~cpu->x87.fcw & BEFORE)
		sw &= BEFORE | FSW_SF | (sw & FSW_SF ? FSW_C1 : 0);
	cpu->x87.fsw = (u16)((cpu->x87.fsw & ~FSW_C1) | (sw & (0x7f | FSW_C1)));
	cpu_x87_summary(cpu);
	return !(sw & ~cpu->x87.fcw & kinds);
}

static inline void x87_conditions(struct cpu *cpu, unsigned sw, unsigned mask)
{
	cpu->x87.fsw = (u16)((cpu->x87.fsw & ~mask) | (sw & mask));
}

static inline bool x87_underflow(struct cpu *cpu)
{
	return x87_status(cpu, FSW_IE | FSW_SF, BEFORE);
}

static inline void x87_push(struct cpu *cpu, const void *value)
{
	if (!x87_empty(cpu, 7)) {
		if (!x87_status(cpu, FSW_IE | FSW_SF | FSW_C1, BEFORE))
			return;
		value = x87_indefinite;
	}
	x87_top_move(cpu, -1);
	x87_set(cpu, 0, value);
}

/* Sets ST(i) to the result of ST(0) and b (x87_math.c). If other is not 0, b is the value of ST(other). */
void cpu_x87_result(struct cpu *cpu, unsigned i, host_x87_fn *fn, unsigned other, const void *b);
void cpu_x87_arith_memory(struct cpu *cpu, const struct cpu_op *op, unsigned kind);
void cpu_x87_arith_register(struct cpu *cpu, const struct cpu_op *op, bool to_i, bool with_pop);
/* Compares ST(0) with ST(i) as FCOM does, or with quiet as FUCOM. False: there is an unmasked exception. */
bool cpu_x87_compare_st(struct cpu *cpu, unsigned i, bool quiet);
void cpu_x87_compare_flags(struct cpu *cpu, unsigned i, bool quiet, bool with_pop);
void cpu_x87_functions(struct cpu *cpu, const struct cpu_op *op);

/* x87_memory.c */
enum x87_format {
	X87_F32,
	X87_F64,
	X87_F80,
	X87_I16,
	X87_I32,
	X87_I64,
	X87_BCD,
	X87_TI16,
	X87_TI32,
	X87_TI64
};
void cpu_x87_load(struct cpu *cpu, const struct cpu_op *op, enum x87_format format);
void cpu_x87_store(struct cpu *cpu, const struct cpu_op *op, enum x87_format format, bool with_pop);
void cpu_x87_reset(struct cpu *cpu);
void cpu_x87_fnstenv(struct cpu *cpu, const struct cpu_op *op, bool with_registers);
void cpu_x87_fldenv(struct cpu *cpu, const struct cpu_op *op, bool with_registers);
void cpu_x87_fldcw(struct cpu *cpu, const struct cpu_op *op);

#endif
