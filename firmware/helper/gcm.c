/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm: what all forms of AES-256-GCM have in common: counters, lengths, the tag. Law: NIST SP 800-38D, 7.1
 * and 7.2.
 */
#include <string.h>

#include "gcm_ops.h"

/* The helper's image has one form alone: all processors with SEV have its instructions. */
static const struct gcm_ops *const forms[GCM_FORMS] = {
        [GCM_AESNI] = &gcm_aesni,
#ifndef GCM_AESNI_ALONE
        [GCM_PLAIN] = &gcm_plain,
        [GCM_VAES] = &gcm_vaes,
#endif
};

void gcm_key_set(struct gcm_key *key, enum gcm_form form, const uint8_t secret[static GCM_SECRET_BYTES])
{
	static const uint8_t zeros[GCM_BLOCK_BYTES];

	key->ops = forms[form];
	key->ops->expand(key, secret);
	key->ops->encrypt(key, zeros, key->hash);
	key->ops->prepare(key);
}

/* The counter block: the IV and a number, of which 1 is the tag's. */
static void set_counter(
        const uint8_t iv[static GCM_IV_BYTES], uint8_t number, uint8_t counter[static GCM_BLOCK_BYTES])
{
	memset(counter, 0, GCM_BLOCK_BYTES);
	memcpy(counter, iv, GCM_IV_BYTES);
	counter[GCM_BLOCK_BYTES - 1] = number;
}

static void put_bits(uint8_t *at, uint64_t bytes)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(bytes * 8 >> (56 - 8 * i));
}

static void crypt(const struct gcm_key *key, const uint8_t iv[static GCM_IV_BYTES], const void *aad,
        size_t aad_bytes, const void *from, size_t size, void *to, bool sealing,
        uint8_t ret_tag[static GCM_TAG_BYTES])
{
	uint8_t counter[GCM_BLOCK_BYTES], hash[GCM_BLOCK_BYTES] = {0}, lengths[GCM_BLOCK_BYTES];

	/* Nothing waits for the tag's own block, so it is made beside the rest. */
	set_counter(iv, 1, counter);
	key->ops->encrypt(key, counter, ret_tag);
	key->ops->hash(key, hash, aad, aad_bytes / GCM_BLOCK_BYTES);
	set_counter(iv, 2, counter);
	key->ops->crypt(key, counter, hash, from, to, size / GCM_BLOCK_BYTES, sealing);
	put_bits(lengths, aad_bytes);
	put_bits(lengths + 8, size);
	key->ops->hash(key, hash, lengths, 1);
	for (unsigned i = 0; i < GCM_TAG_BYTES; i++)
		ret_tag[i] ^= hash[i];
}

void gcm_seal(const struct gcm_key *key, const uint8_t iv[static GCM_IV_BYTES], const void *aad,
        size_t aad_bytes, const void *from, size_t size, void *to, uint8_t ret_tag[static GCM_TAG_BYTES])
{
	crypt(key, iv, aad, aad_bytes, from, size, to, true, ret_tag);
}

bool gcm_open(const struct gcm_key *key, const uint8_t iv[static GCM_IV_BYTES], const void *aad,
        size_t aad_bytes, const void *from, size_t size, void *to, const uint8_t tag[static GCM_TAG_BYTES])
{
	uint8_t right[GCM_TAG_BYTES], wrong = 0;

	crypt(key, iv, aad, aad_bytes, from, size, to, false, right);
	for (unsigned i = 0; i < GCM_TAG_BYTES; i++)
		wrong |= right[i] ^ tag[i];
	if (wrong)
		memset(to, 0, size);
	return !wrong;
}
