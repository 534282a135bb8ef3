/*
 * export: how certificates leave. Private to psp.
 */
#ifndef SIM_PSP_EXPORT_H
#define SIM_PSP_EXPORT_H

#include "der.h"
#include "rsa.h"

/* Takes the lock, whatever it returns; false: there are no keys. */
bool psp_export_start(struct psp *psp) MUST_CHECK;
/* One certificate or two; the caller's to free. NULL: out of memory. */
char *psp_export_pem(const struct psp_der *first, const struct psp_der *second);
/* What signs a chip's key, ASK or ASVK, and then the ARK; the caller's to free. NULL: it was not made. */
char *psp_export_chain(const struct product *product, enum psp_rsa_role signer);
int psp_export_fail(struct err *err);

#endif
