/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pci: any sequence of accesses to configuration space, to BARs and to the table of MSI-X, with a device
 * that interrupts in between. What is read and what arrives must be what a plain model computes: the same
 * bytes in every lane and size, only writable bits changed, a BAR where its register says, a message for
 * each interrupt that is not masked, the line as high as the pin.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/device/pci.h"

#define DEVICE  3
#define PIN     2
#define VECTORS 70
#define TABLE   (16 * VECTORS)
#define MSIX    0x40 /* where its capability is */
#define OWN     0x50 /* from here on the input says which bits can be written */

#define SMALL_BYTES KIB(4)  /* BAR 0, 32 bits */
#define TABLE_BYTES KIB(4)  /* BAR 1: the table */
#define WIDE_BYTES  KIB(64) /* BARs 2 and 3, 64 bits */

struct model {
	struct device_bus *bus;
	struct device_pci_function *function;
	uint32_t address;
	uint8_t config[256], mask[256]; /* of the function that the target adds */
	unsigned told;
	bool level, line; /* of the pin as the device wants it; of the line as it was set */
	uint8_t table[TABLE];
	bool pending[VECTORS];
	unsigned sent, expected; /* messages */
	uint64_t seen;           /* the offset of the last access to BAR 0, or to BAR 2 with WIDE_BIT */
};
#define WIDE_BIT (UINT64_C(1) << 63)

static void on_write(void *ctx, const uint8_t config[256])
{
	((struct model *)ctx)->told++;
}

static uint64_t on_small_read(void *ctx, uint64_t offset, unsigned size)
{
	fuzz_assert(range_fits(offset, size, SMALL_BYTES));
	((struct model *)ctx)->seen = offset;
	return 0;
}

static uint64_t on_wide_read(void *ctx, uint64_t offset, unsigned size)
{
	fuzz_assert(range_fits(offset, size, WIDE_BYTES));
	((struct model *)ctx)->seen = offset | WIDE_BIT;
	return 0;
}

static enum device_verdict on_bar_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	return DEVICE_RESUME;
}

static void on_line(void *ctx, unsigned gsi, bool level)
{
	struct model *model = ctx;

	fuzz_assert(gsi == device_pci_gsi(DEVICE, PIN) && level != model->line);
	model->line = level;
}

static void on_message(void *ctx, const struct device_msi *msi)
{
	((struct model *)ctx)->sent++;
}

/* ---- what the registers of the model say ---- */

static bool memory_is_on(const struct model *model)
{
	return model->config[4] & 2;
}

static uint64_t base_of(const struct model *model, unsigned bar)
{
	return load_le(&model->config[0x10 + 4 * bar], bar == 2 ? 8 : 4) & ~UINT64_C(15);
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* Nothing can be said about BARs that lie over each other or go past the end. */
static bool lies_alone(const struct model *model, unsigned bar)
{
	static const uint64_t sizes[3] = {SMALL_BYTES, TABLE_BYTES, WIDE_BYTES};

	for (unsigned other = 0; other < 3; other++)
		if (base_of(model, other) > UINT64_MAX - sizes[other] ||
		        (other != bar && overlap(base_of(model, bar), sizes[bar], base_of(model, other),
		                                 sizes[other])))
			return false;
	return true;
}

static bool msix_is_on(const struct model *model)
{
	return model->config[MSIX + 3] & 0x80;
}

static bool is_live(const struct model *model, unsigned vector)
{
	return msix_is_on(model) && !(model->config[MSIX + 3] & 0x40) &&
	       !(model->table[16 * vector + 12] & 1);
}

/* What was pending is sent as soon as nothing masks it. */
static void settle(struct model *model)
{
	bool pin = model->level && !(model->config[5] & 4) && !msix_is_on(model);

	for (unsigned i = 0; i < VECTORS; i++)
		if (model->pending[i] && is_live(model, i)) {
			model->pending[i] = false;
			model->expected++;
		}
	model->config[6] = (uint8_t)((model->config[6] & ~8) | (model->level ? 8 : 0));
	fuzz_assert(model->sent == model->expected);
	fuzz_assert(model->line == pin);
}

/* ---- configuration space ---- */

/*
 * Returns the model's bytes of the addressed double word; NULL: no function is there, or a bridge, which is
 * not modelled.
 */
static uint8_t *modelled(struct model *model)
{
	bool here = (model->address & 0xffffff00) == (0x80000000u | DEVICE << 11);

	return here ? &model->config[model->address & 0xfc] : NULL;
}

static bool is_absent(uint32_t address)
{
	uint32_t devfn = address >> 8 & 0xff;

	return !(address >> 31) || (address >> 16 & 0xff) ||
	       (devfn != 0 && devfn != 1 << 3 && devfn != DEVICE << 3);
}

static void set_address(struct model *model, uint32_t address)
{
	model->address = address & 0x80fffffc;
	device_bus_write(model->bus, DEVICE_PIO, 0xcf8, 4, model->address | 0x7f000003);
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

/* ---- BARs and the table ---- */

/* A byte of BAR 0 or 2 is read where its register says, and nowhere while memory is off. */
static void read_bar(struct model *model, unsigned bar, uint16_t offset)
{
	uint64_t at = offset % (bar ? WIDE_BYTES : SMALL_BYTES);

	if (!lies_alone(model, bar))
		return;
	model->seen = UINT64_MAX;
	device_bus_read(model->bus, DEVICE_MMIO, base_of(model, bar) + at, 1);
	fuzz_assert(model->seen == (memory_is_on(model) ? at | (bar ? WIDE_BIT : 0) : UINT64_MAX));
}

static uint8_t table_byte(const struct model *model, uint64_t at)
{
	uint8_t byte = 0;

	if (at < TABLE)
		return model->table[at];
	for (unsigned i = 0; i < 8; i++)
		if ((at - TABLE) * 8 + i < VECTORS)
			byte |= (uint8_t)(model->pending[(at - TABLE) * 8 + i] << i);
	return byte;
}

static void read_table(struct model *model, uint16_t offset, unsigned size)
{
	uint64_t at = offset % (TABLE_BYTES - 8), value;

	value = device_bus_read(model->bus, DEVICE_MMIO, base_of(model, 1) + at, size);
	for (unsigned i = 0; i < size; i++)
		fuzz_assert((value >> (8 * i) & 0xff) ==
		            (memory_is_on(model) ? table_byte(model, at + i) : 0xff));
}

static void write_table(struct model *model, uint16_t offset, unsigned size, uint64_t value)
{
	static const uint8_t mask[16] = {
	        0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
	uint64_t at = offset % (TABLE_BYTES - 8);

	device_bus_write(model->bus, DEVICE_MMIO, base_of(model, 1) + at, size, value);
	for (unsigned i = 0; memory_is_on(model) && i < size && at + i < TABLE; i++)
		model->table[at + i] = (uint8_t)((model->table[at + i] & ~mask[(at + i) % 16]) |
		                                 (value >> (8 * i) & mask[(at + i) % 16]));
}

/* ---- the device ---- */

static void notify(struct model *model, uint8_t vector)
{
	device_msix_notify(device_pci_msix(model->function), vector);
	if (msix_is_on(model) && vector < VECTORS)
		model->pending[vector] = true;
}

static void set_pin(struct model *model, bool level)
{
	device_pci_interrupt(model->function, level);
	model->level = level;
}

static void step_bar(struct model *model, struct cursor *input, unsigned op)
{
	unsigned size = 1u << (op & 3);
	uint16_t offset;

	switch (op >> 3 & 7) {
	case 0: notify(model, cursor_u8(input)); break;
	case 1: set_pin(model, op & 1); break;
	case 2: read_bar(model, 0, cursor_u16(input)); break;
	case 3: read_bar(model, 2, cursor_u16(input)); break;
	case 4:
	case 5:
		offset = cursor_u16(input);
		if (lies_alone(model, 1))
			write_table(model, offset, size, cursor_u64(input));
		break;
	default:
		offset = cursor_u16(input);
		if (lies_alone(model, 1))
			read_table(model, offset, size);
		break;
	}
}

static void step(struct model *model, struct cursor *input)
{
	unsigned op = cursor_u8(input);
	unsigned lane = op & 3, size = 1 << (op >> 2 & 3) & 7;

	size = size ? size : 4;
	switch (op >> 5) {
	case 0: set_address(model, cursor_u32(input)); break;
	case 1: /* near the added function, where something is to be found */
		set_address(model, 0x80000000u | DEVICE << 11 | (cursor_u8(input) & 0xfc));
		break;
	case 2: write_data(model, lane, size, cursor_u32(input)); break;
	case 3: read_data(model, lane, size); break;
	default: step_bar(model, input, op & 0x3f); break;
	}
	settle(model);
	fuzz_assert(device_bus_read(model->bus, DEVICE_PIO, 0xcf8, 4) == model->address);
}

/* ---- the function ---- */

static void model_header(struct model *model)
{
	static const uint8_t standard[OWN] = {[4] = 0x47,
	        [5] = 0x05,
	        [0x0c] = 0xff,
	        0xff, /* header */
	        [0x11] = 0xf0,
	        0xff,
	        0xff,
	        [0x15] = 0xf0,
	        0xff,
	        0xff,
	        [0x1a] = 0xff,
	        0xff,
	        0xff,
	        0xff,
	        0xff,
	        0xff,
	        [0x3c] = 0xff,
	        [MSIX + 3] = 0xc0};
	static const uint8_t header[OWN] = {0xf4, 0x1a, 0x42, 0x10, 0, 0, 0x10, 0, 7, 0, 0x80,
	        0x01, [0x18] = 4, [0x34] = MSIX, [0x3d] = PIN, [MSIX] = 0x11, 0, VECTORS - 1, 0, 1, 0, 0, 0,
	        (TABLE & 0xff) | 1, TABLE >> 8};

	memcpy(model->config, header, sizeof(header));
	memcpy(model->mask, standard, sizeof(standard));
	for (unsigned i = 0; i < VECTORS; i++)
		model->table[16 * i + 12] = 1;
}

/* Puts everything somewhere and switches it on, as firmware does. */
static void program(struct model *model)
{
	static const struct {
		uint8_t at;
		uint32_t value;
	} writes[] = {
	        {0x10, 0xe0000000}, {0x14, 0xe0001000}, {0x18, 0}, {0x1c, 0xe0}, {4, 2}, {MSIX, 0x80000000}};

	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		set_address(model, 0x80000000u | DEVICE << 11 | writes[i].at);
		write_data(model, 0, 4, writes[i].value);
	}
}

/* The first 256 bytes of the input are the function's writable bits, of which those behind OWN are used. */
static void make(struct model *model, struct device_board *board, struct cursor *input)
{
	struct device_pci_setup setup = {.device = DEVICE,
	        .vendor_id = 0x1af4,
	        .device_id = 0x1042,
	        .class_code = 0x018000,
	        .revision = 7,
	        .interrupt_pin = PIN,
	        .msix_vectors = VECTORS,
	        .msix_bar = 1,
	        .write_mask = model->mask,
	        .on_write = on_write,
	        .ctx = model};
	struct err err;

	setup.bars[0] = (struct device_pci_bar){
	        .name = "small", .size = SMALL_BYTES, .read = on_small_read, .write = on_bar_write};
	setup.bars[2] = (struct device_pci_bar){.name = "wide",
	        .size = WIDE_BYTES,
	        .wide = true,
	        .read = on_wide_read,
	        .write = on_bar_write};
	cursor_copy(input, model->mask, sizeof(model->mask));
	memset(model->mask, 0, OWN);
	board->irq = (struct device_irq){on_line, model};
	board->wires = (struct device_wires){.send = on_message, .ctx = model};
	fuzz_assert(device_board_init(board, &err) == 0);
	fuzz_assert(device_board_add(board, &device_pci_kind, NULL, &err) == 0);
	fuzz_assert(device_pci_add(device_pci_of(board), &setup, &model->function, &err) == 0);
	model->bus = board->bus;
	device_bus_freeze(model->bus);
	model_header(model);
	program(model);
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
