/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor: bounded little-endian reading of every format that comes from a file, a guest or a peer. Any
 * thread.
 */
#include <string.h>

#include "vmm/base.h"

const void *cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->bad || n > c->left) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	c->left -= n;
	return at;
}

void cursor_copy(struct cursor *c, void *dst, size_t n)
{
	const void *at = cursor_take(c, n);

	if (at)
		memcpy(dst, at, n);
	else
		memset(dst, 0, n);
}

static uint64_t cursor_uint(struct cursor *c, unsigned size)
{
	const void *at = cursor_take(c, size);

	return at ? load_le(at, size) : 0;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_uint(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)cursor_uint(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)cursor_uint(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
	return cursor_uint(c, 8);
}
