/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: makes and ends SEV and SEV-ES guests, and manages their ASIDs and memory. Any thread may call;
 * commands run with the lock of the secure processor held. SEV API, chapter 6 (ACTIVATE to DBG_ENCRYPT), of
 * which AMD published an implementation.
 */
#include <string.h>

#include "internal.h"
#include "vmm/abi/policy.h"

/* ---- their making and end ---- */

uint32_t psp_sev_guest_add(struct psp *psp, uint32_t *handle, uint32_t policy,
        const struct psp_transport *transport, enum psp_sev_state state)
{
	const struct psp_sev_guest *sharing = NULL;
	struct psp_sev_guest *guest;
	uint32_t slot = 0;

	if (*handle) {
		if (*handle > PSP_SEV_GUESTS_MAX || !psp->guests[*handle - 1])
			return PSP_INVALID_GUEST;
		sharing = psp->guests[*handle - 1];
		if (policy != sharing->policy || (policy & ABI_SEV_POLICY_NOKS))
			return PSP_POLICY_FAILURE;
	}
	while (slot < PSP_SEV_GUESTS_MAX && psp->guests[slot])
		slot++;
	if (slot == PSP_SEV_GUESTS_MAX)
		return PSP_RESOURCE_LIMIT;
	if ((policy & ABI_SEV_POLICY_ES) && !psp->es)
		return PSP_UNSUPPORTED;
	guest = calloc(1, sizeof(*guest));
	if (!guest)
		return PSP_BROKEN;
	*guest = (struct psp_sev_guest){.state = state, .policy = policy, .transport = *transport};
	if (sharing)
		memcpy(guest->key_seed, sharing->key_seed, sizeof(guest->key_seed));
	else if (!psp_keys_random(psp, guest->key_seed, sizeof(guest->key_seed))) {
		free(guest);
		return PSP_BROKEN;
	}
	psp->guests[slot] = guest;
	psp->guest_count++;
	psp->state = PSP_PLATFORM_WORKING;
	*handle = slot + 1;
	return PSP_SUCCESS;
}

void psp_sev_guest_end(struct psp *psp, uint32_t handle)
{
	struct psp_sev_guest *guest = psp->guests[handle - 1];

	psp_asid_deactivate(psp, &guest->asid);
	if (guest->hash)
		EVP_MD_CTX_free(guest->hash);
	crypto_wipe(guest, sizeof(*guest));
	free(guest);
	psp->guests[handle - 1] = NULL;
	if (--psp->guest_count == 0)
		psp->state = PSP_PLATFORM_INIT;
}

void psp_sev_guests_end(struct psp *psp)
{
	for (uint32_t handle = 1; handle <= PSP_SEV_GUESTS_MAX; handle++) {
		if (psp->guests[handle - 1])
			psp_sev_guest_end(psp, handle);
	}
}

uint32_t psp_decommission(struct psp *psp, uint32_t handle)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_DECOMMISSION, handle, &guest);

	if (call.code)
		return call.code;
	if (guest->asid)
		return PSP_ACTIVE;
	psp_sev_guest_end(psp, handle);
	return PSP_SUCCESS;
}

/* ---- ASIDs, state ---- */

uint32_t psp_activate(struct psp *psp, uint32_t handle, uint32_t asid)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_ACTIVATE, handle, &guest);
	uint32_t code;

	if (call.code)
		return call.code;
	code = psp_asid_activate(psp, &guest->asid, asid,
	        guest->policy & ABI_SEV_POLICY_ES ? PRODUCT_ASID_ES : PRODUCT_ASID_SEV, guest->key_seed);
	if (code)
		return code;
	if (guest->state != PSP_SEV_LUPDATE && guest->state != PSP_SEV_LSECRET &&
	        guest->state != PSP_SEV_RUPDATE)
		psp_asid_run(psp, guest->asid);
	return PSP_SUCCESS;
}

uint32_t psp_deactivate(struct psp *psp, uint32_t handle)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_DEACTIVATE, handle, &guest);

	if (call.code)
		return call.code;
	if (!guest->asid)
		return PSP_INACTIVE;
	psp_asid_deactivate(psp, &guest->asid);
	return PSP_SUCCESS;
}

uint32_t psp_guest_status(struct psp *psp, uint32_t handle, struct psp_sev_status *ret_status)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_GUEST_STATUS, handle, &guest);

	if (call.code)
		return call.code;
	*ret_status = (struct psp_sev_status){
	        .policy = guest->policy, .asid = guest->asid, .state = (uint8_t)guest->state};
	return PSP_SUCCESS;
}

/* ---- memory ---- */

uint32_t psp_sev_memory_check(const struct psp_sev_guest *guest, uint64_t address, size_t size)
{
	if (!guest->asid)
		return PSP_INACTIVE;
	if (!is_aligned(address, 16))
		return PSP_INVALID_ADDRESS;
	return size == 0 || !is_aligned(size, 16) ? PSP_INVALID_LEN : PSP_SUCCESS;
}

static uint32_t debug_check(const struct psp_sev_guest *guest, uint64_t address, size_t size)
{
	if (!is_aligned(address, 16))
		return PSP_INVALID_ADDRESS;
	if (!is_aligned(size, 16))
		return PSP_INVALID_LEN;
	if (guest->policy & ABI_SEV_POLICY_NODBG)
		return PSP_POLICY_FAILURE;
	return guest->asid ? PSP_SUCCESS : PSP_INACTIVE;
}

static struct psp_call enter_debug(struct psp *psp, enum psp_command command, uint32_t handle,
        uint64_t address, size_t size, const struct psp_cipher **ret_cipher)
{
	struct psp_sev_guest *guest;
	struct psp_call call = psp_command_enter_sev(psp, command, handle, &guest);

	if (call.code)
		return call;
	call.code = debug_check(guest, address, size);
	if (call.code == PSP_SUCCESS)
		*ret_cipher = psp_asid_cipher(psp, guest->asid);
	return call;
}

uint32_t psp_dbg_decrypt(
        struct psp *psp, uint32_t handle, const void *guest, uint64_t address, void *plain, size_t size)
{
	const struct psp_cipher *cipher;
	auto_leave struct psp_call call =
	        enter_debug(psp, PSP_CMD_DBG_DECRYPT, handle, address, size, &cipher);

	if (call.code)
		return call.code;
	psp_decrypt(cipher, address, guest, plain, size);
	return PSP_SUCCESS;
}

uint32_t psp_dbg_encrypt(
        struct psp *psp, uint32_t handle, const void *plain, void *guest, uint64_t address, size_t size)
{
	const struct psp_cipher *cipher;
	auto_leave struct psp_call call =
	        enter_debug(psp, PSP_CMD_DBG_ENCRYPT, handle, address, size, &cipher);

	if (call.code)
		return call.code;
	psp_encrypt(cipher, address, plain, guest, size);
	return PSP_SUCCESS;
}
