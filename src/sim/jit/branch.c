/* SPDX-License-Identifier: Apache-2.0 */
/*
 * branch: near jumps, calls and returns. Each is the last operation of its block.
 */
#include "ops.h"

static u64 target_of(const struct translation *t, const struct cpu_op *op)
{
	return t->linear + op->imm;
}

bool jit_jump(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	jit_go_on_at(t, target_of(t, op), t->block->count);
	return true;
}

bool jit_jcc(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	bool af_unsure;
	u8 *taken;

	jit_flags_to_host(t);
	af_unsure = t->af_unsure;
	taken = put_forward(&t->e, 0x0f80 | detail);
	jit_go_on_at(t, t->linear + op->next, t->block->count);
	land(&t->e, taken);
	jit_flags_made(t, af_unsure);
	jit_go_on_at(t, target_of(t, op), t->block->count);
	return true;
}

/* Makes rcx the host's address of the place where the return address goes. */
static void return_place(struct translation *t, const struct cpu_op *op)
{
	jit_flags_to_image(t);
	jit_address_at(t, CPU_RSP, -8);
	jit_probe(t, op, 8, true);
}

static void store_return_address(struct translation *t, const struct cpu_op *op)
{
	unsigned rsp = (unsigned)jit_home[CPU_RSP];

	put_constant(&t->e, RDX, t->linear + op->next);
	jit_accesses(t);
	put_rm(&t->e, X_STORE, 8, RDX, RCX, 0);
	put_rm(&t->e, X_LEA, 8, rsp, rsp, -8);
}

bool jit_call(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	return_place(t, op);
	store_return_address(t, op);
	jit_go_on_at(t, target_of(t, op), t->block->count);
	return true;
}

/* Goes the slow way if the address in rdx is not canonical; uses rdi. */
static void check_canonical(struct translation *t, const struct cpu_op *op)
{
	struct emit *e = &t->e;

	put_rr(e, X_STORE, 8, RDX, RDI);
	put_rr(e, 0xc1, 8, 4, RDI), put8(e, 16);
	put_rr(e, 0xc1, 8, 7, RDI), put8(e, 16);
	put_rr(e, X_CMP, 8, RDX, RDI);
	jit_slow_if(t, op, 5);
}

bool jit_ret(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned rsp = (unsigned)jit_home[CPU_RSP];

	jit_flags_to_image(t);
	jit_address_at(t, CPU_RSP, 0);
	jit_probe(t, op, 8, false);
	jit_accesses(t);
	put_rm(&t->e, X_LOAD, 8, RDX, RCX, 0);
	check_canonical(t, op);
	put_rm(&t->e, X_LEA, 8, rsp, rsp, 8 + (u16)op->imm);
	jit_go_on_indirect(t, t->block->count);
	return true;
}

/* Makes rdx the target of an indirect jump or call. */
static void indirect_target(struct translation *t, const struct cpu_op *op)
{
	jit_flags_to_image(t);
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, 8, false);
		jit_accesses(t);
		put_rm(&t->e, X_LOAD, 8, RDX, RCX, 0);
	} else {
		unsigned from = jit_get(t, op->rm / 8, RDX);

		if (from != RDX)
			put_rr(&t->e, X_STORE, 8, from, RDX);
	}
	check_canonical(t, op);
}

bool jit_jump_indirect(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (op->size != 8)
		return false;
	indirect_target(t, op);
	jit_go_on_indirect(t, t->block->count);
	return true;
}

/* The target waits in the frame while the return address is written. */
bool jit_call_indirect(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (op->size != 8)
		return false;
	indirect_target(t, op);
	put_rm(&t->e, X_STORE, 8, RDX, RSP, 0);
	return_place(t, op);
	store_return_address(t, op);
	put_rm(&t->e, X_LOAD, 8, RDX, RSP, 0);
	jit_go_on_indirect(t, t->block->count);
	return true;
}
