/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP's certificates and the keys of the simulation's authorities, judged by libcrypto's verifier. The
 * expected values were read from genuine certificates.
 */
#include <openssl/bn.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "psp_bench.h"

static X509 *x509_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

/* As `openssl verify -check_ss_sig -CAfile ARK -untrusted ASK VCEK`. */
static int chain_fault(X509 *leaf, X509 *ask, X509 *ark)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	int fault;

	assert_int_equal(X509_STORE_add_cert(store, ark), 1);
	X509_STORE_set_flags(store, X509_V_FLAG_CHECK_SS_SIGNATURE);
	sk_X509_push(untrusted, ask);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, untrusted), 1);
	fault = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	sk_X509_free(untrusted);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return fault;
}

static void test_psp_snp_certificates_verify_with_libcrypto(void **state)
{
	static const char *const products[] = {"Milan", "Genoa", "Turin"};
	X509 *vcek[3], *ask[3], *ark[3];

	for (size_t i = 0; i < ARRAY_LEN(products); i++) {
		struct psp *psp = bench_psp(products[i]);
		char *leaf, *chain;
		struct err err;

		assert_ok(psp_export_snp_certs(psp, &leaf, &chain, &err));
		vcek[i] = x509_of(leaf);
		ask[i] = x509_of(chain);
		ark[i] = x509_of(strstr(chain + 1, "-----BEGIN"));
		assert_int_equal(chain_fault(vcek[i], ask[i], ark[i]), X509_V_OK);
		free(leaf);
		free(chain);
		psp_destroy(psp);
	}
	assert_int_not_equal(chain_fault(vcek[0], ask[1], ark[1]), X509_V_OK);
	assert_int_not_equal(chain_fault(vcek[0], ask[0], ark[1]), X509_V_OK);
	for (size_t i = 0; i < ARRAY_LEN(products); i++) {
		X509_free(vcek[i]);
		X509_free(ask[i]);
		X509_free(ark[i]);
	}
}

/* Follows the search from its fixed start to the first factor. Both factors must be primes. */
static void is_made_of_primes(const char *product, const char *role, EVP_PKEY *key)
{
	BIGNUM *n = NULL, *p, *q = BN_new(), *rest = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	size_t bytes = (size_t)EVP_PKEY_get_bits(key) / 16, have = 0;
	uint8_t message[64] = {0}, stream[8 * 48] = {0};
	static const uint8_t zeros[48];

	assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
	for (uint8_t i = 1; have < bytes; i++, have += 48) {
		message[0] = i;
		size_t label = (size_t)snprintf((char *)message + 4, 40, "%s %s", product, role) + 1;
		memset(message + 4 + label, 0, 8);
		HMAC(EVP_sha384(), zeros, sizeof(zeros), message, 4 + label + 8, stream + have, NULL);
	}
	stream[0] |= 0xc0;
	stream[bytes - 1] |= 1;
	p = BN_bin2bn(stream, (int)bytes, NULL);
	BN_div(q, rest, n, p, ctx);
	for (int step = 0; !BN_is_zero(rest) && step < 5000; step++) {
		BN_add_word(p, 2);
		BN_div(q, rest, n, p, ctx);
	}
	assert_true(BN_is_zero(rest));
	assert_int_equal(BN_check_prime(p, ctx, NULL), 1);
	assert_int_equal(BN_check_prime(q, ctx, NULL), 1);
	assert_int_equal(BN_num_bits(n), EVP_PKEY_get_bits(key));
	BN_free(n);
	BN_free(p);
	BN_free(q);
	BN_free(rest);
	BN_CTX_free(ctx);
}

static void says(const X509_NAME *name, const char *wanted)
{
	char text[400];

	X509_NAME_oneline(name, text, sizeof(text));
	assert_non_null(strstr(text, wanted));
}

/* The key's id is that of RFC 5280, which is AMD's, too. */
static void names_its_key(X509 *x509)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(x509);
	unsigned char wanted[20];

	assert_int_equal(X509_pubkey_digest(x509, EVP_sha1(), wanted, NULL), 1);
	assert_int_equal(ASN1_STRING_length(id), sizeof(wanted));
	assert_memory_equal(ASN1_STRING_get0_data(id), wanted, sizeof(wanted));
}

/* The authorities of a chain: names, what they may sign, keys. */
static void check_authorities(const char *product, const char *chain, const char *name, const char *role)
{
	X509 *ca = x509_of(chain), *ark = x509_of(strstr(chain + 1, "-----BEGIN"));
	char cn[64];

	snprintf(cn, sizeof(cn), "CN=SIMULATED-ARK-%s", product);
	says(X509_get_subject_name(ark), cn);
	snprintf(cn, sizeof(cn), "CN=SIMULATED-%s-%s", name, product);
	says(X509_get_subject_name(ca), cn);
	assert_int_equal(X509_check_ca(ark), 1);
	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_pathlen(ark), -1);
	assert_int_equal(X509_get_pathlen(ca), 0);
	names_its_key(ark);
	names_its_key(ca);
	is_made_of_primes(product, role, X509_get0_pubkey(ca));
	X509_free(ca);
	X509_free(ark);
}

static void test_psp_root_keys_are_made_of_primes_and_say_what_they_are(void **state)
{
	static const char *const products[] = {"Milan", "Genoa", "Turin"};

	for (size_t i = 0; i < ARRAY_LEN(products); i++) {
		struct psp *psp = bench_psp(products[i]);
		char *vcek, *chain, *vlek, *vlek_chain;
		uint8_t wrapped[PSP_VLEK_BYTES];
		struct err err;

		assert_ok(psp_export_snp_certs(psp, &vcek, &chain, &err));
		assert_ok(psp_export_vlek(psp, "cloud.example", wrapped, &vlek, &vlek_chain, &err));
		check_authorities(products[i], chain, "SEV", "ASK");
		check_authorities(products[i], vlek_chain, "SEV-VLEK", "ASVK");
		assert_string_equal(strstr(chain + 1, "-----BEGIN"), strstr(vlek_chain + 1, "-----BEGIN"));
		X509 *ark = x509_of(strstr(chain + 1, "-----BEGIN"));
		is_made_of_primes(products[i], "ARK", X509_get0_pubkey(ark));
		X509_free(ark);
		free(vcek);
		free(chain);
		free(vlek);
		free(vlek_chain);
		psp_destroy(psp);
	}
}

/* The value of an extension below AMD's arc: a DER IA5String. */
static void has_string(const X509 *x509, const char *oid, const char *wanted)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	X509_EXTENSION *extension = X509_get_ext(x509, X509_get_ext_by_OBJ(x509, object, -1));
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
	const uint8_t *at = ASN1_STRING_get0_data(value);

	assert_int_equal(ASN1_STRING_length(value), 2 + strlen(wanted));
	assert_int_equal(at[0], V_ASN1_IA5STRING);
	assert_memory_equal(at + 2, wanted, strlen(wanted));
	ASN1_OBJECT_free(object);
}

/* In genuine ones "Milan-B0" stands in the VCEK, "Milan" in the VLEK, and before the provider's id "CN=". */
static void test_psp_vlek_names_product_and_provider_as_genuine_ones_do(void **state)
{
	static const char *const names[][2] = {{"Milan", "Milan-B0"}, {"Genoa", "Genoa"}, {"Turin", "Turin"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct psp *psp = bench_psp(names[i][0]);
		char *vcek_pem, *chain, *vlek_pem, *vlek_chain;
		uint8_t wrapped[PSP_VLEK_BYTES];
		struct err err;

		assert_ok(psp_export_snp_certs(psp, &vcek_pem, &chain, &err));
		assert_ok(psp_export_vlek(psp, "cloud.example", wrapped, &vlek_pem, &vlek_chain, &err));
		X509 *vcek = x509_of(vcek_pem), *vlek = x509_of(vlek_pem), *ask = x509_of(chain);
		X509 *asvk = x509_of(vlek_chain), *ark = x509_of(strstr(chain + 1, "-----BEGIN"));
		has_string(vcek, "1.3.6.1.4.1.3704.1.2", names[i][1]);
		has_string(vlek, "1.3.6.1.4.1.3704.1.2", names[i][0]);
		has_string(vlek, "1.3.6.1.4.1.3704.1.5", "CN=cloud.example");
		assert_int_equal(chain_fault(vlek, asvk, ark), X509_V_OK);
		assert_int_not_equal(chain_fault(vlek, ask, ark), X509_V_OK);
		assert_int_not_equal(chain_fault(vcek, asvk, ark), X509_V_OK);
		X509_free(vcek);
		X509_free(vlek);
		X509_free(ask);
		X509_free(asvk);
		X509_free(ark);
		free(vcek_pem);
		free(chain);
		free(vlek_pem);
		free(vlek_chain);
		psp_destroy(psp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_snp_certificates_verify_with_libcrypto),
	        cmocka_unit_test(test_psp_root_keys_are_made_of_primes_and_say_what_they_are),
	        cmocka_unit_test(test_psp_vlek_names_product_and_provider_as_genuine_ones_do),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
