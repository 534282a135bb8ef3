/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: the platform's own keys and certificates. Private to psp.
 */
#ifndef SIM_PSP_IDENTITY_H
#define SIM_PSP_IDENTITY_H

#include "internal.h"

/* Returns the owner's keys and certificates; makes them first if there are none. NULL: OpenSSL failed. */
const struct psp_identity *psp_identity_get(struct psp *psp);
/* Wipes the owner's keys and certificates. */
void psp_identity_forget(struct psp *psp);

#endif
