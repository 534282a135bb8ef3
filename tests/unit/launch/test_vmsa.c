/* SPDX-License-Identifier: Apache-2.0 */
/* Expected values: the save areas that virtee/sev-snp-measure 0.0.13 builds (its --dump-vmsa), by SHA-256. */
#include "../../../src/launch/plan.h"
#include "support/test.h"

#include "vmm/launch.h"

static void assert_sha256(const struct abi_vmsa *vmsa, const char *expected)
{
	char text[2 * SHA256_BYTES + 1];
	uint8_t digest[SHA256_BYTES];
	struct err err;

	assert_ok(crypto_load(&err));
	hash_sha256(vmsa, sizeof(*vmsa), digest);
	hex_encode(digest, sizeof(digest), text);
	assert_string_equal(text, expected);
}

static void test_vmsa_is_what_the_outside_tool_builds(void **state)
{
	struct launch_vmsa from = {.eip = LAUNCH_RESET_EIP, .cpu_signature = 0xa00f11, .sev_features = 0x21};
	struct abi_vmsa vmsa;

	launch_vmsa_fill(&from, &vmsa);
	assert_sha256(&vmsa, "75fa05347e9be43f9d500bdefb65686ab0464eb7771daaaad91f807cb46b99a8");
	from = (struct launch_vmsa){.eip = 0x0080b004, .cpu_signature = 0x800f12};
	launch_vmsa_fill(&from, &vmsa);
	assert_sha256(&vmsa, "7ff723da33f39dedbe8336bb697e0a2f76471690074d5902e1a8177cd5312c95");
}

/* By number, not by the layout that fills them: APM volume 2, table B-4. */
static void test_vmsa_legacy_init_leaves_the_fpu_fields_zero(void **state)
{
	struct launch_vmsa from = {.eip = LAUNCH_RESET_EIP, .cpu_signature = 0xa00f11, .legacy_init = true};
	struct abi_vmsa vmsa;
	uint8_t *bytes = (uint8_t *)&vmsa;

	launch_vmsa_fill(&from, &vmsa);
	assert_int_equal(load_le(bytes + 0x408, 4), 0);
	assert_int_equal(load_le(bytes + 0x410, 2), 0);
	assert_int_equal(load_le(bytes + 0x3e8, 8), 1);
	assert_int_equal(load_le(bytes + 0x310, 8), 0xa00f11);
	assert_int_equal(load_le(bytes + 0x18, 8), 0xffff0000);
	assert_int_equal(load_le(bytes + 0x178, 8), 0xfff0);
}

/* The table of names covers every byte that is set, so printing or comparing a VMSA by it misses nothing. */
static void test_vmsa_every_byte_that_is_set_has_a_name(void **state)
{
	struct launch_vmsa from = {.eip = 0xffffffff, .cpu_signature = 0xffffffff, .sev_features = ~0ull};
	struct abi_vmsa vmsa;
	uint8_t *bytes = (uint8_t *)&vmsa;

	launch_vmsa_fill(&from, &vmsa);
	for (size_t i = 0; i < launch_vmsa_field_count; i++)
		memset(bytes + launch_vmsa_fields[i].offset, 0, launch_vmsa_fields[i].size);
	for (size_t i = 0; i < sizeof(vmsa); i++)
		assert_int_equal(bytes[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vmsa_is_what_the_outside_tool_builds),
	        cmocka_unit_test(test_vmsa_legacy_init_leaves_the_fpu_fields_zero),
	        cmocka_unit_test(test_vmsa_every_byte_that_is_set_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
