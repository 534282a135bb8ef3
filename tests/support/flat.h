/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flat: tiny guests without an operating system, as 64 KiB images whose last 16 bytes are the reset vector.
 * Code is written as bytes of 16-bit real mode, a call per instruction group.
 */
#ifndef VMM_TEST_FLAT_H
#define VMM_TEST_FLAT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FLAT_BYTES 65536u
#define FLAT_START 0xf000u /* offset of the code, and its address in segment F000 */

struct flat {
	uint8_t image[FLAT_BYTES];
	size_t at; /* where the next instruction goes */
};

static inline void flat_bytes(struct flat *f, const void *bytes, size_t size)
{
	memcpy(f->image + f->at, bytes, size);
	f->at += size;
}

#define FLAT(f, ...) flat_bytes(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline void flat_init(struct flat *f)
{
	memset(f, 0, sizeof(*f));
	f->at = 0xfff0;
	FLAT(f, 0xe9, (FLAT_START - 0xfff3) & 0xff, ((FLAT_START - 0xfff3) >> 8) & 0xff); /* jmp FLAT_START */
	f->at = FLAT_START;
}

static inline void flat_out8(struct flat *f, uint16_t port, uint8_t value)
{
	FLAT(f, 0xb0, value, 0xba, port & 0xff, port >> 8, 0xee); /* mov al; mov dx; out dx, al */
}

static inline void flat_out16(struct flat *f, uint16_t port, uint16_t value)
{
	FLAT(f, 0xb8, value & 0xff, value >> 8, 0xba, port & 0xff, port >> 8, 0xef);
}

static inline void flat_out32(struct flat *f, uint16_t port, uint32_t value)
{
	FLAT(f, 0x66, 0xb8, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >> 24);
	FLAT(f, 0xba, port & 0xff, port >> 8, 0x66, 0xef);
}

/* count accesses of port 0x80: count exits. */
static inline void flat_delay(struct flat *f, uint16_t count)
{
	FLAT(f, 0xb9, count & 0xff, count >> 8, 0xe6, 0x80, 0xe2, 0xfc); /* mov cx; out 0x80, al; loop */
}

static inline void flat_print(struct flat *f, const char *text)
{
	for (; *text; text++)
		flat_out8(f, 0x3f8, (uint8_t)*text);
}

/* Places the PM block at 0xb000 by PCI configuration (00:01.3, registers 0x40 and 0x80) and sets SLP_EN. */
static inline void flat_power_off(struct flat *f)
{
	flat_out32(f, 0xcf8, 0x80000b40);
	flat_out32(f, 0xcfc, 0xb001);
	flat_out32(f, 0xcf8, 0x80000b80);
	flat_out8(f, 0xcfc, 1);
	flat_out16(f, 0xb004, 0x2000);
	FLAT(f, 0xf4, 0xeb, 0xfd); /* hlt; jmp */
}

/* An empty interrupt table and an interrupt. */
static inline void flat_triple_fault(struct flat *f)
{
	FLAT(f, 0x0f, 0x01, 0x1e, 0x00, 0x00, 0xcc); /* lidt [0] (zeros); int3 */
}

static inline void flat_spin(struct flat *f)
{
	FLAT(f, 0xfa, 0xeb, 0xfe); /* cli; jmp $ */
}

/* 0 on success. */
static inline int flat_save(const struct flat *f, const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file)
		return -1;
	if (fwrite(f->image, 1, FLAT_BYTES, file) != FLAT_BYTES) {
		fclose(file);
		return -1;
	}
	return fclose(file);
}

#endif
