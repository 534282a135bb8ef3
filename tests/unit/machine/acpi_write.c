/*
 * acpi_write DIRECTORY VCPUS: writes the tables as firmware leaves them in memory, one file each, for
 * test_acpi_tools.py.
 */
#include "acpi_firmware.h"

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

int main(int argc, char **argv)
{
	struct machine_acpi acpi;
	struct firmware fw;
	const uint8_t *fadt, *table;
	uint32_t length, fadt_length;
	struct err err;
	bool ok;

	if (argc != 3 || machine_acpi_build((unsigned)strtoul(argv[2], NULL, 10), &acpi, &err) != 0)
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
	return ok ? 0 : 1;
}
