/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm_ops: what each form of AES-256-GCM does in its own way.
 */
#ifndef VMM_HELPER_GCM_OPS_H
#define VMM_HELPER_GCM_OPS_H

#include "gcm.h"

struct gcm_ops {
	/* Makes the round keys. */
	void (*expand)(struct gcm_key *key, const uint8_t secret[static GCM_SECRET_BYTES]);
	/* Makes what multiplies blocks of the hash from key->hash. */
	void (*prepare)(struct gcm_key *key);
	void (*encrypt)(const struct gcm_key *key, const uint8_t from[static GCM_BLOCK_BYTES],
	        uint8_t to[static GCM_BLOCK_BYTES]);
	/* Takes whole blocks into the hash. */
	void (*hash)(const struct gcm_key *key, uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from,
	        size_t blocks);
	/*
	 * Encrypts or decrypts whole blocks with the counters from counter on, and takes the encrypted ones
	 * into the hash. sealing: from is plain.
	 */
	void (*crypt)(const struct gcm_key *key, const uint8_t counter[static GCM_BLOCK_BYTES],
	        uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, uint8_t *to, size_t blocks,
	        bool sealing);
};

extern const struct gcm_ops gcm_plain, gcm_aesni, gcm_vaes;

/* The forms with instructions share what is done once a message. */
void gcm_aesni_expand(struct gcm_key *key, const uint8_t secret[static GCM_SECRET_BYTES]);
void gcm_aesni_prepare(struct gcm_key *key);
void gcm_aesni_encrypt(const struct gcm_key *key, const uint8_t from[static GCM_BLOCK_BYTES],
        uint8_t to[static GCM_BLOCK_BYTES]);
void gcm_aesni_hash(
        const struct gcm_key *key, uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, size_t blocks);
void gcm_aesni_crypt(const struct gcm_key *key, const uint8_t counter[static GCM_BLOCK_BYTES],
        uint8_t hash[static GCM_BLOCK_BYTES], const uint8_t *from, uint8_t *to, size_t blocks, bool sealing);

#endif
