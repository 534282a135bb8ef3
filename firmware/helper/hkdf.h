/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hkdf: SHA-256, HMAC and HKDF for the migration helper, which runs where no library is. Little is hashed, so
 * the code is short rather than fast. Time depends on lengths alone, not on contents. Any thread; no state.
 * Law: FIPS 180-4; RFC 2104; RFC 5869.
 */
#ifndef VMM_HELPER_HKDF_H
#define VMM_HELPER_HKDF_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK_BYTES 64u
#define SHA256_HASH_BYTES  32u

struct sha256 {
	uint32_t state[8];
	uint64_t bytes; /* so far */
	uint8_t block[SHA256_BLOCK_BYTES];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t size);
/* Writes the hash, and wipes what led to it. */
void sha256_end(struct sha256 *hash, uint8_t ret_hash[static SHA256_HASH_BYTES]);

/* The key of any length; an empty one may be NULL. */
struct hmac {
	struct sha256 inner, outer;
};
void hmac_begin(struct hmac *mac, const void *key, size_t key_bytes);
void hmac_add(struct hmac *mac, const void *data, size_t size);
void hmac_end(struct hmac *mac, uint8_t ret_mac[static SHA256_HASH_BYTES]);

void hkdf_extract(const void *salt, size_t salt_bytes, const void *secret, size_t secret_bytes,
        uint8_t ret_key[static SHA256_HASH_BYTES]);
/* size: 1 to 255 * SHA256_HASH_BYTES. */
void hkdf_expand(const uint8_t key[static SHA256_HASH_BYTES], const void *info, size_t info_bytes, void *ret,
        size_t size);

/* Zeros that the compiler does not leave out. */
void helper_wipe(void *at, size_t size);

#endif
