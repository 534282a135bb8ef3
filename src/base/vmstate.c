/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmstate: one visit of each field, in both directions. Any thread; a vmstate belongs to one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/vmstate.h"

#define ROOM_MIN 256

struct vmstate vmstate_save(const char *part)
{
	return (struct vmstate){.part = part};
}

struct vmstate vmstate_load(const char *part, const void *data, size_t size)
{
	return (struct vmstate){.part = part, .loads = true, .in = cursor_over(data, size)};
}

void vmstate_finish(struct vmstate *s)
{
	free(take_ptr(&s->data));
	s->size = s->room = 0;
}

void vmstate_fail(struct vmstate *s, const char *fmt, ...)
{
	char why[300];
	va_list args;

	if (s->bad)
		return;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	s->bad = true;
	(void)err_set(&s->err, ERR_FAILED, "state of the %s: %s", s->part, why);
}

/* ---- bytes ---- */

static bool make_room(struct vmstate *s, size_t size)
{
	size_t room = s->room ? s->room : ROOM_MIN;
	uint8_t *data;

	if (size > VMSTATE_MAX_BYTES - s->size) {
		vmstate_fail(s, "it has more than %zu bytes", (size_t)VMSTATE_MAX_BYTES);
		return false;
	}
	while (room - s->size < size)
		room *= 2;
	if (room == s->room)
		return true;
	data = realloc(s->data, room);
	if (!data) {
		vmstate_fail(s, "no memory is left");
		return false;
	}
	s->data = data;
	s->room = room;
	return true;
}

static void put(struct vmstate *s, const void *bytes, size_t size)
{
	if (s->bad || !size || !make_room(s, size))
		return;
	memcpy(s->data + s->size, bytes, size);
	s->size += size;
}

static void take(struct vmstate *s, const char *field, void *bytes, size_t size)
{
	if (!s->bad && s->in.left < size)
		vmstate_fail(s, "it ends before %s", field);
	if (s->bad)
		memset(bytes, 0, size);
	else
		cursor_copy(&s->in, bytes, size);
}

void vmstate_bytes(struct vmstate *s, const char *field, void *bytes, size_t size)
{
	if (s->loads)
		take(s, field, bytes, size);
	else
		put(s, bytes, size);
}

/* ---- numbers ---- */

static uint64_t number(struct vmstate *s, const char *field, uint64_t value, unsigned size, uint64_t mask)
{
	uint8_t bytes[sizeof(value)] = {0};

	store_le(bytes, sizeof(value), value);
	vmstate_bytes(s, field, bytes, size);
	value = load_le(bytes, sizeof(value));
	if (s->loads && (value & ~mask)) {
		vmstate_fail(s, "%s is 0x%" PRIx64 ", and only bits of 0x%" PRIx64 " are possible", field,
		        value, mask);
		return 0;
	}
	return value;
}

void vmstate_u8(struct vmstate *s, const char *field, uint8_t *value, uint8_t mask)
{
	*value = (uint8_t)number(s, field, *value, sizeof(*value), mask);
}

void vmstate_u16(struct vmstate *s, const char *field, uint16_t *value, uint16_t mask)
{
	*value = (uint16_t)number(s, field, *value, sizeof(*value), mask);
}

void vmstate_u32(struct vmstate *s, const char *field, uint32_t *value, uint32_t mask)
{
	*value = (uint32_t)number(s, field, *value, sizeof(*value), mask);
}

void vmstate_u64(struct vmstate *s, const char *field, uint64_t *value, uint64_t mask)
{
	*value = number(s, field, *value, sizeof(*value), mask);
}

void vmstate_bool(struct vmstate *s, const char *field, bool *value)
{
	/* A bool that is about to be loaded may hold a byte that is neither true nor false, so it is not
	 * read. */
	*value = number(s, field, !s->loads && *value, 1, 1);
}

void vmstate_count(struct vmstate *s, const char *field, unsigned *value, unsigned max)
{
	*value = (unsigned)number(s, field, *value, sizeof(*value), UINT32_MAX);
	if (!s->loads || *value <= max)
		return;
	vmstate_fail(s, "%s is %u, and at most %u is possible", field, *value, max);
	*value = 0;
}

void vmstate_same(struct vmstate *s, const char *field, uint64_t value)
{
	uint64_t theirs = number(s, field, value, sizeof(value), UINT64_MAX);

	if (theirs != value)
		vmstate_fail(s, "%s is %" PRIu64 " there and %" PRIu64 " here", field, theirs, value);
}

int vmstate_end(struct vmstate *s, struct err *err)
{
	if (s->loads && !s->bad && s->in.left)
		vmstate_fail(s, "%zu bytes are left over", s->in.left);
	if (!s->bad)
		return 0;
	if (err)
		*err = s->err;
	return -1;
}
