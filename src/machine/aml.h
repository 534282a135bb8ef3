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

/* A name that was defined elsewhere, as an operand; of a method, the arguments follow. */
void machine_aml_refer(struct machine_acpi_blob *b, const char *name);

/* The terms of methods. Operands and targets follow as terms. ACPI 6.5, 20.2.5. */
enum machine_aml_op {
	MACHINE_AML_NO_TARGET = 0x00,
	MACHINE_AML_LOCAL0 = 0x60,
	MACHINE_AML_ARG0 = 0x68,        /* and the next ones up to ARG6 */
	MACHINE_AML_STORE = 0x70,       /* value, target */
	MACHINE_AML_ADD = 0x72,         /* two operands, target */
	MACHINE_AML_SUBTRACT = 0x74,    /* two operands, target */
	MACHINE_AML_SHIFT_LEFT = 0x79,  /* value, bits, target */
	MACHINE_AML_OR = 0x7d,          /* two operands, target */
	MACHINE_AML_NOTIFY = 0x86,      /* device, value */
	MACHINE_AML_QWORD_FIELD = 0x8f, /* buffer, offset, its name: CreateQWordField */
	MACHINE_AML_RETURN = 0xa4,      /* value */
};
void machine_aml_op(struct machine_acpi_blob *b, enum machine_aml_op op);
size_t machine_aml_method_open(
        struct machine_acpi_blob *b, const char *name, unsigned arguments); /* serialized */
size_t machine_aml_if_open(struct machine_acpi_blob *b);                    /* condition, terms */
void machine_aml_mutex(struct machine_acpi_blob *b, const char *name);
void machine_aml_acquire(struct machine_acpi_blob *b, const char *mutex); /* without a time limit */
void machine_aml_release(struct machine_acpi_blob *b, const char *mutex);

/* A region of ports, and fields of it: each a name, or NULL for a gap, and its number of bits. */
void machine_aml_ports(struct machine_acpi_blob *b, const char *name, uint16_t port, uint8_t count);
struct machine_aml_field {
	const char *name;
	unsigned bits; /* at most 4095 */
};
/* access_bytes: 1, 2 or 4. Bits that a write does not name are written as zeros. */
void machine_aml_fields(struct machine_acpi_blob *b, const char *ports, unsigned access_bytes,
        const struct machine_aml_field *fields, size_t count);

/* Resource descriptors (ACPI 6.5, 6.4.2 and 6.4.3). Ranges are fixed. */
void machine_aml_io(struct machine_acpi_blob *b, uint16_t port, uint8_t count);
void machine_aml_irq(struct machine_acpi_blob *b, unsigned irq);
void machine_aml_bus_range(struct machine_acpi_blob *b, uint16_t first, uint16_t last);
void machine_aml_io_window(struct machine_acpi_blob *b, uint16_t first, uint16_t last);
void machine_aml_memory_window(struct machine_acpi_blob *b, uint32_t first, uint32_t last);
/* RAM with 64-bit addresses that a method fills in, at these offsets in the resources. */
#define MACHINE_AML_RAM_FIRST 14
#define MACHINE_AML_RAM_LAST  22
#define MACHINE_AML_RAM_BYTES 38
void machine_aml_ram(struct machine_acpi_blob *b);

#endif
