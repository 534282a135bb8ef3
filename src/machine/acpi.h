/*
 * acpi: between the tables (acpi.c) and the namespace of devices in the DSDT (dsdt.c).
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include "acpi_blob.h"
#include "vmm/machine.h"

/* Appends the AML of the DSDT. */
void machine_dsdt_put(struct machine_acpi_blob *b, unsigned vcpus);

#endif
