/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_change: what seldom happens to a map of shared pages: it is made, a change concerns several blocks,
 * a full block is split, two are joined, ranges_max is near. One thread at a time, under the map's lock.
 */
#include <errno.h>
#include <string.h>

#include "range_block.h"

/*
 * Blocks are joined when few are unused, as far as two neighbours have at most JOINED_EDGES together. When no
 * two have, 25 edges lie in a block on average, so 2 * ranges_max edges need no more than BLOCKS() blocks.
 * With their entries in the directory these are 22 bytes for each range. UNUSED_MIN: a change needs at most
 * one more block at each end.
 */
#define JOINED_EDGES         48u
#define UNUSED_MIN           2u
#define BLOCKS(ranges)       (2 * (ranges) / 25 + 1 + UNUSED_MIN)
#define SPLIT_IN_THREE_EDGES 100u /* so that the blocks have room afterwards */
#define WANTED_EDGES         8u   /* a block with fewer is not split because threads wait for it */

/* ---- the blocks ---- */

static uint32_t directory_count(const struct page_range_map *map)
{
	return atomic_load_explicit(&map->directory_count, memory_order_relaxed);
}

static uint32_t unused(const struct page_range_map *map)
{
	return map->unused_count + map->blocks_max -
	       atomic_load_explicit(&map->blocks_used, memory_order_relaxed);
}

/* A block that is not in use, locked. There is one. */
static struct block *take_block(struct page_range_map *map)
{
	uint32_t number = atomic_load_explicit(&map->blocks_used, memory_order_relaxed);
	struct block *block = &map->blocks[number];

	if (map->unused_count) {
		block = &map->blocks[map->unused];
		map->unused = block->spare;
		map->unused_count--;
		block_lock(block);
		block->spare = 0;
		return block;
	}
	memset(block, 0, sizeof(*block));
	block_lock(block);
	atomic_store_explicit(&map->blocks_used, number + 1, memory_order_release);
	return block;
}

static void set_bounds(struct block *block, uint64_t low, uint64_t high)
{
	atomic_store_explicit(&block->low, low, memory_order_release);
	atomic_store_explicit(&block->high, high, memory_order_release);
}

static void set_edges(struct block *block, const uint32_t *edges, uint32_t count)
{
	for (uint32_t i = 0; i < BLOCK_EDGES; i++)
		block_put(block, i, i < count ? edges[i] : NO_EDGE);
	atomic_store_explicit(&block->count, count, memory_order_release);
}

/* Ends the use of a locked block. A thread that still finds it sees that it covers nothing. */
static void give_block(struct page_range_map *map, struct block *block)
{
	atomic_fetch_add(&map->left, block->spare);
	set_bounds(block, 0, 0);
	block->spare = map->unused;
	map->unused = (uint32_t)(block - map->blocks);
	map->unused_count++;
	block_unlock(block, true);
}

static void set_entry(struct page_range_map *map, uint32_t position, uint64_t entry)
{
	atomic_store_explicit(&map->directory[position], entry, memory_order_release);
}

/* Replaces the entries [at, end) of the directory by those of some blocks. */
static void replace_entries(
        struct page_range_map *map, uint32_t at, uint32_t end, struct block *const *blocks, uint32_t count)
{
	uint32_t all = directory_count(map), behind = at + count;

	for (uint32_t i = all; behind > end && i > end; i--)
		set_entry(map, i - 1 + behind - end, map->directory[i - 1]);
	for (uint32_t i = end; behind < end && i < all; i++)
		set_entry(map, i - end + behind, map->directory[i]);
	for (uint32_t i = 0; i < count; i++)
		set_entry(map, at + i,
		        block_low(blocks[i]) << DIRECTORY_NUMBER_BITS | (uint64_t)(blocks[i] - map->blocks));
	atomic_store_explicit(&map->directory_count, all + behind - end, memory_order_release);
}

/* ---- edges of several blocks ---- */

/* All edges that neighbouring blocks of one window shall have. */
struct edges {
	uint32_t count, at[2 * BLOCK_EDGES + 2];
};

static void add_edges(struct edges *edges, const struct block *block, uint32_t from, uint32_t to)
{
	while (from < to)
		edges->at[edges->count++] = block_edge(block, from++);
}

/*
 * Deals edges out to the locked blocks [at, end) of the directory, to more of them if they need more, or to
 * fewer, but not below a least number, and unlocks all of these. Between two blocks it takes the middle of
 * what is private.
 */
static void deal(
        struct page_range_map *map, uint32_t at, uint32_t end, const struct edges *edges, uint32_t least)
{
	uint32_t wanted = edges->count <= BLOCK_EDGES ? least : edges->count <= SPLIT_IN_THREE_EDGES ? 2 : 3;
	struct block *blocks[3];
	uint64_t low = block_low(directory_block(map, at)), high = block_high(directory_block(map, end - 1)),
	         window = window_of(low);

	for (uint32_t i = 0; i < wanted; i++)
		blocks[i] = at + i < end ? directory_block(map, at + i) : take_block(map);
	for (uint32_t i = at + wanted; i < end; i++)
		give_block(map, directory_block(map, i));
	for (uint32_t i = 0, from = 0; i < wanted; i++) {
		uint32_t to = edges->count * (i + 1) / wanted & ~1u;
		uint64_t bound = high;

		if (i + 1 < wanted)
			bound = window + (edges->at[to - 1] + (uint64_t)edges->at[to]) / 2;
		set_edges(blocks[i], edges->at + from, to - from);
		set_bounds(blocks[i], low, bound);
		low = bound;
		from = to;
	}
	replace_entries(map, at, end, blocks, wanted);
	for (uint32_t i = 0; i < wanted; i++)
		block_unlock(blocks[i], true);
}

/* ---- room ---- */

/* Joins the blocks at a position and behind it. Returns false if they are too full, or not of one window. */
static bool join(struct page_range_map *map, uint32_t at)
{
	struct block *left = directory_block(map, at), *right = directory_block(map, at + 1);
	struct edges edges = {0};

	if (block_low(right) % WINDOW_PAGES == 0 || block_count(left) + block_count(right) > JOINED_EDGES)
		return false;
	block_lock(left);
	block_lock(right);
	add_edges(&edges, left, 0, block_count(left));
	add_edges(&edges, right, 0, block_count(right));
	deal(map, at, at + 2, &edges, 1);
	return true;
}

/* Sees to it that some blocks are unused. Goes around the directory, from where it stopped the last time. */
static bool make_room(struct page_range_map *map)
{
	for (uint32_t tries = directory_count(map); unused(map) < UNUSED_MIN && tries; tries--) {
		if (map->hand + 1 >= directory_count(map))
			map->hand = 0;
		else if (!join(map, map->hand))
			map->hand++;
	}
	return unused(map) >= UNUSED_MIN;
}

bool page_range_take(struct page_range_map *map, uint32_t ranges)
{
	uint32_t left = atomic_load_explicit(&map->left, memory_order_relaxed);

	while (left >= ranges) {
		if (atomic_compare_exchange_weak(&map->left, &left, left - ranges))
			return true;
	}
	return false;
}

/* Takes what the blocks have to spare, except for those at [at, end), which this thread has locked. */
static void gather(struct page_range_map *map, uint32_t at, uint32_t end)
{
	for (uint32_t i = 0; i < directory_count(map); i++) {
		struct block *block = directory_block(map, i);
		bool mine = at <= i && i < end;

		if (!mine)
			block_lock(block);
		atomic_fetch_add(&map->left, block->spare);
		block->spare = 0;
		if (!mine)
			block_unlock(block, false);
	}
}

/* ---- a change of several blocks ---- */

/* The part of a change that lies in one window, and the blocks that it concerns: [at, end) of the directory.
 */
struct part {
	uint64_t first, last_end;
	uint32_t at, end;
	struct edges edges; /* what these blocks shall have */
	int64_t more;       /* ranges than they have */
};

/* The same as in change_block() of range_map.c, for all blocks of the part. They are locked. */
static void plan(const struct page_range_map *map, struct part *part, bool shared)
{
	const struct block *left = directory_block(map, part->at),
	                   *right = directory_block(map, part->end - 1);
	uint32_t first = (uint32_t)(part->first % WINDOW_PAGES),
	         end = (uint32_t)(part->last_end - window_of(part->first)), from = block_below(left, first),
	         to = block_below(right, end + 1);

	part->edges.count = 0;
	add_edges(&part->edges, left, 0, from);
	if ((from & 1) != shared)
		part->edges.at[part->edges.count++] = first;
	if ((to & 1) != shared)
		part->edges.at[part->edges.count++] = end;
	add_edges(&part->edges, right, to, block_count(right));
	part->more = part->edges.count / 2;
	for (uint32_t i = part->at; i < part->end; i++)
		part->more -= block_count(directory_block(map, i)) / 2;
}

/* The part of [first, end) in the window of first. A range that ends at first may touch it. */
static void take_part(const struct page_range_map *map, uint64_t first, uint64_t end, struct part *part)
{
	uint64_t limit = window_end(map, first);

	part->first = first;
	part->last_end = end < limit ? end : limit;
	part->at = directory_find(map, first == window_of(first) ? first : first - 1);
	part->end = directory_find(map, part->last_end - 1) + 1;
}

static enum page_range_verdict change_locked(
        struct page_range_map *map, uint64_t first, uint64_t end, bool shared)
{
	int64_t more = 0;
	struct part part;
	uint32_t locked, at;

	take_part(map, first, end, &part);
	at = locked = part.at;
	for (uint64_t next = first; next < end; next = part.last_end) {
		take_part(map, next, end, &part);
		for (; locked < part.end; locked++)
			block_lock(directory_block(map, locked));
		plan(map, &part, shared);
		more += part.more;
	}
	if (more > 0 && !page_range_take(map, (uint32_t)more)) {
		gather(map, at, locked);
		if (!page_range_take(map, (uint32_t)more)) {
			while (locked > at)
				block_unlock(directory_block(map, --locked), false);
			return PAGE_RANGE_FULL;
		}
	}
	for (uint64_t next = first; next < end; next = part.last_end) {
		take_part(map, next, end, &part);
		plan(map, &part, shared);
		deal(map, part.at, part.end, &part.edges, 1);
	}
	if (more < 0)
		atomic_fetch_add(&map->left, (uint32_t)-more);
	return PAGE_RANGE_CHANGED;
}

enum page_range_verdict page_range_change(
        struct page_range_map *map, uint64_t first, uint64_t end, bool shared)
{
	enum page_range_verdict verdict = PAGE_RANGE_FULL;

	if (page_range_map_is(map, first, end, shared))
		return PAGE_RANGE_SAME;
	pthread_mutex_lock(&map->lock);
	if (make_room(map))
		verdict = change_locked(map, first, end, shared);
	pthread_mutex_unlock(&map->lock);
	return verdict;
}

/* Only half of the blocks may be used up like this. */
void page_range_split(struct page_range_map *map, uint64_t frame)
{
	struct edges edges = {0};
	struct block *block;
	uint32_t at;

	pthread_mutex_lock(&map->lock);
	at = directory_find(map, frame);
	block = directory_block(map, at);
	block_lock(block);
	if (block_count(block) >= WANTED_EDGES && unused(map) > map->blocks_max / 2) {
		add_edges(&edges, block, 0, block_count(block));
		deal(map, at, at + 1, &edges, 2);
	} else {
		block_unlock(block, false);
	}
	pthread_mutex_unlock(&map->lock);
}

/* ---- the map ---- */

static int reserve(struct page_range_map *map, struct err *err)
{
	map->blocks = aligned_alloc(sizeof(*map->blocks), map->blocks_max * sizeof(*map->blocks));
	map->directory = malloc(map->blocks_max * sizeof(*map->directory));
	if (!map->blocks || !map->directory)
		return err_sys(err, ERR_FAILED, ENOMEM, "the list of the guest's shared pages");
	return 0;
}

int page_range_map_create(
        uint64_t pages, uint32_t ranges_max, struct page_range_map **ret_map, struct err *err)
{
	struct page_range_map *map;

	if (!pages || pages > PAGE_RANGE_MAP_PAGES_MAX || !ranges_max ||
	        ranges_max > PAGE_RANGE_MAP_RANGES_MAX)
		return err_set(err, ERR_USAGE, "a list of %u ranges of %llu pages is impossible", ranges_max,
		        (unsigned long long)pages);
	map = aligned_alloc(_Alignof(struct page_range_map), sizeof(*map));
	if (!map)
		return err_sys(err, ERR_FAILED, ENOMEM, "the list of the guest's shared pages");
	*map = (struct page_range_map){.pages = pages, .left = ranges_max, .lock = PTHREAD_MUTEX_INITIALIZER};
	map->blocks_max = BLOCKS(ranges_max) + (uint32_t)((pages - 1) / WINDOW_PAGES);
	if (reserve(map, err) < 0) {
		page_range_map_destroy(map);
		return -1;
	}
	for (uint64_t low = 0; low < pages; low += WINDOW_PAGES) {
		struct block *block = take_block(map);

		set_edges(block, NULL, 0);
		set_bounds(block, low, window_end(map, low));
		replace_entries(map, directory_count(map), directory_count(map), &block, 1);
		block_unlock(block, false);
	}
	*ret_map = map;
	return 0;
}

void page_range_map_destroy(struct page_range_map *map)
{
	if (!map)
		return;
	free(map->blocks);
	free(map->directory);
	free(map);
}

uint64_t page_range_map_bytes(const struct page_range_map *map)
{
	return sizeof(*map) + atomic_load_explicit(&map->blocks_used, memory_order_relaxed) *
	                              (sizeof(*map->blocks) + sizeof(*map->directory));
}

void page_range_map_doubt(struct page_range_map *map, uint64_t first, uint64_t end)
{
	struct page_range *doubt = &map->doubt;

	end = end < map->pages ? end : map->pages;
	if (first >= end)
		return;
	pthread_mutex_lock(&map->lock);
	if (!map->doubtful || first < doubt->first)
		doubt->first = first;
	if (!map->doubtful || end > doubt->end)
		doubt->end = end;
	atomic_store_explicit(&map->doubtful, true, memory_order_release);
	pthread_mutex_unlock(&map->lock);
}

bool page_range_map_is_complete(struct page_range_map *map, struct page_range *ret_doubt)
{
	if (!atomic_load_explicit(&map->doubtful, memory_order_acquire))
		return true;
	pthread_mutex_lock(&map->lock);
	if (ret_doubt)
		*ret_doubt = map->doubt;
	pthread_mutex_unlock(&map->lock);
	return false;
}
