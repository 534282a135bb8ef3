/*
 * cert: X.509 certificates read strictly, so that no byte of a file can change unnoticed: DER must be what
 * OpenSSL would write, PEM must be what AMD's key server sends. Private to attest.
 */
#ifndef VMM_ATTEST_CERT_H
#define VMM_ATTEST_CERT_H

#include <openssl/x509.h>

#include "key.h"

struct cert {
	X509 *x509;    /* NULL: none */
	EVP_PKEY *key; /* its public key, borrowed from x509 */
	char cn[64];   /* the subject's common name, printable; "" if it has none */
};

void cert_finish(struct cert *cert); /* a zeroed one is allowed */

/* One certificate, DER or PEM. ERR_USAGE with the blob's name if it is anything else. */
int cert_read(const struct attest_blob *blob, struct cert *ret_cert, struct err *err) MUST_CHECK;
/* Two certificates in one PEM file. */
int cert_read_pair(
        const struct attest_blob *blob, struct cert ret_certs[static 2], struct err *err) MUST_CHECK;

/*
 * PEM text at *text to DER. Takes the one way of writing it that AMD and OpenSSL use: lines of 64 characters,
 * no text around, line ends all LF or all CRLF, at most one empty line at the end of all. Returns the bytes
 * of DER and moves *text and *size on, or -1.
 */
int pem_take(const char **text, size_t *size, uint8_t *ret_der, size_t der_max);
/* ---- what AMD puts into certificates of chip keys (AMD 57230, "VCEK and VLEK certificates") ---- */

struct cert_chip {
	enum attest_product product;
	char product_name[32];     /* as the certificate has it: "Milan-B0" */
	bool is_vlek;              /* a cloud provider's key, else one chip's */
	char csp_id[64];           /* VLEK only */
	uint8_t hwid[64];          /* VCEK only */
	size_t hwid_size;          /* 8 or 64 */
	int tcb[ATTEST_TCB_PARTS]; /* -1: this product has no such part */
};

int cert_chip_read(const struct cert *cert, struct cert_chip *ret_chip, struct err *err) MUST_CHECK;

/* AMD's roots by fingerprint. UNKNOWN: not AMD's. */
enum attest_product anchor_find(EVP_PKEY *key);
/* Is it a root of the software platform? No signature by it proves anything. */
bool anchor_is_simulated(EVP_PKEY *key);

#endif
