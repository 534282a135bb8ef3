/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_write DIRECTORY VCPUS: writes the tables of a board with every device, and slots for memory, as
 * firmware leaves them in memory, one file each, for test_acpi_tools.py.
 */
#include "acpi_firmware.h"
#include "support/board.h"
#include "vmm/device/dimms.h"

static bool write_table(const char *directory, const char *name, const uint8_t *table, uint32_t length)
{
	char path[4096];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s.aml", directory, name);
	f = fopen(path, "w");
	ok = f && fwrite(table, 1, length, f) == length;
	return f && fclose(f) == 0 && ok;
}

static uint64_t no_ns(void *ctx)
{
	return 0;
}

static int64_t no_s(void *ctx)
{
	return 0;
}

int main(int argc, char **argv)
{
	const struct device_dimms_ask dimms = {.announced = true};
	struct device_board board = {0};
	struct machine_acpi acpi;
	struct firmware fw;
	const uint8_t *fadt, *table;
	uint32_t length, fadt_length;
	struct err err;
	bool ok;

	board.clock = (struct device_clock){no_ns, no_s, NULL};
	if (argc != 3 || device_board_init(&board, &err) < 0 || board_fill(&board, &err) < 0 ||
	        device_board_add(&board, &device_dimms_kind, &dimms, &err) < 0 ||
	        machine_acpi_build(&board, (unsigned)strtoul(argv[2], NULL, 10), &acpi, &err) < 0)
		return 1;
	fw = firmware_run(&acpi);
	fadt = firmware_find(&fw, "FACP", &fadt_length);
	ok = write_table(argv[1], "facp", fadt, fadt_length);
	table = firmware_find(&fw, "APIC", &length);
	ok = ok && write_table(argv[1], "apic", table, length);
	table = firmware_table(&fw, load_le(fadt + 36, 4), "FACS", &length);
	ok = ok && write_table(argv[1], "facs", table, length);
	table = firmware_table(&fw, load_le(fadt + 40, 4), "DSDT", &length);
	ok = ok && write_table(argv[1], "dsdt", table, length);
	table = firmware_table(&fw, load_le((uint8_t *)acpi.rsdp + 24, 8), "XSDT", &length);
	ok = ok && write_table(argv[1], "xsdt", table, length);
	machine_acpi_finish(&acpi);
	device_board_finish(&board);
	return ok ? 0 : 1;
}
