/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci: configuration mechanism 1 over the functions of bus 0. Runs on any vCPU thread, with one lock, which
 * is held while a function is told of a change. PCI Local Bus 3.0, section 3.2.2.3.2 and chapter 6; Intel
 * 440FX, section 3.1; 82371SB (PIIX3), section 2.2.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "cf9.h"

#define ADDRESS_PORT   0xcf8
#define DATA_PORT      0xcfc
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu /* enable, bus, device, function, register; the others read as zero */
#define FUNCTIONS_MAX  256         /* devfn: 32 devices of 8 functions */

struct function {
	uint8_t config[256], initial[256], write_mask[256];
	void (*on_write)(void *ctx, const uint8_t config[256]);
	void *ctx;
};

struct device_pci {
	struct device device;
	uint32_t address;
	struct function *functions[FUNCTIONS_MAX];
	struct device_range cf9; /* fixed before the guest runs */
};

/* ---- address register: 32-bit accesses alone; narrower ones are meant for other devices ---- */

static uint64_t address_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_pci *pci = dev;
	const struct device_range *cf9 = &pci->cf9;
	uint64_t value = 0;

	if (size == 4) {
		pthread_mutex_lock(&pci->device.lock);
		value = pci->address;
		pthread_mutex_unlock(&pci->device.lock);
		return value;
	}
	for (unsigned i = 0; i < size; i++) {
		bool is_cf9 = offset + i == 1 && cf9->read;

		value |= (is_cf9 ? cf9->read(cf9->dev, 0, 1) & 0xff : 0xff) << (8 * i);
	}
	return value;
}

static enum device_verdict address_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_pci *pci = dev;
	const struct device_range *cf9 = &pci->cf9;

	if (size == 4) {
		pthread_mutex_lock(&pci->device.lock);
		pci->address = value & ADDRESS_BITS;
		pthread_mutex_unlock(&pci->device.lock);
		return DEVICE_RESUME;
	}
	for (unsigned i = 0; i < size; i++)
		if (offset + i == 1 && cf9->write)
			return cf9->write(cf9->dev, 0, 1, (value >> (8 * i)) & 0xff);
	return DEVICE_RESUME;
}

/* ---- data register: any bytes of the addressed double word ---- */

/* NULL: no function is there. Buses other than 0 are empty. */
static struct function *addressed(const struct device_pci *pci)
{
	unsigned bus = pci->address >> 16 & 0xff;

	if (!(pci->address & ADDRESS_ENABLE) || bus != 0)
		return NULL;
	return pci->functions[pci->address >> 8 & 0xff];
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_pci *pci = dev;
	const struct function *function;
	uint64_t value = UINT64_MAX;

	pthread_mutex_lock(&pci->device.lock);
	function = addressed(pci);
	if (function)
		value = load_le(&function->config[(pci->address & 0xfc) + offset], size);
	pthread_mutex_unlock(&pci->device.lock);
	return value;
}

static enum device_verdict data_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_pci *pci = dev;
	struct function *function;

	pthread_mutex_lock(&pci->device.lock);
	function = addressed(pci);
	for (unsigned i = 0; function && i < size; i++) {
		unsigned at = (pci->address & 0xfc) + (unsigned)offset + i;
		uint8_t mask = function->write_mask[at];

		function->config[at] = (uint8_t)((function->config[at] & ~mask) | (value >> (8 * i) & mask));
	}
	if (function && function->on_write)
		function->on_write(function->ctx, function->config);
	pthread_mutex_unlock(&pci->device.lock);
	return DEVICE_RESUME;
}

/* ---- functions ---- */

/* Command bits, cache line size, latency timer and interrupt line have no effect here. The guest may write
 * them and reads them back. */
static void standard_mask(uint8_t mask[256])
{
	uint16_t command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
	                   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;

	store_le(&mask[PCI_COMMAND], 2, command);
	mask[PCI_CACHE_LINE_SIZE] = mask[PCI_LATENCY_TIMER] = mask[PCI_INTERRUPT_LINE] = 0xff;
}

static void fill_header(uint8_t config[256], const struct device_pci_function *from)
{
	store_le(&config[PCI_VENDOR_ID], 2, from->vendor_id);
	store_le(&config[PCI_DEVICE_ID], 2, from->device_id);
	store_le(&config[PCI_CLASS_REVISION], 4, from->class_code << 8 | from->revision);
	config[PCI_HEADER_TYPE] = from->header_type;
	store_le(&config[PCI_SUBSYSTEM_VENDOR_ID], 2, from->subsystem_vendor_id);
	store_le(&config[PCI_SUBSYSTEM_ID], 2, from->subsystem_id);
	config[PCI_INTERRUPT_PIN] = from->interrupt_pin;
}

int device_pci_add(struct device_pci *pci, const struct device_pci_function *function, struct err *err)
{
	unsigned devfn = function->device << 3 | function->function;
	struct function *new;

	if (function->device > 31 || function->function > 7 || pci->functions[devfn])
		return err_set(err, ERR_FAILED, "PCI function 00:%02x.%x cannot be added or is there already",
		        function->device, function->function);
	new = calloc(1, sizeof(*new));
	if (!new)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for PCI function 00:%02x.%x",
		        function->device, function->function);
	if (function->initial)
		memcpy(new->initial, function->initial, sizeof(new->initial));
	fill_header(new->initial, function);
	standard_mask(new->write_mask);
	for (unsigned i = 0; function->write_mask && i < sizeof(new->write_mask); i++)
		new->write_mask[i] |= function->write_mask[i];
	memcpy(new->config, new->initial, sizeof(new->config));
	new->on_write = function->on_write;
	new->ctx = function->ctx;
	pci->functions[devfn] = new;
	return 0;
}

static void reset(struct device *device)
{
	struct device_pci *pci = (struct device_pci *)device;

	pthread_mutex_lock(&pci->device.lock);
	pci->address = 0;
	for (unsigned i = 0; i < FUNCTIONS_MAX; i++) {
		struct function *function = pci->functions[i];

		if (!function)
			continue;
		memcpy(function->config, function->initial, sizeof(function->config));
		if (function->on_write)
			function->on_write(function->ctx, function->config);
	}
	pthread_mutex_unlock(&pci->device.lock);
}

void device_pci_set_cf9(struct device_pci *pci, const struct device_range *range)
{
	pci->cf9 = *range;
}

/* ---- the kind, with the bridges that firmware looks for ---- */

/* Interrupt routing of the PCI pins, off after reset (PIIX3, PIRQRC); nothing is behind it. */
#define PIRQ_ROUTES 0x60
static const uint8_t isa_initial[256] = {[PIRQ_ROUTES] = 0x80, 0x80, 0x80, 0x80};
static const uint8_t isa_write_mask[256] = {[PIRQ_ROUTES] = 0xff, 0xff, 0xff, 0xff};

static const struct device_pci_function bridges[] = {
        {.device = 0, .vendor_id = 0x8086, .device_id = 0x1237, .class_code = 0x060000, .revision = 2},
        {.device = 1,
                .vendor_id = 0x8086,
                .device_id = 0x7000,
                .class_code = 0x060100,
                .header_type = 0x80,
                .initial = isa_initial,
                .write_mask = isa_write_mask},
};

static int init(struct device *device, struct device_board *board, const void *ask, struct err *err)
{
	struct device_pci *pci = (struct device_pci *)device;
	const struct device_range ranges[] = {
	        {"PCI address register", DEVICE_PIO, ADDRESS_PORT, 4, address_read, address_write, pci, 0},
	        {"PCI data register", DEVICE_PIO, DATA_PORT, 4, data_read, data_write, pci, 0},
	};

	for (unsigned i = 0; i < ARRAY_LEN(ranges); i++)
		if (device_bus_claim(board->bus, &ranges[i], err) < 0)
			return -1;
	for (unsigned i = 0; i < ARRAY_LEN(bridges); i++)
		if (device_pci_add(pci, &bridges[i], err) < 0)
			return -1;
	return 0;
}

static void finish(struct device *device)
{
	struct device_pci *pci = (struct device_pci *)device;

	for (unsigned i = 0; i < FUNCTIONS_MAX; i++)
		free(pci->functions[i]);
}

const struct device_kind device_pci_kind = {
        .name = "PCI bus", .size = sizeof(struct device_pci), .init = init, .reset = reset, .finish = finish};

struct device_pci *device_pci_of(const struct device_board *board)
{
	return (struct device_pci *)device_board_find(board, &device_pci_kind);
}
