/* SPDX-License-Identifier: Apache-2.0 */
/* The record of what a SEV guest shares goes from one vmm to another, and a hostile one is refused. */
#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM   MIB(64)
#define BITS  40
#define MMIO  GIB(3)
#define FRAME PAGE_SIZE_BYTES

static struct fake_kernel kernel;
static struct page_memory *here, *there;
static struct err err;

static struct page_memory *make(uint32_t ranges_max)
{
	struct page_memory *memory;
	struct page_layout layout;

	assert_ok(page_layout_make(RAM, FRAME, &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err));
	assert_ok(page_memory_keep_record(memory, ranges_max, &err));
	assert_ok(page_memory_keep_devices(memory, BITS, &err));
	return memory;
}

static int setup(void **state)
{
	fake_start(&kernel);
	here = make(100);
	there = make(100);
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&here));
	page_memory_destroy(take_ptr(&there));
	return 0;
}

static void share(struct page_memory *memory, uint64_t at, uint64_t size)
{
	assert_int_equal(page_convert(memory, gpa(at), size, false, &err), 0);
}

static int bring(enum page_record_part part)
{
	auto_free uint8_t *data = NULL;
	size_t size;

	if (page_record_make_form(here, part, &data, &size, &err) < 0)
		return -1;
	assert_true(size <= page_record_form_max_bytes(there, part));
	return page_record_read_form(there, part, data, size, &err);
}

static void test_record_comes_over(void **state)
{
	struct page_record_walk walk = {.memory = there, .end = PAGE_RANGE_MAP_PAGES_MAX};
	struct page_range ranges[2], beyond, devices[PAGE_DEVICES_SHOWN];
	bool complete;

	share(here, MIB(1), 2 * FRAME);
	share(here, MIB(32), MIB(4));
	share(here, MMIO, 4 * FRAME);
	/* What was shared there before is not. */
	share(there, MIB(8), FRAME);
	share(there, MMIO + MIB(1), FRAME);
	assert_ok(bring(PAGE_RECORD_MEMORY));
	assert_ok(bring(PAGE_RECORD_DEVICES));
	for (size_t i = 0; i < 2; i++)
		assert_true(page_record_next(&walk, &ranges[i]));
	assert_false(page_record_next(&walk, &beyond));
	assert_true(ranges[0].first == MIB(1) / FRAME && ranges[0].end == MIB(1) / FRAME + 2);
	assert_true(ranges[1].first == MIB(32) / FRAME && ranges[1].end == MIB(36) / FRAME);
	assert_int_equal(page_devices_get(there, devices, &complete), 1);
	assert_true(complete);
	assert_true(devices[0].first == MMIO / FRAME && devices[0].end == MMIO / FRAME + 4);
}

static void test_record_of_devices_may_be_incomplete(void **state)
{
	struct page_range devices[PAGE_DEVICES_SHOWN];
	bool complete;

	for (unsigned i = 0; i <= PAGE_DEVICES_MAX; i++)
		share(here, MMIO + 2 * i * FRAME, FRAME);
	assert_ok(bring(PAGE_RECORD_DEVICES));
	assert_int_equal(page_devices_get(there, devices, &complete), PAGE_DEVICES_MAX);
	assert_false(complete);
}

static void test_record_that_is_not_complete_stays(void **state)
{
	for (unsigned i = 0; i < 100; i++)
		share(here, 2 * i * FRAME, FRAME);
	assert_int_equal(page_convert(here, gpa(MIB(32)), FRAME, false, &err), PAGE_CONVERT_REFUSED);
	assert_fails(bring(PAGE_RECORD_MEMORY), ERR_FAILED, "is not complete");
}

/* Makes a form of one range of frames, of this many frames of memory. */
static void form_of(uint64_t first, uint64_t end, bool doubt, uint8_t **ret_data, size_t *ret_size)
{
	struct page_range range = {first, end};
	const struct page_range_snapshot snapshot = {
	        .ranges = &range, .count = 1, .exact = true, .complete = !doubt, .doubt = {1, 2}};

	assert_ok(page_range_form_make(&snapshot, ret_data, ret_size, &err));
}

static void test_record_of_a_hostile_peer_is_refused(void **state)
{
	static const struct {
		uint64_t first, end;
		bool doubt;
		const char *text;
	} rows[] = {
	        {RAM / FRAME - 1, RAM / FRAME + 1, false, "pages that it does not have"},
	        {MMIO / FRAME, MMIO / FRAME + 1, false, "pages that it does not have"},
	        {0, GIB(4) / FRAME, false, "pages that it does not have"},
	        {0, GIB(4) / FRAME + 1, false, "is damaged"},
	        {0, 1, true, "other vmm's record of what the guest shares is not complete"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free uint8_t *data = NULL;
		size_t size;

		form_of(rows[i].first, rows[i].end, rows[i].doubt, &data, &size);
		assert_fails(page_record_read_form(there, PAGE_RECORD_MEMORY, data, size, &err), ERR_FAILED,
		        rows[i].text);
	}
	assert_fails(page_record_read_form(there, PAGE_RECORD_MEMORY, (const uint8_t *)"none", 4, &err),
	        ERR_FAILED, "this is no list of shared pages");
}

static void test_record_of_a_smaller_guest_does_not_fit(void **state)
{
	for (unsigned i = 0; i < 50; i++)
		share(here, 2 * i * FRAME, FRAME);
	page_memory_destroy(there);
	there = make(10);
	assert_fails(bring(PAGE_RECORD_MEMORY), ERR_FAILED, "more than 10 ranges");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_record_comes_over),
	        TEST(test_record_of_devices_may_be_incomplete),
	        TEST(test_record_that_is_not_complete_stays),
	        TEST(test_record_of_a_hostile_peer_is_refused),
	        TEST(test_record_of_a_smaller_guest_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
