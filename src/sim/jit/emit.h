/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit: writes x86-64 instructions (APM 3, 1). An opcode is a number: 0xNN, or 0x0fNN with its escape byte.
 * size is that of the operand in bytes.
 */
#ifndef JIT_EMIT_H
#define JIT_EMIT_H

#include "cpu/types.h"

enum host_reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct emit {
	u8 *at;          /* where the next byte is written */
	ptrdiff_t there; /* from the address to write to the one to execute */
};

/* Opcodes of the forms `op r/m, reg`; | 2 is `op reg, r/m`. */
enum {
	X_ADD = 0x01,
	X_OR = 0x09,
	X_AND = 0x21,
	X_SUB = 0x29,
	X_XOR = 0x31,
	X_CMP = 0x39,
	X_TEST = 0x85,
	X_XCHG = 0x87,
	X_STORE = 0x89,
	X_LOAD = 0x8b,
	X_LEA = 0x8d,
	X_CMP_LOAD = 0x3b,
	X_ADD_LOAD = 0x03,
};

static inline void put8(struct emit *e, unsigned value)
{
	*e->at++ = (u8)value;
}

static inline void put32(struct emit *e, u32 value)
{
	memcpy(e->at, &value, 4);
	e->at += 4;
}

static inline void put64(struct emit *e, u64 value)
{
	memcpy(e->at, &value, 8);
	e->at += 8;
}

/* Writes prefixes and the opcode. An opcode for bytes is the one for words without its lowest bit. */
static inline void put_opcode(
        struct emit *e, unsigned opcode, unsigned size, unsigned reg, unsigned index, unsigned base)
{
	unsigned rex = (size == 8 ? 8u : 0u) | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;

	if (size == 2)
		put8(e, 0x66);
	if (rex || size == 1)
		put8(e, 0x40 | rex);
	if (opcode >> 8)
		put8(e, opcode >> 8);
	put8(e, opcode);
}

/* op reg, reg: rm is what ModRM.rm names. */
static inline void put_rr(struct emit *e, unsigned opcode, unsigned size, unsigned reg, unsigned rm)
{
	put_opcode(e, opcode, size, reg, 0, rm);
	put8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void put_disp(struct emit *e, unsigned mod, s32 disp)
{
	if (mod == 1)
		put8(e, (u8)disp);
	else if (mod == 2)
		put32(e, (u32)disp);
}

/* op reg, [base + disp] */
static inline void put_rm(
        struct emit *e, unsigned opcode, unsigned size, unsigned reg, unsigned base, s32 disp)
{
	unsigned mod = disp == (s8)disp ? 1 : 2;

	if (!disp && (base & 7) != RBP)
		mod = 0;
	put_opcode(e, opcode, size, reg, 0, base);
	put8(e, mod << 6 | (reg & 7) << 3 | (base & 7));
	if ((base & 7) == RSP)
		put8(e, 0x24);
	put_disp(e, mod, disp);
}

/* op reg, [base + (index << scale) + disp] */
static inline void put_rmx(struct emit *e, unsigned opcode, unsigned size, unsigned reg, unsigned base,
        unsigned index, unsigned scale, s32 disp)
{
	unsigned mod = disp == (s8)disp ? 1 : 2;

	put_opcode(e, opcode, size, reg, index, base);
	put8(e, mod << 6 | (reg & 7) << 3 | 4);
	put8(e, scale << 6 | (index & 7) << 3 | (base & 7));
	put_disp(e, mod, disp);
}

/* op reg, [index << scale + disp] without a base */
static inline void put_rx(struct emit *e, unsigned opcode, unsigned size, unsigned reg, unsigned index,
        unsigned scale, s32 disp)
{
	put_opcode(e, opcode, size, reg, index, 0);
	put8(e, (reg & 7) << 3 | 4);
	put8(e, scale << 6 | (index & 7) << 3 | 5);
	put32(e, (u32)disp);
}

/* op reg, [rip-relative address of `to`, as the host executes it] */
static inline void put_at(struct emit *e, unsigned opcode, unsigned size, unsigned reg, const void *to)
{
	put_opcode(e, opcode, size, reg, 0, 0);
	put8(e, (reg & 7) << 3 | 5);
	put32(e, (u32)((intptr_t)to - ((intptr_t)e->at + e->there + 4)));
}

/* Group 1: add 0, or 1, adc 2, sbb 3, and 4, sub 5, xor 6, cmp 7 with an immediate */
static inline void put_ri(struct emit *e, unsigned group, unsigned size, unsigned rm, s32 imm)
{
	put_rr(e, size == 1 ? 0x80 : imm == (s8)imm ? 0x83 : 0x81, size, group, rm);
	if (size == 1 || imm == (s8)imm)
		put8(e, (u8)imm);
	else if (size == 2)
		put8(e, (u8)imm), put8(e, (u8)(imm >> 8));
	else
		put32(e, (u32)imm);
}

/* Writes the shortest MOV of a constant that leaves the flags alone. */
static inline void put_constant(struct emit *e, unsigned reg, u64 value)
{
	if (value == (u32)value) {
		put_opcode(e, 0xb8 | (reg & 7), 4, 0, 0, reg);
		put32(e, (u32)value);
	} else if ((s64)value == (s32)value) {
		put_rr(e, 0xc7, 8, 0, reg);
		put32(e, (u32)value);
	} else {
		put_opcode(e, 0xb8 | (reg & 7), 8, 0, 0, reg);
		put64(e, value);
	}
}

/* ---- jumps within the code ---- */

/* Writes a jump (0xe9), a call (0xe8) or a conditional jump (0x0f80 | cc) to a place that is known. */
static inline void put_jump(struct emit *e, unsigned opcode, const u8 *to)
{
	put_opcode(e, opcode, 4, 0, 0, 0);
	put32(e, (u32)(to - (e->at + 4)));
}

/* Writes one to a place that land() gives later; returns what land() wants. */
static inline u8 *put_forward(struct emit *e, unsigned opcode)
{
	put_opcode(e, opcode, 4, 0, 0, 0);
	put32(e, 0);
	return e->at;
}

static inline void land(struct emit *e, u8 *from)
{
	u32 distance = (u32)(e->at - from);

	memcpy(from - 4, &distance, 4);
}

#endif
