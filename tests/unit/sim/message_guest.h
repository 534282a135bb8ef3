/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_guest: the guest's side of the messages between a SEV-SNP guest and its secure processor. Offsets
 * and numbers are those of AMD's document (56860), and OpenSSL encrypts: nothing here is the platform's code.
 */
#ifndef VMM_TEST_MESSAGE_GUEST_H
#define VMM_TEST_MESSAGE_GUEST_H

#include <openssl/evp.h>

#include "support/test.h"

#define HEADER_BYTES  0x60
#define PAYLOAD_MAX   (4096 - HEADER_BYTES)
#define AT_TAG        0x00
#define AT_SEQUENCE   0x20
#define AT_BOUND      0x30
#define AT_ALGO       0x30
#define AT_HDR_VER    0x31
#define AT_HDR_SIZE   0x32
#define AT_TYPE       0x34
#define AT_VERSION    0x35
#define AT_SIZE       0x36
#define AT_VMPCK      0x3c
#define SECRETS_VMPCK 0x20 /* in the secrets page: the first of four keys of 32 bytes */

enum { CPUID_REQ = 1, KEY_REQ = 3, REPORT_REQ = 5, TSC_INFO_REQ = 17 };

/* A guest with its four keys. */
struct talker {
	uint8_t vmpck[4][32];
	uint64_t next[4]; /* the sequence number of the next request */
	uint8_t request[4096], response[4096];
};

static inline void talker_init(struct talker *t, const uint8_t *secrets)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->vmpck, secrets + SECRETS_VMPCK, sizeof(t->vmpck));
	for (int i = 0; i < 4; i++)
		t->next[i] = 1;
}

/* Encrypts or decrypts the payload of a page in place. Returns false if its tag is wrong. */
static inline bool crypt_page(bool seals, const uint8_t *key, uint8_t *page, size_t size)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[12] = {0}, *payload = page + HEADER_BYTES;
	int n;
	bool good;

	memcpy(iv, page + AT_SEQUENCE, 8);
	assert_non_null(ctx);
	assert_int_equal(EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, seals), 1);
	if (!seals)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, page + AT_TAG), 1);
	assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, page + AT_BOUND, HEADER_BYTES - AT_BOUND), 1);
	assert_int_equal(EVP_CipherUpdate(ctx, payload, &n, payload, (int)size), 1);
	good = EVP_CipherFinal_ex(ctx, payload + size, &n) == 1;
	if (good && seals)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, page + AT_TAG), 1);
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* Makes the request's header; the payload is not encrypted yet. */
static inline void message_write(
        struct talker *t, unsigned vmpck, uint8_t type, const void *payload, size_t size)
{
	uint8_t *page = t->request;

	memset(page, 0, sizeof(t->request));
	store_le(page + AT_SEQUENCE, 8, t->next[vmpck]);
	page[AT_ALGO] = 1;
	page[AT_HDR_VER] = 1;
	store_le(page + AT_HDR_SIZE, 2, HEADER_BYTES);
	page[AT_TYPE] = type;
	page[AT_VERSION] = 1;
	store_le(page + AT_SIZE, 2, size);
	page[AT_VMPCK] = (uint8_t)vmpck;
	memcpy(page + HEADER_BYTES, payload, size);
}

/* Encrypts the request's payload of size bytes. */
static inline void message_seal(struct talker *t, unsigned vmpck, size_t size)
{
	assert_true(crypt_page(true, t->vmpck[vmpck], t->request, size));
}

/* Opens the response to the request in place and returns its payload, which begins with the status. */
static inline const uint8_t *message_read(struct talker *t, unsigned vmpck, uint8_t type, size_t size)
{
	uint8_t *page = t->response;

	assert_int_equal(load_le(page + AT_SEQUENCE, 8), t->next[vmpck] + 1);
	assert_int_equal(page[AT_ALGO], 1);
	assert_int_equal(page[AT_HDR_VER], 1);
	assert_int_equal(load_le(page + AT_HDR_SIZE, 2), HEADER_BYTES);
	assert_int_equal(page[AT_TYPE], type + 1);
	assert_int_equal(page[AT_VERSION], 1);
	assert_int_equal(load_le(page + AT_SIZE, 2), size);
	assert_int_equal(page[AT_VMPCK], vmpck);
	assert_true(crypt_page(false, t->vmpck[vmpck], page, size));
	t->next[vmpck] += 2;
	return page + HEADER_BYTES;
}

#endif
