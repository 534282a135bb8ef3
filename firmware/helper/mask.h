/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask: for numbers that come from the host and say where the helper reads. A processor may go on behind a
 * check before it knows the result, and what it reads then leaves traces in its caches. With the mask it
 * reads at the first place and not where the host has sent it.
 * Law: AMD, Software Techniques for Managing Speculation on AMD Processors, V1-1.
 */
#ifndef VMM_HELPER_MASK_H
#define VMM_HELPER_MASK_H

#include <stdint.h>

/* All ones if index is less than count, otherwise 0; it depends on both numbers and on no branch. */
static inline uint64_t helper_mask(uint64_t index, uint64_t count)
{
	uint64_t mask;

	__asm__ volatile("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "r"(count) : "cc");
	return mask;
}

#endif
