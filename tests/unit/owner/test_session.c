/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors were made by others; the platform's half is written here with OpenSSL alone.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <jansson.h>

#include "../attest/sample.h"
#include "owner/mac.h"

static json_t *vectors;

static int setup(void **state)
{
	vectors = json_load_file(TEST_DATA "/session-and-measure-vectors.json", 0, NULL);
	return vectors && crypto_load(NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	json_decref(vectors);
	return 0;
}

static void expect(const char *group, const char *key, const void *bytes, size_t size)
{
	json_t *object = group ? json_object_get(vectors, group) : vectors;
	const char *text = json_string_value(json_object_get(object, key));
	char hex[200];

	assert_non_null(text);
	hex_encode(bytes, size, hex);
	assert_string_equal(hex, text);
}

static void take(const char *key, void *bytes, size_t size)
{
	const char *text =
	        json_string_value(json_object_get(json_object_get(vectors, "launch_measure"), key));

	assert_non_null(text);
	assert_true(hex_decode(text, bytes, size));
}

static uint8_t number(const char *key)
{
	return (uint8_t)json_integer_value(json_object_get(json_object_get(vectors, "launch_measure"), key));
}

static void test_kdf_gives_the_vector(void **state)
{
	static const uint8_t zero[16];
	uint8_t key[16];
	struct err err;

	assert_ok(owner_mac_derive(zero, sizeof(zero), "sev-master-secret", zero, sizeof(zero), key, &err));
	expect(NULL, "kdf_zero_master", key, sizeof(key));
}

static void test_session_of_zeros_gives_the_vector(void **state)
{
	static const uint8_t zero[16];
	const struct owner_keys keys = {0};
	struct abi_sev_session session = {0};
	bool good;
	struct err err;

	assert_ok(owner_session_wrap(zero, sizeof(zero), 0, &keys, &session, &err));
	expect("session_zero", "wrap_tk", session.wrap_tk, sizeof(session.wrap_tk));
	expect("session_zero", "wrap_mac", session.wrap_mac, sizeof(session.wrap_mac));
	expect("session_zero", "policy_mac", session.policy_mac, sizeof(session.policy_mac));
	assert_ok(owner_session_check(&session, &keys, 0, &good, &err));
	assert_true(good);
	assert_ok(owner_session_check(&session, &keys, 1, &good, &err));
	assert_false(good);
}

static void test_measure_gives_the_vector(void **state)
{
	struct owner_measured launch = {number("api_major"), number("api_minor"), number("build"), 0, {0}};
	struct owner_keys keys = {0};
	uint8_t mnonce[16], measure[32], other[32];
	struct err err;

	take("tik", keys.tik, sizeof(keys.tik));
	take("digest", launch.digest, sizeof(launch.digest));
	take("mnonce", mnonce, sizeof(mnonce));
	assert_ok(owner_measure_expected(&keys, &launch, mnonce, measure, &err));
	expect("launch_measure", "measure", measure, sizeof(measure));
	launch.policy = 1;
	assert_ok(owner_measure_expected(&keys, &launch, mnonce, other, &err));
	assert_memory_not_equal(measure, other, sizeof(measure));
}

/* ---- the platform's half ---- */

static void hmac(const void *key, size_t key_size, const void *data, size_t size, uint8_t ret[static 32])
{
	unsigned length;

	assert_non_null(HMAC(EVP_sha256(), key, (int)key_size, data, size, ret, &length));
}

static void derive(const uint8_t *key, size_t key_size, const char *label, const uint8_t *context,
        size_t context_size, uint8_t ret[static 32])
{
	uint8_t message[100] = {1, 0, 0, 0};
	size_t used = 4;

	used += (size_t)snprintf((char *)message + used, 40, "%s", label) + 1;
	if (context_size)
		memcpy(message + used, context, context_size);
	used += context_size;
	message[used++] = 128;
	hmac(key, key_size, message, used + 3, ret);
}

static void le72(uint8_t *dst, const uint8_t *big_endian)
{
	memset(dst, 0, 72);
	for (int i = 0; i < 48; i++)
		dst[i] = big_endian[47 - i];
}

static void point_of(EVP_PKEY *key, struct abi_sev_cert *cert)
{
	uint8_t point[97];
	size_t size;

	assert_int_equal(
	        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size),
	        1);
	cert->ec.curve = 2;
	le72(cert->ec.qx, point + 1);
	le72(cert->ec.qy, point + 49);
}

static EVP_PKEY *peer_of(EVP_PKEY *own, const struct abi_sev_cert *cert)
{
	uint8_t point[97] = {4};
	EVP_PKEY *key = EVP_PKEY_new();

	for (int i = 0; i < 48; i++) {
		point[1 + i] = cert->ec.qx[47 - i];
		point[49 + i] = cert->ec.qy[47 - i];
	}
	assert_int_equal(EVP_PKEY_copy_parameters(key, own), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(key, point, sizeof(point)), 1);
	return key;
}

static void agree(EVP_PKEY *own, const struct abi_sev_cert *cert, uint8_t ret_z[static 48])
{
	EVP_PKEY *peer = peer_of(own, cert);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	size_t size = 48;

	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, ret_z, &size), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
}

static void test_session_can_be_unwrapped_by_its_platform(void **state)
{
	EVP_PKEY *platform = EVP_EC_gen("P-384");
	struct abi_sev_cert pdh = {.version = 1, .usage = 0x1003, .algo = 3}, godh;
	uint8_t z[48], master[32], kek[32], kik[32], mac[32], keys_out[32];
	struct owner_keys keys;
	struct abi_sev_session session;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int size;
	struct err err;

	point_of(platform, &pdh);
	assert_ok(owner_session_create(&pdh, 0x5, &session, &godh, &keys, &err));
	agree(platform, &godh, z);
	derive(z, sizeof(z), "sev-master-secret", session.nonce, 16, master);
	derive(master, 16, "sev-kek", NULL, 0, kek);
	derive(master, 16, "sev-kik", NULL, 0, kik);
	hmac(kik, 16, session.wrap_tk, 32, mac);
	assert_memory_equal(mac, session.wrap_mac, 32);
	assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, kek, session.wrap_iv), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, keys_out, &size, session.wrap_tk, 32), 1);
	assert_memory_equal(keys_out, keys.tek, 16);
	assert_memory_equal(keys_out + 16, keys.tik, 16);
	hmac(keys_out + 16, 16, "\x05\0\0", 4, mac);
	assert_memory_equal(mac, session.policy_mac, 32);
	assert_int_equal(godh.usage, 0x1003);
	assert_int_equal(godh.sig[0].usage, 0x1000);
	EVP_CIPHER_CTX_free(ctx);
	EVP_PKEY_free(platform);
}

static void test_session_is_new_each_time(void **state)
{
	EVP_PKEY *platform = EVP_EC_gen("P-384");
	struct abi_sev_cert pdh = {.version = 1, .usage = 0x1003, .algo = 3}, godh[2];
	struct owner_keys keys[2];
	struct abi_sev_session session[2];
	struct err err;

	point_of(platform, &pdh);
	for (int i = 0; i < 2; i++)
		assert_ok(owner_session_create(&pdh, 1, &session[i], &godh[i], &keys[i], &err));
	assert_memory_not_equal(keys[0].tek, keys[1].tek, 16);
	assert_memory_not_equal(keys[0].tik, keys[1].tik, 16);
	assert_memory_not_equal(session[0].nonce, session[1].nonce, 16);
	assert_memory_not_equal(session[0].wrap_iv, session[1].wrap_iv, 16);
	assert_memory_not_equal(godh[0].ec.qx, godh[1].ec.qx, 48);
	EVP_PKEY_free(platform);
}

static void test_session_for_a_bad_pdh_is_refused(void **state)
{
	EVP_PKEY *platform = EVP_EC_gen("P-384");
	struct abi_sev_cert good = {.version = 1, .usage = 0x1003, .algo = 3}, pdh, godh;
	struct owner_keys keys;
	struct abi_sev_session session;
	struct err err;

	point_of(platform, &good);
	pdh = good;
	pdh.ec.qx[0] ^= 1; /* off the curve */
	assert_fails(owner_session_create(&pdh, 1, &session, &godh, &keys, &err), ERR_USAGE, "P-384");
	pdh = good;
	pdh.ec.curve = 1;
	assert_fails(owner_session_create(&pdh, 1, &session, &godh, &keys, &err), ERR_USAGE, "P-384");
	pdh = good;
	pdh.ec.qy[71] = 1;
	assert_fails(owner_session_create(&pdh, 1, &session, &godh, &keys, &err), ERR_USAGE, "P-384");
	pdh = good;
	pdh.ec.reserved[879] = 1;
	assert_fails(owner_session_create(&pdh, 1, &session, &godh, &keys, &err), ERR_USAGE, "P-384");
	pdh = good;
	pdh.usage = 0x1004;
	assert_fails(owner_session_create(&pdh, 1, &session, &godh, &keys, &err), ERR_USAGE, "of a CEK");
	EVP_PKEY_free(platform);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_kdf_gives_the_vector),
	        cmocka_unit_test(test_session_of_zeros_gives_the_vector),
	        cmocka_unit_test(test_measure_gives_the_vector),
	        cmocka_unit_test(test_session_can_be_unwrapped_by_its_platform),
	        cmocka_unit_test(test_session_is_new_each_time),
	        cmocka_unit_test(test_session_for_a_bad_pdh_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
