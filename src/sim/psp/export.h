/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: gives certificates to callers outside the secure processor. Private to psp.
 */
#ifndef SIM_PSP_EXPORT_H
#define SIM_PSP_EXPORT_H

#include "der.h"
#include "rsa.h"

/*
 * Takes the lock, even when it returns false. False means that the secure processor could not make its keys.
 */
bool psp_export_start(struct psp *psp) MUST_CHECK;
/* Returns one certificate or two in PEM, which the caller frees. NULL: out of memory. */
char *psp_export_pem(const struct psp_der *first, const struct psp_der *second);
/*
 * Returns the chain above a chip's key in PEM: the ASK or ASVK, then the ARK. The caller frees it. NULL: the
 * chain could not be made.
 */
char *psp_export_chain(const struct product *product, enum psp_rsa_role signer);
/*
 * Makes the certificate of the key of the provider "CN=" and csp_id (vlek.c). Takes the lock. ERR_USAGE,
 * ERR_FAILED.
 */
int psp_vlek_certify(
        struct psp *psp, const char *csp_id, struct psp_der *ret_cert, struct err *err) MUST_CHECK;
/* Sets ERR_FAILED: OpenSSL did not make the certificates. Returns -1. */
int psp_export_fail(struct err *err);

#endif
