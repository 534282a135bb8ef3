/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ovmf: a firmware image from hostile bytes: its tables, and the launch plans made of them. Whatever the
 * image says, everything that a plan would write lies in the guest's memory, and no page is launched twice.
 */
#include <string.h>

#include "../../src/launch/plan.h"
#include "fuzz.h"
#include "vmm/launch.h"

#define MEMORY_BYTES MIB(32)

static char empty[] = "", cpu[] = "EPYC-Milan", name[] = "image", kernel[] = "kernel";

static void check_ovmf(const uint8_t *data, size_t size)
{
	struct launch_ovmf ovmf = {0};
	struct err err = {0};

	if (launch_ovmf_parse(data, size, &ovmf, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return;
	}
	fuzz_assert(ovmf.section_count <= LAUNCH_SECTIONS_MAX);
	fuzz_assert(ovmf.has_table || !ovmf.metadata.present);
	fuzz_assert(ovmf.metadata.present || ovmf.section_count == 0);
	for (unsigned i = 0; i < ovmf.section_count; i++)
		fuzz_assert(ovmf.sections[i].size);
}

static void check_item(const struct launch_plan *plan, unsigned i, uint64_t image_bytes)
{
	const struct launch_item *item = &plan->items[i];

	fuzz_assert(item->size_bytes);
	if (item->type == ABI_PAGE_VMSA) {
		fuzz_assert(item->gpa.raw == ABI_VMSA_GPA && item->size_bytes == PAGE_SIZE_BYTES);
		return;
	}
	if (i == 0)
		fuzz_assert(item->gpa.raw == PAGE_HOLE_END - image_bytes && item->size_bytes == image_bytes);
	else
		fuzz_assert(range_fits(item->gpa.raw, item->size_bytes, MEMORY_BYTES));
	for (unsigned j = 0; j < i; j++) {
		const struct launch_item *other = &plan->items[j];

		fuzz_assert(item->gpa.raw >= other->gpa.raw + other->size_bytes ||
		            other->gpa.raw >= item->gpa.raw + item->size_bytes);
	}
}

static void check_plan(const struct launch_files *files, enum config_sev_type type, bool hashes)
{
	struct config config = {.firmware = name};
	struct launch_plan *plan = NULL;
	struct err err = {0};

	config.machine.vcpus = 2;
	config.machine.memory_bytes = MEMORY_BYTES;
	config.machine.cpu = cpu;
	config.boot.kernel = config.boot.initrd = config.boot.cmdline = empty;
	config.boot.hashes = hashes;
	config.sev.type = type;
	config.sev.vmsa_features = type == CONFIG_SEV_SNP;
	if (launch_plan_make(&config, files, &plan, &err) < 0) {
		fuzz_assert(err.kind == ERR_USAGE && *err.text && !plan);
		return;
	}
	fuzz_assert(plan->count > 0 && plan->count <= LAUNCH_ITEMS_MAX);
	for (unsigned i = 0; i < plan->count; i++)
		check_item(plan, i, files->firmware.size_bytes);
	launch_plan_destroy(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole = (size + PAGE_SIZE_BYTES) & ~(size_t)(PAGE_SIZE_BYTES - 1);
	struct launch_files files = {.kernel = {kernel, 6}};
	uint8_t *image;

	check_ovmf(data, size);
	if (whole > PAGE_FIRMWARE_MAX_BYTES)
		return 0;
	/* Tables are found from the end, so the padding of the image comes first. */
	image = calloc(1, whole);
	fuzz_assert(image);
	memcpy(image + whole - size, data, size);
	files.firmware = (struct launch_file){image, whole};
	for (enum config_sev_type type = CONFIG_SEV; type <= CONFIG_SEV_SNP; type++) {
		check_plan(&files, type, false);
		check_plan(&files, type, true);
	}
	free(image);
	return 0;
}
