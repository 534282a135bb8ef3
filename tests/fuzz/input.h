/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input: the bytes that a target was given, taken piece by piece. Missing bytes are zero.
 */
#ifndef VMM_FUZZ_INPUT_H
#define VMM_FUZZ_INPUT_H

#include <string.h>

#include "fuzz.h"

static struct {
	const uint8_t *data;
	size_t size;
} input;

static inline void take(void *to, size_t size)
{
	size_t n = size < input.size ? size : input.size;

	memset(to, 0, size);
	if (n)
		memcpy(to, input.data, n);
	input.data += n;
	input.size -= n;
}

static inline uint8_t take8(void)
{
	uint8_t value;

	take(&value, 1);
	return value;
}

#endif
