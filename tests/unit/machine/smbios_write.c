/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios_write FILE MEMORY-MIB: writes the SMBIOS tables as `dmidecode --from-dump` reads them, for
 * test_smbios_tools.py: the entry point, with the place of the tables filled in as firmware does, then those.
 */
#include "support/test.h"
#include "vmm/machine.h"

#define TABLES_AT 32

/* Brings the sums to zero again after the change, as firmware does. */
static void place(uint8_t *anchor)
{
	store_le(anchor + 0x18, 4, TABLES_AT);
	anchor[0x15] = (uint8_t)(anchor[0x15] - TABLES_AT);
}

static bool write_dump(const char *path, const struct machine_smbios *smbios)
{
	uint8_t anchor[TABLES_AT] = {0};
	FILE *f = fopen(path, "w");
	bool ok;

	memcpy(anchor, smbios->anchor, sizeof(smbios->anchor));
	place(anchor);
	ok = f && fwrite(anchor, 1, TABLES_AT, f) == TABLES_AT &&
	     fwrite(smbios->tables, 1, smbios->tables_size, f) == smbios->tables_size;
	return f && fclose(f) == 0 && ok;
}

int main(int argc, char **argv)
{
	static char name[] = "name of this guest", serial[] = "ds=nocloud;s=http://10.0.2.2/",
	            uuid[] = "123e4567-e89b-12d3-a456-426614174000";
	struct config config = {.name = name, .machine = {.vcpus = 3, .uuid = uuid, .serial = serial}};
	struct page_layout layout;
	const struct machine_smbios_ask ask = {&config, machine_cpu_model("EPYC-Milan"), &layout};
	struct machine_smbios smbios;
	struct err err;
	bool ok;

	if (argc != 3 || page_layout_make(strtoull(argv[2], NULL, 10) << 20, MIB(2), &layout, &err) < 0 ||
	        machine_smbios_build(&ask, &smbios, &err) < 0)
		return 1;
	ok = write_dump(argv[1], &smbios);
	machine_smbios_finish(&smbios);
	return ok ? 0 : 1;
}
