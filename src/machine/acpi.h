/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi: between the tables (acpi.c) and the namespace of devices in the DSDT (dsdt.c).
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include "acpi_blob.h"
#include "vmm/machine.h"

/* Appends the AML of the DSDT: the board's devices that have an ISA description, and that many processors. */
void machine_dsdt_put(struct machine_acpi_blob *b, const struct device_board *board, unsigned vcpus);

/* Appends, within \_SB, the devices by which the guest hears of memory that is added (dsdt_memory.c). */
void machine_dsdt_put_memory(struct machine_acpi_blob *b);
/* Appends, outside of it, what the guest does when the event DEVICE_DIMMS_GPE comes. */
void machine_dsdt_put_memory_event(struct machine_acpi_blob *b);

#endif
