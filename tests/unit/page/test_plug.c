/* SPDX-License-Identifier: Apache-2.0 */
/* RAM that is added: where it goes, what is refused, and that the door opens for it and for no more. */
#include "support/fake_kernel.h"
#include "support/test.h"
#include "vmm/page.h"

#define RAM    MIB(64)
#define GROWTH MIB(384)
#define PLACE  GIB(4)

static struct fake_kernel kernel;
static struct page_memory *memory;
static struct err err;

static void make(enum page_backing backing)
{
	struct page_layout layout;

	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_layout_add_plugged(&layout, GROWTH, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, backing, &memory, &err));
}

static int setup(void **state)
{
	fake_start(&kernel);
	return 0;
}

static int teardown(void **state)
{
	page_memory_destroy(take_ptr(&memory));
	return 0;
}

static struct page_plug add(uint64_t size_bytes)
{
	struct page_plug plug;

	assert_ok(page_plug_find(memory, size_bytes, &plug, &err));
	page_plug_open(memory, &plug);
	return plug;
}

static void test_plug_layout_is_above_all_ram(void **state)
{
	struct page_layout layout;

	assert_ok(page_layout_make(GIB(3), MIB(2), &layout, &err));
	assert_null(page_layout_plugged(&layout));
	assert_ok(page_layout_add_plugged(&layout, GIB(62), &err));
	assert_int_equal(page_layout_plugged(&layout)->gpa.raw, GIB(6));
	assert_int_equal(page_layout_plugged(&layout)->size_bytes, GIB(62));
	assert_int_equal(layout.high_bytes, GIB(1));
	assert_ok(page_layout_add_store(&layout, KIB(528), &err));
	assert_int_equal(page_layout_plugged(&layout)->gpa.raw, GIB(6));
	assert_ok(page_layout_add_helper(&layout, gpa(0xfef00000), KIB(328), &err));
	assert_int_equal(layout.count, PAGE_REGIONS_MAX);
	assert_int_equal(page_layout_plugged(&layout)->gpa.raw, GIB(6));

	assert_ok(page_layout_make(GIB(3), MIB(2), &layout, &err));
	assert_fails(page_layout_add_plugged(&layout, 0, &err), ERR_USAGE, "a multiple of 128 MiB");
	assert_fails(page_layout_add_plugged(&layout, MIB(64), &err), ERR_USAGE, "a multiple of 128 MiB");
	assert_fails(page_layout_add_plugged(&layout, PAGE_RAM_MAX_BYTES - GIB(2), &err), ERR_USAGE,
	        "16 TiB in all");
	assert_ok(page_layout_add_plugged(&layout, PAGE_RAM_MAX_BYTES - GIB(3), &err));
}

/* As probe_memory_block_size() of Linux chooses it for guests. */
static void test_plug_block_grows_with_the_guest(void **state)
{
	static const struct {
		uint64_t ram_bytes, block_bytes;
	} rows[] = {{MIB(64), MIB(128)}, {GIB(2), MIB(128)}, {GIB(61), MIB(128)}, {GIB(62), GIB(2)},
	        {GIB(63), GIB(1)}, {GIB(64) + MIB(256), MIB(256)}, {GIB(64) + MIB(1), MIB(128)}};
	struct page_layout layout;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ok(page_layout_make(rows[i].ram_bytes, MIB(2), &layout, &err));
		assert_int_equal(page_layout_block_bytes(&layout), rows[i].block_bytes);
	}
}

static void test_plug_pieces_follow_each_other_up_to_the_most(void **state)
{
	struct page_plug first, second, third;

	make(PAGE_OWN);
	first = add(MIB(128));
	second = add(MIB(256));
	assert_int_equal(first.gpa.raw, PLACE);
	assert_int_equal(second.gpa.raw, PLACE + MIB(128));
	assert_ptr_equal((uint8_t *)second.at, (uint8_t *)first.at + MIB(128));
	assert_int_equal(page_memory_plugged(memory), GROWTH);
	assert_fails(page_plug_find(memory, MIB(128), &third, &err), ERR_USAGE, "can get 0 MiB more");
	page_plug_close(memory, &second);
	assert_fails(page_plug_find(memory, MIB(384), &third, &err), ERR_USAGE, "can get 256 MiB more");
	assert_fails(page_plug_find(memory, MIB(100), &third, &err), ERR_USAGE, "multiples of 128 MiB");
	assert_fails(page_plug_find(memory, 0, &third, &err), ERR_USAGE, "multiples of 128 MiB");
	assert_fails(page_plug_find(memory, UINT64_MAX, &third, &err), ERR_USAGE, "multiples of 128 MiB");
	assert_int_equal(page_memory_plugged(memory), MIB(128));
}

static void test_plug_without_a_place_is_refused(void **state)
{
	struct page_layout layout;
	struct page_plug plug;

	assert_ok(page_layout_make(RAM, PAGE_SIZE_BYTES, &layout, &err));
	assert_ok(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err));
	assert_fails(page_plug_find(memory, MIB(128), &plug, &err), ERR_USAGE, "machine.memory-max");
}

static void test_plug_door_opens_for_what_is_there(void **state)
{
	char data[2] = "";

	make(PAGE_OWN);
	assert_int_equal(page_write(memory, gpa(PLACE), "ab", 2), -1);
	assert_int_equal(page_read(memory, gpa(PLACE), data, 2), -1);
	assert_null(page_loan(memory, gpa(PLACE), 1));
	assert_false(page_is_backed(memory, gpa(PLACE), 1));
	add(MIB(128));
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128) - 2), "ab", 2), 0);
	assert_int_equal(page_read(memory, gpa(PLACE + MIB(128) - 2), data, 2), 0);
	assert_memory_equal(data, "ab", 2);
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128) - 1), "ab", 2), -1);
	assert_non_null(page_loan(memory, gpa(PLACE), MIB(128)));
	assert_null(page_loan(memory, gpa(PLACE), MIB(128) + 1));
	assert_int_equal(page_give_back(memory, page_loan(memory, gpa(PLACE), MIB(128)), MIB(128)), 0);
	assert_int_equal(page_read(memory, gpa(PLACE + MIB(128) - 2), data, 2), 0);
	assert_memory_equal(data, "\0\0", 2);
	add(MIB(128));
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128) - 1), "ab", 2), 0);
}

/* A guest may name addresses at which there is no memory yet. */
static void test_plug_record_counts_what_is_there(void **state)
{
	uint64_t private, shared;

	make(PAGE_SHARED);
	assert_ok(page_memory_make_private(memory, 77, 100, &err));
	assert_ok(page_convert(memory, gpa(PLACE), MIB(128), false, &err));
	page_memory_count(memory, &private, &shared);
	assert_int_equal(private, RAM);
	assert_int_equal(shared, 0);
	assert_true(add(MIB(128)).guest_memfd >= FAKE_FD);
	assert_true(page_is_already(memory, gpa(PLACE), MIB(128), true));
	assert_ok(page_convert(memory, gpa(PLACE + MIB(64)), MIB(128), false, &err));
	page_memory_count(memory, &private, &shared);
	assert_int_equal(private, RAM + MIB(64));
	assert_int_equal(shared, MIB(64));
	assert_int_equal(add(MIB(128)).offset, MIB(128));
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128)), "a", 1), -1);
	assert_int_equal(page_write(memory, gpa(PLACE + MIB(128) - 1), "a", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_plug_layout_is_above_all_ram),
	        cmocka_unit_test(test_plug_block_grows_with_the_guest),
	        cmocka_unit_test_setup_teardown(
	                test_plug_pieces_follow_each_other_up_to_the_most, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_plug_without_a_place_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_plug_door_opens_for_what_is_there, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_plug_record_counts_what_is_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
