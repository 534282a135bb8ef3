/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that change and read one map of shared pages at once. Each writer knows the state of its own pages,
 * and the pages of all writers lie side by side, so that their ranges join and part all the time.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "support/test.h"
#include "vmm/page/range_map.h"

#define WRITERS     3u
#define READERS     2u
#define STEPS       200000u
#define PAGES       4096u
#define FAR         (UINT64_C(1) << 31) /* one writer's long range, across the cut at 8 TiB */
#define LONG_PAGES  300000u
#define TURNS       (FAR + 2 * LONG_PAGES) /* two pages that are never shared at the same time */
#define RANGES_MAX  4096u
#define OF_EVERYONE 8u /* every eighth page is always shared, and the one before it always private */

static struct err err;
static struct page_range_map *map;
static _Atomic unsigned writing;

struct writer {
	unsigned number;
	bool shared[PAGES], failed;
	pthread_t thread;
};

static uint32_t next(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

static bool set(uint64_t first, uint64_t end, bool shared)
{
	enum page_range_verdict verdict = page_range_map_set(map, first, end, shared);

	return verdict == PAGE_RANGE_CHANGED || verdict == PAGE_RANGE_SAME;
}

/* Pages 1 to 6 of each eight belong to the writers in turn. */
static bool flip_one(struct writer *writer, uint32_t *random)
{
	uint64_t page = next(random) % (PAGES / OF_EVERYONE) * OF_EVERYONE + 1 + writer->number +
	                next(random) % 2 * WRITERS;

	writer->shared[page] = !writer->shared[page];
	return set(page, page + 1, writer->shared[page]);
}

static bool flip_far(unsigned step)
{
	uint64_t first = FAR - LONG_PAGES / 2;

	return set(first, first + LONG_PAGES, step & 1) && set(first + 1000, first + 1001, !(step & 1));
}

static bool take_turns(void)
{
	return set(TURNS, TURNS + 1, true) && set(TURNS, TURNS + 1, false) &&
	       set(TURNS + 5000, TURNS + 5001, true) && set(TURNS + 5000, TURNS + 5001, false);
}

static void *write_map(void *arg)
{
	struct writer *writer = arg;
	uint32_t random = writer->number + 1;

	for (unsigned step = 0; step < STEPS && !writer->failed; step++) {
		writer->failed = !flip_one(writer, &random);
		if (writer->number == 0 && step % 16 == 0)
			writer->failed |= !flip_far(step / 16);
		if (writer->number == 1 && step % 4 == 0)
			writer->failed |= !take_turns();
	}
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

static bool is_shared(const struct page_range_snapshot *snapshot, uint64_t page)
{
	for (size_t i = 0; i < snapshot->count; i++)
		if (snapshot->ranges[i].first <= page && page < snapshot->ranges[i].end)
			return true;
	return false;
}

static bool is_in_order(const struct page_range_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++)
		if (snapshot->ranges[i].first >= snapshot->ranges[i].end ||
		        (i && snapshot->ranges[i].first <= snapshot->ranges[i - 1].end))
			return false;
	return true;
}

static bool look_at_all(void)
{
	struct page_range_snapshot snapshot;
	bool good;

	if (page_range_map_snapshot(map, &snapshot, NULL) < 0)
		return false;
	good = is_in_order(&snapshot) &&
	       !(snapshot.exact && is_shared(&snapshot, TURNS) && is_shared(&snapshot, TURNS + 5000));
	for (uint64_t page = OF_EVERYONE; page < PAGES && good; page += OF_EVERYONE * 16)
		good = is_shared(&snapshot, page) && !is_shared(&snapshot, page - 1);
	page_range_snapshot_finish(&snapshot);
	return good;
}

static void *read_map(void *arg)
{
	_Atomic bool *failed = arg;
	uint32_t random = 77;
	uint64_t generation = 0;

	for (unsigned step = 0; atomic_load(&writing) && !*failed; step++) {
		uint64_t page = next(&random) % (PAGES / OF_EVERYONE) * OF_EVERYONE,
		         now = page_range_map_generation(map);

		if (!page_range_map_is(map, page, page + 1, true) ||
		        !page_range_map_is(map, page + OF_EVERYONE - 1, page + OF_EVERYONE, false) ||
		        now < generation || (step % 64 == 0 && !look_at_all()))
			*failed = true;
		generation = now;
	}
	return NULL;
}

/* The map is what the writers have made of it. */
static void compare(const struct writer *writers)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		unsigned turn = page % OF_EVERYONE;
		bool shared = turn == 0 || (turn < 7 && writers[(turn - 1) % WRITERS].shared[page]);

		assert_true(page_range_map_is(map, page, page + 1, shared));
	}
}

static void test_range_threads_each_sees_its_own_pages_and_readers_whole_maps(void **state)
{
	static struct writer writers[WRITERS];
	static _Atomic bool failed[READERS];
	pthread_t readers[READERS];

	assert_ok(page_range_map_create(UINT64_C(1) << 34, RANGES_MAX, &map, &err));
	for (uint64_t page = 0; page < PAGES; page += OF_EVERYONE)
		assert_true(set(page, page + 1, true));
	writing = WRITERS;
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_map, &failed[i]), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_map, &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		assert_false(writers[i].failed);
	}
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i], NULL), 0);
		assert_false(failed[i]);
	}
	compare(writers);
	page_range_map_destroy(map);
}

/* ---- at the bound ---- */

#define TIGHT_MAX   500u
#define WANTED      (TIGHT_MAX + 1) /* so that even one filler alone is refused */
#define ROUNDS      20u
#define FILLER_AREA (UINT64_C(1) << 20)

struct filler {
	unsigned number, refused;
	bool failed;
	pthread_t thread;
};

/* Shares every second page of its own area, and takes back what it got. */
static bool fill_and_empty(struct filler *filler)
{
	uint64_t start = filler->number * FILLER_AREA;
	enum page_range_verdict verdict;
	bool got[WANTED], good = true;

	for (unsigned i = 0; i < WANTED; i++) {
		uint64_t page = start + 2 * i;

		verdict = page_range_map_set(map, page, page + 1, true);
		got[i] = verdict == PAGE_RANGE_CHANGED;
		filler->refused += verdict == PAGE_RANGE_FULL;
		good &= got[i] || verdict == PAGE_RANGE_FULL;
	}
	for (unsigned i = 0; i < WANTED; i++) {
		uint64_t page = start + 2 * i;

		good &= page_range_map_is(map, page, page + 1, got[i]);
		verdict = page_range_map_set(map, page, page + 1, false);
		good &= verdict == (got[i] ? PAGE_RANGE_CHANGED : PAGE_RANGE_SAME);
	}
	return good;
}

static void *run_filler(void *arg)
{
	struct filler *filler = arg;

	for (unsigned round = 0; round < ROUNDS && !filler->failed; round++)
		filler->failed = !fill_and_empty(filler);
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

static void *watch_bound(void *arg)
{
	_Atomic bool *failed = arg;
	struct page_range_snapshot snapshot;

	while (atomic_load(&writing)) {
		if (page_range_map_snapshot(map, &snapshot, NULL) < 0) {
			*failed = true;
			break;
		}
		if (!is_in_order(&snapshot) || (snapshot.exact && snapshot.count > TIGHT_MAX))
			*failed = true;
		page_range_snapshot_finish(&snapshot);
	}
	return NULL;
}

/* Nothing of the bound was lost or won: exactly so many ranges are taken as at the start. */
static void fill_to_the_bound(void)
{
	uint64_t ranges, pages;

	for (unsigned i = 0; i < TIGHT_MAX; i++)
		assert_int_equal(page_range_map_set(map, 2 * i, 2 * i + 1, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 2 * TIGHT_MAX, 2 * TIGHT_MAX + 1, true), PAGE_RANGE_FULL);
	page_range_map_count(map, &ranges, &pages);
	assert_int_equal(ranges, TIGHT_MAX);
	assert_int_equal(pages, TIGHT_MAX);
}

static void test_range_threads_share_one_bound_and_keep_it(void **state)
{
	static struct filler fillers[WRITERS];
	static _Atomic bool failed;
	pthread_t watcher;

	assert_ok(page_range_map_create(WRITERS * FILLER_AREA, TIGHT_MAX, &map, &err));
	writing = WRITERS;
	assert_int_equal(pthread_create(&watcher, NULL, watch_bound, &failed), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		fillers[i].number = i;
		assert_int_equal(pthread_create(&fillers[i].thread, NULL, run_filler, &fillers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(fillers[i].thread, NULL), 0);
		assert_false(fillers[i].failed);
		assert_true(fillers[i].refused >= ROUNDS);
	}
	assert_int_equal(pthread_join(watcher, NULL), 0);
	assert_false(failed);
	fill_to_the_bound();
	page_range_map_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_range_threads_each_sees_its_own_pages_and_readers_whole_maps),
	        cmocka_unit_test(test_range_threads_share_one_bound_and_keep_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
