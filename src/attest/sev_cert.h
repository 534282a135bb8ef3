/*
 * sev_cert: SEV's platform certificates as keys that sign and certificates that are signed. Private to
 * attest.
 */
#ifndef VMM_ATTEST_SEV_CERT_H
#define VMM_ATTEST_SEV_CERT_H

#include "key.h"

/* A key that signs others. */
struct sev_key {
	uint32_t usage, algo; /* enum abi_sev_usage, enum abi_sev_algo */
	EVP_PKEY *key;
	size_t rsa_bytes; /* of the modulus; 0: an EC key */
};

void sev_key_finish(struct sev_key *key); /* a zeroed one is allowed */

/* One certificate of AMD's own format, in place. */
struct amd_cert {
	struct abi_amd_cert head;
	const uint8_t *raw;
	size_t number_bytes; /* of exponent, modulus and signature each */
	size_t size;         /* of the whole */
};

/* Takes one certificate from the cursor. */
int amd_cert_take(struct cursor *c, struct amd_cert *ret_cert, struct err *err) MUST_CHECK;

int sev_key_of_cert(const struct abi_sev_cert *cert, struct sev_key *ret_key, struct err *err) MUST_CHECK;
int sev_key_of_amd(const struct amd_cert *cert, struct sev_key *ret_key, struct err *err) MUST_CHECK;

/* NULL if the parent signed the child, otherwise why not. */
const char *sev_cert_fault(const struct abi_sev_cert *child, const struct sev_key *parent);
const char *sev_report_fault(const struct abi_sev_report *report, const struct sev_key *pek);
const char *amd_cert_fault(
        const struct amd_cert *child, const struct amd_cert *parent, const struct sev_key *key);

#endif
