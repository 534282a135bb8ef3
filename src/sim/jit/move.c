/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: MOV and its kin, XCHG and BSWAP of registers, CMOVcc, SETcc, sign extension.
 */
#include "ops.h"

/* The opcode of a load that makes a whole register of the value; writes of 1 and 2 bytes keep the rest of it.
 */
static void load_memory(struct translation *t, const struct cpu_op *op, unsigned guest)
{
	unsigned to;

	jit_address(t, op);
	jit_probe(t, op, op->size, false);
	to = op->size < 4 ? jit_get(t, guest, RDX) : jit_target(guest, RDX);
	jit_accesses(t);
	put_rm(&t->e, 0x8a | (op->size > 1), op->size, to, RCX, 0);
	jit_put(t, guest, to);
}

static void store_memory(struct translation *t, const struct cpu_op *op, unsigned guest)
{
	unsigned from;

	jit_address(t, op);
	jit_probe(t, op, op->size, true);
	from = jit_get(t, guest, RDX);
	jit_accesses(t);
	put_rm(&t->e, 0x88 | (op->size > 1), op->size, from, RCX, 0);
}

static void move_register(struct translation *t, unsigned to, unsigned from, unsigned size)
{
	unsigned source = jit_get(t, from, RCX), target;

	if (size == 8) {
		jit_put(t, to, source);
		return;
	}
	target = size == 4 ? jit_target(to, RDX) : jit_get(t, to, RDX);
	put_rr(&t->e, 0x88 | (size > 1), size, source, target);
	jit_put(t, to, target);
}

/* reg = rm; detail 1: the accumulator = memory */
bool jit_load(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (is_high(op, FORM_GE))
		return false;
	if (op->flags & OP_MEM)
		load_memory(t, op, detail ? CPU_RAX : op->reg / 8u);
	else
		move_register(t, op->reg / 8, op->rm / 8, op->size);
	return true;
}

/* rm = reg; detail 1: memory = the accumulator */
bool jit_store(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	if (is_high(op, FORM_EG))
		return false;
	if (op->flags & OP_MEM)
		store_memory(t, op, detail ? CPU_RAX : op->reg / 8u);
	else
		move_register(t, op->rm / 8, op->reg / 8, op->size);
	return true;
}

bool jit_move_imm(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned size = op->size, to = RDX;
	struct emit *e = &t->e;

	if (is_high(op, FORM_EI))
		return false;
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, size, true);
		jit_accesses(t);
		put_rm(e, 0xc6 | (size > 1), size, 0, RCX, 0);
	} else if (size >= 4) {
		to = jit_target(op->rm / 8, RDX);
		put_constant(e, to, size == 4 ? (u32)op->imm : op->imm);
		jit_put(t, op->rm / 8, to);
		return true;
	} else {
		to = jit_get(t, op->rm / 8, RDX);
		put_rr(e, 0xc6 | (size > 1), size, 0, to);
	}
	for (unsigned i = 0; i < (size > 4 ? 4 : size); i++)
		put8(e, (u8)(op->imm >> (i * 8)));
	if (!(op->flags & OP_MEM))
		jit_put(t, op->rm / 8, to);
	return true;
}

/* MOVZX, MOVSX, MOVSXD; detail: the opcode, or EXTEND_DWORD */
bool jit_extend(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned opcode = detail == EXTEND_DWORD ? 0x63 : detail, from, to;
	unsigned size = detail == EXTEND_DWORD ? 4 : detail & 1 ? 2 : 1;
	struct emit *e = &t->e;

	if ((detail == EXTEND_DWORD && op->size != 8) || (!(op->flags & OP_MEM) && op->rm & 1))
		return false;
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, size, false);
	}
	to = op->size == 2 ? jit_get(t, op->reg / 8, RDX) : jit_target(op->reg / 8, RDX);
	if (op->flags & OP_MEM) {
		jit_accesses(t);
		put_rm(e, opcode, op->size, to, RCX, 0);
	} else {
		from = jit_get(t, op->rm / 8, RCX);
		if (size == 1 && from >= RSP && from < R8 && op->size != 8) {
			/* a byte of RSI needs a REX prefix */
			put_rr(e, X_STORE, 4, from, RCX);
			from = RCX;
		}
		put_rr(e, opcode, op->size, to, from);
	}
	jit_put(t, op->reg / 8, to);
	return true;
}

bool jit_exchange(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned a, b;

	if (op->flags & OP_MEM || is_high(op, FORM_EG))
		return false;
	a = jit_get(t, op->rm / 8, RCX);
	b = jit_get(t, op->reg / 8, RDX);
	put_rr(&t->e, 0x86 | (op->size > 1), op->size, a, b);
	jit_put(t, op->rm / 8, a);
	jit_put(t, op->reg / 8, b);
	return true;
}

bool jit_swap(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned to;

	if (op->size < 4)
		return false;
	to = jit_get(t, op->rm / 8, RDX);
	put_opcode(&t->e, 0x0fc8 | (to & 7), op->size, 0, 0, to);
	jit_put(t, op->rm / 8, to);
	return true;
}

/* CBW, CWDE, CDQE: detail 0. CDQ, CQO: 1. */
bool jit_widen(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned rax = (unsigned)jit_home[CPU_RAX], rdx = (unsigned)jit_home[CPU_RDX];
	struct emit *e = &t->e;

	if (op->size < 4)
		return false;
	if (!detail) {
		put_rr(e, op->size == 8 ? 0x63 : 0x0fbf, op->size, rax, rax);
		return true;
	}
	jit_flags_to_image(t);
	put_rr(e, X_STORE, op->size, rax, rdx);
	put_rr(e, 0xc1, op->size, 7, rdx);
	put8(e, (u8)(op->size * 8 - 1));
	return true;
}

bool jit_setcc(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	struct emit *e = &t->e;
	unsigned to;

	if (!(op->flags & OP_MEM) && op->rm & 1)
		return false;
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, 1, true);
		jit_flags_to_host(t);
		jit_accesses(t);
		put_rm(e, 0x0f90 | detail, 4, 0, RCX, 0);
		return true;
	}
	jit_flags_to_host(t);
	to = jit_get(t, op->rm / 8, RDX);
	put_rr(e, 0x0f90 | detail, 1, 0, to);
	jit_put(t, op->rm / 8, to);
	return true;
}

bool jit_cmov(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	struct emit *e = &t->e;
	unsigned to, from;

	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, op->size, false);
		jit_flags_to_host(t);
		to = jit_get(t, op->reg / 8, RDX);
		jit_accesses(t);
		put_rm(e, 0x0f40 | detail, op->size, to, RCX, 0);
	} else {
		jit_flags_to_host(t);
		to = jit_get(t, op->reg / 8, RDX);
		from = jit_get(t, op->rm / 8, RCX);
		put_rr(e, 0x0f40 | detail, op->size, to, from);
	}
	jit_put(t, op->reg / 8, to);
	return true;
}

bool jit_nothing(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	return true;
}
