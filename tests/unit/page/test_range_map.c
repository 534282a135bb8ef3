/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of shared pages against a bitmap: each answer, each refusal, and the map as a whole. With an
 * argument: so many random operations instead of the usual number.
 */
#include <inttypes.h>

#include "support/test.h"
#include "vmm/page/range_map.h"

#define WINDOW (UINT64_C(1) << 31) /* where ranges are cut: 8 TiB */

static struct err err;
static uint64_t operations = 200000;

/* ---- edges ---- */

static struct page_range_map *make(uint64_t pages, uint32_t ranges_max)
{
	struct page_range_map *map;

	assert_ok(page_range_map_create(pages, ranges_max, &map, &err));
	return map;
}

static void assert_ranges(struct page_range_map *map, const struct page_range *ranges, size_t count)
{
	struct page_range_snapshot snapshot;

	assert_ok(page_range_map_snapshot(map, &snapshot, &err));
	assert_int_equal(snapshot.count, count);
	assert_true(snapshot.exact);
	if (count)
		assert_memory_equal(snapshot.ranges, ranges, count * sizeof(*ranges));
	page_range_snapshot_finish(&snapshot);
}
#define assert_map(map, ...) \
	do { \
		const struct page_range ranges_[] = {__VA_ARGS__}; \
		assert_ranges((map), ranges_, ARRAY_LEN(ranges_)); \
	} while (0)

static void test_range_map_empty_all_is_private(void **state)
{
	struct page_range_map *map = make(1000, 10);
	uint64_t ranges, pages;

	assert_ranges(map, NULL, 0);
	assert_true(page_range_map_is(map, 0, 1000, false));
	assert_false(page_range_map_is(map, 999, 1000, true));
	page_range_map_count(map, &ranges, &pages);
	assert_int_equal(ranges, 0);
	assert_int_equal(pages, 0);
	page_range_map_destroy(map);
	page_range_map_destroy(NULL);
}

static void test_range_map_ranges_that_touch_become_one(void **state)
{
	struct page_range_map *map = make(1000, 10);

	assert_int_equal(page_range_map_set(map, 10, 20, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 30, 40, true), PAGE_RANGE_CHANGED);
	assert_map(map, {10, 20}, {30, 40});
	assert_int_equal(page_range_map_set(map, 20, 30, true), PAGE_RANGE_CHANGED);
	assert_map(map, {10, 40});
	assert_int_equal(page_range_map_set(map, 40, 41, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 9, 10, true), PAGE_RANGE_CHANGED);
	assert_map(map, {9, 41});
	assert_int_equal(page_range_map_set(map, 0, 1000, true), PAGE_RANGE_CHANGED);
	assert_map(map, {0, 1000});
	page_range_map_destroy(map);
}

static void test_range_map_a_hole_makes_two_of_one(void **state)
{
	struct page_range_map *map = make(1000, 10);

	assert_int_equal(page_range_map_set(map, 10, 20, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 15, 16, false), PAGE_RANGE_CHANGED);
	assert_map(map, {10, 15}, {16, 20});
	assert_int_equal(page_range_map_set(map, 0, 11, false), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 19, 1000, false), PAGE_RANGE_CHANGED);
	assert_map(map, {11, 15}, {16, 19});
	assert_int_equal(page_range_map_set(map, 0, 1000, false), PAGE_RANGE_CHANGED);
	assert_ranges(map, NULL, 0);
	page_range_map_destroy(map);
}

static void test_range_map_what_is_so_already_changes_nothing(void **state)
{
	struct page_range_map *map = make(3 * WINDOW, 10);
	uint64_t generation;

	assert_int_equal(page_range_map_set(map, 10, 20, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, WINDOW - 5, 2 * WINDOW + 5, true), PAGE_RANGE_CHANGED);
	generation = page_range_map_generation(map);
	assert_int_equal(page_range_map_set(map, 10, 20, true), PAGE_RANGE_SAME);
	assert_int_equal(page_range_map_set(map, 12, 13, true), PAGE_RANGE_SAME);
	assert_int_equal(page_range_map_set(map, 0, 10, false), PAGE_RANGE_SAME);
	assert_int_equal(page_range_map_set(map, 20, WINDOW - 5, false), PAGE_RANGE_SAME);
	assert_int_equal(page_range_map_set(map, WINDOW - 1, 2 * WINDOW + 1, true), PAGE_RANGE_SAME);
	assert_int_equal(page_range_map_generation(map), generation);
	assert_int_equal(page_range_map_set(map, 19, 20, false), PAGE_RANGE_CHANGED);
	assert_true(page_range_map_generation(map) > generation);
	page_range_map_destroy(map);
}

static void test_range_map_impossible_ranges_are_outside(void **state)
{
	struct page_range_map *map = make(1000, 10);

	assert_int_equal(page_range_map_set(map, 5, 5, true), PAGE_RANGE_OUTSIDE);
	assert_int_equal(page_range_map_set(map, 6, 5, true), PAGE_RANGE_OUTSIDE);
	assert_int_equal(page_range_map_set(map, 999, 1001, true), PAGE_RANGE_OUTSIDE);
	assert_int_equal(page_range_map_set(map, UINT64_MAX, 0, false), PAGE_RANGE_OUTSIDE);
	assert_int_equal(page_range_map_set(map, 0, UINT64_MAX, false), PAGE_RANGE_OUTSIDE);
	assert_int_equal(page_range_map_set(map, 999, 1000, true), PAGE_RANGE_CHANGED);
	assert_true(page_range_map_is(map, 999, 1000, true));
	assert_false(page_range_map_is(map, 999, 1001, true));
	assert_false(page_range_map_is(map, 999, UINT64_MAX, false));
	assert_true(page_range_map_is(map, 1000, UINT64_MAX, false));
	page_range_map_destroy(map);
}

static void test_range_map_sizes_out_of_bounds_are_refused(void **state)
{
	struct page_range_map *map = NULL;

	assert_fails(page_range_map_create(0, 1, &map, &err), ERR_USAGE, "impossible");
	assert_fails(page_range_map_create(1, 0, &map, &err), ERR_USAGE, "impossible");
	assert_fails(
	        page_range_map_create(PAGE_RANGE_MAP_PAGES_MAX + 1, 1, &map, &err), ERR_USAGE, "impossible");
	assert_fails(
	        page_range_map_create(1, PAGE_RANGE_MAP_RANGES_MAX + 1, &map, &err), ERR_USAGE, "impossible");
	assert_null(map);
}

static void test_range_map_across_8_tib_is_told_as_one_and_counts_as_two(void **state)
{
	struct page_range_map *map = make(UINT64_C(1) << 34, 3);

	assert_int_equal(page_range_map_set(map, WINDOW - 1, WINDOW + 1, true), PAGE_RANGE_CHANGED);
	assert_map(map, {WINDOW - 1, WINDOW + 1});
	assert_int_equal(page_range_map_set(map, 3 * WINDOW - 1, 3 * WINDOW + 1, true), PAGE_RANGE_FULL);
	assert_map(map, {WINDOW - 1, WINDOW + 1});
	assert_int_equal(page_range_map_set(map, 3 * WINDOW - 1, 3 * WINDOW, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 0, UINT64_C(1) << 34, false), PAGE_RANGE_CHANGED);
	assert_ranges(map, NULL, 0);
	page_range_map_destroy(map);
}

static void test_range_map_bound_is_exact_and_left_again(void **state)
{
	struct page_range_map *map = make(1 << 20, 1000);
	uint64_t ranges, pages;

	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(page_range_map_set(map, 7 * i, 7 * i + 3, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 8000, 8001, true), PAGE_RANGE_FULL);
	assert_int_equal(page_range_map_set(map, 1, 2, false), PAGE_RANGE_FULL);
	page_range_map_count(map, &ranges, &pages);
	assert_int_equal(ranges, 1000);
	assert_int_equal(pages, 3000);
	/* What needs no more ranges is taken, and what one block gives up another may have. */
	assert_int_equal(page_range_map_set(map, 3, 4, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 0, 4, false), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 8000, 8001, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 8003, 8004, true), PAGE_RANGE_FULL);
	assert_true(page_range_map_is_complete(map, NULL));
	page_range_map_destroy(map);
}

static void test_range_map_doubt_is_told_with_all_its_ranges(void **state)
{
	struct page_range_map *map = make(1 << 20, 1000);
	struct page_range doubt = {0};

	assert_true(page_range_map_is_complete(map, &doubt));
	page_range_map_doubt(map, 500, 510);
	assert_false(page_range_map_is_complete(map, NULL));
	page_range_map_doubt(map, 70, 80);
	page_range_map_doubt(map, 505, 520);
	assert_false(page_range_map_is_complete(map, &doubt));
	assert_int_equal(doubt.first, 70);
	assert_int_equal(doubt.end, 520);
	page_range_map_destroy(map);
}

/* Thin blocks everywhere: the worst that a guest can do to the memory of the map. */
static void test_range_map_memory_stays_within_its_bound(void **state)
{
	const uint32_t max = 20000;
	struct page_range_map *map = make(UINT64_C(1) << 28, max);
	struct page_range range;

	for (uint64_t round = 0; round < 30; round++) {
		uint64_t start = round << 21, wanted = 0, ranges, pages;

		for (uint64_t i = 0;
		        page_range_map_set(map, start + 2 * i, start + 2 * i + 1, true) != PAGE_RANGE_FULL;
		        i++)
			assert_true(i < max);
		page_range_map_count(map, &ranges, &pages);
		assert_int_equal(ranges, max);
		for (uint64_t at = 0; page_range_map_get(map, at, UINT64_MAX, &range, 1); at = range.end + 1)
			if (wanted++ % 20)
				assert_int_equal(page_range_map_set(map, range.first, range.end, false),
				        PAGE_RANGE_CHANGED);
	}
	assert_true(page_range_map_bytes(map) <= 24 * (uint64_t)max);
	page_range_map_destroy(map);
}

static void test_range_map_get_cuts_at_both_ends_and_goes_on(void **state)
{
	struct page_range_map *map = make(1000, 10);
	struct page_range got[2];

	assert_int_equal(page_range_map_set(map, 10, 20, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 30, 40, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, 50, 60, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_get(map, 15, 35, got, 2), 2);
	assert_memory_equal(got, ((struct page_range[]){{15, 20}, {30, 35}}), sizeof(got));
	assert_int_equal(page_range_map_get(map, got[1].end + 1, 55, got, 2), 2);
	assert_memory_equal(got, ((struct page_range[]){{36, 40}, {50, 55}}), sizeof(got));
	assert_int_equal(page_range_map_get(map, 20, 30, got, 2), 0);
	assert_int_equal(page_range_map_get(map, 60, UINT64_MAX, got, 2), 0);
	assert_int_equal(page_range_map_get(map, 7, 3, got, 2), 0);
	assert_int_equal(page_range_map_get(map, 0, 1000, got, 0), 0);
	page_range_map_destroy(map);
}

/* ---- random operations, and a bitmap that has the same done to it ---- */

/* Some places of 4096 frames each, with the bitmap's bits of them; elsewhere all is private. */
#define SPOT_PAGES 4096u
struct spot {
	uint64_t at;
	bool bits[SPOT_PAGES];
};

struct random {
	uint64_t state;
};

static uint64_t next(struct random *random, uint64_t limit)
{
	uint64_t x = random->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random->state = x;
	return (x >> 11) % limit;
}

struct model {
	struct page_range_map *map;
	struct spot spots[8];
	uint64_t ranges, ranges_max, refused;
};

/* How many ranges begin at frames [first, end] of a spot, towards the bound. */
static uint64_t beginnings(const struct spot *spot, uint64_t first, uint64_t end)
{
	uint64_t count = 0;

	for (uint64_t i = first; i <= end && i < SPOT_PAGES; i++)
		count += spot->bits[i] && (!i || !spot->bits[i - 1] || (spot->at + i) % WINDOW == 0);
	return count;
}

static bool is_all(const bool *bits, uint64_t count, bool shared)
{
	for (uint64_t i = 0; i < count; i++)
		if (bits[i] != shared)
			return false;
	return true;
}

/* Does the same to both, and compares what they say about it. */
static void change_both(struct model *m, struct spot *spot, uint64_t first, uint64_t end, bool shared)
{
	enum page_range_verdict verdict = PAGE_RANGE_CHANGED;
	uint64_t before = beginnings(spot, first, end), after;
	bool old[SPOT_PAGES];

	memcpy(old, spot->bits + first, end - first);
	memset(spot->bits + first, shared, end - first);
	after = m->ranges - before + beginnings(spot, first, end);
	if (is_all(old, end - first, shared)) {
		verdict = PAGE_RANGE_SAME;
	} else if (after > m->ranges_max && after > m->ranges) {
		verdict = PAGE_RANGE_FULL;
		memcpy(spot->bits + first, old, end - first);
		m->refused++;
	} else {
		m->ranges = after;
	}
	assert_int_equal(page_range_map_set(m->map, spot->at + first, spot->at + end, shared), verdict);
}

static void ask_both(struct model *m, struct spot *spot, uint64_t first, uint64_t end, bool shared)
{
	assert_int_equal(page_range_map_is(m->map, spot->at + first, spot->at + end, shared),
	        is_all(spot->bits + first, end - first, shared));
}

/* The whole map against the whole bitmap. The spots are in order. */
static void compare_all(struct model *m)
{
	struct page_range_snapshot snapshot;
	size_t seen = 0;

	assert_ok(page_range_map_snapshot(m->map, &snapshot, &err));
	for (size_t i = 0; i < ARRAY_LEN(m->spots); i++) {
		const struct spot *spot = &m->spots[i];

		for (uint64_t at = 0, end; at < SPOT_PAGES; at = end) {
			end = at + 1;
			while (end < SPOT_PAGES && spot->bits[end] == spot->bits[at])
				end++;
			if (!spot->bits[at])
				continue;
			assert_true(seen < snapshot.count);
			assert_int_equal(snapshot.ranges[seen].first, spot->at + at);
			assert_int_equal(snapshot.ranges[seen++].end, spot->at + end);
		}
	}
	assert_int_equal(seen, snapshot.count);
	page_range_snapshot_finish(&snapshot);
}

/* Single pages mostly, as drivers do; sometimes a long run, and seldom everything. */
static void step(struct model *m, struct random *random)
{
	struct spot *spot = &m->spots[next(random, ARRAY_LEN(m->spots))];
	uint64_t first = next(random, SPOT_PAGES), longest = SPOT_PAGES - first, size = 1;
	bool shared = next(random, 2);

	if (next(random, 40) == 0)
		size = 1 + next(random, longest < 300 ? longest : 300);
	if (next(random, 10000) == 0)
		size = 1 + next(random, longest);
	if (next(random, 4) == 0)
		ask_both(m, spot, first, first + size, shared);
	else
		change_both(m, spot, first, first + size, shared);
}

/* Everything at once, over all windows. */
static void clear_both(struct model *m, uint64_t pages)
{
	enum page_range_verdict verdict = page_range_map_set(m->map, 0, pages, false);

	assert_int_equal(verdict, m->ranges ? PAGE_RANGE_CHANGED : PAGE_RANGE_SAME);
	m->ranges = 0;
	for (size_t i = 0; i < ARRAY_LEN(m->spots); i++)
		memset(m->spots[i].bits, 0, SPOT_PAGES);
}

static void run_model(uint64_t pages, uint32_t ranges_max, uint64_t seed, bool expect_refusals)
{
	static struct model m;
	struct random random = {seed};

	m = (struct model){.map = make(pages, ranges_max), .ranges_max = ranges_max};
	for (size_t i = 0; i < ARRAY_LEN(m.spots); i++) {
		m.spots[i].at = pages / ARRAY_LEN(m.spots) * i;
		if (m.spots[i].at % WINDOW == 0 && i)
			m.spots[i].at -= SPOT_PAGES / 2; /* the cut is in the middle of it */
	}
	for (uint64_t i = 0; i < operations / 4; i++) {
		step(&m, &random);
		if (i % 20000 == 0)
			compare_all(&m);
		if (i % 60000 == 59999)
			clear_both(&m, pages);
	}
	compare_all(&m);
	assert_int_equal(m.refused > 0, expect_refusals);
	page_range_map_destroy(m.map);
}

/* 2^40 bytes are 2^28 frames; the second is 2^48 bytes, which have 32 cuts. */
static void test_range_map_random_operations_are_those_of_a_bitmap(void **state)
{
	run_model(UINT64_C(1) << 28, 65536, 0x9e3779b97f4a7c15, false);
	run_model(UINT64_C(1) << 36, 65536, 0xd1b54a32d192ed03, false);
}

static void test_range_map_random_operations_at_the_bound_are_those_of_a_bitmap(void **state)
{
	run_model(UINT64_C(1) << 28, 1500, 0x2545f4914f6cdd1d, true);
	run_model(UINT64_C(1) << 36, 40, 0x123456789abcdef1, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_range_map_empty_all_is_private),
	        cmocka_unit_test(test_range_map_ranges_that_touch_become_one),
	        cmocka_unit_test(test_range_map_a_hole_makes_two_of_one),
	        cmocka_unit_test(test_range_map_what_is_so_already_changes_nothing),
	        cmocka_unit_test(test_range_map_impossible_ranges_are_outside),
	        cmocka_unit_test(test_range_map_sizes_out_of_bounds_are_refused),
	        cmocka_unit_test(test_range_map_across_8_tib_is_told_as_one_and_counts_as_two),
	        cmocka_unit_test(test_range_map_bound_is_exact_and_left_again),
	        cmocka_unit_test(test_range_map_doubt_is_told_with_all_its_ranges),
	        cmocka_unit_test(test_range_map_memory_stays_within_its_bound),
	        cmocka_unit_test(test_range_map_get_cuts_at_both_ends_and_goes_on),
	        cmocka_unit_test(test_range_map_random_operations_are_those_of_a_bitmap),
	        cmocka_unit_test(test_range_map_random_operations_at_the_bound_are_those_of_a_bitmap),
	};

	if (argc == 2)
		operations = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
