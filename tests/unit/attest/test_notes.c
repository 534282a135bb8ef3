/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes, which fail nothing: on odd values of a report, and on values that no option asked about; and the
 * options that demand or accept such values.
 */
#include "made.h"

static const struct made_chip chip = {"Milan-B0", NULL, {1, [63] = 2}, 64, -1, 3, 0, 8, 115};

static struct abi_snp_report plain(void)
{
	const uint64_t tcb = 0x7308000000000003;

	return (struct abi_snp_report){.version = 3,
	        .policy = 0x30000,
	        .cpuid_family = 0x19,
	        .cpuid_model = 0x01,
	        .chip_id = {1, [63] = 2},
	        .current_tcb = tcb,
	        .reported_tcb = tcb,
	        .committed_tcb = tcb,
	        .launch_tcb = tcb};
}

static void verify(
        struct abi_snp_report report, const struct attest_wanted *wanted, struct attest_verdict *ret_verdict)
{
	struct attest_evidence evidence = {.at = SAMPLE_TIME, .wanted = *wanted};
	struct made made;
	struct err err;

	made_init(&made, &chip);
	made_sign(&made, &report);
	evidence.leaf = made_der(made.leaf, "leaf");
	evidence.chain[0] = made_pem(made.ask, made.ark, "chain");
	evidence.root = made_pem(made.ark, NULL, "root");
	assert_ok(attest_report_verify(&report, &evidence, ret_verdict, &err));
	sample_milan_free(&evidence);
	made_finish(&made);
}

/* Returns the notes' names, separated by spaces. */
static void assert_notes(const struct attest_verdict *verdict, const char *names)
{
	char found[200] = "";

	for (size_t i = 0; i < verdict->count; i++) {
		if (verdict->checks[i].result != ATTEST_NOTE)
			continue;
		if (*found)
			strncat(found, " ", sizeof(found) - strlen(found) - 1);
		strncat(found, verdict->checks[i].name, sizeof(found) - strlen(found) - 1);
	}
	assert_string_equal(found, names);
}

static const struct attest_wanted nothing;

static void test_notes_of_an_ordinary_report_say_what_was_not_judged(void **state)
{
	struct attest_wanted all = {
	        .field_given = {[ATTEST_MEASUREMENT] = true, [ATTEST_REPORT_DATA] = true}};
	struct attest_verdict verdict;

	verify(plain(), &nothing, &verdict);
	assert_failed_checks(&verdict, "");
	assert_notes(&verdict, "measurement report-data");
	verify(plain(), &all, &verdict);
	assert_failed_checks(&verdict, "");
	assert_notes(&verdict, "");
}

static void test_notes_name_what_is_odd(void **state)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
		const char *name, *part;
	} rows[] = {
#define AT(member) offsetof(struct abi_snp_report, member), sizeof(((struct abi_snp_report *)0)->member)
	        {AT(vmpl), 0xffffffff, "vmpl", "the host asked for this report"},
	        {AT(vmpl), 1, "vmpl", "is 1:"},
	        {AT(vmpl), 3, "vmpl", "is 3:"},
	        {AT(vmpl), 4, "vmpl", "only 0 to 3 are known"},
	        {AT(policy), 0x10000, "policy", "bit 17"},
	        {AT(policy), 0xb0000, "debug", "not secret"},
	        {AT(policy), 0x70000, "migration", "migration agent"},
	        {AT(current_tcb), 0x7307000000000003, "tcb-order", "reported one (snp 7, 8)"},
	        {AT(committed_tcb), 0x7408000000000003, "tcb-order", "committed one (microcode 115, 116)"},
	        {AT(launch_tcb), 0x7308000000000004, "tcb-order", "launch one (bootloader 3, 4)"},
	        {AT(key_info), 1, "author-key", "no digest"},
	        {offsetof(struct abi_snp_report, author_key_digest) + 47, 1, 1, "author-key",
	                "there was none"},
	        {AT(reserved_4c), 1, "reserved", "version 3"},
	        {offsetof(struct abi_snp_report, reserved_18b), 1, 1, "reserved", "version 3"},
	        {offsetof(struct abi_snp_report, reserved_208) + 151, 1, 1, "reserved", "version 3"},
	        {AT(key_info), 0x20, "reserved", "version 3"},
	        {AT(reported_tcb), 0x7308000100000003, "reserved", "version 3"},
#undef AT
	};
	struct attest_verdict verdict;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct abi_snp_report report = plain();

		store_le((uint8_t *)&report + rows[i].offset, (unsigned)rows[i].size, rows[i].value);
		verify(report, &nothing, &verdict);
		assert_failed_checks(&verdict, "");
		assert_check_says(&verdict, rows[i].name, rows[i].part);
		assert_int_equal(check_named(&verdict, rows[i].name)->result, ATTEST_NOTE);
	}
}

static void test_notes_give_way_to_what_is_demanded(void **state)
{
	struct attest_wanted wanted = {.field_given[ATTEST_VMPL] = true};
	struct abi_snp_report report = plain();
	struct attest_verdict verdict;

	report.vmpl = 0xffffffff;
	verify(report, &wanted, &verdict);
	assert_failed_checks(&verdict, "vmpl");
	assert_notes(&verdict, "measurement report-data");
	memset(wanted.field[ATTEST_VMPL], 0xff, 4);
	verify(report, &wanted, &verdict);
	assert_failed_checks(&verdict, "");
}

static void test_notes_hidden_chip_id_is_accepted_when_asked_for(void **state)
{
	struct attest_wanted accepts = {.masked_chip_id = true};
	struct abi_snp_report report = plain();
	struct attest_verdict verdict;

	verify(report, &accepts, &verdict);
	assert_int_equal(check_named(&verdict, "chip-id")->result, ATTEST_PASSED);
	memset(report.chip_id, 0, sizeof(report.chip_id));
	verify(report, &nothing, &verdict);
	assert_failed_checks(&verdict, "chip-id");
	verify(report, &accepts, &verdict);
	assert_failed_checks(&verdict, "");
	assert_int_equal(check_named(&verdict, "chip-id")->result, ATTEST_NOTE);
	report.chip_id[0] = 9; /* another chip's is not hidden */
	verify(report, &accepts, &verdict);
	assert_failed_checks(&verdict, "chip-id");
}

static void test_notes_kind_of_key_can_be_demanded(void **state)
{
	const struct attest_wanted vcek = {.signer = "VCEK"}, vlek = {.signer = "VLEK"};
	struct attest_verdict verdict;

	verify(plain(), &vcek, &verdict);
	assert_failed_checks(&verdict, "");
	verify(plain(), &vlek, &verdict);
	assert_failed_checks(&verdict, "signer");
	assert_check_says(&verdict, "signer", "demanded is a VLEK");
}

static int setup(void **state)
{
	return crypto_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_notes_of_an_ordinary_report_say_what_was_not_judged),
	        cmocka_unit_test(test_notes_name_what_is_odd),
	        cmocka_unit_test(test_notes_give_way_to_what_is_demanded),
	        cmocka_unit_test(test_notes_hidden_chip_id_is_accepted_when_asked_for),
	        cmocka_unit_test(test_notes_kind_of_key_can_be_demanded),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
