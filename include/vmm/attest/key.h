/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: ECDSA P-384 with SHA-384 in the secure processor's layout (SNP ABI, chapter 10).
 */
#ifndef VMM_ATTEST_KEY_H
#define VMM_ATTEST_KEY_H

#include <stddef.h>

#include "vmm/abi/key.h"
#include "vmm/base.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/*
 * Returns NULL if sig is the key's signature of data, otherwise the reason. crypto_load() must have
 * succeeded.
 */
const char *attest_ecdsa_check(
        const struct abi_public_key *key, const void *data, size_t size, const struct abi_signature *sig);
/*
 * Makes OpenSSL's form of the key, which the caller frees with EVP_PKEY_free(). Returns NULL if the key is
 * not a point of P-384, or if a byte that must be zero is not.
 */
struct evp_pkey_st *attest_key_from_ec(const struct abi_public_key *key);
/*
 * Writes the public half of a P-384 key in the secure processor's layout. ERR_FAILED if the key is of another
 * kind.
 */
int attest_key_to_ec(struct evp_pkey_st *key, struct abi_public_key *ret_key, struct err *err) MUST_CHECK;

#endif
