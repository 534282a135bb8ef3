/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flips: the table of ranges that a guest converts most often. It has sets of a few entries, and the hash of
 * a range's first page says in which set it is looked for. Within a set the rule is that of Misra and Gries:
 * a range that is not there takes one off the credit of the entry with the least, and its place if there is
 * no more. So a range that is converted more often than all those of its set without an entry stays. A guest
 * that picks addresses of one set can push others out of that set, and do no more.
 *
 * A set has a lock of its own, held for some nanoseconds. Whoever finds it held for longer, because its
 * holder lost its processor, only counts. Any thread.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/page/flips.h"

#define SETS        64u
#define WAYS        (PAGE_FLIPS_MAX / SETS)
#define RING        8u /* seconds that are counted apart; a power of two, more than PAGE_FLIPS_SECONDS */
#define TRIES       100u
#define SECOND_NS   UINT64_C(1000000000)
#define NEVER       UINT64_MAX
#define BATCH_MAX   16u /* the sum over all sets may be wrong by as many conversions for each set */
#define BATCH_PARTS 512u

_Static_assert(SETS == 64, "set_of() takes 6 bits");
_Static_assert(RING > PAGE_FLIPS_SECONDS, "the present second is counted apart");

struct entry {
	uint64_t key; /* first frame, plus one; 0: the entry is free */
	uint64_t credit, count, pages, last_ns;
};

struct set {
	_Alignas(64) _Atomic bool locked;
	uint32_t batch; /* conversions of this second that the sum has not been told */
	uint64_t second;
	uint64_t conversions, flips;
	uint32_t ring[RING]; /* conversions of the seconds up to `second` */
	struct entry entries[WAYS];
};

struct page_flips {
	struct set sets[SETS];
	uint64_t start_ns;
	uint32_t storm, batch;
	/* Of all sets: a second (upper half) and conversions in it (lower half). */
	_Alignas(64) _Atomic uint64_t sum;
	_Atomic uint64_t storms, missed, told_s;
};

int page_flips_create(uint64_t start_ns, uint32_t storm, struct page_flips **ret_flips, struct err *err)
{
	struct page_flips *flips = aligned_alloc(_Alignof(struct page_flips), sizeof(*flips));
	uint32_t batch = storm / BATCH_PARTS;

	if (!flips)
		return err_sys(err, ERR_FAILED, ENOMEM, "the table of conversions");
	memset(flips, 0, sizeof(*flips));
	flips->start_ns = start_ns;
	flips->storm = storm;
	atomic_init(&flips->told_s, NEVER);
	flips->batch = batch < 1 ? 1 : batch > BATCH_MAX ? BATCH_MAX : batch;
	*ret_flips = flips;
	return 0;
}

void page_flips_destroy(struct page_flips *flips)
{
	free(flips);
}

/* ---- a set ---- */

/* The upper bits of the product depend on all bits of the frame (Fibonacci hashing). */
static struct set *set_of(struct page_flips *flips, uint64_t first)
{
	return &flips->sets[first * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}

static bool try_lock(struct set *set)
{
	for (unsigned i = 0; i < TRIES; i++) {
		if (!atomic_exchange_explicit(&set->locked, true, memory_order_acquire))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* For readers, which may wait. */
static void lock(struct set *set)
{
	while (!try_lock(set))
		nanosleep(&(const struct timespec){.tv_nsec = 20000}, NULL);
}

static void unlock(struct set *set)
{
	atomic_store_explicit(&set->locked, false, memory_order_release);
}

/* Time comes from several threads: it may be a little behind, and counts as the set's second then. */
static void come_to(struct set *set, uint64_t second)
{
	for (unsigned i = 0; set->second < second && i < RING; i++)
		set->ring[++set->second % RING] = 0;
	if (set->second >= second)
		return;
	set->second = second;
}

/* The entry of the range; NULL: it gets none. */
static struct entry *find(struct set *set, uint64_t key)
{
	struct entry *least = &set->entries[0];

	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *entry = &set->entries[i];

		if (entry->key == key)
			return entry;
		if (entry->credit < least->credit)
			least = entry;
	}
	if (least->credit > 1) {
		least->credit--;
		return NULL;
	}
	*least = (struct entry){.key = key};
	return least;
}

static void note_in(struct set *set, uint64_t first, uint64_t pages, uint64_t ns)
{
	struct entry *entry = find(set, first + 1);

	set->conversions++;
	set->ring[set->second % RING]++;
	if (!entry)
		return;
	set->flips += entry->count > 0;
	entry->count++;
	entry->credit++;
	entry->pages = pages;
	entry->last_ns = ns;
}

/* ---- storms ---- */

/* Adds conversions of a second to the sum of all sets. Returns whether it has just become a storm. */
static bool add(struct page_flips *flips, uint64_t second, uint32_t conversions)
{
	uint64_t old = atomic_load_explicit(&flips->sum, memory_order_relaxed), next;

	do {
		uint64_t before = old >> 32 == second ? old & UINT32_MAX : 0;

		if (old >> 32 > second)
			return false;
		if (before > flips->storm) /* it was told; the count need not go on, nor round */
			return false;
		next = second << 32 | (before + conversions);
	} while (!atomic_compare_exchange_weak_explicit(
	        &flips->sum, &old, next, memory_order_relaxed, memory_order_relaxed));
	return (next & UINT32_MAX) > flips->storm;
}

static bool may_tell(struct page_flips *flips, uint64_t second)
{
	uint64_t told = atomic_load(&flips->told_s);

	if (told != NEVER && (second < told || second - told < PAGE_FLIPS_TELL_S))
		return false;
	return atomic_compare_exchange_strong(&flips->told_s, &told, second);
}

bool page_flips_note(struct page_flips *flips, uint64_t first, uint64_t pages, uint64_t now_ns)
{
	struct set *set = set_of(flips, first);
	uint64_t ns = now_ns > flips->start_ns ? now_ns - flips->start_ns : 0, second = ns / SECOND_NS;
	uint32_t batch = 0;

	if (!try_lock(set)) {
		atomic_fetch_add_explicit(&flips->missed, 1, memory_order_relaxed);
		return false;
	}
	if (set->second < second) {
		set->batch = 0;
		come_to(set, second);
	}
	note_in(set, first, pages, ns);
	if (++set->batch >= flips->batch) {
		batch = set->batch;
		set->batch = 0;
	}
	second = set->second;
	unlock(set);
	if (!batch || !flips->storm || !add(flips, second, batch))
		return false;
	atomic_fetch_add(&flips->storms, 1);
	return may_tell(flips, second);
}

/* ---- readers ---- */

static int by_count(const void *a, const void *b)
{
	const struct page_flip *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static size_t get_set(struct set *set, struct page_flip *ret_flips)
{
	size_t count = 0;

	lock(set);
	for (unsigned i = 0; i < WAYS; i++) {
		const struct entry *entry = &set->entries[i];

		if (entry->key)
			ret_flips[count++] = (struct page_flip){
			        entry->key - 1, entry->pages, entry->count, entry->last_ns};
	}
	unlock(set);
	return count;
}

bool page_flips_top(struct page_flips *flips, struct page_flip *ret_flip)
{
	struct page_flip of_set[WAYS], top = {0};

	for (unsigned i = 0; i < SETS; i++) {
		size_t count = get_set(&flips->sets[i], of_set);

		for (size_t k = 0; k < count; k++) {
			if (by_count(&of_set[k], &top) < 0)
				top = of_set[k];
		}
	}
	if (top.count)
		*ret_flip = top;
	return top.count > 0;
}

size_t page_flips_get(struct page_flips *flips, struct page_flip ret_flips[static PAGE_FLIPS_MAX])
{
	size_t count = 0;

	for (unsigned i = 0; i < SETS; i++)
		count += get_set(&flips->sets[i], &ret_flips[count]);
	qsort(ret_flips, count, sizeof(*ret_flips), by_count);
	return count;
}

/* Conversions of the seconds before this one. */
static uint64_t recent(const struct set *set, uint64_t second)
{
	uint64_t conversions = 0;

	for (uint64_t i = 1; i <= PAGE_FLIPS_SECONDS && i <= second; i++) {
		uint64_t at = second - i;

		if (at <= set->second && set->second - at < RING)
			conversions += set->ring[at % RING];
	}
	return conversions;
}

struct page_flip_totals page_flips_count(struct page_flips *flips, uint64_t now_ns)
{
	uint64_t second = (now_ns > flips->start_ns ? now_ns - flips->start_ns : 0) / SECOND_NS, last = 0;
	uint64_t seconds = second < PAGE_FLIPS_SECONDS ? second : PAGE_FLIPS_SECONDS;
	struct page_flip_totals totals = {.conversions = atomic_load(&flips->missed)};

	for (unsigned i = 0; i < SETS; i++) {
		struct set *set = &flips->sets[i];

		lock(set);
		totals.conversions += set->conversions;
		totals.flips += set->flips;
		last += recent(set, second);
		unlock(set);
	}
	totals.storms = atomic_load(&flips->storms);
	totals.per_second = seconds ? (double)last / (double)seconds : 0;
	return totals;
}
