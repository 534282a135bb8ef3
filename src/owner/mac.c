/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mac: the key derivation, encryption and authentication of SEV's launch session. Any thread. SEV API,
 * chapter 2 ("Keys"), NIST SP 800-108. OpenSSL's KBKDF writes its counter big-endian, but the secure
 * processor writes it little-endian. All keys fit in one block, so this file computes that block's HMAC
 * itself.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "mac.h"

int owner_mac_compute(const void *key, size_t key_size, const struct owner_mac_part *parts, size_t count,
        uint8_t ret_mac[static MAC_BYTES], struct err *err)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	        OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	bool good = ctx && EVP_MAC_init(ctx, key, key_size, params) == 1;
	uint8_t result[MAC_BYTES];
	size_t size;

	for (size_t i = 0; good && i < count; i++)
		good = EVP_MAC_update(ctx, parts[i].data, parts[i].size) == 1;
	good = good && EVP_MAC_final(ctx, result, &size, sizeof(result)) == 1 && size == sizeof(result);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	if (!good)
		return err_set(err, ERR_FAILED, "OpenSSL cannot compute an HMAC-SHA256");
	memcpy(ret_mac, result, sizeof(result));
	crypto_wipe(result, sizeof(result));
	return 0;
}

int owner_mac_derive(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static KEY_BYTES], struct err *err)
{
	uint8_t counter[4], bits[4], block[MAC_BYTES];
	const struct owner_mac_part parts[] = {
	        {counter, sizeof(counter)},
	        {label, strlen(label) + 1}, /* with the separating zero */
	        {context, context_size},
	        {bits, sizeof(bits)},
	};

	store_le(counter, sizeof(counter), 1);
	store_le(bits, sizeof(bits), 8 * KEY_BYTES);
	if (owner_mac_compute(key, key_size, parts, ARRAY_LEN(parts), block, err) < 0)
		return -1;
	memcpy(ret_key, block, KEY_BYTES);
	crypto_wipe(block, sizeof(block));
	return 0;
}

int owner_mac_crypt(const uint8_t key[static KEY_BYTES], const uint8_t iv[static 16], const uint8_t *src,
        size_t size, uint8_t *dst, struct err *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;
	bool good = ctx && size <= INT32_MAX &&
	            EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
	            EVP_EncryptUpdate(ctx, dst, &done, src, (int)size) == 1 && done == (int)size;

	EVP_CIPHER_CTX_free(ctx); /* wipes the key */
	return good ? 0 : err_set(err, ERR_FAILED, "OpenSSL cannot encrypt with AES-128-CTR");
}
