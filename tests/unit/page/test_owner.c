/* SPDX-License-Identifier: Apache-2.0 */
/* Private pages are out of the door's reach, shared ones are not, and the unused backing goes back. */
#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM    MIB(600)
#define RANGES 100

static struct fake_kernel kernel;
static struct page_memory *memory;
static struct err err;

static struct {
	int fd, mode;
	uint64_t offset, length;
	unsigned calls;
	bool stop; /* the guest is ended meanwhile */
} punched;

static int note_fallocate(struct host *h, int fd, int mode, off_t offset, off_t length)
{
	punched.fd = fd;
	punched.mode = mode;
	punched.offset = (uint64_t)offset;
	punched.length = (uint64_t)length;
	punched.calls++;
	if (punched.stop)
		page_memory_stop(memory);
	return 0;
}

static int setup(void **state)
{
	static struct host_ops ops;
	struct page_layout layout;

	fake_start(&kernel);
	ops = fake_ops;
	ops.fallocate = note_fallocate;
	kernel.host.ops = &ops;
	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_SHARED, &memory, &err));
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(memory);
	assert_int_equal(kernel.open_fds, 0);
	return 0;
}

static void test_owner_record_alone_keeps_the_door_open_and_asks_nobody(void **state)
{
	uint64_t private, shared;

	assert_false(page_memory_has_record(memory));
	assert_ok(page_memory_keep_record(memory, 100000, &err));
	assert_true(page_memory_has_record(memory));
	memset(&punched, 0, sizeof(punched));
	kernel.count = 0;

	assert_ok(page_convert(memory, gpa(0x10000), 0x3000, false, &err));
	assert_ok(page_convert(memory, gpa(0x11000), 0x1000, true, &err));
	assert_true(page_is_already(memory, gpa(0x10000), 0x1000, false));
	assert_true(page_is_already(memory, gpa(0x11000), 0x1000, true));
	assert_true(page_is_already(memory, gpa(0x12000), 0x1000, false));
	assert_true(page_is_already(memory, gpa(0x13000), RAM - 0x13000, true));
	page_memory_count(memory, &private, &shared);
	assert_int_equal(shared, 0x2000);
	assert_int_equal(private, RAM - 0x2000);

	assert_int_equal(page_write(memory, gpa(0x11000), "abc", 3), 0);
	assert_int_equal(page_write(memory, gpa(0), "abc", 3), 0);
	assert_int_equal(kernel.count, 0);  /* no attributes, ... */
	assert_int_equal(punched.calls, 0); /* ... and the memory stays where it is */
}

/* Every other page shared is the worst that a guest can do to a record of ranges. */
static void test_owner_record_of_alternating_pages_is_exact(void **state)
{
	uint64_t private, shared;

	assert_ok(page_memory_keep_record(memory, 100000, &err));
	for (uint64_t at = 0; at < RAM; at += 2 * PAGE_SIZE_BYTES)
		assert_ok(page_convert(memory, gpa(at), PAGE_SIZE_BYTES, false, &err));
	page_memory_count(memory, &private, &shared);
	assert_int_equal(shared, RAM / 2);
	assert_int_equal(private, RAM / 2);
	for (uint64_t at = 0; at < RAM; at += PAGE_SIZE_BYTES)
		assert_true(page_is_already(memory, gpa(at), PAGE_SIZE_BYTES, at / PAGE_SIZE_BYTES % 2));
	assert_ok(page_convert(memory, gpa(0), RAM, true, &err));
	page_memory_count(memory, &private, &shared);
	assert_int_equal(shared, 0);
}

static void make_private(void)
{
	assert_ok(page_memory_make_private(memory, 77, RANGES, &err));
	memset(&punched, 0, sizeof(punched));
}

static void test_owner_without_private_memory_everything_is_shared(void **state)
{
	assert_int_equal(page_memory_guest_memfd(memory, 0), -1);
	assert_int_equal(page_write(memory, gpa(0x1000), "abc", 3), 0);
	assert_true(page_is_memory(memory, gpa(0), RAM, true));
}

static void test_owner_private_pages_are_out_of_reach(void **state)
{
	char data[3];

	make_private();
	assert_true(page_memory_guest_memfd(memory, 0) >= FAKE_FD);
	assert_int_equal(page_write(memory, gpa(0x1000), "abc", 3), -1);
	assert_int_equal(page_read(memory, gpa(0x1000), data, 3), -1);
	assert_false(page_is_memory(memory, gpa(0x1000), 1, false));
	assert_true(page_is_backed(memory, gpa(0), RAM));
	assert_false(page_is_backed(memory, gpa(RAM - 1), 2));
}

static void test_owner_shared_range_is_open_to_its_last_byte_and_no_further(void **state)
{
	make_private();
	/* Across a word of the list: pages 62 to 66. */
	assert_ok(page_convert(memory, gpa(62 * 4096), 5 * 4096, false, &err));
	assert_int_equal(page_write(memory, gpa(62 * 4096), "a", 1), 0);
	assert_int_equal(page_write(memory, gpa(67 * 4096 - 1), "b", 1), 0);
	assert_true(page_is_memory(memory, gpa(62 * 4096), 5 * 4096, true));
	assert_int_equal(page_write(memory, gpa(62 * 4096 - 1), "c", 1), -1);
	assert_int_equal(page_write(memory, gpa(67 * 4096), "d", 1), -1);
	assert_int_equal(page_write(memory, gpa(67 * 4096 - 1), "ee", 2), -1);
	assert_ok(page_convert(memory, gpa(64 * 4096), 4096, true, &err));
	assert_int_equal(page_write(memory, gpa(64 * 4096), "f", 1), -1);
	assert_int_equal(page_write(memory, gpa(63 * 4096), "f", 1), 0);
	assert_int_equal(page_write(memory, gpa(65 * 4096), "f", 1), 0);
}

static void test_owner_whole_memory_changes_hands_in_a_call_a_piece(void **state)
{
	unsigned before, pieces = RAM / PAGE_CONVERT_BYTES + (RAM % PAGE_CONVERT_BYTES != 0);

	make_private();
	before = kernel.count;
	assert_ok(page_convert(memory, gpa(0), UINT64_C(1) << 40, false, &err));
	assert_int_equal(kernel.count - before, pieces + 1); /* and the firmware */
	assert_true(page_is_memory(memory, gpa(0), RAM, true));
	assert_ok(page_convert(memory, gpa(0), UINT64_C(1) << 40, true, &err));
	assert_false(page_is_memory(memory, gpa(RAM - 4096), 1, true));
}

static void test_owner_unused_backing_is_given_back(void **state)
{
	make_private();
	assert_ok(page_convert(memory, gpa(0x3000), 0x2000, false, &err));
	assert_int_equal(punched.fd, page_memory_guest_memfd(memory, 0));
	assert_int_equal(punched.mode, 3); /* KEEP_SIZE, PUNCH_HOLE */
	assert_int_equal(punched.offset, 0x3000);
	assert_int_equal(punched.length, 0x2000);
	assert_ok(page_convert(memory, gpa(0x3000), 0x1000, true, &err));
	assert_int_not_equal(punched.fd, page_memory_guest_memfd(memory, 0));
	assert_int_equal(punched.length, 0x1000);
}

static void test_owner_refused_conversion_to_shared_changes_nothing(void **state)
{
	make_private();
	kernel.refusal = (struct fake_refusal){.request = UAPI_SET_MEMORY_ATTRIBUTES, .sys = ENOMEM};
	assert_fails(page_convert(memory, gpa(0x3000), 0x1000, false, &err), ERR_HOST,
	        "KVM_SET_MEMORY_ATTRIBUTES of 4 KiB at 0x3000");
	assert_int_equal(page_write(memory, gpa(0x3000), "x", 1), -1);
	assert_int_equal(punched.calls, 0);
}

static void share_every_other(unsigned count)
{
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(
		        page_convert(memory, gpa(2 * i * PAGE_SIZE_BYTES), PAGE_SIZE_BYTES, false, &err), 0);
}

static void test_owner_of_an_snp_guest_refuses_what_the_record_cannot_hold(void **state)
{
	const uint64_t next = UINT64_C(2) * RANGES * PAGE_SIZE_BYTES;
	struct page_record record;
	unsigned calls;

	make_private();
	share_every_other(RANGES);
	calls = punched.calls;
	assert_int_equal(page_convert(memory, gpa(next), PAGE_SIZE_BYTES, false, &err), PAGE_CONVERT_REFUSED);
	assert_int_equal(page_write(memory, gpa(next), "x", 1), -1);
	assert_int_equal(punched.calls, calls); /* the guest's page has kept its memory ... */
	assert_string_equal(
	        kernel.lines[kernel.count - 1], "PRIVATE 0xc8000"); /* ... and is the guest's again */
	page_record_count(memory, &record);
	assert_int_equal(record.ranges, RANGES);
	assert_int_equal(record.ranges_max, RANGES);
	assert_int_equal(record.refused, 1);
	assert_true(record.complete); /* the guest knows that it was refused: KVM and the record agree */

	/* Pages that are there flip as before, and a range that is given up makes room. */
	assert_ok(page_convert(memory, gpa(0), PAGE_SIZE_BYTES, true, &err));
	assert_ok(page_convert(memory, gpa(0), PAGE_SIZE_BYTES, false, &err));
	assert_ok(page_convert(memory, gpa(0), PAGE_SIZE_BYTES, true, &err));
	assert_ok(page_convert(memory, gpa(next), PAGE_SIZE_BYTES, false, &err));
}

static void test_owner_record_of_a_guest_that_is_refused_is_incomplete(void **state)
{
	struct page_record record;

	assert_ok(page_memory_keep_record(memory, RANGES, &err));
	share_every_other(RANGES);
	page_record_count(memory, &record);
	assert_true(record.complete);
	assert_int_equal(page_convert(memory, gpa(0x1000000), 0x3000, false, &err), PAGE_CONVERT_REFUSED);
	/* To take back the middle of a range would make two of it. */
	assert_ok(page_convert(memory, gpa(0), PAGE_SIZE_BYTES, true, &err));
	assert_ok(page_convert(memory, gpa(0x2000000), 0x3000, false, &err));
	assert_int_equal(page_convert(memory, gpa(0x2001000), 0x1000, true, &err), PAGE_CONVERT_REFUSED);
	page_record_count(memory, &record);
	assert_int_equal(record.refused, 2);
	assert_false(record.complete);
	assert_int_equal(record.doubt.first, 0x1000);
	assert_int_equal(record.doubt.end, 0x2002);
}

static void test_owner_conversion_ends_within_a_piece_of_the_stop(void **state)
{
	make_private();
	punched.stop = true;
	assert_fails(page_convert(memory, gpa(0), RAM, false, &err), ERR_FAILED, "is being ended");
	assert_int_equal(punched.calls, 1);
	assert_int_equal(punched.length, PAGE_CONVERT_BYTES);
	assert_fails(page_convert(memory, gpa(0), RAM, false, &err), ERR_FAILED, "is being ended");
	assert_int_equal(punched.calls, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_owner_record_alone_keeps_the_door_open_and_asks_nobody),
	        TEST(test_owner_record_of_alternating_pages_is_exact),
	        TEST(test_owner_without_private_memory_everything_is_shared),
	        TEST(test_owner_private_pages_are_out_of_reach),
	        TEST(test_owner_shared_range_is_open_to_its_last_byte_and_no_further),
	        TEST(test_owner_whole_memory_changes_hands_in_a_call_a_piece),
	        TEST(test_owner_unused_backing_is_given_back),
	        TEST(test_owner_refused_conversion_to_shared_changes_nothing),
	        TEST(test_owner_of_an_snp_guest_refuses_what_the_record_cannot_hold),
	        TEST(test_owner_record_of_a_guest_that_is_refused_is_incomplete),
	        TEST(test_owner_conversion_ends_within_a_piece_of_the_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
