/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"
#include "vmm/abi/policy.h"

static void test_verify_genuine_milan_reports_pass(void **state)
{
	for (char which = 'a'; which <= 'b'; which++) {
		struct abi_snp_report report;
		struct attest_evidence evidence = sample_milan(which, &report);
		struct attest_verdict verdict;
		struct err err;

		assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
		assert_failed_checks(&verdict, "");
		assert_string_equal(check_named(&verdict, "root")->text, "AMD's root key for Milan");
		assert_int_equal(check_named(&verdict, "chip-id")->result, ATTEST_PASSED);
		assert_int_equal(check_named(&verdict, "tcb")->result, ATTEST_PASSED);
		sample_milan_free(&evidence);
	}
}

static void test_verify_debug_policy_is_noted(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);
	struct attest_verdict verdict;
	struct err err;

	assert_true(report.policy & ABI_SNP_POLICY_DEBUG);
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_int_equal(check_named(&verdict, "debug")->result, ATTEST_NOTE);
	sample_milan_free(&evidence);
}

static void test_verify_another_chips_vcek_fails(void **state)
{
	struct abi_snp_report report, other;
	struct attest_evidence evidence = sample_milan('a', &report), wrong = sample_milan('b', &other);
	struct attest_verdict verdict;
	struct err err;

	assert_ok(attest_report_verify(&report, &wrong, &verdict, &err));
	assert_failed_checks(&verdict, "signature tcb chip-id");
	sample_milan_free(&evidence);
	sample_milan_free(&wrong);
}

static void test_verify_another_products_chain_fails(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);
	struct attest_verdict verdict;
	struct err err;

	sample_free(&evidence.chain[0]);
	evidence.chain[0] = sample("ask_ark_genoa.pem");
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "leaf-certificate product");
	sample_milan_free(&evidence);
}

static void test_verify_vlek_chain_does_not_sign_a_vcek(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);
	struct attest_verdict verdict;
	struct err err;

	sample_free(&evidence.chain[0]);
	evidence.chain[0] = sample("ask_ark_milan_vlek.pem");
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "leaf-certificate");
	sample_milan_free(&evidence);
}

/*
 * Verifies the real Turin certificate up to AMD's Turin root, which is all that a chain can show without a
 * report.
 */
static void test_verify_genuine_turin_chain_holds(void **state)
{
	static const char *const passed[] = {"leaf-certificate", "ask-certificate", "ark-certificate", "root",
	        "leaf-dates", "ask-dates", "ark-dates"};
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);
	struct attest_verdict verdict;
	struct err err;

	sample_milan_free(&evidence);
	evidence.leaf = sample("turin-vcek.der");
	evidence.chain[0] = sample("ask_ark_turin_vcek.pem");
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "signature tcb chip-id");
	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		assert_int_equal(check_named(&verdict, passed[i])->result, ATTEST_PASSED);
	assert_string_equal(check_named(&verdict, "root")->text, "AMD's root key for Turin");
	assert_non_null(strstr(check_named(&verdict, "tcb")->text, "fmc "));
	sample_milan_free(&evidence);
}

static void test_verify_dates_outside_fail(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report);
	struct attest_verdict verdict;
	struct err err;

	evidence.at = 1900000000; /* 2030-03-17, the VCEK ended in 2029 */
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "leaf-dates");
	evidence.at = 1600000000; /* 2020-09-13, before all */
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "leaf-dates ask-dates ark-dates");
	sample_milan_free(&evidence);
}

static void test_verify_every_wanted_field_is_judged(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('b', &report);
	struct attest_verdict verdict;
	struct err err;

	for (int field = 0; field < ATTEST_FIELDS; field++) {
		const struct attest_field_info *info = &attest_fields[field];

		evidence.wanted = (struct attest_wanted){0};
		evidence.wanted.field_given[field] = true;
		memcpy(evidence.wanted.field[field], (const uint8_t *)&report + info->offset, info->size);
		assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
		assert_failed_checks(&verdict, "");
		evidence.wanted.field[field][info->size - 1] ^= 1;
		assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
		assert_failed_checks(&verdict, info->name);
	}
	sample_milan_free(&evidence);
}

static void test_verify_minimal_levels_are_judged(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('b', &report);
	struct attest_verdict verdict;
	struct err err;

	/* Report b: bootloader 3, tee 0, snp 8, microcode 115. */
	evidence.wanted.tcb_given[ATTEST_TCB_SNP] = evidence.wanted.tcb_given[ATTEST_TCB_MICROCODE] = true;
	evidence.wanted.tcb[ATTEST_TCB_SNP] = 8;
	evidence.wanted.tcb[ATTEST_TCB_MICROCODE] = 100;
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	evidence.wanted.tcb[ATTEST_TCB_SNP] = 9;
	evidence.wanted.guest_svn_given = true;
	evidence.wanted.guest_svn = 1;
	evidence.wanted.tcb_given[ATTEST_TCB_FMC] = true; /* Milan has none */
	evidence.wanted.csp_id = "a provider";
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "min-tcb min-tcb min-guest-svn csp-id");
	assert_string_equal(
	        check_named(&verdict, "min-tcb")->text, "this product has no fmc, wanted at least 0");
	sample_milan_free(&evidence);
}

static void test_verify_missing_certificates_are_named(void **state)
{
	struct abi_snp_report report;
	struct attest_evidence evidence = sample_milan('a', &report), empty = {0};
	struct attest_verdict verdict;
	struct err err;

	assert_fails(attest_report_verify(&report, &empty, &verdict, &err), ERR_USAGE, "the VCEK");
	sample_free(&evidence.chain[0]);
	assert_fails(attest_report_verify(&report, &evidence, &verdict, &err), ERR_USAGE, "(ASK)");
	sample_milan_free(&evidence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_verify_genuine_milan_reports_pass),
	        cmocka_unit_test(test_verify_debug_policy_is_noted),
	        cmocka_unit_test(test_verify_another_chips_vcek_fails),
	        cmocka_unit_test(test_verify_another_products_chain_fails),
	        cmocka_unit_test(test_verify_vlek_chain_does_not_sign_a_vcek),
	        cmocka_unit_test(test_verify_genuine_turin_chain_holds),
	        cmocka_unit_test(test_verify_dates_outside_fail),
	        cmocka_unit_test(test_verify_every_wanted_field_is_judged),
	        cmocka_unit_test(test_verify_minimal_levels_are_judged),
	        cmocka_unit_test(test_verify_missing_certificates_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
