/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of shared pages against a sorted list of ranges, to which the same is done in the plainest way:
 * changes anywhere in 2^40 bytes, of one page up to all of them, that mostly begin or end where a range does.
 * With an argument: so many random operations instead of the usual number.
 */
#include "support/test.h"
#include "vmm/page/range_map.h"

#define PAGES      (UINT64_C(1) << 28) /* 2^40 bytes */
#define RANGES_MAX 20000u

static struct err err;
static uint64_t operations = 200000;

/* ---- the list ---- */

static struct {
	struct page_range ranges[RANGES_MAX + 2];
	size_t count;
} list;

/* The first range that ends at this frame or behind it. */
static size_t list_find(uint64_t frame)
{
	size_t low = 0, high = list.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (list.ranges[middle].end < frame)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool list_is(uint64_t first, uint64_t end, bool shared)
{
	size_t i = list_find(first + 1);
	const struct page_range *range = &list.ranges[i];

	if (shared)
		return i < list.count && range->first <= first && end <= range->end;
	return i == list.count || end <= range->first;
}

/* Puts up to two ranges in the place of those from `from` to `to`. */
static void list_replace(size_t from, size_t to, const struct page_range *ranges, size_t count)
{
	memmove(&list.ranges[from + count], &list.ranges[to], (list.count - to) * sizeof(*ranges));
	memcpy(&list.ranges[from], ranges, count * sizeof(*ranges));
	list.count += count;
	list.count -= to - from;
}

static enum page_range_verdict list_set(uint64_t first, uint64_t end, bool shared, size_t max)
{
	struct page_range made[2];
	size_t from = list_find(shared ? first : first + 1), to = from, count = 0;

	if (list_is(first, end, shared))
		return PAGE_RANGE_SAME;
	while (to < list.count && (shared ? list.ranges[to].first <= end : list.ranges[to].first < end))
		to++;
	if (shared) {
		made[0] = (struct page_range){first, end};
		if (to > from && list.ranges[from].first < first)
			made[0].first = list.ranges[from].first;
		if (to > from && list.ranges[to - 1].end > end)
			made[0].end = list.ranges[to - 1].end;
		count = 1;
	} else {
		if (list.ranges[from].first < first)
			made[count++] = (struct page_range){list.ranges[from].first, first};
		if (list.ranges[to - 1].end > end)
			made[count++] = (struct page_range){end, list.ranges[to - 1].end};
	}
	if (count > to - from && list.count + count - (to - from) > max)
		return PAGE_RANGE_FULL;
	list_replace(from, to, made, count);
	return PAGE_RANGE_CHANGED;
}

/* ---- random operations ---- */

static uint64_t state;

static uint64_t next(uint64_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % limit;
}

/* Anywhere, or beside an edge of a range. */
static uint64_t choose_first(void)
{
	const struct page_range *range;
	uint64_t edge;

	if (!list.count || next(3) == 0)
		return next(PAGES);
	range = &list.ranges[next(list.count)];
	edge = (next(2) ? range->first : range->end) + next(5);
	edge = edge < 2 ? 0 : edge - 2;
	return edge < PAGES ? edge : PAGES - 1;
}

/* One page mostly, often a few hundred, seldom any number; sometimes up to the end of a range near by. */
static uint64_t choose_end(uint64_t first)
{
	unsigned bits = next(4) ? 0 : next(64) ? (unsigned)next(10) : (unsigned)next(29);
	uint64_t end = first + 1 + next(UINT64_C(1) << bits);
	size_t i = list_find(first + 1);

	if (next(4) == 0 && i < list.count)
		end = list.ranges[i].end > first ? list.ranges[i].end : end;
	return end < PAGES ? end : PAGES;
}

static void compare(struct page_range_map *map)
{
	struct page_range_snapshot snapshot;

	assert_ok(page_range_map_snapshot(map, &snapshot, &err));
	assert_int_equal(snapshot.count, list.count);
	assert_true(snapshot.exact);
	if (list.count)
		assert_memory_equal(snapshot.ranges, list.ranges, list.count * sizeof(list.ranges[0]));
	page_range_snapshot_finish(&snapshot);
}

/* What the map tells of a few ranges from some frame on. */
static void compare_some(struct page_range_map *map, uint64_t first)
{
	struct page_range got[4];
	size_t count = page_range_map_get(map, first, PAGES, got, ARRAY_LEN(got)), at = list_find(first + 1);

	assert_int_equal(count, list.count - at < ARRAY_LEN(got) ? list.count - at : ARRAY_LEN(got));
	for (size_t i = 0; i < count; i++) {
		uint64_t start = list.ranges[at + i].first;

		assert_int_equal(got[i].first, start > first ? start : first);
		assert_int_equal(got[i].end, list.ranges[at + i].end);
	}
}

static void run(uint32_t max, uint64_t seed, uint64_t count)
{
	struct page_range_map *map;
	uint64_t full = 0, changed = 0;
	size_t most = 0;

	state = seed;
	list.count = 0;
	assert_ok(page_range_map_create(PAGES, max, &map, &err));
	for (uint64_t i = 0; i < count; i++) {
		uint64_t first = choose_first(), end = choose_end(first);
		bool shared = next(2);
		enum page_range_verdict verdict;

		switch (next(8)) {
		case 0:
			assert_int_equal(
			        page_range_map_is(map, first, end, shared), list_is(first, end, shared));
			break;
		case 1: compare_some(map, first); break;
		default:
			verdict = list_set(first, end, shared, max);
			assert_int_equal(page_range_map_set(map, first, end, shared), verdict);
			full += verdict == PAGE_RANGE_FULL;
			changed += verdict == PAGE_RANGE_CHANGED;
			most = list.count > most ? list.count : most;
		}
		if (i % 50000 == 0)
			compare(map);
	}
	compare(map);
	page_range_map_destroy(map);
	print_message("%llu operations: %llu changes, %llu refused, up to %zu ranges of %u\n",
	        (unsigned long long)count, (unsigned long long)changed, (unsigned long long)full, most, max);
}

static void test_range_list_operations_anywhere_in_a_tebibyte(void **test_state)
{
	run(RANGES_MAX, 0x9e3779b97f4a7c15, operations);
}

static void test_range_list_operations_at_the_bound(void **test_state)
{
	run(400, 0x2545f4914f6cdd1d, operations);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_range_list_operations_anywhere_in_a_tebibyte),
	        cmocka_unit_test(test_range_list_operations_at_the_bound),
	};

	if (argc == 2)
		operations = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
