/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made: a self-made chain of the shape of AMD's, written with OpenSSL alone.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "made.h"

#define OID "1.3.6.1.4.1.3704.1."

static void name(X509_NAME *n, const char *cn)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(
	                         n, "O", MBSTRING_ASC, (const uint8_t *)"A self-made platform", -1, -1, 0),
	        1);
	assert_int_equal(
	        X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0), 1);
}

static X509 *unsigned_cert(EVP_PKEY *key, const char *subject, const char *issuer)
{
	X509 *x = X509_new();

	assert_non_null(x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	ASN1_TIME_set(X509_getm_notBefore(x), 1700000000);
	ASN1_TIME_set(X509_getm_notAfter(x), 1800000000);
	name(X509_get_subject_name(x), subject);
	name(X509_get_issuer_name(x), issuer);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	return x;
}

void made_sign_cert_pss(X509 *x, EVP_PKEY *key, const EVP_MD *mgf1, int salt)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, mgf1), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt), 1);
	assert_true(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

void made_rename(X509 *x, bool subject, const char *cn)
{
	X509_NAME *n = X509_NAME_new();

	name(n, cn);
	assert_int_equal(subject ? X509_set_subject_name(x, n) : X509_set_issuer_name(x, n), 1);
	X509_NAME_free(n);
}

void made_sign_cert(X509 *x, EVP_PKEY *key, bool pss)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	if (pss) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	}
	assert_true(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

void made_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

void made_extend_unknown(X509 *x)
{
	ASN1_OBJECT *object = OBJ_txt2obj("1.2.3.4.5", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	assert_int_equal(ASN1_OCTET_STRING_set(value, (const uint8_t *)"\5", 2), 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
}

static void make_ca(X509 *x)
{
	made_extend(x, NID_basic_constraints, "critical,CA:TRUE");
	made_extend(x, NID_key_usage, "critical,keyCertSign");
}

static void extend(X509 *x, const char *oid, const void *data, size_t size)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	assert_int_equal(ASN1_OCTET_STRING_set(value, data, (int)size), 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
}

void made_extend_level(X509 *x, const char *oid, int level)
{
	const uint8_t low[] = {2, 1, (uint8_t)level}, high[] = {2, 2, 0, (uint8_t)level};
	bool is_high = level >= 128 && level < 256; /* above: one byte with the high bit set */

	if (level >= 0)
		extend(x, oid, is_high ? high : low, is_high ? sizeof(high) : sizeof(low));
}

static void extend_text(X509 *x, const char *oid, const char *text)
{
	uint8_t der[66] = {22, (uint8_t)strlen(text)};

	memcpy(der + 2, text, strlen(text));
	extend(x, oid, der, 2 + strlen(text));
}

void made_init(struct made *made, const struct made_chip *chip)
{
	static EVP_PKEY *ark_key, *ask_key;

	if (!ark_key) {
		ark_key = EVP_RSA_gen(4096);
		ask_key = EVP_RSA_gen(4096);
		assert_true(ark_key && ask_key);
	}
	*made = (struct made){.ark_key = ark_key, .ask_key = ask_key, .leaf_key = EVP_EC_gen("P-384")};
	made->ark = unsigned_cert(ark_key, "ARK-Self", "ARK-Self");
	make_ca(made->ark);
	made_sign_cert(made->ark, ark_key, true);
	made->ask = unsigned_cert(ask_key, chip->csp_id ? "SEV-VLEK-Self" : "SEV-Self", "ARK-Self");
	make_ca(made->ask);
	made_sign_cert(made->ask, ark_key, true);
	made->leaf = unsigned_cert(made->leaf_key, chip->csp_id ? "SEV-VLEK" : "SEV-VCEK",
	        chip->csp_id ? "SEV-VLEK-Self" : "SEV-Self");
	made_extend_level(made->leaf, OID "1", 1);
	extend_text(made->leaf, OID "2", chip->product);
	made_extend_level(made->leaf, OID "3.9", chip->fmc);
	made_extend_level(made->leaf, OID "3.1", chip->bootloader);
	made_extend_level(made->leaf, OID "3.2", chip->tee);
	made_extend_level(made->leaf, OID "3.3", chip->snp);
	made_extend_level(made->leaf, OID "3.8", chip->microcode);
	if (chip->csp_id)
		extend_text(made->leaf, OID "5", chip->csp_id);
	if (chip->hwid_size)
		extend(made->leaf, OID "4", chip->hwid, chip->hwid_size);
	made_sign_cert(made->leaf, ask_key, true);
}

void made_finish(struct made *made)
{
	EVP_PKEY_free(made->leaf_key);
	X509_free(made->ark);
	X509_free(made->ask);
	X509_free(made->leaf);
}

struct attest_blob made_der(X509 *x509, const char *name_)
{
	struct attest_blob blob = {.name = name_};
	uint8_t *der = NULL, *copy;
	int size = i2d_X509(x509, &der);

	assert_true(size > 0);
	copy = malloc((size_t)size);
	memcpy(copy, der, (size_t)size);
	OPENSSL_free(der);
	blob.data = copy;
	blob.size = (size_t)size;
	return blob;
}

struct attest_blob made_pem(X509 *first, X509 *second, const char *name_)
{
	struct attest_blob blob = {.name = name_};
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;

	assert_int_equal(PEM_write_bio_X509(bio, first), 1);
	if (second)
		assert_int_equal(PEM_write_bio_X509(bio, second), 1);
	blob.size = (size_t)BIO_get_mem_data(bio, &text);
	copy = malloc(blob.size);
	memcpy(copy, text, blob.size);
	BIO_free(bio);
	blob.data = copy;
	return blob;
}

void made_sign(const struct made *made, struct abi_snp_report *report)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[160];
	const uint8_t *at = der;
	size_t size = sizeof(der);
	ECDSA_SIG *sig;

	report->signature_algo = 1;
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, made->leaf_key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &size, (const uint8_t *)report, 0x2a0), 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)size);
	memset(&report->signature, 0, sizeof(report->signature));
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), report->signature.r, 72), 72);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), report->signature.s, 72), 72);
	ECDSA_SIG_free(sig);
}
