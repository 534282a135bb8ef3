/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg_items: a machine with a few items and 2 MiB of RAM, as the tests of fw_cfg share it.
 */
#ifndef TEST_DEVICE_FW_CFG_ITEMS_H
#define TEST_DEVICE_FW_CFG_ITEMS_H

#include <endian.h>

#include "guest.h"
#include "vmm/device/fw_cfg.h"

/*
 * The kernel's view of the device: layouts and numbers that do not come from vmm. This comes after guest.h,
 * because some names are the same.
 */
#include <linux/qemu_fw_cfg.h>

#define SELECTOR   0x510
#define DATA       0x511
#define DMA_HIGH   0x514
#define DMA_LOW    0x518
#define RAM_BYTES  MIB(2)
#define DESCRIPTOR 0x1000
#define BUFFER     0x2000

struct fixture {
	struct device_board board;
	struct device_bus *bus;
	struct device_fw_cfg *fw_cfg;
	struct host *host;
	struct page_memory *memory;
};

static const char kernel[] = "bytes of a kernel";

static inline int setup(void **state)
{
	static struct fixture f;
	struct page_layout layout;
	struct err err;

	f = (struct fixture){0};
	assert_ok(host_kernel_create(&f.host, &err));
	assert_ok(page_layout_make(RAM_BYTES, KIB(64), &layout, &err));
	assert_ok(page_memory_create(f.host, &layout, PAGE_OWN, &f.memory, &err));
	assert_ok(device_board_init(&f.board, &err));
	assert_ok(device_board_add(&f.board, &device_fw_cfg_kind, NULL, &err));
	f.bus = f.board.bus;
	f.fw_cfg = device_fw_cfg_of(&f.board);
	assert_ok(device_fw_cfg_add(f.fw_cfg, FW_CFG_KERNEL_DATA, kernel, sizeof(kernel), &err));
	assert_ok(device_fw_cfg_add_number(f.fw_cfg, FW_CFG_KERNEL_SIZE, 0x1122334455, 4, &err));
	assert_ok(device_fw_cfg_add_file(f.fw_cfg, "etc/e820", "e820", 4, &err));
	assert_ok(device_fw_cfg_add_file(f.fw_cfg, "bootorder", "", 0, &err));
	assert_ok(device_fw_cfg_add_file(f.fw_cfg, "etc/acpi/rsdp", "RSD PTR ", 8, &err));
	device_board_attach(&f.board, f.memory);
	device_bus_freeze(f.bus);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	device_board_finish(&f->board);
	page_memory_destroy(f->memory);
	host_destroy(f->host);
	return 0;
}

/* As `rep insb` does. */
static inline void read_port(struct fixture *f, void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)data)[i] = inb(f->bus, DATA);
}

static inline void peek(struct fixture *f, uint64_t from, void *data, size_t size)
{
	assert_int_equal(page_read(f->memory, gpa(from), data, size), 0);
}

static inline void poke(struct fixture *f, uint64_t to, const void *data, size_t size)
{
	assert_int_equal(page_load(f->memory, gpa(to), data, size), 0);
}

static inline void start_dma(struct fixture *f, uint64_t descriptor)
{
	if (descriptor >> 32)
		outl(f->bus, DMA_HIGH, htobe32((uint32_t)(descriptor >> 32)));
	outl(f->bus, DMA_LOW, htobe32((uint32_t)descriptor));
}

static inline uint32_t dma_with_descriptor_at(
        struct fixture *f, uint64_t at, uint32_t control, uint32_t length, uint64_t address)
{
	struct fw_cfg_dma_access access = {htobe32(control), htobe32(length), htobe64(address)};

	poke(f, at, &access, sizeof(access));
	start_dma(f, at);
	peek(f, at, &access.control, sizeof(access.control));
	return be32toh(access.control);
}

static inline uint32_t dma(struct fixture *f, uint32_t control, uint32_t length, uint64_t address)
{
	return dma_with_descriptor_at(f, DESCRIPTOR, control, length, address);
}

static inline uint32_t select_bits(uint16_t key)
{
	return (uint32_t)key << 16 | FW_CFG_DMA_CTL_SELECT;
}

#endif
