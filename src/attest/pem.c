/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem: finds the certificates in a text and ignores the text around them: comments, output of `openssl x509
 * -text`, empty lines. Any thread. RFC 7468, sections 2 and 5.
 */
#include <string.h>

#include "cert.h"
#include "form.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

bool attest_pem_is_in(const void *text, size_t size)
{
	return memmem(text, size, BEGIN, strlen(BEGIN)) != NULL;
}

int attest_pem_next(const char **text, size_t *size, uint8_t *ret_der)
{
	const char *limit = *text + *size, *body = memmem(*text, *size, BEGIN, strlen(BEGIN)), *end;

	if (!body)
		return 0;
	body += strlen(BEGIN);
	end = memmem(body, (size_t)(limit - body), END, strlen(END));
	/*
	 * A '-' shows a second BEGIN; '-' and '_' also belong to the alphabet for URLs, which PEM does not
	 * use.
	 */
	if (!end || memchr(body, '-', (size_t)(end - body)) || memchr(body, '_', (size_t)(end - body)))
		return -1;
	*text = end + strlen(END);
	*size = (size_t)(limit - *text);
	return attest_form_base64(body, (size_t)(end - body), ret_der) ?: -1;
}
