/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert: reads X.509 certificates from files. DER must be what OpenSSL would write, so that no byte of it can
 * change unnoticed. In PEM, the text around the certificates is ignored. Private to attest.
 */
#ifndef VMM_ATTEST_CERT_H
#define VMM_ATTEST_CERT_H

#include <openssl/x509.h>

#include "key.h"
#include "vmm/attest/report.h"

struct attest_cert {
	X509 *x509;       /* NULL: none */
	EVP_PKEY *key;    /* its public key, borrowed from x509 */
	char cn[64];      /* the subject's common name, printable; "" if it has none */
	const char *file; /* the name of the blob that it was in */
};

void attest_cert_finish(struct attest_cert *cert); /* a zeroed one is allowed */

#define ATTEST_CERTS_MAX 8

/* The certificates of one or several files, each certificate once. A zeroed struct holds none. */
struct attest_certs {
	struct attest_cert list[ATTEST_CERTS_MAX];
	size_t count;
};

/*
 * Adds the certificates of a file, one or several, in DER one after the other (blanks may follow), or in
 * PEM. ERR_USAGE with the file's name, and what to do, if there is none or one cannot be read.
 */
int attest_certs_add(struct attest_certs *certs, const struct attest_blob *blob, struct err *err) MUST_CHECK;
void attest_certs_finish(struct attest_certs *certs);

bool attest_pem_is_in(const void *text, size_t size);
/*
 * Decodes the next certificate of a text to DER; ret_der has room for *size bytes. Returns the number of
 * bytes of DER, and moves *text and *size past the certificate. Returns 0 if there are no more certificates,
 * -1 if the next one is incomplete or malformed.
 */
int attest_pem_next(const char **text, size_t *size, uint8_t *ret_der);

/* ---- the contents of AMD's certificates of chip keys (AMD 57230, "VCEK and VLEK certificates") ---- */

struct attest_cert_chip {
	enum product_id product;
	char product_name[32];     /* as in the certificate: "Milan-B0" */
	bool is_vlek;              /* a cloud provider's key, else one chip's */
	char csp_id[64];           /* VLEK only */
	uint8_t hwid[64];          /* VCEK only */
	size_t hwid_size;          /* 8 or 64 */
	int tcb[ATTEST_TCB_PARTS]; /* -1: this product has no such part */
};

/* Does the certificate have the extensions that only VCEKs and VLEKs have? */
bool attest_cert_is_chip(const struct attest_cert *cert);
int attest_cert_chip_read(
        const struct attest_cert *cert, struct attest_cert_chip *ret_chip, struct err *err) MUST_CHECK;

/* Finds the product of one of AMD's root keys by its fingerprint. UNKNOWN: the key is not AMD's. */
enum product_id attest_anchor_find(EVP_PKEY *key);
/* Is this a root key of the software platform? Signatures by such a key prove nothing. */
bool attest_anchor_is_simulated(EVP_PKEY *key);

#endif
