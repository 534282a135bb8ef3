/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmp: the instructions of a SEV-SNP guest on its entries of the RMP, the table that says whose each page is.
 * The platform has the table (cpu_bus.rmp). Law: APM 3, PVALIDATE, RMPADJUST and RMPQUERY; APM 2,
 * 15.36.
 */
#include "access.h"
#include "leave.h"
#include "ops.h"

/* Puts the code in EAX, and the flags that follow from it. */
static struct cpu_rmp_call execute(struct cpu *cpu, const struct cpu_op *op, enum cpu_rmp_op what)
{
	struct cpu_rmp_call call = {.op = what, .rcx = REG_RCX, .rdx = REG_RDX};
	u64 linear = REG_RAX << op->address_shift >> op->address_shift;

	if (!cpu->bus->rmp)
		cpu_raise(cpu, EXC_UD);
	if (cpu->cpl)
		cpu_raise_error(cpu, EXC_GP, 0);
	cpu_mem_rmp(cpu, seg_linear(cpu, op->seg, linear, 1, ACCESS_READ), op->seg, &call);
	REG_RAX = call.ret_result;
	flags_set(cpu, sign_extend(call.ret_result, 4), flag_cf(cpu), false, false);
	return call;
}

void op_pvalidate(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_rmp_call call = execute(cpu, op, CPU_RMP_PVALIDATE);

	flag_cf_set(cpu, call.ret_unchanged);
}

void op_rmpadjust(struct cpu *cpu, const struct cpu_op *op)
{
	execute(cpu, op, CPU_RMP_ADJUST);
}

void op_rmpquery(struct cpu *cpu, const struct cpu_op *op)
{
	struct cpu_rmp_call call;

	if (!cpu->bus->has_rmpquery)
		cpu_raise(cpu, EXC_UD);
	call = execute(cpu, op, CPU_RMP_QUERY);
	REG_RCX = call.rcx;
	REG_RDX = call.rdx;
}
