/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: moves of 16 bytes between memory and XMM registers, which stay in struct cpu.
 */
#include "ops.h"

/* What cpu_sse_check() checks; the handler raises what is to be raised. */
static void check_sse(struct translation *t, const struct cpu_op *op)
{
	struct emit *e = &t->e;

	put_rm(e, 0xf7, 4, 0, RBP, CPU_AT(cr0));
	put32(e, CR0_EM | CR0_TS);
	jit_slow_if(t, op, 5);
	put_rm(e, 0xf7, 4, 0, RBP, CPU_AT(cr4));
	put32(e, CR4_OSFXSR);
	jit_slow_if(t, op, 4);
}

/* Makes rcx the host's address of the operand. */
static void sse_access(struct translation *t, const struct cpu_op *op, bool write, bool aligned)
{
	jit_flags_to_image(t);
	check_sse(t, op);
	jit_address(t, op);
	if (aligned) {
		put_rr(&t->e, 0xf6, 1, 0, RCX);
		put8(&t->e, 15);
		jit_slow_if(t, op, 5);
	}
	jit_probe(t, op, 16, write);
}

static s32 xmm_at(unsigned number)
{
	return CPU_AT(xmm) + (s32)number * 16;
}

/* detail: whether the address must be aligned */
bool jit_sse_load(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (!(op->flags & OP_MEM))
		return false;
	sse_access(t, op, false, detail);
	jit_accesses(t);
	put_rm(&t->e, 0x0f10, 4, 0, RCX, 0);
	put_rm(&t->e, 0x0f29, 4, 0, RBP, xmm_at(op->xreg));
	return true;
}

bool jit_sse_store(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (!(op->flags & OP_MEM))
		return false;
	sse_access(t, op, true, detail);
	put_rm(&t->e, 0x0f28, 4, 0, RBP, xmm_at(op->xreg));
	jit_accesses(t);
	put_rm(&t->e, 0x0f11, 4, 0, RCX, 0);
	return true;
}
