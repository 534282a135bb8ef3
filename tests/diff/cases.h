/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases: the list of forms.
 */
#ifndef DIFF_CASES_H
#define DIFF_CASES_H

#include "diff.h"

enum form_flag {
	LOCKABLE = 1,
	MEMORY = 2,   /* the operand is memory */
	REGISTER = 4, /* the operand is a register */
	NO66 = 8,
	NOREXW = 16,
	ONLY32 = 32,
	ONLY64 = 64,
	SHIFT = 128, /* undefined flags depend on the count: */
	BY_CL = 256,
	BY_ONE = 512,
	BYTES = 1024, /* of 8-bit operands */
	DOUBLE = 2048,
	STRING = 4096,
	REPEATED = 8192,
	DIVIDE = 16384,
	FRAME = 32768, /* rbp points into the data */
	X87 = 65536,
	JUMP = 1 << 18,     /* the immediate is a distance */
	INSIDE = 1 << 19,   /* rdi points well into the data */
	VALUES = 1 << 17,   /* floating-point values in the XMM registers */
	AREA = 1 << 20,     /* of XSAVE and its kin: x87 and SSE are asked for */
	LARGE = 1 << 22,    /* an operand that 16-bit addresses would wrap */
	UNLOCKED = 1 << 21, /* LOCK means something else */
	VREG = 1 << 23,     /* VEX.vvvv names a register */
	VL0 = 1 << 24,      /* VEX.L is mostly 0 */
	VL1 = 1 << 25,
	VW0 = 1 << 26, /* VEX.W is mostly 0 */
	VW1 = 1 << 27,
	VSIB = 1 << 28, /* the index is a vector */
};

struct form {
	const char *text;
	uint32_t undefined; /* flags */
	uint32_t flags;
	uint32_t features; /* enum diff_feature */
};

extern const struct form diff_forms[];
extern const unsigned diff_form_count;

/* Builds a case of a form; false: not one that can be compared, try again. */
bool diff_build(
        struct diff_random *r, const struct form *form, uint32_t features, struct diff_case *ret_case);

/* ---- values.c ---- */

static inline uint32_t below(struct diff_random *r, uint32_t n)
{
	return (uint32_t)(diff_random(r) >> 32) % n;
}

static inline bool one_in(struct diff_random *r, uint32_t n)
{
	return below(r, n) == 0;
}

/* Values near the edges as often as any. */
uint64_t diff_edge_value(struct diff_random *r);
void diff_fpu_state(struct diff_random *r, struct diff_case *c);

#endif
