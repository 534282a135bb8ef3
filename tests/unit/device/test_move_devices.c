/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port, fw_cfg, the memory slots, power management and the flash chip, each in the middle of work.
 */
#include <fcntl.h>
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
	/* The guest was told there, if at all. */
	assert_int_equal(pc_in(&move->to, DEVICE_POWER_GPE_PORT, 1), 0);
	assert_int_equal(in(&move->to, DEVICE_DIMMS_PORT + 20), 1);
	move_kind(&move->from, &move->to, &device_dimms_kind);
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

/* Of a machine whose memory cannot grow, and of a list that is longer than there are slots. */
static void test_move_dimms_lists_that_cannot_be(void **state)
{
	const uint8_t none[4] = {0}, one[4 + 16] = {1}, many[4 + 17 * 16] = {17}, half[4 + 8] = {1};
	const struct {
		const void *data;
		size_t size;
		bool to_none;
		const char *part; /* NULL: it is possible */
	} cases[] = {
	        {none, sizeof(none), true, NULL},
	        {none, sizeof(none), false, NULL},
	        {one, sizeof(one), true, "the number of DIMMs is 1, and at most 0 is possible"},
	        {one, sizeof(one), false, NULL},
	        {many, sizeof(many), false, "the number of DIMMs is 17, and at most 16 is possible"},
	        {half, sizeof(half), false, "it ends before the size of a DIMM"},
	        {none, 3, false, "it ends before the number of DIMMs"},
	};
	struct move *move = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vmstate s = vmstate_load("memory slots", cases[i].data, cases[i].size);
		struct err err;

		device_dimms_visit(cases[i].to_none ? NULL : device_dimms_of(&move->to.board), &s);
		if (cases[i].part)
			assert_fails(vmstate_end(&s, &err), ERR_FAILED, cases[i].part);
		else
			assert_ok(vmstate_end(&s, &err));
	}
}

/* ---- the flash chip ---- */

static void move_flash(struct move *move)
{
	move_kind(&move->from, &move->to, &device_flash_kind);
}

static uint8_t byte_of_file(const struct pc *pc, off_t at)
{
	uint8_t byte;

	assert_int_equal(pread(pc->vars_fd, &byte, 1, at), 1);
	return byte;
}

static void test_move_flash_contents_reach_the_file(void **state)
{
	struct move *move = *state;

	pc_use_flash(&move->from);
	pc_store(&move->to, PC_FLASH + 5, 1, 0x40);
	pc_store(&move->to, PC_FLASH + 5, 1, 0x00);
	assert_int_equal(byte_of_file(&move->to, 5), 0x00);
	move_flash(move);
	assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES), 0x12);
	assert_int_equal(byte_of_file(&move->to, 5), 0xff);
	/* The range of three bytes is programmed as if nothing had happened. */
	pc_store(&move->to, PC_FLASH + DEVICE_FLASH_BLOCK_BYTES + 10, 1, 'c');
	pc_store(&move->to, PC_FLASH + DEVICE_FLASH_BLOCK_BYTES, 1, 0xd0);
	assert_int_equal(pc_load(&move->to, PC_FLASH, 1), 0x80);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(byte_of_file(&move->to, DEVICE_FLASH_BLOCK_BYTES + 8 + i), 'a' + i);
}

/* In each state that the guest can leave the chip in. */
static void test_move_flash_in_every_state(void **state)
{
	static const uint8_t commands[] = {0xff, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xe8};
	struct move *move = *state;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		pc_store(&move->from, PC_FLASH, 1, commands[i]);
		move_flash(move);
		for (unsigned at = 0; at < 64; at++)
			assert_int_equal(
			        pc_load(&move->to, PC_FLASH + at, 1), pc_load(&move->from, PC_FLASH + at, 1));
		device_board_reset(&move->from.board);
	}
	/* A range of one byte that waits to be filled, and to be confirmed. */
	pc_store(&move->from, PC_FLASH, 1, 0xe8);
	pc_store(&move->from, PC_FLASH, 1, 0);
	move_flash(move);
	pc_store(&move->from, PC_FLASH + 7, 1, 0x77);
	move_flash(move);
	pc_store(&move->to, PC_FLASH, 1, 0xd0);
	assert_int_equal(byte_of_file(&move->to, 7), 0x77);
}

/* The command is to program a range at the end of a block, which a hostile peer makes one byte longer. */
static void test_move_flash_range_beyond_its_block_is_refused(void **state)
{
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_flash_kind);
	struct vmstate s;
	struct err err;

	pc_store(&move->from, PC_FLASH, 1, 0xe8);
	pc_store(&move->from, PC_FLASH, 1, 7);
	pc_store(&move->from, PC_FLASH + PC_FLASH_BYTES - 8, 1, 1);
	s = save(&move->from, i);
	s.data[8 + 4 + 1]++;
	assert_fails(device_board_load(&move->to.board, i, s.data, s.size, &err), ERR_FAILED,
	        "the buffer is for 0x2ff8");
	vmstate_finish(&s);
}

static void test_move_flash_bad_state_leaves_the_file_alone(void **state)
{
	struct move *move = *state;
	unsigned i = pc_index(&move->from, &device_flash_kind);
	struct vmstate s;
	struct err err;

	pc_use_flash(&move->from);
	s = save(&move->from, i);
	assert_fails(device_board_load(&move->to.board, i, s.data, s.size - 1, &err), ERR_FAILED, "it ends");
	for (unsigned at = 0; at < PC_FLASH_BYTES; at++)
		assert_int_equal(byte_of_file(&move->to, at), 0xff);
	vmstate_finish(&s);
}

static void test_move_flash_file_that_cannot_be_written_is_told(void **state)
{
	struct move *move = *state;
	char path[64];
	int fd;

	pc_use_flash(&move->from);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", move->to.vars_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, move->to.vars_fd), move->to.vars_fd);
	close(fd);
	assert_refused(&move->from, &move->to, &device_flash_kind, "the file vars could not be written");
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
	        TEST(test_move_dimms_lists_that_cannot_be),
	        TEST(test_move_flash_contents_reach_the_file),
	        TEST(test_move_flash_in_every_state),
	        TEST(test_move_flash_range_beyond_its_block_is_refused),
	        TEST(test_move_flash_bad_state_leaves_the_file_alone),
	        TEST(test_move_flash_file_that_cannot_be_written_is_told),
	        TEST(test_move_reason_of_a_device_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
