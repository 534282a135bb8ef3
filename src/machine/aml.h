/*
 * aml: ACPI Machine Language, the few terms that a description of fixed devices needs. Each function appends
 * one term; an _open is followed by its contents and the aml_close of what it returned. ACPI 6.5, 20.2.
 */
#ifndef MACHINE_AML_H
#define MACHINE_AML_H

#include "acpi_blob.h"

/* Names have four characters ("PCI0", "_SB_"); a leading \ (root) may stand before. */
size_t aml_scope_open(struct acpi_blob *b, const char *name);
size_t aml_device_open(struct acpi_blob *b, const char *name);
size_t aml_package_open(struct acpi_blob *b, unsigned elements); /* at most 255 */
/* A Buffer that holds resource descriptors; the end tag is written by its own close. */
struct aml_resources {
	size_t term, length_at;
};
struct aml_resources aml_resources_open(struct acpi_blob *b);
void aml_resources_close(struct acpi_blob *b, struct aml_resources resources);
void aml_close(struct acpi_blob *b, size_t opened);

void aml_name(struct acpi_blob *b, const char *name); /* Name (name, <the next term>) */
void aml_integer(struct acpi_blob *b, uint32_t value);
void aml_string(struct acpi_blob *b, const char *text);
void aml_eisa_id(struct acpi_blob *b, const char *id); /* "PNP0A03" */

/* Resource descriptors (ACPI 6.5, 6.4.2 and 6.4.3). Ranges are fixed. */
void aml_io(struct acpi_blob *b, uint16_t port, uint8_t count);
void aml_irq(struct acpi_blob *b, unsigned irq);
void aml_bus_range(struct acpi_blob *b, uint16_t first, uint16_t last);
void aml_io_window(struct acpi_blob *b, uint16_t first, uint16_t last);
void aml_memory_window(struct acpi_blob *b, uint32_t first, uint32_t last);

#endif
