/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml: the encoding of AML terms and resource descriptors. Any thread; no state. ACPI 6.5, 20.2 and 6.4.
 */
#include "aml.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_EXTENDED = 0x5b,
	OP_EXTENDED_MUTEX = 0x01,
	OP_EXTENDED_ACQUIRE = 0x23,
	OP_EXTENDED_RELEASE = 0x27,
	OP_EXTENDED_REGION = 0x80,
	OP_EXTENDED_FIELD = 0x81,
	OP_EXTENDED_DEVICE = 0x82,
	OP_IF = 0xa0,
};

/* A PkgLength counts its own bytes, too. Every term gets one of three bytes (lead 10b, 4 + 16 bits), even a
 * short one. */
#define PKG_LENGTH_BYTES 3
#define PKG_LENGTH_LEAD  0x80

static size_t pkg_open(struct machine_acpi_blob *b)
{
	size_t at = b->size;

	acpi_put_le(b, PKG_LENGTH_BYTES, 0);
	return at;
}

void machine_aml_close(struct machine_acpi_blob *b, size_t opened)
{
	size_t length = b->size - opened;

	acpi_patch_le(b, opened, PKG_LENGTH_BYTES, PKG_LENGTH_LEAD | (length & 0xf) | (length >> 4) << 8);
}

size_t machine_aml_scope_open(struct machine_acpi_blob *b, const char *name)
{
	size_t opened;

	acpi_put_le(b, 1, OP_SCOPE);
	opened = pkg_open(b);
	acpi_put(b, name, strlen(name));
	return opened;
}

static void extended(struct machine_acpi_blob *b, unsigned op)
{
	acpi_put_le(b, 2, OP_EXTENDED | op << 8);
}

size_t machine_aml_device_open(struct machine_acpi_blob *b, const char *name)
{
	size_t opened;

	extended(b, OP_EXTENDED_DEVICE);
	opened = pkg_open(b);
	acpi_put(b, name, strlen(name));
	return opened;
}

size_t machine_aml_package_open(struct machine_acpi_blob *b, unsigned elements)
{
	size_t opened;

	acpi_put_le(b, 1, OP_PACKAGE);
	opened = pkg_open(b);
	acpi_put_le(b, 1, elements);
	return opened;
}

void machine_aml_name(struct machine_acpi_blob *b, const char *name)
{
	acpi_put_le(b, 1, OP_NAME);
	acpi_put(b, name, strlen(name));
}

void machine_aml_integer(struct machine_acpi_blob *b, uint32_t value)
{
	if (value <= 1) {
		acpi_put_le(b, 1, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		acpi_put_le(b, 1, OP_BYTE);
		acpi_put_le(b, 1, value);
	} else if (value <= UINT16_MAX) {
		acpi_put_le(b, 1, OP_WORD);
		acpi_put_le(b, 2, value);
	} else {
		acpi_put_le(b, 1, OP_DWORD);
		acpi_put_le(b, 4, value);
	}
}

void machine_aml_string(struct machine_acpi_blob *b, const char *text)
{
	acpi_put_le(b, 1, OP_STRING);
	acpi_put(b, text, strlen(text) + 1);
}

/* Three letters of five bits and four hexadecimal digits, big-endian (ACPI 6.5, 19.3.4). */
void machine_aml_eisa_id(struct machine_acpi_blob *b, const char *id)
{
	uint32_t letters =
	        (uint32_t)(id[0] & 31) << 10 | (uint32_t)(id[1] & 31) << 5 | (uint32_t)(id[2] & 31);
	uint32_t product = (uint32_t)strtoul(id + 3, NULL, 16);

	acpi_put_le(b, 1, OP_DWORD);
	acpi_put_le(b, 4, __builtin_bswap32(letters << 16 | product));
}

/* ---- methods ---- */

#define METHOD_SERIALIZED (1 << 3)
#define NO_TIME_LIMIT     0xffff

void machine_aml_refer(struct machine_acpi_blob *b, const char *name)
{
	acpi_put(b, name, strlen(name));
}

void machine_aml_op(struct machine_acpi_blob *b, enum machine_aml_op op)
{
	acpi_put_le(b, 1, op);
}

size_t machine_aml_method_open(struct machine_acpi_blob *b, const char *name, unsigned arguments)
{
	size_t opened;

	acpi_put_le(b, 1, OP_METHOD);
	opened = pkg_open(b);
	machine_aml_refer(b, name);
	acpi_put_le(b, 1, arguments | METHOD_SERIALIZED);
	return opened;
}

size_t machine_aml_if_open(struct machine_acpi_blob *b)
{
	acpi_put_le(b, 1, OP_IF);
	return pkg_open(b);
}

void machine_aml_mutex(struct machine_acpi_blob *b, const char *name)
{
	extended(b, OP_EXTENDED_MUTEX);
	machine_aml_refer(b, name);
	acpi_put_le(b, 1, 0); /* level */
}

void machine_aml_acquire(struct machine_acpi_blob *b, const char *mutex)
{
	extended(b, OP_EXTENDED_ACQUIRE);
	machine_aml_refer(b, mutex);
	acpi_put_le(b, 2, NO_TIME_LIMIT);
}

void machine_aml_release(struct machine_acpi_blob *b, const char *mutex)
{
	extended(b, OP_EXTENDED_RELEASE);
	machine_aml_refer(b, mutex);
}

/* ---- registers ---- */

#define REGION_IO           1
#define FIELD_GAP           0x00
#define FIELD_ZEROS         (2 << 5)
#define FIELD_ACCESS(bytes) ((bytes) == 4 ? 3 : (bytes))

void machine_aml_ports(struct machine_acpi_blob *b, const char *name, uint16_t port, uint8_t count)
{
	extended(b, OP_EXTENDED_REGION);
	machine_aml_refer(b, name);
	acpi_put_le(b, 1, REGION_IO);
	machine_aml_integer(b, port);
	machine_aml_integer(b, count);
}

void machine_aml_fields(struct machine_acpi_blob *b, const char *ports, unsigned access_bytes,
        const struct machine_aml_field *fields, size_t count)
{
	size_t opened;

	extended(b, OP_EXTENDED_FIELD);
	opened = pkg_open(b);
	machine_aml_refer(b, ports);
	acpi_put_le(b, 1, FIELD_ACCESS(access_bytes) | FIELD_ZEROS);
	for (size_t i = 0; i < count; i++) {
		if (fields[i].name)
			machine_aml_refer(b, fields[i].name);
		else
			acpi_put_le(b, 1, FIELD_GAP);
		/* A number of bits is written as a PkgLength of two bytes: 4 + 8 bits. */
		acpi_put_le(b, 2, 0x40 | (fields[i].bits & 0xf) | fields[i].bits >> 4 << 8);
	}
	machine_aml_close(b, opened);
}

/* ---- resource templates ---- */

#define DESCRIPTOR_IO           0x47 /* small, 7 bytes */
#define DESCRIPTOR_IRQ_NO_FLAGS 0x22 /* small, 2 bytes */
#define DESCRIPTOR_END          0x79
#define DESCRIPTOR_DWORD        0x87 /* address spaces */
#define DESCRIPTOR_WORD         0x88
#define DESCRIPTOR_QWORD        0x8a
enum { SPACE_MEMORY, SPACE_IO, SPACE_BUS };
#define SPACE_FIXED        0x0c /* minimum and maximum are fixed; producer, positive decoding */
#define SPACE_IO_ENTIRE    0x03
#define SPACE_MEMORY_WRITE 0x01 /* read and write, not cacheable */
#define SPACE_MEMORY_CACHE 0x03 /* read and write, cacheable */

/* The buffer's size is a word behind the package length. It is patched once it is known. */
struct machine_aml_resources machine_aml_resources_open(struct machine_acpi_blob *b)
{
	struct machine_aml_resources resources;

	acpi_put_le(b, 1, OP_BUFFER);
	resources.term = pkg_open(b);
	acpi_put_le(b, 1, OP_WORD);
	resources.length_at = b->size;
	acpi_put_le(b, 2, 0);
	return resources;
}

void machine_aml_resources_close(struct machine_acpi_blob *b, struct machine_aml_resources resources)
{
	acpi_put_le(b, 2, DESCRIPTOR_END); /* and a checksum of 0: not used */
	acpi_patch_le(b, resources.length_at, 2, b->size - resources.length_at - 2);
	machine_aml_close(b, resources.term);
}

void machine_aml_io(struct machine_acpi_blob *b, uint16_t port, uint8_t count)
{
	acpi_put_le(b, 1, DESCRIPTOR_IO);
	acpi_put_le(b, 1, 1); /* decodes 16 bits */
	acpi_put_le(b, 2, port);
	acpi_put_le(b, 2, port);
	acpi_put_le(b, 1, 1); /* alignment */
	acpi_put_le(b, 1, count);
}

void machine_aml_irq(struct machine_acpi_blob *b, unsigned irq)
{
	acpi_put_le(b, 1, DESCRIPTOR_IRQ_NO_FLAGS);
	acpi_put_le(b, 2, UINT64_C(1) << irq);
}

static void address_space(struct machine_acpi_blob *b, unsigned space, unsigned flags, unsigned bytes,
        uint64_t first, uint64_t last)
{
	acpi_put_le(b, 1, bytes == 2 ? DESCRIPTOR_WORD : bytes == 4 ? DESCRIPTOR_DWORD : DESCRIPTOR_QWORD);
	acpi_put_le(b, 2, 3 + 5 * bytes);
	acpi_put_le(b, 1, space);
	acpi_put_le(b, 1, SPACE_FIXED);
	acpi_put_le(b, 1, flags);
	acpi_put_le(b, bytes, 0); /* granularity */
	acpi_put_le(b, bytes, first);
	acpi_put_le(b, bytes, last);
	acpi_put_le(b, bytes, 0); /* translation */
	acpi_put_le(b, bytes, last - first + 1);
}

void machine_aml_bus_range(struct machine_acpi_blob *b, uint16_t first, uint16_t last)
{
	address_space(b, SPACE_BUS, 0, 2, first, last);
}

void machine_aml_io_window(struct machine_acpi_blob *b, uint16_t first, uint16_t last)
{
	address_space(b, SPACE_IO, SPACE_IO_ENTIRE, 2, first, last);
}

void machine_aml_memory_window(struct machine_acpi_blob *b, uint32_t first, uint32_t last)
{
	address_space(b, SPACE_MEMORY, SPACE_MEMORY_WRITE, 4, first, last);
}

void machine_aml_ram(struct machine_acpi_blob *b)
{
	address_space(b, SPACE_MEMORY, SPACE_MEMORY_CACHE, 8, 0, 0);
}
