/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs: certificates of SEV's platform in AMD's binary format. Private to psp.
 */
#ifndef SIM_PSP_CERTS_H
#define SIM_PSP_CERTS_H

#include "internal.h"

/* Makes this firmware's certificate for a key, without signatures. */
bool psp_cert_init(const struct psp *psp, uint32_t usage, const struct abi_public_key *key,
        struct abi_sev_cert *ret_cert) MUST_CHECK;
void psp_cert_strip(struct abi_sev_cert *cert); /* removes its signatures */
/* Signs into this slot (0 or 1) as a signer of this usage. False: OpenSSL failed. */
bool psp_cert_sign(
        struct abi_sev_cert *cert, unsigned slot, uint32_t signer, const struct psp_ec_key *key) MUST_CHECK;
/* Returns the signature that a key of this usage made; NULL if there is none. */
const struct abi_sev_signature *psp_cert_signature(const struct abi_sev_cert *cert, uint32_t signer);
/* Do both certificates have the right form, with keys on P-384, and did the parent's key sign the child? */
bool psp_cert_is_signed(const struct abi_sev_cert *child, const struct abi_sev_cert *parent);

#endif
