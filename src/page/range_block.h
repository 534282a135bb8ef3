/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_block: the parts of a map of shared pages. Each block covers some of the frames and holds their
 * ranges as edges in order: a frame is shared if an odd number of edges is not above it. The first frame of a
 * block is private, so no range is in two blocks. Only at windows, which are what an offset of 32 bits
 * reaches, ranges are cut, and blocks begin with whatever is there.
 *
 * A block's sequence is its lock, and how readers see that they read something whole: it is odd while the
 * block is being changed. So all that readers see is atomic. They load with acquire and writers store with
 * release: whoever sees a new value sees the new sequence, too.
 */
#ifndef VMM_PAGE_RANGE_BLOCK_H
#define VMM_PAGE_RANGE_BLOCK_H

#include <emmintrin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "vmm/page/range_map.h"

#define WINDOW_PAGES (UINT64_C(1) << 31)
#define BLOCK_EDGES  56u
#define EDGE_BIAS    (UINT32_C(1) << 31) /* kept edges are that much lower: SSE2 compares signed numbers */
#define NO_EDGE      UINT32_MAX          /* behind the last edge of a block */

struct block {
	_Atomic uint64_t sequence;
	_Atomic uint64_t low, high; /* the frames that it covers; low == high: it is unused */
	_Atomic uint32_t count;     /* of edges, always even */
	uint32_t spare; /* ranges that it may add without asking the map; unused: the next such block */
	_Alignas(16) _Atomic uint32_t edges[BLOCK_EDGES]; /* from the beginning of the window, ascending */
};
_Static_assert(sizeof(struct block) == 256, "whole cache lines");

/*
 * The directory names the blocks in the order of their frames, each entry as low << 24 | number of the block.
 * It says where to look; whether a block is the right one, its low and high say. The lock is held by whoever
 * changes more than one block: blocks are then locked in ascending order.
 */
struct page_range_map {
	uint64_t pages;
	uint32_t blocks_max;
	_Atomic uint32_t directory_count;
	_Atomic uint64_t *directory;
	struct block *blocks;

	_Alignas(64) _Atomic uint32_t left; /* ranges up to ranges_max that no block has as its spare ones */
	pthread_mutex_t lock;
	_Atomic uint32_t blocks_used;  /* those from here on were never used */
	uint32_t unused, unused_count; /* the first of the blocks that were used and are not now */
	uint32_t hand;                 /* where blocks are joined next */
	_Atomic bool doubtful;
	struct page_range doubt;
};

#define DIRECTORY_NUMBER_BITS 24
#define DIRECTORY_NUMBER      ((UINT64_C(1) << DIRECTORY_NUMBER_BITS) - 1)

static inline uint64_t window_of(uint64_t frame)
{
	return frame & ~(WINDOW_PAGES - 1);
}

/* The end of the window in which a frame lies. */
static inline uint64_t window_end(const struct page_range_map *map, uint64_t frame)
{
	uint64_t end = window_of(frame) + WINDOW_PAGES;

	return end < map->pages ? end : map->pages;
}

/* How many of the entries [at + step, at + 2 * step, ...] are not above a key. */
static inline uint32_t directory_below(
        const struct page_range_map *map, uint32_t at, uint32_t step, uint32_t count, uint64_t key)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= count; i++)
		n += atomic_load_explicit(&map->directory[at + i * step], memory_order_relaxed) <= key;
	return n;
}

/*
 * The position of a frame's block in the directory, which may be changing: one that exists. Each step leaves
 * an eighth.
 */
static inline uint32_t directory_find(const struct page_range_map *map, uint64_t frame)
{
	uint64_t key = frame << DIRECTORY_NUMBER_BITS | DIRECTORY_NUMBER;
	uint32_t at = 0, left = atomic_load_explicit(&map->directory_count, memory_order_acquire);

	while (left > 8) {
		uint32_t step = (left + 7) / 8,
		         skipped = step * directory_below(map, at, step, (left - 1) / step, key);

		at += skipped;
		left = left - skipped < step ? left - skipped : step;
	}
	return at + directory_below(map, at, 1, left - 1, key);
}

static inline struct block *directory_block(const struct page_range_map *map, uint32_t position)
{
	uint64_t entry = atomic_load_explicit(&map->directory[position], memory_order_acquire);

	return &map->blocks[entry & DIRECTORY_NUMBER];
}

static inline uint32_t block_edge(const struct block *block, uint32_t i)
{
	return atomic_load_explicit(&block->edges[i], memory_order_acquire) ^ EDGE_BIAS;
}

static inline void block_put(struct block *block, uint32_t i, uint32_t edge)
{
	atomic_store_explicit(&block->edges[i], edge ^ EDGE_BIAS, memory_order_release);
}

static inline uint64_t block_low(const struct block *block)
{
	return atomic_load_explicit(&block->low, memory_order_acquire);
}

static inline uint64_t block_high(const struct block *block)
{
	return atomic_load_explicit(&block->high, memory_order_acquire);
}

static inline uint32_t block_count(const struct block *block)
{
	return atomic_load_explicit(&block->count, memory_order_acquire);
}

/*
 * How many edges are below an offset. All are compared, since no comparison waits for another, as the steps
 * of a search would, and none is a branch to be guessed. The language knows no atomic load of four edges. A
 * reader that sees a half of a change sees by the sequence that it did, which it loads after the fence. The
 * thread sanitizer is shown single loads.
 */
static inline uint32_t block_below(const struct block *block, uint32_t offset)
{
#ifdef __SANITIZE_THREAD__
	uint32_t n = 0;

	for (uint32_t i = 0; i < BLOCK_EDGES; i++)
		n += block_edge(block, i) < offset;
	return n;
#else
	const __m128i *edges = (const __m128i *)(uintptr_t)block->edges;
	__m128i limit = _mm_set1_epi32((int)(offset ^ EDGE_BIAS)), n = _mm_setzero_si128();

#pragma GCC unroll 14
	for (uint32_t i = 0; i < BLOCK_EDGES / 4; i++)
		n = _mm_sub_epi32(n, _mm_cmpgt_epi32(limit, _mm_load_si128(edges + i)));
	n = _mm_add_epi32(n, _mm_shuffle_epi32(n, 0x4e));
	n = _mm_add_epi32(n, _mm_shuffle_epi32(n, 0xb1));
	atomic_thread_fence(memory_order_acquire);
	return (uint32_t)_mm_cvtsi128_si32(n);
#endif
}

/* Waits until another thread has gone on; it may have lost its processor in the middle of a change. */
static inline void block_wait(unsigned *tries)
{
	static const struct timespec moment = {.tv_nsec = 20000};

	if (++*tries % 128)
		__builtin_ia32_pause();
	else
		nanosleep(&moment, NULL);
}

/* Returns whether it had to wait. */
static inline bool block_lock(struct block *block)
{
	unsigned tries = 0;

	for (;;) {
		uint64_t sequence = atomic_load_explicit(&block->sequence, memory_order_relaxed);

		if (!(sequence & 1) && atomic_compare_exchange_weak_explicit(&block->sequence, &sequence,
		                               sequence + 1, memory_order_acquire, memory_order_relaxed))
			return tries > 0;
		block_wait(&tries);
	}
}

static inline void block_unlock(struct block *block, bool changed)
{
	uint64_t sequence = atomic_load_explicit(&block->sequence, memory_order_relaxed);

	atomic_store_explicit(&block->sequence, changed ? sequence + 1 : sequence - 1, memory_order_release);
}

/* Takes ranges out of those that are left. Returns false if there are too few. */
bool page_range_take(struct page_range_map *map, uint32_t ranges);
/* Splits the block of a frame, for which two threads have waited, so that they do not wait again. */
void page_range_split(struct page_range_map *map, uint64_t frame);
/* A change that concerns more than one block, or for which a block has no room. */
enum page_range_verdict page_range_change(
        struct page_range_map *map, uint64_t first, uint64_t end, bool shared);

#endif
