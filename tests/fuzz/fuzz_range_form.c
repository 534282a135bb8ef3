/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_range_form: bytes of a hostile peer as a map of shared pages. What is read is a map with ranges in
 * order within the bounds, and its form is these bytes again. Input: which bounds, and the bytes.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/page/range_map.h"

static void check(
        struct page_range_map *map, uint64_t pages, uint32_t ranges_max, const uint8_t *data, size_t size)
{
	struct page_range_snapshot s;
	struct page_range doubt;
	struct err err;
	uint8_t *again;
	size_t again_size;

	fuzz_assert(page_range_map_snapshot(map, &s, &err) == 0 && s.exact && s.count <= ranges_max);
	for (size_t i = 0; i < s.count; i++) {
		fuzz_assert(s.ranges[i].first < s.ranges[i].end && s.ranges[i].end <= pages);
		fuzz_assert(!i || s.ranges[i - 1].end < s.ranges[i].first);
	}
	if (!page_range_map_is_complete(map, &doubt))
		fuzz_assert(doubt.first < doubt.end && doubt.end <= pages);
	fuzz_assert(page_range_form_make(&s, &again, &again_size, &err) == 0);
	fuzz_assert(again_size == size && memcmp(again, data, size) == 0);
	page_range_snapshot_finish(&s);
	free(again);
}

/* A map that came from a peer goes on as any other: its bound is kept, and all of it can be taken back. */
static void use(struct page_range_map *map, uint64_t pages, uint32_t ranges_max)
{
	uint64_t before, after, shared;
	enum page_range_verdict verdict;

	page_range_map_count(map, &before, &shared);
	verdict = page_range_map_set(
	        map, pages / 2, pages / 2 + 1, page_range_map_is(map, pages / 2, pages / 2 + 1, false));
	page_range_map_count(map, &after, &shared);
	fuzz_assert(verdict == PAGE_RANGE_CHANGED || (verdict == PAGE_RANGE_FULL && before == after));
	fuzz_assert(after <= ranges_max);
	verdict = page_range_map_set(map, 0, pages, false);
	fuzz_assert(verdict == (after ? PAGE_RANGE_CHANGED : PAGE_RANGE_SAME));
	page_range_map_count(map, &after, &shared);
	fuzz_assert(!after && !shared && page_range_map_is(map, 0, pages, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page_range_map *map = NULL;
	uint64_t pages;
	uint32_t ranges_max;
	struct err err;

	if (!size)
		return 0;
	pages = UINT64_C(1) << data[0] % 41;
	ranges_max = 1u << data[0] / 41 * 3;
	if (page_range_form_read(data + 1, size - 1, pages, ranges_max, &map, &err) == 0) {
		check(map, pages, ranges_max, data + 1, size - 1);
		use(map, pages, ranges_max);
	} else {
		fuzz_assert(!map && err.text[0]);
	}
	page_range_map_destroy(map);
	return 0;
}
