/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's hashes against OpenSSL's and RFC 5869. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "hkdf.h"
#include "support/helper_hkdf.h"

#define LONGEST 300

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint8_t next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint8_t)(random_state >> 32);
}

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = next();
}

/* In two pieces, wherever the first one ends. */
static void test_hkdf_sha256_is_openssls(void **state)
{
	uint8_t data[LONGEST], own[SHA256_HASH_BYTES], wanted[SHA256_HASH_BYTES];
	struct sha256 hash;

	for (size_t size = 0; size <= LONGEST; size++) {
		size_t first = size ? next() % (size + 1) : 0;

		fill(data, size);
		sha256_begin(&hash);
		sha256_add(&hash, data, first);
		sha256_add(&hash, data + first, size - first);
		sha256_end(&hash, own);
		assert_int_equal(EVP_Digest(data, size, wanted, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(own, wanted, sizeof(wanted));
	}
}

static void test_hkdf_hmac_is_openssls(void **state)
{
	uint8_t key[LONGEST], data[LONGEST], own[SHA256_HASH_BYTES], wanted[SHA256_HASH_BYTES];
	struct hmac mac;

	for (size_t size = 0; size <= LONGEST; size++) {
		fill(key, size);
		fill(data, LONGEST - size);
		hmac_begin(&mac, key, size);
		hmac_add(&mac, data, LONGEST - size);
		hmac_end(&mac, own);
		assert_non_null(HMAC(EVP_sha256(), key, (int)size, data, LONGEST - size, wanted, NULL));
		assert_memory_equal(own, wanted, sizeof(wanted));
	}
}

static size_t hex(const char *text, uint8_t *ret_bytes)
{
	size_t size = strlen(text) / 2;
	unsigned byte;

	for (size_t i = 0; i < size; i++) {
		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		ret_bytes[i] = (uint8_t)byte;
	}
	return size;
}

/* RFC 5869, A.1 to A.3. */
static void test_hkdf_is_that_of_the_rfc(void **state)
{
	static const struct {
		const char *secret, *salt, *info, *wanted;
	} vectors[] = {
	        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
	                "f0f1f2f3f4f5f6f7f8f9",
	                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b88718586"
	                "5"},
	        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2"
	         "d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
	                "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283848586878889"
	                "8"
	                "a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
	                "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9"
	                "d"
	                "adbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
	                "4"
	                "1c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
	        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
	                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c"
	                "8"},
	};
	uint8_t secret[80], salt[80], info[80], wanted[82], key[SHA256_HASH_BYTES], own[82];

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		size_t size = hex(vectors[i].wanted, wanted), info_bytes = hex(vectors[i].info, info);

		hkdf_extract(salt, hex(vectors[i].salt, salt), secret, hex(vectors[i].secret, secret), key);
		hkdf_expand(key, info, info_bytes, own, size);
		assert_memory_equal(own, wanted, size);
	}
}

static void test_hkdf_is_openssls(void **state)
{
	uint8_t secret[100], salt[100], info[100], key[SHA256_HASH_BYTES], own[LONGEST], wanted[LONGEST];

	for (unsigned round = 0; round < 200; round++) {
		size_t secret_bytes = 1 + next() % 99, salt_bytes = 1 + next() % 99,
		       info_bytes = 1 + next() % 99, size = 1 + (size_t)next() % (LONGEST - 1);

		fill(secret, secret_bytes);
		fill(salt, salt_bytes);
		fill(info, info_bytes);
		hkdf_extract(salt, salt_bytes, secret, secret_bytes, key);
		hkdf_expand(key, info, info_bytes, own, size);
		openssl_hkdf(secret, secret_bytes, salt, salt_bytes, info, info_bytes, wanted, size);
		assert_memory_equal(own, wanted, size);
	}
}

int main(void)
{
	struct err err;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hkdf_sha256_is_openssls),
	        cmocka_unit_test(test_hkdf_hmac_is_openssls),
	        cmocka_unit_test(test_hkdf_is_that_of_the_rfc),
	        cmocka_unit_test(test_hkdf_is_openssls),
	};

	if (crypto_load(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
