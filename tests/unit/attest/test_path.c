/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains that are signed correctly but are refused by RFC 5280 or AMD's rules.
 */
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "made.h"

static const struct made_chip vcek = {"Turin-B0", NULL, {1, 2, 3, 4, 5, 6, 7, 8}, 8, 1, 2, 3, 4, 200};
static const struct made_chip vlek = {"Turin", "CN=a provider", {0}, 0, 1, 2, 3, 4, 200};

static struct abi_snp_report report_of(const struct made *made, const struct made_chip *chip)
{
	struct abi_snp_report report = {
	        .version = 5,
	        .policy = 0x30000,
	        .cpuid_family = 0x1a,
	        .cpuid_model = 0x02,
	        .key_info = chip->csp_id ? ABI_SNP_SIGNER_VLEK << 2 : 0,
	        .chip_id = {1, 2, 3, 4, 5, 6, 7, 8},
	        .reported_tcb = 0xc800000004030201,
	};

	made_sign(made, &report);
	return report;
}

/* Asserts that exactly these checks fail, and that the first of them says why. */
static void fails_in(struct made *made, const struct made_chip *chip, const char *checks, const char *why)
{
	struct abi_snp_report report = report_of(made, chip);
	struct attest_evidence evidence = {
	        .leaf = made_der(made->leaf, "leaf"),
	        .chain[0] = made_pem(made->ask, made->ark, "chain"),
	        .root = made_pem(made->ark, NULL, "root"),
	        .at = SAMPLE_TIME,
	};
	struct attest_verdict verdict;
	char first[40] = "";
	struct err err;

	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, checks);
	sscanf(checks, "%39s", first);
	if (*first)
		assert_check_says(&verdict, first, why);
	sample_milan_free(&evidence);
	made_finish(made);
}

static void replace(X509 *x, int nid, const char *value)
{
	int at = X509_get_ext_by_NID(x, nid, -1);

	if (at >= 0)
		X509_EXTENSION_free(X509_delete_ext(x, at));
	if (value)
		made_extend(x, nid, value);
}

static void test_path_as_it_must_be_passes(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	fails_in(&made, &vcek, "", "");
	made_init(&made, &vlek);
	fails_in(&made, &vlek, "", "");
}

static void test_path_longer_than_its_root_allows_fails(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	replace(made.ark, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	made_sign_cert(made.ark, made.ark_key, true);
	fails_in(&made, &vcek, "ark-certificate", "path length constraint exceeded");
	made_init(&made, &vcek);
	replace(made.ask, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"); /* as AMD's has it */
	made_sign_cert(made.ask, made.ark_key, true);
	fails_in(&made, &vcek, "", "");
}

static void test_path_with_an_unknown_critical_extension_fails(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	made_extend_unknown(made.ask);
	made_sign_cert(made.ask, made.ark_key, true);
	fails_in(&made, &vcek, "ask-certificate", "unhandled critical extension");
	made_init(&made, &vcek);
	made_extend_unknown(made.leaf);
	made_sign_cert(made.leaf, made.ask_key, true);
	fails_in(&made, &vcek, "leaf-certificate", "unhandled critical extension");
	made_init(&made, &vcek);
	made_extend_unknown(made.ark);
	made_sign_cert(made.ark, made.ark_key, true);
	fails_in(&made, &vcek, "ark-certificate", "unhandled critical extension");
}

static void test_path_to_a_leaf_that_is_an_authority_fails(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	made_extend(made.leaf, NID_basic_constraints, "critical,CA:TRUE");
	made_sign_cert(made.leaf, made.ask_key, true);
	fails_in(&made, &vcek, "leaf-certificate", "certificate authority, which a chip's key is not");
}

static void test_path_to_a_leaf_that_may_not_sign_fails(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	made_extend(made.leaf, NID_key_usage, "critical,keyAgreement");
	made_sign_cert(made.leaf, made.ask_key, true);
	fails_in(&made, &vcek, "leaf-certificate", "key usage");
	made_init(&made, &vcek);
	made_extend(made.leaf, NID_key_usage, "critical,digitalSignature");
	made_sign_cert(made.leaf, made.ask_key, true);
	fails_in(&made, &vcek, "", "");
}

static void test_path_signed_with_other_pss_parameters_fails(void **state)
{
	const struct {
		const EVP_MD *mgf1;
		int salt;
	} rows[] = {
	        {EVP_sha1(), 0}, {EVP_sha1(), 48}, {EVP_sha384(), 0}, {EVP_sha384(), 32}, {EVP_sha256(), 48}};
	struct made made;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		made_init(&made, &vcek);
		made_sign_cert_pss(made.leaf, made.ask_key, rows[i].mgf1, rows[i].salt);
		fails_in(&made, &vcek, "leaf-certificate", "a salt of 48 bytes");
	}
	made_init(&made, &vcek);
	made_sign_cert_pss(made.ark, made.ark_key, EVP_sha384(), 20);
	fails_in(&made, &vcek, "ark-certificate", "a salt of 48 bytes");
	made_init(&made, &vcek);
	made_sign_cert_pss(made.leaf, made.ask_key, EVP_sha384(), 48);
	fails_in(&made, &vcek, "", "");
}

static void rename_ask(struct made *made, const char *cn)
{
	made_rename(made->ask, true, cn);
	made_sign_cert(made->ask, made->ark_key, true);
	made_rename(made->leaf, false, cn);
	made_sign_cert(made->leaf, made->ask_key, true);
}

static void test_path_through_the_other_keys_authority_fails(void **state)
{
	struct made made;

	made_init(&made, &vcek);
	rename_ask(&made, "SEV-VLEK-Turin");
	fails_in(&made, &vcek, "leaf-certificate", "a VCEK is not signed by the authority for VLEKs");
	made_init(&made, &vlek);
	rename_ask(&made, "SEV-Turin");
	fails_in(&made, &vlek, "leaf-certificate", "a VLEK is signed by an authority named SEV-VLEK");
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_path_as_it_must_be_passes),
	        cmocka_unit_test(test_path_longer_than_its_root_allows_fails),
	        cmocka_unit_test(test_path_with_an_unknown_critical_extension_fails),
	        cmocka_unit_test(test_path_to_a_leaf_that_is_an_authority_fails),
	        cmocka_unit_test(test_path_to_a_leaf_that_may_not_sign_fails),
	        cmocka_unit_test(test_path_signed_with_other_pss_parameters_fails),
	        cmocka_unit_test(test_path_through_the_other_keys_authority_fails),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
