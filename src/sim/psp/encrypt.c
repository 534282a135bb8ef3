/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encrypt: encrypts memory with AES-128 in XTS mode (IEEE 1619). A page of 4 KiB is a data unit, whose number
 * is the page's address; the tweak of a block of 16 bytes follows from that and from the block's place in the
 * page. So equal blocks at two addresses are different ciphertext, and a block needs no neighbours. A part of
 * a page takes the way of the whole page. Any thread. APM volume 2, 7.10 and 15.34 say what memory encryption
 * must do; AMD does not publish the mode of its processors. Setting up OpenSSL's contexts costs more than
 * encrypting a page, so they are kept, and one thread at a time uses them.
 */
#include <string.h>

#include <openssl/evp.h>

#include "internal.h"

#define UNIT_BYTES PAGE_SIZE_BYTES

struct psp_cipher {
	pthread_mutex_t *lock;
	EVP_CIPHER_CTX *encrypt, *decrypt;
};

/* Makes the context for a key of two parts: that of the blocks, and that of the tweaks. NULL: OpenSSL failed.
 */
static EVP_CIPHER_CTX *make(const uint8_t keys[static 2 * MAC_KEY_BYTES], bool encrypts)
{
	EVP_CIPHER *xts = EVP_CIPHER_fetch(NULL, "AES-128-XTS", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!xts || !ctx || EVP_CipherInit_ex(ctx, xts, NULL, keys, NULL, encrypts) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(xts); /* the context has its own reference */
	return ctx;
}

struct psp_cipher *psp_cipher_create(const uint8_t seed[static SEED_BYTES])
{
	struct psp_cipher *cipher = calloc(1, sizeof(*cipher));
	uint8_t keys[2 * MAC_KEY_BYTES];

	if (!cipher)
		return NULL;
	cipher->lock = calloc(1, sizeof(pthread_mutex_t));
	if (psp_mac_kdf(seed, SEED_BYTES, "memory", NULL, 0, keys) &&
	        psp_mac_kdf(seed, SEED_BYTES, "tweak", NULL, 0, keys + MAC_KEY_BYTES)) {
		cipher->encrypt = make(keys, true);
		cipher->decrypt = make(keys, false);
	}
	crypto_wipe(keys, sizeof(keys));
	if (!cipher->lock || !cipher->encrypt || !cipher->decrypt) {
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
	EVP_CIPHER_CTX_free(cipher->encrypt); /* wipes the key, as the other call does */
	EVP_CIPHER_CTX_free(cipher->decrypt);
	free(cipher->lock);
	free(cipher);
}

/* Only a broken library fails here. The plaintext must not be left in place of the result. */
static void crypt_unit(EVP_CIPHER_CTX *ctx, uint64_t number, const uint8_t *from, uint8_t *to)
{
	uint8_t iv[16] = {0};
	int done;

	store_le(iv, sizeof(number), number);
	if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) != 1 ||
	        EVP_CipherUpdate(ctx, to, &done, from, UNIT_BYTES) != 1 || done != UNIT_BYTES)
		abort();
}

static void crypt_part(EVP_CIPHER_CTX *ctx, uint64_t address, const uint8_t *from, uint8_t *to, size_t size)
{
	size_t offset = address % UNIT_BYTES;
	uint8_t unit[UNIT_BYTES];

	memset(unit, 0, sizeof(unit));
	memcpy(unit + offset, from, size);
	crypt_unit(ctx, address - offset, unit, unit);
	memcpy(to, unit + offset, size);
	crypto_wipe(unit, sizeof(unit));
}

static void crypt_range(const struct psp_cipher *cipher, EVP_CIPHER_CTX *ctx, uint64_t address,
        const uint8_t *from, uint8_t *to, size_t size)
{
	pthread_mutex_lock(cipher->lock);
	for (size_t at = 0, part; at < size; at += part) {
		size_t left = UNIT_BYTES - (address + at) % UNIT_BYTES;

		part = size - at < left ? size - at : left;
		if (part == UNIT_BYTES)
			crypt_unit(ctx, address + at, from + at, to + at);
		else
			crypt_part(ctx, address + at, from + at, to + at, part);
	}
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
