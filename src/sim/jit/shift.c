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

/* Makes the image of the flags of a shift, whose AF is clear. */
static void put_image(struct emit *e)
{
	put8(e, 0x9f);                               /* lahf */
	put_rr(e, 0x0f90, 4, 0, RAX);                /* seto al */
	put8(e, 0x80), put8(e, 0xe4), put8(e, 0xef); /* and ah, ~AF */
}

/* The same for SHR, whose OF is the sign of the old value. */
static void put_shr_image(struct emit *e, unsigned size, unsigned old)
{
	put8(e, 0x9f);                               /* lahf */
	put8(e, 0x80), put8(e, 0xe4), put8(e, 0xef); /* and ah, ~AF */
	put_rr(e, 0x0fba, 8, 4, old);                /* bt old, sign */
	put8(e, (u8)(size * 8 - 1));
	put_rr(e, 0x0f92, 4, 0, RAX); /* setc al */
}

/* SHR by more than 1: OF is the sign of the old value, which is copied to rcx before. Leaves the image of the
 * flags. */
static void shr_with_flags(struct translation *t, const struct cpu_op *op, unsigned reg, unsigned count)
{
	struct emit *e = &t->e;

	put_rr(e, X_STORE, 8, reg, RCX);
	shift_with_flags(e, SHR, op->size, reg, count);
	put_shr_image(e, op->size, RCX);
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

/* By the count in rcx, which a count of 0 jumps over: so the flags are the old image, or a new one. */
static void shift_cl_with_flags(struct translation *t, const struct cpu_op *op, unsigned number, unsigned reg)
{
	struct emit *e = &t->e;
	u8 *none;

	put_ri(e, 4, 4, RCX, op->size == 8 ? 63 : 31);
	none = put_forward(e, 0x0f84);
	if (number == SHR)
		put_rr(e, X_STORE, 8, reg, RDI);
	put_rm(e, X_LEA, 4, RCX, RCX, -1);
	put_rr(e, 0xd2 | (op->size > 1), op->size, number, reg);
	put_shift(e, number, op->size, reg, 1);
	if (number == SHR)
		put_shr_image(e, op->size, RDI);
	else
		put_image(e);
	land(e, none);
}

/* By CL; rotations, which keep most flags, only where nobody sees the flags. */
bool jit_shift_cl(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	bool rotates = detail == ROL || detail == ROR;
	unsigned reg;

	if (op->flags & OP_MEM || op->rm & 1 || (rotates && t->flags_wanted))
		return false;
	if (t->flags_wanted)
		jit_flags_to_image(t);
	reg = jit_get(t, op->rm / 8, RDX);
	put_rr(&t->e, X_STORE, 4, (unsigned)jit_home[CPU_RCX], RCX);
	if (op->size == 4) /* a count of 0 would keep the upper half */
		put_rr(&t->e, X_STORE, 4, reg, reg);
	if (t->flags_wanted)
		shift_cl_with_flags(t, op, detail, reg);
	else
		put_rr(&t->e, 0xd2 | (op->size > 1), op->size, detail, reg);
	jit_put(t, op->rm / 8, reg);
	return true;
}
