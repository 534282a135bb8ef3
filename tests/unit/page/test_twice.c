/* SPDX-License-Identifier: Apache-2.0 */
/* Private pages that have memory behind their shared side, too, are found; where it is not known, that is
 * said. */
#include <fcntl.h>
#include <unistd.h>

#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM MIB(64)

static struct fake_kernel kernel;
static struct page_memory *memory;
static struct page_twice twice;
static struct err err;
static bool knows_holes; /* the kernel of this machine, of memfds */

/* The files of shared pages are real ones. */
static int punch(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	return fd < FAKE_FD ? fallocate(fd, mode, offset, length) : 0;
}

static int group_setup(void **state)
{
	int fd = memfd_create("holes", 0);

	assert_int_equal(ftruncate(fd, MIB(1)), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0x5000), 1);
	knows_holes = lseek(fd, 0, SEEK_DATA) == 0x5000 && lseek(fd, 0x5000, SEEK_HOLE) == 0x6000;
	close(fd);
	return 0;
}

static void make(enum page_backing backing)
{
	static struct host_ops ops;
	struct page_layout layout;

	fake_start(&kernel);
	ops = fake_ops;
	ops.fallocate = punch;
	kernel.host.ops = &ops;
	assert_ok(page_layout_make(RAM, MIB(1), &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, backing, &memory, &err));
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&memory));
	return 0;
}

/* As a vhost back end does, which does not ask who owns a page. */
static void touch(uint64_t offset, unsigned region)
{
	*((volatile uint8_t *)page_memory_slot_address(memory, region) + offset) = 1;
}

static void look(void)
{
	page_memory_twice(memory, &twice);
	assert_int_equal(twice.known, knows_holes);
	if (!knows_holes)
		assert_int_equal(twice.pages, 0);
}

static void assert_range(size_t i, uint64_t first, uint64_t end)
{
	assert_int_equal(twice.ranges[i].first, first);
	assert_int_equal(twice.ranges[i].end, end);
}

static void test_twice_of_a_guest_with_one_backing_is_not_known(void **state)
{
	make(PAGE_SHARED);
	page_memory_twice(memory, &twice);
	assert_false(twice.known);
	assert_ok(page_memory_keep_record(memory, 100, &err));
	page_memory_twice(memory, &twice);
	assert_false(twice.known);
}

static void test_twice_is_none_while_shared_pages_alone_are_touched(void **state)
{
	make(PAGE_SHARED);
	assert_ok(page_memory_make_private(memory, 77, 100, &err));
	look();
	assert_int_equal(twice.pages, 0);
	assert_ok(page_convert(memory, gpa(0x10000), 0x3000, false, &err));
	assert_int_equal(page_write(memory, gpa(0x10000), "x", 1), 0);
	assert_int_equal(page_write(memory, gpa(0x12000), "x", 1), 0);
	look();
	assert_int_equal(twice.pages, 0);
	assert_ok(page_convert(memory, gpa(0x10000), 0x3000, true, &err)); /* gives the memory back */
	look();
	assert_int_equal(twice.pages, 0);
}

static void test_twice_are_private_pages_that_were_touched(void **state)
{
	make(PAGE_SHARED);
	assert_ok(page_memory_make_private(memory, 77, 100, &err));
	assert_ok(page_convert(memory, gpa(0x11000), 0x1000, false, &err));
	for (uint64_t at = 0x10000; at < 0x14000; at += 0x1000)
		touch(at, 0);
	touch(RAM - 1, 0);
	touch(0, 1); /* the firmware */
	look();
	if (!knows_holes)
		return;
	assert_int_equal(twice.pages, 5);
	assert_int_equal(twice.count, 4);
	assert_range(0, 0x10, 0x11);
	assert_range(1, 0x12, 0x14);
	assert_range(2, RAM / 4096 - 1, RAM / 4096);
	assert_range(3, 0xfff00, 0xfff01);
}

static void test_twice_shows_the_first_ranges_and_counts_all(void **state)
{
	make(PAGE_SHARED);
	assert_ok(page_memory_make_private(memory, 77, 100, &err));
	for (uint64_t at = 0; at < 2000; at++)
		touch(2 * at * PAGE_SIZE_BYTES, 0);
	look();
	if (!knows_holes)
		return;
	assert_int_equal(twice.pages, 2000);
	assert_int_equal(twice.count, PAGE_TWICE_SHOWN);
	assert_range(PAGE_TWICE_SHOWN - 1, 2 * (PAGE_TWICE_SHOWN - 1), 2 * PAGE_TWICE_SHOWN - 1);
}

static void test_twice_is_not_known_past_the_bound(void **state)
{
	make(PAGE_SHARED);
	assert_ok(page_memory_make_private(memory, 77, 100, &err));
	for (uint64_t at = 0; at < 5000; at++)
		touch(2 * at * PAGE_SIZE_BYTES, 0);
	page_memory_twice(memory, &twice);
	assert_false(twice.known);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_twice_of_a_guest_with_one_backing_is_not_known),
	        TEST(test_twice_is_none_while_shared_pages_alone_are_touched),
	        TEST(test_twice_are_private_pages_that_were_touched),
	        TEST(test_twice_shows_the_first_ranges_and_counts_all),
	        TEST(test_twice_is_not_known_past_the_bound),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
