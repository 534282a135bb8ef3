/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range_others: the map, a bitmap, a sorted list, and glibc's red-black tree (tsearch(3)). The bitmap is the
 * first form of KVM's (Linux patches "Add AMD SEV guest live migration support", 2020): changes under a lock,
 * all of the guest's size. The list is that of AMD's branch of QEMU. Bitmap and list are written anew here.
 * What reads a list or a tree takes its lock; what reads a bitmap needs none.
 */
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <string.h>

#include "range_others.h"

static void *must(void *allocated)
{
	if (!allocated)
		abort();
	return allocated;
}

/* ---- vmm's map ---- */

static void *map_create(uint64_t pages)
{
	struct page_range_map *map;

	if (page_range_map_create(pages, RANGES_MAX, &map, NULL) < 0)
		abort();
	return map;
}

static void map_destroy(void *map)
{
	page_range_map_destroy(map);
}

static void map_set(void *map, uint64_t first, uint64_t end, bool shared)
{
	if (page_range_map_set(map, first, end, shared) > PAGE_RANGE_SAME)
		abort();
}

static bool map_is_shared(void *map, uint64_t frame)
{
	return page_range_map_is(map, frame, frame + 1, true);
}

static uint64_t map_walk(void *map)
{
	uint64_t ranges, pages;

	page_range_map_count(map, &ranges, &pages);
	return pages;
}

static void map_snapshot(void *map)
{
	struct page_range_snapshot snapshot;

	if (page_range_map_snapshot(map, &snapshot, NULL) < 0)
		abort();
	page_range_snapshot_finish(&snapshot);
}

static uint64_t map_bytes(void *map)
{
	return page_range_map_bytes(map);
}

/* ---- the bitmap ---- */

#define BITS        64
#define PIECE_BYTES MIB(16)

struct bitmap {
	uint64_t words;
	pthread_mutex_t lock;
	_Atomic uint64_t *bits;
};

static void *bitmap_create(uint64_t pages)
{
	struct bitmap *map = must(malloc(sizeof(*map)));

	*map = (struct bitmap){.words = pages / BITS + 1, .lock = PTHREAD_MUTEX_INITIALIZER};
	map->bits = must(calloc(map->words, sizeof(*map->bits)));
	return map;
}

static void bitmap_destroy(void *arg)
{
	struct bitmap *map = arg;

	free(map->bits);
	free(map);
}

static void bitmap_mark(struct bitmap *map, uint64_t at, uint64_t end, bool shared, bool alone)
{
	for (uint64_t count; at < end; at += count) {
		uint64_t bit = at % BITS, mask;
		_Atomic uint64_t *word = &map->bits[at / BITS];

		count = end - at < BITS - bit ? end - at : BITS - bit;
		mask = (count == BITS ? UINT64_MAX : (UINT64_C(1) << count) - 1) << bit;
		if (alone) {
			uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

			atomic_store_explicit(word, shared ? old | mask : old & ~mask, memory_order_relaxed);
		} else if (shared) {
			atomic_fetch_or(word, mask);
		} else {
			atomic_fetch_and(word, ~mask);
		}
	}
}

static void bitmap_set(void *arg, uint64_t first, uint64_t end, bool shared)
{
	struct bitmap *map = arg;

	pthread_mutex_lock(&map->lock);
	bitmap_mark(map, first, end, shared, true);
	pthread_mutex_unlock(&map->lock);
}

static void bits_set(void *arg, uint64_t first, uint64_t end, bool shared)
{
	bitmap_mark(arg, first, end, shared, false);
}

static bool bitmap_is_shared(void *arg, uint64_t frame)
{
	const struct bitmap *map = arg;

	return atomic_load_explicit(&map->bits[frame / BITS], memory_order_relaxed) >> frame % BITS & 1;
}

/* The next page at or behind at that is in the state. */
static uint64_t bitmap_find(const struct bitmap *map, uint64_t at, bool shared)
{
	uint64_t i = at / BITS, flip = shared ? 0 : UINT64_MAX, word;

	if (i >= map->words)
		return map->words * BITS;
	word = (map->bits[i] ^ flip) & UINT64_MAX << at % BITS;
	while (!word && ++i < map->words)
		word = map->bits[i] ^ flip;
	return i == map->words ? i * BITS : i * BITS + (unsigned)__builtin_ctzll(word);
}

static uint64_t bitmap_walk(void *arg)
{
	const struct bitmap *map = arg;
	uint64_t pages = 0, end;

	for (uint64_t at = 0; (at = bitmap_find(map, at, true)) < map->words * BITS; at = end) {
		end = bitmap_find(map, at, false);
		pages += end - at;
	}
	return pages;
}

/* Copies piece after piece to the same place, which spares the bitmap the memory for the copy. */
static void bitmap_snapshot(void *arg)
{
	const struct bitmap *map = arg;
	uint64_t size = map->words * sizeof(*map->bits), n;
	uint8_t *copy = must(malloc(PIECE_BYTES));

	for (uint64_t at = 0; at < size; at += n) {
		n = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
		memcpy(copy, (const uint8_t *)(uintptr_t)map->bits + at, n);
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	free(copy);
}

static uint64_t bitmap_bytes(void *arg)
{
	const struct bitmap *map = arg;

	return map->words * sizeof(*map->bits);
}

/* ---- the list ---- */

struct node {
	uint64_t first, end;
	struct node *next;
};

struct list {
	pthread_mutex_t lock;
	struct node *head;
};

static void *list_create(uint64_t pages)
{
	struct list *list = must(malloc(sizeof(*list)));

	*list = (struct list){.lock = PTHREAD_MUTEX_INITIALIZER};
	return list;
}

static struct node *list_free_first(struct node *node)
{
	struct node *next = node->next;

	free(node);
	return next;
}

static void list_destroy(void *arg)
{
	struct list *list = arg;

	while (list->head)
		list->head = list_free_first(list->head);
	free(list);
}

static void list_insert(struct node **at, uint64_t first, uint64_t end)
{
	struct node *node = must(malloc(sizeof(*node)));

	*node = (struct node){first, end, *at};
	*at = node;
}

static void list_share(struct node **at, uint64_t first, uint64_t end)
{
	struct node *node;

	while (*at && (*at)->end < first)
		at = &(*at)->next;
	node = *at;
	if (!node || node->first > end) {
		list_insert(at, first, end);
		return;
	}
	node->first = first < node->first ? first : node->first;
	node->end = end > node->end ? end : node->end;
	while (node->next && node->next->first <= node->end) {
		node->end = node->next->end > node->end ? node->next->end : node->end;
		node->next = list_free_first(node->next);
	}
}

static void list_unshare(struct node **at, uint64_t first, uint64_t end)
{
	while (*at && (*at)->end <= first)
		at = &(*at)->next;
	while (*at && (*at)->first < end) {
		struct node *node = *at;

		if (node->first < first) {
			if (node->end > end)
				list_insert(&node->next, end, node->end);
			node->end = first;
			at = &node->next;
		} else if (node->end > end) {
			node->first = end;
		} else {
			*at = list_free_first(node);
		}
	}
}

static void list_set(void *arg, uint64_t first, uint64_t end, bool shared)
{
	struct list *list = arg;

	pthread_mutex_lock(&list->lock);
	(shared ? list_share : list_unshare)(&list->head, first, end);
	pthread_mutex_unlock(&list->lock);
}

static bool list_is_shared(void *arg, uint64_t frame)
{
	struct list *list = arg;
	const struct node *node;
	bool shared;

	pthread_mutex_lock(&list->lock);
	for (node = list->head; node && node->end <= frame;)
		node = node->next;
	shared = node && node->first <= frame;
	pthread_mutex_unlock(&list->lock);
	return shared;
}

static uint64_t list_walk(void *arg)
{
	struct list *list = arg;
	uint64_t pages = 0;

	pthread_mutex_lock(&list->lock);
	for (const struct node *node = list->head; node; node = node->next)
		pages += node->end - node->first;
	pthread_mutex_unlock(&list->lock);
	return pages;
}

static void list_snapshot(void *arg)
{
	struct list *list = arg;
	struct page_range *copy = must(malloc(RANGES_MAX * sizeof(*copy))), *at = copy;

	pthread_mutex_lock(&list->lock);
	for (const struct node *node = list->head; node; node = node->next)
		*at++ = (struct page_range){node->first, node->end};
	pthread_mutex_unlock(&list->lock);
	__asm__ volatile("" : : "r"(copy) : "memory");
	free(copy);
}

/* ---- the tree ---- */

struct tree {
	pthread_mutex_t lock;
	void *root;
};

static void *tree_create(uint64_t pages)
{
	struct tree *tree = must(malloc(sizeof(*tree)));

	*tree = (struct tree){.lock = PTHREAD_MUTEX_INITIALIZER};
	return tree;
}

static void tree_destroy(void *arg)
{
	struct tree *tree = arg;

	tdestroy(tree->root, free);
	free(tree);
}

/* Ranges that touch are equal. */
static int by_touch(const void *a, const void *b)
{
	const struct page_range *x = a, *y = b;

	return x->end < y->first ? -1 : y->end < x->first;
}

static int by_overlap(const void *a, const void *b)
{
	const struct page_range *x = a, *y = b;

	return x->end <= y->first ? -1 : y->end <= x->first;
}

static void tree_insert(struct tree *tree, uint64_t first, uint64_t end)
{
	struct page_range *range = must(malloc(sizeof(*range)));

	*range = (struct page_range){first, end};
	must(tsearch(range, &tree->root, by_overlap));
}

static void tree_share(struct tree *tree, uint64_t first, uint64_t end)
{
	struct page_range key = {first, end}, **found;

	while ((found = tfind(&key, &tree->root, by_touch))) {
		struct page_range *old = *found;

		if (old->first <= key.first && key.end <= old->end)
			return;
		key.first = key.first < old->first ? key.first : old->first;
		key.end = key.end > old->end ? key.end : old->end;
		tdelete(old, &tree->root, by_overlap);
		free(old);
	}
	tree_insert(tree, key.first, key.end);
}

static void tree_unshare(struct tree *tree, uint64_t first, uint64_t end)
{
	const struct page_range key = {first, end};
	struct page_range **found;

	while ((found = tfind(&key, &tree->root, by_overlap))) {
		struct page_range old = **found, *gone = *found;

		tdelete(gone, &tree->root, by_overlap);
		free(gone);
		if (old.first < first)
			tree_insert(tree, old.first, first);
		if (old.end > end)
			tree_insert(tree, end, old.end);
	}
}

static void tree_set(void *arg, uint64_t first, uint64_t end, bool shared)
{
	struct tree *tree = arg;

	pthread_mutex_lock(&tree->lock);
	(shared ? tree_share : tree_unshare)(tree, first, end);
	pthread_mutex_unlock(&tree->lock);
}

static bool tree_is_shared(void *arg, uint64_t frame)
{
	struct tree *tree = arg;
	const struct page_range key = {frame, frame + 1};
	bool shared;

	pthread_mutex_lock(&tree->lock);
	shared = tfind(&key, &tree->root, by_overlap);
	pthread_mutex_unlock(&tree->lock);
	return shared;
}

static void add_pages(const void *node, VISIT visit, void *pages)
{
	const struct page_range *range = *(struct page_range *const *)node;

	if (visit == postorder || visit == leaf)
		*(uint64_t *)pages += range->end - range->first;
}

static uint64_t tree_walk(void *arg)
{
	struct tree *tree = arg;
	uint64_t pages = 0;

	pthread_mutex_lock(&tree->lock);
	twalk_r(tree->root, add_pages, &pages);
	pthread_mutex_unlock(&tree->lock);
	return pages;
}

static void copy_range(const void *node, VISIT visit, void *at)
{
	if (visit == postorder || visit == leaf)
		*(*(struct page_range **)at)++ = **(struct page_range *const *)node;
}

static void tree_snapshot(void *arg)
{
	struct tree *tree = arg;
	struct page_range *copy = must(malloc(RANGES_MAX * sizeof(*copy))), *at = copy;

	pthread_mutex_lock(&tree->lock);
	twalk_r(tree->root, copy_range, (void *)&at);
	pthread_mutex_unlock(&tree->lock);
	__asm__ volatile("" : : "r"(copy) : "memory");
	free(copy);
}

#define KIND(name) name##_create, name##_destroy, name##_set, name##_is_shared, name##_walk, name##_snapshot
const struct kind kinds[KINDS] = {
        {"map", KIND(map), map_bytes},
        {"bitmap", KIND(bitmap), bitmap_bytes},
        {"list", KIND(list), .is_linear = true},
        {"tree", KIND(tree)},
        {"bits", bitmap_create, bitmap_destroy, bits_set, bitmap_is_shared, bitmap_walk, bitmap_snapshot,
                bitmap_bytes},
};
