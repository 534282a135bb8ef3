/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alu: ADD to CMP, TEST, INC, DEC, NEG, NOT, IMUL and MUL. The host's own instruction computes; its flags are
 * the guest's but for AF behind logic, which no manual defines and which is clear here.
 */
#include "ops.h"

/* Emits the immediate of an operand of size bytes. */
static void put_immediate(struct emit *e, unsigned size, u64 imm)
{
	if (size == 1)
		put8(e, (u8)imm);
	else if (size == 2)
		put8(e, (u8)imm), put8(e, (u8)(imm >> 8));
	else
		put32(e, (u32)imm);
}

static bool is_logic(unsigned group)
{
	return group == 1 || group == 4 || group == 6;
}

static bool takes_carry(unsigned group)
{
	return group == 2 || group == 3;
}

/* op [rcx], reg or immediate */
static void alu_to_memory(struct translation *t, const struct cpu_op *op, unsigned group, bool immediate)
{
	struct emit *e = &t->e;
	unsigned from = 0;

	jit_address(t, op);
	jit_probe(t, op, op->size, group != ALU_CMP);
	if (takes_carry(group))
		jit_flags_to_host(t);
	if (!immediate)
		from = jit_get(t, op->reg / 8, RDX);
	jit_accesses(t);
	if (immediate) {
		put_rm(e, op->size == 1 ? 0x80 : 0x81, op->size, group, RCX, 0);
		put_immediate(e, op->size, op->imm);
	} else {
		put_rm(e, group * 8 | (op->size > 1), op->size, from, RCX, 0);
	}
}

/* op reg, [rcx] */
static void alu_from_memory(struct translation *t, const struct cpu_op *op, unsigned group)
{
	unsigned to;

	jit_address(t, op);
	jit_probe(t, op, op->size, false);
	if (takes_carry(group))
		jit_flags_to_host(t);
	to = jit_get(t, op->reg / 8, RDX);
	jit_accesses(t);
	put_rm(&t->e, group * 8 | 2 | (op->size > 1), op->size, to, RCX, 0);
	if (group != ALU_CMP)
		jit_put(t, op->reg / 8, to);
}

static void alu_registers(struct translation *t, const struct cpu_op *op, unsigned group, enum form form)
{
	unsigned guest = form == FORM_GE ? op->reg / 8u : op->rm / 8u,
	         other = form == FORM_GE ? op->rm / 8u : op->reg / 8u;
	unsigned to, from;

	if (takes_carry(group))
		jit_flags_to_host(t);
	to = jit_get(t, guest, RDX);
	if (form == FORM_EI) {
		put_ri(&t->e, group, op->size, to, (s32)op->imm);
	} else {
		from = jit_get(t, other, RCX);
		put_rr(&t->e, group * 8 | (op->size > 1), op->size, from, to);
	}
	if (group != ALU_CMP)
		jit_put(t, guest, to);
}

bool jit_alu(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned group = detail & 7;
	enum form form = (enum form)(detail >> 4);

	if (is_high(op, form))
		return false;
	if (!(op->flags & OP_MEM))
		alu_registers(t, op, group, form);
	else if (form == FORM_GE)
		alu_from_memory(t, op, group);
	else
		alu_to_memory(t, op, group, form == FORM_EI);
	jit_flags_made(t, is_logic(group));
	return true;
}

bool jit_test(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	enum form form = (enum form)(detail >> 4);
	struct emit *e = &t->e;
	unsigned wide = op->size > 1, a, b;

	if (is_high(op, form))
		return false;
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, op->size, false);
		b = form == FORM_EI ? 0 : jit_get(t, op->reg / 8, RDX);
		jit_accesses(t);
		put_rm(e, form == FORM_EI ? 0xf6 | wide : 0x84 | wide, op->size, b, RCX, 0);
	} else {
		a = jit_get(t, op->rm / 8, RDX);
		b = form == FORM_EI ? 0 : jit_get(t, op->reg / 8, RCX);
		put_rr(e, form == FORM_EI ? 0xf6 | wide : 0x84 | wide, op->size, b, a);
	}
	if (form == FORM_EI)
		put_immediate(e, op->size, op->imm);
	jit_flags_made(t, true);
	return true;
}

/* detail: the opcode for words, and in bits 8 to 10 what stands in ModRM.reg */
bool jit_unary(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	unsigned opcode = (detail & 0xfe) | (op->size > 1), number = detail >> 8, to;
	bool keeps_carry = (detail & 0xfe) == 0xfe, is_not = !keeps_carry && number == 2;

	if (is_high(op, FORM_EI))
		return false;
	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, op->size, true);
		if (keeps_carry && t->flags_wanted)
			jit_flags_to_host(t);
		jit_accesses(t);
		put_rm(&t->e, opcode, op->size, number, RCX, 0);
	} else {
		if (keeps_carry && t->flags_wanted)
			jit_flags_to_host(t);
		to = jit_get(t, op->rm / 8, RDX);
		put_rr(&t->e, opcode, op->size, number, to);
		jit_put(t, op->rm / 8, to);
	}
	if (!is_not)
		jit_flags_made(t, false);
	return true;
}

/* ---- products: CF and OF say that the upper half matters; SF, ZF and PF follow the low half, and AF is
 * clear ---- */

/* Makes the image of the flags of a product of size bytes in reg, right behind the multiplication. */
static void product_flags(struct translation *t, unsigned reg, unsigned size)
{
	struct emit *e = &t->e;

	jit_flags_made(t, true);
	if (!t->flags_wanted)
		return;
	put_rr(e, 0x0f90, 4, 0, RAX); /* seto al */
	put_rr(e, X_TEST, size, reg, reg);
	put8(e, 0x9f);                               /* lahf */
	put8(e, 0x80), put8(e, 0xe4), put8(e, 0xee); /* and ah, ~(AF | CF) */
	put8(e, 0x08), put8(e, 0xc4);                /* or ah, al */
	t->flags = FLAGS_IMAGE;
}

/* detail: 0: reg *= rm; 1: reg = rm * immediate */
bool jit_imul(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	struct emit *e = &t->e;
	unsigned to, from;

	if (op->flags & OP_MEM) {
		jit_address(t, op);
		jit_probe(t, op, op->size, false);
		to = jit_get(t, op->reg / 8, RDX);
		jit_accesses(t);
		put_rm(e, detail ? 0x69 : 0x0faf, op->size, to, RCX, 0);
	} else {
		to = jit_get(t, op->reg / 8, RDX);
		from = jit_get(t, op->rm / 8, RCX);
		put_rr(e, detail ? 0x69 : 0x0faf, op->size, to, from);
	}
	if (detail)
		put_immediate(e, op->size, op->imm);
	jit_put(t, op->reg / 8, to);
	product_flags(t, to, op->size);
	return true;
}

/* RDX:RAX = RAX * rm; detail: 4: MUL, 5: IMUL. The old flags in rax count no more. */
bool jit_product(struct translation *t, const struct cpu_op *op, unsigned detail)
{
	struct emit *e = &t->e;
	unsigned from;

	if (op->size < 4 || op->flags & OP_MEM)
		return false;
	from = jit_get(t, op->rm / 8, RCX);
	put_rr(e, X_STORE, 8, (unsigned)jit_home[CPU_RAX], RAX);
	put_rr(e, 0xf7, op->size, detail, from);
	put_rr(e, X_STORE, 8, RAX, (unsigned)jit_home[CPU_RAX]);
	put_rr(e, X_STORE, 8, RDX, (unsigned)jit_home[CPU_RDX]);
	product_flags(t, (unsigned)jit_home[CPU_RAX], op->size);
	return true;
}
