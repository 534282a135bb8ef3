/*
 * launch: the launch of SEV and SEV-ES guests: hashed, encrypted, measured, given secrets. Any thread; the
 * lock of the secure processor. SEV API, LAUNCH_START to ATTESTATION.
 */
#include <string.h>

#include "internal.h"
#include "transport.h"

#define SECRET_CONTEXT 0x01

static EVP_MD_CTX *hash_start(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
		return hash;
	EVP_MD_CTX_free(hash);
	return NULL;
}

uint32_t psp_launch_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *godh,
        const struct abi_sev_session *session)
{
	struct psp_transport transport = {0};
	uint32_t code = psp_command_enter(psp, PSP_CMD_LAUNCH_START), made = *handle;

	if (code == PSP_SUCCESS && godh && !session)
		code = PSP_INVALID_LEN;
	if (code == PSP_SUCCESS && godh)
		code = psp_transport_open(psp, godh, session, policy, &transport);
	if (code == PSP_SUCCESS)
		code = psp_sev_guest_add(psp, &made, policy, &transport, PSP_SEV_LUPDATE);
	if (code == PSP_SUCCESS) {
		psp->guests[made - 1]->hash = hash_start();
		if (!psp->guests[made - 1]->hash) {
			psp_sev_guest_end(psp, made);
			code = PSP_BROKEN;
		}
	}
	if (code == PSP_SUCCESS)
		*handle = made;
	crypto_wipe(&transport, sizeof(transport));
	return psp_command_leave(psp, code);
}

static uint32_t update(
        struct psp *psp, struct psp_sev_guest *guest, void *data, uint64_t address, size_t size)
{
	uint32_t code = psp_sev_memory_check(guest, address, size);

	if (code)
		return code;
	if (EVP_DigestUpdate(guest->hash, data, size) != 1)
		return PSP_BROKEN;
	psp_encrypt(psp_asid_cipher(psp, guest->asid), address, data, data, size);
	return PSP_SUCCESS;
}

uint32_t psp_launch_update_data(struct psp *psp, uint32_t handle, void *data, uint64_t address, size_t size)
{
	struct psp_sev_guest *guest;
	uint32_t code = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_UPDATE_DATA, handle, &guest);

	if (code == PSP_SUCCESS)
		code = update(psp, guest, data, address, size);
	return psp_command_leave(psp, code);
}

uint32_t psp_launch_update_vmsa(struct psp *psp, uint32_t handle, struct abi_vmsa *vmsa, uint64_t address)
{
	struct psp_sev_guest *guest;
	uint32_t code = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_UPDATE_VMSA, handle, &guest);

	if (code == PSP_SUCCESS && !(guest->policy & ABI_SEV_POLICY_ES))
		code = PSP_UNSUPPORTED;
	if (code == PSP_SUCCESS)
		code = update(psp, guest, vmsa, address, sizeof(*vmsa));
	return psp_command_leave(psp, code);
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
	return PSP_SUCCESS;
}

uint32_t psp_launch_measure(struct psp *psp, uint32_t handle, struct abi_sev_measure *ret_measure)
{
	struct abi_sev_measure measure;
	struct psp_sev_guest *guest;
	uint32_t code = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_MEASURE, handle, &guest);

	if (code == PSP_SUCCESS)
		code = ret_measure ? measure_guest(psp, guest, &measure) : PSP_INVALID_LEN;
	if (code == PSP_SUCCESS)
		*ret_measure = measure;
	return psp_command_leave(psp, code);
}

/* ---- LAUNCH_SECRET, LAUNCH_FINISH ---- */

uint32_t psp_launch_secret(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size)
{
	struct psp_sev_guest *guest;
	uint32_t code = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_SECRET, handle, &guest);

	if (code == PSP_SUCCESS)
		code = psp_sev_memory_check(guest, address, size);
	if (code == PSP_SUCCESS && size > PSP_PACKET_MAX_BYTES)
		code = PSP_INVALID_LEN;
	if (code == PSP_SUCCESS)
		code = psp_transport_unpack(&guest->transport, SECRET_CONTEXT, guest->measure, header, packet,
		        psp_asid_cipher(psp, guest->asid), data, address, size);
	return psp_command_leave(psp, code);
}

uint32_t psp_launch_finish(struct psp *psp, uint32_t handle)
{
	struct psp_sev_guest *guest;
	uint32_t code = psp_command_enter_sev(psp, PSP_CMD_LAUNCH_FINISH, handle, &guest);

	if (code == PSP_SUCCESS) {
		guest->state = PSP_SEV_RUNNING;
		psp_asid_run(psp, guest->asid);
		crypto_wipe(&guest->transport, sizeof(guest->transport));
	}
	return psp_command_leave(psp, code);
}
