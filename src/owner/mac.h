/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mac: the key derivation, encryption and authentication of SEV's launch session. Private to owner.
 */
#ifndef VMM_OWNER_MAC_H
#define VMM_OWNER_MAC_H

#include "vmm/owner.h"

#define KEY_BYTES 16
#define MAC_BYTES 32

struct owner_mac_part {
	const void *data;
	size_t size;
};

/* Computes the HMAC-SHA256 over the parts, one after the other. */
int owner_mac_compute(const void *key, size_t key_size, const struct owner_mac_part *parts, size_t count,
        uint8_t ret_mac[static MAC_BYTES], struct err *err) MUST_CHECK;
/* Derives a key of 16 bytes by SP 800-108 in counter mode with HMAC-SHA256, numbers little-endian. */
int owner_mac_derive(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static KEY_BYTES], struct err *err) MUST_CHECK;
/* Encrypts or decrypts with AES-128-CTR. */
int owner_mac_crypt(const uint8_t key[static KEY_BYTES], const uint8_t iv[static 16], const uint8_t *src,
        size_t size, uint8_t *dst, struct err *err) MUST_CHECK;

/* Wraps the keys in *session, which already holds nonce and IV. Z is the shared secret, of any size. */
int owner_session_wrap(const uint8_t *z, size_t z_size, uint32_t policy, const struct owner_keys *keys,
        struct abi_sev_session *session, struct err *err) MUST_CHECK;

#endif
