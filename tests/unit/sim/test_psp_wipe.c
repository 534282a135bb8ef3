/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key outlives its use: the test searches every block that the processor frees for keys that it knows, and
 * the processor itself after a guest's end. Linked with --wrap=free.
 */
#include <malloc.h>

#include "psp_bench.h"

#include "psp/internal.h"
#include "vmm/attest.h"
#include "vmm/owner.h"

#define SECRETS 7
#define BYTES   16

static uint8_t secret[SECRETS][BYTES];
static unsigned secrets, freed, found;

void __real_free(void *p);
void __wrap_free(void *p);

static bool holds_secret(const void *p, size_t size)
{
	for (unsigned i = 0; i < secrets; i++) {
		if (memmem(p, size, secret[i], BYTES))
			return true;
	}
	return false;
}

void __wrap_free(void *p)
{
	if (p && secrets) {
		freed++;
		found += holds_secret(p, malloc_usable_size(p));
	}
	__real_free(p);
}

static void know(const void *bytes)
{
	memcpy(secret[secrets++], bytes, BYTES);
}

/* Launches two guests, one of each kind, and keeps every secret that can be known from outside or inside. */
static void launch_both(struct psp *psp, uint32_t *ret_handle, uint32_t *ret_gctx)
{
	struct abi_sev_cert pdh, godh;
	struct abi_sev_cert_chain chain;
	struct abi_sev_session session;
	struct owner_keys keys;
	uint8_t page[PAGE_SIZE_BYTES] = {0};
	struct err err;

	assert_code(psp_pdh_cert_export(psp, &pdh, &chain), PSP_SUCCESS);
	assert_ok(owner_session_create(&pdh, 0, &session, &godh, &keys, &err));
	*ret_handle = 0;
	assert_code(psp_launch_start(psp, ret_handle, 0, &godh, &session), PSP_SUCCESS);
	assert_code(psp_activate(psp, *ret_handle, 9), PSP_SUCCESS);
	assert_code(psp_gctx_create(psp, ret_gctx), PSP_SUCCESS);
	assert_code(psp_snp_launch_start(psp, *ret_gctx, 0x30000, page), PSP_SUCCESS);
	assert_code(psp_snp_activate(psp, *ret_gctx, 1), PSP_SUCCESS);
	assert_code(psp_snp_launch_update(psp, *ret_gctx, ABI_PAGE_SECRETS, 0, page), PSP_SUCCESS);
	secrets = freed = found = 0;
	know(keys.tek);
	know(keys.tik);
	know(((struct abi_secrets_page *)page)->vmpck[0]);
	know(psp->guests[*ret_handle - 1]->key_seed);
	know(psp->contexts[*ret_gctx - 1]->key_seed);
	know(psp->contexts[*ret_gctx - 1]->vmrk);
	know(psp->identity.pdh.scalar);
}

static void test_psp_wipes_a_guest_that_ends(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t handle, gctx;

	launch_both(psp, &handle, &gctx);
	assert_true(
	        holds_secret(psp->guests[handle - 1], sizeof(struct psp_sev_guest))); /* the search works */
	secrets--;                                                                    /* the PDH goes on */
	assert_code(psp_deactivate(psp, handle), PSP_SUCCESS);
	assert_code(psp_decommission(psp, handle), PSP_SUCCESS);
	assert_code(psp_snp_decommission(psp, gctx), PSP_SUCCESS);
	assert_true(freed >= 4); /* both guests, both ciphers */
	assert_int_equal(found, 0);
	assert_false(holds_secret(psp, sizeof(*psp)));
	psp_destroy(psp);
	secrets = 0;
}

static void test_psp_wipes_transport_keys_when_a_launch_ends(void **state)
{
	struct psp *psp = bench_psp("Milan");
	struct abi_sev_measure measure;
	uint32_t handle, gctx;

	launch_both(psp, &handle, &gctx);
	secrets = 2; /* TEK and TIK */
	assert_code(psp_launch_measure(psp, handle, &measure), PSP_SUCCESS);
	assert_code(psp_launch_finish(psp, handle), PSP_SUCCESS);
	assert_false(holds_secret(psp->guests[handle - 1], sizeof(struct psp_sev_guest)));
	assert_int_equal(found, 0);
	psp_destroy(psp);
	secrets = 0;
}

static void test_psp_wipes_everything_at_its_end(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t handle, gctx;

	launch_both(psp, &handle, &gctx);
	psp_destroy(psp);
	assert_true(freed >= 7);
	assert_int_equal(found, 0);
	secrets = 0;
}

static void test_psp_wipes_keys_of_a_platform_that_is_reset(void **state)
{
	struct psp *psp = bench_psp("Milan");
	uint32_t handle, gctx;

	launch_both(psp, &handle, &gctx);
	assert_code(psp_shutdown(psp), PSP_SUCCESS);
	assert_code(psp_snp_shutdown(psp), PSP_DFFLUSH_REQUIRED); /* the guest of SNP is active */
	assert_code(psp_snp_decommission(psp, gctx), PSP_SUCCESS);
	psp_wbinvd(psp);
	assert_code(psp_df_flush(psp), PSP_SUCCESS);
	assert_code(psp_snp_shutdown(psp), PSP_SUCCESS);
	assert_code(psp_factory_reset(psp), PSP_SUCCESS);
	assert_false(holds_secret(psp, sizeof(*psp)));
	assert_int_equal(found, 0);
	psp_destroy(psp);
	secrets = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_psp_wipes_a_guest_that_ends),
	        cmocka_unit_test(test_psp_wipes_transport_keys_when_a_launch_ends),
	        cmocka_unit_test(test_psp_wipes_everything_at_its_end),
	        cmocka_unit_test(test_psp_wipes_keys_of_a_platform_that_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
