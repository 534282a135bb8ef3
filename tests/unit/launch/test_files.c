/* SPDX-License-Identifier: Apache-2.0 */
/* Each file is read once: what is measured is what the guest gets. */
#include "bench.h"
#include "support/folder.h"
#include "vmm/device/fw_cfg.h"

static struct bench bench;

static int setup(void **state)
{
	bench_start(&bench);
	return 0;
}

static int teardown(void **state)
{
	bench_end(&bench);
	return 0;
}

/* The guest gets the bytes that were judged and measured, even if the file has changed since. */
static void test_launch_reads_the_firmware_once(void **state)
{
	static const char *const types[] = {"none", "sev", "sev-es", "sev-snp"};
	uint8_t end[16];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct host *host = &bench.kernel.host;

		bench_config(&bench, types[i], NULL);
		assert_int_equal(bench_plan_on(&bench, host), 0);
		assert_int_equal(truncate(bench.firmware, PAGE_SIZE_BYTES), 0);
		if (bench_guest_on(&bench, host) < 0)
			fail_msg("%s: %s", types[i], bench.err.text);
		if (strcmp(types[i], "sev-snp") != 0) { /* whose pages nobody reads */
			assert_int_equal(page_read(machine_vm_memory(bench.vm),
			                         gpa(PAGE_HOLE_END - sizeof(end)), end, sizeof(end)),
			        0);
			assert_memory_equal(end, bench.image.bytes + IMAGE_BYTES - sizeof(end), sizeof(end));
		}
		bench_end(&bench);
	}
}

static void put_file(const char *path, const char *text, size_t size)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	fclose(f);
}

/* Reads an item of fw_cfg as the guest does, by the data port. The items are those of QEMU's fw_cfg.rst. */
static void read_item(uint16_t key, void *data, size_t size)
{
	struct device_bus *bus = machine_board(bench.machine)->bus;

	device_bus_write(bus, DEVICE_PIO, 0x510, 2, key);
	for (size_t i = 0; i < size; i++)
		((uint8_t *)data)[i] = (uint8_t)device_bus_read(bus, DEVICE_PIO, 0x511, 1);
}

static void bench_image_for_hashes(void)
{
	static const uint32_t reset = 0x80b004, area[] = {0x10c00, 0x400};

	image_start(&bench.image);
	image_entry(&bench.image, reset_guid, &reset, 4);
	image_entry(&bench.image, hashes_guid, area, 8);
	image_end(&bench.image);
}

#define KERNEL_BYTES 4000

/* Two kernels and initrds are in the files one after the other: the guest gets what was measured. */
static void test_launch_hands_over_the_kernel_that_it_measured(void **state)
{
	static const char *const types[] = {"none", "sev"};
	char folder[] = "/tmp/vmm-kernel-XXXXXX", kernel[64], initrd[64], word[2][96];
	char file[KERNEL_BYTES] = {[0x1f1] = 1, [0x202] = 'H', 'd', 'r', 'S'}, got[KERNEL_BYTES],
	     text[6] = "";
	uint8_t sha256[32];

	assert_non_null(mkdtemp(folder));
	snprintf(kernel, sizeof(kernel), "%s/kernel", folder);
	snprintf(initrd, sizeof(initrd), "%s/initrd", folder);
	snprintf(word[0], sizeof(word[0]), "boot.kernel=%s", kernel);
	snprintf(word[1], sizeof(word[1]), "boot.initrd=%s", initrd);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		bool measured = strcmp(types[i], "none") != 0;

		bench_image_for_hashes();
		memset(file + KERNEL_BYTES / 2, 'm', KERNEL_BYTES / 2);
		put_file(kernel, file, sizeof(file));
		put_file(initrd, "first", 5);
		bench_config(&bench, types[i],
		        (const char *const[]){
		                word[0], word[1], measured ? "boot.hashes=true" : "boot.hashes=false", NULL});
		if (bench_plan_on(&bench, &bench.kernel.host) < 0)
			fail_msg("%s: %s", types[i], bench.err.text);
		put_file(initrd, "other and longer", 16);
		put_file(kernel, "other", 5);
		if (bench_guest_on(&bench, &bench.kernel.host) < 0)
			fail_msg("%s: %s", types[i], bench.err.text);
		read_item(FW_CFG_SETUP_DATA, got, 1024);
		read_item(FW_CFG_KERNEL_DATA, got + 1024, KERNEL_BYTES - 1024);
		assert_memory_equal(got, file, KERNEL_BYTES);
		read_item(FW_CFG_INITRD_DATA, text, 6);
		assert_memory_equal(text, "first\0", 6);
		if (measured) {
			hash_sha256(got, KERNEL_BYTES, sha256);
			assert_memory_equal(
			        sha256, launch_plan_of(bench.launch)->hashes.kernel.sha256, sizeof(sha256));
		}
		bench_end(&bench);
	}
	folder_remove(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_launch_reads_the_firmware_once),
	        TEST(test_launch_hands_over_the_kernel_that_it_measured),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
