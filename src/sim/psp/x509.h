/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x509: SNP's certificates. Private to psp.
 */
#ifndef SIM_PSP_X509_H
#define SIM_PSP_X509_H

#include "der.h"
#include "rsa.h"

#define X509_CSP_BYTES 64 /* "CN=", a provider's id, NUL */

/* Whose key it is: the chip's id for a VCEK, the provider for a VLEK. */
struct psp_x509_chip {
	const struct product *product;
	const struct abi_public_key *key;
	uint64_t tcb;
	const uint8_t *id;
	const char *csp_id; /* NULL: a VCEK */
};

/*
 * Writes the certificate of an authority, signed by the ARK, into an empty der. False: it does not fit, or
 * OpenSSL failed.
 */
bool psp_x509_put_ca(struct psp_der *der, const struct product *product, enum psp_rsa_role role) MUST_CHECK;
/* The same for the key of a chip: the ASK signs a VCEK, the ASVK signs a VLEK. */
bool psp_x509_put_chip(struct psp_der *der, const struct psp_x509_chip *chip) MUST_CHECK;

#endif
