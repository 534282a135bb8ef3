/* SPDX-License-Identifier: Apache-2.0 */
/* What a SEV guest shares where it has no memory: remembered, apart, within a bound. */
#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM    MIB(64)
#define GROWTH MIB(256)
#define BITS   40
#define FRAMES (UINT64_C(1) << (BITS - 12))
#define PLACE  GIB(4) /* of RAM that is added */

static struct fake_kernel kernel;
static struct page_memory *memory;
static struct page_range found[PAGE_DEVICES_SHOWN];
static bool complete;
static struct err err;

static int setup(void **state)
{
	struct page_layout layout;

	fake_start(&kernel);
	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_layout_add_plugged(&layout, GROWTH, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err));
	assert_ok(page_memory_keep_record(memory, 1000, &err));
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&memory));
	return 0;
}

static void keep_devices(void)
{
	assert_ok(page_memory_keep_devices(memory, BITS, &err));
}

static void assert_found(size_t i, uint64_t first, uint64_t end)
{
	assert_int_equal(found[i].first, first);
	assert_int_equal(found[i].end, end);
}

static void test_devices_without_the_call_are_skipped(void **state)
{
	assert_false(page_is_reportable(memory, gpa(RAM - 0x1000), 0x2000));
	assert_true(page_is_reportable(memory, gpa(RAM - 0x1000), 0x1000));
	assert_ok(page_convert(memory, gpa(RAM), 0x2000, false, &err));
	assert_int_equal(page_devices_get(memory, found, &complete), 0);
	assert_true(complete);
}

static void test_devices_are_reportable_up_to_the_last_address(void **state)
{
	keep_devices();
	assert_true(page_is_reportable(memory, gpa(0), UINT64_C(1) << BITS));
	assert_false(page_is_reportable(memory, gpa(0x1000), UINT64_C(1) << BITS));
	assert_false(page_is_reportable(memory, gpa(UINT64_MAX - 0xfff), 0x2000));
}

static void test_devices_range_across_all_is_split_where_memory_is(void **state)
{
	uint64_t private, shared;
	struct page_record record;

	keep_devices();
	assert_ok(page_convert(memory, gpa(0), UINT64_C(1) << BITS, false, &err));
	assert_int_equal(page_devices_get(memory, found, &complete), 2);
	assert_found(0, RAM >> 12, 0xfffff); /* the firmware is the last page below 4 GiB */
	assert_found(1, 0x100000, FRAMES);
	page_memory_count(memory, &private, &shared);
	assert_int_equal(shared, RAM);
	assert_int_equal(private, 0);
	page_record_count(memory, &record);
	assert_int_equal(record.ranges, 2);
	assert_int_equal(page_memory_bytes_in(memory, gpa(0), UINT64_C(1) << BITS), RAM + 0x1000);

	assert_ok(page_convert(memory, gpa(0), UINT64_C(1) << BITS, true, &err));
	assert_int_equal(page_devices_get(memory, found, &complete), 0);
}

static void test_devices_place_of_memory_that_is_added_begins_private(void **state)
{
	struct page_plug plug;

	keep_devices();
	assert_ok(page_convert(memory, gpa(PLACE - 0x3000), MIB(512), false, &err));
	assert_ok(page_plug_find(memory, MIB(128), &plug, &err));
	page_plug_open(memory, &plug);
	assert_true(page_is_already(memory, gpa(PLACE), MIB(128), true));
	assert_int_equal(page_devices_get(memory, found, &complete), 2);
	assert_found(0, 0xffffd, 0xfffff);
	assert_found(1, (PLACE + MIB(128)) >> 12, (PLACE + MIB(512) - 0x3000) >> 12);

	/* The guest's reports on the memory are about memory. */
	assert_ok(page_convert(memory, gpa(PLACE), 0x1000, false, &err));
	assert_true(page_is_already(memory, gpa(PLACE), 0x1000, false));
	assert_int_equal(page_devices_get(memory, found, &complete), 2);
	page_plug_close(memory, &plug);
	assert_int_equal(page_devices_get(memory, found, &complete), 2);
	assert_found(1, PLACE >> 12, (PLACE + MIB(512) - 0x3000) >> 12);
}

static void test_devices_past_the_bound_are_told(void **state)
{
	const uint64_t start = GIB(8);

	keep_devices();
	for (uint64_t i = 0; i < PAGE_DEVICES_MAX + 5; i++) {
		page_devices_get(memory, found, &complete);
		assert_int_equal(complete, i <= PAGE_DEVICES_MAX);
		/* It is no error of the guest's. */
		assert_ok(page_convert(
		        memory, gpa(start + 2 * i * PAGE_SIZE_BYTES), PAGE_SIZE_BYTES, false, &err));
	}
	assert_int_equal(page_devices_get(memory, found, &complete), PAGE_DEVICES_MAX);
	assert_found(PAGE_DEVICES_MAX - 1, (start >> 12) + 2 * (PAGE_DEVICES_MAX - 1),
	        (start >> 12) + 2 * (PAGE_DEVICES_MAX - 1) + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_devices_without_the_call_are_skipped),
	        TEST(test_devices_are_reportable_up_to_the_last_address),
	        TEST(test_devices_range_across_all_is_split_where_memory_is),
	        TEST(test_devices_place_of_memory_that_is_added_begins_private),
	        TEST(test_devices_past_the_bound_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
