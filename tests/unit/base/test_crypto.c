/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

/* FIPS 180-4 examples, "abc". */
static void test_hashes_give_the_standard_digests(void **state)
{
	uint8_t digest[SHA384_BYTES];
	char text[2 * SHA384_BYTES + 1];
	struct err err;

	assert_ok(crypto_load(&err));
	hash_sha256("abc", 3, digest);
	hex_encode(digest, SHA256_BYTES, text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha384("abc", 3, digest);
	hex_encode(digest, SHA384_BYTES, text);
	assert_string_equal(text, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
	                          "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

static void test_equal_and_wipe(void **state)
{
	uint8_t secret[16] = "fifteen letters";
	struct err err;

	assert_ok(crypto_load(&err));
	assert_true(crypto_equal(secret, "fifteen letters", 16));
	assert_false(crypto_equal(secret, "fifteen lettert", 16));
	crypto_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, (uint8_t[16]){0}, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hashes_give_the_standard_digests),
	        cmocka_unit_test(test_equal_and_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
