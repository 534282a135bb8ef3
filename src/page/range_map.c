/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_map: the map of shared pages (include/vmm/page/range_map.h). This file has what happens all the time:
 * a change within one block, and reading. range_change.c has the rest. Law: api.rst, KVM_HC_MAP_GPA_RANGE.
 *
 * It is a B+ tree of two levels: sorted blocks, which hold up to 28 ranges in four cache lines, below one
 * sorted directory. A change locks one block and moves at most its 224 bytes; a reader locks nothing.
 * tests/bench/range_map.c measured it against a bitmap, a list and a red-black tree (docs/performance.md).
 */
#include <errno.h>

#include "range_block.h"

/* ---- a change within one block ---- */

/* Does the block alone decide about [first, end)? A range before first, or behind end, may touch it. */
static bool is_alone(const struct block *block, uint64_t first, uint64_t end)
{
	uint64_t low = block_low(block);

	return (low < first || low == window_of(first)) && end <= block_high(block);
}

/* The ranges that a change adds: from the block's spare ones, else from the map's. */
static bool pay(struct page_range_map *map, struct block *block, uint32_t ranges)
{
	if (ranges > block->spare) {
		if (!page_range_take(map, ranges - block->spare))
			return false;
		block->spare = ranges;
	}
	block->spare -= ranges;
	return true;
}

/* Replaces the edges [from, to) by added ones. */
static void splice(struct block *block, uint32_t from, uint32_t to, const uint32_t *edges, uint32_t added)
{
	uint32_t count = block_count(block), grown = count - (to - from) + added;

	if (from + added > to) {
		for (uint32_t i = count; i > to; i--)
			block_put(block, i - 1 + added - (to - from), block_edge(block, i - 1));
	} else if (from + added < to) {
		for (uint32_t i = to; i < count; i++)
			block_put(block, i - (to - from) + added, block_edge(block, i));
		for (uint32_t i = grown; i < count; i++)
			block_put(block, i, NO_EDGE);
	}
	for (uint32_t i = 0; i < added; i++)
		block_put(block, from + i, edges[i]);
	atomic_store_explicit(&block->count, grown, memory_order_release);
}

/*
 * Changes offsets [first, end) of a locked block. An edge stays at first if the frame before it is in the
 * other state, and at end if the frame there is. All edges from first to end go. Returns false if the block
 * or the map has no room.
 */
static bool change_block(struct page_range_map *map, struct block *block, uint32_t first, uint32_t end,
        bool shared, bool *ret_changed)
{
	uint32_t from = block_below(block, first), to = from, added = 0, edges[2];
	bool same = true;

	while (to < BLOCK_EDGES && block_edge(block, to) <= end)
		to++;
	if ((from & 1) != shared)
		edges[added++] = first;
	if ((to & 1) != shared)
		edges[added++] = end;
	for (uint32_t i = 0; i < added && same; i++)
		same = from + i < to && block_edge(block, from + i) == edges[i];
	*ret_changed = !same || added != to - from;
	if (!*ret_changed)
		return true;
	if (added > to - from) {
		if (block_count(block) + 2 > BLOCK_EDGES || !pay(map, block, 1))
			return false;
	} else {
		block->spare += (to - from - added) / 2;
	}
	splice(block, from, to, edges, added);
	return true;
}

/* The block that this thread changed last, if it covers the frame: drivers flip the same few pages. */
static struct block *guess_block(const struct page_range_map *map, uint64_t frame, uint32_t last)
{
	struct block *block = &map->blocks[last];

	if (last < atomic_load_explicit(&map->blocks_used, memory_order_acquire) &&
	        block_low(block) <= frame && frame < block_high(block))
		return block;
	return directory_block(map, directory_find(map, frame));
}

enum page_range_verdict page_range_map_set(
        struct page_range_map *map, uint64_t first, uint64_t end, bool shared)
{
	static _Thread_local uint32_t last; /* of whatever map */
	unsigned tries = 0;

	if (first >= end || end > map->pages)
		return PAGE_RANGE_OUTSIDE;
	for (;; block_wait(&tries)) {
		struct block *block = guess_block(map, first, last);
		bool covers, alone, waited, changed = false, done = false;

		last = (uint32_t)(block - map->blocks);
		waited = block_lock(block);
		covers = block_low(block) <= first && first < block_high(block);
		alone = covers && is_alone(block, first, end);
		if (alone)
			done = change_block(map, block, (uint32_t)(first % WINDOW_PAGES),
			        (uint32_t)(end - window_of(first)), shared, &changed);
		block_unlock(block, done && changed);
		if (covers && waited)
			page_range_split(map, first);
		if (done)
			return changed ? PAGE_RANGE_CHANGED : PAGE_RANGE_SAME;
		if (covers)
			return page_range_change(map, first, end, shared);
	}
}

/* ---- reading ---- */

/* Is a frame shared, and up to which frame at least is it so? */
static bool run_at(const struct page_range_map *map, uint64_t frame, uint64_t *ret_end)
{
	unsigned tries = 0;

	for (;; block_wait(&tries)) {
		const struct block *block = directory_block(map, directory_find(map, frame));
		uint64_t sequence = atomic_load_explicit(&block->sequence, memory_order_acquire),
		         low = block_low(block), high = block_high(block);
		uint32_t n, edge;

		if (sequence & 1 || frame < low || frame >= high)
			continue;
		n = block_below(block, (uint32_t)(frame % WINDOW_PAGES) + 1);
		edge = n < BLOCK_EDGES ? block_edge(block, n) : NO_EDGE;
		if (atomic_load_explicit(&block->sequence, memory_order_relaxed) != sequence)
			continue;
		*ret_end = edge == NO_EDGE ? high : window_of(frame) + edge;
		return n & 1;
	}
}

bool page_range_map_is(const struct page_range_map *map, uint64_t first, uint64_t end, bool shared)
{
	uint64_t limit = end < map->pages ? end : map->pages;

	while (first < limit) {
		if (run_at(map, first, &first) != shared)
			return false;
	}
	return first >= end || !shared;
}

/* A copy of a block's edges. */
struct copy {
	uint64_t high, base; /* where the block ends, and from where its edges count */
	uint32_t count, edges[BLOCK_EDGES];
};

/* Copies the block that covers a frame. */
static void copy_block(const struct page_range_map *map, uint64_t frame, struct copy *copy)
{
	unsigned tries = 0;

	for (;; block_wait(&tries)) {
		const struct block *block = directory_block(map, directory_find(map, frame));
		uint64_t sequence = atomic_load_explicit(&block->sequence, memory_order_acquire),
		         low = block_low(block);

		copy->high = block_high(block);
		copy->base = window_of(frame);
		copy->count = block_count(block);
		if (sequence & 1 || frame < low || frame >= copy->high)
			continue;
		for (uint32_t i = 0; i < copy->count; i++)
			copy->edges[i] = block_edge(block, i);
		if (atomic_load_explicit(&block->sequence, memory_order_relaxed) == sequence)
			return;
	}
}

size_t page_range_map_get(const struct page_range_map *map, uint64_t first, uint64_t end,
        struct page_range *ret_ranges, size_t capacity)
{
	uint64_t limit = end < map->pages ? end : map->pages;
	struct copy copy;
	size_t n = 0;

	for (uint64_t at = first; at < limit; at = copy.high) {
		copy_block(map, at, &copy);
		for (uint32_t i = 0; i < copy.count; i += 2) {
			struct page_range range = {copy.base + copy.edges[i], copy.base + copy.edges[i + 1]};

			if (range.end <= at)
				continue;
			if (range.first >= limit)
				return n;
			if (range.first < at)
				range.first = at;
			if (range.end > limit)
				range.end = limit;
			if (n && ret_ranges[n - 1].end == range.first)
				ret_ranges[n - 1].end = range.end;
			else if (n < capacity)
				ret_ranges[n++] = range;
			else
				return n;
		}
	}
	return n;
}

void page_range_map_count(const struct page_range_map *map, uint64_t *ret_ranges, uint64_t *ret_pages)
{
	uint64_t ranges = 0, pages = 0, last_end = 0;
	struct copy copy;

	for (uint64_t at = 0; at < map->pages; at = copy.high) {
		copy_block(map, at, &copy);
		ranges += copy.count / 2;
		for (uint32_t i = 0; i < copy.count; i += 2)
			pages += copy.edges[i + 1] - copy.edges[i];
		if (copy.count && last_end == copy.base + copy.edges[0] && last_end)
			ranges--; /* it was cut at a window */
		if (copy.count)
			last_end = copy.base + copy.edges[copy.count - 1];
	}
	*ret_ranges = ranges;
	*ret_pages = pages;
}

uint64_t page_range_map_generation(const struct page_range_map *map)
{
	uint32_t used = atomic_load_explicit(&map->blocks_used, memory_order_acquire);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < used; i++)
		sum += atomic_load_explicit(&map->blocks[i].sequence, memory_order_acquire) / 2;
	return sum;
}

int page_range_map_snapshot(
        struct page_range_map *map, struct page_range_snapshot *ret_snapshot, struct err *err)
{
	struct page_range_snapshot s = {.generation = page_range_map_generation(map)};
	size_t capacity = 0, n;

	for (uint64_t at = 0;; at = s.ranges[s.count - 1].end + 1) {
		if (s.count == capacity) {
			void *more = reallocarray(s.ranges, capacity = 2 * capacity + 64, sizeof(*s.ranges));

			if (!more) {
				page_range_snapshot_finish(&s);
				return err_sys(err, ERR_FAILED, ENOMEM, "a copy of the list of shared pages");
			}
			s.ranges = more;
		}
		n = page_range_map_get(map, at, map->pages, s.ranges + s.count, capacity - s.count);
		s.count += n;
		if (s.count < capacity)
			break;
	}
	s.exact = page_range_map_generation(map) == s.generation;
	s.complete = page_range_map_is_complete(map, &s.doubt);
	*ret_snapshot = s;
	return 0;
}

void page_range_snapshot_finish(struct page_range_snapshot *snapshot)
{
	free(snapshot->ranges);
	*snapshot = (struct page_range_snapshot){0};
}
