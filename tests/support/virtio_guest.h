/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_guest: a board with PCI and the guest's memory, and a driver that finds virtio devices on it as
 * VIRTIO 1.2, 4.1 says: by configuration space, capabilities and BARs. It goes through the board's bus alone.
 * The loop is the caller's: nobody runs it but virtio_guest_turn().
 */
#ifndef TEST_SUPPORT_VIRTIO_GUEST_H
#define TEST_SUPPORT_VIRTIO_GUEST_H

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "virtio_driver.h"
#include "vmm/virtio.h"

#define VIRTIO_GUEST_MEMORY MIB(4)
#define VIRTIO_GUEST_BARS   0xc0000000u /* where the driver puts them, one after the other */

/* Stops the test at once: a promise of the board or the transport is broken, whatever the device does. */
#define VIRTIO_GUEST_NEEDS(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

struct virtio_guest {
	struct host *host;
	struct page_memory *memory;
	uint8_t *ram;
	struct device_board board;
	struct loop *loop;
	struct loop_task turn;
	unsigned turns;
	uint64_t next_bar;
	_Atomic unsigned messages; /* that were sent */
	_Atomic unsigned last_data;
	_Atomic bool lines[64];
};

/* ---- the machine ---- */

static inline void virtio_guest_on_line(void *ctx, unsigned gsi, bool level)
{
	struct virtio_guest *guest = ctx;

	VIRTIO_GUEST_NEEDS(gsi < ARRAY_LEN(guest->lines));
	guest->lines[gsi] = level;
}

static inline void virtio_guest_on_message(void *ctx, const struct device_msi *msi)
{
	struct virtio_guest *guest = ctx;

	guest->last_data = msi->data;
	guest->messages++;
}

/*
 * A board with nothing but PCI. Devices are added next, then comes virtio_guest_start(). growth_bytes: RAM
 * that can be added (PAGE_PLUGGED).
 */
static inline void virtio_guest_init_with(
        struct virtio_guest *guest, enum page_backing backing, uint64_t growth_bytes)
{
	struct page_layout layout;
	struct err err;

	*guest = (struct virtio_guest){.next_bar = VIRTIO_GUEST_BARS};
	VIRTIO_GUEST_NEEDS(host_kernel_create(&guest->host, &err) == 0);
	VIRTIO_GUEST_NEEDS(page_layout_make(VIRTIO_GUEST_MEMORY, KIB(4), &layout, &err) == 0);
	VIRTIO_GUEST_NEEDS(!growth_bytes || page_layout_add_plugged(&layout, growth_bytes, &err) == 0);
	VIRTIO_GUEST_NEEDS(page_memory_create(guest->host, &layout, backing, &guest->memory, &err) == 0);
	guest->ram = page_memory_slot_address(guest->memory, 0);
	VIRTIO_GUEST_NEEDS(loop_create(&guest->loop, &err) == 0);
	guest->board.irq = (struct device_irq){.set = virtio_guest_on_line, .ctx = guest};
	guest->board.wires = (struct device_wires){.send = virtio_guest_on_message, .ctx = guest};
	VIRTIO_GUEST_NEEDS(device_board_init(&guest->board, &err) == 0);
	VIRTIO_GUEST_NEEDS(device_board_add(&guest->board, &device_pci_kind, NULL, &err) == 0);
}

static inline void virtio_guest_init(struct virtio_guest *guest)
{
	virtio_guest_init_with(guest, PAGE_OWN, 0);
}

static inline struct virtio_place virtio_guest_place(struct virtio_guest *guest)
{
	return (struct virtio_place){.board = &guest->board, .main_loop = guest->loop, .vcpus = 2};
}

/* Adds a device that needs no configuration beyond this. */
static inline void virtio_guest_add(
        struct virtio_guest *guest, virtio_adder *add, const struct config_device *config)
{
	const struct virtio_place place = virtio_guest_place(guest);
	struct err err;

	if (add(&place, config, &err) < 0) {
		fprintf(stderr, "%s: %s\n", config->id, err.text);
		abort();
	}
}

static inline void virtio_guest_start(struct virtio_guest *guest)
{
	device_bus_freeze(guest->board.bus);
	device_board_attach(&guest->board, guest->memory);
}

static inline void virtio_guest_finish(struct virtio_guest *guest)
{
	device_board_attach(&guest->board, NULL);
	device_board_finish(&guest->board);
	loop_destroy(guest->loop);
	page_memory_destroy(guest->memory);
	host_destroy(guest->host);
}

static inline void virtio_guest_on_turn(void *ctx)
{
	struct virtio_guest *guest = ctx;

	if (--guest->turns)
		loop_post(guest->loop, &guest->turn);
	else
		loop_stop(guest->loop);
}

/* Lets the loop run a few turns. */
static inline void virtio_guest_turn(struct virtio_guest *guest, unsigned turns)
{
	struct err err;

	guest->turns = turns;
	guest->turn.fn = virtio_guest_on_turn;
	guest->turn.ctx = guest;
	loop_post(guest->loop, &guest->turn);
	VIRTIO_GUEST_NEEDS(loop_run(guest->loop, &err) == 0);
}

/* Lets the loop run until a condition holds, for some seconds at most. */
#define VIRTIO_GUEST_UNTIL(guest, condition) \
	for (unsigned turns_ = 0; turns_ < 100000 && !(condition); turns_++) \
	virtio_guest_turn((guest), 1)

/* ---- configuration space ---- */

static inline uint64_t virtio_guest_pci_read(
        struct virtio_guest *guest, unsigned slot, unsigned offset, unsigned size)
{
	device_bus_write(
	        guest->board.bus, DEVICE_PIO, 0xcf8, 4, UINT64_C(1) << 31 | slot << 11 | (offset & ~3u));
	return device_bus_read(guest->board.bus, DEVICE_PIO, 0xcfc + (offset & 3), size);
}

static inline void virtio_guest_pci_write(
        struct virtio_guest *guest, unsigned slot, unsigned offset, unsigned size, uint64_t value)
{
	device_bus_write(
	        guest->board.bus, DEVICE_PIO, 0xcf8, 4, UINT64_C(1) << 31 | slot << 11 | (offset & ~3u));
	device_bus_write(guest->board.bus, DEVICE_PIO, 0xcfc + (offset & 3), size, value);
}

/* ---- a device ---- */

struct virtio_function {
	struct virtio_guest *guest;
	unsigned slot; /* PCI device number */
	unsigned id;   /* VIRTIO 5 */
	uint64_t bars[6];
	uint64_t common, notify, isr, config, table; /* addresses; 0: there is none */
	uint32_t notify_multiplier, config_bytes;
	unsigned vectors;
	unsigned window; /* the capability for access through configuration space */
};

/* PCI 3.0, 6.2.5.1: all ones, then the size is what can be written. */
static inline void virtio_function_place_bar(struct virtio_function *function, unsigned i)
{
	struct virtio_guest *guest = function->guest;
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;
	uint32_t bits, size;

	virtio_guest_pci_write(guest, function->slot, at, 4, UINT32_MAX);
	bits = (uint32_t)virtio_guest_pci_read(guest, function->slot, at, 4);
	if (!bits)
		return;
	VIRTIO_GUEST_NEEDS(!(bits & PCI_BASE_ADDRESS_SPACE_IO));
	size = ~(bits & ~UINT32_C(15)) + 1;
	guest->next_bar = (guest->next_bar + size - 1) & ~(uint64_t)(size - 1);
	function->bars[i] = guest->next_bar;
	virtio_guest_pci_write(guest, function->slot, at, 4, guest->next_bar);
	guest->next_bar += size;
}

static inline void virtio_function_read_structure(struct virtio_function *function, unsigned cap)
{
	struct virtio_guest *guest = function->guest;
	unsigned slot = function->slot;
	unsigned type = (unsigned)virtio_guest_pci_read(guest, slot, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1);
	unsigned bar = (unsigned)virtio_guest_pci_read(guest, slot, cap + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t offset = virtio_guest_pci_read(guest, slot, cap + VIRTIO_PCI_CAP_OFFSET, 4), at;

	VIRTIO_GUEST_NEEDS(bar < ARRAY_LEN(function->bars));
	at = function->bars[bar] + offset;
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG: function->common = at; break;
	case VIRTIO_PCI_CAP_ISR_CFG: function->isr = at; break;
	case VIRTIO_PCI_CAP_PCI_CFG: function->window = cap; break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		function->notify = at;
		function->notify_multiplier =
		        (uint32_t)virtio_guest_pci_read(guest, slot, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		function->config = at;
		function->config_bytes =
		        (uint32_t)virtio_guest_pci_read(guest, slot, cap + VIRTIO_PCI_CAP_LENGTH, 4);
		break;
	default: break;
	}
}

static inline void virtio_function_read_msix(struct virtio_function *function, unsigned cap)
{
	struct virtio_guest *guest = function->guest;
	uint64_t flags = virtio_guest_pci_read(guest, function->slot, cap + PCI_MSIX_FLAGS, 2);
	uint64_t table = virtio_guest_pci_read(guest, function->slot, cap + PCI_MSIX_TABLE, 4);

	function->vectors = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
	function->table = function->bars[table & PCI_MSIX_TABLE_BIR] + (table & PCI_MSIX_TABLE_OFFSET);
	virtio_guest_pci_write(guest, function->slot, cap + PCI_MSIX_FLAGS, 2, flags | PCI_MSIX_FLAGS_ENABLE);
}

static inline void virtio_function_read_capabilities(struct virtio_function *function, bool msix)
{
	struct virtio_guest *guest = function->guest;
	unsigned cap = (unsigned)virtio_guest_pci_read(guest, function->slot, PCI_CAPABILITY_LIST, 1);

	for (unsigned count = 0; cap; count++) {
		unsigned id = (unsigned)virtio_guest_pci_read(guest, function->slot, cap, 1);

		VIRTIO_GUEST_NEEDS(count < 48); /* no loop */
		if (id == PCI_CAP_ID_VNDR)
			virtio_function_read_structure(function, cap);
		else if (id == PCI_CAP_ID_MSIX && msix)
			virtio_function_read_msix(function, cap);
		cap = (unsigned)virtio_guest_pci_read(guest, function->slot, cap + 1, 1);
	}
}

/* Finds the n-th virtio device on the bus, places its BARs and switches it on. Returns false if there is
 * none. */
static inline bool virtio_function_find(
        struct virtio_function *function, struct virtio_guest *guest, unsigned n, bool msix)
{
	unsigned slot;

	for (slot = 0; slot < 32; slot++) {
		uint64_t ids = virtio_guest_pci_read(guest, slot, PCI_VENDOR_ID, 4);

		if ((ids & 0xffff) == 0x1af4 && !n--)
			break;
	}
	if (slot == 32)
		return false;
	*function = (struct virtio_function){.guest = guest, .slot = slot};
	function->id = (unsigned)virtio_guest_pci_read(guest, slot, PCI_DEVICE_ID, 2) - 0x1040;
	for (unsigned i = 0; i < ARRAY_LEN(function->bars); i++)
		virtio_function_place_bar(function, i);
	virtio_guest_pci_write(guest, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	virtio_function_read_capabilities(function, msix);
	VIRTIO_GUEST_NEEDS(function->common && function->notify && function->isr);
	return true;
}

/* ---- its registers ---- */

static inline uint64_t virtio_function_get(
        const struct virtio_function *function, unsigned offset, unsigned size)
{
	return device_bus_read(function->guest->board.bus, DEVICE_MMIO, function->common + offset, size);
}

static inline void virtio_function_set(
        const struct virtio_function *function, unsigned offset, unsigned size, uint64_t value)
{
	device_bus_write(function->guest->board.bus, DEVICE_MMIO, function->common + offset, size, value);
}

static inline unsigned virtio_function_status(const struct virtio_function *function)
{
	return (unsigned)virtio_function_get(function, VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline void virtio_function_add_status(const struct virtio_function *function, unsigned bits)
{
	virtio_function_set(function, VIRTIO_PCI_COMMON_STATUS, 1, virtio_function_status(function) | bits);
}

static inline void virtio_function_reset(const struct virtio_function *function)
{
	virtio_function_set(function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	VIRTIO_GUEST_NEEDS(virtio_function_status(function) == 0);
}

/* 3.1.1: from the reset to FEATURES_OK, with all features of a mask that are offered. Returns these. */
static inline uint64_t virtio_function_negotiate(const struct virtio_function *function, uint64_t mask)
{
	uint64_t features = 0;

	virtio_function_reset(function);
	virtio_function_add_status(function, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_function_add_status(function, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		virtio_function_set(function, VIRTIO_PCI_COMMON_DFSELECT, 4, word);
		features |= virtio_function_get(function, VIRTIO_PCI_COMMON_DF, 4) << (32 * word);
	}
	features &= mask | UINT64_C(1) << VIRTIO_F_VERSION_1;
	for (unsigned word = 0; word < 2; word++) {
		virtio_function_set(function, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		virtio_function_set(function, VIRTIO_PCI_COMMON_GF, 4, features >> (32 * word) & UINT32_MAX);
	}
	virtio_function_add_status(function, VIRTIO_CONFIG_S_FEATURES_OK);
	VIRTIO_GUEST_NEEDS(virtio_function_status(function) & VIRTIO_CONFIG_S_FEATURES_OK);
	return features;
}

static inline void virtio_function_set_address(
        const struct virtio_function *function, unsigned offset, uint64_t address)
{
	virtio_function_set(function, offset, 4, address & UINT32_MAX);
	virtio_function_set(function, offset + 4, 4, address >> 32);
}

/* 4.1.5.1.3: gives the device a queue, whose rings lie at a guest physical address, and enables it. */
static inline void virtio_function_queue(const struct virtio_function *function, unsigned index,
        struct driver *driver, uint64_t at, uint16_t size, bool event_idx)
{
	driver_init(driver, function->guest->ram, at, size, event_idx);
	virtio_function_set(function, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	virtio_function_set(function, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	virtio_function_set(function, VIRTIO_PCI_COMMON_Q_MSIX, 2, index + 1);
	virtio_function_set_address(
	        function, VIRTIO_PCI_COMMON_Q_DESCLO, driver_gpa(driver, driver->ring.desc));
	virtio_function_set_address(
	        function, VIRTIO_PCI_COMMON_Q_AVAILLO, driver_gpa(driver, driver->ring.avail));
	virtio_function_set_address(
	        function, VIRTIO_PCI_COMMON_Q_USEDLO, driver_gpa(driver, driver->ring.used));
	virtio_function_set(function, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* Gives each vector of MSI-X a message whose data is its number, and unmasks it. */
static inline void virtio_function_unmask(const struct virtio_function *function)
{
	struct device_bus *bus = function->guest->board.bus;

	for (unsigned i = 0; i < function->vectors; i++) {
		uint64_t entry = function->table + (uint64_t)i * PCI_MSIX_ENTRY_SIZE;

		device_bus_write(bus, DEVICE_MMIO, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee00000);
		device_bus_write(bus, DEVICE_MMIO, entry + PCI_MSIX_ENTRY_DATA, 4, i);
		device_bus_write(bus, DEVICE_MMIO, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
}

static inline void virtio_function_kick(const struct virtio_function *function, unsigned index)
{
	uint64_t offset;

	virtio_function_set(function, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	offset = virtio_function_get(function, VIRTIO_PCI_COMMON_Q_NOFF, 2) * function->notify_multiplier;
	device_bus_write(function->guest->board.bus, DEVICE_MMIO, function->notify + offset, 2, index);
}

#endif
