/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cases: generates instruction forms. A form is written as the manuals write it: opcode bytes, then /r, /0 to
 * /7, +r, ib iw iz iv; a leading 66, f2 or f3 is a mandatory prefix. With VEX the map and the mandatory
 * prefix come first, as in v38.66. Knows encodings and undefined flags, and shares no code with the software
 * processor.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

#define CF 0x1u
#define PF 0x4u
#define AF 0x10u
#define ZF 0x40u
#define SF 0x80u
#define OF 0x800u

struct build {
	struct diff_random *r;
	struct diff_case *c;
	const struct form *form;
	uint8_t bytes[24];
	unsigned size;
	uint8_t rex;
	unsigned vex_reg;
	bool opsize16, address_short, gs, locked;
	struct {
		bool is, wraps, relative; /* an operand; with a 16-bit address; from RIP */
		int base, index;          /* -1: none */
		unsigned scale;
		int64_t disp;
	} memory;
	uint8_t imm;
	uint32_t features;
	uint64_t target; /* of the memory operand, if its registers could be set for it */
};

static void put(struct build *b, uint8_t byte)
{
	b->bytes[b->size++] = byte;
}

static void put_random(struct build *b, unsigned n)
{
	uint64_t value = diff_edge_value(b->r);

	b->imm = (uint8_t)value;
	for (unsigned i = 0; i < n; i++)
		put(b, (uint8_t)(value >> (8 * i)));
}

static uint64_t data_address(struct build *b)
{
	/* Mostly inside, sometimes across the edges of the page. */
	switch (below(b->r, 16)) {
	case 0: return DIFF_DATA + DIFF_DATA_BYTES - below(b->r, 20);
	case 1: return DIFF_DATA - below(b->r, 20);
	default: return DIFF_DATA + 512 + (diff_random(b->r) % 2048 & ~(uint64_t)(one_in(b->r, 2) ? 15 : 0));
	}
}

/* Sets the registers of an address so that it lies in the data page, if they are free to be set. */
static void aim(struct build *b, int base, int index, unsigned scale, int64_t disp)
{
	uint64_t *gpr = b->c->start.gpr, target = data_address(b) - (b->gs && !b->c->mode32 ? DIFF_GS : 0);

	if (b->form->flags & AREA && !one_in(b->r, 8))
		target = DIFF_DATA + 64 * below(b->r, 50);
	b->target = target;
	if (index >= 0)
		gpr[index] = below(b->r, 64);
	if (base >= 0 && base != index)
		gpr[base] = target - (uint64_t)disp - (index >= 0 ? gpr[index] << scale : 0);
	else if (index >= 0)
		gpr[index] = (target - (uint64_t)disp) >> scale;
	if (b->address_short && base >= 0)
		gpr[base] &= 0xffffffff;
}

/* Fills the vector of indices: mostly small, so that most elements are in the data page. */
static void put_indices(struct build *b, unsigned number)
{
	uint8_t *low = b->c->start.fxsave + 160 + number * 16, *high = b->c->start.ymm + number * 16;
	bool qwords = b->bytes[b->size - 3] & 1;

	for (unsigned i = 0; i < 32; i += qwords ? 8 : 4) {
		int64_t index =
		        one_in(b->r, 24) ? (int64_t)diff_random(b->r) : (int64_t)below(b->r, 100) - 50;

		memcpy(i < 16 ? low + i : high + i - 16, &index, qwords ? 8 : 4);
	}
}

/* 16-bit addresses reach no mapped page, so the fault shows the address. */
static void put_memory16(struct build *b, unsigned reg)
{
	unsigned mod = below(b->r, 3), rm = below(b->r, 8);

	put(b, (uint8_t)(mod << 6 | reg << 3 | rm));
	put_random(b, mod == 0 && rm == 6 ? 2 : mod);
	b->memory.is = b->memory.wraps = true;
}

static void put_memory(struct build *b, unsigned reg)
{
	bool vsib = b->form->flags & VSIB && !one_in(b->r, 32);
	unsigned mod = below(b->r, 3), rm = vsib ? 4 : below(b->r, 8), scale = 0;
	int base = (int)(rm | (b->rex & 1) << 3), index = -1;
	int64_t disp = 0;
	uint8_t sib = 0;

	put(b, (uint8_t)(mod << 6 | reg << 3 | rm));
	if (rm == 4) {
		sib = (uint8_t)diff_random(b->r);
		put(b, sib);
		scale = sib >> 6;
		base = (sib & 7) | (b->rex & 1) << 3;
		index = ((sib >> 3) & 7) | (b->rex & 2) << 2;
		if (vsib)
			put_indices(b, (unsigned)index);
		index = index == 4 || vsib ? -1 : index;
		if ((sib & 7) == 5 && mod == 0)
			base = -1;
	} else if (rm == 5 && mod == 0) {
		base = -1;
	}
	if (mod == 1) {
		disp = (int8_t)diff_random(b->r);
		put(b, (uint8_t)disp);
	} else if (mod == 2 || base < 0) {
		disp = base < 0 ? (int32_t)(DIFF_DATA + 1024 + below(b->r, 1024))
		                : (int32_t)diff_random(b->r) >> 8;
		if (base < 0 && rm == 5 && !b->c->mode32)
			disp -= (int64_t)b->c->start.rip + 12;
		for (unsigned i = 0; i < 4; i++)
			put(b, (uint8_t)(disp >> (8 * i)));
	}
	if (base >= 0 || index < 0)
		aim(b, base, index, scale, disp);
	else
		b->c->start.gpr[index] = below(b->r, 64);
	b->memory.is = true;
	b->memory.relative = base < 0 && rm == 5 && !b->c->mode32;
	b->memory.base = base;
	b->memory.index = index;
	b->memory.scale = scale;
	b->memory.disp = disp;
}

static void put_modrm(struct build *b, int fixed)
{
	unsigned reg = fixed >= 0 ? (unsigned)fixed : below(b->r, 8);
	bool memory = b->form->flags & MEMORY || (!(b->form->flags & REGISTER) && one_in(b->r, 2));

	if (memory && b->address_short && b->c->mode32)
		put_memory16(b, reg);
	else if (memory)
		put_memory(b, reg);
	else
		put(b, (uint8_t)(0xc0 | reg << 3 | below(b->r, 8)));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_prefixes(struct build *b, const char **text)
{
	const struct form *form = b->form;
	bool mandatory = false;

	if (!(form->flags & UNLOCKED) && one_in(b->r, form->flags & LOCKABLE ? 8 : 128)) {
		put(b, 0xf0);
		b->locked = true;
	}
	if (form->flags & REPEATED && one_in(b->r, 2))
		put(b, one_in(b->r, 2) ? 0xf3 : 0xf2);
	while (!strncmp(*text, "66 ", 3) || !strncmp(*text, "f2 ", 3) || !strncmp(*text, "f3 ", 3)) {
		put(b, (uint8_t)(hex_digit((*text)[0]) << 4 | hex_digit((*text)[1])));
		*text += 3;
		mandatory = true;
	}
	if (!mandatory && !(form->flags & NO66) && one_in(b->r, 4)) {
		put(b, 0x66);
		b->opsize16 = true;
	}
	if (one_in(b->r, 16) && !(b->c->mode32 && form->flags & LARGE)) {
		put(b, 0x67);
		b->address_short = true;
	}
	if (one_in(b->r, 16)) {
		put(b, 0x65);
		b->gs = true;
	}
	if (!b->c->mode32 && one_in(b->r, 2)) {
		b->rex = (uint8_t)(0x40 | below(b->r, 16));
		if (form->flags & NOREXW)
			b->rex &= ~8;
		put(b, b->rex);
	}
}

static unsigned mostly(struct build *b, uint32_t zero, uint32_t one)
{
	if (!(b->form->flags & (zero | one)) || one_in(b->r, 16))
		return below(b->r, 2);
	return b->form->flags & one ? 1 : 0;
}

/* What may stand before VEX, and sometimes what may not. */
static void put_vex_prefixes(struct build *b)
{
	static const uint8_t bad[] = {0xf0, 0x66, 0xf2, 0xf3, 0x40, 0x48};

	if (one_in(b->r, 16)) {
		put(b, 0x67);
		b->address_short = true;
	}
	if (one_in(b->r, 64))
		put(b, bad[below(b->r, b->c->mode32 ? 4 : 6)]);
	if (one_in(b->r, 16)) {
		put(b, 0x65);
		b->gs = true;
	}
	if (one_in(b->r, 64))
		put(b, bad[below(b->r, b->c->mode32 ? 4 : 6)]);
}

/* VEX of two bytes where it can be, or of three. In 32 bits LES and LDS take the place of some values. */
static void put_vex(struct build *b, const char **text)
{
	unsigned map = (*text)[1] == '0' ? 1 : (*text)[2] == '8' ? 2 : 3;
	unsigned prefix;
	unsigned reg = b->form->flags & VREG || one_in(b->r, 32) ? below(b->r, 16) : 0;
	unsigned length = mostly(b, VL0, VL1), wide = mostly(b, VW0, VW1);
	uint8_t last;

	put_vex_prefixes(b);
	*text += 4;
	prefix = !strncmp(*text, "66", 2)   ? 1
	         : !strncmp(*text, "f3", 2) ? 2
	         : !strncmp(*text, "f2", 2) ? 3
	                                    : 0;
	*text += 2;
	b->rex = (uint8_t)(wide << 3 | (b->c->mode32 ? 0 : below(b->r, 8)));
	b->vex_reg = reg;
	last = (uint8_t)((~reg & 15) << 3 | length << 2 | prefix);
	if (map == 1 && !(b->rex & 0xb) && one_in(b->r, 2) && !(b->c->mode32 && reg > 7)) {
		put(b, 0xc5);
		put(b, (uint8_t)((b->rex & 4 ? 0 : 0x80) | last));
		return;
	}
	put(b, 0xc4);
	put(b, (uint8_t)((~b->rex & 7) << 5 | map));
	put(b, (uint8_t)(wide << 7 | last));
}

/* MOV of the accumulator: an address of the address size. */
static void put_address(struct build *b)
{
	uint64_t address = data_address(b) - (b->gs && !b->c->mode32 ? DIFF_GS : 0);
	unsigned size = b->c->mode32 ? (b->address_short ? 2 : 4) : b->address_short ? 4 : 8;

	for (unsigned i = 0; i < size; i++)
		put(b, (uint8_t)(address >> (8 * i)));
}

static void put_immediate(struct build *b, const char *what)
{
	bool wide = b->rex & 8;

	if (what[1] == 'b')
		put_random(b, 1);
	else if (what[1] == 'w')
		put_random(b, 2);
	else if (what[1] == 'm')
		put_address(b);
	else if (what[1] == 'z')
		put_random(b, b->opsize16 && !wide ? 2 : 4);
	else
		put_random(b, wide ? 8 : b->opsize16 ? 2 : 4);
}

static void build_bytes(struct build *b)
{
	const char *text = b->form->text;

	if (*text == 'v')
		put_vex(b, &text);
	else
		put_prefixes(b, &text);
	while (*text) {
		if (*text == ' ') {
			text++;
		} else if (*text == '/') {
			put_modrm(b, text[1] == 'r' ? -1 : text[1] - '0');
			text += 2;
		} else if (*text == '+') {
			b->bytes[b->size - 1] |= (uint8_t)below(b->r, 8);
			text += 2;
		} else if (*text == 'i') {
			put_immediate(b, text);
			text += 2;
		} else {
			put(b, (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1])));
			text += 2;
		}
	}
}

/* Returns the flags that a shift with this count leaves undefined. */
static uint32_t shift_undefined(const struct build *b)
{
	const struct form *form = b->form;
	unsigned mask = b->rex & 8 ? 63 : 31, size = form->flags & BYTES ? 8
	                                             : b->rex & 8        ? 64
	                                             : b->opsize16       ? 16
	                                                                 : 32;
	unsigned count = (form->flags & BY_CL           ? (unsigned)b->c->start.gpr[1]
	                         : form->flags & BY_ONE ? 1u
	                                                : b->imm) &
	                 mask;
	uint32_t undefined = form->undefined;

	if (form->flags & BYTES)
		count &= 31;
	if (count == 0)
		return 0;
	if (count != 1)
		undefined |= OF;
	if (count >= size)
		undefined |= CF;
	if (form->flags & DOUBLE && count > size)
		undefined |= CF | OF | SF | ZF | AF | PF;
	return undefined;
}

/* A double shift by more than the operand's size has an undefined result. */
static bool excluded(const struct build *b)
{
	unsigned count =
	        (b->form->flags & BY_CL ? (unsigned)b->c->start.gpr[1] : b->imm) & (b->rex & 8 ? 63 : 31);

	/* A jump into itself may never end. */
	if (b->form->flags & JUMP && b->imm >= 0xf0)
		return true;
	return b->form->flags & DOUBLE && b->opsize16 && !(b->rex & 8) && count > 16;
}

/*
 * Might LOCK, or XCHG, which implies it, touch two cache lines? The address of a bit string moves on by the
 * operand's size.
 */
static bool splits_lock(const struct build *b)
{
	const uint64_t *gpr = b->c->start.gpr;
	uint64_t address = (uint64_t)b->memory.disp;
	bool locked = b->form->flags & LOCKABLE && (b->locked || strstr("86 /r;87 /r", b->form->text));
	bool bits = strstr("0f ab /r;0f b3 /r;0f bb /r", b->form->text);

	if (!b->memory.is || !locked)
		return false;
	if (b->memory.wraps)
		return true;
	if (b->memory.relative)
		address += b->c->start.rip + b->size;
	if (b->memory.base >= 0)
		address += gpr[b->memory.base];
	if (b->memory.index >= 0)
		address += gpr[b->memory.index] << b->memory.scale;
	return address % 64 > 48 || (bits && address % 8);
}

static void random_state(struct diff_random *r, struct diff_case *c)
{
	for (unsigned i = 0; i < 16; i++)
		c->start.gpr[i] = one_in(r, 4) ? DIFF_DATA + 256 + below(r, 3072) : diff_edge_value(r);
	c->start.gpr[4] = DIFF_DATA + 1024 + (below(r, 2048) & ~7u);
	/* Near the page's end the instruction crosses into the next one. */
	c->start.rip = DIFF_CODE + (one_in(r, 8) ? 4096 - below(r, 16) : 2048 + below(r, 512));
	c->start.rflags = 0x202 | (diff_random(r) & 0xcd5) | (one_in(r, 16) ? 0x40000 : 0); /* AC */
	memset(c->start.fxsave, 0, sizeof(c->start.fxsave));
	c->start.fxsave[0] = 0x7f;
	c->start.fxsave[1] = 0x03;
	c->start.fxsave[24] = 0x80;
	c->start.fxsave[25] = 0x1f;
	for (unsigned i = 160; i < 416; i += 8) {
		uint64_t value = diff_edge_value(r);

		memcpy(c->start.fxsave + i, &value, 8);
	}
}

static void prepare(struct build *b)
{
	uint64_t *gpr = b->c->start.gpr;
	uint32_t flags = b->form->flags;

	if (flags & STRING) {
		gpr[1] = below(b->r, 40);
		gpr[6] = data_address(b);
		gpr[7] = data_address(b);
		if (b->c->mode32)
			gpr[1] &= 0xffffffff;
	}
	if (flags & DIVIDE && one_in(b->r, 2)) {
		/* A small upper half, so that not all divisions overflow. */
		gpr[2] = one_in(b->r, 4) ? below(b->r, 1000) : one_in(b->r, 2) ? 0 : ~(uint64_t)0;
		gpr[0] = one_in(b->r, 2) ? below(b->r, 1000) : gpr[0];
	}
	if (flags & INSIDE) {
		gpr[7] = DIFF_DATA + 512 + below(b->r, 2048);
		b->c->start.rflags &= ~(uint64_t)0x40000;
	}
	if (flags & AREA) {
		gpr[0] = one_in(b->r, 2) ? 3 : below(b->r, 4);
		gpr[2] = 0;
	}
	if (flags & FRAME)
		gpr[5] = DIFF_DATA + 1024 + below(b->r, 1024);
}

static void poke(struct build *b, unsigned number, uint64_t address, const void *bytes, uint16_t size)
{
	struct diff_poke *p = &b->c->pokes[number];

	if (address < DIFF_DATA || address + size > DIFF_DATA + DIFF_DATA_BYTES)
		return;
	p->at = (uint16_t)(address - DIFF_DATA);
	p->size = size;
	memcpy(p->bytes, bytes, size);
}

/* Fills the area for XRSTOR and FXRSTOR, mostly with an MXCSR and a header without reserved bits. */
static void poke_area(struct build *b)
{
	uint32_t mxcsr = one_in(b->r, 16) ? (uint32_t)diff_random(b->r) : 0x1f80 | below(b->r, 64);
	uint64_t header[8] = {below(b->r, 4) | (one_in(b->r, 16) ? (uint64_t)1 << 40 : 0)};

	if (b->features & DIFF_XSAVEC && one_in(b->r, 4))
		header[1] = (uint64_t)1 << 63 | below(b->r, 4);
	if (one_in(b->r, 16))
		header[1 + below(b->r, 7)] = one_in(b->r, 2) ? 1 : (uint64_t)1 << 40;
	poke(b, 0, b->target + 24, &mxcsr, sizeof(mxcsr));
	poke(b, 1, b->target + 512, header, sizeof(header));
}

bool diff_build(struct diff_random *r, const struct form *form, uint32_t features, struct diff_case *ret_case)
{
	struct build b = {.r = r, .c = ret_case, .form = form, .features = features};

	memset(ret_case, 0, sizeof(*ret_case));
	ret_case->form = form->text;
	ret_case->mode32 =
	        form->flags & ONLY32 || (features & DIFF_MODE32 && !(form->flags & ONLY64) && one_in(r, 4));
	ret_case->fpu = form->flags & X87 ? 1 : 0;
	random_state(r, ret_case);
	if (form->flags & (X87 | VALUES))
		diff_fpu_state(r, ret_case);
	if (form->flags & VALUES && features & DIFF_MISALIGN && one_in(r, 16))
		ret_case->start.fxsave[26] = 2;
	prepare(&b);
	build_bytes(&b);
	if (b.size > 15 || excluded(&b) || (!(features & DIFF_SPLIT_LOCK) && splits_lock(&b)))
		return false;
	/* Refuses the case if the address needed the registers that choose the components. */
	if (form->flags & AREA && (ret_case->start.gpr[0] > 3 || ret_case->start.gpr[2]))
		return false;
	if (form->flags & AREA)
		poke_area(&b);
	if (ret_case->mode32)
		for (unsigned i = 0; i < 16; i++)
			ret_case->start.gpr[i] = i < 8 ? (uint32_t)ret_case->start.gpr[i] : 0;
	ret_case->undefined = form->flags & SHIFT ? shift_undefined(&b) : form->undefined;
	memcpy(ret_case->code, b.bytes, b.size);
	ret_case->code_size = (uint8_t)b.size;
	return true;
}

void diff_generate(struct diff_random *r, uint32_t features, const char *only, struct diff_case *ret_case)
{
	const struct form *form;

	do
		form = &diff_forms[below(r, diff_form_count)];
	while (form->features & ~features || (form->flags & ONLY32 && !(features & DIFF_MODE32)) ||
	        (only && strncmp(form->text, only, strlen(only)) != 0) ||
	        !diff_build(r, form, features, ret_case));
}
