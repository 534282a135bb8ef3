/* SPDX-License-Identifier: Apache-2.0 */
/* The states of all devices: moved whole, cut off, with a value that cannot be, and of boards that differ. */
#include "move.h"

static void test_move_every_register_reads_the_same(void **state)
{
	static uint64_t there[PC_REGISTERS], here[PC_REGISTERS];
	struct move *move = *state;
	size_t count;

	pc_use(&move->from);
	move_all(&move->from, &move->to);
	count = pc_read_all(&move->from, there);
	assert_int_equal(pc_read_all(&move->to, here), count);
	for (size_t i = 0; i < count; i++)
		if (there[i] != here[i])
			fail_msg("register %zu was 0x%lx and is 0x%lx", i, there[i], here[i]);
}

static void test_move_a_machine_after_power_on(void **state)
{
	static uint64_t there[PC_REGISTERS], here[PC_REGISTERS];
	struct move *move = *state;
	size_t count;

	move_all(&move->from, &move->to);
	count = pc_read_all(&move->from, there);
	assert_int_equal(pc_read_all(&move->to, here), count);
	assert_memory_equal(there, here, count * sizeof(there[0]));
	for (unsigned gsi = 0; gsi < ARRAY_LEN(move->to.rises); gsi++)
		assert_int_equal(move->to.rises[gsi], 0);
}

/* What was moved can be moved again, and saving does not change what is saved. The third board is loaded
 * twice. */
static void test_move_is_repeated(void **state)
{
	struct move *move = *state;
	struct pc third;
	struct err err;

	pc_use(&move->from);
	move_all(&move->from, &move->to);
	assert_ok(pc_make(&third, &err));
	move_all(&move->to, &third);
	move_all(&move->from, &third);
	pc_finish(&third);
}

static void test_move_every_missing_byte_is_told(void **state)
{
	struct move *move = *state;

	pc_use(&move->from);
	move_dimms(&move->from, &move->to);
	for (unsigned i = 0; i < move->from.board.count; i++) {
		struct vmstate s = save(&move->from, i);

		for (size_t size = 0; size < s.size; size++) {
			struct err err;

			assert_fails(device_board_load(&move->to.board, i, s.data, size, &err), ERR_FAILED,
			        "state of the ");
			assert_non_null(strstr(err.text, move->to.board.devices[i]->kind->name));
		}
		vmstate_finish(&s);
	}
}

static void test_move_a_byte_too_many_is_told(void **state)
{
	struct move *move = *state;

	pc_use(&move->from);
	move_dimms(&move->from, &move->to);
	for (unsigned i = 0; i < move->from.board.count; i++) {
		struct vmstate s = save(&move->from, i);
		uint8_t *more = calloc(1, s.size + 1);
		struct err err;

		assert_non_null(more);
		if (s.size)
			memcpy(more, s.data, s.size);
		assert_fails(device_board_load(&move->to.board, i, more, s.size + 1, &err), ERR_FAILED,
		        "1 bytes are left over");
		free(more);
		vmstate_finish(&s);
	}
}

/* ---- values that no guest can have brought about ---- */

#define FW_CFG_ITEMS (4 + FW_CFG_FILES_MAX * 64) /* behind the directory of files */

/* Where fields are, counted from the start of the state; with a negative number from its end. */
static const struct {
	const struct device_kind *kind;
	int at;
	uint8_t value;
	const char *part;
} hostile[] = {
        {&device_pci_kind, 3, 0x01, "address register"},
        {&device_pci_kind, 4, 1, "the place of a PCI function is 1 there and 0 here"},
        {&device_pci_kind, 4 + 8, 0x87, "byte 0x0 of PCI function 00:00.0 is 0x87 there"},
        {&device_pci_kind, 4 + 8 + 0x3d, 1, "byte 0x3d of PCI function 00:00.0"},
        {&device_pci_kind, 4 + 8 + 256, 2, "an interrupt pin"},
        {&device_power_kind, 0, 1, "PM1 status"},
        {&device_power_kind, 2, 2, "PM1 enable"},
        {&device_power_kind, 5, 0x20, "PM1 control"},
        {&device_power_kind, 10, 4, "reset control"},
        {&device_power_kind, 11, 1, "system control"},
        {&device_power_kind, 19, 0x80, "its time"},
        {&device_power_kind, 27, 0x80, "the wall clock"},
        {&device_serial_kind, 0, 0x10, "IER"},
        {&device_serial_kind, 1, 0x02, "FCR is"},
        {&device_serial_kind, 1, 0x80, "FCR has a trigger level without FIFOs"},
        {&device_serial_kind, 3, 0x20, "MCR"},
        {&device_serial_kind, 7, 0x01, "LSR"},
        {&device_serial_kind, 8, 0x10, "MSR"},
        {&device_serial_kind, 9, 2, "THRE interrupt"},
        {&device_serial_kind, 10, 2, "transmitter"},
        {&device_serial_kind, 11, 17, "received bytes"},
        {&device_serial_kind, 14, 1, "received bytes"},
        {&device_serial_kind, 11 + 4 + 16 + 1, 0x11, "waiting bytes"},
        {&device_rtc_kind, 24, 0x80, "index"},
        {&device_rtc_kind, 25 + 0x0c, 1, "its registers"},
        {&device_rtc_kind, 25 + 0x0d, 1, "its registers"},
        {&device_rtc_kind, 25 + 0x0b, 0x90, "its registers"},
        {&device_fw_cfg_kind, FW_CFG_ITEMS, 0, "the number of items with key 0x0 is 0 there and 1 here"},
        {&device_fw_cfg_kind, FW_CFG_ITEMS + 8, 5, "the size of the item with key 0x0 is 5 there and 4 here"},
        {&device_fw_cfg_kind, 12, 'x', "the files there have other names"},
        {&device_fw_cfg_kind, -9, 0x40, "key"},
        {&device_fw_cfg_kind, -8, 11, "offset is 11, and at most 10 is possible"},
        {&device_fw_cfg_kind, -5, 0xff, "offset"},
        {&device_dimms_kind, 0, 3, "the number of DIMMs is 3 there and 2 here"},
        {&device_dimms_kind, 11, 1, "the address of a DIMM"},
        {&device_dimms_kind, 19, 9, "the size of a DIMM"},
        {&device_dimms_kind, 24, 2, "inserted"},
        {&device_dimms_kind, 25, 2, "answered"},
        {&device_flash_kind, 0, 1, "the chip's size"},
        {&device_flash_kind, 8, 10, "command is 10, and at most 9 is possible"},
        {&device_flash_kind, 12, 0x40, "status"},
        {&device_flash_kind, 14, 2, "size of the range"},
        {&device_flash_kind, 13, 2, "2 of 2 bytes are in the buffer"},
        {&device_flash_kind, 13, 0, "2 of 0 bytes are in the buffer"},
        {&device_flash_kind, 17, 4, "4 of 3 bytes are in the buffer"},
        {&device_flash_kind, 18, 2, "bytes in the buffer"},
        {&device_flash_kind, 22, 0x30, "the buffer is for"},
        {&device_flash_kind, 23, 0x01, "the buffer is for"},
        {&device_flash_kind, 32, 2, "erased blocks"},
};

static void test_move_impossible_values_are_refused(void **state)
{
	struct move *move = *state;

	pc_use(&move->from);
	move_dimms(&move->from, &move->to);
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		unsigned device = pc_index(&move->from, hostile[i].kind);
		struct vmstate s = save(&move->from, device);
		size_t at = hostile[i].at < 0 ? s.size + (size_t)hostile[i].at : (size_t)hostile[i].at;
		struct err err;

		s.data[at] = hostile[i].value;
		assert_fails(device_board_load(&move->to.board, device, s.data, s.size, &err), ERR_FAILED,
		        hostile[i].part);
		vmstate_finish(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_move_every_register_reads_the_same),
	        TEST(test_move_a_machine_after_power_on),
	        TEST(test_move_is_repeated),
	        TEST(test_move_every_missing_byte_is_told),
	        TEST(test_move_a_byte_too_many_is_told),
	        TEST(test_move_impossible_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
