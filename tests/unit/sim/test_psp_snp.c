/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of SNP guests. ID blocks are made by src/launch, reports judged by src/attest, which share
 * nothing with the processor.
 */
#include "psp_bench.h"

#include "vmm/abi/policy.h"
#include "vmm/attest.h"
#include "vmm/attest/report.h"
#include "vmm/launch.h"
#include "vmm/owner.h"

#define POLICY 0x30000
#define ASID   2

static const uint8_t no_gosvw[16];

static uint32_t start(struct psp *psp, uint64_t policy)
{
	uint32_t gctx = 0;

	assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, gctx, policy, no_gosvw), PSP_SUCCESS);
	assert_code(psp_snp_activate(psp, gctx, ASID), PSP_SUCCESS);
	return gctx;
}

/* ---- pages ---- */

static void link_page(uint8_t *ld, uint8_t type, uint64_t gpa, const void *contents)
{
	uint8_t info[0x70] = {[0x60] = 0x70, [0x62] = type};

	memcpy(info, ld, 48);
	if (contents)
		hash_sha384(contents, PAGE_SIZE_BYTES, info + 0x30);
	memcpy(info + 0x68, &gpa, 8);
	hash_sha384(info, sizeof(info), ld);
}

static void test_psp_snp_pages_are_measured_and_filled(void **state)
{
	static const struct {
		enum abi_page_type type;
		uint64_t gpa;
		bool has_contents;
	} pages[] = {
	        {ABI_PAGE_NORMAL, 0xfffff000, true},
	        {ABI_PAGE_ZERO, 0x800000, false},
	        {ABI_PAGE_UNMEASURED, 0x801000, false},
	        {ABI_PAGE_SECRETS, 0x80d000, false},
	        {ABI_PAGE_CPUID, 0x80e000, false},
	        {ABI_PAGE_VMSA, ABI_VMSA_GPA, true},
	};
	struct psp *psp = bench_psp("Milan");
	uint32_t gctx = start(psp, POLICY);
	uint8_t ld[48] = {0};
	struct psp_guest_view view;

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		uint8_t page[PAGE_SIZE_BYTES] = {0};
		struct abi_secrets_page secrets;

		if (pages[i].type == ABI_PAGE_VMSA)
			((struct abi_vmsa *)page)->sev_features = ABI_FEATURE_SNP;
		else if (pages[i].type != ABI_PAGE_CPUID)
			memset(page, 0x77, sizeof(page));
		link_page(ld, (uint8_t)pages[i].type, pages[i].gpa, pages[i].has_contents ? page : NULL);
		assert_code(psp_snp_launch_update(psp, gctx, pages[i].type, pages[i].gpa, page), PSP_SUCCESS);
		memcpy(&secrets, page, sizeof(secrets));
		if (pages[i].type == ABI_PAGE_ZERO)
			assert_int_equal(page[0] | page[4095], 0);
		if (pages[i].type == ABI_PAGE_UNMEASURED)
			assert_int_equal(page[5], 0x77);
		if (pages[i].type == ABI_PAGE_SECRETS) {
			assert_int_equal(secrets.version, 3);
			assert_int_equal(secrets.fms, 0xa00f11);
			assert_memory_not_equal(secrets.vmpck[0], secrets.vmpck[1], 32);
			assert_int_equal(page[4095], 0);
		}
	}
	assert_true(psp_guest_view(psp, 0, &view));
	assert_true(view.snp);
	assert_string_equal(view.state, "LAUNCH");
	assert_int_equal(view.digest_bytes, 48);
	assert_memory_equal(view.digest, ld, sizeof(ld));
	assert_false(psp_guest_view(psp, 1, &view));
	psp_destroy(psp);
}

static void test_psp_snp_bad_page_is_refused_and_not_measured(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t gctx = start(psp, POLICY), idle;
	uint8_t page[PAGE_SIZE_BYTES] = {0};
	struct abi_vmsa *vmsa = (struct abi_vmsa *)page;
	struct psp_guest_view view;
	static const uint8_t zeros[48];

	assert_code(psp_snp_launch_update(psp, gctx, 0, 0, page), PSP_INVALID_PARAM);
	assert_code(psp_snp_launch_update(psp, gctx, 7, 0, page), PSP_INVALID_PARAM);
	assert_code(psp_snp_launch_update(psp, gctx, ABI_PAGE_NORMAL, 0x800, page), PSP_INVALID_ADDRESS);
	assert_code(psp_snp_launch_update(psp, gctx, ABI_PAGE_VMSA, ABI_VMSA_GPA, page), PSP_INVALID_PARAM);
	vmsa->sev_features = ABI_FEATURE_SNP | ABI_FEATURE_VMSA_REG_PROT;
	assert_code(psp_snp_launch_update(psp, gctx, ABI_PAGE_VMSA, ABI_VMSA_GPA, page), PSP_INVALID_PARAM);
	assert_code(psp_gctx_create(psp, &idle), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, idle, POLICY, no_gosvw), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(psp, idle, ABI_PAGE_ZERO, 0, page), PSP_INACTIVE);
	assert_true(psp_guest_view(psp, 0, &view));
	assert_memory_equal(view.digest, zeros, sizeof(zeros));
	psp_destroy(psp);
}

static void test_psp_snp_policy_is_held_against_the_platform(void **state)
{
	static const struct {
		uint64_t policy;
		bool smt_off;
		uint32_t code;
	} cases[] = {
	        {0x30000, false, PSP_SUCCESS},
	        {0x20000, false, PSP_POLICY_FAILURE}, /* no SMT wanted, but it is on */
	        {0x20000, true, PSP_SUCCESS},
	        {0x10000, false, PSP_POLICY_FAILURE}, /* bit 17 must be 1 */
	        {0x30137, false, PSP_SUCCESS},        /* ABI 1.55 */
	        {0x30138, false, PSP_POLICY_FAILURE}, /* ABI 1.56 */
	        {0x30200, false, PSP_POLICY_FAILURE},
	        {0xb0000, false, PSP_SUCCESS},  /* debugging */
	        {0x230000, false, PSP_SUCCESS}, /* CXL may be there */
	        {0x430000, false, PSP_POLICY_FAILURE},
	        {0x830000, false, PSP_POLICY_FAILURE},
	        {0x1030000, false, PSP_POLICY_FAILURE},
	        {0x2030000, false, PSP_POLICY_FAILURE}, /* since ABI 1.58 */
	        {0x4030000, false, PSP_POLICY_FAILURE}, /* reserved */
	        {1ull << 63 | 0x30000, false, PSP_POLICY_FAILURE},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct psp_options options = bench_options("Genoa");
		struct psp *psp;
		struct err err;
		uint32_t gctx;

		options.smt_off = cases[i].smt_off;
		assert_ok(psp_create(&options, &psp, &err));
		assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
		assert_code(psp_snp_launch_start(psp, gctx, cases[i].policy, no_gosvw), cases[i].code);
		psp_destroy(psp);
	}
}

static void test_psp_snp_single_socket_wants_one(void **state)
{
	struct psp_options options = bench_options("Milan");
	struct psp *psp;
	struct err err;
	uint32_t gctx;

	options.sockets = 2;
	assert_ok(psp_create(&options, &psp, &err));
	assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, gctx, POLICY | ABI_SNP_POLICY_SINGLE_SOCKET, no_gosvw),
	        PSP_SUCCESS);
	assert_code(psp_snp_activate(psp, gctx, ASID), PSP_POLICY_FAILURE);
	psp_destroy(psp);
}

/* ---- ID block ---- */

struct identified {
	struct psp *psp;
	uint32_t gctx;
	struct abi_id_block block;
	struct abi_id_auth auth;
};

static void identified_init(struct identified *id, bool author)
{
	struct owner_id_key *id_key, *author_key;
	uint8_t page[PAGE_SIZE_BYTES] = {1};
	struct psp_guest_view view;
	struct err err;

	id->psp = bench_psp("Milan");
	id->gctx = start(id->psp, POLICY);
	assert_code(psp_snp_launch_update(id->psp, id->gctx, ABI_PAGE_NORMAL, 0, page), PSP_SUCCESS);
	assert_true(psp_guest_view(id->psp, 0, &view));
	id->block = (struct abi_id_block){
	        .version = 1, .guest_svn = 7, .policy = POLICY, .family_id = {1}, .image_id = {2}};
	memcpy(id->block.ld, view.digest, sizeof(id->block.ld));
	assert_ok(owner_id_key_generate(&id_key, &err));
	assert_ok(owner_id_key_generate(&author_key, &err));
	assert_ok(owner_id_sign(&id->block, id_key, author ? author_key : NULL, &id->auth, &err));
	owner_id_key_destroy(id_key);
	owner_id_key_destroy(author_key);
}

static uint32_t finish(const struct identified *id, bool author)
{
	struct uapi_sev_snp_launch_finish finish = {
	        .id_block_en = 1, .auth_key_en = author, .host_data = "host data"};

	return psp_snp_launch_finish(id->psp, id->gctx, &finish, &id->block, &id->auth);
}

static void test_psp_snp_id_block_with_one_bit_flipped_is_refused(void **state)
{
	struct identified id = {0};
	struct psp_guest_view view;

	identified_init(&id, true);
	for (size_t bit = 0; bit < 8 * sizeof(id.block); bit += 7) {
		uint8_t *byte = (uint8_t *)&id.block + bit / 8;
		uint32_t wanted = bit / 8 < sizeof(id.block.ld)                      ? PSP_BAD_MEASUREMENT
		                  : bit / 8 >= offsetof(struct abi_id_block, policy) ? PSP_POLICY_FAILURE
		                                                                     : PSP_BAD_SIGNATURE;

		*byte ^= (uint8_t)(1 << bit % 8);
		assert_code(finish(&id, true), wanted);
		*byte ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(psp_guest_view(id.psp, 0, &view));
	assert_string_equal(view.state, "LAUNCH");
	assert_code(finish(&id, true), PSP_SUCCESS);
	assert_true(psp_guest_view(id.psp, 0, &view));
	assert_string_equal(view.state, "RUNNING");
	psp_destroy(id.psp);
}

static void test_psp_snp_id_auth_with_one_bit_flipped_is_refused(void **state)
{
	static const struct {
		size_t begin, end;
	} parts[] = {
	        {offsetof(struct abi_id_auth, id_block_sig),
	                offsetof(struct abi_id_auth, id_block_sig) + 144},
	        {offsetof(struct abi_id_auth, id_key), offsetof(struct abi_id_auth, id_key) + 148},
	        {offsetof(struct abi_id_auth, id_key_sig), offsetof(struct abi_id_auth, id_key_sig) + 144},
	        {offsetof(struct abi_id_auth, author_key), offsetof(struct abi_id_auth, author_key) + 148},
	};
	struct identified id = {0};

	identified_init(&id, true);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		for (size_t bit = 8 * parts[i].begin; bit < 8 * parts[i].end; bit += 29) {
			uint8_t *byte = (uint8_t *)&id.auth + bit / 8;

			*byte ^= (uint8_t)(1 << bit % 8);
			assert_code(finish(&id, true), PSP_BAD_SIGNATURE);
			*byte ^= (uint8_t)(1 << bit % 8);
		}
	}
	id.auth.id_key_algo = 2;
	assert_code(finish(&id, true), PSP_INVALID_PARAM);
	id.auth.id_key_algo = 1;
	id.auth.author_key_algo = 0;
	assert_code(finish(&id, true), PSP_INVALID_PARAM);
	assert_code(finish(&id, false), PSP_SUCCESS); /* nobody asks for the author */
	psp_destroy(id.psp);
}

static void test_psp_snp_refused_id_block_leaves_nothing_behind(void **state)
{
	static const struct uapi_sev_snp_launch_finish none;
	static const uint8_t zeros[64];
	struct identified id = {0};
	struct abi_snp_report report;

	identified_init(&id, true);
	id.auth.id_key_sig.r[0] ^= 1;
	assert_code(finish(&id, true), PSP_BAD_SIGNATURE);
	assert_code(psp_snp_launch_finish(id.psp, id.gctx, &none, NULL, NULL), PSP_SUCCESS);
	assert_code(psp_snp_report(id.psp, id.gctx, zeros, 0, &report), PSP_SUCCESS);
	assert_memory_equal(report.id_key_digest, zeros, 48);
	assert_memory_equal(report.author_key_digest, zeros, 48);
	assert_memory_equal(report.family_id, zeros, 16);
	assert_memory_equal(report.host_data, zeros, 32);
	assert_int_equal(report.guest_svn | (report.key_info & ABI_SNP_KEY_AUTHOR), 0);
	psp_destroy(id.psp);
}

/* ---- reports ---- */

static void judge(struct psp *psp, const struct abi_snp_report *report, bool wanted)
{
	char *vcek, *chain, *ark;
	struct attest_verdict verdict;
	struct err err;

	assert_ok(psp_export_snp_certs(psp, &vcek, &chain, &err));
	ark = strstr(chain + 1, "-----BEGIN");
	assert_non_null(ark);
	struct attest_evidence evidence = {
	        .leaf = {vcek, strlen(vcek), "VCEK"},
	        .chain = {{chain, strlen(chain), "chain"}},
	        .root = {ark, strlen(ark), "ARK"},
	        .at = 1800000000,
	};
	assert_ok(attest_report_verify(report, &evidence, &verdict, &err));
	for (size_t i = 0; wanted && i < verdict.count; i++) {
		if (verdict.checks[i].result == ATTEST_FAILED)
			fail_msg("%s: %s", verdict.checks[i].name, verdict.checks[i].text);
	}
	assert_int_equal(verdict.passed, wanted);
	assert_true(verdict.simulated);
	evidence.root.size = 0; /* nobody else trusts these roots */
	assert_ok(attest_report_verify(report, &evidence, &verdict, &err));
	assert_false(verdict.passed);
	assert_true(verdict.simulated);
	free(vcek);
	free(chain);
}

/* The table that a host makes of the same certificates, as its guests hand it on. */
static void judge_by_table(struct psp *psp, const struct abi_snp_report *report)
{
	struct psp_export certs[PSP_EXPORTS];
	struct attest_verdict verdict;
	struct err err;
	uint8_t *data;
	size_t size;

	assert_ok(psp_export_snp_der(psp, NULL, certs, &err));
	const struct attest_table table = {
	        .vcek = {certs[PSP_EXPORT_LEAF].bytes, certs[PSP_EXPORT_LEAF].size, "VCEK"},
	        .ask = {certs[PSP_EXPORT_ASK].bytes, certs[PSP_EXPORT_ASK].size, "ASK"},
	        .ark = {certs[PSP_EXPORT_ARK].bytes, certs[PSP_EXPORT_ARK].size, "ARK"},
	};
	assert_ok(attest_table_make(&table, &data, &size, &err));
	const struct attest_evidence evidence = {
	        .table = {data, size, "table"}, .root = table.ark, .at = 1800000000};
	assert_ok(attest_report_verify(report, &evidence, &verdict, &err));
	assert_true(verdict.passed);
	free(data);
	for (int i = 0; i < PSP_EXPORTS; i++)
		free(certs[i].bytes);
}

static void test_psp_snp_report_is_what_the_verifier_accepts(void **state)
{
	static const uint8_t data[64] = "a nonce";
	struct abi_snp_report report, again;
	uint8_t digest[48];
	struct identified id = {0};

	identified_init(&id, true);
	assert_code(psp_snp_report(id.psp, id.gctx, data, 0, &report), PSP_INVALID_GUEST_STATE);
	assert_code(finish(&id, true), PSP_SUCCESS);
	assert_code(psp_snp_report(id.psp, id.gctx, data, 4, &report), PSP_INVALID_PARAM);
	assert_code(psp_snp_report(id.psp, id.gctx, data, 1, &report), PSP_SUCCESS);
	assert_int_equal(report.version, 3);
	assert_int_equal(report.vmpl, 1);
	assert_int_equal(report.guest_svn, 7);
	assert_memory_equal(report.report_data, data, sizeof(data));
	assert_memory_equal(report.host_data, "host data", 10);
	assert_memory_equal(report.measurement, id.block.ld, 48);
	owner_id_key_digest(&id.auth.id_key, digest);
	assert_memory_equal(report.id_key_digest, digest, 48);
	owner_id_key_digest(&id.auth.author_key, digest);
	assert_memory_equal(report.author_key_digest, digest, 48);
	assert_int_equal(report.key_info, ABI_SNP_KEY_AUTHOR);
	judge(id.psp, &report, true);
	judge_by_table(id.psp, &report);
	assert_code(psp_snp_report(id.psp, id.gctx, data, 1, &again), PSP_SUCCESS);
	assert_memory_equal(&report, &again, sizeof(report)); /* nothing in it is left to chance */
	report.measurement[0] ^= 1;
	judge(id.psp, &report, false);
	psp_destroy(id.psp);
}

/* Rows without a note have the values of genuine reports, whose chains end at AMD's roots. */
static void test_psp_snp_report_of_each_product_and_firmware(void **state)
{
	static const struct {
		const char *product;
		uint8_t minor, build;
		uint64_t tcb;
		uint32_t version;
		uint64_t platform, mitigations;
		enum product_id is; /* version 2 does not say */
	} cases[] = {
	        {"Milan", 51, 3, 0x5d06000000000002, 2, 0x01, 0, PRODUCT_UNKNOWN},
	        {"Milan", 55, 20, 0xd116000000000003, 2, 0x01, 0, PRODUCT_UNKNOWN},
	        {"Milan", 55, 28, 0xd116000000000003, 2, 0x01, 0, PRODUCT_UNKNOWN}, /* as the older one */
	        {"Milan", 55, 29, 0xdb18000000000004, 3, 0x25, 0, PRODUCT_MILAN},
	        {"Milan", 55, 35, 0xde1b000000000004, 5, 0x25, 0x0b, PRODUCT_MILAN},
	        {"Milan", 56, 1, 0xde1b000000000004, 5, 0x25, 0x0b,
	                PRODUCT_MILAN}, /* newer than those known */
	        {"Genoa", 55, 24, 0x4815000000000009, 2, 0x01, 0, PRODUCT_UNKNOWN}, /* older */
	        {"Genoa", 55, 39, 0x4817000000000009, 3, 0x25, 0, PRODUCT_GENOA},
	        {"Genoa", 55, 40, 0x541700000000000a, 3, 0x25, 0, PRODUCT_GENOA},
	        {"Genoa", 55, 43, 0x541900000000000a, 5, 0x25, 0x01, PRODUCT_GENOA},
	        {"Genoa", 55, 49, 0x581b00000000000a, 5, 0x25, 0x0b, PRODUCT_GENOA},
	        {"Turin", 55, 29, 0x4700000002000100, 5, 0x65, 0, PRODUCT_TURIN}, /* older */
	        {"Turin", 55, 61, 0x4700000002000100, 5, 0x65, 0, PRODUCT_TURIN},
	        {"Turin", 55, 65, 0x5100000004010101, 5, 0x65, 0x3f, PRODUCT_TURIN},
	        {"Turin", 58, 3, 0x6100000005020301, 5, 0x65, 0x3f, PRODUCT_TURIN},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct psp_options options = bench_options(cases[i].product);
		struct uapi_sev_snp_launch_finish none = {0};
		struct abi_snp_report report;
		struct psp *psp;
		struct err err;
		uint32_t gctx;

		options.snp_minor = cases[i].minor;
		options.snp_build = cases[i].build;
		options.tcb = cases[i].tcb;
		assert_ok(psp_create(&options, &psp, &err));
		gctx = start(psp, POLICY);
		assert_code(psp_snp_launch_finish(psp, gctx, &none, NULL, NULL), PSP_SUCCESS);
		assert_code(psp_snp_report(psp, gctx, (const uint8_t[64]){0}, 0, &report), PSP_SUCCESS);
		assert_int_equal(report.version, cases[i].version);
		assert_int_equal(report.platform_info, cases[i].platform);
		assert_int_equal(report.launch_mit_vector, cases[i].mitigations);
		assert_int_equal(report.current_mit_vector, cases[i].mitigations);
		assert_int_equal(attest_report_product(&report), cases[i].is);
		judge(psp, &report, true);
		psp_destroy(psp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_snp_pages_are_measured_and_filled),
	        cmocka_unit_test(test_psp_snp_bad_page_is_refused_and_not_measured),
	        cmocka_unit_test(test_psp_snp_policy_is_held_against_the_platform),
	        cmocka_unit_test(test_psp_snp_single_socket_wants_one),
	        cmocka_unit_test(test_psp_snp_id_block_with_one_bit_flipped_is_refused),
	        cmocka_unit_test(test_psp_snp_id_auth_with_one_bit_flipped_is_refused),
	        cmocka_unit_test(test_psp_snp_refused_id_block_leaves_nothing_behind),
	        cmocka_unit_test(test_psp_snp_report_is_what_the_verifier_accepts),
	        cmocka_unit_test(test_psp_snp_report_of_each_product_and_firmware),
	};

	return crypto_load(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
