/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shift: shifts and rotations of registers. By the manuals OF is defined for a count of 1 only. Here it has
 * the value that cpu/int_shift.c gives it, so the last bit is shifted alone where somebody may see the flags.
 */
#include "ops.h"

enum { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR };

static void put_shift(struct emit *e, unsigned number, unsigned size, unsigned reg, unsigned count)
{
	put_rr(e, count == 1 ? 0xd0 | (size > 1) : 0xc0 | (size > 1), size, number, reg);
	if (count != 1)
		put8(e, (u8)count);
}

/* Shifts so that CF, and OF but for SHR, are what they are to be. */
static void shift_with_flags(struct emit *e, unsigned number, unsigned size, unsigned reg, unsigned count)
{
	if (count > 1)
		put_shift(e, number, size, reg, count - 1);
	put_shift(e, number, size, reg, 1);
}

/* SHR by more than 1: OF is the sign of the old value, which is copied to rcx before. Leaves the image of the
 * flags. */
static void shr_with_flags(struct translation *t, const struct cpu_op *op, unsigned reg, unsigned count)
{
	struct emit *e = &t->e;

	put_rr(e, X_STORE, 8, reg, RCX);
	shift_with_flags(e, SHR, op->size, reg, count);
	put8(e, 0x9f);                               /* lahf */
	put8(e, 0x80), put8(e, 0xe4), put8(e, 0xef); /* and ah, ~AF */
	put_rr(e, 0x0fba, 8, 4, RCX);                /* bt rcx, sign */
	put8(e, (u8)(op->size * 8 - 1));
	put_rr(e, 0x0f92, 4, 0, RAX); /* setc al */
	t->flags = FLAGS_IMAGE;
}

/* By an immediate or 1; detail: what stands in ModRM.reg */
bool jit_shift(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned count = (unsigned)op->imm & (op->size == 8 ? 63 : 31), reg;
	bool rotates = detail == ROL || detail == ROR;

	if (op->flags & OP_MEM || op->rm & 1)
		return false;
	if (rotates && count && t->flags_wanted)
		jit_flags_to_host(t);
	reg = jit_get(t, op->rm / 8, RDX);
	if (!count) {
		if (op->size == 4)
			put_rr(&t->e, X_STORE, 4, reg, reg);
	} else if (!t->flags_wanted) {
		put_shift(&t->e, detail, op->size, reg, count);
	} else if (detail == SHR && count > 1) {
		shr_with_flags(t, op, reg, count);
	} else {
		shift_with_flags(&t->e, detail, op->size, reg, count);
		if (!rotates)
			jit_flags_made(t, true);
	}
	jit_put(t, op->rm / 8, reg);
	return true;
}

/* By CL, where nobody sees the flags, which a count of 0 would keep. */
bool jit_shift_cl(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned reg;

	if (op->flags & OP_MEM || op->rm & 1 || t->flags_wanted)
		return false;
	reg = jit_get(t, op->rm / 8, RDX);
	put_rr(&t->e, X_STORE, 4, (unsigned)jit_home[CPU_RCX], RCX);
	put_rr(&t->e, 0xd2 | (op->size > 1), op->size, detail, reg);
	if (op->size == 4) /* a count of 0 would keep the upper half */
		put_rr(&t->e, X_STORE, 4, reg, reg);
	jit_put(t, op->rm / 8, reg);
	return true;
}
