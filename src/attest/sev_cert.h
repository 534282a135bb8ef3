/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_cert: SEV's platform certificates, each of which is a signed certificate and may hold a key that signs.
 * Private to attest.
 */
#ifndef VMM_ATTEST_SEV_CERT_H
#define VMM_ATTEST_SEV_CERT_H

#include "key.h"
#include "vmm/abi/sev_cert.h"
#include "vmm/abi/sev_launch.h"

/* A key that signs certificates. */
struct attest_sev_key {
	uint32_t usage, algo; /* enum abi_sev_usage, enum abi_sev_algo */
	EVP_PKEY *key;
	size_t rsa_bytes; /* bytes of the modulus; 0 for an EC key */
};

void attest_sev_key_finish(struct attest_sev_key *key); /* a zeroed one is allowed */

/* A certificate in AMD's own format; the pointers lead into the bytes that were given. */
struct attest_amd_raw {
	struct abi_amd_cert head;
	const uint8_t *raw;
	size_t number_bytes; /* of exponent, modulus and signature each */
	size_t size;         /* of the whole certificate */
};

/* Takes one certificate from the cursor. */
int attest_amd_raw_take(struct cursor *c, struct attest_amd_raw *ret_cert, struct err *err) MUST_CHECK;

int attest_sev_key_of_cert(
        const struct abi_sev_cert *cert, struct attest_sev_key *ret_key, struct err *err) MUST_CHECK;
int attest_sev_key_of_amd(
        const struct attest_amd_raw *cert, struct attest_sev_key *ret_key, struct err *err) MUST_CHECK;

/* Returns NULL if the parent signed the child, otherwise the reason. */
const char *attest_sev_cert_fault(const struct abi_sev_cert *child, const struct attest_sev_key *parent);
const char *attest_sev_report_fault(const struct abi_sev_report *report, const struct attest_sev_key *pek);
const char *attest_amd_raw_fault(const struct attest_amd_raw *child, const struct attest_amd_raw *parent,
        const struct attest_sev_key *key);

#endif
