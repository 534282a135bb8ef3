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
	if (page_range_form_read(data + 1, size - 1, pages, ranges_max, &map, &err) == 0)
		check(map, pages, ranges_max, data + 1, size - 1);
	else
		fuzz_assert(!map && err.text[0]);
	page_range_map_destroy(map);
	return 0;
}
