/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der: writes ASN.1. The length of an element stands before its contents but is known only after them, so the
 * contents move up to make room for the length. Any thread. X.690.
 */
#include <string.h>

#include "der.h"

void psp_der_raw(struct psp_der *der, const void *data, size_t size)
{
	if (der->bad || size > sizeof(der->bytes) - der->size) {
		der->bad = true;
		return;
	}
	if (size)
		memcpy(der->bytes + der->size, data, size);
	der->size += size;
}

size_t psp_der_open(struct psp_der *der)
{
	return der->size;
}

void psp_der_close(struct psp_der *der, uint8_t tag, size_t begin)
{
	size_t length = der->size - begin;
	const uint8_t head[] = {tag, 0x82, (uint8_t)(length >> 8), (uint8_t)length};
	size_t octets = length < 0x80 ? 0 : length < 0x100 ? 1 : 2; /* octets of the long form */
	uint8_t short_head[4] = {tag, (uint8_t)(octets ? 0x80 + octets : length)};

	memcpy(short_head + 2, head + 4 - octets, octets);
	psp_der_raw(der, short_head, 2 + octets); /* makes room */
	if (der->bad)
		return;
	memmove(der->bytes + begin + 2 + octets, der->bytes + begin, length);
	memcpy(der->bytes + begin, short_head, 2 + octets);
}

void psp_der_put(struct psp_der *der, uint8_t tag, const void *data, size_t size)
{
	size_t begin = psp_der_open(der);

	psp_der_raw(der, data, size);
	psp_der_close(der, tag, begin);
}

void psp_der_text(struct psp_der *der, uint8_t tag, const char *text)
{
	psp_der_put(der, tag, text, strlen(text));
}

void psp_der_number(struct psp_der *der, const uint8_t *number, size_t size)
{
	static const uint8_t zero;
	size_t begin = psp_der_open(der);

	while (size > 1 && *number == 0) {
		number++;
		size--;
	}
	if (*number & 0x80)
		psp_der_raw(der, &zero, 1);
	psp_der_raw(der, number, size);
	psp_der_close(der, DER_INTEGER, begin);
}
