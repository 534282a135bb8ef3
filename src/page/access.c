/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: the only door to the bytes of a guest. Any thread. The guest may change what is read while it is
 * read: callers copy once, check the copy, use the copy.
 */
#include <string.h>

#include "memory.h"

static unsigned index_of(const struct page_memory *memory, const struct page_region *region)
{
	return (unsigned)(region - memory->layout.regions);
}

/* The longest piece of [start, start + size) that lies in one region. NULL: start is no memory. */
static uint8_t *piece(
        const struct page_memory *memory, uint64_t start, uint64_t size, bool writable, uint64_t *ret_size)
{
	const struct page_region *region = page_layout_find(&memory->layout, start);
	uint64_t offset, left, there;

	if (!region || (writable && !page_region_is_ram(region)))
		return NULL;
	offset = start - region->gpa.raw;
	there = page_region_bytes(memory, index_of(memory, region));
	if (offset >= there)
		return NULL;
	left = there - offset;
	*ret_size = size < left ? size : left;
	return memory->at[index_of(memory, region)] + offset;
}

static bool is_memory(const struct page_memory *memory, uint64_t start, uint64_t size, bool writable)
{
	uint64_t end, n;

	if (!add_ok(start, size, &end))
		return false;
	for (; size; start += n, size -= n) {
		if (!piece(memory, start, size, writable, &n))
			return false;
	}
	return true;
}

/* Memory, and all of it the host's to read. */
static bool is_open(const struct page_memory *memory, uint64_t start, uint64_t size, bool writable)
{
	uint64_t n;

	if (!is_memory(memory, start, size, writable))
		return false;
	for (; size; start += n, size -= n) {
		const struct page_region *region = page_layout_find(&memory->layout, start);

		if (!region || !piece(memory, start, size, writable, &n))
			return false;
		if (!page_is_shared(memory, index_of(memory, region), start - region->gpa.raw, n))
			return false;
	}
	return true;
}

bool page_is_backed(const struct page_memory *memory, struct gpa start, uint64_t size_bytes)
{
	return is_memory(memory, start.raw, size_bytes, false);
}

/* ---- the helper's pages, which are not the guest's ---- */

static uint8_t *helper_piece(const struct page_memory *memory, uint64_t start, uint64_t size_bytes)
{
	const struct page_region *region = page_layout_find(&memory->layout, start);

	if (!region || region->kind != PAGE_HELPER ||
	        !range_fits(start - region->gpa.raw, size_bytes, region->size_bytes))
		return NULL;
	return memory->at[index_of(memory, region)] + (start - region->gpa.raw);
}

int page_helper_read(const struct page_memory *memory, struct gpa from, void *dst, uint64_t size_bytes)
{
	const uint8_t *at = helper_piece(memory, from.raw, size_bytes);

	if (!at)
		return -1;
	memcpy(dst, at, size_bytes);
	return 0;
}

int page_helper_write(struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes)
{
	uint8_t *at = helper_piece(memory, to.raw, size_bytes);

	if (!at)
		return -1;
	memcpy(at, src, size_bytes);
	return 0;
}

/* ---- the guest's ---- */

void *page_kernel_address(const struct page_memory *memory, struct gpa start, uint64_t size_bytes)
{
	uint64_t n = 0;
	uint8_t *at = piece(memory, start.raw, size_bytes, false, &n);

	return n == size_bytes ? at : helper_piece(memory, start.raw, size_bytes);
}

void *page_loan(struct page_memory *memory, struct gpa start, uint64_t size_bytes)
{
	const struct page_region *region = page_layout_find(&memory->layout, start.raw);
	uint64_t offset;
	unsigned i;

	if (!size_bytes || !region || !page_region_is_ram(region))
		return NULL;
	offset = start.raw - region->gpa.raw;
	i = index_of(memory, region);
	if (!range_fits(offset, size_bytes, page_region_bytes(memory, i)) ||
	        !page_is_shared(memory, i, offset, size_bytes))
		return NULL;
	return memory->at[i] + offset;
}

bool page_is_memory(const struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool writable)
{
	return is_open(memory, start.raw, size_bytes, writable);
}

int page_read(const struct page_memory *memory, struct gpa from, void *dst, uint64_t size_bytes)
{
	uint8_t *out = dst;
	uint64_t n = 0;

	if (!is_open(memory, from.raw, size_bytes, false))
		return -1;
	for (; size_bytes; from.raw += n, out += n, size_bytes -= n) {
		const uint8_t *in = piece(memory, from.raw, size_bytes, false, &n);

		memcpy(out, in, n);
	}
	return 0;
}

static int write_pieces(
        struct page_memory *memory, uint64_t to, const uint8_t *in, uint64_t size, bool writable)
{
	uint64_t n = 0;

	if (!is_open(memory, to, size, writable))
		return -1;
	for (; size; to += n, in += n, size -= n) {
		uint8_t *out = piece(memory, to, size, writable, &n);
		const struct page_region *region = page_layout_find(&memory->layout, to);

		memcpy(out, in, n);
		page_written_mark(memory, index_of(memory, region), to - region->gpa.raw, n);
	}
	return 0;
}

int page_write(struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes)
{
	return write_pieces(memory, to.raw, src, size_bytes, true);
}

int page_load(struct page_memory *memory, struct gpa to, const void *src, uint64_t size_bytes)
{
	if (page_helper_write(memory, to, src, size_bytes) == 0)
		return 0;
	return write_pieces(memory, to.raw, src, size_bytes, false);
}
