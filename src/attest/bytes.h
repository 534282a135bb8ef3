/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes: operations on byte strings that several files of this room use. Private to attest.
 */
#ifndef VMM_ATTEST_BYTES_H
#define VMM_ATTEST_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bytes_are_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint8_t any = 0;

	for (size_t i = 0; i < size; i++)
		any |= bytes[i];
	return any == 0;
}

/* Copies bytes in reverse order: from little-endian to big-endian, or back. dst and src must not overlap. */
static inline void bytes_reverse(uint8_t *dst, const uint8_t *src, size_t size)
{
	for (size_t i = 0; i < size; i++)
		dst[i] = src[size - 1 - i];
}

#endif
