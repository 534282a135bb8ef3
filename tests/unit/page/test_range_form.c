/* SPDX-License-Identifier: Apache-2.0 */
/* The map of shared pages as bytes: it comes back as it was, and what a hostile peer sends makes no map. */
#include "support/test.h"
#include "vmm/page/range_map.h"

#define PAGES (UINT64_C(1) << 34)

static struct err err;

/* Writes a map's form and ends the map. */
static void form_of(struct page_range_map *map, uint8_t **ret_data, size_t *ret_size)
{
	struct page_range_snapshot snapshot;

	assert_ok(page_range_map_snapshot(map, &snapshot, &err));
	assert_ok(page_range_form_make(&snapshot, ret_data, ret_size, &err));
	assert_true(*ret_size <= PAGE_RANGE_FORM_MAX_BYTES(snapshot.count));
	page_range_snapshot_finish(&snapshot);
	page_range_map_destroy(map);
}

static void test_range_form_comes_back_the_same(void **state)
{
	auto_free uint8_t *data = NULL, *again = NULL;
	struct page_range_map *map;
	struct page_range doubt;
	uint64_t ranges, pages;
	size_t size, again_size;

	assert_ok(page_range_map_create(PAGES, 3000, &map, &err));
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(
		        page_range_map_set(map, 1000 * i, 1000 * i + i + 1, true), PAGE_RANGE_CHANGED);
	assert_int_equal(page_range_map_set(map, PAGES / 2 - 1, PAGES, true), PAGE_RANGE_CHANGED);
	page_range_map_doubt(map, 7, PAGES);
	form_of(map, &data, &size);

	assert_ok(page_range_form_read(data, size, PAGES, 3000, &map, &err));
	assert_false(page_range_map_is_complete(map, &doubt));
	assert_int_equal(doubt.first, 7);
	assert_int_equal(doubt.end, PAGES);
	page_range_map_count(map, &ranges, &pages);
	assert_int_equal(ranges, 1001);
	assert_int_equal(pages, 1000 * 1001 / 2 + PAGES / 2 + 1);
	form_of(map, &again, &again_size);
	assert_int_equal(again_size, size);
	assert_memory_equal(again, data, size);
}

static void test_range_form_is_compact(void **state)
{
	auto_free uint8_t *data = NULL;
	struct page_range_map *map;
	size_t size;

	assert_ok(page_range_map_create(1 << 18, 100, &map, &err));
	for (uint64_t i = 0; i < 60; i++)
		assert_int_equal(page_range_map_set(map, 4000 * i, 4000 * i + 100, true), PAGE_RANGE_CHANGED);
	form_of(map, &data, &size);
	assert_true(size <= 12 + 60 * 3);
}

#define HEAD       "VMPR\1\0\0\0"
#define FORM(text) (const uint8_t *)(text), sizeof(text) - 1

static void test_range_form_smallest_forms_are_read(void **state)
{
	struct page_range_map *map;

	assert_ok(page_range_form_read(FORM(HEAD "\0\0\0\0"), 1000, 10, &map, &err));
	assert_true(page_range_map_is(map, 0, 1000, false));
	assert_true(page_range_map_is_complete(map, NULL));
	page_range_map_destroy(map);
	assert_ok(page_range_form_read(FORM(HEAD "\2\0\0\0"
	                                         "\0\1"
	                                         "\xf3\x01\x01"),
	        1000, 10, &map, &err));
	assert_true(page_range_map_is(map, 0, 1, true));
	assert_true(page_range_map_is(map, 1, 244, false));
	assert_true(page_range_map_is(map, 244, 245, true));
	assert_true(page_range_map_is(map, 245, 1000, false));
	page_range_map_destroy(map);
}

static void test_range_form_what_is_not_one_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *why;
	} cases[] = {
#define CASE(text, why) {text, sizeof(text) - 1, why}
	        CASE("", "no list"), CASE("VMPR\1\0\0\0\0\0\0", "no list"),
	        CASE("VMPS\1\0\0\0\0\0\0\0", "no list"), CASE("VMPR\2\0\0\0\0\0\0\0", "version 2"),
	        CASE("VMPR\1\2\0\0\0\0\0\0", "version"), CASE("VMPR\1\0\1\0\0\0\0\0", "version"),
	        CASE(HEAD "\0\0\0\0\0", "damaged"),                         /* one byte more */
	        CASE(HEAD "\1\0\0\0", "damaged"),                           /* no range */
	        CASE(HEAD "\1\0\0\0\5", "damaged"),                         /* half a range */
	        CASE(HEAD "\1\0\0\0\5\0", "damaged"),                       /* an empty range */
	        CASE(HEAD "\1\0\0\0\x85\0\1", "damaged"),                   /* a number with a useless byte */
	        CASE(HEAD "\2\0\0\0\5\1\0\1", "damaged"),                   /* two that touch */
	        CASE(HEAD "\1\0\0\0\0\xe9\x07", "damaged"),                 /* 1001 frames of 1000 */
	        CASE(HEAD "\1\0\0\0\xe7\x07\2", "damaged"),                 /* over the end */
	        CASE(HEAD "\1\0\0\0\xff\xff\xff\xff\xff\x7f\1", "damaged"), /* 2^42 - 1 */
	        CASE(HEAD "\1\0\0\0\xff\xff\xff\xff\xff\xff\1\1", "damaged"), /* seven bytes */
	        CASE(HEAD "\xb\0\0\0", "more than 10 ranges"),
	        CASE(HEAD "\xff\xff\xff\xff", "more than 10 ranges"),
	        CASE("VMPR\1\1\0\0\0\0\0\0", "damaged"),           /* no doubt, though the flag says so */
	        CASE("VMPR\1\1\0\0\0\0\0\0\xe7\x07\2", "damaged"), /* a doubt over the end */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct page_range_map *map = NULL;
		auto_free uint8_t *exactly = malloc(cases[i].size + 1);

		memcpy(exactly, cases[i].bytes, cases[i].size);
		assert_fails(page_range_form_read(exactly, cases[i].size, 1000, 10, &map, &err), ERR_FAILED,
		        cases[i].why);
		assert_null(map);
	}
}

/* A range across the cut at 8 TiB takes two of the map's. */
static void test_range_form_that_does_not_fit_is_refused(void **state)
{
	static const uint8_t form[] = HEAD "\1\0\0\0"
	                                   "\xff\xff\xff\xff\x07"
	                                   "\2";
	struct page_range_map *map = NULL;

	assert_fails(page_range_form_read(form, sizeof(form) - 1, PAGES, 1, &map, &err), ERR_FAILED,
	        "more than 1 ranges");
	assert_null(map);
	assert_ok(page_range_form_read(form, sizeof(form) - 1, PAGES, 2, &map, &err));
	assert_true(page_range_map_is(map, PAGES / 8 - 1, PAGES / 8 + 1, true));
	page_range_map_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_range_form_comes_back_the_same),
	        cmocka_unit_test(test_range_form_is_compact),
	        cmocka_unit_test(test_range_form_smallest_forms_are_read),
	        cmocka_unit_test(test_range_form_what_is_not_one_is_refused),
	        cmocka_unit_test(test_range_form_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
