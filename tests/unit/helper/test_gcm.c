/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper's AES-256-GCM against OpenSSL's, in each form that this processor can run, and against the
 * answers of its inventors (McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14).
 */
#include <openssl/evp.h>
#include <string.h>

#include "support/helper_forms.h"
#include "support/test.h"

#define SIZE_MAX_BYTES 65536
#define AAD_MAX_BYTES  64

static uint8_t plain[SIZE_MAX_BYTES], sealed[SIZE_MAX_BYTES], opened[SIZE_MAX_BYTES], wanted[SIZE_MAX_BYTES];
static uint8_t secret[GCM_SECRET_BYTES], iv[GCM_IV_BYTES], aad[AAD_MAX_BYTES];

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)next();
}

static void fill_all(size_t size)
{
	fill(plain, size);
	fill(secret, sizeof(secret));
	fill(iv, sizeof(iv));
	fill(aad, sizeof(aad));
}

static void ask_openssl(size_t size, size_t aad_bytes, uint8_t ret_tag[static GCM_TAG_BYTES])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;

	assert_non_null(ctx);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, iv), 1);
	if (aad_bytes)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &done, aad, (int)aad_bytes), 1);
	if (size)
		assert_int_equal(EVP_EncryptUpdate(ctx, wanted, &done, plain, (int)size), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, wanted + size, &done), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, GCM_TAG_BYTES, ret_tag), 1);
	EVP_CIPHER_CTX_free(ctx);
}

static void assert_as_openssl(enum gcm_form form, size_t size, size_t aad_bytes)
{
	uint8_t tag[GCM_TAG_BYTES], wanted_tag[GCM_TAG_BYTES];
	struct gcm_key key;

	ask_openssl(size, aad_bytes, wanted_tag);
	gcm_key_set(&key, form, secret);
	gcm_seal(&key, iv, aad, aad_bytes, plain, size, sealed, tag);
	assert_memory_equal(sealed, wanted, size);
	assert_memory_equal(tag, wanted_tag, sizeof(tag));
	assert_true(gcm_open(&key, iv, aad, aad_bytes, sealed, size, opened, tag));
	assert_memory_equal(opened, plain, size);
	assert_true(gcm_open(&key, iv, aad, aad_bytes, sealed, size, sealed, tag)); /* in its place */
	assert_memory_equal(sealed, plain, size);
	gcm_seal(&key, iv, aad, aad_bytes, sealed, size, sealed, tag);
	assert_memory_equal(sealed, wanted, size);
}

static void test_gcm_every_small_size_is_as_openssl(void **state)
{
	FOR_EACH_FORM(form)
	{
		for (size_t blocks = 0; blocks <= 70; blocks++) {
			fill_all(blocks * GCM_BLOCK_BYTES);
			assert_as_openssl(form, blocks * GCM_BLOCK_BYTES, blocks % 5 * GCM_BLOCK_BYTES);
		}
	}
}

static void test_gcm_random_sizes_are_as_openssl(void **state)
{
	FOR_EACH_FORM(form)
	{
		for (unsigned i = 0; i < (form == GCM_PLAIN ? 3 : 300); i++) {
			size_t size = next() % (SIZE_MAX_BYTES / GCM_BLOCK_BYTES) * GCM_BLOCK_BYTES;

			fill_all(size);
			assert_as_openssl(form, size, next() % 5 * GCM_BLOCK_BYTES);
		}
	}
}

/* The counters of a whole page, and more, as the forms count them. */
static void test_gcm_largest_size_is_as_openssl(void **state)
{
	fill_all(SIZE_MAX_BYTES - GCM_BLOCK_BYTES);
	FOR_EACH_FORM(form)
	assert_as_openssl(form, SIZE_MAX_BYTES - GCM_BLOCK_BYTES, 2 * (size_t)GCM_BLOCK_BYTES);
}

static void test_gcm_zeros_are_as_the_inventors_say(void **state)
{
	static const uint8_t of_nothing[] = {0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4,
	        0xf1, 0xc4, 0xcb, 0x73, 0x8b};
	static const uint8_t of_a_block[] = {0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98,
	        0xb5, 0xd4, 0x8a, 0xb9, 0x19};
	static const uint8_t block[] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5,
	        0xd3, 0xba, 0xf3, 0x9d, 0x18};
	static const uint8_t zeros[GCM_SECRET_BYTES];
	uint8_t tag[GCM_TAG_BYTES];
	struct gcm_key key;

	FOR_EACH_FORM(form)
	{
		gcm_key_set(&key, form, zeros);
		gcm_seal(&key, zeros, NULL, 0, zeros, 0, sealed, tag);
		assert_memory_equal(tag, of_nothing, sizeof(tag));
		gcm_seal(&key, zeros, NULL, 0, zeros, sizeof(block), sealed, tag);
		assert_memory_equal(sealed, block, sizeof(block));
		assert_memory_equal(tag, of_a_block, sizeof(tag));
	}
}

static void assert_refused(const struct gcm_key *key, size_t size, const uint8_t *tag)
{
	memset(opened, 0xee, size);
	assert_false(gcm_open(key, iv, aad, AAD_MAX_BYTES, sealed, size, opened, tag));
	for (size_t i = 0; i < size; i++)
		assert_int_equal(opened[i], 0);
}

static void test_gcm_no_changed_bit_is_opened(void **state)
{
	const size_t size = 20 * (size_t)GCM_BLOCK_BYTES;
	uint8_t tag[GCM_TAG_BYTES];
	struct gcm_key key;

	FOR_EACH_FORM(form)
	{
		uint8_t *const parts[] = {sealed, aad, iv, tag};
		const size_t sizes[] = {size, AAD_MAX_BYTES, GCM_IV_BYTES, GCM_TAG_BYTES};

		fill_all(size);
		gcm_key_set(&key, form, secret);
		gcm_seal(&key, iv, aad, AAD_MAX_BYTES, plain, size, sealed, tag);
		for (size_t part = 0; part < ARRAY_LEN(parts); part++) {
			for (size_t bit = 0; bit < 8 * sizes[part]; bit += 7) {
				parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
				assert_refused(&key, size, tag);
				parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
		}
		assert_true(gcm_open(&key, iv, aad, AAD_MAX_BYTES, sealed, size, opened, tag));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_gcm_every_small_size_is_as_openssl),
	        cmocka_unit_test(test_gcm_random_sizes_are_as_openssl),
	        cmocka_unit_test(test_gcm_largest_size_is_as_openssl),
	        cmocka_unit_test(test_gcm_zeros_are_as_the_inventors_say),
	        cmocka_unit_test(test_gcm_no_changed_bit_is_opened),
	};
	struct err err;

	if (crypto_load(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (enum gcm_form form = GCM_PLAIN; form < GCM_FORMS; form++)
		print_message("form %s: %s\n", form_names[form],
		        form_runs(form) ? "here" : "this processor lacks it");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
