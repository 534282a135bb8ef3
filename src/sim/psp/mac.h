/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mac: authentication, key derivation and encryption in transit. crypto_load() must have succeeded. Functions
 * return false if OpenSSL fails. Private to psp.
 */
#ifndef SIM_PSP_MAC_H
#define SIM_PSP_MAC_H

#include "vmm/base.h"

#define MAC_KEY_BYTES 16

enum psp_mac_hash { MAC_SHA256, MAC_SHA384 };

struct psp_mac_part {
	const void *data;
	size_t size;
};

/*
 * Computes the HMAC (32 or 48 bytes) over the parts, one after the other. ret_mac may be the key or lie in a
 * part.
 */
bool psp_mac_of(enum psp_mac_hash hash, const void *key, size_t key_size, const struct psp_mac_part *parts,
        size_t count, uint8_t *ret_mac) MUST_CHECK;
/*
 * Derives 16 bytes: SP 800-108 in counter mode with HMAC-SHA256, numbers little-endian (SEV API, chapter 2).
 */
bool psp_mac_kdf(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static MAC_KEY_BYTES]) MUST_CHECK;
#define MAC_LONG_KEY_BYTES 32

/* Does the same for a key of 32 bytes. */
bool psp_mac_kdf_long(const void *key, size_t key_size, const char *label, const void *context,
        size_t context_size, uint8_t ret_key[static MAC_LONG_KEY_BYTES]) MUST_CHECK;
/* Encrypts or decrypts with AES-128-CTR. from and to may be equal. */
bool psp_mac_ctr(const uint8_t key[static MAC_KEY_BYTES], const uint8_t iv[static 16], const void *from,
        void *to, size_t size) MUST_CHECK;

#define MAC_GCM_KEY_BYTES 32
#define MAC_TAG_BYTES     16

struct psp_mac_gcm {
	bool encrypts;
	const uint8_t *key, *iv;   /* 32 and 12 bytes */
	struct psp_mac_part bound; /* authenticated, not encrypted */
	uint8_t *tag; /* the tag to make, or to check: if it is wrong, false and a plaintext of zeros */
};

/* Encrypts or decrypts with AES-256-GCM. from and to may be equal. */
bool psp_mac_gcm(const struct psp_mac_gcm *gcm, const void *from, void *to, size_t size) MUST_CHECK;

#endif
