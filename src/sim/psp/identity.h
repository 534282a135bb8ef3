/*
 * identity: the platform's own keys and certificates. Private to psp.
 */
#ifndef SIM_PSP_IDENTITY_H
#define SIM_PSP_IDENTITY_H

#include "internal.h"

/* The owner's keys and certificates, made now if there are none. NULL: OpenSSL failed. */
const struct identity *identity_get(struct psp *psp);
void identity_forget(struct psp *psp);

#endif
