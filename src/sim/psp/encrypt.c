/*
 * encrypt: memory encryption: every block of 16 bytes with the guest's key and a tweak that is its address,
 * encrypted: XEX, which is XTS with a data unit of one block, so that a block needs no neighbours. Any
 * thread. APM volume 2, 7.10 and 15.34 say what it must do; which mode the processor has is AMD's secret.
 */
#include <string.h>

#include <openssl/evp.h>

#include "internal.h"

#define BLOCK_BYTES 16
#define CHUNK_BYTES PAGE_SIZE_BYTES

struct psp_cipher {
	EVP_CIPHER *ecb;
	uint8_t data_key[16], tweak_key[16];
};

struct psp_cipher *cipher_create(const uint8_t seed[static SEED_BYTES])
{
	struct psp_cipher *cipher = calloc(1, sizeof(*cipher));

	if (!cipher)
		return NULL;
	cipher->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	if (!cipher->ecb || !mac_kdf(seed, SEED_BYTES, "memory", NULL, 0, cipher->data_key) ||
	        !mac_kdf(seed, SEED_BYTES, "tweak", NULL, 0, cipher->tweak_key)) {
		cipher_destroy(cipher);
		return NULL;
	}
	return cipher;
}

void cipher_destroy(struct psp_cipher *cipher)
{
	if (!cipher)
		return;
	EVP_CIPHER_free(cipher->ecb);
	crypto_wipe(cipher, sizeof(*cipher));
	free(cipher);
}

static EVP_CIPHER_CTX *start(const struct psp_cipher *cipher, const uint8_t *key, bool encrypts)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	/* Only lack of memory or a broken library fails here, and no plaintext may take the result's place.
	 */
	if (!ctx || EVP_CipherInit_ex(ctx, cipher->ecb, NULL, key, NULL, encrypts) != 1 ||
	        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1)
		abort();
	return ctx;
}

static void ecb(EVP_CIPHER_CTX *ctx, void *data, size_t size)
{
	int done;

	if (EVP_CipherUpdate(ctx, data, &done, data, (int)size) != 1 || done != (int)size)
		abort();
}

static void add(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = a[i] ^ b[i];
}

static void crypt_chunk(EVP_CIPHER_CTX *tweak, EVP_CIPHER_CTX *data, uint64_t address, const uint8_t *from,
        uint8_t *to, size_t size)
{
	uint8_t masks[CHUNK_BYTES] = {0}, text[CHUNK_BYTES];

	for (size_t i = 0; i < size; i += BLOCK_BYTES)
		store_le(masks + i, sizeof(address), address + i);
	ecb(tweak, masks, size);
	add(text, from, masks, size);
	ecb(data, text, size);
	add(to, text, masks, size);
}

static void crypt_range(const struct psp_cipher *cipher, bool encrypts, uint64_t address, const uint8_t *from,
        uint8_t *to, size_t size)
{
	EVP_CIPHER_CTX *tweak = start(cipher, cipher->tweak_key, true),
	               *data = start(cipher, cipher->data_key, encrypts);

	while (size) {
		size_t part = size < CHUNK_BYTES ? size : CHUNK_BYTES;

		crypt_chunk(tweak, data, address, from, to, part);
		address += part;
		from += part;
		to += part;
		size -= part;
	}
	EVP_CIPHER_CTX_free(tweak);
	EVP_CIPHER_CTX_free(data);
}

void psp_encrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size)
{
	crypt_range(cipher, true, address, from, to, size);
}

void psp_decrypt(const struct psp_cipher *cipher, uint64_t address, const void *from, void *to, size_t size)
{
	crypt_range(cipher, false, address, from, to, size);
}
