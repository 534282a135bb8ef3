/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smbios: the tables in which dmidecode, cloud-init and systemd find a machine's maker, name, serial number,
 * UUID, processors and memory. Firmware adds a structure about itself (type 0) and moves the tables to where
 * systems look for them. Any thread; no state. Law: DMTF DSP0134 (SMBIOS) 3.6, with a 2.8 entry point
 * (5.2.1), which all firmware takes.
 */
#include "acpi_blob.h"
#include "vmm/machine.h"

#define VENDOR  "vmm"
#define PRODUCT "i440FX"

#define TABLES_ROOM  4096
#define STRINGS_ROOM 512 /* of one structure */

enum {
	TYPE_SYSTEM = 1,
	TYPE_CHASSIS = 3,
	TYPE_PROCESSOR = 4,
	TYPE_MEMORY_ARRAY = 16,
	TYPE_MEMORY_DEVICE = 17,
	TYPE_MEMORY_MAPPED = 19,
	TYPE_BOOT = 32,
	TYPE_END = 127,
};
/* Any numbers will do that differ from each other. These are QEMU's. */
#define HANDLE_OF(type)      ((type) << 8)
#define HANDLE_CHASSIS       HANDLE_OF(TYPE_CHASSIS)
#define HANDLE_MEMORY_ARRAY  HANDLE_OF(TYPE_MEMORY_ARRAY)
#define NO_HANDLE            0xffff
#define NO_ERROR_INFORMATION 0xfffe

#define OTHER   1
#define UNKNOWN 2

struct writer {
	struct machine_acpi_blob blob;
	struct machine_acpi_blob strings; /* of the structure that is open */
	size_t start;                     /* where that begins */
	uint8_t string_count;
	size_t longest;
	unsigned structures;
};

/* ---- structures: a formatted part, then strings, then a NUL more (6.1) ---- */

static void put(struct writer *w, unsigned bytes, uint64_t value)
{
	acpi_put_le(&w->blob, bytes, value);
}

static void open_structure(struct writer *w, unsigned type, unsigned handle, uint8_t length)
{
	w->start = w->blob.size;
	w->string_count = 0;
	w->strings.size = 0;
	put(w, 1, type);
	put(w, 1, length);
	put(w, 2, handle);
}

/* A structure refers to its strings by number; 0 means that there is none. */
static void put_string(struct writer *w, const char *text)
{
	if (*text)
		acpi_put(&w->strings, text, strlen(text) + 1);
	put(w, 1, *text ? ++w->string_count : 0);
}

static void close_structure(struct writer *w)
{
	if (!w->string_count)
		put(w, 1, 0);
	acpi_put(&w->blob, w->strings.data, w->strings.size);
	put(w, 1, 0);
	if (w->blob.size - w->start > w->longest)
		w->longest = w->blob.size - w->start;
	w->structures++;
}

/* System Information (7.2). */
static void put_system(struct writer *w, const struct config *config)
{
	uint8_t uuid[16];

	if (!guid_decode(config->machine.uuid, strlen(config->machine.uuid), uuid))
		memset(uuid, 0, sizeof(uuid)); /* there is none */
	open_structure(w, TYPE_SYSTEM, HANDLE_OF(TYPE_SYSTEM), 0x1b);
	put_string(w, VENDOR);
	put_string(w, PRODUCT);
	put_string(w, VMM_VERSION);
	put_string(w, config->machine.serial);
	acpi_put(&w->blob, uuid, sizeof(uuid));
	put(w, 1, 6); /* woken by the power switch */
	put_string(w, "");
	put_string(w, "");
	close_structure(w);
}

/* System Enclosure (7.4); the machine's name is its asset tag. */
static void put_chassis(struct writer *w, const struct config *config)
{
	open_structure(w, TYPE_CHASSIS, HANDLE_CHASSIS, 0x16);
	put_string(w, VENDOR);
	put(w, 1, OTHER);
	put_string(w, VMM_VERSION);
	put_string(w, "");
	put_string(w, config->name);
	put(w, 3, 0x030303); /* states of boot, power supply, temperature: safe */
	put(w, 1, UNKNOWN);  /* security */
	put(w, 4, 0);
	put(w, 4, 0); /* height, power cords, contained elements */
	put_string(w, "");
	close_structure(w);
}

/* Processor Information (7.5): one socket of as many cores as there are vCPUs. */
static void put_processor(struct writer *w, const struct machine_cpu_model *model, unsigned vcpus)
{
	open_structure(w, TYPE_PROCESSOR, HANDLE_OF(TYPE_PROCESSOR), 0x2a);
	put_string(w, "CPU 0");
	put(w, 1, 3); /* a central processor */
	put(w, 1, OTHER);
	put_string(w, model->signature ? "AMD" : ""); /* "host" is the host's */
	put(w, 8, model->signature);
	put_string(w, model->title ?: "");
	put(w, 1, 0);    /* voltage */
	put(w, 6, 0);    /* clocks in MHz: unknown */
	put(w, 1, 0x41); /* a socket with an enabled processor in it */
	put(w, 1, OTHER);
	put(w, 6, UINT64_MAX); /* CPUID describes the caches */
	put_string(w, "");
	put_string(w, "");
	put_string(w, "");
	put(w, 3, (vcpus & 0xff) * 0x010101u); /* cores, those enabled, threads */
	put(w, 2, 1 << 2);                     /* 64 bits */
	put(w, 2, OTHER);
	close_structure(w);
}

#define KIB_MAX       0x80000000u /* in 32 bits of KiB: look at the extended field */
#define MIB_MAX       0x7fff      /* the same in 16 bits of MiB */
#define MAPPED_AT_MAX UINT32_MAX

/* Physical Memory Array and Memory Device (7.17, 7.18): one of each. */
static void put_memory(struct writer *w, uint64_t bytes)
{
	uint64_t kib = bytes >> 10, mib = bytes >> 20;

	open_structure(w, TYPE_MEMORY_ARRAY, HANDLE_MEMORY_ARRAY, 0x17);
	put(w, 1, OTHER);
	put(w, 1, 3); /* system memory */
	put(w, 1, 6); /* corrects errors of several bits */
	put(w, 4, kib < KIB_MAX ? kib : KIB_MAX);
	put(w, 2, NO_ERROR_INFORMATION);
	put(w, 2, 1);
	put(w, 8, kib < KIB_MAX ? 0 : bytes);
	close_structure(w);

	open_structure(w, TYPE_MEMORY_DEVICE, HANDLE_OF(TYPE_MEMORY_DEVICE), 0x28);
	put(w, 2, HANDLE_MEMORY_ARRAY);
	put(w, 2, NO_ERROR_INFORMATION);
	put(w, 4, UINT32_MAX); /* widths: unknown */
	put(w, 2, mib < MIB_MAX ? mib : MIB_MAX);
	put(w, 1, 9); /* DIMM */
	put(w, 1, 0);
	put_string(w, "DIMM 0");
	put_string(w, "");
	put(w, 1, 7); /* RAM */
	put(w, 2, 1 << 1);
	put(w, 2, 0); /* speed */
	put_string(w, VENDOR);
	put(w, 3, 0); /* serial number, asset tag, part number */
	put(w, 1, 0);
	put(w, 4, mib < MIB_MAX ? 0 : mib);
	put(w, 8, 0); /* clock, voltages */
	close_structure(w);
}

/* Memory Array Mapped Address (7.20): where the RAM of a region is. */
static void put_mapped(struct writer *w, const struct page_region *region, unsigned index)
{
	uint64_t first = region->gpa.raw, last = first + region->size_bytes - 1;
	bool far = last >> 10 >= MAPPED_AT_MAX;

	open_structure(w, TYPE_MEMORY_MAPPED, HANDLE_OF(TYPE_MEMORY_MAPPED) + index, 0x1f);
	put(w, 4, far ? MAPPED_AT_MAX : first >> 10);
	put(w, 4, far ? MAPPED_AT_MAX : last >> 10);
	put(w, 2, HANDLE_MEMORY_ARRAY);
	put(w, 1, 1); /* devices in a row */
	put(w, 8, far ? first : 0);
	put(w, 8, far ? last : 0);
	close_structure(w);
}

/* System Boot Information (7.33): no errors. */
static void put_boot(struct writer *w)
{
	open_structure(w, TYPE_BOOT, HANDLE_OF(TYPE_BOOT), 0x0b);
	put(w, 7, 0);
	close_structure(w);
}

static void put_all(struct writer *w, const struct machine_smbios_ask *ask)
{
	unsigned mapped = 0;

	put_system(w, ask->config);
	put_chassis(w, ask->config);
	put_processor(w, ask->model, ask->config->machine.vcpus);
	put_memory(w, ask->layout->low_bytes + ask->layout->high_bytes);
	for (unsigned i = 0; i < ask->layout->count; i++)
		if (ask->layout->regions[i].kind == PAGE_RAM)
			put_mapped(w, &ask->layout->regions[i], mapped++);
	put_boot(w);
	open_structure(w, TYPE_END, HANDLE_OF(TYPE_END), 4);
	close_structure(w);
}

/* ---- the entry point (5.2.1) ---- */

static uint8_t to_zero(const uint8_t *bytes, size_t count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

/* Firmware writes the address of the tables and sums again. Until then the sums are those of address 0. */
static void make_anchor(const struct writer *w, uint8_t anchor[static MACHINE_SMBIOS_ANCHOR_BYTES])
{
	memset(anchor, 0, MACHINE_SMBIOS_ANCHOR_BYTES);
	memcpy(anchor, "_SM_", 4);
	anchor[5] = MACHINE_SMBIOS_ANCHOR_BYTES;
	anchor[6] = 2; /* version 2.8 */
	anchor[7] = 8;
	store_le(anchor + 8, 2, w->longest);
	memcpy(anchor + 0x10, "_DMI_", 5);
	store_le(anchor + 0x16, 2, w->blob.size);
	store_le(anchor + 0x1c, 2, w->structures);
	anchor[0x1e] = 0x28;
	anchor[0x15] = to_zero(anchor + 0x10, 0xf);
	anchor[4] = to_zero(anchor, MACHINE_SMBIOS_ANCHOR_BYTES);
}

int machine_smbios_build(
        const struct machine_smbios_ask *ask, struct machine_smbios *ret_smbios, struct err *err)
{
	uint8_t strings[STRINGS_ROOM];
	struct writer w = {.blob = {.data = calloc(1, TABLES_ROOM), .room = TABLES_ROOM},
	        .strings = {.data = strings, .room = sizeof(strings)}};

	if (!w.blob.data)
		return err_set(err, ERR_FAILED, "no memory for the SMBIOS tables");
	put_all(&w, ask);
	if (w.blob.full || w.strings.full) {
		free(w.blob.data);
		return err_set(err, ERR_FAILED, "the SMBIOS tables do not fit their buffer");
	}
	ret_smbios->tables = w.blob.data;
	ret_smbios->tables_size = w.blob.size;
	make_anchor(&w, ret_smbios->anchor);
	return 0;
}

void machine_smbios_finish(struct machine_smbios *smbios)
{
	free(smbios->tables);
	*smbios = (struct machine_smbios){0};
}
