/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_firmware: does for tests what firmware does with the files of fw_cfg: runs the script of
 * etc/table-loader on copies of the files and finds the tables as an operating system would. Shares no code
 * with the builder. QEMU hw/acpi/bios-linker-loader; ACPI 6.5, 5.2.
 */
#ifndef TEST_ACPI_FIRMWARE_H
#define TEST_ACPI_FIRMWARE_H

#include "support/test.h"
#include "vmm/machine.h"

#define FIRMWARE_RSDP_GPA   UINT64_C(0x000e0010)
#define FIRMWARE_TABLES_GPA UINT64_C(0x3ff12340)

struct firmware_file {
	const char *name;
	uint64_t gpa;
	uint8_t *data;
	size_t size;
	bool allocated;
};

struct firmware {
	struct firmware_file files[2]; /* the RSDP, the tables */
};

struct firmware_command {
	uint32_t kind;
	union {
		struct {
			char file[56];
			uint32_t alignment;
			uint8_t zone;
		} __attribute__((packed)) allocate;
		struct {
			char file[56], source[56];
			uint32_t offset;
			uint8_t size;
		} __attribute__((packed)) pointer;
		struct {
			char file[56];
			uint32_t at, start, length;
		} __attribute__((packed)) checksum;
		char room[124];
	};
} __attribute__((packed));
_Static_assert(sizeof(struct firmware_command) == 128, "commands have 128 bytes");

static inline struct firmware_file *firmware_file(struct firmware *fw, const char name[56])
{
	assert_non_null(memchr(name, 0, 56));
	for (size_t i = 0; i < ARRAY_LEN(fw->files); i++)
		if (strcmp(fw->files[i].name, name) == 0)
			return &fw->files[i];
	fail_msg("the script names an unknown file \"%s\"", name);
	return NULL;
}

static inline void firmware_point(struct firmware *fw, const struct firmware_command *c)
{
	struct firmware_file *to = firmware_file(fw, c->pointer.file),
	                     *source = firmware_file(fw, c->pointer.source);
	uint64_t value = 0;

	assert_true(to->allocated && source->allocated);
	assert_true(c->pointer.size == 4 || c->pointer.size == 8);
	assert_true(c->pointer.offset + c->pointer.size <= to->size);
	memcpy(&value, to->data + c->pointer.offset, c->pointer.size);
	assert_true(value < source->size);
	value += source->gpa;
	assert_true(c->pointer.size == 8 || value <= UINT32_MAX);
	memcpy(to->data + c->pointer.offset, &value, c->pointer.size);
}

static inline uint8_t firmware_sum(const uint8_t *bytes, size_t count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *bytes++);
	return sum;
}

static inline void firmware_checksum(struct firmware *fw, const struct firmware_command *c)
{
	struct firmware_file *file = firmware_file(fw, c->checksum.file);

	assert_true((uint64_t)c->checksum.start + c->checksum.length <= file->size);
	assert_in_range(c->checksum.at, c->checksum.start, c->checksum.start + c->checksum.length - 1);
	assert_int_equal(file->data[c->checksum.at], 0);
	file->data[c->checksum.at] =
	        (uint8_t)-firmware_sum(file->data + c->checksum.start, c->checksum.length);
}

static inline void firmware_allocate(struct firmware *fw, const struct firmware_command *c)
{
	struct firmware_file *file = firmware_file(fw, c->allocate.file);

	assert_false(file->allocated);
	assert_true(c->allocate.zone == 1 || c->allocate.zone == 2);
	assert_int_equal(__builtin_popcount(c->allocate.alignment), 1);
	assert_int_equal(file->gpa % c->allocate.alignment, 0);
	file->allocated = true;
}

/* Runs the script on acpi's files, in place. */
static inline struct firmware firmware_run(struct machine_acpi *acpi)
{
	struct firmware fw = {{
	        {"etc/acpi/rsdp", FIRMWARE_RSDP_GPA, acpi->rsdp, acpi->rsdp_size, false},
	        {"etc/acpi/tables", FIRMWARE_TABLES_GPA, acpi->tables, acpi->tables_size, false},
	}};
	const struct firmware_command *c = acpi->loader;

	assert_int_equal(acpi->loader_size % sizeof(*c), 0);
	for (size_t i = 0; i < acpi->loader_size / sizeof(*c); i++)
		switch (c[i].kind) {
		case 1: firmware_allocate(&fw, &c[i]); break;
		case 2: firmware_point(&fw, &c[i]); break;
		case 3: firmware_checksum(&fw, &c[i]); break;
		default: fail_msg("command %zu is of kind %u", i, c[i].kind);
		}
	return fw;
}

/* Returns the table at an address, whole and with a good checksum. */
static inline const uint8_t *firmware_table(
        const struct firmware *fw, uint64_t gpa, const char *signature, uint32_t *ret_length)
{
	const struct firmware_file *tables = &fw->files[1];
	const uint8_t *table = tables->data + (gpa - tables->gpa);
	uint32_t length;

	assert_in_range(gpa, tables->gpa, tables->gpa + tables->size - 36);
	assert_memory_equal(table, signature, 4);
	memcpy(&length, table + 4, 4);
	assert_in_range(length, 36, tables->size - (gpa - tables->gpa));
	if (strcmp(signature, "FACS") != 0)
		assert_int_equal(firmware_sum(table, length), 0);
	*ret_length = length;
	return table;
}

/* Finds a table by the RSDP and the XSDT, as an operating system does. */
static inline const uint8_t *firmware_find(
        const struct firmware *fw, const char *signature, uint32_t *ret_length)
{
	const uint8_t *rsdp = fw->files[0].data, *xsdt;
	uint32_t length;

	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(firmware_sum(rsdp, 20), 0);
	assert_int_equal(firmware_sum(rsdp, load_le(rsdp + 20, 4)), 0);
	xsdt = firmware_table(fw, load_le(rsdp + 24, 8), "XSDT", &length);
	for (uint32_t at = 36; at + 8 <= length; at += 8) {
		uint64_t gpa = load_le(xsdt + at, 8);

		if (memcmp(fw->files[1].data + (gpa - FIRMWARE_TABLES_GPA), signature, 4) == 0)
			return firmware_table(fw, gpa, signature, ret_length);
	}
	fail_msg("no table %s", signature);
	return NULL;
}

#endif
