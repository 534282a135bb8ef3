/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty: the map of frames that were written (include/vmm/page/dirty.h). A bitmap for each region, in words
 * of 64 frames. One thread.
 */
#include <errno.h>

#include "memory.h"
#include "vmm/page/dirty.h"

#define WORD_FRAMES 64u

/* A region's frames. Its bitmap has bits for all of them, also for those that are no memory yet. */
struct area {
	uint64_t first, pages;
	uint64_t *words;
};

struct page_dirty {
	const struct page_memory *memory;
	struct area areas[PAGE_REGIONS_MAX];
	unsigned area_count;
	uint64_t count; /* of dirty frames */
};

int page_dirty_create(const struct page_memory *memory, struct page_dirty **ret_dirty, struct err *err)
{
	struct page_dirty *dirty = calloc(1, sizeof(*dirty));

	if (!dirty)
		return err_sys(err, ERR_FAILED, ENOMEM, "map of written pages");
	dirty->memory = memory;
	for (unsigned i = 0; i < memory->layout.count; i++) {
		const struct page_region *region = &memory->layout.regions[i];
		struct area *area = &dirty->areas[dirty->area_count++];

		area->first = region->gpa.raw / PAGE_SIZE_BYTES;
		area->pages = region->size_bytes / PAGE_SIZE_BYTES;
		area->words = calloc(area->pages / WORD_FRAMES + 1, sizeof(*area->words));
		if (!area->words) {
			page_dirty_destroy(dirty);
			return err_sys(err, ERR_FAILED, ENOMEM, "map of written pages");
		}
	}
	*ret_dirty = dirty;
	return 0;
}

void page_dirty_destroy(struct page_dirty *dirty)
{
	if (!dirty)
		return;
	for (unsigned i = 0; i < dirty->area_count; i++)
		free(dirty->areas[i].words);
	free(dirty);
}

/* The bits of a word for the frames [from, to) of its area; from lies in the word. */
static uint64_t mask_of(uint64_t from, uint64_t to)
{
	uint64_t low = ~UINT64_C(0) << from % WORD_FRAMES, rest = to - from / WORD_FRAMES * WORD_FRAMES;

	return rest < WORD_FRAMES ? low & ((UINT64_C(1) << rest) - 1) : low;
}

static uint64_t word_end(uint64_t from, uint64_t to)
{
	uint64_t end = (from / WORD_FRAMES + 1) * WORD_FRAMES;

	return end < to ? end : to;
}

/* Makes the frames [from, to) of an area dirty or clean. */
static void mark(struct page_dirty *dirty, struct area *area, uint64_t from, uint64_t to, bool set)
{
	for (uint64_t end; from < to; from = end) {
		uint64_t *word = &area->words[from / WORD_FRAMES], mask = mask_of(from, to);

		end = word_end(from, to);
		if (set) {
			dirty->count += (unsigned)__builtin_popcountll(mask & ~*word);
			*word |= mask;
		} else {
			dirty->count -= (unsigned)__builtin_popcountll(mask & *word);
			*word &= ~mask;
		}
	}
}

static void mark_all(struct page_dirty *dirty, uint64_t first, uint64_t pages, bool set)
{
	uint64_t end;

	if (!add_ok(first, pages, &end))
		end = UINT64_MAX;
	for (unsigned i = 0; i < dirty->area_count; i++) {
		struct area *area = &dirty->areas[i];
		uint64_t there = area->first + page_region_bytes(dirty->memory, i) / PAGE_SIZE_BYTES;
		uint64_t from = first > area->first ? first : area->first, to = end < there ? end : there;

		if (from < to)
			mark(dirty, area, from - area->first, to - area->first, set);
	}
}

void page_dirty_set(struct page_dirty *dirty, uint64_t first, uint64_t pages)
{
	mark_all(dirty, first, pages, true);
}

void page_dirty_clear(struct page_dirty *dirty, uint64_t first, uint64_t pages)
{
	mark_all(dirty, first, pages, false);
}

void page_dirty_set_all(struct page_dirty *dirty)
{
	page_dirty_set(dirty, 0, UINT64_MAX);
}

void page_dirty_add(struct page_dirty *dirty, uint64_t first, uint64_t pages, const uint64_t *bits)
{
	for (uint64_t at = 0; at < pages; at += WORD_FRAMES) {
		uint64_t word = bits[at / WORD_FRAMES] & mask_of(at, pages);

		while (word) {
			unsigned from = (unsigned)__builtin_ctzll(word);
			uint64_t above = ~(word >> from);
			unsigned run = above ? (unsigned)__builtin_ctzll(above) : WORD_FRAMES;

			page_dirty_set(dirty, first + at + from, run);
			word &= ~mask_of(from, (uint64_t)from + run);
		}
	}
}

static uint64_t combine(uint64_t word, enum page_dirty_rule rule, uint64_t other)
{
	switch (rule) {
	case PAGE_DIRTY_OR: return word | other;
	case PAGE_DIRTY_AND: return word & other;
	case PAGE_DIRTY_AND_NOT: return word & ~other;
	case PAGE_DIRTY_XOR: return word ^ other;
	}
	return word;
}

void page_dirty_combine(struct page_dirty *dirty, enum page_dirty_rule rule, const struct page_dirty *other)
{
	for (unsigned i = 0; i < dirty->area_count; i++) {
		struct area *area = &dirty->areas[i];

		for (uint64_t n = 0; n <= area->pages / WORD_FRAMES; n++) {
			uint64_t word = combine(area->words[n], rule, other->areas[i].words[n]);

			dirty->count += (unsigned)__builtin_popcountll(word);
			dirty->count -= (unsigned)__builtin_popcountll(area->words[n]);
			area->words[n] = word;
		}
	}
}

/*
 * The first frame of [from, to) whose bit is the same as one of flip's is not: flip 0 looks for a dirty one,
 * all ones for a clean one. Returns to if there is none.
 */
static uint64_t find(const struct area *area, uint64_t from, uint64_t to, uint64_t flip)
{
	for (uint64_t end; from < to; from = end) {
		uint64_t word = (area->words[from / WORD_FRAMES] ^ flip) & mask_of(from, to);

		if (word)
			return from / WORD_FRAMES * WORD_FRAMES + (unsigned)__builtin_ctzll(word);
		end = word_end(from, to);
	}
	return to;
}

bool page_dirty_take(
        struct page_dirty *dirty, uint64_t from, uint64_t pages_max, struct page_range *ret_range)
{
	for (unsigned i = 0; i < dirty->area_count; i++) {
		struct area *area = &dirty->areas[i];
		uint64_t skip = from > area->first ? from - area->first : 0, first, limit;

		first = find(area, skip, area->pages, 0);
		if (first >= area->pages)
			continue;
		limit = area->pages - first < pages_max ? area->pages : first + pages_max;
		limit = find(area, first, limit, ~UINT64_C(0));
		mark(dirty, area, first, limit, false);
		*ret_range = (struct page_range){area->first + first, area->first + limit};
		return true;
	}
	return false;
}

bool page_dirty_has(const struct page_dirty *dirty, uint64_t first, uint64_t pages)
{
	for (unsigned i = 0; i < dirty->area_count; i++) {
		const struct area *area = &dirty->areas[i];

		if (first >= area->first && range_fits(first - area->first, pages, area->pages))
			return find(area, first - area->first, first - area->first + pages, ~UINT64_C(0)) ==
			       first - area->first + pages;
	}
	return false;
}

uint64_t page_dirty_count(const struct page_dirty *dirty)
{
	return dirty->count;
}
