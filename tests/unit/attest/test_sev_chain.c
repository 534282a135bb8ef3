/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform's chain made with OpenSSL alone; no genuine one is in the tree.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "made.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/attest/sev.h"

enum { PDH, PEK, OCA, CEK, CERTS };

struct platform {
	struct made made; /* its RSA keys are ARK and ASK */
	EVP_PKEY *keys[CERTS];
	struct abi_sev_cert certs[CERTS];
	uint8_t amd[2 * 1600]; /* ASK, ARK */
	size_t amd_size;       /* of each */
};

static void reverse(uint8_t *dst, const uint8_t *src, size_t size)
{
	for (size_t i = 0; i < size; i++)
		dst[i] = src[size - 1 - i];
}

static void body(struct abi_sev_cert *cert, EVP_PKEY *key, uint32_t usage, uint32_t algo)
{
	uint8_t point[97];
	size_t size;

	*cert = (struct abi_sev_cert){
	        .version = 1, .api_minor = 24, .usage = usage, .algo = algo, .ec.curve = 2};
	assert_int_equal(
	        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size),
	        1);
	reverse(cert->ec.qx, point + 1, 48);
	reverse(cert->ec.qy, point + 49, 48);
	cert->sig[0].usage = cert->sig[1].usage = 0x1000;
}

static void sign_p384(EVP_PKEY *key, const void *data, size_t data_size, uint8_t r[72], uint8_t s[72])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[160];
	const uint8_t *at = der;
	size_t size = sizeof(der);
	ECDSA_SIG *pair;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &size, data, data_size), 1);
	pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(pair), r, 72), 72);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(pair), s, 72), 72);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(ctx);
}

static void sign_ec(struct abi_sev_cert *cert, int slot, EVP_PKEY *key, uint32_t usage)
{
	struct abi_sev_signature *sig = &cert->sig[slot];

	*sig = (struct abi_sev_signature){.usage = usage, .algo = 0x102};
	sign_p384(key, cert, 0x414, sig->ecdsa.r, sig->ecdsa.s);
}

static void sign_report(struct abi_sev_report *report, EVP_PKEY *pek)
{
	report->sig_usage = 0x1002;
	report->sig_algo = 0x102;
	sign_p384(pek, report, 0x34, report->r, report->s);
}

/* RSA keys of 4096 bits sign with SHA-384; those of Naples, 2048 bits, with SHA-256. */
static void sign_rsa(const void *data, size_t data_size, EVP_PKEY *key, uint8_t *ret_sig)
{
	bool naples = EVP_PKEY_get_bits(key) == 2048;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	uint8_t sig[512];
	size_t size = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, naples ? EVP_sha256() : EVP_sha384(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, naples ? 32 : 48), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &size, data, data_size), 1);
	reverse(ret_sig, sig, size);
	EVP_MD_CTX_free(ctx);
}

static void make_amd(uint8_t *cert, EVP_PKEY *key, EVP_PKEY *signer, uint32_t usage, uint8_t certifying_id)
{
	int bytes = EVP_PKEY_get_bits(key) / 8;
	BIGNUM *n = NULL, *e = NULL;

	memset(cert, 0, 0x40);
	store_le(cert, 4, 1);
	memset(cert + 4, usage ? 0x22 : 0x11, 16);
	memset(cert + 0x14, certifying_id, 16);
	store_le(cert + 0x24, 4, usage);
	store_le(cert + 0x38, 4, 8u * (unsigned)bytes);
	store_le(cert + 0x3c, 4, 8u * (unsigned)bytes);
	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e);
	EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n);
	BN_bn2lebinpad(e, cert + 0x40, bytes);
	BN_bn2lebinpad(n, cert + 0x40 + bytes, bytes);
	BN_free(e);
	BN_free(n);
	sign_rsa(cert, 0x40 + 2 * (size_t)bytes, signer, cert + 0x40 + 2 * bytes);
}

/* CEK, ASK and ARK by these RSA keys. */
static void sign_by_amd(struct platform *p, EVP_PKEY *ask, EVP_PKEY *ark)
{
	bool naples = EVP_PKEY_get_bits(ask) == 2048;

	p->certs[CEK].sig[0] = (struct abi_sev_signature){.usage = 0x13, .algo = naples ? 1 : 0x101};
	sign_rsa(&p->certs[CEK], 0x414, ask, p->certs[CEK].sig[0].rsa);
	p->amd_size = naples ? 832 : 1600;
	make_amd(p->amd, ask, ark, 0x13, 0x11);
	make_amd(p->amd + p->amd_size, ark, ark, 0, 0x11);
}

static struct platform *platform_new(void)
{
	static const struct made_chip unused = {"Milan", NULL, {1}, 64, -1, 0, 0, 0, 0};
	static const uint32_t usages[] = {0x1003, 0x1002, 0x1001, 0x1004};
	struct platform *p = calloc(1, sizeof(*p));

	made_init(&p->made, &unused);
	for (int i = 0; i < CERTS; i++) {
		p->keys[i] = EVP_EC_gen("P-384");
		body(&p->certs[i], p->keys[i], usages[i], i == PDH ? 0x103 : 0x102);
	}
	sign_ec(&p->certs[PDH], 0, p->keys[PEK], 0x1002);
	sign_ec(&p->certs[PEK], 0, p->keys[OCA], 0x1001);
	sign_ec(&p->certs[PEK], 1, p->keys[CEK], 0x1004);
	sign_ec(&p->certs[OCA], 0, p->keys[OCA], 0x1001);
	sign_by_amd(p, p->made.ask_key, p->made.ark_key);
	return p;
}

static void platform_free(struct platform *p)
{
	for (int i = 0; i < CERTS; i++)
		EVP_PKEY_free(p->keys[i]);
	made_finish(&p->made);
	free(p);
}

static struct attest_sev_evidence evidence_of(const struct platform *p)
{
	return (struct attest_sev_evidence){
	        .pdh = {p->certs, sizeof(p->certs), "pdh"},
	        .amd = {p->amd, 2 * p->amd_size, "amd"},
	        .root = {p->amd + p->amd_size, p->amd_size, "root"},
	};
}

static void test_sev_chain_passes_with_its_root_only(void **state)
{
	struct platform *p = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	assert_non_null(strstr(check_named(&verdict, "root")->text, "NOT AMD'S"));
	evidence.root.size = 0;
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "root");
	platform_free(p);
}

static void test_sev_chain_in_other_files_and_orders_passes(void **state)
{
	struct platform *p = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct abi_sev_signature first = p->certs[PEK].sig[0];
	struct attest_verdict verdict;
	uint8_t amd[2][1600];
	struct err err;

	p->certs[PEK].sig[0] = p->certs[PEK].sig[1];
	p->certs[PEK].sig[1] = first;
	memcpy(amd[0], p->amd + 1600, 1600);
	memcpy(amd[1], p->amd, 1600);
	evidence.pdh.size = sizeof(p->certs[PDH]);
	evidence.chain = (struct attest_blob){&p->certs[PEK], 3 * sizeof(p->certs[0]), "chain"};
	evidence.amd.data = amd;
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	platform_free(p);
}

static bool passes(const struct platform *p)
{
	struct attest_sev_evidence evidence = evidence_of(p);
	struct attest_verdict verdict = {0};

	return attest_sev_verify(&evidence, &verdict, NULL) == 0 && verdict.passed;
}

static void flip_each(struct platform *p, void *victim, size_t size, size_t step)
{
	uint8_t *bytes = victim;

	assert_true(passes(p));
	for (size_t i = 0; i < size; i += step) {
		bytes[i] ^= (uint8_t)(1u << (i % 8));
		if (passes(p))
			fail_msg("byte %#zx flipped still passes", i);
		bytes[i] ^= (uint8_t)(1u << (i % 8));
	}
}

/* All of the PDH; the others have the same form and are tried at every third byte. */
static void test_sev_chain_flips_fail(void **state)
{
	struct platform *p = platform_new();

	flip_each(p, &p->certs[PDH], sizeof(p->certs[0]), 1);
	flip_each(p, &p->certs[PEK], 3 * sizeof(p->certs[0]), 3);
	flip_each(p, p->amd, p->amd_size, 3);
	platform_free(p);
}

static void test_sev_chain_of_naples_passes_and_its_padding_is_watched(void **state)
{
	EVP_PKEY *ask = EVP_RSA_gen(2048), *ark = EVP_RSA_gen(2048);
	struct platform *p = platform_new();

	sign_by_amd(p, ask, ark);
	assert_true(passes(p));
	for (size_t i = 256; i < 512; i++) { /* behind the signature of 2048 bits */
		p->certs[CEK].sig[0].rsa[i] = 1;
		assert_false(passes(p));
		p->certs[CEK].sig[0].rsa[i] = 0;
	}
	flip_each(p, p->amd, p->amd_size, 5);
	platform_free(p);
	EVP_PKEY_free(ask);
	EVP_PKEY_free(ark);
}

static void test_sev_ask_that_names_another_signer_fails(void **state)
{
	struct platform *p = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct attest_verdict verdict;
	struct err err;

	make_amd(p->amd, p->made.ask_key, p->made.ark_key, 0x13, 0x33);
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "ask");
	platform_free(p);
}

static void test_sev_links_by_strangers_fail(void **state)
{
	struct platform *p = platform_new(), *stranger = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct attest_verdict verdict;
	struct err err;

	p->certs[PDH] = stranger->certs[PDH];
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "pdh");
	p->certs[CEK] = stranger->certs[CEK];
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "pdh pek-chip");
	platform_free(p);
	platform_free(stranger);
}

static void test_sev_files_that_are_wrong_are_refused(void **state)
{
	uint8_t longer[2 * 1600 + 1] = {0};
	struct platform *p = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct attest_verdict verdict;
	struct err err;

	evidence.pdh.size = 100;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "needed to verify it");
	evidence.pdh.size = 2084;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "--chain");
	evidence = evidence_of(p);
	evidence.pdh = (struct attest_blob){&p->certs[PEK], 2084, "pek"};
	evidence.chain = (struct attest_blob){&p->certs[PEK], 3 * 2084, "chain"};
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "is of a PEK; that of the PDH");
	evidence = evidence_of(p);
	evidence.amd.size = 1600;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "is not an ASK or ARK");
	evidence.amd.size = 1700;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "ends within the ARK");
	memcpy(longer, p->amd, sizeof(p->amd));
	evidence.amd = (struct attest_blob){longer, sizeof(longer), "amd"};
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "and nothing else");
	evidence = evidence_of(p);
	evidence.root = (struct attest_blob){longer + 1600, 1601, "root"};
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "one ARK belongs here");
	evidence = evidence_of(p);
	evidence.amd.size = 0;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "--amd");
	evidence = evidence_of(p);
	p->certs[CEK].ec.qy[0] ^= 1;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "P-384");
	p->certs[CEK].version = 2;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "version 2");
	platform_free(p);
}

static void test_sev_report_passes_as_wanted_only(void **state)
{
	struct platform *p = platform_new();
	struct attest_sev_evidence evidence = evidence_of(p);
	struct abi_sev_report report = {.mnonce = {1, 2, 3}, .digest = {4, 5, 6}, .policy = 5};
	uint8_t digest[32] = {4, 5, 6}, mnonce[16] = {1, 2, 3};
	uint32_t policy = 5;
	struct attest_verdict verdict;
	struct err err;

	sign_report(&report, p->keys[PEK]);
	evidence.report = (struct attest_blob){&report, sizeof(report), "report"};
	evidence.digest = digest;
	evidence.mnonce = mnonce;
	evidence.policy = &policy;
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	digest[31] = mnonce[15] = 1;
	policy = 4;
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "digest mnonce policy");
	evidence.digest = evidence.mnonce = NULL;
	evidence.policy = NULL;
	assert_ok(attest_sev_verify(&evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	assert_check_says(&verdict, "digest", "was not judged: without --digest");
	assert_check_says(&verdict, "mnonce", "was not judged: without --mnonce");
	for (size_t i = 0; i < sizeof(report); i++) {
		((uint8_t *)&report)[i] ^= (uint8_t)(1u << (i % 8));
		assert_ok(attest_sev_verify(&evidence, &verdict, &err));
		assert_failed_checks(&verdict, "report");
		((uint8_t *)&report)[i] ^= (uint8_t)(1u << (i % 8));
	}
	evidence.report.size--;
	assert_fails(attest_sev_verify(&evidence, &verdict, &err), ERR_USAGE, "has 207 bytes");
	platform_free(p);
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sev_chain_passes_with_its_root_only),
	        cmocka_unit_test(test_sev_chain_in_other_files_and_orders_passes),
	        cmocka_unit_test(test_sev_chain_flips_fail),
	        cmocka_unit_test(test_sev_chain_of_naples_passes_and_its_padding_is_watched),
	        cmocka_unit_test(test_sev_ask_that_names_another_signer_fails),
	        cmocka_unit_test(test_sev_links_by_strangers_fail),
	        cmocka_unit_test(test_sev_files_that_are_wrong_are_refused),
	        cmocka_unit_test(test_sev_report_passes_as_wanted_only),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
