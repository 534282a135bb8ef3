/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_form: the map of shared pages as bytes, for whoever moves or dumps a guest. The peer that sends them
 * is not trusted: each map has one form, and what is not a form makes no map. Any thread.
 *
 * "VMPR", version (1), flags, two zero bytes, number of ranges (32 bits, little-endian); with FLAG_DOUBT the
 * range that may be wrong; the ranges in order. A range is two numbers: how many private frames lie before
 * it, since the one before, and how many frames it has. A number has seven bits in each byte, the low ones
 * first; the high bit says that more bytes follow. No number has more bytes than it needs.
 */
#include <errno.h>
#include <string.h>

#include "range_block.h"

#define HEADER_BYTES 12u
#define VERSION      1
#define FLAG_DOUBT   1u
#define NUMBER_BYTES 6u /* 42 bits, more than any frame has */
_Static_assert(PAGE_RANGE_MAP_PAGES_MAX >> 7 * NUMBER_BYTES == 0, "every number fits");

static const uint8_t magic[4] = {'V', 'M', 'P', 'R'};

static size_t put(uint8_t *to, uint64_t number)
{
	size_t n = 0;

	for (; number >= 0x80; number >>= 7)
		to[n++] = (uint8_t)(number | 0x80);
	to[n++] = (uint8_t)number;
	return n;
}

static size_t put_range(uint8_t *to, uint64_t from, const struct page_range *range)
{
	size_t n = put(to, range->first - from);

	return n + put(to + n, range->end - range->first);
}

int page_range_form_make(
        const struct page_range_snapshot *snapshot, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
	uint8_t *data = malloc(PAGE_RANGE_FORM_MAX_BYTES(snapshot->count));
	size_t n = HEADER_BYTES;
	uint64_t from = 0;

	if (!data)
		return err_sys(err, ERR_FAILED, ENOMEM, "a copy of the list of shared pages");
	memset(data, 0, HEADER_BYTES);
	memcpy(data, magic, sizeof(magic));
	data[4] = VERSION;
	data[5] = snapshot->complete ? 0 : FLAG_DOUBT;
	store_le(data + 8, 4, snapshot->count);
	if (!snapshot->complete)
		n += put_range(data + n, 0, &snapshot->doubt);
	for (size_t i = 0; i < snapshot->count; from = snapshot->ranges[i++].end)
		n += put_range(data + n, from, &snapshot->ranges[i]);
	*ret_data = data;
	*ret_size = n;
	return 0;
}

static uint64_t take(struct cursor *in)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < NUMBER_BYTES; i++) {
		uint8_t byte = cursor_u8(in);

		number |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte & 0x80)
			continue;
		in->bad |= i && !byte; /* a byte that says nothing */
		return number;
	}
	in->bad = true;
	return 0;
}

/* A range of at least one frame that begins at from or later. */
static struct page_range take_range(struct cursor *in, uint64_t from, uint64_t pages)
{
	struct page_range range = {.first = from + take(in)};

	range.end = range.first + take(in);
	in->bad |= range.end <= range.first || range.end > pages;
	return range;
}

/* Returns false if the map has no room. */
static bool read_ranges(struct cursor *in, uint32_t count, struct page_range_map *map)
{
	struct page_range range = {0};

	for (uint32_t i = 0; i < count && !in->bad; i++) {
		uint64_t before = range.end;

		range = take_range(in, before, map->pages);
		in->bad |= i && range.first == before; /* these would be one */
		if (!in->bad && page_range_map_set(map, range.first, range.end, true) != PAGE_RANGE_CHANGED)
			return false;
	}
	return true;
}

int page_range_form_read(const uint8_t *data, size_t size, uint64_t pages, uint32_t ranges_max,
        struct page_range_map **ret_map, struct err *err)
{
	struct cursor in = cursor_over(data, size);
	struct page_range_map *map;
	uint8_t header[8], flags;
	uint32_t count;
	bool fits;

	cursor_copy(&in, header, sizeof(header));
	count = cursor_u32(&in);
	flags = header[5];
	if (in.bad || memcmp(header, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_FAILED, "this is no list of shared pages");
	if (header[4] != VERSION || flags & ~FLAG_DOUBT || header[6] || header[7])
		return err_set(err, ERR_FAILED,
		        "the list of shared pages has version %u, and vmm reads version %u", header[4],
		        VERSION);
	if (page_range_map_create(pages, ranges_max, &map, err) < 0)
		return -1;
	if (flags & FLAG_DOUBT) {
		struct page_range doubt = take_range(&in, 0, pages);

		page_range_map_doubt(map, doubt.first, doubt.end);
	}
	fits = count <= ranges_max && read_ranges(&in, count, map);
	if (fits && !in.bad && !in.left) {
		*ret_map = map;
		return 0;
	}
	page_range_map_destroy(map);
	if (!fits)
		return err_set(
		        err, ERR_FAILED, "the list of shared pages has more than %u ranges", ranges_max);
	return err_set(err, ERR_FAILED, "the list of shared pages is damaged");
}
