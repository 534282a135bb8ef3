/*
 * cert: X.509 certificates read strictly. Any thread. RFC 5280; X.690 (DER).
 */
#include <ctype.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "cert.h"

#define DER_MAX_BYTES 8192

void cert_finish(struct cert *cert)
{
	if (cert->x509)
		X509_free(cert->x509);
	*cert = (struct cert){0};
}

/* A certificate's text goes to terminals: what cannot be printed becomes '?'. */
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

/* Would OpenSSL write these bytes, and no more? The certificate's signature covers only their middle. */
static bool is_canonical(X509 *x509, const uint8_t *der, size_t size)
{
	uint8_t *again = NULL;
	int again_size = i2d_X509(x509, &again);
	bool same = again_size == (int)size && memcmp(again, der, size) == 0;

	OPENSSL_free(again);
	return same;
}

static int from_der(const char *name, const uint8_t *der, size_t size, struct cert *ret_cert, struct err *err)
{
	const uint8_t *at = der;
	struct cert cert = {.x509 = d2i_X509(NULL, &at, (long)size)};

	/* What was wrong is told in our words; the library's queue would only grow. */
	ERR_clear_error();
	if (cert.x509 && is_canonical(cert.x509, der, size))
		cert.key = X509_get0_pubkey(cert.x509);
	ERR_clear_error();
	if (!cert.key) {
		cert_finish(&cert);
		return err_set(err, ERR_USAGE,
		        "%s: is no X.509 certificate in DER, or its public key cannot be used", name);
	}
	common_name(cert.x509, cert.cn, sizeof(cert.cn));
	*ret_cert = cert;
	return 0;
}

static int from_pem(const char *name, const char **text, size_t *size, struct cert *ret_cert, struct err *err)
{
	uint8_t der[DER_MAX_BYTES];
	int der_size = pem_take(text, size, der, sizeof(der));

	if (der_size < 0)
		return err_set(err, ERR_USAGE,
		        "%s: is not a PEM certificate as `openssl x509` writes it (lines of 64 characters, "
		        "no "
		        "other text); rewrite it with `openssl x509 -in %s`",
		        name, name);
	return from_der(name, der, (size_t)der_size, ret_cert, err);
}

int cert_read(const struct attest_blob *blob, struct cert *ret_cert, struct err *err)
{
	static const char dashes[] = "-----";
	const char *text = blob->data;
	size_t size = blob->size;
	struct cert cert = {0};

	if (size < strlen(dashes) || memcmp(text, dashes, strlen(dashes)) != 0)
		return from_der(blob->name, blob->data, size, ret_cert, err);
	if (from_pem(blob->name, &text, &size, &cert, err) < 0)
		return -1;
	if (size > 0) {
		cert_finish(&cert);
		return err_set(err, ERR_USAGE, "%s: has more after the one certificate that belongs here",
		        blob->name);
	}
	*ret_cert = cert;
	return 0;
}

int cert_read_pair(const struct attest_blob *blob, struct cert ret_certs[static 2], struct err *err)
{
	const char *text = blob->data;
	size_t size = blob->size;
	struct cert certs[2] = {0};

	if (from_pem(blob->name, &text, &size, &certs[0], err) < 0)
		return err_wrap(err, "certificate 1 of 2");
	if (size == 0) {
		err_set(err, ERR_USAGE,
		        "%s: holds one certificate, \"%s\"; ASK and ARK belong here, one after the other",
		        blob->name, certs[0].cn);
		cert_finish(&certs[0]);
		return -1;
	}
	if (from_pem(blob->name, &text, &size, &certs[1], err) < 0) {
		cert_finish(&certs[0]);
		return err_wrap(err, "certificate 2 of 2");
	}
	if (size > 0) {
		cert_finish(&certs[0]);
		cert_finish(&certs[1]);
		return err_set(err, ERR_USAGE, "%s: has more after the ASK and the ARK, which belong here",
		        blob->name);
	}
	memcpy(ret_certs, certs, sizeof(certs));
	return 0;
}
