/*
 * ram: guest memory as the host sees it: of no alignment, and read and written by other processors and the
 * VMM meanwhile. Copies by way of libc have its frame on top in the thread sanitizer's reports, so
 * tests/support/tsan.supp knows the functions here by name.
 */
#ifndef SIM_CPU_RAM_H
#define SIM_CPU_RAM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t unaligned8;
typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));
typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));

/* Copies size bytes from or to guest memory; the two may overlap. */
static inline void ram_copy(void *to, const void *from, size_t size)
{
	memmove(to, from, size);
}

static inline void ram_fill(void *to, uint8_t value, size_t size)
{
	memset(to, value, size);
}

static inline bool ram_equal(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

#endif
