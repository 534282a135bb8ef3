/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pci: any sequence of configuration accesses. Reads must give what a plain model of the mechanism
 * computes: the same bytes in every lane and size, only writable bits changed, ones where there is no
 * function.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/device/pci.h"

#define DEVICE   3
#define FUNCTION 0

struct model {
	struct device_bus *bus;
	uint32_t address;
	uint8_t config[256], mask[256]; /* of the function that the target adds */
	unsigned told;
};

static void on_write(void *ctx, const uint8_t config[256])
{
	((struct model *)ctx)->told++;
}

/*
 * Returns the model's bytes of the addressed double word; NULL: no function is there, or a bridge, which is
 * not modelled.
 */
static uint8_t *modelled(struct model *model)
{
	bool here = (model->address & 0xffffff00) == (0x80000000u | DEVICE << 11 | FUNCTION << 8);

	return here ? &model->config[model->address & 0xfc] : NULL;
}

static bool is_absent(uint32_t address)
{
	uint32_t devfn = address >> 8 & 0xff;

	return !(address >> 31) || (address >> 16 & 0xff) ||
	       (devfn != 0 && devfn != 1 << 3 && devfn != (DEVICE << 3 | FUNCTION));
}

static void write_data(struct model *model, unsigned lane, unsigned size, uint32_t value)
{
	uint8_t *bytes = modelled(model);
	unsigned told = model->told;

	fuzz_assert(device_bus_write(model->bus, DEVICE_PIO, 0xcfc + lane, size, value) == DEVICE_RESUME);
	fuzz_assert((model->told > told) == (bytes != NULL));
	for (unsigned i = 0; bytes && i < size && lane + i < 4; i++) {
		uint8_t mask = model->mask[(model->address & 0xfc) + lane + i];
		uint8_t byte = (uint8_t)(value >> (8 * i));

		bytes[lane + i] = (uint8_t)((bytes[lane + i] & ~mask) | (byte & mask));
	}
}

static void read_data(struct model *model, unsigned lane, unsigned size)
{
	uint64_t value = device_bus_read(model->bus, DEVICE_PIO, 0xcfc + lane, size);
	uint64_t whole = device_bus_read(model->bus, DEVICE_PIO, 0xcfc, 4);
	const uint8_t *bytes = modelled(model);

	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = lane + i < 4 ? whole >> (8 * (lane + i)) & 0xff : 0xff;

		fuzz_assert((value >> (8 * i) & 0xff) == byte);
	}
	if (is_absent(model->address))
		fuzz_assert(whole == 0xffffffff);
	if (bytes)
		fuzz_assert(whole == load_le(bytes, 4));
}

static void step(struct model *model, struct cursor *input)
{
	unsigned op = cursor_u8(input);
	unsigned lane = op & 3, size = 1 << (op >> 2 & 3) & 7;

	size = size ? size : 4;
	switch (op >> 6) {
	case 0:
		model->address = cursor_u32(input) & 0x80fffffc;
		device_bus_write(model->bus, DEVICE_PIO, 0xcf8, 4, model->address | 0x7f000003);
		break;
	case 1: /* near the added function, where something is to be found */
		model->address = 0x80000000u | DEVICE << 11 | FUNCTION << 8 | (cursor_u8(input) & 0xfc);
		device_bus_write(model->bus, DEVICE_PIO, 0xcf8, 4, model->address);
		break;
	case 2: write_data(model, lane, size, cursor_u32(input)); break;
	default: read_data(model, lane, size); break;
	}
	fuzz_assert(device_bus_read(model->bus, DEVICE_PIO, 0xcf8, 4) == model->address);
}

/* The first 256 bytes of the input are the function's writable bits beyond the standard header's. */
static void make(struct model *model, struct device_board *board, struct cursor *input)
{
	static const uint8_t standard[256] = {[4] = 0x47, [5] = 0x05, [0x0c] = 0xff, 0xff, [0x3c] = 0xff};
	static const uint8_t header[16] = {0xf4, 0x1a, 0x42, 0x10, 0, 0, 0, 0, 7, 0, 0x80, 0x01};
	struct device_pci_setup function = {.device = DEVICE,
	        .function = FUNCTION,
	        .vendor_id = 0x1af4,
	        .device_id = 0x1042,
	        .class_code = 0x018000,
	        .revision = 7,
	        .write_mask = model->mask,
	        .on_write = on_write,
	        .ctx = model};
	struct err err;

	cursor_copy(input, model->mask, sizeof(model->mask));
	fuzz_assert(device_board_init(board, &err) == 0);
	fuzz_assert(device_board_add(board, &device_pci_kind, NULL, &err) == 0);
	fuzz_assert(device_pci_add(device_pci_of(board), &function, NULL, &err) == 0);
	model->bus = board->bus;
	device_bus_freeze(model->bus);
	memcpy(model->config, header, sizeof(header));
	for (unsigned i = 0; i < sizeof(model->mask); i++)
		model->mask[i] |= standard[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct model model = {0};
	struct device_board board = {0};

	make(&model, &board, &input);
	while (input.left && !input.bad)
		step(&model, &input);
	device_board_finish(&board);
	return 0;
}
