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
#include "pci.h"

#define ADDRESS_PORT   0xcf8
#define DATA_PORT      0xcfc
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu /* enable, bus, device, function, register; the others read as zero */
#define FUNCTIONS_MAX  256         /* devfn: 32 devices of 8 functions */
#define DEVICES        32
#define PINS           4

#define CAPABILITIES_START 0x40 /* behind the header */
#define MULTIFUNCTION      0x80 /* in the header's type */

struct device_pci {
	struct device device;
	struct device_board *board;
	uint32_t address;
	struct device_pci_function *functions[FUNCTIONS_MAX];
	unsigned wanted[PINS];   /* by how many functions each line is wanted high */
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

/* ---- interrupt pins. Four lines, which functions share ---- */

/* The pin is silent while the function uses MSI-X (PCI 3.0, 6.8.2.1). The status bit does not know that. */
static void update_line(struct device_pci_function *function)
{
	struct device_pci *pci = function->pci;
	const struct device_irq *irq = &pci->board->irq;
	uint16_t command = (uint16_t)load_le(&function->config[PCI_COMMAND], 2);
	unsigned pin = function->config[PCI_INTERRUPT_PIN], gsi;
	bool level = function->level && pin && !(command & PCI_COMMAND_INTX_DISABLE) &&
	             !(function->msix && device_msix_is_on(function->msix));
	unsigned *wanted;

	function->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (function->level)
		function->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	if (level == function->asserted)
		return;
	function->asserted = level;
	gsi = device_pci_gsi(device_pci_slot(function), pin);
	wanted = &pci->wanted[gsi - DEVICE_PCI_GSI];
	*wanted += level ? 1 : -1u;
	if (*wanted == level && irq->set)
		irq->set(irq->ctx, gsi, level);
}

void device_pci_interrupt(struct device_pci_function *function, bool level)
{
	pthread_mutex_lock(&function->pci->device.lock);
	function->level = level;
	update_line(function);
	pthread_mutex_unlock(&function->pci->device.lock);
}

/* ---- data register: any bytes of the addressed double word ---- */

/* NULL: no function is there. Buses other than 0 are empty. */
static struct device_pci_function *addressed(const struct device_pci *pci)
{
	unsigned bus = pci->address >> 16 & 0xff;

	if (!(pci->address & ADDRESS_ENABLE) || bus != 0)
		return NULL;
	return pci->functions[pci->address >> 8 & 0xff];
}

/* An access to a function's window, which goes on when PCI's lock is no longer held. */
struct through {
	struct device_pci_window window;
	void *ctx;
	uint8_t config[256];
};

static bool meets_window(
        const struct device_pci *pci, const struct device_pci_function *function, struct through *ret_through)
{
	if (!function->window.at || function->window.at != (pci->address & 0xfc))
		return false;
	ret_through->window = function->window;
	ret_through->ctx = function->ctx;
	memcpy(ret_through->config, function->config, sizeof(ret_through->config));
	return true;
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
	struct device_pci *pci = dev;
	const struct device_pci_function *function;
	struct through through;
	uint64_t value = UINT64_MAX;
	bool window = false;

	pthread_mutex_lock(&pci->device.lock);
	function = addressed(pci);
	if (function) {
		value = load_le(&function->config[(pci->address & 0xfc) + offset], size);
		window = meets_window(pci, function, &through);
	}
	pthread_mutex_unlock(&pci->device.lock);
	return window ? through.window.read(through.ctx, through.config) >> (8 * offset) : value;
}

/* Tells all who follow a function's configuration space that it has changed. */
static void changed(struct device_pci_function *function)
{
	if (function->msix)
		device_msix_control(function->msix,
		        (uint16_t)load_le(&function->config[function->msix_at + PCI_MSIX_FLAGS], 2));
	device_pci_bars_place(function);
	update_line(function);
	if (function->on_write)
		function->on_write(function->ctx, function->config);
}

static void write_bytes(struct device_pci_function *function, unsigned at, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = function->write_mask[at + i], byte = (uint8_t)(value >> (8 * i));

		function->config[at + i] = (uint8_t)((function->config[at + i] & ~mask) | (byte & mask));
	}
}

static enum device_verdict data_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct device_pci *pci = dev;
	struct device_pci_function *function;
	struct through through;
	bool window = false;

	pthread_mutex_lock(&pci->device.lock);
	function = addressed(pci);
	if (function) {
		write_bytes(function, (pci->address & 0xfc) + (unsigned)offset, size, value);
		changed(function);
		window = meets_window(pci, function, &through);
	}
	pthread_mutex_unlock(&pci->device.lock);
	if (window)
		through.window.write(through.ctx, through.config);
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

static void fill_header(uint8_t config[256], const struct device_pci_setup *from)
{
	store_le(&config[PCI_VENDOR_ID], 2, from->vendor_id);
	store_le(&config[PCI_DEVICE_ID], 2, from->device_id);
	store_le(&config[PCI_CLASS_REVISION], 4, from->class_code << 8 | from->revision);
	store_le(&config[PCI_SUBSYSTEM_VENDOR_ID], 2, from->subsystem_vendor_id);
	store_le(&config[PCI_SUBSYSTEM_ID], 2, from->subsystem_id);
	config[PCI_INTERRUPT_PIN] = from->interrupt_pin;
}

/* The function of a zeroed struct, without what it owns. */
static void fill(struct device_pci_function *function, const struct device_pci_setup *setup)
{
	if (setup->initial)
		memcpy(function->initial, setup->initial, sizeof(function->initial));
	fill_header(function->initial, setup);
	standard_mask(function->write_mask);
	for (unsigned i = 0; setup->write_mask && i < sizeof(function->write_mask); i++)
		function->write_mask[i] |= setup->write_mask[i];
	function->capabilities_end = CAPABILITIES_START;
	function->on_write = setup->on_write;
	function->ctx = setup->ctx;
}

static int add_msix(
        struct device_pci_function *function, const struct device_pci_setup *setup, struct err *err)
{
	uint8_t body[DEVICE_MSIX_CAPABILITY_BYTES], mask[DEVICE_MSIX_CAPABILITY_BYTES];

	if (setup->msix_vectors > DEVICE_MSIX_VECTORS_MAX)
		return err_set(err, ERR_FAILED, "%u interrupt vectors are too many", setup->msix_vectors);
	function->msix = device_msix_create(&function->pci->board->wires, setup->msix_vectors, err);
	if (!function->msix)
		return -1;
	device_msix_describe(setup->msix_vectors, setup->msix_bar, body, mask);
	return device_pci_add_capability(function, body, mask, sizeof(body), &function->msix_at, err);
}

/* Returns the devfn that setup asks for; FUNCTIONS_MAX with err: it cannot be had. */
static unsigned choose_place(
        const struct device_pci *pci, const struct device_pci_setup *setup, struct err *err)
{
	unsigned device = setup->device, devfn;

	if (device == DEVICE_PCI_ANY) {
		for (device = DEVICE_PCI_FIRST; device < DEVICES && pci->functions[device << 3]; device++)
			;
		if (device < DEVICES)
			return device << 3;
		err_set(err, ERR_USAGE, "there are more devices than the PCI bus has places");
		return FUNCTIONS_MAX;
	}
	devfn = device << 3 | setup->function;
	if (device < DEVICES && setup->function < 8 && !pci->functions[devfn] &&
	        (setup->function == 0 || pci->functions[device << 3]))
		return devfn;
	err_set(err, ERR_FAILED, "PCI function 00:%02x.%x cannot be added or is there already", device,
	        setup->function);
	return FUNCTIONS_MAX;
}

/* Software looks for more functions of a device only if its first one says that there are some. */
static void show_function(struct device_pci *pci, struct device_pci_function *function)
{
	struct device_pci_function *first = pci->functions[function->devfn & ~7u];

	if (function == first)
		return;
	function->initial[PCI_HEADER_TYPE] |= MULTIFUNCTION;
	first->initial[PCI_HEADER_TYPE] |= MULTIFUNCTION;
	first->config[PCI_HEADER_TYPE] |= MULTIFUNCTION;
}

int device_pci_add(struct device_pci *pci, const struct device_pci_setup *setup,
        struct device_pci_function **ret_function, struct err *err)
{
	unsigned devfn = choose_place(pci, setup, err);
	struct device_pci_function *function;

	if (devfn == FUNCTIONS_MAX)
		return -1;
	function = calloc(1, sizeof(*function));
	if (!function)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for PCI function 00:%02x.%x", devfn >> 3,
		        devfn & 7);
	pci->functions[devfn] = function;
	function->pci = pci;
	function->devfn = devfn;
	fill(function, setup);
	show_function(pci, function);
	if (setup->msix_vectors && add_msix(function, setup, err) < 0)
		return -1;
	if (device_pci_bars_init(function, pci->board->bus, setup, err) < 0)
		return -1;
	memcpy(function->config, function->initial, sizeof(function->config));
	if (ret_function)
		*ret_function = function;
	return 0;
}

int device_pci_add_capability(struct device_pci_function *function, const uint8_t *body, const uint8_t *mask,
        unsigned size, uint8_t *ret_at, struct err *err)
{
	unsigned at = function->capabilities_end;

	if (size > sizeof(function->config) - at)
		return err_set(err, ERR_FAILED, "a capability does not fit behind the others");
	memcpy(&function->initial[at], body, size);
	if (mask)
		memcpy(&function->write_mask[at], mask, size);
	function->initial[at + PCI_CAP_LIST_NEXT] = 0;
	function->initial[function->last_capability ? function->last_capability + PCI_CAP_LIST_NEXT
	                                            : PCI_CAPABILITY_LIST] = (uint8_t)at;
	function->initial[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	memcpy(function->config, function->initial, sizeof(function->config));
	function->last_capability = (uint8_t)at;
	function->capabilities_end = (at + size + 3) & ~3u;
	*ret_at = (uint8_t)at;
	return 0;
}

void device_pci_set_window(struct device_pci_function *function, const struct device_pci_window *window)
{
	function->window = *window;
}

struct device_msix *device_pci_msix(const struct device_pci_function *function)
{
	return function->msix;
}

unsigned device_pci_slot(const struct device_pci_function *function)
{
	return function->devfn >> 3;
}

static void reset_function(struct device_pci_function *function)
{
	memcpy(function->config, function->initial, sizeof(function->config));
	function->level = false;
	if (function->msix)
		device_msix_reset(function->msix);
	changed(function);
}

static void reset(struct device *device)
{
	struct device_pci *pci = (struct device_pci *)device;

	pthread_mutex_lock(&pci->device.lock);
	pci->address = 0;
	for (unsigned i = 0; i < FUNCTIONS_MAX; i++)
		if (pci->functions[i])
			reset_function(pci->functions[i]);
	pthread_mutex_unlock(&pci->device.lock);
}

/* ---- a guest that goes on elsewhere ---- */

/* Takes what the guest can have changed, if the rest is as it is here: then it is the same function. */
static void take_config(struct device_pci_function *function, const uint8_t config[256], struct vmstate *s)
{
	uint8_t *own = function->config;

	for (unsigned i = 0; i < sizeof(function->config); i++) {
		uint8_t mask = function->write_mask[i];

		if (i == PCI_STATUS)
			mask |= PCI_STATUS_INTERRUPT; /* of which update_line() decides */
		if ((config[i] ^ own[i]) & ~mask)
			vmstate_fail(s,
			        "byte 0x%x of PCI function 00:%02x.%x is 0x%02x there and 0x%02x here, and "
			        "no guest can change that",
			        i, function->devfn >> 3, function->devfn & 7, config[i], own[i]);
		own[i] = (uint8_t)((own[i] & ~mask) | (config[i] & mask));
	}
}

static void visit_function(struct device_pci_function *function, struct vmstate *s)
{
	uint8_t config[sizeof(function->config)];

	memcpy(config, function->config, sizeof(config));
	vmstate_same(s, "the place of a PCI function", function->devfn);
	vmstate_bytes(s, "configuration space", config, sizeof(config));
	if (s->loads && !s->bad)
		take_config(function, config, s);
	vmstate_bool(s, "an interrupt pin", &function->level);
	if (function->msix)
		device_msix_visit(function->msix, s);
}

/* Claims move, lines rise and messages go out only when all of it is good. */
static void visit(struct device *device, struct vmstate *s)
{
	struct device_pci *pci = (struct device_pci *)device;

	pthread_mutex_lock(&pci->device.lock);
	vmstate_u32(s, "address register", &pci->address, ADDRESS_BITS);
	for (unsigned i = 0; i < FUNCTIONS_MAX; i++)
		if (pci->functions[i])
			visit_function(pci->functions[i], s);
	for (unsigned i = 0; i < FUNCTIONS_MAX && s->loads && !s->bad; i++)
		if (pci->functions[i])
			changed(pci->functions[i]);
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

static const struct device_pci_setup bridges[] = {
        {.device = 0, .vendor_id = 0x8086, .device_id = 0x1237, .class_code = 0x060000, .revision = 2},
        {.device = 1,
                .vendor_id = 0x8086,
                .device_id = 0x7000,
                .class_code = 0x060100,
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

	pci->board = board;
	for (unsigned i = 0; i < ARRAY_LEN(ranges); i++)
		if (device_bus_claim(board->bus, &ranges[i], err) < 0)
			return -1;
	for (unsigned i = 0; i < ARRAY_LEN(bridges); i++)
		if (device_pci_add(pci, &bridges[i], NULL, err) < 0)
			return -1;
	return 0;
}

static void finish(struct device *device)
{
	struct device_pci *pci = (struct device_pci *)device;

	for (unsigned i = 0; i < FUNCTIONS_MAX; i++) {
		if (pci->functions[i])
			device_msix_destroy(pci->functions[i]->msix);
		free(pci->functions[i]);
	}
}

const struct device_kind device_pci_kind = {
        .name = "PCI bus",
        .size = sizeof(struct device_pci),
        .init = init,
        .reset = reset,
        .visit = visit,
        .finish = finish,
};

struct device_pci *device_pci_of(const struct device_board *board)
{
	return (struct device_pci *)device_board_find(board, &device_pci_kind);
}
