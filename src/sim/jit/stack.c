/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack: PUSH, POP and LEAVE of 8 bytes. The stack pointer moves only after the access was made.
 */
#include "ops.h"

static void move_stack(struct translation *t, s32 by)
{
	unsigned rsp = (unsigned)jit_home[CPU_RSP];

	put_rm(&t->e, X_LEA, 8, rsp, rsp, by);
}

/* Makes rcx the host's address of the 8 bytes below the stack pointer, or at it. */
static void stack_access(struct translation *t, const struct cpu_op *op, bool push)
{
	jit_flags_to_image(t);
	jit_address_at(t, CPU_RSP, push ? -8 : 0);
	jit_probe(t, op, 8, push);
}

bool jit_push(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned from;

	if (op->size != 8 || op->flags & OP_MEM)
		return false;
	stack_access(t, op, true);
	from = jit_get(t, op->rm / 8, RDX);
	jit_accesses(t);
	put_rm(&t->e, X_STORE, 8, from, RCX, 0);
	move_stack(t, -8);
	return true;
}

bool jit_push_imm(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (op->size != 8)
		return false;
	stack_access(t, op, true);
	jit_accesses(t);
	put_rm(&t->e, 0xc7, 8, 0, RCX, 0);
	put32(&t->e, (u32)op->imm);
	move_stack(t, -8);
	return true;
}

bool jit_pop(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (op->size != 8 || op->flags & OP_MEM)
		return false;
	stack_access(t, op, false);
	jit_accesses(t);
	put_rm(&t->e, X_LOAD, 8, RDX, RCX, 0);
	move_stack(t, 8);
	jit_put(t, op->rm / 8, RDX);
	return true;
}

/* RSP = RBP + 8, RBP = what RBP pointed to */
bool jit_leave_frame(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned rsp = (unsigned)jit_home[CPU_RSP], rbp = (unsigned)jit_home[CPU_RBP];

	if (op->size != 8)
		return false;
	jit_flags_to_image(t);
	jit_address_at(t, CPU_RBP, 0);
	jit_probe(t, op, 8, false);
	jit_accesses(t);
	put_rm(&t->e, X_LOAD, 8, RDX, RCX, 0);
	put_rm(&t->e, X_LEA, 8, rsp, rbp, 8);
	put_rr(&t->e, X_STORE, 8, RDX, rbp);
	return true;
}
