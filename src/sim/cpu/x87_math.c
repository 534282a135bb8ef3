/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87_math: arithmetic, comparisons and functions of the x87 (APM 5).
 */
#include "x87_host.h"

/* ST(0) op another register, or memory of four kinds. */
#define HOST_ARITH(name, insn) \
	HOST_X87(name##_st, AB "f" insn " %%st(1), %%st" STATUS TAKE "\n\t" DROP) \
	HOST_X87(name##_f32, A "f" insn "s (%[b])" STATUS TAKE) \
	HOST_X87(name##_f64, A "f" insn "l (%[b])" STATUS TAKE) \
	HOST_X87(name##_i32, A "fi" insn "l (%[b])" STATUS TAKE) \
	HOST_X87(name##_i16, A "fi" insn "s (%[b])" STATUS TAKE)
#define HOST_ROW(name) \
	{ \
		name##_st, name##_f32, name##_i32, name##_f64, name##_i16 \
	}

HOST_ARITH(host_add, "add")
HOST_ARITH(host_mul, "mul")
HOST_ARITH(host_sub, "sub")
HOST_ARITH(host_subr, "subr")
HOST_ARITH(host_div, "div")
HOST_ARITH(host_divr, "divr")

/* Comparisons leave their result in the status word. */
HOST_X87(host_com_st, AB "fcom %%st(1)" STATUS DROP "\n\t" DROP)
HOST_X87(host_com_f32, A "fcoms (%[b])" STATUS DROP)
HOST_X87(host_com_f64, A "fcoml (%[b])" STATUS DROP)
HOST_X87(host_com_i32, A "ficoml (%[b])" STATUS DROP)
HOST_X87(host_com_i16, A "ficoms (%[b])" STATUS DROP)
HOST_X87(host_ucom, AB "fucom %%st(1)" STATUS DROP "\n\t" DROP)

/*
 * The functions by /reg and operand: register, 32-bit float, 32-bit integer, 64-bit float, 16-bit integer
 * (D8 DA DC DE).
 */
static host_x87_fn *const host_arith[8][5] = {HOST_ROW(host_add), HOST_ROW(host_mul), HOST_ROW(host_com),
        HOST_ROW(host_com), HOST_ROW(host_sub), HOST_ROW(host_subr), HOST_ROW(host_div), HOST_ROW(host_divr)};

/* D9 E8 to EE load constants, and F0 to FF compute; the low bits of the opcode choose. */
HOST_X87(host_fld1, "fld1" STATUS TAKE)
HOST_X87(host_fldl2t, "fldl2t" STATUS TAKE)
HOST_X87(host_fldl2e, "fldl2e" STATUS TAKE)
HOST_X87(host_fldpi, "fldpi" STATUS TAKE)
HOST_X87(host_fldlg2, "fldlg2" STATUS TAKE)
HOST_X87(host_fldln2, "fldln2" STATUS TAKE)
HOST_X87(host_fldz, "fldz" STATUS TAKE)
static host_x87_fn *const host_constants[7] = {
        host_fld1, host_fldl2t, host_fldl2e, host_fldpi, host_fldlg2, host_fldln2, host_fldz};

HOST_X87(host_fchs, A "fchs" STATUS TAKE)
HOST_X87(host_fabs, A "fabs" STATUS TAKE)
HOST_X87(host_ftst, A "ftst" STATUS DROP)
HOST_X87(host_fxam, A "fxam" STATUS DROP)

/* One operand, one result. */
HOST_X87(host_f2xm1, A "f2xm1" STATUS TAKE)
HOST_X87(host_fsqrt, A "fsqrt" STATUS TAKE)
HOST_X87(host_frndint, A "frndint" STATUS TAKE)
HOST_X87(host_fsin, A "fsin" STATUS TAKE)
HOST_X87(host_fcos, A "fcos" STATUS TAKE)
/* ST(0) and ST(1); the result stays in ST(0). */
/* FPREM and FPREM1 sometimes keep condition codes, so they start from the environment at r + 16. */
#define GIVEN "fldenv 16(%[r])\n\t"
HOST_X87(host_fprem, GIVEN AB "fprem" STATUS TAKE "\n\t" DROP)
HOST_X87(host_fprem1, GIVEN AB "fprem1" STATUS TAKE "\n\t" DROP)
HOST_X87(host_fscale, AB "fscale" STATUS TAKE "\n\t" DROP)
/* ST(0) and ST(1); one is popped. */
HOST_X87(host_fyl2x, AB "fyl2x" STATUS TAKE)
HOST_X87(host_fyl2xp1, AB "fyl2xp1" STATUS TAKE)
HOST_X87(host_fpatan, AB "fpatan" STATUS TAKE)
/* Two results: the new ST(0) at r + 16, and the new ST(1) at r. Out of range (C2): the operand alone at r. */
#define TWO(insn) A insn STATUS "testb $4, 1+%[sw]\n\tjnz 1f\n\tfstpt 16(%[r])\n\t1: " TAKE
HOST_X87(host_fptan, TWO("fptan"))
HOST_X87(host_fsincos, TWO("fsincos"))
HOST_X87(host_fxtract, A "fxtract" STATUS TAKE_2)

/* Sets ST(i) to a result; an empty operand is a stack underflow. */
void cpu_x87_result(struct cpu *cpu, unsigned i, host_x87_fn *fn, unsigned other, const void *b)
{
	u8 r[16];

	if (x87_empty(cpu, 0) || (other && x87_empty(cpu, other))) {
		if (x87_underflow(cpu))
			x87_set(cpu, i, x87_indefinite);
		return;
	}
	if (x87_status(cpu, fn(x87_host_control(cpu), x87_st(cpu, 0), b, r), BEFORE))
		x87_set(cpu, i, r);
}

/* ---- comparisons ---- */

static bool x87_compare(struct cpu *cpu, host_x87_fn *fn, bool missing, const void *b)
{
	unsigned sw = FSW_IE | FSW_SF | FSW_C0 | FSW_C2 | FSW_C3;

	if (!missing && !x87_empty(cpu, 0))
		sw = fn(x87_host_control(cpu), x87_st(cpu, 0), b, NULL) & ~FSW_C1;
	x87_conditions(cpu, sw, FSW_C0 | FSW_C2 | FSW_C3);
	return x87_status(cpu, sw, BEFORE);
}

bool cpu_x87_compare_st(struct cpu *cpu, unsigned i, bool quiet)
{
	return x87_compare(cpu, quiet ? host_ucom : host_com_st, x87_empty(cpu, i), x87_st(cpu, i));
}

/* Compares for FCOMI and its kin, which set the flags of the integer unit. */
void cpu_x87_compare_flags(struct cpu *cpu, unsigned i, bool quiet, bool with_pop)
{
	host_x87_fn *fn = quiet ? host_ucom : host_com_st;
	unsigned sw = FSW_IE | FSW_SF | FSW_C0 | FSW_C2 | FSW_C3;
	bool stored;

	/* A stack underflow clears C1; otherwise C1 keeps its value. */
	if (!x87_empty(cpu, 0) && !x87_empty(cpu, i))
		sw = (fn(x87_host_control(cpu), x87_st(cpu, 0), x87_st(cpu, i), NULL) & ~FSW_C1) |
		     (cpu->x87.fsw & FSW_C1);
	flags_arith_set(
	        cpu, (sw & FSW_C0 ? FLAG_CF : 0) | (sw & FSW_C2 ? FLAG_PF : 0) | (sw & FSW_C3 ? FLAG_ZF : 0));
	stored = x87_status(cpu, sw, BEFORE);
	x87_conditions(cpu, sw, FSW_C1);
	if (stored && with_pop)
		x87_pop(cpu);
}

/* ---- D8 DA DC DE: arithmetic ---- */

void cpu_x87_arith_memory(struct cpu *cpu, const struct cpu_op *op, unsigned kind)
{
	static const u8 sizes[5] = {0, 4, 4, 8, 2};
	unsigned reg = op->modrm >> 3 & 7;
	u64 value = cpu_rm_read(cpu, op, sizes[kind]);

	if ((reg & 6) == 2) {
		if (x87_compare(cpu, host_arith[reg][kind], false, &value) && reg == 3)
			x87_pop(cpu);
	} else {
		cpu_x87_result(cpu, 0, host_arith[reg][kind], 0, &value);
	}
}

void cpu_x87_arith_register(struct cpu *cpu, const struct cpu_op *op, bool to_i, bool with_pop)
{
	unsigned reg = op->modrm >> 3 & 7, i = op->modrm & 7;
	u16 before = cpu->x87.fsw;

	if ((reg & 6) == 2) {
		if (x87_compare(cpu, host_com_st, x87_empty(cpu, i), x87_st(cpu, i)) &&
		        (reg == 3 || with_pop))
			x87_pop(cpu);
		return;
	}
	cpu_x87_result(cpu, to_i ? i : 0, host_arith[reg][0], i, x87_st(cpu, i));
	if (with_pop && !(cpu->x87.fsw & ~before & ~cpu->x87.fcw & BEFORE))
		x87_pop(cpu);
}

/* ---- D9 with a register: E0 to FF ---- */

static void two_results(struct cpu *cpu, host_x87_fn *fn, bool ranged)
{
	u8 r[32];
	unsigned sw;

	if (x87_empty(cpu, 0) || !x87_empty(cpu, 7)) {
		unsigned why = FSW_IE | FSW_SF | (x87_empty(cpu, 0) ? 0 : FSW_C1);

		if (ranged)
			x87_conditions(cpu, 0, FSW_C2);
		if (!x87_status(cpu, why, BEFORE))
			return;
		x87_set(cpu, 0, x87_indefinite);
		x87_top_move(cpu, -1);
		x87_set(cpu, 0, x87_indefinite);
		return;
	}
	sw = fn(x87_host_control(cpu), x87_st(cpu, 0), NULL, r);
	if (ranged)
		x87_conditions(cpu, sw, FSW_C2);
	if (!x87_status(cpu, sw, BEFORE) || (ranged && sw & FSW_C2))
		return;
	x87_set(cpu, 0, r);
	x87_push(cpu, r + 16);
}

static void remainder_step(struct cpu *cpu, host_x87_fn *fn)
{
	u32 r[4 + 7] = {[4] = x87_host_control(cpu), cpu->x87.fsw & (FSW_C0 | FSW_C2 | FSW_C3), 0xffff};
	unsigned sw;

	if (x87_empty(cpu, 0) || x87_empty(cpu, 1)) {
		x87_conditions(cpu, 0, FSW_C2);
		if (x87_underflow(cpu))
			x87_set(cpu, 0, x87_indefinite);
		return;
	}
	sw = fn(x87_host_control(cpu), x87_st(cpu, 0), x87_st(cpu, 1), r);
	x87_conditions(cpu, 0, FSW_C2);
	if (!x87_status(cpu, sw, BEFORE))
		return;
	x87_conditions(cpu, sw, FSW_C0 | FSW_C2 | FSW_C3);
	x87_set(cpu, 0, r);
}

static void pop_result(struct cpu *cpu, host_x87_fn *fn)
{
	u16 before = cpu->x87.fsw;

	cpu_x87_result(cpu, 1, fn, 1, x87_st(cpu, 1));
	if (!(cpu->x87.fsw & ~before & ~cpu->x87.fcw & BEFORE))
		x87_pop(cpu);
}

/* Computes FSIN or FCOS. If the operand is out of range, C2 is set and the operand stays. */
static void ranged_result(struct cpu *cpu, host_x87_fn *fn)
{
	u8 r[16];
	unsigned sw;

	x87_conditions(cpu, 0, FSW_C2);
	if (x87_empty(cpu, 0)) {
		cpu_x87_result(cpu, 0, fn, 0, NULL);
		return;
	}
	sw = fn(x87_host_control(cpu), x87_st(cpu, 0), NULL, r);
	x87_conditions(cpu, sw, FSW_C2);
	if (x87_status(cpu, sw, BEFORE))
		x87_set(cpu, 0, r);
}

static void examine(struct cpu *cpu)
{
	unsigned sw = host_fxam(x87_host_control(cpu), x87_st(cpu, 0), NULL, NULL);

	if (x87_empty(cpu, 0))
		sw = (sw & FSW_C1) | FSW_C0 | FSW_C3;
	x87_conditions(cpu, sw, FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3);
}

static void constant(struct cpu *cpu, host_x87_fn *fn)
{
	u8 r[16];

	fn(x87_host_control(cpu), NULL, NULL, r);
	x87_conditions(cpu, 0, FSW_C1);
	x87_push(cpu, r);
}

void cpu_x87_functions(struct cpu *cpu, const struct cpu_op *op)
{
	switch (op->modrm) {
	case 0xe0: cpu_x87_result(cpu, 0, host_fchs, 0, NULL); break;
	case 0xe1: cpu_x87_result(cpu, 0, host_fabs, 0, NULL); break;
	case 0xe4: x87_compare(cpu, host_ftst, false, NULL); break;
	case 0xe5: examine(cpu); break;
	case 0xf0: cpu_x87_result(cpu, 0, host_f2xm1, 0, NULL); break;
	case 0xf1: pop_result(cpu, host_fyl2x); break;
	case 0xf2: two_results(cpu, host_fptan, true); break;
	case 0xf3: pop_result(cpu, host_fpatan); break;
	case 0xf4: two_results(cpu, host_fxtract, false); break;
	case 0xf5: remainder_step(cpu, host_fprem1); break;
	case 0xf6:
		x87_conditions(cpu, 0, FSW_C1);
		x87_top_move(cpu, -1);
		break;
	case 0xf7:
		x87_conditions(cpu, 0, FSW_C1);
		x87_top_move(cpu, 1);
		break;
	case 0xf8: remainder_step(cpu, host_fprem); break;
	case 0xf9: pop_result(cpu, host_fyl2xp1); break;
	case 0xfa: cpu_x87_result(cpu, 0, host_fsqrt, 0, NULL); break;
	case 0xfb: two_results(cpu, host_fsincos, true); break;
	case 0xfc: cpu_x87_result(cpu, 0, host_frndint, 0, NULL); break;
	case 0xfd: cpu_x87_result(cpu, 0, host_fscale, 1, x87_st(cpu, 1)); break;
	case 0xfe: ranged_result(cpu, host_fsin); break;
	case 0xff: ranged_result(cpu, host_fcos); break;
	default:
		if (op->modrm < 0xe8 || op->modrm > 0xee)
			cpu_raise(cpu, EXC_UD);
		constant(cpu, host_constants[op->modrm - 0xe8]);
	}
}
