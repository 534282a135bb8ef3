/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../attest/sample.h"
#include "vmm/owner.h"

#define GUID_ONE ABI_EFI_GUID(0x736869e5, 0x84f0, 0x4973, 0x92ec, 0x06879ce3da0b)

#define GUID_TWO ABI_EFI_GUID(0x736869e5, 0x84f0, 0x4973, 0x92ec, 0x06879ce3da0c)

static void test_secret_table_lies_as_guests_read_it(void **state)
{
	/* 1e74f542-71dd-4d66-963e-ef4287ff173b, 20 + 20 + 5 bytes, then the entry and zeros up to 48. */
	static const uint8_t wanted[48] = {0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d, 0x96, 0x3e, 0xef,
	        0x42, 0x87, 0xff, 0x17, 0x3b, 45, 0, 0, 0, 0xe5, 0x69, 0x68, 0x73, 0xf0, 0x84, 0x73, 0x49,
	        0x92, 0xec, 0x06, 0x87, 0x9c, 0xe3, 0xda, 0x0b, 25, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
	const struct owner_secret_entry entry = {GUID_ONE, {"hello", 5, "hello"}};
	uint8_t *data;
	size_t size;
	struct err err;

	assert_ok(owner_secret_table(&entry, 1, &data, &size, &err));
	assert_int_equal(size, sizeof(wanted));
	assert_memory_equal(data, wanted, sizeof(wanted));
	free(data);
}

static void test_secret_table_too_large_is_refused(void **state)
{
	static const uint8_t zeros[16384];
	const struct owner_secret_entry entries[] = {
	        {GUID_ONE, {"a", 1, "small"}}, {GUID_TWO, {zeros, 16384 - 20 - 21 - 20 + 1, "large"}}};
	struct owner_secret_entry absurd = {GUID_ONE, {zeros, SIZE_MAX, "absurd"}};
	uint8_t *data;
	size_t size;
	struct err err;

	assert_fails(owner_secret_table(entries, 2, &data, &size, &err), ERR_USAGE, "\"large\"");
	assert_fails(owner_secret_table(&absurd, 1, &data, &size, &err), ERR_USAGE, "\"absurd\"");
}

static void test_secret_table_that_a_guest_could_not_read_is_refused(void **state)
{
	const struct owner_secret_entry empty = {GUID_ONE, {"", 0, "void"}};
	const struct owner_secret_entry deleted = {{{0}}, {"a", 1, "deleted"}};
	const struct owner_secret_entry twice[] = {
	        {GUID_ONE, {"a", 1, "first"}}, {GUID_TWO, {"b", 1, "other"}}, {GUID_ONE, {"c", 1, "second"}}};
	uint8_t *data;
	size_t size;
	struct err err;

	assert_fails(owner_secret_table(&empty, 1, &data, &size, &err), ERR_USAGE, "void: is empty");
	assert_fails(owner_secret_table(&deleted, 1, &data, &size, &err), ERR_USAGE,
	        "deleted is given the GUID of zeros");
	assert_fails(owner_secret_table(twice, 3, &data, &size, &err), ERR_USAGE,
	        "first and second are given the same GUID");
}

/* The firmware's half: the MAC over 01, flags, iv, both lengths, ciphertext and MEASURE; then decryption. */
static void test_secret_opens_with_the_owners_keys(void **state)
{
	const struct owner_keys keys = {{1, 2, 3}, {4, 5, 6}};
	static const uint8_t measure[32] = {7, 8, 9}, plain[32] = "thirty-one characters of secret";
	uint8_t cipher[32], opened[32], message[1 + 4 + 16 + 4 + 4 + 32 + 32] = {1}, mac[32];
	struct abi_sev_secret_header header;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned mac_size;
	int size;
	struct err err;

	assert_ok(owner_secret_pack(&keys, measure, plain, sizeof(plain), &header, cipher, &err));
	assert_memory_not_equal(cipher, plain, sizeof(plain));
	assert_int_equal(header.flags, 0);
	memcpy(message + 5, header.iv, 16);
	message[21] = message[25] = 32;
	memcpy(message + 29, cipher, 32);
	memcpy(message + 61, measure, 32);
	assert_non_null(HMAC(EVP_sha256(), keys.tik, 16, message, sizeof(message), mac, &mac_size));
	assert_memory_equal(mac, header.mac, 32);
	assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, keys.tek, header.iv), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, opened, &size, cipher, 32), 1);
	assert_memory_equal(opened, plain, 32);
	EVP_CIPHER_CTX_free(ctx);
}

static void test_secret_of_bad_size_is_refused(void **state)
{
	static const size_t sizes[] = {0, 15, 17, 16384 + 16};
	const struct owner_keys keys = {0};
	static uint8_t buffer[16400];
	struct abi_sev_secret_header header;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_fails(owner_secret_pack(&keys, buffer, buffer, sizes[i], &header, buffer, &err),
		        ERR_USAGE, "multiple of 16");
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_secret_table_lies_as_guests_read_it),
	        cmocka_unit_test(test_secret_table_too_large_is_refused),
	        cmocka_unit_test(test_secret_table_that_a_guest_could_not_read_is_refused),
	        cmocka_unit_test(test_secret_opens_with_the_owners_keys),
	        cmocka_unit_test(test_secret_of_bad_size_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
