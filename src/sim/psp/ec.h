/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec: P-384 as the secure processor uses it: keys from derived scalars, signatures that are the same for the
 * same input (RFC 6979), Diffie-Hellman. crypto_load() must have succeeded. Private to psp.
 */
#ifndef SIM_PSP_EC_H
#define SIM_PSP_EC_H

#include "vmm/abi/key.h"
#include "vmm/base.h"

#define EC_BYTES 48

struct psp_ec_key {
	uint8_t scalar[EC_BYTES]; /* big-endian */
	struct abi_public_key public;
};

enum psp_ec_hash { EC_SHA256, EC_SHA384 };

/* Makes the key of a big-endian scalar. Returns false if the scalar is not in 1..n-1. */
bool psp_ec_key_make(const uint8_t scalar[static EC_BYTES], struct psp_ec_key *ret_key) MUST_CHECK;
/* Is the key a point of P-384, with zeros in the rest of its fields? */
bool psp_ec_public_ok(const struct abi_public_key *public);
/* ECDSA with a nonce of RFC 6979, so the same input has the same signature. False: OpenSSL failed. */
bool psp_ec_sign(const struct psp_ec_key *key, enum psp_ec_hash hash, const void *data, size_t size,
        struct abi_signature *ret_signature) MUST_CHECK;
/* Is the signature this key's over the data? False also if OpenSSL failed. */
bool psp_ec_verify(const struct abi_public_key *public, enum psp_ec_hash hash, const void *data, size_t size,
        const struct abi_signature *signature) MUST_CHECK;
/* Computes the X coordinate, big-endian, of the point that both keys share (Diffie-Hellman). */
bool psp_ec_agree(const struct psp_ec_key *own, const struct abi_public_key *peer,
        uint8_t ret_z[static EC_BYTES]) MUST_CHECK;

#endif
