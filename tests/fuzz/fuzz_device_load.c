/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_device_load: any bytes as the state of each device of a board. The first byte of the input chooses one
 * device, or all of them in turn, and for each follow the size of a state (32 bits) and its bytes. What is
 * refused has a message. What is taken can be saved, and loaded into another board, which saves the same.
 * Then a guest reads every register and writes it.
 */
#include "fuzz.h"
#include "support/pc.h"

#define ALL 0xff

/* The memory slots of a board that the input does not choose are those of a guest that got memory twice. */
static void plug(struct pc *pc)
{
	device_dimms_add(device_dimms_of(&pc->board), gpa(PC_DIMM), MIB(128));
	device_dimms_add(device_dimms_of(&pc->board), gpa(PC_DIMM + MIB(128)), MIB(256));
}

static void make(struct pc *pc)
{
	struct err err;

	fuzz_assert(pc_make(pc, &err) == 0);
	plug(pc);
}

static int load(struct pc *pc, unsigned i, const void *data, size_t size)
{
	struct err err = {0};

	if (device_board_load(&pc->board, i, data, size, &err) == 0)
		return 0;
	fuzz_assert(err.kind == ERR_FAILED && strncmp(err.text, "state of the ", 13) == 0);
	return -1;
}

/* A device's state says all: a board that gets it would hand on the same. */
static void save_twice(struct pc *pc, struct pc *other, unsigned i)
{
	struct vmstate first, second;
	struct err err;

	fuzz_assert(device_board_save(&pc->board, i, &first, &err) == 0);
	fuzz_assert(load(other, i, first.data, first.size) == 0);
	fuzz_assert(device_board_save(&other->board, i, &second, &err) == 0);
	fuzz_assert(first.size == second.size);
	fuzz_assert(!first.size || memcmp(first.data, second.data, first.size) == 0);
	vmstate_finish(&second);
	vmstate_finish(&first);
}

static int take_state(struct pc *pc, unsigned i, struct cursor *input)
{
	uint32_t size = cursor_u32(input);

	if (input->bad)
		return load(pc, i, NULL, 0);
	if (size > input->left)
		size = (uint32_t)input->left;
	return load(pc, i, cursor_take(input, size), size);
}

/* Returns -1 if a state was refused: the guest never runs then. */
static int take_states(struct pc *pc, struct pc *other, struct cursor *input)
{
	uint8_t which = cursor_u8(input);

	for (unsigned i = 0; i < pc->board.count; i++) {
		if (which != ALL && which % pc->board.count != i)
			continue;
		if (take_state(pc, i, input) < 0)
			return -1;
		save_twice(pc, other, i);
	}
	return 0;
}

/* ---- a guest that touches everything ---- */

static void write_ranges(struct pc *pc)
{
	static const uint16_t ports[][2] = {{0x3f8, 8}, {0x402, 1}, {0x70, 2}, {0x510, 2}, {0x514, 8},
	        {DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS}, {DEVICE_POWER_GPE_PORT, DEVICE_POWER_GPE_PORTS},
	        {PC_PM, 64}, {0xcf8, 8}, {0x92, 1}, {0x505, 1}};

	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		for (unsigned k = 0; k < ports[i][1]; k++)
			for (unsigned size = 1; size <= 4; size *= 2)
				pc_out(pc, ports[i][0] + k, size, 0xa5a5a501u + k);
	for (unsigned devfn = 0; devfn < 8 * 8; devfn++)
		for (unsigned at = 0; at < 256; at += 4)
			pc_set_config(pc, devfn >> 3, devfn & 7, at, 0xffffffff);
	for (uint64_t at = 0; at < 16 * PC_VECTORS + 8; at += 4)
		pc_store(pc, PC_TABLE + at, 4, 0xa5a5a5a4);
	for (uint64_t at = 0; at < PC_FLASH_BYTES; at += 61)
		for (unsigned k = 0; k < 4; k++)
			pc_store(pc, PC_FLASH + at, 1, (uint8_t)(0xd0 + at + k));
}

static void touch(struct pc *pc)
{
	static uint64_t values[PC_REGISTERS];
	char bytes[64];
	struct err err;

	fuzz_assert(device_flash_take(&pc->board, &err) == 0);
	fuzz_assert(pc_read_all(pc, values) <= PC_REGISTERS);
	write_ranges(pc);
	(void)device_serial_input(device_serial_of(&pc->board), "typed", 5);
	(void)device_serial_output(device_serial_of(&pc->board), bytes, sizeof(bytes));
	pc->now_ns += 1234567890;
	pc->wall_ns += 1234567890;
	fuzz_assert(pc_read_all(pc, values) <= PC_REGISTERS);
	device_board_reset(&pc->board);
	for (unsigned gsi = 0; gsi < ARRAY_LEN(pc->lines); gsi++)
		fuzz_assert(!pc->lines[gsi]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	static struct pc pc, other;

	log_set_level(LOG_ERROR);
	make(&pc);
	make(&other);
	pc.now_ns = other.now_ns = 7654321;
	if (take_states(&pc, &other, &input) == 0)
		touch(&pc);
	pc_finish(&other);
	pc_finish(&pc);
	return 0;
}
