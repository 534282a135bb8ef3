/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs: the guest's registers and flags in those of the host.
 */
#include "internal.h"

/* By the guest's number; -1: in struct cpu. The host's RSI, R8 to R11 and the scratch registers are lost in a
 * call of C. */
const s8 jit_home[16] = {R10, R11, R12, RBX, R13, R14, RSI, R9, R8, -1, -1, -1, -1, -1, -1, -1};

unsigned jit_get(struct translation *t, unsigned guest, unsigned scratch)
{
	if (has_home(guest))
		return (unsigned)jit_home[guest];
	put_rm(&t->e, X_LOAD, 8, scratch, RBP, (s32)(guest * 8));
	return scratch;
}

unsigned jit_target(unsigned guest, unsigned scratch)
{
	return has_home(guest) ? (unsigned)jit_home[guest] : scratch;
}

void jit_put(struct translation *t, unsigned guest, unsigned host)
{
	if (!has_home(guest))
		put_rm(&t->e, X_STORE, 8, host, RBP, (s32)(guest * 8));
	else if ((unsigned)jit_home[guest] != host)
		put_rr(&t->e, X_STORE, 8, host, (unsigned)jit_home[guest]);
}

void jit_need_registers(struct translation *t)
{
	if (!t->spilt)
		return;
	put_jump(&t->e, 0xe8, t->jit->thunks.reload);
	t->spilt = false;
	t->flags = FLAGS_IMAGE;
}

void jit_need_memory(struct translation *t)
{
	if (t->spilt)
		return;
	jit_flags_to_image(t);
	put_jump(&t->e, 0xe8, t->jit->thunks.spill);
	t->spilt = true;
	put_jump(&t->e, 0xe8, t->enter_block);
}

void jit_flags_to_host(struct translation *t)
{
	jit_need_registers(t);
	if (t->flags == FLAGS_HOST)
		return;
	put_jump(&t->e, 0xe8, t->jit->thunks.flags_in);
	t->flags = FLAGS_HOST;
	t->af_unsure = false;
}

/* LAHF, SETO AL; and AND AH, ~AF where the guest's is clear. */
void jit_flags_to_image(struct translation *t)
{
	if (t->spilt || t->flags == FLAGS_IMAGE)
		return;
	put8(&t->e, 0x9f);
	put_rr(&t->e, 0x0f90, 4, 0, RAX);
	if (t->af_unsure)
		put8(&t->e, 0x80), put8(&t->e, 0xe4), put8(&t->e, 0xef);
	t->flags = FLAGS_IMAGE;
}

void jit_flags_made(struct translation *t, bool af_unsure)
{
	t->flags = FLAGS_HOST;
	t->af_unsure = af_unsure;
}
