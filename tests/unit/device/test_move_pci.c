/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions that were moved: BARs lie where they did, no interrupt is lost and none comes twice. */
#include <sys/eventfd.h>

#include "move.h"

#define LINE (device_pci_gsi(PC_CARD, 1))

static void move_pci(struct move *move)
{
	move_kind(&move->from, &move->to, &device_pci_kind);
}

static struct device_msix *msix_of(const struct pc *pc)
{
	return device_pci_msix(pc->card);
}

static void mask(struct pc *pc, unsigned vector, bool masked)
{
	pc_store(pc, PC_TABLE + 16 * vector + 12, 4, masked);
}

static uint64_t pending(struct pc *pc)
{
	return pc_load(pc, PC_TABLE + 16 * PC_VECTORS, 8);
}

static void test_move_pci_bars_lie_where_the_guest_put_them(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	move_pci(move);
	assert_true(move->to.bar_on);
	assert_int_equal(move->to.bar_base, PC_BAR);
	assert_int_equal(pc_load(&move->to, PC_BAR + 0x24, 4), 0x24);
	assert_int_equal(pc_load(&move->to, PC_TABLE, 8), 0xfee00000);
	assert_int_equal(device_power_port(device_power_of(&move->to.board)), PC_PM);
	assert_int_equal(pc_in(&move->to, PC_PM + 2, 2), 0);
}

static void test_move_pci_bars_that_are_off_stay_off(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	pc_set_config(&move->from, PC_CARD, 0, 4, 0);
	move_pci(move);
	assert_false(move->to.bar_on);
	assert_int_equal(pc_load(&move->to, PC_BAR, 4), UINT32_MAX);
	assert_int_equal(pc_config(&move->to, PC_CARD, 0x10), PC_BAR);
}

/* ---- the pins, of which two share a line ---- */

static void test_move_pci_shared_line_is_high_until_both_pins_are_low(void **state)
{
	struct move *move = *state;

	device_pci_interrupt(move->from.card, true);
	device_pci_interrupt(move->from.neighbour, true);
	move_pci(move);
	assert_true(move->to.lines[LINE]);
	assert_int_equal(move->to.rises[LINE], 1);
	assert_true(pc_config(&move->to, PC_CARD, 4) & 1u << 19);
	device_pci_interrupt(move->to.card, false);
	assert_true(move->to.lines[LINE]);
	device_pci_interrupt(move->to.neighbour, false);
	assert_false(move->to.lines[LINE]);
	assert_int_equal(move->to.rises[LINE], 1);
}

static void test_move_pci_disabled_pin_waits(void **state)
{
	struct move *move = *state;

	pc_set_config(&move->from, PC_NEIGHBOUR, 0, 4, 0x0400);
	device_pci_interrupt(move->from.neighbour, true);
	move_pci(move);
	assert_int_equal(move->to.rises[LINE], 0);
	assert_true(pc_config(&move->to, PC_NEIGHBOUR, 4) & 1u << 19);
	pc_set_config(&move->to, PC_NEIGHBOUR, 0, 4, 0);
	assert_true(move->to.lines[LINE]);
}

/* ---- vectors ---- */

static void test_move_pci_masked_vector_is_sent_when_it_is_unmasked(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	move_pci(move);
	assert_int_equal(move->to.wires.sent, 0);
	assert_int_equal(pending(&move->to), 2);
	mask(&move->to, 1, false);
	assert_int_equal(move->to.wires.sent, 1);
	assert_int_equal(move->to.wires.last.address, 0xfee01000);
	assert_int_equal(move->to.wires.last.data, 0x41);
	assert_int_equal(pending(&move->to), 0);
	mask(&move->to, 1, true);
	mask(&move->to, 1, false);
	assert_int_equal(move->to.wires.sent, 1);
}

static void test_move_pci_all_vectors_masked(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	mask(&move->from, 1, false);
	pc_set_config(&move->from, PC_CARD, 0, 0x40, 0xc0000000);
	device_msix_notify(msix_of(&move->from), 0);
	device_msix_notify(msix_of(&move->from), 3);
	move_pci(move);
	assert_int_equal(move->to.wires.sent, 0);
	assert_int_equal(pending(&move->to), 9);
	pc_set_config(&move->to, PC_CARD, 0, 0x40, 0x80000000);
	assert_int_equal(move->to.wires.sent, 2);
}

/* An eventfd's count, which nobody has read yet, is an interrupt that is pending. The count itself stays. */
static void test_move_pci_signalled_eventfd_is_pending(void **state)
{
	struct move *move = *state;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), there = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count;

	pc_use_pci(&move->from);
	mask(&move->from, 2, true);
	assert_int_equal(device_msix_connect(msix_of(&move->from), 2, fd), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	move_pci(move);
	assert_int_equal(pending(&move->to), 6);
	assert_int_equal(device_msix_connect(msix_of(&move->to), 2, there), 0);
	mask(&move->to, 2, false);
	assert_int_equal(move->to.wires.sent, 1);
	assert_int_equal(move->to.wires.last.data, 0x42);
	assert_int_equal(move->to.wires.bound_count, 1);
	assert_int_equal(eventfd_read(fd, &count), 0);
	device_msix_disconnect(msix_of(&move->from), fd);
	device_msix_disconnect(msix_of(&move->to), there);
	close(fd);
	close(there);
}

/* The kernel refused to read the eventfd, so its interrupt waited although nothing masks the vector. */
static void test_move_pci_waiting_vector_that_nothing_masks_is_sent(void **state)
{
	struct move *move = *state;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	pc_use_pci(&move->from);
	mask(&move->from, 2, true);
	assert_int_equal(device_msix_connect(msix_of(&move->from), 2, fd), 0);
	move->from.wires.refuse = true;
	mask(&move->from, 2, false);
	assert_int_equal(eventfd_write(fd, 1), 0);
	load_kind(&move->from, &move->to, &device_pci_kind);
	assert_int_equal(move->to.wires.sent, 1);
	assert_int_equal(move->to.wires.last.data, 0x42);
	device_msix_disconnect(msix_of(&move->from), fd);
	close(fd);
}

static void test_move_pci_vectors_are_silent_without_msix(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	pc_set_config(&move->from, PC_CARD, 0, 0x40, 0);
	device_pci_interrupt(move->from.card, true);
	move_pci(move);
	mask(&move->to, 1, false);
	assert_int_equal(move->to.wires.sent, 0);
	assert_int_equal(pending(&move->to), 2);
	assert_true(move->to.lines[LINE]);
	/* The pin is silent as soon as MSI-X is on; the neighbour's still holds the line. */
	pc_set_config(&move->to, PC_CARD, 0, 0x40, 0x80000000);
	assert_int_equal(move->to.wires.sent, 1);
	device_pci_interrupt(move->to.neighbour, false);
	assert_false(move->to.lines[LINE]);
}

/* ---- other boards, and a state that is no good ---- */

static void test_move_pci_another_function_is_refused(void **state)
{
	const struct device_pci_setup setup = {.device = 9, .vendor_id = 0x1af4, .device_id = 0x1041};
	struct move *move = *state;
	struct err err;

	assert_ok(device_pci_add(device_pci_of(&move->from.board), &setup, NULL, &err));
	assert_refused(&move->from, &move->to, &device_pci_kind, "bytes are left over");
	assert_refused(&move->to, &move->from, &device_pci_kind,
	        "state of the PCI bus: it ends before the place of a PCI function");
}

/* Nothing has happened on a board that was given a state of which the end is missing. */
static void test_move_pci_bad_state_moves_and_raises_nothing(void **state)
{
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_pci_kind);
	struct vmstate s;
	struct err err;

	pc_use_pci(&move->from);
	mask(&move->from, 1, true);
	s = save(&move->from, i);
	assert_fails(device_board_load(&move->to.board, i, s.data, s.size - 1, &err), ERR_FAILED, "it ends");
	assert_false(move->to.bar_on);
	assert_int_equal(move->to.rises[LINE], 0);
	assert_int_equal(move->to.wires.sent, 0);
	vmstate_finish(&s);
}

/* Bits of the table that are always zero; the first entry of the card's vectors. */
static void test_move_pci_impossible_vectors_are_refused(void **state)
{
	static const struct {
		unsigned at;
		const char *part;
	} bits[] = {{0, "byte 0 of interrupt vector 0 is 0x03"}, {12, "byte 12 of"}, {13, "byte 13 of"},
	        {15, "byte 15 of"}, {16, "pending interrupts is 0x3"}};
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_pci_kind);

	for (size_t k = 0; k < ARRAY_LEN(bits); k++) {
		struct vmstate s = save(&move->from, i);
		size_t table = s.size - (8 + 256 + 1) - 17 * PC_VECTORS; /* before the neighbour */
		struct err err;

		s.data[table + bits[k].at] = 3;
		assert_fails(device_board_load(&move->to.board, i, s.data, s.size, &err), ERR_FAILED,
		        bits[k].part);
		vmstate_finish(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_move_pci_bars_lie_where_the_guest_put_them),
	        TEST(test_move_pci_bars_that_are_off_stay_off),
	        TEST(test_move_pci_shared_line_is_high_until_both_pins_are_low),
	        TEST(test_move_pci_disabled_pin_waits),
	        TEST(test_move_pci_masked_vector_is_sent_when_it_is_unmasked),
	        TEST(test_move_pci_all_vectors_masked),
	        TEST(test_move_pci_signalled_eventfd_is_pending),
	        TEST(test_move_pci_waiting_vector_that_nothing_masks_is_sent),
	        TEST(test_move_pci_vectors_are_silent_without_msix),
	        TEST(test_move_pci_another_function_is_refused),
	        TEST(test_move_pci_bad_state_moves_and_raises_nothing),
	        TEST(test_move_pci_impossible_vectors_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
