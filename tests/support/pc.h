/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc: a board with every device of src/device, two PCI cards, slots for memory and a flash chip, and a guest
 * that has used all of them. Tests make two of it and move the guest from one to the other.
 */
#ifndef TEST_SUPPORT_PC_H
#define TEST_SUPPORT_PC_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/board.h"
#include "support/wires.h"
#include "vmm/device/dimms.h"
#include "vmm/device/flash.h"
#include "vmm/device/fw_cfg.h"
#include "vmm/device/pci.h"
#include "vmm/device/power.h"
#include "vmm/device/serial.h"

#define PC_CARD        3 /* the PCI device with a BAR and MSI-X ... */
#define PC_NEIGHBOUR   7 /* ... and one that shares the line of its pin */
#define PC_VECTORS     4
#define PC_BAR         0xe0000000u
#define PC_TABLE       0xe0001000u
#define PC_PM          0xb000
#define PC_FLASH       0xffc00000u
#define PC_FLASH_BYTES (3 * DEVICE_FLASH_BLOCK_BYTES)
#define PC_DIMM        GIB(4)

struct pc {
	struct device_board board;
	struct device_bus *bus;
	struct device_pci_function *card, *neighbour;
	uint64_t now_ns;
	int64_t wall_ns;
	bool lines[24];
	unsigned rises[24];
	void (*on_line)(void *ctx, unsigned gsi, bool level); /* NULL: nobody else hears of lines */
	void *line_ctx;
	struct fake_wires wires;
	int vars_fd;
	bool bar_on; /* as on_move told it */
	uint64_t bar_base;
	unsigned outputs; /* how often on_output was told */
};

/* ---- what the devices reach ---- */

static inline uint64_t pc_now_ns(void *ctx)
{
	return ((struct pc *)ctx)->now_ns;
}

static inline int64_t pc_wall_ns(void *ctx)
{
	return ((struct pc *)ctx)->wall_ns;
}

static inline void pc_set_line(void *ctx, unsigned gsi, bool level)
{
	struct pc *pc = ctx;

	pc->rises[gsi] += level && !pc->lines[gsi];
	pc->lines[gsi] = level;
	if (pc->on_line)
		pc->on_line(pc->line_ctx, gsi, level);
}

static inline void pc_on_output(void *ctx)
{
	((struct pc *)ctx)->outputs++;
}

static inline uint64_t pc_bar_read(void *ctx, uint64_t offset, unsigned size)
{
	return offset;
}

static inline enum device_verdict pc_bar_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	return DEVICE_RESUME;
}

static inline void pc_on_move(void *ctx, bool on, uint64_t base)
{
	struct pc *pc = ctx;

	pc->bar_on = on;
	pc->bar_base = base;
}

/* ---- the board ---- */

static inline int pc_add_cards(struct pc *pc, struct err *err)
{
	struct device_pci_setup setup = {.device = PC_NEIGHBOUR,
	        .vendor_id = 0x1af4,
	        .device_id = 0x1042,
	        .class_code = 0x018000,
	        .interrupt_pin = 1,
	        .ctx = pc};

	if (device_pci_add(device_pci_of(&pc->board), &setup, &pc->neighbour, err) < 0)
		return -1;
	setup.device = PC_CARD;
	setup.msix_vectors = PC_VECTORS;
	setup.msix_bar = 1;
	setup.bars[0] = (struct device_pci_bar){.name = "card",
	        .size = KIB(4),
	        .read = pc_bar_read,
	        .write = pc_bar_write,
	        .on_move = pc_on_move};
	return device_pci_add(device_pci_of(&pc->board), &setup, &pc->card, err);
}

static inline int pc_add_flash(struct pc *pc, struct err *err)
{
	struct device_flash_ask ask = {.name = "vars", .base = PC_FLASH, .size_bytes = PC_FLASH_BYTES};
	uint8_t erased[PC_FLASH_BYTES];

	memset(erased, 0xff, sizeof(erased));
	pc->vars_fd = ask.fd = memfd_create("vars", MFD_CLOEXEC);
	if (pwrite(ask.fd, erased, sizeof(erased), 0) != PC_FLASH_BYTES)
		return err_set(err, ERR_FAILED, "no memory for the file of the flash chip");
	return device_board_add(&pc->board, &device_flash_kind, &ask, err);
}

/* As after power-on. Whatever happened, pc_finish() follows. */
static inline int pc_make(struct pc *pc, struct err *err)
{
	const struct device_dimms_ask dimms = {.announced = true};

	*pc = (struct pc){.vars_fd = -1, .wall_ns = 1795219198000000000};
	pc->board.irq = (struct device_irq){pc_set_line, pc};
	pc->board.wires = fake_wires(&pc->wires);
	pc->board.clock = (struct device_clock){pc_now_ns, pc_wall_ns, pc};
	pc->board.events = (struct device_events){.on_output = pc_on_output, .ctx = pc};
	pc->board.low_bytes = MIB(512);
	if (device_board_init(&pc->board, err) < 0)
		return -1;
	pc->bus = pc->board.bus;
	if (board_fill(&pc->board, err) < 0 ||
	        device_board_add(&pc->board, &device_dimms_kind, &dimms, err) < 0 ||
	        pc_add_cards(pc, err) < 0 || pc_add_flash(pc, err) < 0 ||
	        device_fw_cfg_add_file(device_fw_cfg_of(&pc->board), "etc/e820", "0123456789", 10, err) < 0)
		return -1;
	device_bus_freeze(pc->bus);
	device_board_reset(&pc->board);
	return 0;
}

static inline void pc_finish(struct pc *pc)
{
	device_board_finish(&pc->board);
	if (pc->vars_fd >= 0)
		close(pc->vars_fd);
	pc->vars_fd = -1;
}

/* The number of the first device of this kind. */
static inline unsigned pc_index(const struct pc *pc, const struct device_kind *kind)
{
	unsigned i = 0;

	while (pc->board.devices[i]->kind != kind)
		i++;
	return i;
}

/* ---- the guest's accesses ---- */

static inline uint64_t pc_in(struct pc *pc, uint64_t port, unsigned size)
{
	return device_bus_read(pc->bus, DEVICE_PIO, port, size);
}

static inline void pc_out(struct pc *pc, uint64_t port, unsigned size, uint64_t value)
{
	device_bus_write(pc->bus, DEVICE_PIO, port, size, value);
}

static inline uint64_t pc_load(struct pc *pc, uint64_t address, unsigned size)
{
	return device_bus_read(pc->bus, DEVICE_MMIO, address, size);
}

static inline void pc_store(struct pc *pc, uint64_t address, unsigned size, uint64_t value)
{
	device_bus_write(pc->bus, DEVICE_MMIO, address, size, value);
}

static inline void pc_address(struct pc *pc, unsigned device, unsigned function, unsigned reg)
{
	pc_out(pc, 0xcf8, 4, 0x80000000u | device << 11 | function << 8 | reg);
}

static inline uint32_t pc_config(struct pc *pc, unsigned device, unsigned reg)
{
	pc_address(pc, device, 0, reg);
	return (uint32_t)pc_in(pc, 0xcfc, 4);
}

static inline void pc_set_config(
        struct pc *pc, unsigned device, unsigned function, unsigned reg, uint32_t value)
{
	pc_address(pc, device, function, reg);
	pc_out(pc, 0xcfc, 4, value);
}

/* ---- a guest that has used all devices ---- */

/* Vector 1 is masked and pending; the neighbour's pin is up. */
static inline void pc_use_pci(struct pc *pc)
{
	pc_set_config(pc, 1, 3, 0x40, PC_PM | 1);
	pc_set_config(pc, 1, 3, 0x80, 1);
	pc_set_config(pc, PC_CARD, 0, 0x10, PC_BAR);
	pc_set_config(pc, PC_CARD, 0, 0x14, PC_TABLE);
	pc_set_config(pc, PC_CARD, 0, 0x04, 0x0006);
	pc_set_config(pc, PC_CARD, 0, 0x40, 0x80000000);
	for (unsigned i = 0; i < PC_VECTORS; i++) {
		pc_store(pc, PC_TABLE + 16 * i, 8, 0xfee00000u + 0x1000u * i);
		pc_store(pc, PC_TABLE + 16 * i + 8, 8, UINT64_C(0x100000000) * (i == 1) + 0x40 + i);
	}
	device_msix_notify(device_pci_msix(pc->card), 1);
	device_pci_interrupt(pc->neighbour, true);
}

static inline void pc_use_power(struct pc *pc)
{
	pc_out(pc, PC_PM + 2, 2, 0x0120);
	pc_out(pc, PC_PM + 4, 2, 1);
	pc_out(pc, DEVICE_POWER_GPE_PORT + 2, 2, 0x0108);
	pc_out(pc, 0xcf9, 1, 2);
	pc_out(pc, 0x92, 1, 0);
	device_power_button(device_power_of(&pc->board));
}

/* 16 bytes are in the FIFO, 5 wait in front of it, and one that was sent waits for the host. */
static inline void pc_use_serial(struct pc *pc)
{
	pc_out(pc, 0x3fb, 1, 0x83);
	pc_out(pc, 0x3f8, 2, 0x0001);
	pc_out(pc, 0x3fb, 1, 0x03);
	pc_out(pc, 0x3fa, 1, 0x81);
	pc_out(pc, 0x3fc, 1, 0x0b);
	pc_out(pc, 0x3f9, 1, 0x05);
	pc_out(pc, 0x3ff, 1, 0x5a);
	pc_out(pc, 0x3f8, 1, 'x');
	(void)device_serial_input(device_serial_of(&pc->board), "abcdefghijklmnopqrstu", 21);
}

/* The clock is an hour ahead of the host's. */
static inline void pc_use_rtc(struct pc *pc)
{
	pc_out(pc, 0x70, 1, 0x04);
	pc_out(pc, 0x71, 1, pc_in(pc, 0x71, 1) == 0x23 ? 0 : 0x23);
	pc_out(pc, 0x70, 1, 0x40);
	pc_out(pc, 0x71, 1, 0x77);
}

static inline void pc_use_fw_cfg(struct pc *pc)
{
	pc_out(pc, 0x510, 2, 0x21);
	for (unsigned i = 0; i < 3; i++)
		(void)pc_in(pc, 0x511, 1);
	pc_out(pc, 0x514, 4, 0x01000000);
}

static inline void pc_use_dimms(struct pc *pc)
{
	device_dimms_add(device_dimms_of(&pc->board), gpa(PC_DIMM), MIB(128));
	device_dimms_add(device_dimms_of(&pc->board), gpa(PC_DIMM + MIB(128)), MIB(256));
	pc_out(pc, DEVICE_DIMMS_PORT, 4, 1);
	pc_out(pc, DEVICE_DIMMS_PORT + 4, 4, 1);
	pc_out(pc, DEVICE_DIMMS_PORT + 8, 4, 0x81);
	pc_out(pc, DEVICE_DIMMS_PORT + 20, 1, 2);
}

/* One byte is programmed, and two of three are in the buffer. */
static inline void pc_use_flash(struct pc *pc)
{
	static const uint8_t writes[][2] = {{0, 0x40}, {0, 0x12}, {0, 0xe8}, {0, 2}, {8, 'a'}, {9, 'b'}};

	for (size_t i = 0; i < ARRAY_LEN(writes); i++)
		pc_store(pc, PC_FLASH + DEVICE_FLASH_BLOCK_BYTES + writes[i][0], 1, writes[i][1]);
}

static inline void pc_use(struct pc *pc)
{
	pc_use_pci(pc);
	pc_use_power(pc);
	pc_use_serial(pc);
	pc_use_rtc(pc);
	pc_use_fw_cfg(pc);
	pc_use_dimms(pc);
	pc_use_flash(pc);
}

/* ---- every register, read once ---- */

#define PC_REGISTERS 16384

static inline size_t pc_read_range(
        struct pc *pc, enum device_space space, uint64_t first, uint64_t bytes, uint64_t *ret_values)
{
	for (uint64_t i = 0; i < bytes; i++)
		ret_values[i] = device_bus_read(pc->bus, space, first + i, 1);
	return bytes;
}

/* Reads each register in turn, with what reading does to it. Returns how many there are. */
static inline size_t pc_read_all(struct pc *pc, uint64_t ret_values[static PC_REGISTERS])
{
	static const struct {
		enum device_space space;
		uint64_t first, bytes;
	} ranges[] = {
	        {DEVICE_PIO, 0x64, 1},
	        {DEVICE_PIO, 0x92, 1},
	        {DEVICE_PIO, 0x3f8, 8},
	        {DEVICE_PIO, 0x402, 1},
	        {DEVICE_PIO, 0x505, 1},
	        {DEVICE_PIO, 0x510, 12},
	        {DEVICE_PIO, DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS},
	        {DEVICE_PIO, DEVICE_POWER_GPE_PORT, DEVICE_POWER_GPE_PORTS},
	        {DEVICE_PIO, PC_PM, 64},
	        {DEVICE_PIO, 0xcf8, 8},
	        {DEVICE_MMIO, PC_TABLE, 16 * PC_VECTORS + 8},
	        {DEVICE_MMIO, PC_FLASH, PC_FLASH_BYTES},
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		n += pc_read_range(pc, ranges[i].space, ranges[i].first, ranges[i].bytes, ret_values + n);
	for (unsigned i = 0; i < 30; i++)
		ret_values[n++] = pc_in(pc, i < 24 ? 0x3f8 : 0x511, 1);
	ret_values[n++] = pc_in(pc, 0x71, 1);
	for (unsigned i = 0; i < 128; i++) {
		pc_out(pc, 0x70, 1, i);
		ret_values[n++] = pc_in(pc, 0x71, 1);
	}
	for (unsigned i = 0; i < 8 * 256; i += 4) {
		pc_address(pc, i >> 8, i >> 8 == 1 ? 3 : 0, i & 0xff);
		ret_values[n++] = pc_in(pc, 0xcfc, 4);
	}
	for (unsigned slot = 0; slot < 3; slot++) {
		pc_out(pc, DEVICE_DIMMS_PORT, 4, slot);
		n += pc_read_range(pc, DEVICE_PIO, DEVICE_DIMMS_PORT, DEVICE_DIMMS_PORTS, ret_values + n);
	}
	pc_store(pc, PC_FLASH, 1, 0xff);
	return n + pc_read_range(pc, DEVICE_MMIO, PC_FLASH, 256, ret_values + n);
}

#endif
