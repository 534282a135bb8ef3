/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encrypt: encrypts memory. Every block of 16 bytes is encrypted with the guest's key and a tweak, which is
 * the encrypted address of the block. This mode is XEX: XTS with a data unit of one block, so a block needs
 * no neighbours. Any thread. APM volume 2, 7.10 and 15.34 say what memory encryption must do; AMD does not
 * publish the mode of its processors. Setting up OpenSSL's contexts costs more than encrypting a block, so
 * they are kept, and one thread at a time uses them.
 */
#include <string.h>

#include <openssl/evp.h>

#include "internal.h"

#define BLOCK_BYTES 16
#define CHUNK_BYTES PAGE_SIZE_BYTES
#define CHUNK_WORDS (CHUNK_BYTES / sizeof(uint64_t))

struct psp_cipher {
	pthread_mutex_t *lock;
	EVP_CIPHER_CTX *tweak, *encrypt, *decrypt;
};

/* NULL: OpenSSL failed. */
static EVP_CIPHER_CTX *make(const uint8_t seed[static SEED_BYTES], const char *label, bool encrypts)
{
	EVP_CIPHER *ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[MAC_KEY_BYTES];

	if (!ecb || !ctx || !psp_mac_kdf(seed, SEED_BYTES, label, NULL, 0, key) ||
	        EVP_CipherInit_ex(ctx, ecb, NULL, key, NULL, encrypts) != 1 ||
	        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(ecb); /* the context has its own reference */
	crypto_wipe(key, sizeof(key));
	return ctx;
}

struct psp_cipher *psp_cipher_create(const uint8_t seed[static SEED_BYTES])
{
	struct psp_cipher *cipher = calloc(1, sizeof(*cipher));

	if (!cipher)
		return NULL;
	cipher->lock = calloc(1, sizeof(pthread_mutex_t));
	cipher->tweak = make(seed, "tweak", true);
	cipher->encrypt = make(seed, "memory", true);
	cipher->decrypt = make(seed, "memory", false);
	if (!cipher->lock || !cipher->tweak || !cipher->encrypt || !cipher->decrypt) {
		psp_cipher_destroy(cipher);
		return NULL;
	}
	pthread_mutex_init(cipher->lock, NULL);
	return cipher;
}

void psp_cipher_destroy(struct psp_cipher *cipher)
{
	if (!cipher)
		return;
	EVP_CIPHER_CTX_free(cipher->tweak); /* wipes the key, as the other calls do */
	EVP_CIPHER_CTX_free(cipher->encrypt);
	EVP_CIPHER_CTX_free(cipher->decrypt);
	free(cipher->lock);
	free(cipher);
}

/* Only a broken library fails here. The plaintext must not be left in place of the result. */
static void ecb(EVP_CIPHER_CTX *ctx, uint64_t *data, size_t size)
{
	int done;

	if (EVP_CipherUpdate(ctx, (uint8_t *)data, &done, (const uint8_t *)data, (int)size) != 1 ||
	        done != (int)size)
		abort();
}

static void crypt_chunk(const struct psp_cipher *cipher, EVP_CIPHER_CTX *ctx, uint64_t address,
        const void *from, void *to, size_t size)
{
	uint64_t masks[CHUNK_WORDS], text[CHUNK_WORDS];
	size_t words = size / sizeof(masks[0]);

	for (size_t i = 0; i < words; i += 2) {
		masks[i] = address + i * sizeof(masks[0]);
		masks[i + 1] = 0;
	}
	memcpy(text, from, size);
	ecb(cipher->tweak, masks, size);
	for (size_t i = 0; i < words; i++)
		text[i] ^= masks[i];
	ecb(ctx, text, size);
	for (size_t i = 0; i < words; i++)
		text[i] ^= masks[i];
	memcpy(to, text, size);
}

static void crypt_range(const struct psp_cipher *cipher, EVP_CIPHER_CTX *ctx, uint64_t address,
        const uint8_t *from, uint8_t *to, size_t size)
{
	pthread_mutex_lock(cipher->lock);
	for (size_t at = 0; at < size; at += CHUNK_BYTES)
		crypt_chunk(cipher, ctx, address + at, from + at, to + at,
		        size - at < CHUNK_BYTES ? size - at : CHUNK_BYTES);
	pthread_mutex_unlock(cipher->lock);
}

void psp_encrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size)
{
	crypt_range(cipher, cipher->encrypt, address, from, to, size);
}

void psp_decrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size)
{
	crypt_range(cipher, cipher->decrypt, address, from, to, size);
}
