/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asm: the few instructions that the guests of these tests are made of, for 16-, 32- and 64-bit code.
 * Encodings from APM 3.
 */
#ifndef VMM_ABI_ASM_H
#define VMM_ABI_ASM_H

#include <stdint.h>
#include <string.h>

struct code {
	uint8_t *at; /* where the next byte goes */
	int bits;    /* 16, 32 or 64 */
};

static inline void emit(struct code *c, const void *bytes, size_t size)
{
	memcpy(c->at, bytes, size);
	c->at += size;
}

/* emit_bytes(c, 0xfa, 0xf4): as they stand. */
#define emit_bytes(c, ...) emit((c), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline void emit_number(struct code *c, uint64_t value, size_t size)
{
	emit(c, &value, size);
}

/* Operand size prefix for 16-bit (size 2) or 32-bit (size 4) operands, if the mode needs it. */
static inline void emit_operand_prefix(struct code *c, size_t size)
{
	if ((size == 2 && c->bits != 16) || (size == 4 && c->bits == 16))
		emit_bytes(c, 0x66);
}

/* eax = value (rax is zero-extended in 64-bit mode) */
static inline void set_eax(struct code *c, uint32_t value)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, 0xb8);
	emit_number(c, value, 4);
}

/* ecx = value, edx = value */
static inline void set_ecx(struct code *c, uint32_t value)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, 0xb9);
	emit_number(c, value, 4);
}

static inline void set_edx(struct code *c, uint32_t value)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, 0xba);
	emit_number(c, value, 4);
}

/* out [dx], al/ax/eax and in al/ax/eax, [dx] */
static inline void out_dx(struct code *c, size_t size)
{
	emit_operand_prefix(c, size);
	emit_bytes(c, size == 1 ? 0xee : 0xef);
}

static inline void in_dx(struct code *c, size_t size)
{
	emit_operand_prefix(c, size);
	emit_bytes(c, size == 1 ? 0xec : 0xed);
}

/* Writes al, ax or eax to a port, for the test to see. */
static inline void tell_eax(struct code *c, uint8_t port)
{
	emit_operand_prefix(c, 4);
	emit_bytes(c, 0xe7, port);
}

static inline void out8(struct code *c, uint8_t port, uint8_t value)
{
	emit_bytes(c, 0xb0, value, 0xe6, port);
}

/* eax = [address], [address] = eax: sizes 1, 2, 4, absolute; not for 16-bit code */
static inline void load_eax(struct code *c, uint32_t address, size_t size)
{
	emit_operand_prefix(c, size);
	emit_bytes(c, size == 1 ? 0x8a : 0x8b);
	if (c->bits == 64)
		emit_bytes(c, 0x04, 0x25);
	else
		emit_bytes(c, 0x05);
	emit_number(c, address, 4);
}

static inline void store_eax(struct code *c, uint32_t address, size_t size)
{
	emit_operand_prefix(c, size);
	emit_bytes(c, size == 1 ? 0x88 : 0x89);
	if (c->bits == 64)
		emit_bytes(c, 0x04, 0x25);
	else
		emit_bytes(c, 0x05);
	emit_number(c, address, 4);
}

/* [address] = value, by eax */
static inline void store(struct code *c, uint32_t address, uint32_t value)
{
	set_eax(c, value);
	store_eax(c, address, 4);
}

static inline void write_msr(struct code *c, uint32_t index, uint64_t value)
{
	set_ecx(c, index);
	set_eax(c, (uint32_t)value);
	set_edx(c, (uint32_t)(value >> 32));
	emit_bytes(c, 0x0f, 0x30);
}

static inline void sti(struct code *c)
{
	emit_bytes(c, 0xfb);
}

static inline void hlt(struct code *c)
{
	emit_bytes(c, 0xf4);
}

/* The last thing a guest does; the harness stops it there. */
static inline void done(struct code *c)
{
	out8(c, 0xf4, 0);
	emit_bytes(c, 0xeb, 0xfe);
}

#endif
