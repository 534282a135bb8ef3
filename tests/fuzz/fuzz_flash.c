/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_flash: any sequence of writes to the flash chip. Afterwards the chip shows the bytes of its file, and
 * the file has its size. Two bits of each step choose what is written: a command, or the input's own byte.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "vmm/device/flash.h"

#define BASE 0xffc00000u
#define SIZE (3 * DEVICE_FLASH_BLOCK_BYTES)

static void step(struct device_bus *bus, struct cursor *input)
{
	static const uint8_t commands[] = {
	        0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff, 0x01, 0x00};
	unsigned op = cursor_u8(input), size = 1u << (op >> 2 & 3);
	uint64_t at = BASE - 4 + cursor_u32(input) % (SIZE + 8), value = cursor_u8(input);

	if (op & 1)
		value = commands[value % ARRAY_LEN(commands)];
	if (op & 2)
		device_bus_read(bus, DEVICE_MMIO, at, size);
	fuzz_assert(
	        device_bus_write(bus, DEVICE_MMIO, at, size, value * 0x0101010101010101) == DEVICE_RESUME);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct device_board board = {0};
	int fd = memfd_create("flash", MFD_CLOEXEC);
	const struct device_flash_ask ask = {fd, "flash", BASE, SIZE};
	uint8_t bytes[SIZE];
	struct stat st;
	struct err err;

	memset(bytes, 0xa5, sizeof(bytes));
	fuzz_assert(pwrite(fd, bytes, sizeof(bytes), 0) == SIZE);
	fuzz_assert(device_board_init(&board, &err) == 0);
	fuzz_assert(device_board_add(&board, &device_flash_kind, &ask, &err) == 0);
	device_bus_freeze(board.bus);
	device_board_reset(&board);
	while (input.left && !input.bad)
		step(board.bus, &input);
	device_board_reset(&board);
	fuzz_assert(fstat(fd, &st) == 0 && st.st_size == SIZE);
	fuzz_assert(pread(fd, bytes, sizeof(bytes), 0) == SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		fuzz_assert(device_bus_read(board.bus, DEVICE_MMIO, BASE + i, 1) == bytes[i]);
	device_board_finish(&board);
	close(fd);
	return 0;
}
