/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert: X.509 certificates read from files. DER must be what OpenSSL would write, so that no byte of it can
 * change unnoticed; of PEM what stands around the certificates is not looked at. Private to attest.
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

/* Certificates of one or several files, each once. Zeroed: none. */
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
 * The next certificate of a text, to DER; ret_der holds *size bytes. Returns the bytes of DER and moves *text
 * and *size behind it; 0: there is no more; -1: it is not whole.
 */
int attest_pem_next(const char **text, size_t *size, uint8_t *ret_der);

/* ---- what AMD puts into certificates of chip keys (AMD 57230, "VCEK and VLEK certificates") ---- */

struct attest_cert_chip {
	enum product_id product;
	char product_name[32];     /* as the certificate has it: "Milan-B0" */
	bool is_vlek;              /* a cloud provider's key, else one chip's */
	char csp_id[64];           /* VLEK only */
	uint8_t hwid[64];          /* VCEK only */
	size_t hwid_size;          /* 8 or 64 */
	int tcb[ATTEST_TCB_PARTS]; /* -1: this product has no such part */
};

/* Has it what only VCEKs and VLEKs have? */
bool attest_cert_is_chip(const struct attest_cert *cert);
int attest_cert_chip_read(
        const struct attest_cert *cert, struct attest_cert_chip *ret_chip, struct err *err) MUST_CHECK;

/* AMD's roots by fingerprint. UNKNOWN: not AMD's. */
enum product_id attest_anchor_find(EVP_PKEY *key);
/* Is it a root of the software platform? No signature by it proves anything. */
bool attest_anchor_is_simulated(EVP_PKEY *key);

#endif
