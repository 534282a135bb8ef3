/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp: manages the contexts and ASIDs of SNP guests, and begins their launch. Any thread may call; commands
 * run with the lock of the secure processor held. SNP ABI, SNP_GCTX_CREATE to SNP_LAUNCH_START.
 */
#include <string.h>

#include "internal.h"
#include "vmm/abi/policy.h"

/* Demands on the platform that a policy can make and that the ABI's headers do not name. */
#define POLICY_AES_256_XTS       (1ull << 22)
#define POLICY_RAPL_DIS          (1ull << 23)
#define POLICY_CIPHERTEXT_HIDING (1ull << 24)
#define POLICY_PAGE_SWAP_DISABLE (1ull << 25)

static void end(struct psp *psp, uint32_t gctx)
{
	struct psp_snp_guest *guest = psp->contexts[gctx - 1];

	psp_asid_deactivate(psp, &guest->asid);
	if (guest->state != SNP_INIT)
		psp->snp_guest_count--;
	crypto_wipe(guest, sizeof(*guest));
	free(guest);
	psp->contexts[gctx - 1] = NULL;
}

void psp_snp_guests_end(struct psp *psp)
{
	for (uint32_t gctx = 1; gctx <= PSP_SNP_GUESTS_MAX; gctx++) {
		if (psp->contexts[gctx - 1])
			end(psp, gctx);
	}
}

static uint32_t create(struct psp *psp, uint32_t *ret_gctx)
{
	struct psp_snp_guest *guest;
	uint32_t slot = 0;

	while (slot < PSP_SNP_GUESTS_MAX && psp->contexts[slot])
		slot++;
	if (slot == PSP_SNP_GUESTS_MAX)
		return PSP_RESOURCE_LIMIT;
	guest = calloc(1, sizeof(*guest));
	if (!guest || !psp_keys_random(psp, guest->key_seed, sizeof(guest->key_seed))) {
		free(guest);
		return PSP_BROKEN;
	}
	guest->launch_tcb = psp->committed_tcb;
	psp->contexts[slot] = guest;
	*ret_gctx = slot + 1;
	return PSP_SUCCESS;
}

uint32_t psp_gctx_create(struct psp *psp, uint32_t *ret_gctx)
{
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_SNP_GCTX_CREATE);

	if (call.code)
		return call.code;
	return create(psp, ret_gctx);
}

uint32_t psp_snp_decommission(struct psp *psp, uint32_t gctx)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_DECOMMISSION, gctx, &guest);

	if (call.code)
		return call.code;
	end(psp, gctx);
	return PSP_SUCCESS;
}

uint32_t psp_snp_activate(struct psp *psp, uint32_t gctx, uint32_t asid)
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_ACTIVATE, gctx, &guest);
	uint32_t code;

	if (call.code)
		return call.code;
	if ((guest->policy & ABI_SNP_POLICY_SINGLE_SOCKET) && psp->options.sockets > 1)
		return PSP_POLICY_FAILURE;
	code = psp_asid_activate(psp, &guest->asid, asid, PRODUCT_ASID_SNP, guest->key_seed);
	if (code)
		return code;
	if (guest->state == SNP_RUNNING)
		psp_asid_run(psp, guest->asid);
	return PSP_SUCCESS;
}

/*
 * Returns the bits of a policy that are refused: those that the firmware does not know, and those that this
 * platform never satisfies, because it encrypts with AES-128.
 */
static uint64_t policy_refused(const struct psp_options *o)
{
	uint64_t refused = ~ABI_SNP_POLICY_KNOWN | POLICY_AES_256_XTS | POLICY_RAPL_DIS;

	if (!o->snp_asids)
		refused |= POLICY_CIPHERTEXT_HIDING;
	if (o->snp_major == 1 && o->snp_minor < 58)
		refused |= POLICY_PAGE_SWAP_DISABLE;
	return refused;
}

static bool policy_ok(const struct psp_options *o, uint64_t policy)
{
	uint8_t major = (uint8_t)(policy >> 8), minor = (uint8_t)policy;

	return !(policy & policy_refused(o)) && (policy & ABI_SNP_POLICY_MUST_BE_ONE) &&
	       ((policy & ABI_SNP_POLICY_SMT) || o->smt_off) &&
	       (major < o->snp_major || (major == o->snp_major && minor <= o->snp_minor));
}

static uint32_t start(
        struct psp *psp, struct psp_snp_guest *guest, uint64_t policy, const uint8_t gosvw[static 16])
{
	if (!policy_ok(&psp->options, policy))
		return PSP_POLICY_FAILURE;
	if (!psp_keys_random(psp, guest->vmpck, sizeof(guest->vmpck)) ||
	        !psp_keys_random(psp, guest->report_id, sizeof(guest->report_id)) ||
	        !psp_keys_random(psp, guest->vmrk, sizeof(guest->vmrk)))
		return PSP_BROKEN;
	guest->policy = policy;
	memcpy(guest->gosvw, gosvw, sizeof(guest->gosvw));
	guest->state = SNP_LAUNCH;
	psp->snp_guest_count++;
	return PSP_SUCCESS;
}

uint32_t psp_snp_launch_start(struct psp *psp, uint32_t gctx, uint64_t policy, const uint8_t gosvw[static 16])
{
	struct psp_snp_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_snp(psp, PSP_CMD_SNP_LAUNCH_START, gctx, &guest);

	if (call.code)
		return call.code;
	return start(psp, guest, policy, gosvw);
}
