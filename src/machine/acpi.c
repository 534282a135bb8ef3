/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi: the ACPI tables of the platform and the script by which firmware places, links and checksums them.
 * docs/platform.md says what they describe. Any thread; no state. ACPI 6.5, 5.2; QEMU docs/specs,
 * bios-linker-loader.
 */
#include "acpi.h"
#include "aml.h"
#include "vmm/device/dimms.h"
#include "vmm/device/power.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

#define TABLES_ROOM 16384 /* 64 vCPUs take less than half */
#define LOADER_ROOM 4096

/* ---- the script: commands of 128 bytes ---- */

#define LOADER_COMMAND_BYTES 128
#define LOADER_NAME_BYTES    56
enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum loader_zone { ZONE_HIGH = 1, ZONE_FSEG = 2 };

static void loader_name(struct machine_acpi_blob *b, const char *file)
{
	char name[LOADER_NAME_BYTES] = "";

	snprintf(name, sizeof(name), "%s", file);
	acpi_put(b, name, sizeof(name));
}

/* Fills the rest of a command that began at `start`. */
static void loader_pad(struct machine_acpi_blob *b, size_t start)
{
	static const uint8_t zeros[LOADER_COMMAND_BYTES];

	acpi_put(b, zeros, start + LOADER_COMMAND_BYTES - b->size);
}

static void loader_allocate(
        struct machine_acpi_blob *b, const char *file, uint32_t alignment, enum loader_zone zone)
{
	size_t start = b->size;

	acpi_put_le(b, 4, LOADER_ALLOCATE);
	loader_name(b, file);
	acpi_put_le(b, 4, alignment);
	acpi_put_le(b, 1, zone);
	loader_pad(b, start);
}

/* The field at `offset` of `file` holds an offset into the tables. Firmware adds the address at which it
 * placed the tables. */
static void loader_pointer(struct machine_acpi_blob *b, const char *file, size_t offset, unsigned bytes)
{
	size_t start = b->size;

	acpi_put_le(b, 4, LOADER_ADD_POINTER);
	loader_name(b, file);
	loader_name(b, TABLES_FILE);
	acpi_put_le(b, 4, offset);
	acpi_put_le(b, 1, bytes);
	loader_pad(b, start);
}

static void loader_checksum(
        struct machine_acpi_blob *b, const char *file, size_t at, size_t from, size_t length)
{
	size_t start = b->size;

	acpi_put_le(b, 4, LOADER_ADD_CHECKSUM);
	loader_name(b, file);
	acpi_put_le(b, 4, at);
	acpi_put_le(b, 4, from);
	acpi_put_le(b, 4, length);
	loader_pad(b, start);
}

/* ---- tables ---- */

#define HEADER_LENGTH_AT   4
#define HEADER_CHECKSUM_AT 9

struct tables {
	struct machine_acpi_blob blob, loader, rsdp;
	size_t facs, dsdt, fadt, madt, xsdt; /* offsets into blob */
};

/* The header of every table but the FACS (ACPI 6.5, 5.2.6). */
static size_t table_open(struct machine_acpi_blob *b, const char *signature, uint8_t revision)
{
	size_t start = b->size;

	acpi_put(b, signature, 4);
	acpi_put_le(b, 4, 0); /* length */
	acpi_put_le(b, 1, revision);
	acpi_put_le(b, 1, 0); /* checksum */
	acpi_put(b, "VMM   ", 6);
	acpi_put(b, "MACHINE ", 8);
	acpi_put_le(b, 4, 1);
	acpi_put(b, "VMM ", 4);
	acpi_put_le(b, 4, 1);
	return start;
}

static void table_close(struct tables *t, size_t start)
{
	size_t length = t->blob.size - start;

	acpi_patch_le(&t->blob, start + HEADER_LENGTH_AT, 4, length);
	loader_checksum(&t->loader, TABLES_FILE, start + HEADER_CHECKSUM_AT, start, length);
}

/* No sleep state needs its waking vector, but systems refuse a FADT without FACS (ACPI 6.5, 5.2.10). */
static void put_facs(struct tables *t)
{
	uint8_t facs[64] = {'F', 'A', 'C', 'S', sizeof(facs), [32] = 1 /* version */};

	t->facs = t->blob.size;
	acpi_put(&t->blob, facs, sizeof(facs));
}

/* Fixed ACPI Description Table, revision 3 (ACPI 6.5, 5.2.9; offsets from the start of the table). */
#define FADT_BYTES           244
#define FADT_FACS_AT         36
#define FADT_DSDT_AT         40
#define FADT_X_DSDT_AT       140
#define FADT_WBINVD          (1 << 0)
#define FADT_PROC_C1         (1 << 2)
#define FADT_SLEEP_BUTTON    (1 << 5) /* not a fixed feature; the power button is one */
#define FADT_FIX_RTC         (1 << 6) /* the RTC cannot wake the machine */
#define FADT_RESET_REG_SUP   (1 << 10)
#define FADT_LEGACY_DEVICES  (1 << 0)
#define FADT_VGA_NOT_PRESENT (1 << 2)
#define NO_C_STATE           0xfff
#define RTC_CENTURY          0x32

/* The head of a generic address: I/O space and the width in bits. The port follows (ACPI 6.5, 5.2.3.2). */
#define GAS(width, access) (1 | (width) << 8 | (access) << 24)

struct fadt_field {
	uint16_t at;
	uint8_t bytes;
	uint32_t value;
};

static const struct fadt_field fadt_fields[] = {
        {46, 2, DEVICE_POWER_GSI},
        {88, 1, 4}, /* lengths of PM1a events, PM1a control, PM timer */
        {89, 1, 2},
        {91, 1, 4},
        {96, 2, NO_C_STATE},
        {98, 2, NO_C_STATE},
        {108, 1, RTC_CENTURY},
        {109, 2, FADT_LEGACY_DEVICES | FADT_VGA_NOT_PRESENT}, /* no 8042 either */
        {112, 4, FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG_SUP},
        {116, 4, GAS(8, 1)},
        {120, 8, MACHINE_RESET_PORT},
        {128, 1, MACHINE_RESET_VALUE},
        {148, 4, GAS(32, 2)}, /* PM1a events, PM1a control, PM timer */
        {172, 4, GAS(16, 2)},
        {208, 4, GAS(32, 3)},
};

/* The general-purpose events, of machines that have one. */
static const struct fadt_field fadt_gpe_fields[] = {
        {80, 4, DEVICE_POWER_GPE_PORT},
        {92, 1, DEVICE_POWER_GPE_PORTS},
        {220, 4, GAS(8 * DEVICE_POWER_GPE_PORTS, 1)},
        {224, 8, DEVICE_POWER_GPE_PORT},
};

/* The fields that hold a port of the PM block, each with its offset in the block. */
static const struct {
	uint16_t at;
	uint8_t bytes, offset;
} fadt_pm_fields[] = {
        {56, 4, 0}, /* PM1a events */
        {64, 4, 4}, /* PM1a control */
        {76, 4, 8}, /* PM timer */
        {152, 8, 0},
        {176, 8, 4},
        {212, 8, 8},
};

void machine_acpi_set_pm_port(uint8_t *fadt, uint16_t port)
{
	for (size_t i = 0; i < ARRAY_LEN(fadt_pm_fields); i++)
		store_le(fadt + fadt_pm_fields[i].at, fadt_pm_fields[i].bytes,
		        (uint64_t)port + fadt_pm_fields[i].offset);
}

static void put_fadt_fields(struct tables *t, const struct fadt_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		acpi_patch_le(&t->blob, t->fadt + fields[i].at, fields[i].bytes, fields[i].value);
}

static void put_fadt(struct tables *t, const struct device_board *board)
{
	static const uint8_t zeros[FADT_BYTES];

	t->fadt = table_open(&t->blob, "FACP", 3);
	acpi_put(&t->blob, zeros, t->fadt + FADT_BYTES - t->blob.size);
	put_fadt_fields(t, fadt_fields, ARRAY_LEN(fadt_fields));
	if (device_dimms_are_announced(board))
		put_fadt_fields(t, fadt_gpe_fields, ARRAY_LEN(fadt_gpe_fields));
	if (!t->blob.full)
		machine_acpi_set_pm_port(t->blob.data + t->fadt, MACHINE_PM_PORT);
	acpi_patch_le(&t->blob, t->fadt + FADT_FACS_AT, 4, t->facs);
	acpi_patch_le(&t->blob, t->fadt + FADT_DSDT_AT, 4, t->dsdt);
	acpi_patch_le(&t->blob, t->fadt + FADT_X_DSDT_AT, 8, t->dsdt);
	loader_pointer(&t->loader, TABLES_FILE, t->fadt + FADT_FACS_AT, 4);
	loader_pointer(&t->loader, TABLES_FILE, t->fadt + FADT_DSDT_AT, 4);
	loader_pointer(&t->loader, TABLES_FILE, t->fadt + FADT_X_DSDT_AT, 8);
	table_close(t, t->fadt);
}

/* Multiple APIC Description Table (ACPI 6.5, 5.2.12). Each entry begins with its type and length. */
#define MADT_PCAT_COMPAT     1
#define MADT_LAPIC           (0 | 8 << 8)
#define MADT_IOAPIC          (1 | 12 << 8)
#define MADT_OVERRIDE        (2 | 10 << 8)
#define MADT_LAPIC_NMI       (4 | 6 << 8)
#define MADT_LAPIC_ENABLED   1
#define MADT_BUS_DEFAULT     0x0
#define MADT_LEVEL_HIGH      0xd
#define MADT_EVERY_PROCESSOR 0xff
#define MADT_LINT1           1

static void madt_override(struct machine_acpi_blob *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	acpi_put_le(b, 2, MADT_OVERRIDE);
	acpi_put_le(b, 1, 0); /* ISA */
	acpi_put_le(b, 1, irq);
	acpi_put_le(b, 4, gsi);
	acpi_put_le(b, 2, flags);
}

static void put_madt(struct tables *t, unsigned vcpus)
{
	struct machine_acpi_blob *b = &t->blob;

	t->madt = table_open(b, "APIC", 3);
	acpi_put_le(b, 4, MACHINE_LAPIC_GPA);
	acpi_put_le(b, 4, MADT_PCAT_COMPAT);
	for (unsigned i = 0; i < vcpus; i++) {
		acpi_put_le(b, 2, MADT_LAPIC);
		acpi_put_le(b, 1, i); /* processor's _UID */
		acpi_put_le(b, 1, i); /* APIC id */
		acpi_put_le(b, 4, MADT_LAPIC_ENABLED);
	}
	acpi_put_le(b, 2, MADT_IOAPIC);
	acpi_put_le(b, 2, 0); /* id */
	acpi_put_le(b, 4, MACHINE_IOAPIC_GPA);
	acpi_put_le(b, 4, 0); /* first GSI */
	madt_override(b, 0, MACHINE_GSI_PIT, MADT_BUS_DEFAULT);
	madt_override(b, DEVICE_POWER_GSI, DEVICE_POWER_GSI, MADT_LEVEL_HIGH);
	acpi_put_le(b, 2, MADT_LAPIC_NMI);
	acpi_put_le(b, 1, MADT_EVERY_PROCESSOR);
	acpi_put_le(b, 2, MADT_BUS_DEFAULT);
	acpi_put_le(b, 1, MADT_LINT1);
	table_close(t, t->madt);
}

static void put_dsdt(struct tables *t, const struct device_board *board, unsigned vcpus)
{
	t->dsdt = table_open(&t->blob, "DSDT", 2);
	machine_dsdt_put(&t->blob, board, vcpus);
	table_close(t, t->dsdt);
}

/* ---- roots ---- */

static void put_xsdt(struct tables *t)
{
	const size_t targets[] = {t->fadt, t->madt};

	t->xsdt = table_open(&t->blob, "XSDT", 1);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		loader_pointer(&t->loader, TABLES_FILE, t->blob.size, 8);
		acpi_put_le(&t->blob, 8, targets[i]);
	}
	table_close(t, t->xsdt);
}

/* Revision 2, with an XSDT alone (ACPI 6.5, 5.2.5.3). */
#define RSDP_BYTES         36
#define RSDP_V1_BYTES      20
#define RSDP_CHECKSUM_AT   8
#define RSDP_XSDT_AT       24
#define RSDP_X_CHECKSUM_AT 32

static void put_rsdp(struct tables *t)
{
	struct machine_acpi_blob *b = &t->rsdp;

	acpi_put(b, "RSD PTR ", 8);
	acpi_put_le(b, 1, 0); /* checksum of the first 20 bytes */
	acpi_put(b, "VMM   ", 6);
	acpi_put_le(b, 1, 2);
	acpi_put_le(b, 4, 0); /* no RSDT */
	acpi_put_le(b, 4, RSDP_BYTES);
	acpi_put_le(b, 8, t->xsdt);
	acpi_put_le(b, 4, 0); /* checksum of all, reserved */
	loader_pointer(&t->loader, RSDP_FILE, RSDP_XSDT_AT, 8);
	loader_checksum(&t->loader, RSDP_FILE, RSDP_CHECKSUM_AT, 0, RSDP_V1_BYTES);
	loader_checksum(&t->loader, RSDP_FILE, RSDP_X_CHECKSUM_AT, 0, RSDP_BYTES);
}

static bool blob_init(struct machine_acpi_blob *b, size_t room)
{
	*b = (struct machine_acpi_blob){.data = calloc(1, room), .room = room};
	return b->data;
}

static void tables_finish(struct tables *t)
{
	free(t->blob.data);
	free(t->loader.data);
	free(t->rsdp.data);
}

static void put_all(struct tables *t, const struct device_board *board, unsigned vcpus)
{
	loader_allocate(&t->loader, RSDP_FILE, 16, ZONE_FSEG);
	loader_allocate(&t->loader, TABLES_FILE, 64, ZONE_HIGH); /* its first table, the FACS, needs 64 */
	put_facs(t);
	put_dsdt(t, board, vcpus);
	put_fadt(t, board);
	put_madt(t, vcpus);
	put_xsdt(t);
	put_rsdp(t);
}

int machine_acpi_build(
        const struct device_board *board, unsigned vcpus, struct machine_acpi *ret_acpi, struct err *err)
{
	struct tables t = {0};

	if (vcpus < 1 || vcpus > MACHINE_VCPUS_MAX)
		return err_set(err, ERR_USAGE, "%u vCPUs: there can be 1 to %u", vcpus, MACHINE_VCPUS_MAX);
	if (!blob_init(&t.blob, TABLES_ROOM) || !blob_init(&t.loader, LOADER_ROOM) ||
	        !blob_init(&t.rsdp, RSDP_BYTES)) {
		tables_finish(&t);
		return err_set(err, ERR_FAILED, "no memory for the ACPI tables");
	}
	put_all(&t, board, vcpus);
	if (t.blob.full || t.loader.full || t.rsdp.full) {
		tables_finish(&t);
		return err_set(
		        err, ERR_FAILED, "the ACPI tables of %u vCPUs do not fit their buffers", vcpus);
	}
	*ret_acpi = (struct machine_acpi){.tables = t.blob.data,
	        .tables_size = t.blob.size,
	        .fadt_at = t.fadt,
	        .rsdp = t.rsdp.data,
	        .rsdp_size = t.rsdp.size,
	        .loader = t.loader.data,
	        .loader_size = t.loader.size};
	return 0;
}

void machine_acpi_finish(struct machine_acpi *acpi)
{
	free(acpi->tables);
	free(acpi->rsdp);
	free(acpi->loader);
	*acpi = (struct machine_acpi){0};
}
