/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_bar: the base address registers of a function. The bits below a region's size are read-only, which is
 * how software finds the size. Runs with PCI's lock held. PCI Local Bus 3.0, section 6.2.5.1.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "pci.h"

static unsigned bar_register(unsigned i)
{
	return PCI_BASE_ADDRESS_0 + 4 * i;
}

/* A wide BAR takes two registers; the second one belongs to no other BAR. */
static bool is_possible(const struct device_pci_bar bars[DEVICE_PCI_BARS], unsigned i)
{
	const struct device_pci_bar *bar = &bars[i];

	if (bar->size < 16 || !is_aligned(bar->size, bar->size))
		return false;
	if (bar->wide)
		return i + 1 < DEVICE_PCI_BARS && !bars[i + 1].size;
	return bar->size <= GIB(2);
}

static void make_register(struct device_pci_function *function, unsigned i, const struct device_pci_bar *bar)
{
	uint64_t type = bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32;
	unsigned at = bar_register(i), size = bar->wide ? 8 : 4;

	store_le(&function->initial[at], size, type);
	store_le(&function->write_mask[at], size, ~(bar->size - 1));
}

static int claim(struct device_pci_function *function, struct device_bus *bus, unsigned i,
        const struct device_pci_bar *bar, struct err *err)
{
	struct device_pci_region *region = &function->regions[i];
	bool is_msix = bar->read == device_msix_read;
	const struct device_range range = {.name = bar->name,
	        .space = DEVICE_MMIO,
	        .size = bar->size,
	        .read = bar->read,
	        .write = bar->write,
	        .dev = is_msix ? function->msix : function->ctx};

	make_register(function, i, bar);
	region->wide = bar->wide;
	region->on_move = bar->on_move;
	return device_bus_claim_movable(bus, &range, &region->claim, err);
}

int device_pci_bars_init(struct device_pci_function *function, struct device_bus *bus,
        const struct device_pci_setup *setup, struct err *err)
{
	const struct device_pci_bar table = {.name = "MSI-X table",
	        .size = device_msix_bar_bytes(setup->msix_vectors),
	        .read = device_msix_read,
	        .write = device_msix_write};
	struct device_pci_bar bars[DEVICE_PCI_BARS];

	memcpy(bars, setup->bars, sizeof(bars));
	if (function->msix && (setup->msix_bar >= DEVICE_PCI_BARS || bars[setup->msix_bar].size))
		return err_set(err, ERR_FAILED, "BAR %u cannot hold the MSI-X table", setup->msix_bar);
	if (function->msix)
		bars[setup->msix_bar] = table;
	for (unsigned i = 0; i < DEVICE_PCI_BARS; i++) {
		if (!bars[i].size)
			continue;
		if (!is_possible(bars, i))
			return err_set(err, ERR_FAILED, "%s: BAR %u cannot have %#llx bytes", bars[i].name, i,
			        (unsigned long long)bars[i].size);
		if (claim(function, bus, i, &bars[i], err) < 0)
			return -1;
	}
	return 0;
}

static void place(struct device_pci_function *function, unsigned i)
{
	struct device_pci_region *region = &function->regions[i];
	uint64_t bits = load_le(&function->config[bar_register(i)], region->wide ? 8 : 4);
	uint64_t base = bits & ~(uint64_t)~PCI_BASE_ADDRESS_MEM_MASK;
	bool on = function->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;

	if (on == region->on && (!on || base == region->base))
		return;
	region->on = on;
	region->base = base;
	device_claim_move(region->claim, on, base);
	if (region->on_move)
		region->on_move(function->ctx, on, base);
}

void device_pci_bars_place(struct device_pci_function *function)
{
	for (unsigned i = 0; i < DEVICE_PCI_BARS; i++)
		if (function->regions[i].claim)
			place(function, i);
}
