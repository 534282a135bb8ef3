/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages were used, as the kernel tells it. */
#include <sys/mman.h>

#include "support/test.h"
#include "vmm/page.h"

static struct err err;
static struct host *host;
static struct page_memory *memory;
static struct page_touched *touched;

static void make(enum page_backing backing)
{
	struct page_layout layout;

	assert_ok(host_kernel_create(&host, &err));
	assert_ok(page_layout_make(MIB(8), MIB(2), &layout, &err));
	assert_ok(page_memory_create(host, &layout, backing, &memory, &err));
	touched = page_touched_open(memory);
}

static int teardown(void **state)
{
	page_touched_close(touched);
	page_memory_destroy(memory);
	host_destroy(host);
	return 0;
}

static void test_touched_pages(void **state)
{
	uint8_t *at, byte;

	make(PAGE_OWN);
	assert_non_null(touched);
	at = page_kernel_address(memory, gpa(0), MIB(8));
	assert_int_equal(madvise(at, MIB(8), MADV_NOHUGEPAGE), 0);
	assert_int_equal(page_untouched(touched, gpa(0), 64), UINT64_MAX);
	assert_int_equal(page_write(memory, gpa(3 * 4096), "x", 1), 0);
	assert_int_equal(page_read(memory, gpa(63 * 4096), &byte, 1), 0);
	assert_int_equal(page_untouched(touched, gpa(0), 64), UINT64_MAX / 2 & ~UINT64_C(8));
	assert_int_equal(page_untouched(touched, gpa(3 * 4096), 2), 2);
	assert_int_equal(page_untouched(touched, gpa(4 * 4096), 1), 1);
	/* What was given back is as it was. */
	assert_int_equal(madvise(at + (size_t)3 * 4096, 4096, MADV_DONTNEED), 0);
	assert_int_equal(page_untouched(touched, gpa(3 * 4096), 1), 1);
	/* Not all of it is memory. */
	assert_int_equal(page_untouched(touched, gpa(MIB(8) - 4096), 1), 1);
	assert_int_equal(page_untouched(touched, gpa(MIB(8) - 4096), 2), 0);
	assert_int_equal(page_untouched(touched, gpa(0), 65), 0);
}

/* A page that the kernel has put away is somebody's. */
static void test_touched_pages_are_swapped_out(void **state)
{
	uint8_t *at;

	make(PAGE_OWN);
	assert_non_null(touched);
	assert_int_equal(page_write(memory, gpa(4096), "x", 1), 0);
	at = page_kernel_address(memory, gpa(0), MIB(2));
	(void)madvise(at, MIB(2), MADV_PAGEOUT);
	assert_false(page_untouched(touched, gpa(4096), 1));
}

/* Another process may have written to memory that is a file. */
static void test_touched_is_unknown_of_files(void **state)
{
	make(PAGE_SHARED);
	assert_null(touched);
	assert_int_equal(page_untouched(touched, gpa(0), 64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(test_touched_pages, teardown),
	        cmocka_unit_test_teardown(test_touched_pages_are_swapped_out, teardown),
	        cmocka_unit_test_teardown(test_touched_is_unknown_of_files, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
