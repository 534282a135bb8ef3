/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate: makes the native code of a block:
 *
 *     enter_block   writes RIP and the like to struct cpu; called before the first handler
 *     entry         the operations, each natively or by a call of its handler
 *                   where the block goes on (leave.c)
 *     slow paths    of operations whose access was not simple, and of those that end the block early
 */
#include "leave.h"
#include "ops.h"

/* ---- which flags anybody may see ---- */

static unsigned uses_of(const struct cpu_op *op, const struct jit_row *row)
{
	if (!row)
		return READS_FLAGS | ACCESSES;
	return row->uses |
	       (op->flags & OP_MEM && row->fn != jit_lea && row->fn != jit_nothing ? ACCESSES : 0);
}

/* Returns a bit for each operation whose flags are wanted behind it: by another, by a fault, or behind the
 * block. */
static u32 wanted_flags(const struct cpu_block *block, const struct jit_row *const rows[static 32])
{
	u32 wanted = 0;
	bool now = true;

	for (unsigned i = block->count; i-- > 0;) {
		unsigned uses = uses_of(&block->ops[i], rows[i]);

		wanted |= (u32)now << i;
		if (uses & (READS_FLAGS | ACCESSES))
			now = true;
		else if (uses & SETS_FLAGS)
			now = false;
	}
	return wanted;
}

/* ---- operations ---- */

static void emit_enter_block(struct translation *t)
{
	const struct cpu_block *block = t->block;
	struct emit *e = &t->e;

	t->enter_block = e->at;
	put_constant(e, RCX, t->linear);
	put_rm(e, X_STORE, 8, RCX, RBP, CPU_AT(gpr) + CPU_GPR_RIP * 8);
	put_constant(e, RCX, (uintptr_t)block);
	put_rm(e, X_STORE, 8, RCX, RBP, CPU_AT(block));
	put_constant(e, RCX, (uintptr_t)(block->ops + block->count));
	put_rm(e, X_STORE, 8, RCX, RBP, CPU_AT(op_end));
	put8(e, 0xc3);
}

/* Jumps away if the handler of an operation has ended the block, as cpu_code_written() does. */
static u8 *if_ended(struct translation *t)
{
	put_rm(&t->e, 0x81, 4, 7, RBP, CPU_AT(op_end));
	put32(&t->e, (u32)(uintptr_t)(t->block->ops + t->block->count));
	return put_forward(&t->e, 0x0f85);
}

/* Leaves behind operation op, which is not a branch; the registers are in struct cpu. */
static void leave_behind(struct translation *t, const struct cpu_op *op)
{
	put_rm(&t->e, 0x83, 8, 0, RBP, CPU_AT(icount));
	put8(&t->e, (u32)(op - t->block->ops) + 1);
	put_rm(&t->e, 0x81, 8, 0, RBP, CPU_AT(gpr) + CPU_GPR_RIP * 8);
	put32(&t->e, op->next);
	put_jump(&t->e, 0xe9, t->jit->thunks.leave_spilt);
}

static void end_branch(struct translation *t)
{
	put_rm(&t->e, X_LEA, 8, R15, R15, t->block->count);
	put_jump(&t->e, 0xe9, t->jit->thunks.behind_branch);
}

/* An operation by its handler. */
static void call_handler(struct translation *t, const struct cpu_op *op)
{
	struct emit *e = &t->e;
	u8 *goes_on;

	jit_need_memory(t);
	t->calls = true;
	put_constant(e, RSI, (uintptr_t)op);
	put_rm(e, X_STORE, 8, RSI, RBP, CPU_AT(op));
	put_rr(e, X_STORE, 8, RBP, RDI);
	put_constant(e, RAX, (uintptr_t)op->fn);
	put_rr(e, 0xff, 4, 2, RAX);
	if (op->flags & OP_BRANCH) {
		jit_need_registers(t);
		end_branch(t);
		t->ended = true;
	} else if (op + 1 != t->block->ops + t->block->count) {
		put_rm(e, 0x81, 4, 7, RBP, CPU_AT(op_end));
		put32(e, (u32)(uintptr_t)(t->block->ops + t->block->count));
		goes_on = put_forward(e, 0x0f84);
		leave_behind(t, op);
		land(e, goes_on);
	}
}

static void emit_operation(struct translation *t, const struct cpu_op *op, const struct jit_row *row)
{
	t->path = NULL;
	if (row && !(op->flags & OP_LEGACY)) {
		jit_need_registers(t);
		if (row->fn(t, op, row->detail)) {
			if (t->path) {
				t->path->back = t->e.at;
				t->path->to_host = t->flags == FLAGS_HOST;
			}
			return;
		}
	}
	call_handler(t, op);
}

static void emit_slow_path(struct translation *t, const struct slow_path *path)
{
	struct emit *e = &t->e;
	u8 *ended = NULL;

	for (unsigned i = 0; i < path->froms; i++)
		land(e, path->from[i]);
	for (u32 i = path->first_fault; i < path->last_fault; i++)
		t->jit->faults[i].detour = (u32)(e->at - t->jit->write);
	put_jump(e, 0xe8, t->enter_block);
	put_constant(e, RDX, (uintptr_t)path->op);
	put_jump(e, 0xe8, t->jit->thunks.handle);
	if (path->op->flags & OP_BRANCH) {
		end_branch(t);
		return;
	}
	if (path->op + 1 != t->block->ops + t->block->count)
		ended = if_ended(t);
	if (path->to_host)
		put_jump(e, 0xe8, t->jit->thunks.flags_in);
	put_jump(e, 0xe9, path->back);
	if (!ended)
		return;
	land(e, ended);
	put_jump(e, 0xe8, t->jit->thunks.spill);
	leave_behind(t, path->op);
}

static bool has_room(const struct jit *jit)
{
	return jit->code_used + BLOCK_BYTES <= CODE_BYTES && jit->data_used + 4096 <= SLOTS_BYTES &&
	       jit->fault_count + 256 <= FAULTS_MAX;
}

static void emit_block(struct translation *t)
{
	const struct cpu_block *block = t->block;
	const struct jit_row *rows[32] = {NULL};
	u32 wanted;

	for (unsigned i = 0; i < block->count; i++)
		rows[i] = jit_row_find(block->ops[i].fn);
	wanted = wanted_flags(block, rows);
	for (unsigned i = 0; i < block->count; i++) {
		t->flags_wanted = wanted >> i & 1;
		emit_operation(t, &block->ops[i], rows[i]);
	}
	if (!t->ended)
		jit_go_on_at(t, t->linear + block->ops[block->count - 1].next, block->count);
	for (unsigned i = 0; i < t->slow_count; i++)
		emit_slow_path(t, &t->slow[i]);
}

struct jit_code *jit_translate(struct jit *jit, const struct cpu_block *block, u64 linear)
{
	struct translation t = {.jit = jit, .block = block, .linear = linear, .flags = FLAGS_IMAGE};
	struct jit_code *code;

	if (!has_room(jit) || block->count > 32)
		return NULL;
	code = (void *)(jit->data + jit->data_used);
	jit->data_used += sizeof(*code);
	t.e = (struct emit){.at = jit->write + jit->code_used, .there = jit->code - jit->write};
	emit_enter_block(&t);
	*code = (struct jit_code){.linear = linear, .entry = t.e.at + t.e.there, .block = block};
	emit_block(&t);
	jit->code_used = (size_t)(t.e.at - jit->write);
	return code;
}
