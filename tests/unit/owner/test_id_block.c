/* SPDX-License-Identifier: Apache-2.0 */
/* TEST_DATA/attestation/id-auth-example.bin and the digests of its keys come from virtee/sev's own tests. */
#include <unistd.h>

#include "support/test.h"

#include "vmm/owner.h"

/* A digest of either length. */
struct digest {
	uint8_t bytes[SHA384_BYTES];
	size_t size_bytes;
};

static struct abi_id_auth example;

static int start(void **state)
{
	struct err err;

	assert_ok(crypto_load(&err));
	assert_ok(owner_id_auth_read(TEST_DATA "/attestation/id-auth-example.bin", &example, &err));
	return 0;
}

static void assert_hex(const void *data, size_t size, const char *expected)
{
	char text[2 * 64 + 1];

	hex_encode(data, size, text);
	assert_string_equal(text, expected);
}

static void test_idblock_key_digests_are_those_of_the_report(void **state)
{
	uint8_t digest[SHA384_BYTES];

	owner_id_key_digest(&example.id_key, digest);
	assert_hex(digest, sizeof(digest),
	        "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df"
	        "3b0dbbdcbae5fe27677a644820773fe2");
	owner_id_key_digest(&example.author_key, digest);
	assert_hex(digest, sizeof(digest),
	        "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c2"
	        "72369b7ffc3eb2b6af6a4284a1b36c5f");
}

/* The block that the example's ID key signed: virtee/sev, tests/id-block.rs. */
static struct abi_id_block example_block(void)
{
	struct abi_id_block block = {.version = 1, .policy = 0x30000};

	assert_true(hex_decode("a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d89"
	                       "66068e615bb99efd13d214b35c231715b38e263dc6059745",
	        block.ld, sizeof(block.ld)));
	return block;
}

static void test_idblock_example_of_another_program_verifies(void **state)
{
	struct abi_id_block block = example_block();
	struct err err;

	assert_ok(owner_id_verify(&block, &example, &err));
	assert_true(owner_id_has_author(&example));
}

static struct abi_id_block some_block(void)
{
	struct abi_id_block block = {.version = 1, .guest_svn = 7, .policy = 0x30000};

	memset(block.ld, 0x5a, sizeof(block.ld));
	memcpy(block.family_id, "family", 6);
	memcpy(block.image_id, "image", 5);
	return block;
}

static void test_idblock_signed_verifies_with_and_without_author(void **state)
{
	struct abi_id_block block = some_block();
	struct owner_id_key *id, *author;
	struct abi_id_auth auth;
	struct err err;

	assert_ok(owner_id_key_generate(&id, &err));
	assert_ok(owner_id_key_generate(&author, &err));
	assert_ok(owner_id_sign(&block, id, NULL, &auth, &err));
	assert_false(owner_id_has_author(&auth));
	assert_ok(owner_id_verify(&block, &auth, &err));
	assert_ok(owner_id_sign(&block, id, author, &auth, &err));
	assert_true(owner_id_has_author(&auth));
	assert_ok(owner_id_verify(&block, &auth, &err));
	owner_id_key_destroy(id);
	owner_id_key_destroy(author);
	owner_id_key_destroy(NULL);
}

/* Every bit of what is signed counts. */
static void test_idblock_changed_anywhere_is_refused(void **state)
{
	struct abi_id_block block = example_block();
	struct abi_id_auth auth;
	uint8_t *bytes = (uint8_t *)&block;
	struct err err;

	for (size_t i = 0; i < sizeof(block); i += 5) {
		bytes[i] ^= 0x10;
		assert_int_equal(owner_id_verify(&block, &example, &err), -1);
		bytes[i] ^= 0x10;
	}
	auth = example;
	auth.id_block_sig.r[3] ^= 1;
	assert_fails(owner_id_verify(&block, &auth, &err), ERR_USAGE, "BAD_SIGNATURE");
	auth = example;
	auth.id_key_sig.s[3] ^= 1;
	assert_fails(owner_id_verify(&block, &auth, &err), ERR_USAGE, "author's signature");
	auth = example;
	auth.id_key.qx[0] ^= 1;
	assert_fails(owner_id_verify(&block, &auth, &err), ERR_USAGE, "not a point of P-384");
	auth = example;
	auth.id_key_algo = 2;
	assert_fails(owner_id_verify(&block, &auth, &err), ERR_USAGE, "key algorithm 2");
	block.version = 2;
	assert_fails(owner_id_verify(&block, &example, &err), ERR_USAGE, "version 2");
}

static void test_idblock_of_a_digest_fits_that_digest_and_policy_only(void **state)
{
	struct digest digest = {.size_bytes = 48, .bytes = {1, 2, 3}}, other = digest;
	struct digest sev = {.size_bytes = 32, .bytes = {1, 2, 3}};
	struct abi_id_block block;
	struct abi_id_auth auth, again;
	struct err err;

	assert_ok(owner_id_make(digest.bytes, digest.size_bytes, 0x30000, &block, &auth, &err));
	assert_ok(owner_id_verify(&block, &auth, &err));
	assert_ok(owner_id_match(&block, digest.bytes, digest.size_bytes, 0x30000, &err));
	other.bytes[47] = 1;
	assert_fails(owner_id_match(&block, other.bytes, other.size_bytes, 0x30000, &err), ERR_USAGE,
	        "BAD_MEASUREMENT");
	assert_fails(owner_id_match(&block, sev.bytes, sev.size_bytes, 0x30000, &err), ERR_USAGE,
	        "BAD_MEASUREMENT");
	assert_fails(owner_id_match(&block, digest.bytes, digest.size_bytes, 0xb0000, &err), ERR_USAGE,
	        "POLICY_FAILURE");
	assert_fails(owner_id_make(sev.bytes, sev.size_bytes, 0x30000, &block, &auth, &err), ERR_FAILED,
	        "32 bytes");
	/* The key is thrown away, so there is a new one each time. */
	assert_ok(owner_id_make(digest.bytes, digest.size_bytes, 0x30000, &block, &again, &err));
	assert_memory_not_equal(&auth.id_key, &again.id_key, sizeof(auth.id_key));
}

static void test_idblock_base64_reads_as_the_bare_bytes_do(void **state)
{
	static const char text[] =
	        "oU1jg0HlZ0Yo/h4C++3r5eWrT68d1y2JZgaOYVu5nv0T0hSzXCMXFbOOJj3GBZdFAAAAAAAAAAAAAAAA"
	        "AAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAwAAAAAA\n";
	struct abi_id_block block, expected = example_block();
	char garbage[128];
	struct err err;

	memset(garbage, '!', sizeof(garbage));
	assert_ok(attest_form_struct(text, strlen(text), &block, sizeof(block), &err));
	assert_memory_equal(&block, &expected, sizeof(block));
	assert_ok(attest_form_struct(&expected, sizeof(expected), &block, sizeof(block), &err));
	assert_memory_equal(&block, &expected, sizeof(block));
	assert_fails(attest_form_struct(text, 0, &block, sizeof(block), &err), ERR_USAGE, "has 0 bytes");
	assert_fails(attest_form_struct(text, 97, &block, sizeof(block), &err), ERR_USAGE, "has 97 bytes");
	assert_fails(
	        attest_form_struct(garbage, 128, &block, sizeof(block), &err), ERR_USAGE, "has 128 bytes");
}

/* ---- key files ---- */

static const char *write_file(char path[], const char *text)
{
	auto_close int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return path;
}

/* openssl ecparam -genkey -noout, for tests only: P-384, P-256; and P-384 with a password. */
static const char p384[] =
        "-----BEGIN EC PRIVATE KEY-----\nMIGkAgEBBDBPNvpu4BOoldD4MsYN2roEb7Tyw9HCzY1u2uQfz+94gKDKLoIo3w7j\n"
        "PG7wEdTKK/CgBwYFK4EEACKhZANiAASxtDHwc3zAXD3EHKT57ZHwILVnYYumWrx+\n"
        "Au1G9FHwIgUnmpn7EDvBuM07JcwDJ7jxnB3BjtKxRC34VmQVsuv7J6Y2A6vl034Y\n"
        "Ji1+QcoqYd8VjcZunvJ/wQgr4l45/Sk=\n"
        "-----END EC PRIVATE KEY-----\n";
static const char p256[] =
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHsmfEoSvtM+HimeObhU0wDUdzPfMrhtzS/6kVS/F3xuoAoGCCqGSM49\n"
        "AwEHoUQDQgAE68EgDwg+8XIVsbg3PiLgkE9WuhsHPQ0QwQ5eyonIRtAxayZSL+Py\n"
        "hiF8hGzhLuZPf5AHKxeKY1a1eUPEaSVMqA==\n"
        "-----END EC PRIVATE KEY-----\n";
static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE "
                                "KEY-----\nMIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQImNy7xY9VwzwCAggA\n"
                                "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBDNIWovaCekoBxZhCyJdH5tBIHA\n"
                                "SNG6JwBtYoEjJqv04mji8caH/s07nXmJELvMo4o5ERncHi9OY94ExwJMxLJ3dHaH\n"
                                "3wN5mqMjC7K9VuuDuNyDKe6XCbxxuUK3II22u3Rh0rXJvj315WrSN+MiLloQvJdU\n"
                                "1a80olYS+Rj7O0vFHezRsAGnaf8SMv3EOLvTlrMFdaSUzj4vpGwEtkalM/E+6g9C\n"
                                "IVozKN7fRQ/CN8TILArwyY/t5FJNwbjVGOmtdy5X1zhwNrxCr8jZDL1eTOn/VpQW\n"
                                "-----END ENCRYPTED PRIVATE KEY-----\n";

static void test_idblock_key_file_signs(void **state)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	struct abi_id_block block = some_block();
	struct owner_id_key *key;
	struct abi_id_auth auth;
	uint8_t digest[SHA384_BYTES];
	struct err err;

	assert_ok(owner_id_key_read(write_file(path, p384), &key, &err));
	unlink(path);
	assert_ok(owner_id_sign(&block, key, key, &auth, &err));
	assert_ok(owner_id_verify(&block, &auth, &err));
	/* openssl ec -pubout -outform DER gives the point; reversed and hashed by a Python program. */
	owner_id_key_digest(&auth.id_key, digest);
	assert_hex(digest, sizeof(digest),
	        "889d133972650ef829fe0758953c75fd80353536907198e7cfc19aceb3e1c4a4"
	        "4db691a0cedbee3706e2a145405c0a76");
	owner_id_key_destroy(key);
}

static void test_idblock_key_file_of_another_kind_is_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
	        {p256, "is not a P-384 key"},
	        {encrypted, "the key is encrypted"},
	        {"nothing", "holds no private key"},
	        {"", "holds no private key"},
	};
	struct owner_id_key *key;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[] = "/tmp/vmm-test-XXXXXX";

		write_file(path, cases[i].text);
		assert_fails(owner_id_key_read(path, &key, &err), ERR_USAGE, cases[i].part);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_idblock_key_digests_are_those_of_the_report),
	        cmocka_unit_test(test_idblock_example_of_another_program_verifies),
	        cmocka_unit_test(test_idblock_signed_verifies_with_and_without_author),
	        cmocka_unit_test(test_idblock_changed_anywhere_is_refused),
	        cmocka_unit_test(test_idblock_of_a_digest_fits_that_digest_and_policy_only),
	        cmocka_unit_test(test_idblock_base64_reads_as_the_bare_bytes_do),
	        cmocka_unit_test(test_idblock_key_file_signs),
	        cmocka_unit_test(test_idblock_key_file_of_another_kind_is_refused),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
