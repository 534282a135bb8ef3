/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BARs: software finds their sizes, puts them anywhere and takes them away again (PCI 3.0, 6.2.5.1).
 */
#include "pci_card.h"

#define SLOT  3
#define SMALL 0 /* 32 bits, 4 KiB */
#define WIDE  2 /* 64 bits, 64 KiB */

struct fixture {
	struct card_board b;
	uint8_t cells[KIB(64)];
	unsigned moves;
	bool on;
	uint64_t base;
	unsigned widest;
};

static uint64_t on_read(void *ctx, uint64_t offset, unsigned size)
{
	struct fixture *f = ctx;

	f->widest = size > f->widest ? size : f->widest;
	return load_le(&f->cells[offset], size);
}

static enum device_verdict on_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct fixture *f = ctx;

	store_le(&f->cells[offset], size, value);
	return DEVICE_RESUME;
}

static void on_move(void *ctx, bool on, uint64_t base)
{
	struct fixture *f = ctx;

	f->moves++;
	f->on = on;
	f->base = base;
}

static struct device_pci_setup card(struct fixture *f)
{
	struct device_pci_setup setup = {
	        .device = DEVICE_PCI_ANY, .vendor_id = 0x1af4, .device_id = 1, .ctx = f};

	setup.bars[SMALL] = (struct device_pci_bar){
	        .name = "small", .size = KIB(4), .read = on_read, .write = on_write, .on_move = on_move};
	setup.bars[WIDE] = (struct device_pci_bar){
	        .name = "wide", .size = KIB(64), .wide = true, .read = on_read, .write = on_write};
	return setup;
}

static int setup(void **state)
{
	static struct fixture f;
	struct device_pci_function *function;
	struct device_pci_setup one;
	struct err err;

	f = (struct fixture){0};
	card_board_init(&f.b);
	one = card(&f);
	assert_ok(device_pci_add(f.b.pci, &one, &function, &err));
	assert_int_equal(device_pci_slot(function), SLOT);
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

/* The word that is written to learn a size changes only the bits above the size. */
static void test_bar_size_is_found_by_writing_ones(void **state)
{
	struct fixture *f = *state;
	static const uint32_t expected[6] = {0xfffff000, 0, 0xffff0004, 0xffffffff, 0, 0};

	assert_int_equal(config_get(&f->b, SLOT, BAR(WIDE)), 0x4);
	for (unsigned i = 0; i < 6; i++) {
		config_set(&f->b, SLOT, BAR(i), 0xffffffff);
		assert_int_equal(config_get(&f->b, SLOT, BAR(i)), expected[i]);
		config_set(&f->b, SLOT, BAR(i), 0);
	}
	assert_int_equal(f->moves, 0);
}

static void test_bar_answers_only_where_it_is_and_while_memory_is_on(void **state)
{
	struct fixture *f = *state;

	f->cells[8] = 0x5a;
	config_set(&f->b, SLOT, BAR(SMALL), 0xe0000000);
	assert_int_equal(mmio_get(&f->b, 0xe0000008, 1), 0xff);
	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	assert_int_equal(mmio_get(&f->b, 0xe0000008, 1), 0x5a);
	assert_int_equal(mmio_get(&f->b, 0xe0001000, 1), 0xff);
	config_set(&f->b, SLOT, BAR(SMALL), 0x90000000);
	assert_int_equal(mmio_get(&f->b, 0xe0000008, 1), 0xff);
	assert_int_equal(mmio_get(&f->b, 0x90000008, 1), 0x5a);
	mmio_set(&f->b, 0x90000010, 8, 0x1122334455667788);
	assert_int_equal(load_le(&f->cells[16], 8), 0x1122334455667788);
	config_set(&f->b, SLOT, COMMAND, 0);
	assert_int_equal(mmio_get(&f->b, 0x90000008, 1), 0xff);
}

/* Each change is told once, with where the region is then. Other writes are not told. */
static void test_bar_moves_are_told(void **state)
{
	struct fixture *f = *state;

	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	assert_true(f->moves == 1 && f->on && f->base == 0);
	config_set(&f->b, SLOT, BAR(SMALL), 0x80001000);
	assert_true(f->moves == 2 && f->on && f->base == 0x80001000);
	config_set(&f->b, SLOT, BAR(SMALL), 0x80001000);
	config_set(&f->b, SLOT, BAR(WIDE), 0xc0000000);
	config_set(&f->b, SLOT, 0x3c, 11);
	assert_int_equal(f->moves, 2);
	config_set(&f->b, SLOT, COMMAND, 0);
	assert_true(f->moves == 3 && !f->on);
	config_set(&f->b, SLOT, BAR(SMALL), 0x80002000);
	assert_int_equal(f->moves, 3);
}

static void test_bar_wide_lies_anywhere_in_64_bits(void **state)
{
	static const uint64_t bases[] = {
	        0x80000000, 0xfbff0000, 0x100000000, 0xe000000000, 0x7fffffff0000, 0xfffffffffffe0000};
	struct fixture *f = *state;

	store_le(&f->cells[0xfff8], 8, 0x0123456789abcdef);
	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		config_set(&f->b, SLOT, BAR(WIDE), (uint32_t)bases[i]);
		config_set(&f->b, SLOT, BAR(WIDE + 1), (uint32_t)(bases[i] >> 32));
		assert_int_equal(mmio_get(&f->b, bases[i] + 0xfff8, 8), 0x0123456789abcdef);
		assert_int_equal(config_get(&f->b, SLOT, BAR(WIDE)), (uint32_t)bases[i] | 4);
	}
	assert_int_equal(f->widest, 8);
	/* Software that looks for the size leaves memory on: the region would end beyond the last byte. */
	config_set(&f->b, SLOT, BAR(WIDE), 0xffffffff);
	config_set(&f->b, SLOT, BAR(WIDE + 1), 0xffffffff);
	assert_int_equal(mmio_get(&f->b, 0xfffffffffffffff0, 4), 0xffffffff);
}

/* A guest may put one over the other. Something answers, and nothing else happens. */
static void test_bar_over_another_answers_as_one_of_them(void **state)
{
	struct fixture *f = *state;

	f->cells[4] = 0x77;
	config_set(&f->b, SLOT, BAR(SMALL), 0xa0000000);
	config_set(&f->b, SLOT, BAR(WIDE), 0xa0000000);
	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	assert_int_equal(mmio_get(&f->b, 0xa0000004, 1), 0x77);
	config_set(&f->b, SLOT, BAR(WIDE), 0xb0000000);
	assert_int_equal(mmio_get(&f->b, 0xa0000004, 1), 0x77);
}

static void test_bar_is_off_after_a_reset(void **state)
{
	struct fixture *f = *state;

	config_set(&f->b, SLOT, BAR(SMALL), 0xe0000000);
	config_set(&f->b, SLOT, COMMAND, COMMAND_MEMORY);
	reset_device(&f->b.board, &device_pci_kind);
	assert_false(f->on);
	assert_int_equal(mmio_get(&f->b, 0xe0000000, 4), 0xffffffff);
	assert_int_equal(config_get(&f->b, SLOT, BAR(SMALL)), 0);
}

static void test_bar_that_cannot_be_is_refused(void **state)
{
	static const struct {
		unsigned bar, msix_bar;
		uint64_t size;
		bool wide;
	} wrong[] = {{0, 1, 8, false}, {0, 1, 24, false}, {0, 1, GIB(4), false}, {5, 1, KIB(4), true},
	        {0, 0, KIB(4), false}, {0, 6, KIB(4), false}, {0, 1, KIB(4), true}};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct device_pci_setup setup = {.device = 4, .msix_vectors = 1};
		struct card_board b;
		struct err err;

		setup.msix_bar = wrong[i].msix_bar;
		setup.bars[wrong[i].bar] = (struct device_pci_bar){
		        .name = "wrong", .size = wrong[i].size, .wide = wrong[i].wide};
		card_board_init(&b);
		assert_fails(device_pci_add(b.pci, &setup, NULL, &err), ERR_FAILED, "BAR");
		device_board_finish(&b.board);
	}
}

/* Slots are given away from the third on; when all are taken, the user learns it. */
static void test_bar_functions_fill_the_bus(void **state)
{
	struct device_pci_setup setup = {.device = DEVICE_PCI_ANY};
	struct device_pci_function *function;
	struct card_board b;
	struct err err;

	card_board_init(&b);
	for (unsigned i = DEVICE_PCI_FIRST; i < 32; i++) {
		assert_ok(device_pci_add(b.pci, &setup, &function, &err));
		assert_int_equal(device_pci_slot(function), i);
	}
	assert_fails(device_pci_add(b.pci, &setup, &function, &err), ERR_USAGE, "more devices than");
	device_board_finish(&b.board);
}

/* Capabilities are a list in the order of adding, and end where configuration space ends. */
static void test_bar_capabilities_are_linked(void **state)
{
	static const uint8_t first[] = {0x09, 0xee, 6, 0, 0xab, 0xcd}, mask[] = {0, 0, 0, 0, 0x0f, 0};
	uint8_t large[256 - 0x48 + 1] = {0x05}, at;
	struct device_pci_setup setup = {.device = 4};
	struct device_pci_function *function;
	struct card_board b;
	struct err err;

	card_board_init(&b);
	assert_ok(device_pci_add(b.pci, &setup, &function, &err));
	assert_int_equal(config_get(&b, 4, COMMAND), 0);
	assert_ok(device_pci_add_capability(function, first, mask, sizeof(first), &at, &err));
	assert_int_equal(at, 0x40);
	assert_fails(device_pci_add_capability(function, large, NULL, sizeof(large), &at, &err), ERR_FAILED,
	        "does not fit");
	assert_ok(device_pci_add_capability(function, large, NULL, sizeof(large) - 1, &at, &err));
	assert_int_equal(config_get(&b, 4, COMMAND) >> 16, 0x10);
	assert_int_equal(config_find(&b, 4, 0x05), 0x48);
	assert_int_equal(config_get(&b, 4, 0x40), 0x00064809);
	config_set(&b, 4, 0x44, 0xffffffff);
	assert_int_equal(config_get(&b, 4, 0x44), 0xcdaf);
	device_board_finish(&b.board);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_bar_size_is_found_by_writing_ones),
	        TEST(test_bar_answers_only_where_it_is_and_while_memory_is_on),
	        TEST(test_bar_moves_are_told),
	        TEST(test_bar_wide_lies_anywhere_in_64_bits),
	        TEST(test_bar_over_another_answers_as_one_of_them),
	        TEST(test_bar_is_off_after_a_reset),
	        cmocka_unit_test(test_bar_that_cannot_be_is_refused),
	        cmocka_unit_test(test_bar_functions_fill_the_bus),
	        cmocka_unit_test(test_bar_capabilities_are_linked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
