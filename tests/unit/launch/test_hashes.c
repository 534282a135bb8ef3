/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values: the tables that virtee/sev-snp-measure 0.0.13 builds from the same inputs. */
#include "../../../src/launch/plan.h"
#include "support/test.h"

#include "vmm/launch.h"

#define HEADER  "06d63894224fc94cb479a793d411fd21a800"
#define CMDLINE "d82dd09720bd944caa78e7714d36ab2a3200"
#define INITRD  "31f7ba442f3ad74b9af141e29169781d3200"
#define KERNEL  "3794e74dd2ab7f42b835d5b172d2045b3200"
#define PADDING "0000000000000000"

static void assert_table(const struct abi_hashes *hashes, const char *expected)
{
	char text[2 * sizeof(*hashes) + 1];

	hex_encode(hashes, sizeof(*hashes), text);
	assert_string_equal(text, expected);
}

static void test_hashes_table_is_what_the_outside_tool_builds(void **state)
{
	struct abi_hashes hashes;
	struct err err;

	assert_ok(crypto_load(&err));
	launch_hashes_fill("kernel", 6, "initrd", 6, "console=ttyS0", &hashes);
	assert_table(&hashes,
	        HEADER CMDLINE "f18aae9b3c09e55bc3047ad361e2442d7c53372470b2958fb83293209a784f71" INITRD
	                       "09e6c018d2c8c4903308613dd1b72484d57eadf12ec50ddc8f52e5accce470f2" KERNEL
	                       "6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c" PADDING);
}

static void test_hashes_without_initrd_and_cmdline_are_of_nothing_and_of_one_nul(void **state)
{
	struct abi_hashes hashes;
	struct err err;

	assert_ok(crypto_load(&err));
	launch_hashes_fill("kernel", 6, NULL, 0, "", &hashes);
	assert_table(&hashes,
	        HEADER CMDLINE "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" INITRD
	                       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" KERNEL
	                       "6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c" PADDING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hashes_table_is_what_the_outside_tool_builds),
	        cmocka_unit_test(test_hashes_without_initrd_and_cmdline_are_of_nothing_and_of_one_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
