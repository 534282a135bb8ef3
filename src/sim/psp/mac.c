/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mac: computes HMACs, derives keys, encrypts with AES in counter mode and with AES-GCM. Any thread. SEV API,
 * chapter 2 ("Keys"); FIPS 198-1; NIST SP 800-38D, 800-108.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "mac.h"

bool psp_mac_of(enum psp_mac_hash hash, const void *key, size_t key_size, const struct psp_mac_part *parts,
        size_t count, uint8_t *ret_mac)
{
	char digest[] = "SHA256", digest_long[] = "SHA384";
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_utf8_string(
	                OSSL_MAC_PARAM_DIGEST, hash == MAC_SHA256 ? digest : digest_long, 0),
	        OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t size = hash == MAC_SHA256 ? SHA256_BYTES : SHA384_BYTES, got;
	uint8_t result[SHA384_BYTES];
	bool good = ctx && EVP_MAC_init(ctx, key, key_size, params) == 1;

	for (size_t i = 0; good && i < count; i++)
		good = parts[i].size == 0 || EVP_MAC_update(ctx, parts[i].data, parts[i].size) == 1;
	good = good && EVP_MAC_final(ctx, result, &got, sizeof(result)) == 1 && got == size;
	if (good)
		memcpy(ret_mac, result, size);
	crypto_wipe(result, sizeof(result));
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return good;
}

/* size is at most SHA256_BYTES: one block is all that is needed. */
static bool kdf(const void *key, size_t key_size, const char *label, const struct psp_mac_part *context,
        uint8_t *ret_key, size_t size)
{
	uint8_t counter[4], bits[4], block[SHA256_BYTES];
	const struct psp_mac_part parts[] = {
	        {counter, sizeof(counter)},
	        {label, strlen(label) + 1}, /* with the separating zero */
	        *context,
	        {bits, sizeof(bits)},
	};
	bool good;

	store_le(counter, sizeof(counter), 1);
	store_le(bits, sizeof(bits), 8 * size);
	good = psp_mac_of(MAC_SHA256, key, key_size, parts, ARRAY_LEN(parts), block);
	if (good)
		memcpy(ret_key, block, size);
	crypto_wipe(block, sizeof(block));
	return good;
}

bool psp_mac_kdf(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static MAC_KEY_BYTES])
{
	return kdf(
	        key, key_size, label, &(struct psp_mac_part){context, context_size}, ret_key, MAC_KEY_BYTES);
}

bool psp_mac_kdf_long(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static MAC_LONG_KEY_BYTES])
{
	return kdf(key, key_size, label, &(struct psp_mac_part){context, context_size}, ret_key,
	        MAC_LONG_KEY_BYTES);
}

bool psp_mac_ctr(const uint8_t key[static MAC_KEY_BYTES], const uint8_t iv[static 16], const void *from,
        void *to, size_t size)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;
	bool good = ctx && size <= INT32_MAX &&
	            EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
	            EVP_EncryptUpdate(ctx, to, &done, from, (int)size) == 1 && done == (int)size;

	EVP_CIPHER_CTX_free(ctx); /* wipes the key */
	return good;
}

static bool gcm_run(EVP_CIPHER_CTX *ctx, EVP_CIPHER *cipher, const struct psp_mac_gcm *gcm, const void *from,
        void *to, size_t size)
{
	uint8_t end[16];
	int done;

	if (EVP_CipherInit_ex(ctx, cipher, NULL, gcm->key, gcm->iv, gcm->encrypts) != 1 ||
	        (!gcm->encrypts &&
	                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, MAC_TAG_BYTES, gcm->tag) != 1) ||
	        EVP_CipherUpdate(ctx, NULL, &done, gcm->bound.data, (int)gcm->bound.size) != 1 ||
	        EVP_CipherUpdate(ctx, to, &done, from, (int)size) != 1 ||
	        EVP_CipherFinal_ex(ctx, end, &done) != 1)
		return false;
	return !gcm->encrypts ||
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, MAC_TAG_BYTES, gcm->tag) == 1;
}

bool psp_mac_gcm(const struct psp_mac_gcm *gcm, const void *from, void *to, size_t size)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = cipher && ctx && size <= INT32_MAX && gcm_run(ctx, cipher, gcm, from, to, size);

	if (!good)
		crypto_wipe(to, size);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return good;
}
