/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: converts public keys and signatures from the secure processor's layout (little-endian, zero-extended)
 * to OpenSSL's. crypto_load() must have succeeded. Private to attest.
 */
#ifndef VMM_ATTEST_KEY_INTERNAL_H
#define VMM_ATTEST_KEY_INTERNAL_H

#include <openssl/evp.h>

#include "vmm/attest.h"

#include "bytes.h"
#include "vmm/abi/key.h"

#define P384_BYTES 48

static inline void key_free_cleanup(EVP_PKEY **key)
{
	if (*key)
		EVP_PKEY_free(*key);
}
#define auto_key __attribute__((cleanup(key_free_cleanup)))

/*
 * Makes an RSA key from two little-endian numbers of size bytes each. Returns NULL if OpenSSL refuses them.
 */
EVP_PKEY *attest_key_from_rsa(const uint8_t *modulus, const uint8_t *exponent, size_t size);
/* Computes the SHA-384 of the key's SubjectPublicKeyInfo. */
bool attest_key_fingerprint(EVP_PKEY *key, uint8_t ret_digest[static SHA384_BYTES]) MUST_CHECK;

/*
 * Returns NULL if the signature is good, otherwise the reason: a string that completes "the signature ...".
 */
const char *attest_key_check_ecdsa(
        EVP_PKEY *key, const EVP_MD *md, const void *data, size_t size, const struct abi_signature *sig);
const char *attest_key_check_pss(
        EVP_PKEY *key, const EVP_MD *md, const void *data, size_t size, const uint8_t *sig, size_t sig_size);

#endif
