/*
 * Where the setup part of a kernel file ends: files made here by boot.rst.
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

static void test_boot_setup_part_is_as_long_as_the_header_says(void **state)
{
	assert_int_equal(setup_of(1, FILE_BYTES), 2 * 512);
	assert_int_equal(setup_of(255, FILE_BYTES), 256 * 512);
	assert_int_equal(setup_of(0, FILE_BYTES), 5 * 512); /* old kernels: 0 means 4 */
}

static void test_boot_file_that_ends_before_the_kernel_is_refused(void **state)
{
	static const size_t sizes[] = {0, 0x202, 0x205, 0x206, 1023, 1024};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(setup_of(1, sizes[i]), 0);
	assert_int_equal(setup_of(1, 1025), 1024);
}

static void test_boot_other_file_is_refused(void **state)
{
	setup_of(1, FILE_BYTES);
	file[0x202] = 'h';
	assert_int_equal(machine_kernel_setup_bytes(file, FILE_BYTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_boot_setup_part_is_as_long_as_the_header_says),
	        cmocka_unit_test(test_boot_file_that_ends_before_the_kernel_is_refused),
	        cmocka_unit_test(test_boot_other_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
