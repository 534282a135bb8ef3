/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_card: a board with PCI, fake wires and lines, and how a guest reaches configuration space and BARs.
 */
#ifndef TEST_DEVICE_PCI_CARD_H
#define TEST_DEVICE_PCI_CARD_H

#include "guest.h"
#include "support/wires.h"
#include "vmm/device/pci.h"

#define COMMAND        0x04
#define COMMAND_MEMORY 0x0002
#define COMMAND_NO_PIN 0x0400
#define STATUS_PIN     (1u << 19) /* of the double word of command and status */
#define BAR(i)         (0x10 + 4 * (i))

struct card_board {
	struct device_board board;
	struct fake_wires wires;
	struct fake_irq irq;
	struct device_pci *pci;
};

static inline void card_board_init(struct card_board *b)
{
	struct err err;

	*b = (struct card_board){0};
	b->board.wires = fake_wires(&b->wires);
	b->board.irq = fake_irq(&b->irq);
	assert_ok(device_board_init(&b->board, &err));
	assert_ok(device_board_add(&b->board, &device_pci_kind, NULL, &err));
	b->pci = device_pci_of(&b->board);
}

static inline uint32_t config_get(struct card_board *b, unsigned device, unsigned reg)
{
	outl(b->board.bus, 0xcf8, 0x80000000 | device << 11 | reg);
	return inl(b->board.bus, 0xcfc);
}

static inline void config_set(struct card_board *b, unsigned device, unsigned reg, uint32_t value)
{
	outl(b->board.bus, 0xcf8, 0x80000000 | device << 11 | reg);
	outl(b->board.bus, 0xcfc, value);
}

/* The offset of a capability; 0: the function has none. */
static inline unsigned config_find(struct card_board *b, unsigned device, uint8_t id)
{
	unsigned at = config_get(b, device, 0x34) & 0xff;

	while (at && (config_get(b, device, at) & 0xff) != id)
		at = config_get(b, device, at) >> 8 & 0xff;
	return at;
}

static inline uint64_t mmio_get(struct card_board *b, uint64_t address, unsigned size)
{
	return device_bus_read(b->board.bus, DEVICE_MMIO, address, size);
}

static inline void mmio_set(struct card_board *b, uint64_t address, unsigned size, uint64_t value)
{
	assert_int_equal(device_bus_write(b->board.bus, DEVICE_MMIO, address, size, value), DEVICE_RESUME);
}

#endif
