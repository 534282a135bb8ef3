/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

static void test_report_bare_and_in_a_response_read_the_same(void **state)
{
	struct attest_blob bare = sample("milan-report-a.bin");
	uint8_t page[4096] = {[4] = 0xa0, [5] = 0x04};
	struct abi_snp_report one, two;
	struct err err;

	memcpy(page + 0x20, bare.data, bare.size);
	assert_ok(attest_report_parse(bare.data, bare.size, &one, NULL, &err));
	for (size_t size = 0x20 + bare.size; size <= sizeof(page); size += 927) {
		assert_ok(attest_report_parse(page, size, &two, NULL, &err));
		assert_memory_equal(&one, &two, sizeof(one));
	}
	assert_memory_equal(&one, bare.data, sizeof(one));
	sample_free(&bare);
}

static void test_report_responses_that_lie_are_refused(void **state)
{
	struct attest_blob bare = sample("milan-report-a.bin");
	const struct {
		size_t at;
		uint8_t value;
		const char *part;
	} rows[] = {
	        {0, 0x16, "status 0x16"},
	        {4, 0xa1, "is not an attestation report"},
	        {8, 1, "is not an attestation report"},
	        {0x1f, 1, "is not an attestation report"},
	        {0x4c0, 1, "neither zeros nor a certificate table"},
	        {0x20, 6, "version 6"},
	        {0x20, 1, "version 1"},
	};
	struct abi_snp_report report;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t page[2000] = {[4] = 0xa0, [5] = 0x04};

		memcpy(page + 0x20, bare.data, bare.size);
		page[rows[i].at] = rows[i].value;
		assert_fails(attest_report_parse(page, sizeof(page), &report, NULL, &err), ERR_USAGE,
		        rows[i].part);
	}
	sample_free(&bare);
}

/* Zeros behind it, as in a buffer for a response; Azure's paravisor puts a header in front and claims behind.
 */
static void test_report_is_found_in_what_holds_it(void **state)
{
	struct attest_blob bare = sample("milan-report-a.bin"), table;
	uint8_t box[4000] = {0};
	struct abi_snp_report report;
	struct err err;

	memcpy(box, bare.data, bare.size);
	for (size_t size = bare.size; size <= sizeof(box); size += 704) {
		assert_ok(attest_report_parse(box, size, &report, &table, &err));
		assert_memory_equal(&report, bare.data, bare.size);
		assert_int_equal(table.size, 0);
	}
	memset(box, 0, sizeof(box));
	memcpy(box, "HCLA", 4);
	memcpy(box + 32, bare.data, bare.size);
	strcpy((char *)box + 32 + bare.size + 20, "{\"keys\":[]}");
	assert_ok(attest_report_parse(box, 2600, &report, &table, &err));
	assert_memory_equal(&report, bare.data, bare.size);
	assert_int_equal(table.size, 0);
	assert_fails(attest_report_parse(box, 32 + 1183, &report, &table, &err), ERR_USAGE, "ends within");
	sample_free(&bare);
}

/* A raw quote, as go-sev-guest's clients write it: the report, and the table at once behind it. */
static void test_report_brings_its_certificate_table(void **state)
{
	struct attest_blob bare = sample("milan-report-a.bin"), certs = sample("milan-certs-a.bin");
	struct attest_evidence evidence = {.at = SAMPLE_TIME};
	struct attest_verdict verdict;
	struct abi_snp_report report;
	uint8_t quote[16384] = {0};
	struct err err;

	memcpy(quote, bare.data, bare.size);
	memcpy(quote + bare.size, certs.data, certs.size);
	assert_ok(attest_report_parse(quote, bare.size + certs.size, &report, &evidence.table, &err));
	assert_ptr_equal(evidence.table.data, quote + bare.size);
	assert_int_equal(evidence.table.size, certs.size);
	assert_ok(attest_report_verify(&report, &evidence, &verdict, &err));
	assert_failed_checks(&verdict, "");
	quote[bare.size + 16] ^= 1; /* no table any more: where the first certificate lies */
	assert_fails(attest_report_parse(quote, bare.size + certs.size, &report, NULL, &err), ERR_USAGE,
	        "`head -c 1184 FILE`");
	sample_free(&bare);
	sample_free(&certs);
}

static void test_report_in_another_file_is_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {{"{\"report\": 1}", "jq -r"},
	        {"some words", "has 10 bytes and is not an attestation report"},
	        {"0\x82", "like a certificate in DER"}};
	struct abi_snp_report report;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_fails(attest_report_parse(rows[i].text, strlen(rows[i].text), &report, NULL, &err),
		        ERR_USAGE, rows[i].part);
}

static void test_report_of_every_other_size_is_refused(void **state)
{
	uint8_t page[1216] = {[4] = 0xa0, [5] = 0x04, [0x20] = 2};
	struct abi_snp_report report;
	struct err err;

	for (size_t size = 0; size < sizeof(page); size++) {
		if (size != 1184)
			assert_int_equal(attest_report_parse(page, size, &report, NULL, &err), -1);
	}
	assert_ok(attest_report_parse(page, sizeof(page), &report, NULL, &err));
}

static void test_report_product_follows_cpuid(void **state)
{
	static const struct {
		uint32_t version;
		uint8_t family, model;
		enum product_id product;
		enum product_tcb_layout layout;
	} rows[] = {
	        {2, 0x19, 0x01, PRODUCT_UNKNOWN, PRODUCT_TCB_PLAIN}, /* no CPUID before version 3 */
	        {3, 0x19, 0x01, PRODUCT_MILAN, PRODUCT_TCB_PLAIN},
	        {3, 0x19, 0x11, PRODUCT_GENOA, PRODUCT_TCB_PLAIN},
	        {3, 0x19, 0xa0, PRODUCT_GENOA, PRODUCT_TCB_PLAIN},
	        {3, 0x19, 0x20, PRODUCT_UNKNOWN, PRODUCT_TCB_PLAIN},
	        {5, 0x1a, 0x02, PRODUCT_TURIN, PRODUCT_TCB_FMC},
	        {5, 0x1a, 0x11, PRODUCT_TURIN, PRODUCT_TCB_FMC},
	        {5, 0x1a, 0x50, PRODUCT_VENICE, PRODUCT_TCB_FMC},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct abi_snp_report report = {.version = rows[i].version,
		        .cpuid_family = rows[i].family,
		        .cpuid_model = rows[i].model};

		assert_int_equal(attest_report_product(&report), rows[i].product);
		assert_int_equal(attest_report_tcb_layout(&report), rows[i].layout);
	}
}

static void test_report_of_version_2_shows_its_layout_by_chip_id(void **state)
{
	struct abi_snp_report report = {.version = 2, .chip_id = {1}};

	assert_int_equal(attest_report_tcb_layout(&report), PRODUCT_TCB_FMC);
	report.chip_id[63] = 1;
	assert_int_equal(attest_report_tcb_layout(&report), PRODUCT_TCB_PLAIN);
	memset(report.chip_id, 0, sizeof(report.chip_id)); /* masked */
	assert_int_equal(attest_report_tcb_layout(&report), PRODUCT_TCB_PLAIN);
}

static void test_tcb_parts_lie_where_each_product_has_them(void **state)
{
	static const int milan[] = {-1, 0x10, 0x11, 0x16, 0x17}, turin[] = {0x10, 0x11, 0x12, 0x13, 0x17};

	for (int part = 0; part < ATTEST_TCB_PARTS; part++) {
		assert_int_equal(attest_tcb_get(0x1716151413121110, PRODUCT_TCB_PLAIN, part), milan[part]);
		assert_int_equal(attest_tcb_get(0x1716151413121110, PRODUCT_TCB_FMC, part), turin[part]);
	}
}

static void test_signer_of_each_key_info_is_named(void **state)
{
	assert_string_equal(attest_signer_name(0x00), "VCEK");
	assert_string_equal(attest_signer_name(0x07), "VLEK");
	assert_string_equal(attest_signer_name(0x1c), "none");
	assert_string_equal(attest_signer_name(0x08), "reserved");
}

static void test_report_says_where_its_vcek_is(void **state)
{
	struct abi_snp_report report = {.version = 5,
	        .cpuid_family = 0x1a,
	        .chip_id = {0x1e, 0x55, 0x0a, 0x8e, 0xe5, 0xcf, 0x9f, 0x4d},
	        .reported_tcb = 0x4900000003000101};
	struct attest_vcek_urls at;

	for (int i = 0; i < 2; i++) { /* in version 2 the chip id tells */
		report.version = i ? 2 : 5;
		attest_report_vcek_urls(&report, &at);
		assert_int_equal(at.count, 1);
		assert_string_equal(at.url[0], "https://kdsintf.amd.com/vcek/v1/Turin/1e550a8ee5cf9f4d"
		                               "?fmcSPL=01&blSPL=01&teeSPL=00&snpSPL=03&ucodeSPL=73");
	}
	report.version = 2;
	memset(report.chip_id, 0xff, sizeof(report.chip_id));
	report.reported_tcb = 0xff7f00000000ffff;
	attest_report_vcek_urls(&report, &at); /* as long as it gets */
	assert_int_equal(at.count, 2);
	assert_non_null(strstr(at.url[0], "/Milan/ffff"));
	assert_non_null(strstr(at.url[1], "/Genoa/ffff"));
	assert_non_null(strstr(at.url[1], "?blSPL=255&teeSPL=255&snpSPL=127&ucodeSPL=255"));
}

static void test_report_without_a_known_vcek_has_no_url(void **state)
{
	struct abi_snp_report report = {.version = 2, .chip_id = {1, [63] = 1}};
	struct attest_vcek_urls at;

	attest_report_vcek_urls(&report, &at);
	assert_int_equal(at.count, 2);
	report.key_info = ABI_SNP_SIGNER_VLEK << 2;
	attest_report_vcek_urls(&report, &at);
	assert_int_equal(at.count, 0);
	report.key_info = 0;
	report.version = 3; /* family 0: no processor of AMD's that has SEV-SNP */
	attest_report_vcek_urls(&report, &at);
	assert_int_equal(at.count, 0);
	report.version = 2;
	memset(report.chip_id, 0, sizeof(report.chip_id));
	attest_report_vcek_urls(&report, &at);
	assert_int_equal(at.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_report_bare_and_in_a_response_read_the_same),
	        cmocka_unit_test(test_report_responses_that_lie_are_refused),
	        cmocka_unit_test(test_report_is_found_in_what_holds_it),
	        cmocka_unit_test(test_report_brings_its_certificate_table),
	        cmocka_unit_test(test_report_in_another_file_is_refused),
	        cmocka_unit_test(test_report_of_every_other_size_is_refused),
	        cmocka_unit_test(test_report_product_follows_cpuid),
	        cmocka_unit_test(test_report_of_version_2_shows_its_layout_by_chip_id),
	        cmocka_unit_test(test_tcb_parts_lie_where_each_product_has_them),
	        cmocka_unit_test(test_signer_of_each_key_info_is_named),
	        cmocka_unit_test(test_report_says_where_its_vcek_is),
	        cmocka_unit_test(test_report_without_a_known_vcek_has_no_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
