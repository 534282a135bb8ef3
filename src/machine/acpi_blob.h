/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_blob: bytes are written in order into a bounded buffer. Bytes that do not fit are not written, and the
 * buffer remembers that (full).
 */
#ifndef MACHINE_ACPI_BLOB_H
#define MACHINE_ACPI_BLOB_H

#include <string.h>

#include "vmm/base.h"

struct machine_acpi_blob {
	uint8_t *data; /* malloc */
	size_t size, room;
	bool full;
};

static inline void acpi_put(struct machine_acpi_blob *b, const void *bytes, size_t count)
{
	if (!range_fits(b->size, count, b->room)) {
		b->full = true;
		return;
	}
	memcpy(b->data + b->size, bytes, count);
	b->size += count;
}

static inline void acpi_put_le(struct machine_acpi_blob *b, unsigned bytes, uint64_t value)
{
	acpi_put(b, &value, bytes);
}

/* Overwrites bytes that were put earlier. */
static inline void acpi_patch_le(struct machine_acpi_blob *b, size_t at, unsigned bytes, uint64_t value)
{
	if (range_fits(at, bytes, b->size))
		store_le(b->data + at, bytes, value);
}

#endif
