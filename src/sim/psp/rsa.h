/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa: the keys of the simulation's authorities for a product: ARK (the root), ASK (signs VCEKs, and SEV's
 * CEK) and ASVK (signs VLEKs). These keys are not secret: everybody can compute them, as the names in the
 * certificates say. crypto_load() must have succeeded. Private to psp.
 */
#ifndef SIM_PSP_RSA_H
#define SIM_PSP_RSA_H

#include "internal.h"

enum psp_rsa_role { RSA_ARK, RSA_ASK, RSA_ASVK };

#define RSA_EXPONENT  65537
#define RSA_BYTES_MAX 512

struct psp_rsa_public {
	size_t bytes;
	uint8_t modulus[RSA_BYTES_MAX]; /* big-endian */
};

/* The public key of an authority. False: OpenSSL failed. */
bool psp_rsa_public(
        const struct product *product, enum psp_rsa_role role, struct psp_rsa_public *ret_public) MUST_CHECK;
/*
 * Signs with RSASSA-PSS and SHA-384 (SHA-256 for keys of 2048 bits); the salt is as long as the hash. The
 * signature is public->bytes long and big-endian. The salt is derived from the data, so that the same data
 * always gets the same signature.
 */
bool psp_rsa_sign(const struct product *product, enum psp_rsa_role role, const void *data, size_t size,
        uint8_t *ret_signature) MUST_CHECK;
/* Is the signature, public->bytes long, this key's over the data? */
bool psp_rsa_verify(const struct psp_rsa_public *public, const void *data, size_t size,
        const uint8_t *signature) MUST_CHECK;

#endif
