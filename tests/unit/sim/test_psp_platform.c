/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform around the guests: ASIDs, limits, owners, TCBs, the provider's key, failures on request.
 */
#include <pthread.h>

#include "psp_bench.h"

#include "vmm/abi/policy.h"
#include "vmm/attest.h"
#include "vmm/attest/report.h"

/* ---- ASIDs ---- */

static uint32_t sev_guest(struct psp *psp, uint32_t policy)
{
	uint32_t handle = 0;

	assert_code(psp_launch_start(psp, &handle, policy, NULL, NULL), PSP_SUCCESS);
	return handle;
}

static void run(struct psp *psp, uint32_t handle)
{
	struct abi_sev_measure measure;

	assert_code(psp_launch_measure(psp, handle, &measure), PSP_SUCCESS);
	assert_code(psp_launch_finish(psp, handle), PSP_SUCCESS);
}

static void test_psp_asid_of_the_wrong_kind_is_refused(void **state)
{
	struct psp *psp = bench_psp("Milan"); /* 1..8 for SEV-ES and SNP, 9..16 for SEV */
	uint32_t sev = sev_guest(psp, 0), es = sev_guest(psp, ABI_SEV_POLICY_ES);

	assert_code(psp_activate(psp, sev, 0), PSP_INVALID_ASID);
	assert_code(psp_activate(psp, sev, 8), PSP_INVALID_ASID);
	assert_code(psp_activate(psp, sev, 17), PSP_INVALID_ASID);
	assert_code(psp_activate(psp, es, 9), PSP_INVALID_ASID);
	assert_null(psp_cipher(psp, 9));
	assert_code(psp_activate(psp, sev, 9), PSP_SUCCESS);
	assert_non_null(psp_cipher(psp, 9));
	assert_null(psp_cipher(psp, 17));
	assert_code(psp_activate(psp, es, 8), PSP_SUCCESS);
	assert_code(psp_activate(psp, sev, 10), PSP_ACTIVE);
	assert_code(psp_activate(psp, sev_guest(psp, 0), 9), PSP_ASID_OWNED);
	assert_code(psp_decommission(psp, sev), PSP_ACTIVE);
	assert_code(psp_deactivate(psp, sev), PSP_SUCCESS);
	assert_code(psp_deactivate(psp, sev), PSP_INACTIVE);
	assert_null(psp_cipher(psp, 9));
	assert_code(psp_decommission(psp, sev), PSP_SUCCESS);
	assert_code(psp_decommission(psp, sev), PSP_INVALID_GUEST);
	psp_destroy(psp);
}

static void test_psp_ciphertext_hiding_parts_the_asids(void **state)
{
	struct psp_options options = bench_options("Turin");
	struct uapi_sev_snp_status status;
	const uint8_t zeros[16] = {0};
	uint32_t registers[4], gctx, es;
	struct psp *psp;
	struct err err;

	options.snp_asids = 3; /* 1..3 SNP, 4..8 SEV-ES, 9..16 SEV */
	assert_ok(psp_create(&options, &psp, &err));
	es = sev_guest(psp, ABI_SEV_POLICY_ES);
	assert_code(psp_activate(psp, es, 3), PSP_INVALID_ASID);
	assert_code(psp_activate(psp, es, 4), PSP_SUCCESS);
	assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, gctx, 0x1030000, zeros), PSP_SUCCESS); /* it wants hiding */
	assert_code(psp_snp_activate(psp, gctx, 5), PSP_INVALID_ASID);
	assert_code(psp_snp_activate(psp, gctx, 3), PSP_SUCCESS);
	assert_code(psp_snp_platform_status(psp, &status), PSP_SUCCESS);
	assert_true(status.flags & UAPI_SNP_STATUS_CIPHERTEXT_EN);
	assert_true(status.flags & UAPI_SNP_STATUS_FEATURE_INFO);
	assert_code(psp_snp_feature_info(psp, 0, registers), PSP_SUCCESS);
	assert_int_equal(registers[2], 0x3c);
	assert_code(psp_snp_feature_info(psp, 1, registers), PSP_SUCCESS);
	assert_int_equal(registers[2], 0);
	psp_destroy(psp);
	options.snp_asids = 9;
	assert_fails(psp_create(&options, &psp, &err), ERR_USAGE, "9 cannot be SNP's alone");
}

static void test_psp_asid_that_ran_wants_wbinvd_and_flush(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t first = sev_guest(psp, 0), second = sev_guest(psp, 0);

	assert_code(psp_activate(psp, first, 9), PSP_SUCCESS);
	assert_code(psp_deactivate(psp, first), PSP_SUCCESS);
	assert_code(psp_activate(psp, first, 9), PSP_SUCCESS); /* it never ran: clean */
	run(psp, first);
	assert_code(psp_deactivate(psp, first), PSP_SUCCESS);
	assert_code(psp_activate(psp, second, 9), PSP_DFFLUSH_REQUIRED);
	assert_code(psp_df_flush(psp), PSP_WBINVD_REQUIRED);
	psp_wbinvd(psp);
	assert_code(psp_activate(psp, second, 9), PSP_DFFLUSH_REQUIRED);
	assert_code(psp_df_flush(psp), PSP_SUCCESS);
	assert_code(psp_activate(psp, second, 9), PSP_SUCCESS);
	psp_destroy(psp);
}

static void test_psp_key_is_shared_only_if_both_policies_allow(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t owner = sev_guest(psp, 0), shared = owner, noks = sev_guest(psp, ABI_SEV_POLICY_NOKS), bad;
	uint8_t plain[16] = "the same", a[16], b[16], c[16];

	assert_code(psp_launch_start(psp, &shared, 0, NULL, NULL), PSP_SUCCESS);
	assert_int_not_equal(shared, owner);
	assert_code(psp_activate(psp, owner, 9), PSP_SUCCESS);
	assert_code(psp_activate(psp, shared, 10), PSP_SUCCESS);
	assert_code(psp_activate(psp, noks, 11), PSP_SUCCESS);
	psp_encrypt(psp_cipher(psp, 9), 0x1000, plain, a, sizeof(a));
	psp_encrypt(psp_cipher(psp, 10), 0x1000, plain, b, sizeof(b));
	psp_encrypt(psp_cipher(psp, 11), 0x1000, plain, c, sizeof(c));
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	bad = owner;
	assert_code(psp_launch_start(psp, &bad, ABI_SEV_POLICY_NODBG, NULL, NULL), PSP_POLICY_FAILURE);
	bad = noks;
	assert_code(psp_launch_start(psp, &bad, ABI_SEV_POLICY_NOKS, NULL, NULL), PSP_POLICY_FAILURE);
	bad = 900;
	assert_code(psp_launch_start(psp, &bad, 0, NULL, NULL), PSP_INVALID_GUEST);
	bad = UINT32_MAX;
	assert_code(psp_launch_start(psp, &bad, 0, NULL, NULL), PSP_INVALID_GUEST);
	psp_destroy(psp);
}

static void test_psp_memory_of_wrong_form_is_refused(void **state)
{
	_Alignas(16) uint8_t memory[64] = {0}, plain[64];
	struct psp *psp = bench_psp("Milan");
	uint32_t es = sev_guest(psp, ABI_SEV_POLICY_ES), sev = sev_guest(psp, ABI_SEV_POLICY_NODBG);
	struct abi_vmsa vmsa = {0};

	assert_code(psp_launch_update_data(psp, es, memory, 0x1000, 16), PSP_INACTIVE);
	assert_code(psp_dbg_decrypt(psp, es, memory, 0x1000, plain, 16), PSP_INACTIVE);
	assert_code(psp_activate(psp, es, 1), PSP_SUCCESS);
	assert_code(psp_activate(psp, sev, 9), PSP_SUCCESS);
	assert_code(psp_launch_update_data(psp, es, memory, 0x1008, 16), PSP_INVALID_ADDRESS);
	assert_code(psp_launch_update_data(psp, es, memory, 0x1000, 8), PSP_INVALID_LEN);
	assert_code(psp_launch_update_data(psp, es, memory, 0x1000, 0), PSP_INVALID_LEN);
	assert_code(psp_launch_update_vmsa(psp, sev, &vmsa, 0x1000), PSP_UNSUPPORTED);
	assert_code(psp_dbg_decrypt(psp, sev, memory, 0x1000, plain, 16), PSP_POLICY_FAILURE);
	assert_code(psp_dbg_encrypt(psp, sev, plain, memory, 0x1000, 16), PSP_POLICY_FAILURE);
	assert_code(psp_dbg_decrypt(psp, es, memory, 0x1001, plain, 16), PSP_INVALID_ADDRESS);
	assert_code(psp_dbg_decrypt(psp, es, memory, 0x1000, plain, 17), PSP_INVALID_LEN);
	memset(plain, 0x31, sizeof(plain));
	assert_code(psp_dbg_encrypt(psp, es, plain, memory, 0x1000, 64), PSP_SUCCESS);
	memset(plain, 0, sizeof(plain));
	assert_code(psp_dbg_decrypt(psp, es, memory + 16, 0x1010, plain, 16), PSP_SUCCESS);
	assert_int_equal(plain[15], 0x31);
	assert_int_equal(plain[16], 0);
	psp_destroy(psp);
}

static void test_psp_guests_beyond_the_limit_are_refused(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct psp_platform_status status;
	uint32_t handle = 0, gctx;

	for (int i = 0; i < PSP_SEV_GUESTS_MAX; i++)
		sev_guest(psp, 0);
	assert_code(psp_launch_start(psp, &handle, 0, NULL, NULL), PSP_RESOURCE_LIMIT);
	assert_int_equal(handle, 0);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_int_equal(status.guest_count, PSP_SEV_GUESTS_MAX);
	assert_code(psp_decommission(psp, 77), PSP_SUCCESS);
	assert_int_equal(sev_guest(psp, 0), 77);
	for (int i = 0; i < PSP_SNP_GUESTS_MAX; i++)
		assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_gctx_create(psp, &gctx), PSP_RESOURCE_LIMIT);
	psp_destroy(psp);
}

static void test_psp_es_needs_an_init_with_it(void **state)
{
	struct psp *psp = bench_psp("Rome");
	struct psp_platform_status status;
	uint32_t handle = 0;

	assert_code(psp_shutdown(psp), PSP_SUCCESS);
	assert_code(psp_init(psp, false), PSP_SUCCESS);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_false(status.es);
	assert_code(psp_launch_start(psp, &handle, ABI_SEV_POLICY_ES, NULL, NULL), PSP_UNSUPPORTED);
	assert_code(psp_launch_start(psp, &handle, 0, NULL, NULL), PSP_SUCCESS);
	psp_destroy(psp);
}

static void test_psp_snp_needs_product_and_init(void **state)
{
	struct psp *rome = bench_psp("Rome"), *milan = bench_psp("Milan");
	struct uapi_sev_snp_status status;
	struct psp_guest_view view;
	uint32_t gctx;

	assert_code(psp_gctx_create(rome, &gctx), PSP_INVALID_COMMAND);
	assert_code(psp_snp_platform_status(rome, &status), PSP_INVALID_COMMAND);
	assert_code(psp_snp_init(milan), PSP_INVALID_PLATFORM_STATE);
	assert_code(psp_gctx_create(milan, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_shutdown(milan), PSP_INVALID_PLATFORM_STATE);
	assert_code(psp_shutdown(milan), PSP_SUCCESS);
	assert_code(psp_snp_shutdown(milan), PSP_SUCCESS);
	assert_code(psp_snp_shutdown(milan), PSP_SUCCESS);
	assert_false(psp_guest_view(milan, 0, &view));
	assert_code(psp_gctx_create(milan, &gctx), PSP_INVALID_PLATFORM_STATE);
	assert_code(psp_snp_platform_status(milan, &status), PSP_SUCCESS);
	assert_int_equal(status.state, 0);
	assert_code(psp_init(milan, true), PSP_SUCCESS);
	assert_code(psp_snp_init(milan), PSP_INVALID_PLATFORM_STATE); /* it comes before INIT */
	assert_code(psp_shutdown(milan), PSP_SUCCESS);
	assert_code(psp_snp_init(milan), PSP_SUCCESS);
	assert_code(psp_gctx_create(milan, &gctx), PSP_SUCCESS);
	psp_destroy(rome);
	psp_destroy(milan);
}

/* ---- TCBs, masks, the provider's key ---- */

static void report_of(struct psp *psp, struct abi_snp_report *ret_report, bool vcek_disabled, uint32_t code)
{
	struct uapi_sev_snp_launch_finish finish = {.vcek_disabled = vcek_disabled};
	static const uint8_t zeros[64];
	uint32_t gctx;

	assert_code(psp_gctx_create(psp, &gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, gctx, 0x30000, zeros), PSP_SUCCESS);
	psp_wbinvd(psp);
	assert_code(psp_df_flush(psp), PSP_SUCCESS);
	assert_code(psp_snp_activate(psp, gctx, 1), PSP_SUCCESS);
	assert_code(psp_snp_launch_finish(psp, gctx, &finish, NULL, NULL), PSP_SUCCESS);
	assert_code(psp_snp_report(psp, gctx, zeros, 0, ret_report), code);
	assert_code(psp_snp_decommission(psp, gctx), PSP_SUCCESS);
}

/* Against the root of the chain. */
static bool is_verified(const char *leaf, const char *chain, const struct abi_snp_report *report)
{
	struct attest_evidence evidence = {
	        .leaf = {leaf, strlen(leaf), "leaf"},
	        .chain = {{chain, strlen(chain), "chain"}},
	        .at = 1800000000,
	};
	struct attest_verdict verdict;
	struct err err;

	evidence.root = (struct attest_blob){strstr(chain + 1, "-----BEGIN"), 0, "root"};
	evidence.root.size = strlen(evidence.root.data);
	assert_ok(attest_report_verify(report, &evidence, &verdict, &err));
	return verdict.passed;
}

static void judge(struct psp *psp, const struct abi_snp_report *report, bool wanted)
{
	char *vcek, *chain;
	struct err err;

	assert_ok(psp_export_snp_certs(psp, &vcek, &chain, &err));
	assert_int_equal(is_verified(vcek, chain, report), wanted);
	free(vcek);
	free(chain);
}

static void test_psp_config_sets_reported_tcb_and_masks(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct uapi_sev_snp_config config = {.reported_tcb = BENCH_TCB - (1ull << 56)};
	struct uapi_sev_snp_status status;
	struct abi_snp_report before, report;

	report_of(psp, &before, false, PSP_SUCCESS);
	assert_code(psp_snp_set_config(psp, &config), PSP_SUCCESS);
	report_of(psp, &report, false, PSP_SUCCESS);
	assert_true(report.reported_tcb == config.reported_tcb);
	assert_true(report.current_tcb == BENCH_TCB);
	judge(psp, &report, true);
	judge(psp, &before, false); /* another key by now */
	config = (struct uapi_sev_snp_config){.mask_chip = 3};
	assert_code(psp_snp_set_config(psp, &config), PSP_SUCCESS);
	report_of(psp, &report, false, PSP_SUCCESS);
	assert_int_equal(report.key_info, ABI_SNP_KEY_MASKED | ABI_SNP_SIGNER_NONE << 2);
	assert_int_equal(report.chip_id[0] | report.chip_id[63] | report.signature.r[0], 0);
	assert_code(psp_snp_platform_status(psp, &status), PSP_SUCCESS);
	assert_int_equal(status.flags & 7, UAPI_SNP_STATUS_MASK_CHIP_ID | UAPI_SNP_STATUS_MASK_CHIP_KEY);
	assert_true(status.reported_tcb_version == BENCH_TCB); /* 0: the committed one */
	config = (struct uapi_sev_snp_config){.reported_tcb = BENCH_TCB + 1};
	assert_code(psp_snp_set_config(psp, &config), PSP_INVALID_PARAM);
	config = (struct uapi_sev_snp_config){.mask_chip = 4};
	assert_code(psp_snp_set_config(psp, &config), PSP_INVALID_PARAM);
	config = (struct uapi_sev_snp_config){.rsvd = {[51] = 1}};
	assert_code(psp_snp_set_config(psp, &config), PSP_INVALID_PARAM);
	assert_code(psp_snp_commit(psp), PSP_SUCCESS);
	psp_destroy(psp);
}

static void test_psp_vlek_signs_once_loaded(void **state)
{
	struct psp_options options = bench_options("Milan");
	struct psp *psp = bench_psp("Milan"), *other;
	struct uapi_sev_snp_config config = {.reported_tcb = BENCH_TCB - 1};
	uint8_t wrapped[PSP_VLEK_BYTES];
	struct abi_snp_report report;
	struct err err;
	char *pem, *chain, *vcek, *vcek_chain;

	report_of(psp, &report, true, PSP_INVALID_KEY); /* the guest wants no VCEK, and there is no VLEK */
	assert_ok(psp_export_vlek(psp, "Example Cloud", wrapped, &pem, &chain, &err));
	assert_code(psp_snp_vlek_load(psp, wrapped, sizeof(wrapped) - 1), PSP_INVALID_LEN);
	for (size_t i = 0; i < sizeof(wrapped); i += 37) {
		wrapped[i] ^= 1;
		assert_true(psp_snp_vlek_load(psp, wrapped, sizeof(wrapped)) != PSP_SUCCESS ||
		            (i >= 12 && i < 16)); /* reserved, not looked at */
		wrapped[i] ^= 1;
	}
	assert_code(psp_snp_vlek_load(psp, wrapped, sizeof(wrapped)), PSP_SUCCESS);
	report_of(psp, &report, true, PSP_SUCCESS);
	assert_int_equal(ABI_SNP_KEY_SIGNER(report.key_info), ABI_SNP_SIGNER_VLEK);
	assert_true(is_verified(pem, chain, &report));
	assert_ok(psp_export_snp_certs(psp, &vcek, &vcek_chain, &err));
	assert_false(is_verified(pem, vcek_chain, &report)); /* the ASK signs no VLEK */
	assert_string_equal(strstr(chain + 1, "-----BEGIN"), strstr(vcek_chain + 1, "-----BEGIN"));
	options.seed++;
	assert_ok(psp_create(&options, &other, &err));
	assert_code(psp_snp_vlek_load(other, wrapped, sizeof(wrapped)), PSP_BAD_MEASUREMENT);
	assert_code(psp_snp_set_config(psp, &config), PSP_SUCCESS);
	assert_code(psp_snp_vlek_load(psp, wrapped, sizeof(wrapped)), PSP_BAD_SVN);
	report_of(psp, &report, false, PSP_SUCCESS);
	assert_int_equal(ABI_SNP_KEY_SIGNER(report.key_info), ABI_SNP_SIGNER_VCEK);
	free(pem);
	free(chain);
	free(vcek);
	free(vcek_chain);
	psp_destroy(psp);
	psp_destroy(other);
}

/* ---- failures on request, options, threads ---- */

static void test_psp_failure_hits_the_nth_command_and_changes_nothing(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct psp_platform_status status;
	struct psp_guest_view view;
	uint32_t handle = 0;

	psp_fail(psp, PSP_CMD_LAUNCH_START, 2, PSP_HWSEV_UNSAFE);
	assert_int_equal(sev_guest(psp, 0), 1);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_code(psp_launch_start(psp, &handle, 0, NULL, NULL), PSP_HWSEV_UNSAFE);
	assert_int_equal(sev_guest(psp, 0), 2); /* once only */
	psp_fail(psp, PSP_CMD_ANY, 1, PSP_RESOURCE_LIMIT);
	assert_code(psp_activate(psp, 1, 9), PSP_RESOURCE_LIMIT);
	assert_true(psp_guest_view(psp, 0, &view));
	assert_int_equal(view.asid, 0);
	psp_fail(psp, PSP_CMD_ANY, 1, PSP_RESOURCE_LIMIT);
	psp_fail(psp, PSP_CMD_ANY, 0, PSP_RESOURCE_LIMIT);
	assert_code(psp_activate(psp, 1, 9), PSP_SUCCESS);
	assert_int_equal(psp_command_count(psp, PSP_CMD_ACTIVATE), 2);
	assert_int_equal(psp_command_count(psp, PSP_CMD_ANY), 6);
	assert_string_equal(psp_command_name(PSP_CMD_ACTIVATE), "ACTIVATE");
	assert_string_equal(psp_command_name(PSP_CMD_ANY), "any");
	psp_destroy(psp);
}

static void test_psp_options_that_make_no_sense_are_refused(void **state)
{
	struct psp_options options = bench_options("Bergamo");
	struct psp *psp;
	struct err err;

	assert_fails(psp_create(&options, &psp, &err), ERR_USAGE, "\"Bergamo\"");
	options = bench_options("Milan");
	options.asids = options.es_asids = 0;
	assert_fails(psp_create(&options, &psp, &err), ERR_USAGE, "0 ASIDs, 0 of them");
	options = bench_options("Milan");
	options.es_asids = 17;
	assert_fails(psp_create(&options, &psp, &err), ERR_USAGE, "17 of them");
	options = bench_options("Milan");
	options.cpuid_count = PSP_CPUID_MAX + 1;
	assert_fails(psp_create(&options, &psp, &err), ERR_USAGE, "257 entries");
}

static void *launches(void *arg)
{
	struct psp *psp = arg;
	uint8_t page[PAGE_SIZE_BYTES] = {0};

	for (int i = 0; i < 20; i++) {
		struct psp_guest_view view;
		uint32_t handle = 0, gctx = 0;

		psp_launch_start(psp, &handle, 0, NULL, NULL);
		for (uint32_t asid = 9; asid <= 16 && psp_activate(psp, handle, asid) != PSP_SUCCESS; asid++)
			;
		psp_launch_update_data(psp, handle, page, 0, sizeof(page));
		psp_gctx_create(psp, &gctx);
		psp_snp_launch_start(psp, gctx, 0x30000, page);
		psp_guest_view(psp, 0, &view);
		psp_snp_decommission(psp, gctx);
		psp_deactivate(psp, handle);
		psp_decommission(psp, handle);
	}
	return NULL;
}

static void test_psp_takes_commands_of_many_threads(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct psp_platform_status status;
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, launches, psp), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_code(psp_platform_status(psp, &status), PSP_SUCCESS);
	assert_int_equal(status.guest_count, 0);
	assert_int_equal(status.state, PSP_PLATFORM_INIT);
	psp_destroy(psp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_asid_of_the_wrong_kind_is_refused),
	        cmocka_unit_test(test_psp_ciphertext_hiding_parts_the_asids),
	        cmocka_unit_test(test_psp_asid_that_ran_wants_wbinvd_and_flush),
	        cmocka_unit_test(test_psp_key_is_shared_only_if_both_policies_allow),
	        cmocka_unit_test(test_psp_memory_of_wrong_form_is_refused),
	        cmocka_unit_test(test_psp_guests_beyond_the_limit_are_refused),
	        cmocka_unit_test(test_psp_es_needs_an_init_with_it),
	        cmocka_unit_test(test_psp_snp_needs_product_and_init),
	        cmocka_unit_test(test_psp_config_sets_reported_tcb_and_masks),
	        cmocka_unit_test(test_psp_vlek_signs_once_loaded),
	        cmocka_unit_test(test_psp_failure_hits_the_nth_command_and_changes_nothing),
	        cmocka_unit_test(test_psp_options_that_make_no_sense_are_refused),
	        cmocka_unit_test(test_psp_takes_commands_of_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
