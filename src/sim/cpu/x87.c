/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87: the instructions D8 to DF, by opcode (APM 5). The host's x87 computes the values (x87_host.h).
 */
#include "x87.h"

static void exchange(struct cpu *cpu, unsigned i)
{
	u8 a[10], b[10];

	if (x87_empty(cpu, 0) || x87_empty(cpu, i)) {
		if (!x87_underflow(cpu))
			return;
		if (x87_empty(cpu, 0))
			x87_set(cpu, 0, x87_indefinite);
		if (x87_empty(cpu, i))
			x87_set(cpu, i, x87_indefinite);
	}
	x87_conditions(cpu, 0, FSW_C1);
	memcpy(a, x87_st(cpu, 0), 10);
	memcpy(b, x87_st(cpu, i), 10);
	x87_set(cpu, 0, b);
	x87_set(cpu, i, a);
}

/* Copies ST(0) to ST(i), which may be empty. */
static void copy_to(struct cpu *cpu, unsigned i, bool with_pop)
{
	x87_conditions(cpu, 0, FSW_C1);
	if (x87_empty(cpu, 0)) {
		if (!x87_underflow(cpu))
			return;
		x87_set(cpu, i, x87_indefinite);
	} else {
		x87_set(cpu, i, x87_st(cpu, 0));
	}
	if (with_pop)
		x87_pop(cpu);
}

static void conditional_move(struct cpu *cpu, unsigned i, bool yes)
{
	if (x87_empty(cpu, 0) || x87_empty(cpu, i)) {
		/* A stack fault occurs whatever the condition says. */
		if (x87_underflow(cpu))
			x87_set(cpu, 0, x87_indefinite);
		return;
	}
	if (yes)
		x87_set(cpu, 0, x87_st(cpu, i));
}

static void push_copy(struct cpu *cpu, unsigned i)
{
	u8 value[10];

	x87_conditions(cpu, 0, FSW_C1);
	if (x87_empty(cpu, i)) {
		if (!x87_underflow(cpu))
			return;
		x87_top_move(cpu, -1);
		x87_set(cpu, 0, x87_indefinite);
		return;
	}
	memcpy(value, x87_st(cpu, i), 10);
	x87_push(cpu, value);
}

/* ---- by opcode ---- */

static void d9(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7;

	if (op->flags & OP_MEM) {
		switch (reg) {
		case 0: cpu_x87_load(cpu, op, X87_F32); break;
		case 2:
		case 3: cpu_x87_store(cpu, op, X87_F32, reg == 3); break;
		case 4: cpu_x87_fldenv(cpu, op, false); break;
		case 5: cpu_x87_fldcw(cpu, op); break;
		case 6: cpu_x87_fnstenv(cpu, op, false); break;
		case 7: cpu_rm_write(cpu, op, 2, cpu->x87.fcw); break;
		default: cpu_raise(cpu, EXC_UD);
		}
		return;
	}
	switch (reg) {
	case 0: push_copy(cpu, op->modrm & 7); break;
	case 1: exchange(cpu, op->modrm & 7); break;
	case 2:
		if (op->modrm != 0xd0)
			cpu_raise(cpu, EXC_UD);
		break;
	case 3:
		/* This FSTP does not fault if ST(0) is empty. */
		if (x87_empty(cpu, 0)) {
			x87_conditions(cpu, 0, FSW_C1);
			x87_pop(cpu);
		} else {
			copy_to(cpu, op->modrm & 7, true);
		}
		break;
	default: cpu_x87_functions(cpu, op); break;
	}
}

static void da_registers(struct cpu *cpu, const struct cpu_op *op, bool negate)
{
	unsigned i = op->modrm & 7;
	bool conditions_met[4] = {flag_cf(cpu), flag_zf(cpu), flag_cf(cpu) || flag_zf(cpu), flag_pf(cpu)};

	conditional_move(cpu, i, conditions_met[op->modrm >> 3 & 3] != negate);
}

static void da(struct cpu *cpu, const struct cpu_op *op)
{
	if (op->flags & OP_MEM) {
		cpu_x87_arith_memory(cpu, op, 2);
	} else if (op->modrm < 0xe0) {
		da_registers(cpu, op, false);
	} else if (op->modrm == 0xe9) {
		if (cpu_x87_compare_st(cpu, 1, true)) {
			x87_pop(cpu);
			x87_pop(cpu);
		}
	} else {
		cpu_raise(cpu, EXC_UD);
	}
}

static void db(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7;

	if (op->flags & OP_MEM) {
		switch (reg) {
		case 0: cpu_x87_load(cpu, op, X87_I32); break;
		case 1: cpu_x87_store(cpu, op, X87_TI32, true); break;
		case 2:
		case 3: cpu_x87_store(cpu, op, X87_I32, reg == 3); break;
		case 5: cpu_x87_load(cpu, op, X87_F80); break;
		case 7: cpu_x87_store(cpu, op, X87_F80, true); break;
		default: cpu_raise(cpu, EXC_UD);
		}
		return;
	}
	if (reg < 4) {
		da_registers(cpu, op, true);
	} else if (op->modrm == 0xe2) {
		cpu->x87.fsw &= 0x7f00;
	} else if (op->modrm == 0xe3) {
		cpu_x87_reset(cpu);
	} else if (reg == 5 || reg == 6) {
		cpu_x87_compare_flags(cpu, op->modrm & 7, reg == 5, false);
	} else if (op->modrm != 0xe0 && op->modrm != 0xe1 && op->modrm != 0xe4) {
		cpu_raise(cpu, EXC_UD); /* FNENI, FNDISI, FNSETPM do nothing */
	}
}

static void dd(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7, i = op->modrm & 7;

	if (op->flags & OP_MEM) {
		switch (reg) {
		case 0: cpu_x87_load(cpu, op, X87_F64); break;
		case 1: cpu_x87_store(cpu, op, X87_TI64, true); break;
		case 2:
		case 3: cpu_x87_store(cpu, op, X87_F64, reg == 3); break;
		case 4: cpu_x87_fldenv(cpu, op, true); break;
		case 6: cpu_x87_fnstenv(cpu, op, true); break;
		case 7: cpu_rm_write(cpu, op, 2, cpu->x87.fsw); break;
		default: cpu_raise(cpu, EXC_UD);
		}
		return;
	}
	switch (reg) {
	case 0:
		x87_conditions(cpu, 0, FSW_C1);
		cpu->x87.ftw &= (u8) ~(1u << x87_physical(cpu, i));
		break;
	case 1: exchange(cpu, i); break;
	case 2:
	case 3: copy_to(cpu, i, reg == 3); break;
	case 4:
	case 5:
		if (cpu_x87_compare_st(cpu, i, true) && reg == 5)
			x87_pop(cpu);
		break;
	default: cpu_raise(cpu, EXC_UD);
	}
}

static void de(struct cpu *cpu, const struct cpu_op *op)
{
	if (op->flags & OP_MEM) {
		cpu_x87_arith_memory(cpu, op, 4);
	} else if (op->modrm == 0xd9) {
		if (cpu_x87_compare_st(cpu, 1, false)) {
			x87_pop(cpu);
			x87_pop(cpu);
		}
	} else if ((op->modrm & 0xf8) == 0xd8) {
		cpu_raise(cpu, EXC_UD);
	} else {
		cpu_x87_arith_register(cpu, op, true, true);
	}
}

static void df(struct cpu *cpu, const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7, i = op->modrm & 7;

	if (op->flags & OP_MEM) {
		switch (reg) {
		case 0: cpu_x87_load(cpu, op, X87_I16); break;
		case 1: cpu_x87_store(cpu, op, X87_TI16, true); break;
		case 2:
		case 3: cpu_x87_store(cpu, op, X87_I16, reg == 3); break;
		case 4: cpu_x87_load(cpu, op, X87_BCD); break;
		case 5: cpu_x87_load(cpu, op, X87_I64); break;
		case 6: cpu_x87_store(cpu, op, X87_BCD, true); break;
		default: cpu_x87_store(cpu, op, X87_I64, true); break;
		}
		return;
	}
	switch (reg) {
	case 0:
		x87_conditions(cpu, 0, FSW_C1);
		cpu->x87.ftw &= (u8) ~(1u << x87_physical(cpu, i));
		x87_pop(cpu);
		break;
	case 1: exchange(cpu, i); break;
	case 2:
	case 3: copy_to(cpu, i, true); break;
	case 4:
		if (i)
			cpu_raise(cpu, EXC_UD);
		reg_set(cpu, CPU_RAX * 8, 2, cpu->x87.fsw);
		break;
	case 5:
	case 6: cpu_x87_compare_flags(cpu, i, reg == 5, true); break;
	default: cpu_raise(cpu, EXC_UD);
	}
}

/*
 * Returns whether the instruction controls the x87 and does not change the pointers. Of these, FNINIT,
 * FNCLEX, FNSTCW, FNSTSW, FNSTENV and FNSAVE do not report earlier exceptions, either.
 */
static bool is_control(const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7;

	if (op->flags & OP_MEM)
		return (op->opcode == 0xd9 && reg >= 4) || (op->opcode == 0xdd && (reg == 4 || reg >= 6));
	return (op->opcode == 0xdb && reg == 4) || (op->opcode == 0xdf && reg == 4) ||
	       (op->opcode == 0xd9 && op->modrm == 0xd0);
}

static bool waits(const struct cpu_op *op)
{
	unsigned reg = op->modrm >> 3 & 7;

	if (!is_control(op))
		return true;
	return op->flags & OP_MEM ? (op->opcode == 0xd9 ? reg < 6 : reg == 4) : op->opcode == 0xd9;
}

void op_x87(struct cpu *cpu, const struct cpu_op *op)
{
	cpu_fpu_check(cpu);
	if (waits(op))
		cpu_x87_pending(cpu);
	switch (op->opcode) {
	case 0xd8:
		if (op->flags & OP_MEM)
			cpu_x87_arith_memory(cpu, op, 1);
		else
			cpu_x87_arith_register(cpu, op, false, false);
		break;
	case 0xd9: d9(cpu, op); break;
	case 0xda: da(cpu, op); break;
	case 0xdb: db(cpu, op); break;
	case 0xdc:
		if (op->flags & OP_MEM)
			cpu_x87_arith_memory(cpu, op, 3);
		else
			cpu_x87_arith_register(cpu, op, true, false);
		break;
	case 0xdd: dd(cpu, op); break;
	case 0xde: de(cpu, op); break;
	default: df(cpu, op); break;
	}
	if (!is_control(op)) {
		cpu->x87.fip = cpu_op_rip(cpu);
		cpu->x87.fop = (u16)((op->opcode & 7) << 8 | op->modrm);
		if (op->flags & OP_MEM)
			cpu->x87.fdp = op_offset(cpu, op);
	}
}
