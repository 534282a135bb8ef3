/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port, fw_cfg, the memory slots, power management and the flash chip, each in the middle of work.
 */
#include <linux/serial_reg.h>

#include "move.h"

#define COM1 0x3f8

static uint8_t in(struct pc *pc, uint64_t port)
{
	return (uint8_t)pc_in(pc, port, 1);
}

static void move_serial(struct move *move)
{
	move_kind(&move->from, &move->to, &device_serial_kind);
}

/* ---- the serial port ---- */

static void test_move_serial_input_arrives_in_its_order(void **state)
{
	static const char sent[] = "abcdefghijklmnopqrstu";
	struct move *move = *state;

	pc_use_serial(&move->from);
	move_serial(move);
	assert_int_equal(device_serial_input(device_serial_of(&move->to.board), "v", 1), 1);
	for (unsigned i = 0; i < 22; i++) {
		assert_true(in(&move->to, COM1 + UART_LSR) & UART_LSR_DR);
		assert_int_equal(in(&move->to, COM1), i < 21 ? sent[i] : 'v');
	}
	assert_false(in(&move->to, COM1 + UART_LSR) & UART_LSR_DR);
}

/* Where the oldest byte lies in a ring does not matter. */
static void test_move_serial_input_of_a_ring_that_has_turned(void **state)
{
	struct move *move = *state;
	uint8_t bytes[4000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	pc_use_serial(&move->from);
	for (unsigned i = 0; i < 21; i++)
		in(&move->from, COM1);
	assert_int_equal(device_serial_input(device_serial_of(&move->from.board), bytes, 4000), 4000);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(in(&move->from, COM1), bytes[i]);
	assert_int_equal(device_serial_input(device_serial_of(&move->from.board), bytes, 300), 300);
	move_serial(move);
	for (unsigned i = 300; i < 4300; i++)
		assert_int_equal(in(&move->to, COM1), bytes[i % 4000]);
}

/* The host on which the guest was writes what it said there. */
static void test_move_serial_output_stays(void **state)
{
	struct move *move = *state;
	char out[8];

	pc_use_serial(&move->from);
	move_serial(move);
	assert_int_equal(device_serial_output(device_serial_of(&move->to.board), out, sizeof(out)), 0);
	assert_int_equal(move->to.outputs, 0);
	assert_int_equal(device_serial_output(device_serial_of(&move->from.board), out, sizeof(out)), 1);
	assert_int_equal(out[0], 'x');
}

/* The line's edge is known to the interrupt controllers: it is not told again, but its end is. */
static void test_move_serial_edge_comes_once(void **state)
{
	struct move *move = *state;

	pc_use_serial(&move->from);
	assert_true(move->from.lines[DEVICE_SERIAL_GSI]);
	move_serial(move);
	assert_int_equal(move->to.rises[DEVICE_SERIAL_GSI], 0);
	move->to.lines[DEVICE_SERIAL_GSI] = true; /* as in the controllers that were loaded before */
	for (unsigned i = 0; i < 21; i++)
		in(&move->to, COM1);
	assert_false(move->to.lines[DEVICE_SERIAL_GSI]);
	device_serial_input(device_serial_of(&move->to.board), "v", 1);
	assert_true(move->to.lines[DEVICE_SERIAL_GSI]);
	assert_int_equal(move->to.rises[DEVICE_SERIAL_GSI], 1);
}

/* A guest that waits for a transmitter which was busy would wait for ever: here it is empty. */
static void test_move_serial_guest_that_waits_to_send_goes_on(void **state)
{
	struct move *move = *state;

	pc_out(&move->from, COM1 + UART_MCR, 1, UART_MCR_OUT2);
	pc_out(&move->from, COM1 + UART_IER, 1, UART_IER_THRI);
	while (in(&move->from, COM1 + UART_LSR) & UART_LSR_THRE)
		pc_out(&move->from, COM1, 1, '.');
	assert_false(move->from.lines[DEVICE_SERIAL_GSI]);
	load_kind(&move->from, &move->to, &device_serial_kind);
	assert_true(in(&move->to, COM1 + UART_LSR) & UART_LSR_THRE);
	assert_int_equal(move->to.rises[DEVICE_SERIAL_GSI], 1);
	assert_int_equal(in(&move->to, COM1 + UART_IIR), UART_IIR_THRI);
	assert_false(move->to.lines[DEVICE_SERIAL_GSI]);
}

/* The transmitter's interrupt that the guest has taken does not come again. */
static void test_move_serial_taken_interrupt_stays_taken(void **state)
{
	struct move *move = *state;

	pc_out(&move->from, COM1 + UART_MCR, 1, UART_MCR_OUT2);
	pc_out(&move->from, COM1 + UART_IER, 1, UART_IER_THRI);
	assert_int_equal(in(&move->from, COM1 + UART_IIR), UART_IIR_THRI);
	move_serial(move);
	assert_int_equal(in(&move->to, COM1 + UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(move->to.rises[DEVICE_SERIAL_GSI], 0);
}

static void test_move_serial_loopback(void **state)
{
	struct move *move = *state;

	pc_out(&move->from, COM1 + UART_MCR, 1, UART_MCR_LOOP | UART_MCR_RTS);
	pc_out(&move->from, COM1, 1, 'l');
	pc_out(&move->from, COM1, 1, 'm');
	(void)device_serial_input(device_serial_of(&move->from.board), "typed", 5);
	move_serial(move);
	assert_int_equal(in(&move->to, COM1 + UART_MSR), UART_MSR_CTS | UART_MSR_DDSR | UART_MSR_DDCD);
	assert_true(in(&move->to, COM1 + UART_LSR) & UART_LSR_OE);
	assert_int_equal(in(&move->to, COM1), 'm');
	assert_false(in(&move->to, COM1 + UART_LSR) & UART_LSR_DR);
	pc_out(&move->to, COM1 + UART_MCR, 1, 0);
	assert_int_equal(in(&move->to, COM1), 't');
}

/* ---- power management ---- */

static void test_move_power_sci_is_high_until_the_guest_clears_the_event(void **state)
{
	struct move *move = *state;

	pc_use_pci(&move->from);
	pc_use_power(&move->from);
	move_kind(&move->from, &move->to, &device_pci_kind);
	move_kind(&move->from, &move->to, &device_power_kind);
	assert_true(move->to.lines[DEVICE_POWER_GSI]);
	assert_int_equal(move->to.rises[DEVICE_POWER_GSI], 1);
	assert_int_equal(pc_in(&move->to, PC_PM, 2), 0x0100);
	pc_out(&move->to, PC_PM, 2, 0x0100);
	assert_false(move->to.lines[DEVICE_POWER_GSI]);
	assert_int_equal(in(&move->to, 0xcf9), 2);
	assert_int_equal(in(&move->to, 0x92), 0);
}

/* ---- fw_cfg ---- */

static void test_move_fw_cfg_reading_goes_on(void **state)
{
	struct move *move = *state;

	pc_use_fw_cfg(&move->from);
	move_kind(&move->from, &move->to, &device_fw_cfg_kind);
	for (unsigned i = 3; i < 10; i++)
		assert_int_equal(in(&move->to, 0x511), '0' + i);
	assert_int_equal(in(&move->to, 0x511), 0);
}

static void test_move_fw_cfg_other_items_are_refused(void **state)
{
	struct move *move = *state;
	struct device_fw_cfg *there = device_fw_cfg_of(&move->from.board);
	struct device_fw_cfg *here = device_fw_cfg_of(&move->to.board);
	struct err err;

	assert_ok(device_fw_cfg_add_number(there, FW_CFG_KERNEL_SIZE, 1, 4, &err));
	assert_refused(&move->from, &move->to, &device_fw_cfg_kind,
	        "the number of items with key 0x8 is 1 there and 0 here");
	assert_ok(device_fw_cfg_add_number(here, FW_CFG_KERNEL_SIZE, 1, 2, &err));
	assert_refused(&move->from, &move->to, &device_fw_cfg_kind,
	        "the size of the item with key 0x8 is 4 there and 2 here");
	assert_ok(device_fw_cfg_add_file(there, "etc/a", "1", 1, &err));
	assert_refused(&move->from, &move->to, &device_fw_cfg_kind, "the files there have other names");
	assert_ok(device_fw_cfg_add_file(here, "etc/b", "1", 1, &err));
	assert_refused(&move->from, &move->to, &device_fw_cfg_kind, "the files there have other names");
}

static void count_up(void *ctx, uint8_t *data, size_t size)
{
	data[0]++;
}

/* A file that follows other devices is made anew there, and not when it is saved. */
static void test_move_fw_cfg_file_is_brought_up_to_date(void **state)
{
	struct move *move = *state;

	device_fw_cfg_follow(device_fw_cfg_of(&move->from.board), "etc/e820", count_up, NULL);
	device_fw_cfg_follow(device_fw_cfg_of(&move->to.board), "etc/e820", count_up, NULL);
	pc_out(&move->from, 0x510, 2, 0x21);
	move_kind(&move->from, &move->to, &device_fw_cfg_kind);
	assert_int_equal(in(&move->from, 0x511), '0' + 1);
	assert_int_equal(in(&move->to, 0x511), '0' + 1);
}

/* ---- memory slots ---- */

static void test_move_dimms_are_there_before_the_rest(void **state)
{
	struct device_dimm list[PAGE_PLUGS_MAX];
	struct move *move = *state;

	pc_use_dimms(&move->from);
	move_dimms(&move->from, &move->to);
	assert_int_equal(device_dimms_list(device_dimms_of(&move->to.board), list), 2);
	assert_int_equal(list[1].gpa.raw, PC_DIMM + MIB(128));
	assert_int_equal(list[1].size_bytes, MIB(256));
	assert_false(list[1].answered);
	/* What the guest was told there, and has done since, it is not told again. */
	pc_out(&move->from, DEVICE_POWER_GPE_PORT, 1, 1u << DEVICE_DIMMS_GPE);
	assert_int_equal(pc_in(&move->to, DEVICE_POWER_GPE_PORT, 1), 1u << DEVICE_DIMMS_GPE);
	move_kind(&move->from, &move->to, &device_power_kind);
	move_kind(&move->from, &move->to, &device_dimms_kind);
	assert_int_equal(pc_in(&move->to, DEVICE_POWER_GPE_PORT, 1), 0);
	device_dimms_list(device_dimms_of(&move->to.board), list);
	assert_true(list[1].answered);
	assert_int_equal(list[1].status, 0x81);
	assert_int_equal(list[1].answers, 1);
	pc_out(&move->to, DEVICE_DIMMS_PORT, 4, 0);
	assert_int_equal(in(&move->to, DEVICE_DIMMS_PORT + 20), 3);
}

static void test_move_dimms_without_their_memory_are_refused(void **state)
{
	struct move *move = *state;

	pc_use_dimms(&move->from);
	assert_refused(
	        &move->from, &move->to, &device_dimms_kind, "the number of DIMMs is 2 there and 0 here");
	device_dimms_add(device_dimms_of(&move->to.board), gpa(PC_DIMM), MIB(128));
	device_dimms_add(device_dimms_of(&move->to.board), gpa(PC_DIMM + MIB(128)), MIB(128));
	assert_refused(&move->from, &move->to, &device_dimms_kind,
	        "the size of a DIMM is 268435456 there and 134217728 here");
}

/* ---- devices that cannot be moved ---- */

static const char *never(struct device *device)
{
	return "a device is tied to this host";
}

static int init_nothing(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	return 0;
}

static void test_move_reason_of_a_device_is_told(void **state)
{
	static const struct device_kind tied = {
	        .name = "tied", .size = sizeof(struct device), .init = init_nothing, .unmovable = never};
	struct move *move = *state;
	struct err err;

	pc_use(&move->from);
	assert_null(device_board_unmovable(&move->from.board));
	assert_ok(device_board_add(&move->from.board, &tied, NULL, &err));
	assert_string_equal(device_board_unmovable(&move->from.board), "a device is tied to this host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_move_serial_input_arrives_in_its_order),
	        TEST(test_move_serial_input_of_a_ring_that_has_turned),
	        TEST(test_move_serial_output_stays),
	        TEST(test_move_serial_edge_comes_once),
	        TEST(test_move_serial_guest_that_waits_to_send_goes_on),
	        TEST(test_move_serial_taken_interrupt_stays_taken),
	        TEST(test_move_serial_loopback),
	        TEST(test_move_power_sci_is_high_until_the_guest_clears_the_event),
	        TEST(test_move_fw_cfg_reading_goes_on),
	        TEST(test_move_fw_cfg_other_items_are_refused),
	        TEST(test_move_fw_cfg_file_is_brought_up_to_date),
	        TEST(test_move_dimms_are_there_before_the_rest),
	        TEST(test_move_dimms_without_their_memory_are_refused),
	        TEST(test_move_reason_of_a_device_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
