/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt pins: level-triggered lines that functions share (PCI 3.0, 2.2.6, 6.2.3).
 */
#include "pci_card.h"

/* Pins of devices whose numbers differ by four share a line. */
#define SLOT  3
#define OTHER 7
#define GSI   19

struct fixture {
	struct card_board b;
	struct device_pci_function *function, *other;
};

static int setup(void **state)
{
	static struct fixture f;
	struct device_pci_setup setup = {.device = SLOT, .interrupt_pin = 1, .msix_vectors = 1};
	struct err err;

	f = (struct fixture){0};
	card_board_init(&f.b);
	assert_ok(device_pci_add(f.b.pci, &setup, &f.function, &err));
	setup.device = OTHER;
	assert_ok(device_pci_add(f.b.pci, &setup, &f.other, &err));
	device_bus_freeze(f.b.board.bus);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->b.board);
	return 0;
}

static void test_pins_go_to_the_lines_of_the_table(void **state)
{
	assert_int_equal(device_pci_gsi(SLOT, 1), GSI);
	assert_int_equal(device_pci_gsi(OTHER, 1), GSI);
	assert_int_equal(device_pci_gsi(SLOT, 2), 16);
	assert_int_equal(device_pci_gsi(0, 1), 16);
	assert_int_equal(device_pci_gsi(31, 4), 18);
}

static void test_pins_sharing_a_line_keep_it_high(void **state)
{
	struct fixture *f = *state;

	device_pci_interrupt(f->function, true);
	device_pci_interrupt(f->other, true);
	assert_int_equal(f->b.irq.rises[GSI], 1);
	device_pci_interrupt(f->function, false);
	assert_true(f->b.irq.level[GSI]);
	device_pci_interrupt(f->function, false);
	assert_true(f->b.irq.level[GSI]);
	device_pci_interrupt(f->other, false);
	assert_false(f->b.irq.level[GSI]);
}

/* The status bit shows what the device wants, whether the pin is on or not. */
static void test_pins_can_be_disabled(void **state)
{
	struct fixture *f = *state;

	config_set(&f->b, SLOT, COMMAND, COMMAND_NO_PIN);
	device_pci_interrupt(f->function, true);
	assert_false(f->b.irq.level[GSI]);
	assert_true(config_get(&f->b, SLOT, COMMAND) & STATUS_PIN);
	config_set(&f->b, SLOT, COMMAND, 0);
	assert_true(f->b.irq.level[GSI]);
	config_set(&f->b, SLOT, COMMAND, COMMAND_NO_PIN);
	assert_false(f->b.irq.level[GSI]);
	device_pci_interrupt(f->function, false);
	assert_false(config_get(&f->b, SLOT, COMMAND) & STATUS_PIN);
}

static void test_pins_are_silent_with_msix(void **state)
{
	struct fixture *f = *state;
	unsigned msix = config_find(&f->b, SLOT, 0x11);

	device_pci_interrupt(f->function, true);
	config_set(&f->b, SLOT, msix, 0x80000000);
	assert_false(f->b.irq.level[GSI]);
	config_set(&f->b, SLOT, msix, 0);
	assert_true(f->b.irq.level[GSI]);
}

static void test_pins_are_low_after_a_reset(void **state)
{
	struct fixture *f = *state;

	device_pci_interrupt(f->function, true);
	device_pci_interrupt(f->other, true);
	reset_device(&f->b.board, &device_pci_kind);
	assert_false(f->b.irq.level[GSI]);
	assert_false(config_get(&f->b, SLOT, COMMAND) & STATUS_PIN);
	device_pci_interrupt(f->other, true);
	assert_true(f->b.irq.level[GSI]);
}

static void toggle(void *ctx, unsigned round)
{
	struct fixture *f = ctx;

	device_pci_interrupt(round % 2 ? f->function : f->other, round % 4 < 2);
}

/* Whatever happens at once, the line has the right level in the end. */
static void test_pins_from_several_threads(void **state)
{
	struct fixture *f = *state;

	hammer_from_two_threads(f->b.board.bus, 0xcf8, 8, toggle, f);
	config_set(&f->b, SLOT, config_find(&f->b, SLOT, 0x11), 0);
	config_set(&f->b, OTHER, config_find(&f->b, OTHER, 0x11), 0);
	config_set(&f->b, SLOT, COMMAND, 0);
	config_set(&f->b, OTHER, COMMAND, 0);
	device_pci_interrupt(f->function, true);
	device_pci_interrupt(f->other, false);
	assert_true(f->b.irq.level[GSI]);
	device_pci_interrupt(f->function, false);
	assert_false(f->b.irq.level[GSI]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_pins_go_to_the_lines_of_the_table),
	        TEST(test_pins_sharing_a_line_keep_it_high),
	        TEST(test_pins_can_be_disabled),
	        TEST(test_pins_are_silent_with_msix),
	        TEST(test_pins_are_low_after_a_reset),
	        TEST(test_pins_from_several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
