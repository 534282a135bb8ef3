/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml: ACPI Machine Language: the few terms that a description of fixed devices needs. Each function appends
 * one term. After an _open come the term's contents, and then machine_aml_close() with what the _open
 * returned. ACPI 6.5, 20.2.
 */
#ifndef MACHINE_AML_H
#define MACHINE_AML_H

#include "acpi_blob.h"

/* A name has four characters ("PCI0", "_SB_"), before which a \ (the root) may stand. */
size_t machine_aml_scope_open(struct machine_acpi_blob *b, const char *name);
size_t machine_aml_device_open(struct machine_acpi_blob *b, const char *name);
size_t machine_aml_package_open(struct machine_acpi_blob *b, unsigned elements); /* at most 255 */
/* A Buffer that holds resource descriptors. Its own close writes the end tag. */
struct machine_aml_resources {
	size_t term, length_at;
};
struct machine_aml_resources machine_aml_resources_open(struct machine_acpi_blob *b);
void machine_aml_resources_close(struct machine_acpi_blob *b, struct machine_aml_resources resources);
void machine_aml_close(struct machine_acpi_blob *b, size_t opened);

void machine_aml_name(struct machine_acpi_blob *b, const char *name); /* Name (name, <the next term>) */
void machine_aml_integer(struct machine_acpi_blob *b, uint32_t value);
void machine_aml_string(struct machine_acpi_blob *b, const char *text);
void machine_aml_eisa_id(struct machine_acpi_blob *b, const char *id); /* "PNP0A03" */

/* Resource descriptors (ACPI 6.5, 6.4.2 and 6.4.3). Ranges are fixed. */
void machine_aml_io(struct machine_acpi_blob *b, uint16_t port, uint8_t count);
void machine_aml_irq(struct machine_acpi_blob *b, unsigned irq);
void machine_aml_bus_range(struct machine_acpi_blob *b, uint16_t first, uint16_t last);
void machine_aml_io_window(struct machine_acpi_blob *b, uint16_t first, uint16_t last);
void machine_aml_memory_window(struct machine_acpi_blob *b, uint32_t first, uint32_t last);

#endif
