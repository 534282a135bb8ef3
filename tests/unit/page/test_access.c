/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "../../../src/host/fault.h"
#include "support/test.h"
#include "vmm/page.h"

static struct err err;
static struct host *host;
static struct page_memory *memory;

/* 2 GiB + 1 MiB: RAM, hole, firmware that touches the RAM at 4 GiB. Untouched pages cost nothing. */
static int setup(void **state)
{
	struct page_layout layout;

	return host_kernel_create(&host, &err) || page_layout_make(GIB(2) + MIB(1), MIB(2), &layout, &err) ||
	       page_memory_create(host, &layout, PAGE_OWN, &memory, &err);
}

static int teardown(void **state)
{
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

static void test_access_write_reads_back(void **state)
{
	char back[6];

	assert_int_equal(page_write(memory, gpa(GIB(2) - 6), "hello", 6), 0);
	assert_int_equal(page_read(memory, gpa(GIB(2) - 6), back, 6), 0);
	assert_string_equal(back, "hello");
}

static void test_access_across_adjacent_regions_is_whole(void **state)
{
	uint8_t back[8];

	assert_int_equal(page_load(memory, gpa(GIB(4) - 4), "12345678", 8), 0);
	assert_int_equal(page_read(memory, gpa(GIB(4) - 4), back, 8), 0);
	assert_memory_equal(back, "12345678", 8);
}

static void test_access_touching_no_memory_copies_nothing(void **state)
{
	char back[8] = "unmoved";

	assert_int_equal(page_read(memory, gpa(GIB(2) - 4), back, 8), -1);
	assert_int_equal(page_read(memory, gpa(GIB(3)), back, 1), -1);
	assert_int_equal(page_read(memory, gpa(UINT64_MAX - 3), back, 8), -1);
	assert_int_equal(page_read(memory, gpa(0), back, UINT64_MAX), -1);
	assert_int_equal(page_read(memory, gpa(GIB(4) + MIB(1) - 7), back, 8), -1);
	assert_string_equal(back, "unmoved");
}

static void test_access_firmware_is_rom_to_devices(void **state)
{
	assert_int_equal(page_write(memory, gpa(GIB(4) - 1), "x", 1), -1);
	assert_int_equal(page_write(memory, gpa(GIB(4) - 1), "xx", 2), -1);
	assert_int_equal(page_load(memory, gpa(GIB(4) - 1), "x", 1), 0);
	assert_true(page_is_memory(memory, gpa(GIB(4) - 1), 2, false));
	assert_false(page_is_memory(memory, gpa(GIB(4) - 1), 2, true));
}

#define HELPER 0xfef00000u

/* Devices, and whoever asks what is the guest's memory, do not see a helper's pages. */
static void test_access_helper_has_a_door_of_its_own(void **state)
{
	struct page_memory *with_helper;
	struct page_layout layout;
	uint8_t back[2] = "..";

	assert_ok(page_layout_make(MIB(1), MIB(2), &layout, &err));
	assert_ok(page_layout_add_helper(&layout, gpa(HELPER), KIB(8), &err));
	assert_ok(page_memory_create(host, &layout, PAGE_OWN, &with_helper, &err));
	assert_int_equal(page_helper_write(with_helper, gpa(HELPER + KIB(8) - 2), "ab", 2), 0);
	assert_int_equal(page_helper_read(with_helper, gpa(HELPER + KIB(8) - 2), back, 2), 0);
	assert_memory_equal(back, "ab", 2);
	assert_int_equal(page_helper_write(with_helper, gpa(HELPER + KIB(8) - 1), "ab", 2), -1);
	assert_int_equal(page_helper_read(with_helper, gpa(HELPER - 1), back, 1), -1);
	assert_int_equal(page_helper_write(with_helper, gpa(0), "ab", 2), -1);
	assert_int_equal(page_read(with_helper, gpa(HELPER), back, 1), -1);
	assert_int_equal(page_write(with_helper, gpa(HELPER), "x", 1), -1);
	assert_false(page_is_memory(with_helper, gpa(HELPER), 1, false));
	assert_false(page_is_backed(with_helper, gpa(HELPER), 1));
	assert_null(page_loan(with_helper, gpa(HELPER), 1));
	assert_int_equal(page_memory_bytes_in(with_helper, gpa(HELPER), KIB(8)), 0);
	assert_int_equal(page_load(with_helper, gpa(HELPER), "x", 1), 0);
	assert_non_null(page_kernel_address(with_helper, gpa(HELPER), KIB(8)));
	assert_null(page_kernel_address(with_helper, gpa(HELPER), KIB(12)));
	page_memory_destroy(with_helper);
}

static void test_access_empty_range_is_taken(void **state)
{
	assert_int_equal(page_read(memory, gpa(GIB(3)), NULL, 0), 0);
	assert_int_equal(page_write(memory, gpa(0), NULL, 0), 0);
}

static void test_memory_beyond_the_host_is_refused(void **state)
{
	struct page_memory *big = NULL;
	struct page_layout layout;

	assert_ok(page_layout_make(PAGE_RAM_MAX_BYTES, MIB(2), &layout, &err));
	assert_fails(
	        page_memory_create(host, &layout, PAGE_OWN, &big, &err), ERR_HOST, "lower machine.memory");
	assert_null(big);
}

static void test_memory_every_failing_call_is_told(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(GIB(2) + MIB(1), MIB(2), &layout, &err));
	for (unsigned nth = 1; nth <= 3; nth++) {
		struct page_memory *none = NULL;
		struct host *fault;

		assert_ok(host_fault_create(host, nth, ENOMEM, &fault, &err));
		assert_fails(page_memory_create(fault, &layout, PAGE_OWN, &none, &err), ERR_HOST, "mapping");
		assert_null(none);
		host_destroy(fault);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_access_write_reads_back),
	        cmocka_unit_test(test_access_across_adjacent_regions_is_whole),
	        cmocka_unit_test(test_access_touching_no_memory_copies_nothing),
	        cmocka_unit_test(test_access_firmware_is_rom_to_devices),
	        cmocka_unit_test(test_access_helper_has_a_door_of_its_own),
	        cmocka_unit_test(test_access_empty_range_is_taken),
	        cmocka_unit_test(test_memory_beyond_the_host_is_refused),
	        cmocka_unit_test(test_memory_every_failing_call_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
