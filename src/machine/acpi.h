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

#endif
