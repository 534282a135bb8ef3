/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roots: the certificates of the simulation's ARK and ASK. Private to psp.
 */
#ifndef SIM_PSP_ROOTS_H
#define SIM_PSP_ROOTS_H

#include "rsa.h"

#define ROOTS_BYTES_MAX (2 * (sizeof(struct abi_amd_cert) + 3 * RSA_BYTES_MAX))

/* Writes ASK, then ARK, in AMD's format. */
bool psp_roots_put(
        const struct product *product, uint8_t ret_data[static ROOTS_BYTES_MAX], size_t *ret_size) MUST_CHECK;
/* Signs a CEK with the ASK. */
bool psp_roots_sign_cek(const struct product *product, struct abi_sev_cert *cek) MUST_CHECK;
/* Is amd the simulation's ASK and ARK, of any product, and did that ASK sign the CEK? */
bool psp_roots_signed(const void *amd, size_t size, const struct abi_sev_cert *cek);

#endif
