/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x509: makes the certificates of SNP as AMD's key server gives them: the fields, their order and their types
 * are those of genuine certificates. Only the common names differ, which begin with "SIMULATED-", and how
 * long a chip's certificate is valid. Any thread. RFC 5280, RFC 4055 (RSASSA-PSS), RFC 5480; AMD 57230 (the
 * extensions).
 */
#include <string.h>

#include <openssl/evp.h>

#include "der.h"
#include "x509.h"

#define OID(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define AMD_OID  0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01 /* 1.3.6.1.4.1.3704.1 */

/*
 * AlgorithmIdentifier: RSASSA-PSS, SHA-384, MGF1 with SHA-384, a salt of 48 bytes. Certificates of
 * authorities also write the trailer field, although it has its default value. AMD's server stopped writing
 * it in those of chips.
 */
#define SHA384_IDENTIFIER \
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00
#define PSS_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a
#define PSS_PARAMETERS \
	0xa0, 0x0f, SHA384_IDENTIFIER, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, \
	        0x0d, 0x01, 0x01, 0x08, SHA384_IDENTIFIER, 0xa2, 0x03, 0x02, 0x01, 0x30
static const uint8_t pss_chip[] = {0x30, 0x41, PSS_OID, 0x30, 0x34, PSS_PARAMETERS};
static const uint8_t pss_authority[] = {
        0x30, 0x46, PSS_OID, 0x30, 0x39, PSS_PARAMETERS, 0xa3, 0x03, 0x02, 0x01, 0x01};

/* AlgorithmIdentifier: rsaEncryption; id-ecPublicKey on secp384r1. */
static const uint8_t rsa_identifier[] = {
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t p384_identifier[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

static const uint8_t yes = 0xff, zero;

/* ---- names, keys ---- */

static void put_name_part(struct psp_der *der, uint8_t attribute, uint8_t tag, const char *text)
{
	size_t set = psp_der_open(der), sequence = psp_der_open(der);

	psp_der_put(der, DER_OID, OID(0x55, 0x04, attribute));
	psp_der_text(der, tag, text);
	psp_der_close(der, DER_SEQUENCE, sequence);
	psp_der_close(der, DER_SET, set);
}

/* The attributes of X.520 in the order of AMD's certificates. */
static void put_name(struct psp_der *der, const char *cn)
{
	size_t name = psp_der_open(der);

	put_name_part(der, 11, DER_UTF8, "Engineering"); /* organizational unit */
	put_name_part(der, 6, DER_PRINTABLE, "US");      /* country */
	put_name_part(der, 7, DER_UTF8, "Santa Clara");  /* locality */
	put_name_part(der, 8, DER_UTF8, "CA");           /* state */
	put_name_part(der, 10, DER_UTF8, "Advanced Micro Devices");
	put_name_part(der, 3, DER_UTF8, cn);
	psp_der_close(der, DER_SEQUENCE, name);
}

static void put_validity(struct psp_der *der, const struct psp_product_issue *issue)
{
	size_t validity = psp_der_open(der);

	psp_der_text(der, DER_UTC_TIME, issue->not_before);
	psp_der_text(der, DER_UTC_TIME, issue->not_after);
	psp_der_close(der, DER_SEQUENCE, validity);
}

static void put_rsa_modulus(struct psp_der *der, const struct psp_rsa_public *public)
{
	static const uint8_t exponent[] = {RSA_EXPONENT >> 16, RSA_EXPONENT >> 8 & 0xff, RSA_EXPONENT & 0xff};
	size_t sequence = psp_der_open(der);

	psp_der_number(der, public->modulus, public->bytes);
	psp_der_number(der, exponent, sizeof(exponent));
	psp_der_close(der, DER_SEQUENCE, sequence);
}

static void put_rsa_key(struct psp_der *der, const struct psp_rsa_public *public)
{
	size_t info = psp_der_open(der), bits;

	psp_der_raw(der, rsa_identifier, sizeof(rsa_identifier));
	bits = psp_der_open(der);
	psp_der_raw(der, &zero, 1); /* unused bits */
	put_rsa_modulus(der, public);
	psp_der_close(der, DER_BIT_STRING, bits);
	psp_der_close(der, DER_SEQUENCE, info);
}

static void put_ec_key(struct psp_der *der, const struct abi_public_key *public)
{
	uint8_t point[2 + 2 * EC_BYTES] = {0, 4}; /* unused bits; uncompressed */
	size_t info = psp_der_open(der);

	for (size_t i = 0; i < EC_BYTES; i++) {
		point[2 + i] = public->qx[EC_BYTES - 1 - i];
		point[2 + EC_BYTES + i] = public->qy[EC_BYTES - 1 - i];
	}
	psp_der_raw(der, p384_identifier, sizeof(p384_identifier));
	psp_der_put(der, DER_BIT_STRING, point, sizeof(point));
	psp_der_close(der, DER_SEQUENCE, info);
}

/* ---- extensions ---- */

static void put_extension(struct psp_der *der, const uint8_t *oid, size_t oid_size, bool critical,
        const void *value, size_t size)
{
	size_t extension = psp_der_open(der);

	psp_der_put(der, DER_OID, oid, oid_size);
	if (critical)
		psp_der_put(der, DER_BOOLEAN, &yes, 1);
	psp_der_put(der, DER_OCTET_STRING, value, size);
	psp_der_close(der, DER_SEQUENCE, extension);
}

#define KEY_ID_BYTES 20 /* SHA-1 */

/* The first method of RFC 5280, 4.2.1.2. It names a key and protects nothing. */
static void key_id(
        struct psp_der *der, const struct psp_rsa_public *public, uint8_t ret_id[static KEY_ID_BYTES])
{
	struct psp_der key = {0};

	put_rsa_modulus(&key, public);
	if (key.bad || EVP_Digest(key.bytes, key.size, ret_id, NULL, EVP_sha1(), NULL) != 1)
		der->bad = true;
}

static void put_subject_key_id(struct psp_der *der, const struct psp_rsa_public *public)
{
	uint8_t value[2 + KEY_ID_BYTES] = {DER_OCTET_STRING, KEY_ID_BYTES};

	key_id(der, public, value + 2);
	put_extension(der, OID(0x55, 0x1d, 0x0e), false, value, sizeof(value));
}

static void put_authority_key_id(struct psp_der *der, const struct psp_rsa_public *public)
{
	uint8_t value[4 + KEY_ID_BYTES] = {DER_SEQUENCE, 2 + KEY_ID_BYTES, 0x80, KEY_ID_BYTES};

	key_id(der, public, value + 4);
	put_extension(der, OID(0x55, 0x1d, 0x23), false, value, sizeof(value));
}

/* The address is AMD's, as verifiers demand. The list there says nothing about simulated keys. */
static void put_crl_address(struct psp_der *der, const struct product *product, enum psp_rsa_role role)
{
	struct psp_der value = {0};
	char address[64];
	size_t points = psp_der_open(&value), point = psp_der_open(&value);
	size_t name = psp_der_open(&value), full_name = psp_der_open(&value);

	snprintf(address, sizeof(address), "https://kdsintf.amd.com/%s/v1/%s/crl",
	        role == RSA_ASVK ? "vlek" : "vcek", product->name);
	psp_der_text(&value, DER_CONTEXT_PRIMITIVE + 6, address); /* a URI */
	psp_der_close(&value, DER_CONTEXT, full_name);
	psp_der_close(&value, DER_CONTEXT, name);
	psp_der_close(&value, DER_SEQUENCE, point);
	psp_der_close(&value, DER_SEQUENCE, points);
	put_extension(der, OID(0x55, 0x1d, 0x1f), false, value.bytes, value.size);
}

/* In AMD's certificates the ARK signs lists of revoked certificates, too. */
static void put_ark_extensions(struct psp_der *der, const struct psp_rsa_public *own)
{
	static const uint8_t is_root[] = {DER_SEQUENCE, 3, DER_BOOLEAN, 1, 0xff},
	                     signs_certs_and_lists[] = {DER_BIT_STRING, 2, 1, 0x06};

	put_extension(der, OID(0x55, 0x1d, 0x0f), true, signs_certs_and_lists, sizeof(signs_certs_and_lists));
	put_subject_key_id(der, own);
	put_extension(der, OID(0x55, 0x1d, 0x13), true, is_root, sizeof(is_root));
}

/* As in AMD's certificates, ASK and ASVK may not sign certificates of authorities. */
static void put_ask_extensions(
        struct psp_der *der, const struct psp_rsa_public *own, const struct psp_rsa_public *ark)
{
	static const uint8_t is_ca[] = {DER_SEQUENCE, 6, DER_BOOLEAN, 1, 0xff, DER_INTEGER, 1, 0},
	                     signs_certs[] = {DER_BIT_STRING, 2, 1, 0x04};

	put_subject_key_id(der, own);
	put_authority_key_id(der, ark);
	put_extension(der, OID(0x55, 0x1d, 0x13), true, is_ca, sizeof(is_ca));
	put_extension(der, OID(0x55, 0x1d, 0x0f), true, signs_certs, sizeof(signs_certs));
}

static void put_level(struct psp_der *der, uint8_t oid, uint8_t level)
{
	struct psp_der value = {0};

	psp_der_number(&value, &level, 1);
	put_extension(der, OID(AMD_OID, 0x03, oid), false, value.bytes, value.size);
}

/* The last arc of an OID below 1.3.6.1.4.1.3704.1.3, for each byte of a TCB_VERSION. */
static const uint8_t level_oids[8] = {1, 2, 4, 5, 6, 7, 3, 8}, level_oids_fmc[8] = {9, 1, 2, 3, 5, 6, 7, 8};

static void put_chip_extensions(struct psp_der *der, const struct psp_x509_chip *chip)
{
	const struct product *product = chip->product;
	const uint8_t *oids = product->tcb_layout == PRODUCT_TCB_FMC ? level_oids_fmc : level_oids;
	const uint8_t form = product->tcb_layout == PRODUCT_TCB_FMC; /* of these extensions */
	struct psp_der name = {0}, version = {0}, csp = {0};
	char provider[X509_CSP_BYTES];

	psp_der_number(&version, &form, 1);
	psp_der_text(&name, DER_IA5, chip->csp_id ? product->name : product->vcek_name);
	put_extension(der, OID(AMD_OID, 0x01), false, version.bytes, version.size);
	put_extension(der, OID(AMD_OID, 0x02), false, name.bytes, name.size);
	for (unsigned i = 0; i < 8; i++)
		put_level(der, oids[i], (uint8_t)(chip->tcb >> 8 * i));
	if (chip->csp_id) {
		snprintf(provider, sizeof(provider), "CN=%s", chip->csp_id); /* as in genuine certificates */
		psp_der_text(&csp, DER_IA5, provider);
		put_extension(der, OID(AMD_OID, 0x05), false, csp.bytes, csp.size);
	} else {
		put_extension(
		        der, OID(AMD_OID, 0x04), false, chip->id, product_chip_id_bytes(product->tcb_layout));
	}
}

/* ---- certificates ---- */

/*
 * Common names are AMD's, such as "ARK-Milan", "SEV-Milan" and "SEV-VCEK", with "SIMULATED-" in front. So
 * nobody takes a certificate for one of AMD's, and verifiers that compare names refuse it.
 */
static void put_authority_name(struct psp_der *der, const struct product *product, enum psp_rsa_role role)
{
	static const char *const kinds[] = {[RSA_ARK] = "ARK", [RSA_ASK] = "SEV", [RSA_ASVK] = "SEV-VLEK"};
	char cn[64];

	snprintf(cn, sizeof(cn), "SIMULATED-%s-%s", kinds[role], product->name);
	put_name(der, cn);
}

/* Begins the certificate's body up to the subject. The serial number of a chip's certificate is 0. */
static void put_head(struct psp_der *der, const struct product *product, enum psp_rsa_role issuer,
        const struct psp_product_issue *subject)
{
	const uint8_t v3 = 2;
	uint8_t serial[4] = {0};
	size_t version = psp_der_open(der);

	psp_der_number(der, &v3, 1);
	psp_der_close(der, DER_CONTEXT, version);
	for (unsigned i = 0; subject && i < sizeof(serial); i++)
		serial[i] = (uint8_t)(subject->serial >> (24 - 8 * i));
	psp_der_number(der, serial, sizeof(serial));
	if (subject)
		psp_der_raw(der, pss_authority, sizeof(pss_authority));
	else
		psp_der_raw(der, pss_chip, sizeof(pss_chip));
	put_authority_name(der, product, issuer);
	put_validity(der, subject ? subject : psp_product_issue(product, issuer));
}

/* Signs the body and puts what belongs around it. */
static bool finish(struct psp_der *der, const struct product *product, enum psp_rsa_role issuer,
        const uint8_t *algorithm, size_t algorithm_size)
{
	uint8_t signature[1 + RSA_BYTES_MAX] = {0}; /* unused bits */

	psp_der_close(der, DER_SEQUENCE, 0);
	if (der->bad || !psp_rsa_sign(product, issuer, der->bytes, der->size, signature + 1))
		return false;
	psp_der_raw(der, algorithm, algorithm_size);
	psp_der_put(der, DER_BIT_STRING, signature, sizeof(signature));
	psp_der_close(der, DER_SEQUENCE, 0);
	return !der->bad;
}

bool psp_x509_put_ca(struct psp_der *der, const struct product *product, enum psp_rsa_role role)
{
	struct psp_rsa_public own, ark;
	size_t wrapper, list;

	if (!psp_rsa_public(product, role, &own) || !psp_rsa_public(product, RSA_ARK, &ark))
		return false;
	put_head(der, product, RSA_ARK, psp_product_issue(product, role));
	put_authority_name(der, product, role);
	put_rsa_key(der, &own);
	wrapper = psp_der_open(der);
	list = psp_der_open(der);
	if (role == RSA_ARK)
		put_ark_extensions(der, &own);
	else
		put_ask_extensions(der, &own, &ark);
	put_crl_address(der, product, role);
	psp_der_close(der, DER_SEQUENCE, list);
	psp_der_close(der, DER_CONTEXT + 3, wrapper);
	return finish(der, product, RSA_ARK, pss_authority, sizeof(pss_authority));
}

bool psp_x509_put_chip(struct psp_der *der, const struct psp_x509_chip *chip)
{
	enum psp_rsa_role issuer = chip->csp_id ? RSA_ASVK : RSA_ASK;
	size_t wrapper, list;

	put_head(der, chip->product, issuer, NULL);
	put_name(der, chip->csp_id ? "SIMULATED-SEV-VLEK" : "SIMULATED-SEV-VCEK");
	put_ec_key(der, chip->key);
	wrapper = psp_der_open(der);
	list = psp_der_open(der);
	put_chip_extensions(der, chip);
	psp_der_close(der, DER_SEQUENCE, list);
	psp_der_close(der, DER_CONTEXT + 3, wrapper);
	return finish(der, chip->product, issuer, pss_chip, sizeof(pss_chip));
}
