/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that cannot hold kernel and initial RAM disk is refused, with the figures; what might hold them is
 * not.
 */
#include "../../../src/launch/launch.h"
#include "bench.h"
#include "volume_image.h"

#define KERNEL_BYTES 4096

static uint8_t kernel[KERNEL_BYTES];
static struct bench bench;

/* A Linux kernel that needs so much memory. */
static void make_kernel(uint32_t init_bytes)
{
	memset(kernel, 0, sizeof(kernel));
	memcpy(kernel + 0x202, "HdrS", 4);
	store_le(kernel + 0x206, 2, 0x20f);
	store_le(kernel + 0x260, 4, init_bytes);
}

static void make_image(bool edk2)
{
	struct bytes main_volume = {0};

	memset(bench.image.bytes, 0, IMAGE_BYTES);
	if (!edk2)
		return;
	put_edk2(&main_volume, MADE_PLAIN);
	memcpy(bench.image.bytes, main_volume.at, main_volume.size);
}

/* Returns what is said of this memory and an initrd of this size; "" is nothing. */
static const char *said(uint64_t memory_bytes, size_t initrd_bytes)
{
	static struct err err;
	struct config config = {.machine = {.memory_bytes = memory_bytes}};
	const struct launch_files files = {
	        .firmware = {bench.image.bytes, IMAGE_BYTES},
	        .kernel = {kernel, KERNEL_BYTES},
	        .initrd = {NULL, initrd_bytes},
	};

	err = (struct err){0};
	if (launch_fit(&config, &files, &err) == 0)
		return "";
	assert_int_equal(err.kind, ERR_USAGE);
	return err.text;
}

static void test_fit_counts_what_must_be_there_at_once(void **state)
{
	make_kernel(MIB(50));
	make_image(false);
	assert_string_equal(said(MIB(100), MIB(50)), "");
	assert_string_equal(said(MIB(100), MIB(50) + 1),
	        "machine.memory: 100 MiB are too little for boot.kernel (50 MiB when it runs) and "
	        "boot.initrd (51 "
	        "MiB): with the firmware they need more than 100 MiB; raise it, or use a smaller initial RAM "
	        "disk");
	assert_string_equal(said(MIB(50), 0), "");
	assert_non_null(strstr(said(MIB(49), 0), "machine.memory: 49 MiB"));
}

/* OVMF takes 0x1710000 bytes for itself, and keeps the file. */
static void test_fit_counts_ovmf(void **state)
{
	make_kernel(MIB(50));
	make_image(true);
	assert_string_equal(said(MIB(100) + 0x1710000 + KERNEL_BYTES, MIB(50)), "");
	assert_non_null(strstr(said(MIB(100) + 0x1710000 + KERNEL_BYTES - 1, MIB(50)), "too little"));
}

static void test_fit_without_a_kernel_asks_nothing(void **state)
{
	struct config config = {.machine = {.memory_bytes = 1}};
	const struct launch_files files = {.firmware = {bench.image.bytes, IMAGE_BYTES}};
	struct err err;

	assert_ok(launch_fit(&config, &files, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_fit_counts_what_must_be_there_at_once),
	        cmocka_unit_test(test_fit_counts_ovmf),
	        cmocka_unit_test(test_fit_without_a_kernel_asks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
