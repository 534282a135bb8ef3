/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "vmm/page.h"

static struct err err;

static void test_layout_small_memory_lies_below_the_hole(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(MIB(512), MIB(4), &layout, &err));
	assert_int_equal(layout.count, 2);
	assert_int_equal(layout.regions[0].gpa.raw, 0);
	assert_int_equal(layout.regions[0].size_bytes, MIB(512));
	assert_int_equal(layout.regions[1].kind, PAGE_FIRMWARE);
	assert_int_equal(layout.regions[1].gpa.raw, GIB(4) - MIB(4));
	assert_int_equal(layout.high_bytes, 0);
}

static void test_layout_large_memory_goes_on_at_4g(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(GIB(2) + MIB(1), MIB(2), &layout, &err));
	assert_int_equal(layout.count, 3);
	assert_int_equal(layout.low_bytes, GIB(2));
	assert_int_equal(layout.regions[2].gpa.raw, GIB(4));
	assert_int_equal(layout.regions[2].size_bytes, MIB(1));
}

static void test_layout_store_ends_where_the_image_begins(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(GIB(3), MIB(3), &layout, &err));
	assert_ok(page_layout_add_store(&layout, KIB(528), &err));
	assert_int_equal(layout.count, 4);
	assert_int_equal(layout.regions[1].kind, PAGE_STORE);
	assert_int_equal(layout.regions[1].gpa.raw, GIB(4) - MIB(3) - KIB(528));
	assert_int_equal(layout.regions[1].size_bytes, KIB(528));
	assert_int_equal(layout.regions[2].kind, PAGE_FIRMWARE);
	assert_int_equal(layout.regions[2].gpa.raw, GIB(4) - MIB(3));
	assert_int_equal(layout.regions[3].kind, PAGE_RAM);
	assert_ptr_equal(page_layout_find(&layout, GIB(4) - MIB(3) - 1), &layout.regions[1]);

	assert_ok(page_layout_make(MIB(64), MIB(3), &layout, &err));
	assert_fails(page_layout_add_store(&layout, 0, &err), ERR_USAGE, "store of variables");
	assert_fails(page_layout_add_store(&layout, 4095, &err), ERR_USAGE, "store of variables");
	assert_fails(page_layout_add_store(&layout, MIB(13) + 4096, &err), ERR_USAGE, "store of variables");
	assert_fails(page_layout_add_store(&layout, -(uint64_t)4096, &err), ERR_USAGE, "store of variables");
	assert_int_equal(layout.count, 2);
	assert_ok(page_layout_add_store(&layout, MIB(13), &err));
}

static void test_layout_helper_lies_between_ram_and_firmware(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(GIB(3), MIB(3), &layout, &err));
	assert_fails(page_layout_add_helper(&layout, gpa(0xfef00000), 0, &err), ERR_USAGE, "between RAM and");
	assert_fails(
	        page_layout_add_helper(&layout, gpa(0xfef00800), KIB(4), &err), ERR_USAGE, "whole pages");
	assert_fails(page_layout_add_helper(&layout, gpa(GIB(2) - KIB(4)), KIB(8), &err), ERR_USAGE, "RAM");
	assert_fails(page_layout_add_helper(&layout, gpa(0xfef00000), MIB(15), &err), ERR_USAGE, "firmware");
	assert_fails(
	        page_layout_add_helper(&layout, gpa(0xfef00000), -(uint64_t)4096, &err), ERR_USAGE, "RAM");
	assert_int_equal(layout.count, 3);
	assert_ok(page_layout_add_helper(&layout, gpa(0xfef00000), MIB(1), &err));
	assert_int_equal(layout.regions[1].kind, PAGE_HELPER);
	assert_int_equal(layout.regions[2].kind, PAGE_FIRMWARE);
	assert_ok(page_layout_add_store(&layout, KIB(528), &err));
	assert_int_equal(layout.regions[1].kind, PAGE_HELPER);
	assert_int_equal(layout.regions[2].kind, PAGE_STORE);
	assert_int_equal(layout.regions[3].kind, PAGE_FIRMWARE);
	assert_int_equal(layout.regions[4].kind, PAGE_RAM);
	assert_int_equal(layout.count, 5);
}

static void test_layout_impossible_sizes_are_refused(void **state)
{
	struct page_layout layout;

	assert_fails(page_layout_make(0, MIB(4), &layout, &err), ERR_USAGE, "whole MiB");
	assert_fails(page_layout_make(MIB(1) + 1, MIB(4), &layout, &err), ERR_USAGE, "whole MiB");
	assert_fails(
	        page_layout_make(UINT64_MAX & ~(MIB(1) - 1), MIB(4), &layout, &err), ERR_USAGE, "whole MiB");
	assert_fails(page_layout_make(MIB(1), 0, &layout, &err), ERR_USAGE, "firmware image");
	assert_fails(page_layout_make(MIB(1), 3, &layout, &err), ERR_USAGE, "firmware image");
	assert_fails(page_layout_make(MIB(1), MIB(64), &layout, &err), ERR_USAGE, "at most 16 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_layout_small_memory_lies_below_the_hole),
	        cmocka_unit_test(test_layout_large_memory_goes_on_at_4g),
	        cmocka_unit_test(test_layout_store_ends_where_the_image_begins),
	        cmocka_unit_test(test_layout_helper_lies_between_ram_and_firmware),
	        cmocka_unit_test(test_layout_impossible_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
