/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der: writes ASN.1 front to back in DER (X.690), which allows exactly one encoding of each value. Private to
 * psp.
 */
#ifndef SIM_PSP_DER_H
#define SIM_PSP_DER_H

#include "vmm/base.h"

#define DER_MAX_BYTES 4096

enum psp_der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_PRINTABLE = 0x13,
	DER_IA5 = 0x16,
	DER_UTC_TIME = 0x17,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT_PRIMITIVE = 0x80, /* + number */
	DER_CONTEXT = 0xa0,           /* + number; it holds elements */
};

struct psp_der {
	uint8_t bytes[DER_MAX_BYTES];
	size_t size;
	bool bad; /* something did not fit; the contents are unusable */
};

/* Appends bytes as they are. */
void psp_der_raw(struct psp_der *der, const void *data, size_t size);
/* Appends an element of this tag with these contents. */
void psp_der_put(struct psp_der *der, uint8_t tag, const void *data, size_t size);
/* Appends a string of this tag, without its NUL. */
void psp_der_text(struct psp_der *der, uint8_t tag, const char *text);
/* Writes a number that is not negative; it is given in big-endian order. */
void psp_der_number(struct psp_der *der, const uint8_t *number, size_t size);
/*
 * Opens an element: what is written until psp_der_close() lies inside it. Returns the position that
 * psp_der_close() needs.
 */
size_t psp_der_open(struct psp_der *der);
/* Puts tag and length in front of what was written since begin. */
void psp_der_close(struct psp_der *der, uint8_t tag, size_t begin);

#endif
