/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: launches SEV and SEV-ES guests: hashes and encrypts their memory, measures them, and gives them
 * secrets. Any thread may call; commands run with the lock of the secure processor held. SEV API,
 * LAUNCH_START to ATTESTATION.
 */
#include <string.h>

#include "internal.h"
#include "transport.h"
#include "vmm/abi/policy.h"

#define SECRET_CONTEXT 0x01

static EVP_MD_CTX *hash_start(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
		return hash;
	EVP_MD_CTX_free(hash);
	return NULL;
}

/*
 * Unwraps the transport keys of a guest whose owner sent a session. The keys are zeros for a guest without an
 * owner.
 */
static uint32_t open_session(struct psp *psp, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session, struct psp_transport *ret_transport)
{
	if (!godh)
		return PSP_SUCCESS;
	return session ? psp_transport_open(psp, godh, session, policy, ret_transport) : PSP_INVALID_LEN;
}

static uint32_t add_guest(
        struct psp *psp, uint32_t *handle, uint32_t policy, const struct psp_transport *transport)
{
	uint32_t made = *handle, code = psp_sev_guest_add(psp, &made, policy, transport, PSP_SEV_LUPDATE);

	if (code)
		return code;
	psp->guests[made - 1]->hash = hash_start();
	if (!psp->guests[made - 1]->hash) {
		psp_sev_guest_end(psp, made);
		return PSP_BROKEN;
	}
	*handle = made;
	return PSP_SUCCESS;
}

uint32_t psp_launch_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session)
{
	auto_wipe_transport struct psp_transport transport = {0};
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_LAUNCH_START);
	uint32_t code;

	if (call.code)
		return call.code;
	code = open_session(psp, policy, godh, session, &transport);
	if (code)
		return code;
	return add_guest(psp, handle, policy, &transport);
}

static const char *kind_of(const struct psp_sev_guest *guest)
{
	return guest->policy & ABI_SEV_POLICY_ES ? "sev-es" : "sev";
}

static void tell(const struct psp *psp, const struct psp_sev_guest *guest, const char *page, const void *data,
        size_t size)
{
	const struct sim_measured measured = {
	        .guest = kind_of(guest), .page = page, .data = data, .size_bytes = size};

	if (psp->options.measured)
		psp->options.measured(&measured);
}

static void tell_end(const struct psp *psp, const struct psp_sev_guest *guest)
{
	const struct sim_measured measured = {
	        .guest = kind_of(guest), .digest = guest->digest, .digest_bytes = sizeof(guest->digest)};

	if (psp->options.measured)
		psp->options.measured(&measured);
}

static uint32_t update(struct psp *psp, struct psp_sev_guest *guest, const char *page, void *data,
        uint64_t address, size_t size)
{
	uint32_t code = psp_sev_memory_check(guest, address, size);

	if (code)
		return code;
	if (EVP_DigestUpdate(guest->hash, data, size) != 1)
		return PSP_BROKEN;
	tell(psp, guest, page, data, size);
	psp_encrypt(psp_asid_cipher(psp, guest->asid), address, data, data, size);
	return PSP_SUCCESS;
}

uint32_t psp_launch_update_data(struct psp *psp, uint32_t handle, void *data, uint64_t address, size_t size)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call =
	        psp_command_enter_sev(psp, PSP_CMD_LAUNCH_UPDATE_DATA, handle, &guest);

	if (call.code)
		return call.code;
	return update(psp, guest, "normal", data, address, size);
}

uint32_t psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct abi_vmsa *vmsa, uint64_t address)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call =
	        psp_command_enter_sev(psp, PSP_CMD_LAUNCH_UPDATE_VMSA, handle, &guest);

	if (call.code)
		return call.code;
	if (!(guest->policy & ABI_SEV_POLICY_ES))
		return PSP_UNSUPPORTED;
	return update(psp, guest, "vmsa", vmsa, address, sizeof(*vmsa));
}

/* ---- LAUNCH_MEASURE ---- */

static uint32_t measure_guest(struct psp *psp, struct psp_sev_guest *guest, struct abi_sev_measure *measure)
{
	if (EVP_DigestFinal_ex(guest->hash, guest->digest, NULL) != 1 ||
	        !psp_keys_random(psp, measure->mnonce, sizeof(measure->mnonce)) ||
	        !psp_transport_measure(&guest->transport, &psp->options, guest->policy, guest->digest,
	                measure->mnonce, measure->measure))
		return PSP_BROKEN;
	EVP_MD_CTX_free(guest->hash);
	guest->hash = NULL;
	memcpy(guest->measure, measure->measure, sizeof(guest->measure));
	guest->state = PSP_SEV_LSECRET;
	tell_end(psp, guest);
	return PSP_SUCCESS;
}

uint32_t psp_launch_measure(struct psp *psp, uint32_t handle, struct abi_sev_measure *ret_measure)
{
	struct abi_sev_measure measure;
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_MEASURE, handle, &guest);
	uint32_t code;

	if (call.code)
		return call.code;
	if (!ret_measure)
		return PSP_INVALID_LEN;
	code = measure_guest(psp, guest, &measure);
	if (code)
		return code;
	*ret_measure = measure;
	return PSP_SUCCESS;
}

/* ---- LAUNCH_SECRET, LAUNCH_FINISH ---- */

uint32_t psp_launch_secret(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_SECRET, handle, &guest);
	uint32_t code;

	if (call.code)
		return call.code;
	code = psp_sev_memory_check(guest, address, size);
	if (code)
		return code;
	if (size > PSP_PACKET_MAX_BYTES)
		return PSP_INVALID_LEN;
	return psp_transport_unpack(&guest->transport, SECRET_CONTEXT, guest->measure, header, packet,
	        psp_asid_cipher(psp, guest->asid), data, address, size);
}

uint32_t psp_launch_finish(struct psp *psp, uint32_t handle)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_FINISH, handle, &guest);

	if (call.code)
		return call.code;
	guest->state = PSP_SEV_RUNNING;
	psp_asid_run(psp, guest->asid);
	psp_transport_wipe(&guest->transport);
	return PSP_SUCCESS;
}
