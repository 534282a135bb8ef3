/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm: AES-256-GCM for the migration helper, which runs inside a guest, where no library is. Pages are sealed
 * with it before they leave the guest's private memory. Three forms do the same: with VAES and VPCLMULQDQ,
 * with AES-NI and PCLMULQDQ, and in plain C for a processor that has neither, as the software platform's.
 * The two with instructions neither branch nor look into tables by secret values. No state but the key; any
 * thread. Law: NIST SP 800-38D; FIPS 197.
 */
#ifndef VMM_HELPER_GCM_H
#define VMM_HELPER_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_BLOCK_BYTES  16
#define GCM_SECRET_BYTES 32
#define GCM_IV_BYTES     12
#define GCM_TAG_BYTES    16
#define GCM_ROUNDS       14
#define GCM_POWERS       16
#define GCM_BYTES_MAX    (UINT64_C(1) << 32) /* of one message, far below the 2^36 - 32 of the standard */

enum gcm_form {
	GCM_PLAIN,
	GCM_AESNI, /* needs AES-NI, PCLMULQDQ, SSSE3 */
	GCM_VAES,  /* needs VAES, VPCLMULQDQ, AVX2 and the operating system's or helper's consent (XCR0) */
	GCM_FORMS
};

struct gcm_ops;

struct gcm_key {
	_Alignas(32) uint8_t round[GCM_ROUNDS + 1][GCM_BLOCK_BYTES];
	/*
	 * Of the hash key, the highest first. They are those of POLYVAL (RFC 8452, appendix A), whose bits
	 * are in the order of the instructions. fold has each one's halves added up, in its first half.
	 */
	_Alignas(32) uint8_t power[GCM_POWERS][GCM_BLOCK_BYTES];
	_Alignas(32) uint8_t fold[GCM_POWERS][GCM_BLOCK_BYTES];
	uint8_t hash[GCM_BLOCK_BYTES]; /* the hash key itself */
	const struct gcm_ops *ops;
};

/* Makes a key from its 32 bytes. form: what the processor can do. The caller wipes the key when it is used
 * up. */
void gcm_key_set(struct gcm_key *key, enum gcm_form form, const uint8_t secret[static GCM_SECRET_BYTES]);

/*
 * Encrypts size bytes and writes the tag of them and of aad. Both sizes are whole blocks; size is at most
 * GCM_BYTES_MAX. to may be from. Nobody else may write to it meanwhile: the tag is made of what lies there.
 * An IV must never be used twice with a key.
 */
void gcm_seal(const struct gcm_key *key, const uint8_t iv[static GCM_IV_BYTES], const void *aad,
        size_t aad_bytes, const void *from, size_t size, void *to, uint8_t ret_tag[static GCM_TAG_BYTES]);
/*
 * Decrypts what gcm_seal() made. Returns false if the tag is not that of data and aad; to is zeros then. to
 * may be from.
 */
bool gcm_open(const struct gcm_key *key, const uint8_t iv[static GCM_IV_BYTES], const void *aad,
        size_t aad_bytes, const void *from, size_t size, void *to, const uint8_t tag[static GCM_TAG_BYTES]);

#endif
