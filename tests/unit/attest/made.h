/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made: a self-made chain of the shape of AMD's, and reports signed by it. Nothing of src/attest is used, so
 * that both sides agree only if both follow the specification.
 */
#ifndef VMM_ATTEST_MADE_H
#define VMM_ATTEST_MADE_H

#include <openssl/x509.h>

#include "sample.h"

struct made_chip {
	const char *product; /* "Turin-B0" */
	const char *csp_id;  /* a VLEK's; NULL: a VCEK */
	uint8_t hwid[64];
	size_t hwid_size;
	int fmc, bootloader, tee, snp, microcode; /* fmc -1: no such extension */
};

struct made {
	EVP_PKEY *ark_key, *ask_key, *leaf_key;
	X509 *ark, *ask, *leaf;
};

/* Keys are made once a program: RSA with 4096 bits takes seconds. */
void made_init(struct made *made, const struct made_chip *chip);
void made_finish(struct made *made);

/* The leaf in DER, the other two in one PEM; the blobs are the caller's to free with sample_free(). */
struct attest_blob made_der(X509 *x509, const char *name);
struct attest_blob made_pem(X509 *first, X509 *second, const char *name);

/* Changes a certificate and signs it again. */
void made_sign_cert(X509 *x509, EVP_PKEY *key, bool pss);
void made_extend(X509 *x509, int nid, const char *value);
void made_sign_cert_pss(X509 *x509, EVP_PKEY *key, const EVP_MD *mgf1, int salt);
void made_rename(X509 *x509, bool subject, const char *cn);
void made_extend_unknown(X509 *x509);                           /* critical, and known to nobody */
void made_extend_level(X509 *x509, const char *oid, int level); /* -1: nothing; 256 and more: badly */

/* Signs in the processor's layout. */
void made_sign(const struct made *made, struct abi_snp_report *report);

#endif
