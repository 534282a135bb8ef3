/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x509: makes the certificates of SNP as AMD's key server would give them, under roots whose names say that
 * they are simulated. Any thread. RFC 5280, RFC 4055 (RSASSA-PSS), RFC 5480; AMD 57230 (the extensions).
 */
#include <string.h>

#include "der.h"
#include "x509.h"

#define OID(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define AMD_OID  0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01 /* 1.3.6.1.4.1.3704.1 */

#define NOT_BEFORE "200101000000Z"
#define NOT_AFTER  "491231235959Z"

/* AlgorithmIdentifier: RSASSA-PSS, SHA-384, MGF1 with SHA-384, a salt of 48 bytes. */
#define SHA384_IDENTIFIER \
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00
static const uint8_t pss_sha384[] = {0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x0a, 0x30, 0x34, 0xa0, 0x0f, SHA384_IDENTIFIER, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48,
        0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, SHA384_IDENTIFIER, 0xa2, 0x03, 0x02, 0x01, 0x30};

/* AlgorithmIdentifier: rsaEncryption; id-ecPublicKey on secp384r1. */
static const uint8_t rsa_identifier[] = {
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t p384_identifier[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

static const uint8_t yes = 0xff, zero;

/* ---- names, keys ---- */

static void put_name_part(struct psp_der *der, uint8_t attribute, const char *text)
{
	size_t set = psp_der_open(der), sequence = psp_der_open(der);

	psp_der_put(der, DER_OID, OID(0x55, 0x04, attribute));
	psp_der_text(der, DER_UTF8, text);
	psp_der_close(der, DER_SEQUENCE, sequence);
	psp_der_close(der, DER_SET, set);
}

static void put_name(struct psp_der *der, const char *cn)
{
	size_t name = psp_der_open(der);

	put_name_part(der, 10, "vmm software platform"); /* organization */
	put_name_part(der, 11, "Simulation, not AMD: it vouches for nothing");
	put_name_part(der, 3, cn);
	psp_der_close(der, DER_SEQUENCE, name);
}

static void put_validity(struct psp_der *der)
{
	size_t validity = psp_der_open(der);

	psp_der_text(der, DER_UTC_TIME, NOT_BEFORE);
	psp_der_text(der, DER_UTC_TIME, NOT_AFTER);
	psp_der_close(der, DER_SEQUENCE, validity);
}

static void put_rsa_key(struct psp_der *der, const struct psp_rsa_public *public)
{
	static const uint8_t exponent[] = {RSA_EXPONENT >> 16, RSA_EXPONENT >> 8 & 0xff, RSA_EXPONENT & 0xff};
	size_t info = psp_der_open(der), bits, sequence;

	psp_der_raw(der, rsa_identifier, sizeof(rsa_identifier));
	bits = psp_der_open(der);
	psp_der_raw(der, &zero, 1); /* unused bits */
	sequence = psp_der_open(der);
	psp_der_number(der, public->modulus, public->bytes);
	psp_der_number(der, exponent, sizeof(exponent));
	psp_der_close(der, DER_SEQUENCE, sequence);
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

/* As in AMD's certificates, ASK and ASVK may not sign certificates of authorities. */
static void put_ca_extensions(struct psp_der *der, enum psp_rsa_role role)
{
	static const uint8_t is_root[] = {DER_SEQUENCE, 3, DER_BOOLEAN, 1, 0xff},
	                     is_ca[] = {DER_SEQUENCE, 6, DER_BOOLEAN, 1, 0xff, DER_INTEGER, 1, 0},
	                     key_cert_sign[] = {DER_BIT_STRING, 2, 2, 0x04};

	if (role == RSA_ARK)
		put_extension(der, OID(0x55, 0x1d, 0x13), true, is_root, sizeof(is_root));
	else
		put_extension(der, OID(0x55, 0x1d, 0x13), true, is_ca, sizeof(is_ca));
	put_extension(der, OID(0x55, 0x1d, 0x0f), true, key_cert_sign, sizeof(key_cert_sign));
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
	struct psp_der name = {0}, version = {0}, csp = {0};
	char provider[X509_CSP_BYTES];

	psp_der_number(&version, &zero, 1);
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
 * The names are AMD's, such as "SEV-Milan" and "SEV-VLEK-Milan", without the part that names the simulation.
 */
static const char *const authorities[] = {[RSA_ARK] = "ARK", [RSA_ASK] = "SEV", [RSA_ASVK] = "SEV-VLEK"};

struct subject {
	const char *kind; /* "ARK", "VCEK" */
	uint8_t serial;
	const struct psp_rsa_public *rsa; /* of an authority; NULL: of a chip's key */
	enum psp_rsa_role role;           /* of an authority */
	const struct psp_x509_chip *chip; /* of a chip's key */
};

static void put_cn(struct psp_der *der, const struct product *product, const char *kind)
{
	char cn[64];

	snprintf(cn, sizeof(cn), "SIMULATED-%s-%s", kind, product->name);
	put_name(der, cn);
}

static void put_body(struct psp_der *der, const struct product *product, enum psp_rsa_role issuer,
        const struct subject *subject)
{
	static const uint8_t v3 = 2;
	size_t body = psp_der_open(der), at = psp_der_open(der);

	psp_der_number(der, &v3, 1);
	psp_der_close(der, DER_CONTEXT, at);
	psp_der_number(der, &subject->serial, 1);
	psp_der_raw(der, pss_sha384, sizeof(pss_sha384));
	put_cn(der, product, authorities[issuer]);
	put_validity(der);
	put_cn(der, product, subject->kind);
	if (subject->rsa)
		put_rsa_key(der, subject->rsa);
	else
		put_ec_key(der, subject->chip->key);
	size_t wrapper = psp_der_open(der), list = psp_der_open(der);
	if (subject->rsa)
		put_ca_extensions(der, subject->role);
	else
		put_chip_extensions(der, subject->chip);
	psp_der_close(der, DER_SEQUENCE, list);
	psp_der_close(der, DER_CONTEXT + 3, wrapper);
	psp_der_close(der, DER_SEQUENCE, body);
}

static bool put_cert(struct psp_der *der, const struct product *product, enum psp_rsa_role issuer,
        const struct subject *subject)
{
	uint8_t signature[1 + RSA_BYTES_MAX] = {0}; /* unused bits */
	size_t cert = psp_der_open(der);

	put_body(der, product, issuer, subject);
	if (der->bad || !psp_rsa_sign(product, issuer, der->bytes, der->size, signature + 1))
		return false;
	psp_der_raw(der, pss_sha384, sizeof(pss_sha384));
	psp_der_put(der, DER_BIT_STRING, signature, sizeof(signature));
	psp_der_close(der, DER_SEQUENCE, cert);
	return !der->bad;
}

bool psp_x509_put_ca(struct psp_der *der, const struct product *product, enum psp_rsa_role role)
{
	struct psp_rsa_public public;
	const struct subject subject = {
	        .kind = authorities[role], .serial = (uint8_t)(1 + role), .rsa = &public, .role = role};

	return psp_rsa_public(product, role, &public) && put_cert(der, product, RSA_ARK, &subject);
}

bool psp_x509_put_chip(struct psp_der *der, const struct psp_x509_chip *chip)
{
	const struct subject subject = {.kind = chip->csp_id ? "VLEK" : "VCEK", .chip = chip};

	return put_cert(der, chip->product, chip->csp_id ? RSA_ASVK : RSA_ASK, &subject);
}
