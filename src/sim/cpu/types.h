/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types: short names of integers, hints to the compiler, and helpers for integers of other sizes.
 */
#ifndef CPU_TYPES_H
#define CPU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ALWAYS      static inline __attribute__((always_inline))

/*
 * Functions with a size take it in bytes: 1, 2, 4 or 8. Most callers name a constant, so that one host
 * instruction is left of each function. Values are zero-extended.
 */
ALWAYS u64 sign_extend(u64 value, unsigned size)
{
	return (u64)((s64)(value << (64 - size * 8)) >> (64 - size * 8));
}

ALWAYS u64 zero_extend(u64 value, unsigned size)
{
	return value << (64 - size * 8) >> (64 - size * 8);
}

/* Copies bit 47 of an address to bits 63 to 48 (APM 2, 1.1.3). */
ALWAYS u64 make_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16);
}

ALWAYS bool is_canonical(u64 address)
{
	return make_canonical(address) == address;
}

#endif
