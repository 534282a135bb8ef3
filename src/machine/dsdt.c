/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsdt: describes what no bus can be asked about: the PCI host bridge and its interrupts, the devices behind
 * the ISA bridge, the processors, power-off. Any thread; no state. ACPI 6.5, chapters 6 and 9; 20.2.
 */
#include <string.h>

#include "acpi.h"
#include "aml.h"
#include "vmm/device/dimms.h"
#include "vmm/device/pci.h"

#define PCI_SLOTS 32
#define PCI_PINS  4

#define EISA_ID_CHARACTERS 7 /* "PNP0501"; an ACPI id has eight (ACPI 6.5, 6.1.5) */

static void put_identity(struct machine_acpi_blob *b, const char *hid, unsigned uid)
{
	machine_aml_name(b, "_HID");
	if (strlen(hid) == EISA_ID_CHARACTERS)
		machine_aml_eisa_id(b, hid);
	else
		machine_aml_string(b, hid);
	machine_aml_name(b, "_UID");
	machine_aml_integer(b, uid);
}

/* Bus 0; all ports but the configuration mechanism's, which the bridge itself takes; the 32-bit window. */
static void put_bridge_resources(struct machine_acpi_blob *b)
{
	struct machine_aml_resources resources;

	machine_aml_name(b, "_CRS");
	resources = machine_aml_resources_open(b);
	machine_aml_bus_range(b, 0, 0);
	machine_aml_io(b, 0xcf8, 8);
	machine_aml_io_window(b, 0, 0xcf7);
	machine_aml_io_window(b, 0xd00, 0xffff);
	machine_aml_memory_window(b, MACHINE_PCI_WINDOW, MACHINE_PCI_LIMIT - 1);
	machine_aml_resources_close(b, resources);
}

/* Pins go straight to GSIs (ACPI 6.5, 6.2.13): {slot and any function, pin from 0, no link device, GSI}. */
static void put_pin_routes(struct machine_acpi_blob *b)
{
	size_t table, route;

	machine_aml_name(b, "_PRT");
	table = machine_aml_package_open(b, PCI_SLOTS * PCI_PINS);
	for (unsigned i = 0; i < PCI_SLOTS * PCI_PINS; i++) {
		route = machine_aml_package_open(b, 4);
		machine_aml_integer(b, (i / PCI_PINS) << 16 | 0xffff);
		machine_aml_integer(b, i % PCI_PINS);
		machine_aml_integer(b, 0);
		machine_aml_integer(b, device_pci_gsi(i / PCI_PINS, i % PCI_PINS + 1));
		machine_aml_close(b, route);
	}
	machine_aml_close(b, table);
}

static void put_isa_device(struct machine_acpi_blob *b, const struct device_isa *isa)
{
	size_t device = machine_aml_device_open(b, isa->name);
	struct machine_aml_resources resources;

	put_identity(b, isa->id, 1);
	machine_aml_name(b, "_CRS");
	resources = machine_aml_resources_open(b);
	machine_aml_io(b, isa->port, isa->ports);
	if (isa->gsi)
		machine_aml_irq(b, isa->gsi);
	machine_aml_resources_close(b, resources);
	machine_aml_close(b, device);
}

/* The ISA bridge is a PCI function (_ADR). What sits behind it is named here. */
static void put_isa(struct machine_acpi_blob *b, const struct device_board *board)
{
	size_t bridge = machine_aml_device_open(b, "ISA_");

	machine_aml_name(b, "_ADR");
	machine_aml_integer(b, 0x00010000);
	for (unsigned i = 0; i < board->count; i++)
		if (board->devices[i]->kind->isa.name)
			put_isa_device(b, &board->devices[i]->kind->isa);
	machine_aml_close(b, bridge);
}

static void put_pci(struct machine_acpi_blob *b, const struct device_board *board)
{
	size_t pci = machine_aml_device_open(b, "PCI0");

	put_identity(b, "PNP0A03", 0);
	machine_aml_name(b, "_BBN");
	machine_aml_integer(b, 0);
	put_bridge_resources(b);
	put_pin_routes(b);
	put_isa(b, board);
	machine_aml_close(b, pci);
}

/* Processor devices. Their _UID is the processor id in the MADT (ACPI 6.5, 8.4). */
static void put_processors(struct machine_acpi_blob *b, unsigned vcpus)
{
	for (unsigned i = 0; i < vcpus; i++) {
		const char name[] = {'C', '0', (char)('0' + i / 10), (char)('0' + i % 10), '\0'};
		size_t device = machine_aml_device_open(b, name);

		machine_aml_name(b, "_HID");
		machine_aml_string(b, "ACPI0007");
		machine_aml_name(b, "_UID");
		machine_aml_integer(b, i);
		machine_aml_close(b, device);
	}
}

/* SLP_TYP 0 with SLP_EN is power-off, for OVMF too; no other state exists. */
static void put_power_off(struct machine_acpi_blob *b)
{
	size_t package;

	machine_aml_name(b, "\\_S5_");
	package = machine_aml_package_open(b, 4);
	for (unsigned i = 0; i < 4; i++)
		machine_aml_integer(b, 0);
	machine_aml_close(b, package);
}

void machine_dsdt_put(struct machine_acpi_blob *b, const struct device_board *board, unsigned vcpus)
{
	size_t scope = machine_aml_scope_open(b, "\\_SB_");

	put_pci(b, board);
	put_processors(b, vcpus);
	if (device_dimms_are_announced(board))
		machine_dsdt_put_memory(b);
	machine_aml_close(b, scope);
	if (device_dimms_are_announced(board))
		machine_dsdt_put_memory_event(b);
	put_power_off(b);
}
