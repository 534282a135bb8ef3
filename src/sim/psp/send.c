/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: sends SEV guests to another platform, and receives them. Any thread may call; commands run with the
 * lock of the secure processor held. SEV API, SEND_START to RECEIVE_FINISH, of which AMD published an
 * implementation.
 */
#include <string.h>

#include "certs.h"
#include "identity.h"
#include "roots.h"
#include "transport.h"
#include "vmm/abi/policy.h"

/* Packets of VMSAs have this context, too: the receiver's driver knows which packets hold a VMSA. */
#define PACKET_CONTEXT 0x02

/* ---- whom to send to ---- */

/*
 * Policy bit SEV: the receiver must be a processor of AMD's (here: of the simulation) with new enough
 * firmware.
 */
static uint32_t check_processor(uint32_t policy, const struct psp_receiver *receiver)
{
	const struct abi_sev_cert_chain *chain = receiver->chain;
	uint8_t major = (uint8_t)(policy >> 16), minor = (uint8_t)(policy >> 24);

	if (!psp_roots_signed(receiver->amd, receiver->amd_size, &chain->cek) ||
	        !psp_cert_is_signed(&chain->pek, &chain->cek) ||
	        !psp_cert_is_signed(receiver->pdh, &chain->pek))
		return PSP_INVALID_CERTIFICATE;
	return chain->pek.api_major < major || (chain->pek.api_major == major && chain->pek.api_minor < minor)
	               ? PSP_POLICY_FAILURE
	               : PSP_SUCCESS;
}

/* Policy bit DOMAIN: the receiver must have the same owner as the sender. */
static uint32_t check_domain(struct psp *psp, const struct psp_receiver *receiver)
{
	const struct psp_identity *identity = psp_identity_get(psp);
	const struct abi_sev_cert_chain *chain = receiver->chain;

	if (!identity)
		return PSP_BROKEN;
	if (!psp_cert_is_signed(&chain->oca, &chain->oca) || !psp_cert_is_signed(&chain->pek, &chain->oca) ||
	        !psp_cert_is_signed(receiver->pdh, &chain->pek))
		return PSP_INVALID_CERTIFICATE;
	return memcmp(&chain->oca, &identity->oca_cert, sizeof(chain->oca)) == 0 ? PSP_SUCCESS
	                                                                         : PSP_POLICY_FAILURE;
}

static uint32_t check_receiver(struct psp *psp, uint32_t policy, const struct psp_receiver *receiver)
{
	uint32_t code;

	if (policy & ABI_SEV_POLICY_NOSEND)
		return PSP_POLICY_FAILURE;
	if (!receiver->pdh || ((policy & (ABI_SEV_POLICY_SEV | ABI_SEV_POLICY_DOMAIN)) && !receiver->chain))
		return PSP_INVALID_LEN;
	code = policy & ABI_SEV_POLICY_SEV ? check_processor(policy, receiver) : PSP_SUCCESS;
	if (code)
		return code;
	return policy & ABI_SEV_POLICY_DOMAIN ? check_domain(psp, receiver) : PSP_SUCCESS;
}

uint32_t psp_send_start(struct psp *psp, uint32_t handle, const struct psp_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, PSP_CMD_SEND_START, handle, &guest);
	uint32_t code;

	/* The firmware checks the room for the session before it checks the guest's state. */
	if (!ret_session && (call.code == PSP_SUCCESS || call.code == PSP_INVALID_GUEST_STATE))
		return PSP_INVALID_LEN;
	if (call.code)
		return call.code;
	code = check_receiver(psp, guest->policy, receiver);
	if (code)
		return code;
	code = psp_transport_wrap(psp, receiver->pdh, guest->policy, ret_session, &guest->transport);
	if (code)
		return code;
	*ret_policy = guest->policy;
	guest->state = PSP_SEV_SUPDATE;
	return PSP_SUCCESS;
}

/* ---- packets ---- */

static struct psp_call enter_packet(struct psp *psp, enum psp_command command, uint32_t handle,
        uint64_t address, size_t size, struct psp_sev_guest **ret_guest)
{
	bool is_vmsa = command == PSP_CMD_SEND_UPDATE_VMSA || command == PSP_CMD_RECEIVE_UPDATE_VMSA;
	struct psp_call call = psp_command_enter_sev(psp, command, handle, ret_guest);

	if (call.code)
		return call;
	if (is_vmsa && !((*ret_guest)->policy & ABI_SEV_POLICY_ES))
		call.code = PSP_UNSUPPORTED;
	else if (size > PSP_PACKET_MAX_BYTES)
		call.code = PSP_INVALID_LEN;
	else
		call.code = psp_sev_memory_check(*ret_guest, address, size);
	return call;
}

/*
 * The firmware checks the room for the header before it checks the guest, and the room for the packet after
 * that.
 */
static bool is_about_guest(uint32_t code)
{
	return code == PSP_SUCCESS || code == PSP_INVALID_GUEST || code == PSP_INVALID_GUEST_STATE;
}

static uint32_t send_packet(struct psp *psp, enum psp_command command, uint32_t handle, const void *data,
        uint64_t address, size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	uint8_t plain[PSP_PACKET_MAX_BYTES];
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = enter_packet(psp, command, handle, address, size, &guest);
	uint32_t code;

	if (!ret_header && is_about_guest(call.code))
		return PSP_INVALID_LEN;
	if (call.code)
		return call.code;
	if (!ret_packet)
		return PSP_INVALID_LEN;
	psp_decrypt(psp_asid_cipher(psp, guest->asid), address, data, plain, size);
	code = psp_transport_pack(
	        psp, &guest->transport, PACKET_CONTEXT, plain, size, ret_header, ret_packet);
	crypto_wipe(plain, size);
	return code;
}

uint32_t psp_send_update_data(struct psp *psp, uint32_t handle, const void *data, uint64_t address,
        size_t size, struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	return send_packet(
	        psp, PSP_CMD_SEND_UPDATE_DATA, handle, data, address, size, ret_header, ret_packet);
}

uint32_t psp_send_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_vmsa *vmsa, uint64_t address,
        struct abi_sev_secret_header *ret_header, void *ret_packet)
{
	return send_packet(
	        psp, PSP_CMD_SEND_UPDATE_VMSA, handle, vmsa, address, sizeof(*vmsa), ret_header, ret_packet);
}

static uint32_t receive_packet(struct psp *psp, enum psp_command command, uint32_t handle,
        const struct abi_sev_secret_header *header, const void *packet, void *data, uint64_t address,
        size_t size)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = enter_packet(psp, command, handle, address, size, &guest);

	if (call.code)
		return call.code;
	return psp_transport_unpack(&guest->transport, PACKET_CONTEXT, NULL, header, packet,
	        psp_asid_cipher(psp, guest->asid), data, address, size);
}

uint32_t psp_receive_update_data(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint64_t address, size_t size)
{
	return receive_packet(psp, PSP_CMD_RECEIVE_UPDATE_DATA, handle, header, packet, data, address, size);
}

uint32_t psp_receive_update_vmsa(struct psp *psp, uint32_t handle, const struct abi_sev_secret_header *header,
        const void *packet, struct abi_vmsa *vmsa, uint64_t address)
{
	return receive_packet(
	        psp, PSP_CMD_RECEIVE_UPDATE_VMSA, handle, header, packet, vmsa, address, sizeof(*vmsa));
}

/* ---- beginning and end ---- */

uint32_t psp_receive_start(struct psp *psp, uint32_t *handle, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session)
{
	auto_wipe_transport struct psp_transport transport = {0};
	auto_leave struct psp_call call = psp_command_enter(psp, PSP_CMD_RECEIVE_START);
	uint32_t code;

	if (call.code)
		return call.code;
	code = psp_transport_open(psp, pdh, session, policy, &transport);
	if (code)
		return code;
	return psp_sev_guest_add(psp, handle, policy, &transport, PSP_SEV_RUPDATE);
}

/* Ends the sending or the receiving of a guest: the transport keys are wiped. */
static uint32_t end(struct psp *psp, enum psp_command command, uint32_t handle, enum psp_sev_state next)
{
	struct psp_sev_guest *guest;
	auto_leave struct psp_call call = psp_command_enter_sev(psp, command, handle, &guest);

	if (call.code)
		return call.code;
	psp_transport_wipe(&guest->transport);
	guest->state = next;
	psp_asid_run(psp, guest->asid);
	return PSP_SUCCESS;
}

uint32_t psp_send_finish(struct psp *psp, uint32_t handle)
{
	return end(psp, PSP_CMD_SEND_FINISH, handle, PSP_SEV_SENT);
}

uint32_t psp_send_cancel(struct psp *psp, uint32_t handle)
{
	return end(psp, PSP_CMD_SEND_CANCEL, handle, PSP_SEV_RUNNING);
}

uint32_t psp_receive_finish(struct psp *psp, uint32_t handle)
{
	return end(psp, PSP_CMD_RECEIVE_FINISH, handle, PSP_SEV_RUNNING);
}
