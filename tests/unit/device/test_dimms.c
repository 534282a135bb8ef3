/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of QEMU's docs/specs/acpi_mem_hotplug.rst, and the event that tells of them. */
#include "guest.h"
#include "vmm/device/dimms.h"
#include "vmm/device/power.h"

#define PORT 0xa00
#define GPE  0xafe0

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_dimms *dimms;
	struct fake_clock clock;
	struct fake_irq irq;
	unsigned answers; /* that the board's owner was told of */
};

static void on_answer(void *ctx)
{
	struct fixture *f = ctx;

	f->answers++;
}

static void start(struct fixture *f, bool announced)
{
	const struct device_dimms_ask ask = {announced};
	struct err err;

	*f = (struct fixture){0};
	f->board.irq = fake_irq(&f->irq);
	f->board.clock = fake_clock(&f->clock);
	f->board.events = (struct device_events){.on_dimm_answer = on_answer, .ctx = f};
	assert_ok(device_board_init(&f->board, &err));
	assert_ok(device_board_add(&f->board, &device_pci_kind, NULL, &err));
	assert_ok(device_board_add(&f->board, &device_power_kind, NULL, &err));
	assert_ok(device_board_add(&f->board, &device_dimms_kind, &ask, &err));
	f->bus = f->board.bus;
	f->dimms = device_dimms_of(&f->board);
	device_bus_freeze(f->bus);
}

static int setup(void **state)
{
	static struct fixture f;

	start(&f, true);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	return 0;
}

static void check_slot(struct fixture *f, unsigned slot, uint64_t base, uint64_t size, unsigned flags)
{
	outl(f->bus, PORT, slot);
	assert_int_equal(inl(f->bus, PORT) | (uint64_t)inl(f->bus, PORT + 4) << 32, base);
	assert_int_equal(inl(f->bus, PORT + 8) | (uint64_t)inl(f->bus, PORT + 12) << 32, size);
	assert_int_equal(inl(f->bus, PORT + 16), 0);
	assert_int_equal(inb(f->bus, PORT + 20), flags);
}

static void test_dimms_empty_slots_are_zeros_and_others_ones(void **state)
{
	struct fixture *f = *state;

	check_slot(f, 0, 0, 0, 0);
	check_slot(f, PAGE_PLUGS_MAX - 1, 0, 0, 0);
	outl(f->bus, PORT, PAGE_PLUGS_MAX);
	assert_int_equal(inl(f->bus, PORT), UINT32_MAX);
	assert_int_equal(inb(f->bus, PORT + 20), 0xff);
	/* Writes go nowhere. */
	outb(f->bus, PORT + 20, 2);
	outl(f->bus, PORT + 8, 1);
	outl(f->bus, PORT, UINT32_MAX);
	outl(f->bus, PORT + 8, 1);
	assert_int_equal(inl(f->bus, PORT), UINT32_MAX);
	assert_false(f->irq.level[9]);
}

static void test_dimms_new_one_is_told_until_the_guest_has_heard(void **state)
{
	struct fixture *f = *state;

	outb(f->bus, GPE + 2, 1 << DEVICE_DIMMS_GPE);
	device_dimms_add(f->dimms, gpa(GIB(5)), GIB(62));
	assert_true(f->irq.level[9]);
	assert_int_equal(inw(f->bus, GPE), 1 << DEVICE_DIMMS_GPE);
	check_slot(f, 0, GIB(5), GIB(62), 3);
	check_slot(f, 1, 0, 0, 0);

	/* The guest clears the event, then the news. */
	outw(f->bus, GPE, 1 << DEVICE_DIMMS_GPE);
	assert_false(f->irq.level[9]);
	outl(f->bus, PORT, 0);
	outb(f->bus, PORT + 20, 2);
	check_slot(f, 0, GIB(5), GIB(62), 1);
	device_dimms_add(f->dimms, gpa(GIB(67)), MIB(128));
	assert_true(f->irq.level[9]);
	check_slot(f, 0, GIB(5), GIB(62), 1);
	check_slot(f, 1, GIB(67), MIB(128), 3);
}

static void test_dimms_event_waits_until_it_is_enabled(void **state)
{
	struct fixture *f = *state;

	device_dimms_add(f->dimms, gpa(GIB(4)), MIB(128));
	assert_false(f->irq.level[9]);
	outb(f->bus, GPE + 2, 1 << DEVICE_DIMMS_GPE);
	assert_true(f->irq.level[9]);
	outb(f->bus, GPE + 2, 0);
	assert_false(f->irq.level[9]);
}

static void test_dimms_answer_of_the_system_is_kept(void **state)
{
	struct device_dimm list[PAGE_PLUGS_MAX];
	struct fixture *f = *state;

	assert_int_equal(device_dimms_list(f->dimms, list), 0);
	device_dimms_add(f->dimms, gpa(GIB(4)), MIB(128));
	assert_int_equal(device_dimms_list(f->dimms, list), 1);
	assert_false(list[0].answered);
	outl(f->bus, PORT, 1);
	outl(f->bus, PORT + 4, 1);
	outl(f->bus, PORT + 8, 0x80); /* for a slot that is empty */
	outl(f->bus, PORT, 0);
	outl(f->bus, PORT + 4, 1);
	assert_int_equal(f->answers, 0);
	outl(f->bus, PORT + 8, 0x81);
	assert_int_equal(f->answers, 1);
	device_dimms_list(f->dimms, list);
	assert_true(list[0].answered);
	assert_int_equal(list[0].answers, 1);
	assert_int_equal(list[0].source, 1);
	assert_int_equal(list[0].status, 0x81);
	assert_int_equal(list[0].gpa.raw, GIB(4));
	assert_int_equal(list[0].size_bytes, MIB(128));
}

static void test_dimms_stay_after_a_reset_and_are_not_new(void **state)
{
	struct device_dimm list[PAGE_PLUGS_MAX];
	struct fixture *f = *state;

	device_dimms_add(f->dimms, gpa(GIB(4)), MIB(128));
	outl(f->bus, PORT + 4, 1);
	outl(f->bus, PORT + 8, 0x81);
	outl(f->bus, PORT, 3);
	device_board_reset(&f->board);
	assert_int_equal(inw(f->bus, GPE), 0);
	assert_int_equal(inb(f->bus, PORT + 20), 1); /* slot 0 is selected */
	check_slot(f, 0, GIB(4), MIB(128), 1);
	assert_int_equal(device_dimms_list(f->dimms, list), 1);
	assert_false(list[0].answered);
	assert_int_equal(list[0].source, 0);
	assert_int_equal(list[0].status, 0);
	assert_int_equal(list[0].answers, 1);
}

static void test_dimms_that_are_not_announced_make_no_event(void **state)
{
	struct fixture *f = *state;

	assert_true(device_dimms_are_announced(&f->board));
	device_board_finish(&f->board);
	start(f, false);
	assert_false(device_dimms_are_announced(&f->board));
	outw(f->bus, GPE + 2, 0xffff);
	device_dimms_add(f->dimms, gpa(GIB(4)), MIB(128));
	assert_false(f->irq.level[9]);
	assert_int_equal(inw(f->bus, GPE), 0);
	check_slot(f, 0, GIB(4), MIB(128), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_dimms_empty_slots_are_zeros_and_others_ones),
	        TEST(test_dimms_new_one_is_told_until_the_guest_has_heard),
	        TEST(test_dimms_event_waits_until_it_is_enabled),
	        TEST(test_dimms_answer_of_the_system_is_kept),
	        TEST(test_dimms_stay_after_a_reset_and_are_not_new),
	        TEST(test_dimms_that_are_not_announced_make_no_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
