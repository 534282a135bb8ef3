/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert: reads X.509 certificates strictly. Any thread. RFC 5280; X.690 (DER).
 */
#include <ctype.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "cert.h"
#include "form.h"

void attest_cert_finish(struct attest_cert *cert)
{
	if (cert->x509)
		X509_free(cert->x509);
	*cert = (struct attest_cert){0};
}

/* A certificate's text is shown on terminals, so each character that cannot be printed becomes '?'. */
static void common_name(X509 *x509, char *cn, size_t size)
{
	int length = X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, cn, (int)size);

	if (length < 0)
		length = 0;
	cn[length < (int)size ? length : (int)size - 1] = '\0';
	for (char *c = cn; *c; c++) {
		if (!isascii(*c) || !isprint(*c))
			*c = '?';
	}
}

/*
 * Would OpenSSL encode the certificate as exactly these bytes? The signature covers only a part of them, so
 * the rest could otherwise be changed unnoticed.
 */
static bool is_canonical(X509 *x509, const uint8_t *der, size_t size)
{
	uint8_t *again = NULL;
	int again_size = i2d_X509(x509, &again);
	bool same = again_size == (int)size && memcmp(again, der, size) == 0;

	OPENSSL_free(again);
	return same;
}

static int from_der(const struct attest_blob *blob, const uint8_t *der, size_t size,
        struct attest_cert *ret_cert, struct err *err)
{
	const uint8_t *at = der;
	struct attest_cert cert = {.x509 = d2i_X509(NULL, &at, (long)size), .file = blob->name};

	/*
	 * Our own message says what was wrong, so the library's queue of errors is emptied; it would only
	 * grow.
	 */
	ERR_clear_error();
	if (cert.x509 && is_canonical(cert.x509, der, size))
		cert.key = X509_get0_pubkey(cert.x509);
	ERR_clear_error();
	if (!cert.key) {
		attest_cert_finish(&cert);
		return err_set(err, ERR_USAGE,
		        "is not an X.509 certificate in DER (%zu bytes), or its public key cannot be used",
		        size);
	}
	common_name(cert.x509, cert.cn, sizeof(cert.cn));
	*ret_cert = cert;
	return 0;
}

/*
 * A certificate that was given twice is kept once, as when a chain contains its root and the root is given,
 * too.
 */
static int add(struct attest_certs *certs, struct attest_cert *cert, struct err *err)
{
	for (size_t i = 0; i < certs->count; i++) {
		if (X509_cmp(certs->list[i].x509, cert->x509) == 0) {
			attest_cert_finish(cert);
			return 0;
		}
	}
	if (certs->count == ATTEST_CERTS_MAX) {
		attest_cert_finish(cert);
		return err_set(err, ERR_USAGE, "more than %d certificates are not taken", ATTEST_CERTS_MAX);
	}
	certs->list[certs->count++] = *cert;
	return 0;
}

/*
 * The size of the DER element at der, which must be a SEQUENCE. A size beyond the data: it is not a
 * certificate.
 */
static size_t der_size(const uint8_t *der, size_t size)
{
	size_t length = size >= 4 ? (size_t)der[2] << 8 | der[3] : 0;

	return size >= 4 && der[0] == 0x30 && der[1] == 0x82 && length + 4 <= size ? length + 4 : size;
}

/* White space, which editors and shells leave behind a certificate. */
static bool is_blank(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!isspace(bytes[i]))
			return false;
	}
	return true;
}

static int add_der(struct attest_certs *certs, const struct attest_blob *blob, struct err *err)
{
	const uint8_t *der = blob->data;
	size_t left = blob->size;

	for (int n = 1; n == 1 || !is_blank(der, left); n++) {
		size_t size = der_size(der, left);
		struct attest_cert cert;

		if (from_der(blob, der, size, &cert, err) < 0)
			return n > 1 ? err_wrap(err, "what follows certificate %d", n - 1) : -1;
		if (add(certs, &cert, err) < 0)
			return -1;
		der += size;
		left -= size;
	}
	return 0;
}

static int add_pem(struct attest_certs *certs, const struct attest_blob *blob, struct err *err)
{
	auto_free uint8_t *der = malloc(blob->size);
	const char *text = blob->data;
	size_t left = blob->size;
	struct attest_cert cert;
	int size;

	if (!der)
		return err_set(err, ERR_FAILED, "no memory for its certificates");
	for (int n = 1; (size = attest_pem_next(&text, &left, der)) != 0; n++) {
		if (size < 0)
			return err_set(err, ERR_USAGE,
			        "certificate %d is incomplete: there is something other than Base64 between "
			        "its BEGIN and its END, or there is no END",
			        n);
		if (from_der(blob, der, (size_t)size, &cert, err) < 0)
			return err_wrap(err, "certificate %d", n);
		if (add(certs, &cert, err) < 0)
			return -1;
	}
	return 0;
}

int attest_certs_add(struct attest_certs *certs, const struct attest_blob *blob, struct err *err)
{
	const uint8_t *bytes = blob->data;
	const char *guess = attest_form_guess(bytes, blob->size);
	int result;

	if (attest_pem_is_in(bytes, blob->size))
		result = add_pem(certs, blob, err);
	else if (blob->size > 0 && bytes[0] == 0x30)
		result = add_der(certs, blob, err);
	else
		result = err_set(err, ERR_USAGE,
		        "has %zu bytes and no certificate, neither in DER nor in PEM%s%s", blob->size,
		        guess ? "; " : "", guess ?: "");
	return result < 0 ? err_wrap(err, "%s", blob->name) : 0;
}

void attest_certs_finish(struct attest_certs *certs)
{
	for (size_t i = 0; i < certs->count; i++)
		attest_cert_finish(&certs->list[i]);
	*certs = (struct attest_certs){0};
}
