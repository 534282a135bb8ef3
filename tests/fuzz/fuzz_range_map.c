/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_range_map: any changes of a map of shared pages. The map is what a bitmap is to which the same was
 * done, refuses what a bitmap says is too much, and comes back from its form. Input: the bound and the place
 * of the pages, then records of four bytes: where, how long, and what.
 */
#include "input.h"
#include "vmm/page/range_map.h"

#define PAGES     1024u /* that are used; the map has more before and behind them */
#define MAP_PAGES (UINT64_C(1) << 33)
#define WINDOW    (UINT64_C(1) << 31) /* where ranges are cut */

static struct {
	struct page_range_map *map;
	uint64_t at; /* of the first page */
	bool bits[PAGES];
	uint64_t ranges, ranges_max;
} f;

/* How many ranges begin at frames [first, end], towards the bound. */
static uint64_t beginnings(unsigned first, unsigned end)
{
	uint64_t count = 0;

	for (unsigned page = first; page <= end && page < PAGES; page++)
		count += f.bits[page] && (!page || !f.bits[page - 1] || (f.at + page) % WINDOW == 0);
	return count;
}

static bool is_all(unsigned first, unsigned end, bool shared)
{
	while (first < end && f.bits[first] == shared)
		first++;
	return first == end;
}

static void change(unsigned first, unsigned end, bool shared)
{
	enum page_range_verdict expected = PAGE_RANGE_CHANGED, verdict;
	uint64_t more;
	bool old[PAGES];

	if (first >= end) {
		expected = PAGE_RANGE_OUTSIDE;
	} else if (is_all(first, end, shared)) {
		expected = PAGE_RANGE_SAME;
	} else {
		memcpy(old, f.bits + first, end - first);
		more = -beginnings(first, end);
		memset(f.bits + first, shared, end - first);
		more += beginnings(first, end);
		if ((int64_t)more > 0 && f.ranges + more > f.ranges_max) {
			expected = PAGE_RANGE_FULL;
			memcpy(f.bits + first, old, end - first);
		} else {
			f.ranges += more;
		}
	}
	verdict = page_range_map_set(f.map, f.at + first, f.at + end, shared);
	fuzz_assert(verdict == expected);
}

static void compare(struct page_range_map *map)
{
	struct page_range_snapshot s;
	struct err err;
	size_t n = 0;

	fuzz_assert(page_range_map_snapshot(map, &s, &err) == 0 && s.exact);
	for (unsigned page = 0, end; page < PAGES; page = end) {
		for (end = page + 1; end < PAGES && f.bits[end] == f.bits[page];)
			end++;
		fuzz_assert(page_range_map_is(map, f.at + page, f.at + end, f.bits[page]));
		if (!f.bits[page])
			continue;
		fuzz_assert(n < s.count && s.ranges[n].first == f.at + page && s.ranges[n].end == f.at + end);
		n++;
	}
	fuzz_assert(n == s.count);
	page_range_snapshot_finish(&s);
}

static void compare_form(void)
{
	struct page_range_map *again;
	struct page_range_snapshot s;
	struct err err;
	uint8_t *data;
	size_t size;

	fuzz_assert(page_range_map_snapshot(f.map, &s, &err) == 0);
	fuzz_assert(page_range_form_make(&s, &data, &size, &err) == 0);
	fuzz_assert(size <= PAGE_RANGE_FORM_MAX_BYTES(s.count));
	fuzz_assert(page_range_form_read(data, size, MAP_PAGES, (uint32_t)f.ranges_max, &again, &err) == 0);
	compare(again);
	page_range_map_destroy(again);
	page_range_snapshot_finish(&s);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;

	input.data = data;
	input.size = size;
	memset(f.bits, 0, sizeof(f.bits));
	f.ranges = 0;
	f.ranges_max = 1 + 2u * take8();
	f.at = take8() * (WINDOW / 64) + 5;
	if (f.at > WINDOW)
		f.at = WINDOW - PAGES / 2;
	fuzz_assert(page_range_map_create(MAP_PAGES, (uint32_t)f.ranges_max, &f.map, &err) == 0);
	while (input.size) {
		uint8_t what = take8();
		unsigned first = take8() | (what & 3u) << 8, end;
		end = first + take8() * (what & 0x30 ? 1 : 4);
		change(first, end < PAGES ? end : PAGES, what >> 7);
	}
	compare(f.map);
	compare_form();
	page_range_map_destroy(f.map);
	return 0;
}
