/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etc/e820 and etc/system-states.
 */
#include "support/test.h"
#include "vmm/machine.h"

static struct err err;

static void check_e820(uint64_t ram_bytes, const uint64_t *want, size_t entries)
{
	uint8_t table[MACHINE_E820_MAX_BYTES];
	struct page_layout layout;

	assert_ok(page_layout_make(ram_bytes, MIB(4), &layout, &err));
	assert_int_equal(machine_e820_make(&layout, table), entries * 20);
	for (size_t i = 0; i < entries; i++) {
		assert_int_equal(load_le(table + 20 * i, 8), want[2 * i]);
		assert_int_equal(load_le(table + 20 * i + 8, 8), want[2 * i + 1]);
		assert_int_equal(load_le(table + 20 * i + 16, 4), 1);
	}
}

static void test_e820_is_the_ram_and_not_the_firmware(void **state)
{
	check_e820(MIB(512), (const uint64_t[]){0, 0x20000000}, 1);
	check_e820(GIB(2), (const uint64_t[]){0, 0x80000000}, 1);
	check_e820(GIB(5), (const uint64_t[]){0, 0x80000000, 0x100000000, 0xc0000000}, 2);
}

/* OVMF looks at bit 7 of byte 3 (QemuFwCfgS3Lib). */
static void test_system_states_have_no_s3(void **state)
{
	assert_int_equal(sizeof(machine_system_states), 6);
	assert_int_equal(machine_system_states[3] & 0x80, 0);
	assert_int_equal(machine_system_states[4] & 0x80, 0);
	assert_int_equal(machine_system_states[5] & 0x80, 0x80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_e820_is_the_ram_and_not_the_firmware),
	        cmocka_unit_test(test_system_states_have_no_s3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
