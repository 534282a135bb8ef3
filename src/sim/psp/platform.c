/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: the commands of the host's owner that are not about keys: states, versions, TCBs. Any thread may
 * call; commands run with the lock of the secure processor held. SEV API, chapter 5; SNP ABI, SNP_INIT to
 * SNP_VLEK_LOAD.
 */
#include <string.h>

#include "identity.h"

/* ---- SEV ---- */

uint32_t psp_init(struct psp *psp, bool es)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_INIT);

	if (call.code)
		return call.code;
	if (!psp_identity_get(psp))
		return PSP_BROKEN;
	psp->state = PSP_PLATFORM_INIT;
	psp->es = es;
	return PSP_SUCCESS;
}

uint32_t psp_shutdown(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SHUTDOWN);

	if (call.code)
		return call.code;
	psp_sev_guests_end(psp);
	psp->state = PSP_PLATFORM_UNINIT;
	return PSP_SUCCESS;
}

uint32_t psp_factory_reset(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PLATFORM_RESET);

	if (call.code)
		return call.code;
	psp_identity_forget(psp);
	return PSP_SUCCESS;
}

uint32_t psp_platform_status(struct psp *psp, struct psp_platform_status *ret_status)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_PLATFORM_STATUS);
	bool on = psp->state != PSP_PLATFORM_UNINIT;

	if (call.code)
		return call.code;
	*ret_status = (struct psp_platform_status){
	        .api_major = psp->options.sev_major,
	        .api_minor = psp->options.sev_minor,
	        .build = psp->options.sev_build,
	        .state = (uint8_t)psp->state,
	        .owned = on && psp->identity.owned,
	        .es = on && psp->es,
	        .guest_count = psp->guest_count,
	};
	return PSP_SUCCESS;
}

/* ---- SNP ---- */

uint32_t psp_snp_init(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_INIT);

	if (call.code)
		return call.code;
	if (psp->snp_init || psp->state != PSP_PLATFORM_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	psp->snp_init = true;
	return PSP_SUCCESS;
}

uint32_t psp_snp_shutdown(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_SHUTDOWN);

	if (call.code)
		return call.code;
	if (psp->state != PSP_PLATFORM_UNINIT)
		return PSP_INVALID_PLATFORM_STATE;
	if (psp->snp_init && !psp_asids_are_clean(psp))
		return PSP_DFFLUSH_REQUIRED;
	if (psp->snp_init) {
		psp_snp_guests_end(psp);
		psp_vlek_unload(psp);
		psp->snp_init = false;
	}
	return PSP_SUCCESS;
}

static uint32_t status_flags(const struct psp *psp)
{
	bool hides = psp->options.snp_asids != 0, can_hide = hides || psp->product->ciphertext_hiding;

	return UAPI_SNP_STATUS_FEATURE_INFO | (psp->mask_chip_id ? UAPI_SNP_STATUS_MASK_CHIP_ID : 0) |
	       (psp->mask_chip_key ? UAPI_SNP_STATUS_MASK_CHIP_KEY : 0) |
	       (psp->vlek.loaded ? UAPI_SNP_STATUS_VLEK_EN : 0) |
	       (can_hide ? UAPI_SNP_STATUS_CIPHERTEXT_CAP : 0) | (hides ? UAPI_SNP_STATUS_CIPHERTEXT_EN : 0);
}

uint32_t psp_snp_platform_status(struct psp *psp, struct uapi_sev_snp_status *ret_status)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_PLATFORM_STATUS);

	if (call.code)
		return call.code;
	*ret_status = (struct uapi_sev_snp_status){
	        .api_major = psp->options.snp_major,
	        .api_minor = psp->options.snp_minor,
	        .state = psp->snp_init,
	        .rmp_init = psp->snp_init ? UAPI_SNP_STATUS_RMP_INITIALIZED : 0,
	        .build_id = psp->options.snp_build,
	        .flags = status_flags(psp),
	        .guest_count = psp->snp_guest_count,
	        .current_tcb_version = psp->options.tcb,
	        .reported_tcb_version = psp->reported_tcb,
	};
	return PSP_SUCCESS;
}

uint32_t psp_snp_feature_info(struct psp *psp, uint32_t index, uint32_t ret_registers[static 4])
{
	const uint32_t policies = PSP_FEATURE_RAPL_DIS | PSP_FEATURE_CIPHERTEXT_HIDING |
	                          PSP_FEATURE_AES_256_XTS | PSP_FEATURE_CXL_ALLOW;
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_FEATURE_INFO);

	if (call.code)
		return call.code;
	memset(ret_registers, 0, 4 * sizeof(ret_registers[0]));
	ret_registers[2] = index == 0 ? policies : 0;
	return PSP_SUCCESS;
}

/*
 * No other firmware can be loaded, so the committed version is always the one that the platform started with.
 */
uint32_t psp_snp_commit(struct psp *psp)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_COMMIT);

	if (call.code)
		return call.code;
	psp->committed_tcb = psp->options.tcb;
	return PSP_SUCCESS;
}

uint32_t psp_snp_set_config(struct psp *psp, const struct uapi_sev_snp_config *config)
{
	static const uint8_t zeros[sizeof(config->rsvd)];
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_CONFIG);
	uint64_t wanted = config->reported_tcb ? config->reported_tcb : psp->committed_tcb;

	if (call.code)
		return call.code;
	if (config->mask_chip > 3 || memcmp(config->rsvd, zeros, sizeof(zeros)) != 0 ||
	        !psp_product_tcb_covers(psp->committed_tcb, wanted))
		return PSP_INVALID_PARAM;
	if (wanted != psp->reported_tcb)
		psp_vlek_unload(psp);
	psp->reported_tcb = wanted;
	psp->mask_chip_id = config->mask_chip & 1;
	psp->mask_chip_key = config->mask_chip & 2;
	return PSP_SUCCESS;
}
