/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave: where native code goes on behind a block. It looks for what the dispatcher looks for between two
 * blocks: the deadline, events that are posted, attention; if there is any, it goes back to the dispatcher.
 * Then it goes to the code of the next block, if cpu.exec_tag is the one under which that code was found
 * there. Else jit_resolve() looks for it.
 */
#include "leave.h"

struct outs {
	u8 *from[5];
	unsigned count;
};

static void out_if(struct emit *e, struct outs *outs, unsigned cc)
{
	outs->from[outs->count++] = put_forward(e, 0x0f80 | cc);
}

static void land_all(struct emit *e, const struct outs *outs)
{
	for (unsigned i = 0; i < outs->count; i++)
		land(e, outs->from[i]);
}

enum { CC_BELOW = 2, CC_AE = 3, CC_E = 4, CC_NE = 5 };

static void look_around(struct emit *e, struct outs *outs, bool attention)
{
	put_rm(e, X_CMP_LOAD, 8, R15, RBP, CPU_AT(deadline));
	out_if(e, outs, CC_AE);
	put_rm(e, X_LOAD, 4, RCX, RBP, CPU_AT(pending));
	put_rm(e, X_TEST, 4, RCX, RBP, CPU_AT(accept));
	out_if(e, outs, CC_NE);
	if (attention) {
		put_rm(e, 0x80, 4, 7, RBP, CPU_AT(attention)); /* cmp byte, imm8 */
		put8(e, 0);
		out_if(e, outs, CC_NE);
	}
}

void jit_emit_look_up(struct jit *jit, struct emit *e, bool attention)
{
	struct outs outs = {.count = 0}, unknown = {.count = 0};

	look_around(e, &outs, attention);
	put_rr(e, X_STORE, 8, RDX, RCX);
	put_rr(e, 0xc1, 8, 5, RCX), put8(e, 12);
	put_rr(e, X_XOR, 4, RDX, RCX);
	put_ri(e, 4, 4, RCX, JUMP_ENTRIES - 1);
	put_rr(e, 0xc1, 4, 4, RCX), put8(e, SLOT_SHIFT);
	put_at(e, X_LEA, 8, RDI, jit->targets);
	put_rr(e, X_ADD, 8, RCX, RDI);
	put_rm(e, X_CMP, 8, RDX, RDI, (s32)offsetof(struct jit_slot, linear));
	out_if(e, &unknown, CC_NE);
	put_rm(e, X_LOAD, 8, RCX, RBP, CPU_AT(exec_tag));
	put_rm(e, X_CMP, 8, RCX, RDI, (s32)offsetof(struct jit_slot, tag));
	out_if(e, &unknown, CC_NE);
	put_rm(e, 0xff, 4, 4, RDI, (s32)offsetof(struct jit_slot, entry));
	land_all(e, &unknown);
	put_constant(e, RDX, 0);
	put_jump(e, 0xe9, jit->thunks.resolve);
	land_all(e, &outs);
	put_jump(e, 0xe9, jit->thunks.leave);
}

static void count_instructions(struct translation *t, unsigned count)
{
	put_rm(&t->e, X_LEA, 8, R15, R15, (s32)count);
}

static struct jit_slot *new_slot(struct jit *jit, u64 linear)
{
	struct jit_slot *slot = (void *)(jit->data + jit->data_used);

	jit->data_used += sizeof(*slot);
	*slot = (struct jit_slot){.linear = linear};
	return slot;
}

void jit_go_on_at(struct translation *t, u64 linear, unsigned count)
{
	struct jit_slot *slot = new_slot(t->jit, linear);
	struct outs outs = {.count = 0}, unknown = {.count = 0};
	struct emit *e = &t->e;

	jit_need_registers(t);
	jit_flags_to_image(t);
	count_instructions(t, count);
	look_around(e, &outs, t->calls || t->slow_count);
	put_rm(e, X_LOAD, 8, RCX, RBP, CPU_AT(exec_tag));
	put_at(e, X_CMP_LOAD, 8, RCX, &slot->tag);
	out_if(e, &unknown, CC_NE);
	put_at(e, 0xff, 4, 4, &slot->entry);
	land_all(e, &unknown);
	put_at(e, X_LEA, 8, RDX, slot);
	put_jump(e, 0xe9, t->jit->thunks.resolve_at);
	land_all(e, &outs);
	put_at(e, X_LEA, 8, RDX, slot);
	put_jump(e, 0xe9, t->jit->thunks.leave_at);
	t->ended = true;
}

void jit_go_on_indirect(struct translation *t, unsigned count)
{
	jit_flags_to_image(t);
	count_instructions(t, count);
	put_rm(&t->e, X_STORE, 8, RDX, RBP, CPU_AT(gpr) + CPU_GPR_RIP * 8);
	jit_emit_look_up(t->jit, &t->e, t->calls || t->slow_count);
	t->ended = true;
}
