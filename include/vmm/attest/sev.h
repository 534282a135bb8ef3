/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: the certificates of SEV and SEV-ES platforms, and AMD's own, read and judged (SEV API, appendices B
 * and C).
 */
#ifndef VMM_ATTEST_SEV_H
#define VMM_ATTEST_SEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/abi/sev_cert.h"
#include "vmm/attest.h"
#include "vmm/base.h"
#include "vmm/product.h"

struct attest_sev_evidence {
	struct attest_blob pdh;   /* the PDH (2084 bytes), or PDH, PEK, OCA, CEK one after the other */
	struct attest_blob chain; /* PEK, OCA, CEK, as PDH_CERT_EXPORT gives them, if pdh is the PDH alone */
	struct attest_blob cek;   /* the CEK that AMD signed; it replaces the unsigned one in chain or pdh */
	struct attest_blob amd;   /* ASK and ARK in AMD's binary format, any order; may follow pdh's four */
	struct attest_blob root;  /* an ARK in that format to trust beside AMD's */

	struct attest_blob report; /* GET_ATTESTATION_REPORT's answer (208 bytes), and what it must say: */
	const uint8_t *digest;     /* 32 bytes; NULL: anything, as below */
	const uint8_t *mnonce;     /* 16 bytes: the nonce that was asked with */
	const uint32_t *policy;
};

const char *attest_sev_usage_name(uint32_t usage); /* "PEK"; "unknown" */
const char *attest_sev_algo_name(uint32_t algo);   /* "ECDSA with SHA-384"; "unknown" */
/*
 * Reads one certificate and checks its form, not its signatures: version, key, no bits where zeros must be.
 * ERR_USAGE names what is wrong.
 */
int attest_sev_cert_parse(
        const void *data, size_t size, struct abi_sev_cert *ret_cert, struct err *err) MUST_CHECK;

/* An ASK or ARK in AMD's binary format, described for display. */
struct attest_amd_cert {
	size_t size; /* in bytes */
	uint32_t usage;
	unsigned bits; /* of its RSA key */
	uint8_t key_id[16], certifying_id[16];
	enum product_id root; /* the product whose root key it holds; UNKNOWN: not a root of AMD's */
	bool simulated;       /* it holds the key of one of the software platform's roots */
};
/* Reads the first certificate in data without checking its signature. ERR_USAGE says what is wrong. */
int attest_amd_cert_parse(
        const void *data, size_t size, struct attest_amd_cert *ret_cert, struct err *err) MUST_CHECK;
/* Does the evidence hold AMD's certificates, so that the platform can be verified? */
bool attest_sev_has_amd(const struct attest_sev_evidence *evidence);
/* Reads the PDH of the evidence, without verifying it. */
int attest_sev_pdh(
        const struct attest_sev_evidence *evidence, struct abi_sev_cert *ret_pdh, struct err *err) MUST_CHECK;
/*
 * Verifies that the PEK signed the PDH, OCA and CEK the PEK, the OCA itself, the ASK the CEK, and the ARK the
 * ASK. The ARK must be AMD's or root's. All evidence but root and report must be given; the PEK must have
 * signed a given report. Returns -1 with ERR_USAGE if something is missing or cannot be read.
 */
int attest_sev_verify(const struct attest_sev_evidence *evidence, struct attest_verdict *ret_verdict,
        struct err *err) MUST_CHECK;

/* Gives the URL at which AMD's key server has the signed CEK of the chip with this id (SEV API, GET_ID). */
void attest_cek_url(const uint8_t id[static 64], char ret_url[static ATTEST_URL_BYTES]);

#endif
