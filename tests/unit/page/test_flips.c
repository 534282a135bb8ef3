/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what a guest converts most often: right for few ranges, bounded for many, told once for a
 * storm. */
#include <pthread.h>

#include "support/test.h"
#include "vmm/page/flips.h"

#define START   UINT64_C(5000000000)
#define SECOND  UINT64_C(1000000000)
#define STORM   1000u
#define THREADS 4u
#define STEPS   50000u

static struct page_flips *flips;
static struct page_flip found[PAGE_FLIPS_MAX];
static struct err err;

static int setup(void **state)
{
	assert_ok(page_flips_create(START, STORM, &flips, &err));
	return 0;
}

static int teardown(void **state)
{
	page_flips_destroy(take_ptr(&flips));
	return 0;
}

static bool note(uint64_t first, uint64_t pages, uint64_t ns)
{
	return page_flips_note(flips, first, pages, START + ns);
}

static void test_flips_are_counted_by_their_first_page(void **state)
{
	struct page_flip_totals totals;
	struct page_flip top;

	assert_false(page_flips_top(flips, &top));
	assert_int_equal(page_flips_get(flips, found), 0);
	assert_false(note(100, 1, 10));
	assert_false(note(200, 16, 20));
	assert_false(note(100, 2, 30));
	assert_false(note(101, 1, 40));
	assert_int_equal(page_flips_get(flips, found), 3);
	assert_int_equal(found[0].first, 100);
	assert_int_equal(found[0].pages, 2); /* of the last conversion */
	assert_int_equal(found[0].count, 2);
	assert_int_equal(found[0].last_ns, 30);
	assert_int_equal(found[1].first, 101); /* as often as the next one, and before it */
	assert_int_equal(found[2].first, 200);
	assert_int_equal(found[2].pages, 16);
	assert_true(page_flips_top(flips, &top));
	assert_memory_equal(&top, &found[0], sizeof(top));
	totals = page_flips_count(flips, START + 50);
	assert_int_equal(totals.conversions, 4);
	assert_int_equal(totals.flips, 1);
	assert_int_equal(totals.storms, 0);
}

static void test_flips_frame_0_and_the_highest_one_are_known(void **state)
{
	note(0, 1, 0);
	note(0, 1, 0);
	note((UINT64_C(1) << 40) - 1, 1, 0);
	assert_int_equal(page_flips_get(flips, found), 2);
	assert_int_equal(found[0].first, 0);
	assert_int_equal(found[0].count, 2);
	assert_int_equal(found[1].first, (UINT64_C(1) << 40) - 1);
}

/* A guest that converts each page once cannot push out what it converts all the time. */
static void test_flips_often_converted_range_stays_among_many(void **state)
{
	uint64_t other = 1000000;
	struct page_flip top;

	for (unsigned i = 0; i < 20000; i++) {
		note(77, 1, i);
		for (unsigned k = 0; k < 40; k++)
			note(other++, 1, i);
	}
	assert_int_equal(page_flips_get(flips, found), PAGE_FLIPS_MAX);
	assert_true(page_flips_top(flips, &top));
	assert_int_equal(top.first, 77);
	assert_int_equal(top.count, 20000);
	assert_int_equal(page_flips_count(flips, START).conversions, 20000 * 41);
	assert_int_equal(page_flips_count(flips, START).flips, 20000 - 1);
}

/* What was converted often long ago makes room in the end, and no count is ever higher than the truth. */
static void test_flips_new_favourites_come_in(void **state)
{
	struct page_flip top;

	for (unsigned i = 0; i < 300000; i++)
		note(i % 5000, 1, i);
	for (unsigned i = 0; i < 100000; i++)
		note(1000000 + i % 20, 1, i);
	page_flips_top(flips, &top);
	assert_true(top.first >= 1000000 && top.first < 1000020);
	assert_true(top.count <= 5000);
	assert_true(top.count >= 4900);
}

static void test_flips_rate_is_that_of_the_last_whole_seconds(void **state)
{
	assert_true(page_flips_count(flips, START).per_second == 0);
	for (uint64_t i = 0; i < 50; i++)
		note(i % 3, 1, i * SECOND / 10); /* for five seconds, ten a second */
	assert_true(page_flips_count(flips, START + 5 * SECOND).per_second == 10);
	assert_true(page_flips_count(flips, START + 5 * SECOND + SECOND / 2).per_second == 10);
	assert_true(page_flips_count(flips, START + 7 * SECOND).per_second == 6);
	assert_true(page_flips_count(flips, START + 3 * SECOND).per_second == 10);
	assert_true(page_flips_count(flips, START + 1000 * SECOND).per_second == 0);
	note(1, 1, 1000 * SECOND); /* the seconds of long ago are no longer counted */
	assert_true(page_flips_count(flips, START + 1001 * SECOND).per_second == 0.2);
	assert_true(page_flips_count(flips, START - 1).per_second == 0);
}

static unsigned storm_of(uint64_t conversions, uint64_t pages, uint64_t ns)
{
	unsigned told = 0;

	for (uint64_t i = 0; i < conversions; i++)
		told += note(i % pages, 1, ns);
	return told;
}

static void test_flips_storm_is_told_when_it_begins_and_not_at_once_again(void **state)
{
	assert_int_equal(storm_of(STORM, 1, 0), 0); /* more than so many */
	assert_int_equal(storm_of(STORM / 2, 1, SECOND), 0);
	assert_int_equal(storm_of(STORM / 2, 1, 2 * SECOND), 0);
	assert_int_equal(storm_of(3 * STORM, 1, 3 * SECOND), 1);
	for (uint64_t s = 4; s < 13; s++)
		assert_int_equal(storm_of(3 * STORM, 1, s * SECOND), 0);
	assert_int_equal(storm_of(3 * STORM, 1, 13 * SECOND), 1);
	assert_int_equal(page_flips_count(flips, START).storms, 11);
}

/* The sum is added up from parts, so a storm of many pages may be told a little late. */
static void test_flips_storm_of_many_pages_is_told_too(void **state)
{
	assert_int_equal(storm_of(STORM, 1000, 0), 0);
	assert_int_equal(storm_of(2 * STORM, 1000, 0), 1);
}

static void test_flips_storm_of_0_is_never_told(void **state)
{
	page_flips_destroy(take_ptr(&flips));
	assert_ok(page_flips_create(START, 0, &flips, &err));
	assert_int_equal(storm_of(100000, 1, 0), 0);
	assert_int_equal(page_flips_count(flips, START).storms, 0);
	page_flips_destroy(take_ptr(&flips));
	assert_ok(page_flips_create(START, 1, &flips, &err));
	assert_false(note(1, 1, 0));
	assert_true(note(2, 1, 0));
}

/* ---- threads ---- */

static void *note_much(void *number)
{
	uint64_t own = (uint64_t)(uintptr_t)number, told = 0;

	for (uint64_t i = 0; i < STEPS; i++)
		told += page_flips_note(flips, i % 2 ? 7 : 1000 + own * 8 + i % 8, 1, START + i * 100000);
	return (void *)(uintptr_t)told;
}

static void test_flips_of_many_threads_add_up(void **state)
{
	struct page_flip_totals totals;
	pthread_t threads[THREADS];
	uint64_t told = 0;
	void *result;

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, note_much, (void *)i), 0);
	for (unsigned i = 0; i < 100; i++) {
		page_flips_get(flips, found);
		totals = page_flips_count(flips, START);
		assert_true(totals.flips <= totals.conversions);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		told += (uintptr_t)result;
	}
	totals = page_flips_count(flips, START);
	assert_int_equal(totals.conversions, THREADS * STEPS);
	assert_true(totals.flips < totals.conversions);
	/* 5 seconds, and each of them may have had a storm. */
	assert_true(told <= 1);
	page_flips_get(flips, found);
	assert_int_equal(found[0].first, 7);
	assert_true(found[0].count <= THREADS * STEPS / 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_flips_are_counted_by_their_first_page),
	        TEST(test_flips_frame_0_and_the_highest_one_are_known),
	        TEST(test_flips_often_converted_range_stays_among_many),
	        TEST(test_flips_new_favourites_come_in),
	        TEST(test_flips_rate_is_that_of_the_last_whole_seconds),
	        TEST(test_flips_storm_is_told_when_it_begins_and_not_at_once_again),
	        TEST(test_flips_storm_of_many_pages_is_told_too),
	        TEST(test_flips_storm_of_0_is_never_told),
	        TEST(test_flips_of_many_threads_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
