/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_fw_cfg: any sequence of selections, reads and DMA descriptors over a real guest memory of 1 MiB.
 * Bytes, results and the memory afterwards must be as a plain model computes them.
 */
#include <endian.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/device/fw_cfg.h"

#define RAM_BYTES MIB(1)

static const char *const items[64] = {
        [FW_CFG_SIGNATURE] = "QEMU", [FW_CFG_CMDLINE_DATA] = "console=ttyS0", [0x20] = "a file", [0x21] = ""};

struct model {
	struct device_board board;
	struct device_bus *bus;
	struct device_fw_cfg *fw_cfg;
	struct page_memory *memory;
	unsigned key;
	size_t offset;
};

/*
 * The device is made once, because making it is slow. The state that one input leaves is there for the next
 * input.
 */
static struct page_memory *the_memory(void)
{
	static struct page_memory *memory;
	static struct host *host;
	struct page_layout layout;
	struct err err;

	if (memory)
		return memory;
	fuzz_assert(host_kernel_create(&host, &err) == 0);
	fuzz_assert(page_layout_make(RAM_BYTES, KIB(4), &layout, &err) == 0);
	fuzz_assert(page_memory_create(host, &layout, PAGE_OWN, &memory, &err) == 0);
	return memory;
}

static void make(struct model *m)
{
	struct err err;

	m->memory = the_memory();
	fuzz_assert(device_board_init(&m->board, &err) == 0);
	fuzz_assert(device_board_add(&m->board, &device_fw_cfg_kind, NULL, &err) == 0);
	m->bus = m->board.bus;
	m->fw_cfg = device_fw_cfg_of(&m->board);
	fuzz_assert(device_fw_cfg_add(m->fw_cfg, FW_CFG_CMDLINE_DATA, items[FW_CFG_CMDLINE_DATA],
	                    strlen(items[FW_CFG_CMDLINE_DATA]), &err) == 0);
	for (unsigned key = 0x20; items[key]; key++)
		fuzz_assert(device_fw_cfg_add_file(m->fw_cfg, key == 0x20 ? "b" : "a", items[key],
		                    strlen(items[key]), &err) == 0);
	device_board_attach(&m->board, m->memory);
	device_bus_freeze(m->bus);
}

/* The id and the directory are not modelled; the unit test checks their bytes. */
static bool is_modelled(const struct model *m)
{
	return m->key != FW_CFG_ID && m->key != FW_CFG_FILE_DIR;
}

static uint8_t model_byte(const struct model *m, size_t offset)
{
	const char *item = m->key < ARRAY_LEN(items) ? items[m->key] : NULL;

	return item && offset < strlen(item) ? (uint8_t)item[offset] : 0;
}

static void model_select(struct model *m, uint16_t key)
{
	m->key = key & ~0x4000u;
	m->offset = 0;
}

static void select_port(struct model *m, uint16_t key)
{
	device_bus_write(m->bus, DEVICE_PIO, 0x510, 2, key);
	model_select(m, key);
}

static void read_port(struct model *m)
{
	uint64_t byte = device_bus_read(m->bus, DEVICE_PIO, 0x511, 1);

	fuzz_assert(byte <= 0xff);
	if (is_modelled(m))
		fuzz_assert(byte == model_byte(m, m->offset));
	m->offset++;
}

/* A few bytes of what a read left, at both ends; but not those that the result has overwritten. */
static void check_data(const struct model *m, uint64_t address, uint32_t length, uint64_t descriptor)
{
	for (uint32_t i = 0; i < length; i++) {
		uint64_t at = address + i;
		uint8_t byte = 0;

		if (i == 40 && length > 80)
			i = length - 40;
		if (at >= descriptor && at - descriptor < 4)
			continue;
		fuzz_assert(page_read(m->memory, gpa(at), &byte, 1) == 0);
		fuzz_assert(byte == model_byte(m, m->offset + i));
	}
}

/* Does the operation succeed? A read needs RAM for all of it, nothing can be written. */
static bool succeeds(uint32_t control, uint32_t length, uint64_t address)
{
	if (control & 2)
		return !length || range_fits(address, length, RAM_BYTES);
	return !(control & 16) || !length;
}

static void start_dma(const struct model *m, uint64_t at)
{
	device_bus_write(m->bus, DEVICE_PIO, 0x514, 4, htobe32((uint32_t)(at >> 32)));
	device_bus_write(m->bus, DEVICE_PIO, 0x518, 4, htobe32((uint32_t)at));
}

static void dma(struct model *m, struct cursor *input)
{
	uint32_t control = cursor_u32(input);
	unsigned shape = cursor_u8(input);
	uint32_t length = cursor_u32(input) >> (shape & 31);
	uint64_t address = shape & 0x20 ? cursor_u64(input) : cursor_u32(input) % (RAM_BYTES + 64);
	uint64_t at = cursor_u32(input) % (RAM_BYTES - 16);
	struct {
		uint32_t control, length;
		uint64_t address;
	} descriptor = {htobe32(control), htobe32(length), htobe64(address)};
	uint32_t result;

	fuzz_assert(page_write(m->memory, gpa(at), &descriptor, sizeof(descriptor)) == 0);
	start_dma(m, at);
	fuzz_assert(page_read(m->memory, gpa(at), &result, sizeof(result)) == 0);
	fuzz_assert(be32toh(result) == (succeeds(control, length, address) ? 0 : 1));
	if (control & 8)
		model_select(m, (uint16_t)(control >> 16));
	if (!succeeds(control, length, address))
		return;
	if ((control & 2) && is_modelled(m))
		check_data(m, address, length, at);
	if ((control & 2) || (control & 20) == 4)
		m->offset += length;
}

/*
 * Gives a descriptor at any address, with the bytes that are there. The reset afterwards brings device and
 * model back into step.
 */
static void wild_dma(struct model *m, struct cursor *input)
{
	start_dma(m, cursor_u64(input));
	device_board_reset(&m->board);
	model_select(m, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct model m = {0};

	make(&m);
	while (input.left && !input.bad) {
		switch (cursor_u8(&input) & 3) {
		case 0: select_port(&m, cursor_u16(&input)); break;
		case 1: read_port(&m); break;
		case 2: dma(&m, &input); break;
		default: wild_dma(&m, &input); break;
		}
	}
	device_board_finish(&m.board);
	return 0;
}
