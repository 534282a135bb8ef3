/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/x509v3.h>

#include "made.h"

static const struct made_chip turin = {"Turin-B0", NULL, {1, 2, 3, 4, 5, 6, 7, 8}, 8, 1, 2, 3, 4, 200};

/* Makes a report of version 5 as a Turin processor would make it; no genuine one is available. */
static struct abi_snp_report turin_report(void)
{
	struct abi_snp_report report = {
	        .version = 5,
	        .policy = 0x30000,
	        .cpuid_family = 0x1a,
	        .cpuid_model = 0x02,
	        .chip_id = {1, 2, 3, 4, 5, 6, 7, 8},
	        .reported_tcb = 0xc800000004030201,
	};

	return report;
}

static struct attest_evidence evidence_of(const struct made *made)
{
	return (struct attest_evidence){
	        .leaf = made_der(made->leaf, "leaf"),
	        .chain[0] = made_pem(made->ask, made->ark, "chain"),
	        .at = SAMPLE_TIME,
	};
}

static void verify(const struct made *made, const struct abi_snp_report *report, bool with_root,
        struct attest_verdict *ret_verdict)
{
	struct attest_evidence evidence = evidence_of(made);
	struct err err;

	if (with_root)
		evidence.root = made_pem(made->ark, NULL, "root");
	assert_ok(attest_report_verify(report, &evidence, ret_verdict, &err));
	sample_milan_free(&evidence);
}

static void test_made_chain_is_not_amds(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &turin);
	made_sign(&made, &report);
	verify(&made, &report, false, &verdict);
	assert_failed_checks(&verdict, "root");
	assert_non_null(strstr(check_named(&verdict, "root")->text, "none of AMD's root keys"));
	made_finish(&made);
}

static void test_made_turin_report_passes_only_with_its_root(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &turin);
	made_sign(&made, &report);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "");
	assert_non_null(strstr(check_named(&verdict, "root")->text, "NOT AMD'S"));
	assert_string_equal(check_named(&verdict, "tcb")->text,
	        "reported TCB: fmc 1, bootloader 2, tee 3, snp 4, microcode 200");
	made_finish(&made);
}

static void test_made_root_of_somebody_else_fails(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_evidence evidence;
	struct attest_verdict verdict;
	struct made made;
	struct err err;

	made_init(&made, &turin);
	made_sign(&made, &report);
	evidence = evidence_of(&made);
	evidence.root = made_pem(made.ask, NULL, "root");
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "root");
	sample_milan_free(&evidence);
	made_finish(&made);
}

/* Changes each field that the certificate binds, and signs again with the right key. */
static void test_made_report_that_disagrees_with_certificate_fails(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
		const char *failed;
	} rows[] = {
	        {offsetof(struct abi_snp_report, reported_tcb) + 0, 2, "tcb"}, /* fmc */
	        {offsetof(struct abi_snp_report, reported_tcb) + 1, 9, "tcb"}, /* bootloader */
	        {offsetof(struct abi_snp_report, reported_tcb) + 7, 199, "tcb"},
	        {offsetof(struct abi_snp_report, chip_id) + 7, 9, "chip-id"},
	        {offsetof(struct abi_snp_report, chip_id) + 8, 1, "chip-id"}, /* behind Turin's 8 bytes */
	        {offsetof(struct abi_snp_report, cpuid_family), 0x19, "product"},
	        {offsetof(struct abi_snp_report, cpuid_model), 0xff, "product"},
	        {offsetof(struct abi_snp_report, key_info), ABI_SNP_SIGNER_NONE << 2, "signer"},
	        {offsetof(struct abi_snp_report, key_info), ABI_SNP_KEY_MASKED, "signer"},
	        {offsetof(struct abi_snp_report, signature_algo), 2, "signature"},
	};
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &turin);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct abi_snp_report report = turin_report();

		((uint8_t *)&report)[rows[i].offset] = rows[i].value;
		made_sign(&made, &report);
		if (rows[i].offset == offsetof(struct abi_snp_report, signature_algo))
			report.signature_algo = rows[i].value;
		verify(&made, &report, true, &verdict);
		assert_failed_checks(&verdict, rows[i].failed);
	}
	made_finish(&made);
}

/* Other verifiers take the hardware id in this form, too: 04 08 and the id. */
static void test_made_hardware_id_as_octet_string_passes(void **state)
{
	struct made_chip wrapped = {"Turin-B0", NULL, {4, 8, 1, 2, 3, 4, 5, 6, 7, 8}, 10, 1, 2, 3, 4, 200};
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &wrapped);
	made_sign(&made, &report);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "");
	report.chip_id[7] ^= 1;
	made_sign(&made, &report);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "chip-id");
	made_finish(&made);
}

static void test_made_hidden_chip_id_fails(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	memset(report.chip_id, 0, sizeof(report.chip_id));
	made_init(&made, &turin);
	made_sign(&made, &report);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "chip-id");
	assert_non_null(strstr(check_named(&verdict, "chip-id")->text, "hides"));
	made_finish(&made);
}

static void test_made_vlek_report_names_its_provider(void **state)
{
	const struct made_chip milan = {"Milan-B1", "Cloud Provider", {0}, 0, -1, 3, 0, 22, 213};
	struct abi_snp_report report = {
	        .version = 3,
	        .policy = 0x30000,
	        .cpuid_family = 0x19,
	        .cpuid_model = 0x01,
	        .key_info = ABI_SNP_SIGNER_VLEK << 2,
	        .reported_tcb = 0xd516000000000003,
	};
	struct attest_evidence evidence;
	struct attest_verdict verdict;
	struct made made;
	struct err err;

	made_init(&made, &milan);
	made_sign(&made, &report);
	evidence = evidence_of(&made);
	evidence.root = made_der(made.ark, "root");
	evidence.wanted.csp_id = "Cloud Provider";
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	assert_non_null(strstr(check_named(&verdict, "provider")->text, "\"Cloud Provider\""));
	evidence.wanted.csp_id = "Cloud";
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "csp-id");
	evidence.wanted.csp_id = NULL;
	report.key_info |= ABI_SNP_KEY_MASKED; /* the host forbids its chip's key, which a VLEK is not */
	made_sign(&made, &report);
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	report.key_info = 0; /* says VCEK, the certificate is a VLEK */
	made_sign(&made, &report);
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "signer");
	sample_milan_free(&evidence);
	made_finish(&made);
}

/* The certificate of a chip key is not an authority, whatever is signed with the key. */
static void test_made_intermediate_that_is_no_authority_fails(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;
	int at;

	made_init(&made, &turin);
	made_sign(&made, &report);
	at = X509_get_ext_by_NID(made.ask, NID_basic_constraints, -1);
	X509_EXTENSION_free(X509_delete_ext(made.ask, at));
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "leaf-certificate ask-certificate");
	assert_non_null(
	        strstr(check_named(&verdict, "leaf-certificate")->text, "not a certificate authority"));
	made_finish(&made);
}

static void test_made_leaf_without_levels_or_owner_is_refused(void **state)
{
	struct made_chip no_levels = turin, no_owner = turin, both = turin;
	struct abi_snp_report report = turin_report();
	const struct {
		const struct made_chip *chip;
		const char *part;
	} rows[] = {{&no_levels, "no valid security level for \"snp\""}, {&no_owner, "hardware id"},
	        {&both, "either a chip's hardware id"}};
	struct attest_verdict verdict;
	struct err err;

	no_levels.snp = -1;
	no_owner.hwid_size = 0;
	both.csp_id = "Cloud Provider";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct attest_evidence evidence;
		struct made made;

		made_init(&made, rows[i].chip);
		evidence = evidence_of(&made);
		assert_fails(
		        attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, rows[i].part);
		sample_milan_free(&evidence);
		made_finish(&made);
	}
}

/* Changes one thing of a chain that is good otherwise, and signs it again with the right key. */
static void test_made_keys_of_other_kinds_fail(void **state)
{
	EVP_PKEY *p256 = EVP_EC_gen("P-256"), *rsa2048 = EVP_RSA_gen(2048);
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &turin);
	made_sign(&made, &report);
	X509_set_pubkey(made.leaf, p256);
	made_sign_cert(made.leaf, made.ask_key, true);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "signature leaf-certificate");
	assert_non_null(strstr(check_named(&verdict, "leaf-certificate")->text, "P-384"));
	X509_set_pubkey(made.leaf, made.leaf_key);
	made_sign_cert(made.leaf, made.ask_key, false);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "leaf-certificate");
	assert_non_null(strstr(check_named(&verdict, "leaf-certificate")->text, "RSA-PSS"));
	X509_set_pubkey(made.ask, rsa2048);
	made_sign_cert(made.ask, made.ark_key, true);
	made_sign_cert(made.leaf, rsa2048, true);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "leaf-certificate");
	assert_non_null(strstr(check_named(&verdict, "leaf-certificate")->text, "4096 bits"));
	made_finish(&made);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(rsa2048);
}

static void test_made_intermediate_for_another_use_fails(void **state)
{
	struct abi_snp_report report = turin_report();
	struct attest_verdict verdict;
	struct made made;

	made_init(&made, &turin);
	made_sign(&made, &report);
	X509_EXTENSION_free(X509_delete_ext(made.ask, X509_get_ext_by_NID(made.ask, NID_key_usage, -1)));
	made_extend(made.ask, NID_key_usage, "critical,digitalSignature");
	made_sign_cert(made.ask, made.ark_key, true);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "leaf-certificate ask-certificate");
	made_finish(&made);
	made_init(&made, &turin);
	X509_EXTENSION_free(
	        X509_delete_ext(made.ask, X509_get_ext_by_NID(made.ask, NID_basic_constraints, -1)));
	made_extend(made.ask, NID_basic_constraints, "critical,CA:FALSE");
	made_sign_cert(made.ask, made.ark_key, true);
	made_sign(&made, &report);
	verify(&made, &report, true, &verdict);
	assert_failed_checks(&verdict, "leaf-certificate ask-certificate");
	made_finish(&made);
}

static void test_made_levels_written_twice_or_badly_are_refused(void **state)
{
	struct abi_snp_report report = turin_report();
	struct made_chip negative = turin;
	struct attest_evidence evidence;
	struct attest_verdict verdict;
	struct made made;
	struct err err;

	made_init(&made, &turin);
	made_extend_level(made.leaf, "1.3.6.1.4.1.3704.1.3.3", 4);
	made_sign_cert(made.leaf, made.ask_key, true);
	evidence = evidence_of(&made);
	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, "\"snp\"");
	sample_milan_free(&evidence);
	made_finish(&made);
	negative.microcode = 0x100 | 0xc8; /* made_extend_level() writes it as 02 01 c8, a negative number */
	made_init(&made, &negative);
	evidence = evidence_of(&made);
	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, "\"microcode\"");
	sample_milan_free(&evidence);
	made_finish(&made);
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_made_chain_is_not_amds),
	        cmocka_unit_test(test_made_turin_report_passes_only_with_its_root),
	        cmocka_unit_test(test_made_root_of_somebody_else_fails),
	        cmocka_unit_test(test_made_report_that_disagrees_with_certificate_fails),
	        cmocka_unit_test(test_made_hardware_id_as_octet_string_passes),
	        cmocka_unit_test(test_made_hidden_chip_id_fails),
	        cmocka_unit_test(test_made_vlek_report_names_its_provider),
	        cmocka_unit_test(test_made_intermediate_that_is_no_authority_fails),
	        cmocka_unit_test(test_made_leaf_without_levels_or_owner_is_refused),
	        cmocka_unit_test(test_made_keys_of_other_kinds_fail),
	        cmocka_unit_test(test_made_intermediate_for_another_use_fails),
	        cmocka_unit_test(test_made_levels_written_twice_or_badly_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
