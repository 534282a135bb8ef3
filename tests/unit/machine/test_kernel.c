/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a kernel file's setup part, the files that are taken for kernels, and the place of the initrd,
 * with files made here by boot.rst and by the PE format.
 */
#include <string.h>

#include "support/test.h"
#include "vmm/machine.h"

#define FILE_BYTES (300 * 512)

static uint8_t file[FILE_BYTES];

static size_t setup_of(unsigned sectors, size_t size)
{
	memset(file, 0, sizeof(file));
	file[0x1f1] = (uint8_t)sectors;
	memcpy(file + 0x202, "HdrS", 4);
	return machine_kernel_setup_bytes(file, size);
}

static void test_kernel_setup_part_is_as_long_as_the_header_says(void **state)
{
	assert_int_equal(setup_of(1, FILE_BYTES), 2 * 512);
	assert_int_equal(setup_of(255, FILE_BYTES), 256 * 512);
	assert_int_equal(setup_of(0, FILE_BYTES), 5 * 512); /* old kernels: 0 means 4 */
}

static void test_kernel_file_that_ends_before_the_kernel_is_refused(void **state)
{
	static const size_t sizes[] = {0, 0x202, 0x205, 0x206, 1023, 1024};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(setup_of(1, sizes[i]), 0);
	assert_int_equal(setup_of(1, 1025), 1024);
}

static void test_kernel_other_file_is_refused(void **state)
{
	setup_of(1, FILE_BYTES);
	file[0x202] = 'h';
	assert_int_equal(machine_kernel_setup_bytes(file, FILE_BYTES), 0);
}

/* ---- EFI programs ---- */

/* Makes a PE header at `pe` for a machine type; byte goes where a bzImage has its setup_sects. */
static size_t efi_setup_of(uint32_t pe, uint16_t machine, uint8_t byte, size_t size)
{
	memset(file, 0, sizeof(file));
	memcpy(file, "MZ", 2);
	store_le(file + 0x3c, 4, pe);
	if (pe < FILE_BYTES - 6) {
		memcpy(file + pe, "PE\0\0", 4);
		store_le(file + pe + 4, 2, machine);
	}
	file[0x1f1] = byte;
	return machine_kernel_setup_bytes(file, size);
}

static void test_kernel_efi_program_is_split_as_qemu_splits_it(void **state)
{
	assert_int_equal(efi_setup_of(0x80, 0x8664, 0, FILE_BYTES), 5 * 512);
	assert_int_equal(efi_setup_of(0x80, 0x8664, 7, FILE_BYTES), 8 * 512);
	assert_int_equal(efi_setup_of(0x80, 0x14c, 0, FILE_BYTES), 5 * 512); /* for 32-bit firmware */
	assert_int_equal(efi_setup_of(FILE_BYTES - 7, 0x8664, 0, FILE_BYTES), 5 * 512);
}

/* The byte is code or text there, and must not make vmm refuse a good program. */
static void test_kernel_efi_program_with_any_byte_at_the_header_is_taken(void **state)
{
	assert_int_equal(efi_setup_of(0x80, 0x8664, 255, 16384), 512);
	assert_int_equal(efi_setup_of(0x80, 0x8664, 0, 513), 512);
}

static void test_kernel_efi_program_of_another_processor_or_cut_is_refused(void **state)
{
	assert_int_equal(efi_setup_of(0x80, 0xaa64, 0, FILE_BYTES), 0); /* Arm */
	assert_int_equal(efi_setup_of(0x80, 0x8664, 0, 512), 0);
	assert_int_equal(efi_setup_of(FILE_BYTES - 4, 0x8664, 0, FILE_BYTES), 0);
	assert_int_equal(efi_setup_of(0xffffffff, 0x8664, 0, FILE_BYTES), 0);
	efi_setup_of(0x80, 0x8664, 0, FILE_BYTES);
	memcpy(file + 0x80, "NE\0\0", 4); /* for Windows 3 */
	assert_int_equal(machine_kernel_setup_bytes(file, FILE_BYTES), 0);
}

static void test_kernel_that_is_none_is_called_what_it_is(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *says;
	} rows[] = {
	        {"\177ELF\2\1\1", 7, "bzImage (vmlinuz) made of it"},
	        {"\x1f\x8b\x08", 3, "gzip"},
	        {"\xfd"
	         "7zXZ\0",
	                6, "xz"},
	        {"\x28\xb5\x2f\xfd", 4, "zstd"},
	        {"BZh9", 4, "bzip2"},
	        {"\x04\x22\x4d\x18", 4, "lz4"},
	        {"070701", 6, "boot.initrd"},
	        {"QFI\xfb", 4, "devices"},
	        {"MZ", 2, "another kind of processor"},
	        {"", 0, "neither a whole Linux bzImage"},
	        {"M", 1, "neither a whole Linux bzImage"},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(machine_kernel_refuse("a-file", rows[i].bytes, rows[i].size, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_non_null(strstr(err.text, "boot.kernel: a-file"));
		assert_non_null(strstr(err.text, rows[i].says));
	}
}

static void test_kernel_says_how_much_memory_it_needs(void **state)
{
	setup_of(1, FILE_BYTES);
	store_le(file + 0x260, 4, MIB(50));
	store_le(file + 0x206, 2, 0x20a);
	assert_int_equal(machine_kernel_unpacked_bytes(file, FILE_BYTES), MIB(50));
	assert_int_equal(machine_kernel_unpacked_bytes(file, 0x263), 0x263);
	store_le(file + 0x206, 2, 0x209);
	assert_int_equal(machine_kernel_unpacked_bytes(file, FILE_BYTES), FILE_BYTES);
	store_le(file + 0x206, 2, 0x20f);
	store_le(file + 0x260, 4, 1);
	assert_int_equal(machine_kernel_unpacked_bytes(file, FILE_BYTES), FILE_BYTES);
	assert_int_equal(machine_kernel_unpacked_bytes(file, 0), 0);
}

/* ---- the initrd's place ---- */

static uint64_t initrd_at(
        unsigned protocol, uint32_t initrd_max, uint16_t flags, uint64_t low_bytes, uint64_t size)
{
	setup_of(1, FILE_BYTES);
	store_le(file + 0x206, 2, protocol);
	store_le(file + 0x22c, 4, initrd_max);
	store_le(file + 0x236, 2, flags);
	return machine_kernel_initrd_address(file, 1024, low_bytes, size);
}

/* Numbers of QEMU's: the limit less the size, rounded down to a page; its tables have the last 28000h bytes.
 */
static void test_kernel_initrd_lies_where_header_and_memory_allow(void **state)
{
	assert_int_equal(initrd_at(0x20f, 0x7fffffff, 0x7f, MIB(512), 0x1000), 0x1ffd6000);
	assert_int_equal(initrd_at(0x20f, 0x1ffffff, 0, MIB(512), 0x1001), 0x1ffe000);
	assert_int_equal(initrd_at(0x203, 0x1ffffff, 2, MIB(512), 0x1001), 0x1ffe000);
	assert_int_equal(initrd_at(0x202, 0x1ffffff, 2, GIB(2), 0xfff), 0x37fff000);
	assert_int_equal(initrd_at(0x20f, 0x7fffffff, 0, MIB(512), MIB(512)), 0);
	assert_int_equal(initrd_at(0x20f, 0, 0, MIB(512), 1), 0);
	assert_int_equal(initrd_at(0x20f, UINT32_MAX, 2, 0x1000, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_kernel_setup_part_is_as_long_as_the_header_says),
	        cmocka_unit_test(test_kernel_file_that_ends_before_the_kernel_is_refused),
	        cmocka_unit_test(test_kernel_other_file_is_refused),
	        cmocka_unit_test(test_kernel_efi_program_is_split_as_qemu_splits_it),
	        cmocka_unit_test(test_kernel_efi_program_with_any_byte_at_the_header_is_taken),
	        cmocka_unit_test(test_kernel_efi_program_of_another_processor_or_cut_is_refused),
	        cmocka_unit_test(test_kernel_says_how_much_memory_it_needs),
	        cmocka_unit_test(test_kernel_that_is_none_is_called_what_it_is),
	        cmocka_unit_test(test_kernel_initrd_lies_where_header_and_memory_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
