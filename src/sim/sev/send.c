/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: the commands that move a SEV guest to another machine, page by page. Runs with sev_guest.lock held.
 * Law: amd-memory-encryption.rst, KVM_SEV_SEND_START to KVM_SEV_RECEIVE_FINISH; Linux's
 * arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "cpu/ram.h"
#include "decrypted.h"
#include "kvm/memory.h"

/* ---- out ---- */

/* KVM leaves it to the firmware to judge lengths. Only a session length of 0 asks for the length. */
static uint32_t start_code(struct sev_call *call, struct kvm_sev_send_start *params,
        const struct sev_blobs *b, struct abi_sev_session *session)
{
	const struct psp_receiver receiver = {
	        params->pdh_cert_len == sizeof(struct abi_sev_cert) ? b->at[0] : NULL,
	        params->plat_certs_len == sizeof(struct abi_sev_cert_chain) ? b->at[1] : NULL, b->at[2],
	        params->amd_certs_len};
	bool room = params->session_len == sizeof(*session);
	uint32_t code;

	params->policy = 0;
	code = psp_send_start(
	        call->psp, call->sev->handle, &receiver, &params->policy, room ? session : NULL);
	if (code == PSP_INVALID_LEN)
		params->session_len = sizeof(*session);
	return code;
}

/* Gives the command's buffer back in any case; it holds a length only after INVALID_LEN. */
static int send_start_query(struct sev_call *call, struct kvm_sev_send_start *params)
{
	int result = sev_ready(call);

	if (result == 0) {
		uint32_t code = psp_send_start(call->psp, call->sev->handle, NULL, NULL, NULL);

		result = sev_result(call, code);
		params->session_len = code == PSP_INVALID_LEN ? sizeof(struct abi_sev_session) : 0;
	}
	return sev_copy_out(call, params, sizeof(*params)) < 0 ? -EFAULT : result;
}

static int send_start_with(
        struct sev_call *call, struct kvm_sev_send_start *params, const struct sev_blobs *b)
{
	struct abi_sev_session session;
	int result = sev_result(call, start_code(call, params, b, &session));

	if (result == 0 && object_copy_out((uintptr_t)params->session_uaddr, &session, sizeof(session)) < 0)
		return -EFAULT;
	return sev_copy_out(call, params, sizeof(*params)) < 0 ? -EFAULT : result;
}

/* Copies the certificates of the platform that the guest goes to: its PDH, its chain, AMD's chain. */
static int take_receiver(struct sev_blobs *b, const struct kvm_sev_send_start *params)
{
	int result = sev_blob_take(b, 0, params->pdh_cert_uaddr, params->pdh_cert_len);

	if (result < 0)
		return result;
	result = sev_blob_take(b, 1, params->plat_certs_uaddr, params->plat_certs_len);
	return result < 0 ? result : sev_blob_take(b, 2, params->amd_certs_uaddr, params->amd_certs_len);
}

int sev_send_start(struct sev_call *call)
{
	struct kvm_sev_send_start params;
	auto_sev_blobs struct sev_blobs b = {0};
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	if (!params.session_len)
		return send_start_query(call, &params);
	if (!params.pdh_cert_uaddr || !params.pdh_cert_len || !params.session_uaddr ||
	        params.session_len > SEV_BLOB_MAX_BYTES)
		return -EINVAL;
	result = take_receiver(&b, &params);
	if (result < 0)
		return result;
	result = sev_ready(call);
	return result < 0 ? result : send_start_with(call, &params, &b);
}

static bool within_page(uint64_t address, uint32_t size)
{
	return size <= PAGE_SIZE_BYTES && address % PAGE_SIZE_BYTES + size <= PAGE_SIZE_BYTES;
}

/*
 * Asks for the lengths as KVM does, with the handle alone, so the firmware cannot say how long the packet
 * will be.
 */
static int send_data_query(struct sev_call *call, struct kvm_sev_send_update_data *params)
{
	uint32_t code = PSP_SUCCESS;
	int result = sev_ready(call);

	if (result == 0) {
		code = psp_send_update_data(call->psp, call->sev->handle, NULL, 0, 0, NULL, NULL);
		result = sev_result(call, code);
	}
	params->hdr_len = code == PSP_INVALID_LEN ? sizeof(struct abi_sev_secret_header) : 0;
	params->trans_len = 0;
	return sev_copy_out(call, params, sizeof(*params)) < 0 ? -EFAULT : result;
}

/* The guest may run meanwhile: what its processors have written is to be found in the VMM's mapping. */
static void settle(struct kvm_vm *vm, uint64_t address)
{
	uintptr_t page = address & ~(uint64_t)(PAGE_SIZE_BYTES - 1);

	pthread_mutex_lock(&vm->lock);
	for (uint32_t i = 0; i < vm->map->count; i++) {
		const struct cpu_slot *slot = &vm->map->slots[i];

		if (page - (uintptr_t)slot->host < slot->size)
			sev_decrypted_settle(vm, slot, sev_pointer(page));
	}
	pthread_mutex_unlock(&vm->lock);
}

static int send_data(struct sev_call *call, const struct kvm_sev_send_update_data *params)
{
	struct abi_sev_secret_header header;
	uint8_t ciphertext[PAGE_SIZE_BYTES], packet[PAGE_SIZE_BYTES];
	uint64_t spa, size = params->guest_len;
	int result;

	if (params->hdr_len > SEV_KERNEL_BUFFER_MAX || params->trans_len > SEV_KERNEL_BUFFER_MAX ||
	        sev_guest_spa(call, params->guest_uaddr, &size, &spa) < 0)
		return -ENOMEM;
	result = sev_ready(call);
	if (result < 0)
		return result;
	settle(call->vm, params->guest_uaddr);
	ram_copy(ciphertext, sev_pointer(params->guest_uaddr), params->guest_len);
	result = sev_result(
	        call, psp_send_update_data(call->psp, call->sev->handle, ciphertext, spa, params->guest_len,
	                      params->hdr_len >= sizeof(header) ? &header : NULL,
	                      params->trans_len >= params->guest_len ? packet : NULL));
	if (result < 0)
		return result;
	if (sev_copy_out_padded(params->trans_uaddr, packet, params->guest_len, params->trans_len) < 0 ||
	        sev_copy_out_padded(params->hdr_uaddr, &header, sizeof(header), params->hdr_len) < 0)
		return -EFAULT;
	return 0;
}

int sev_send_update_data(struct sev_call *call)
{
	struct kvm_sev_send_update_data params;
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	if (!params.trans_len || !params.hdr_len)
		return send_data_query(call, &params);
	if (!params.trans_uaddr || !params.guest_uaddr || !params.guest_len || !params.hdr_uaddr ||
	        !within_page(params.guest_uaddr, params.guest_len))
		return -EINVAL;
	result = sev_pin(call->sev, params.guest_uaddr, params.guest_len, false);
	if (result < 0)
		return result;
	result = send_data(call, &params);
	sev_unpin(call->sev, params.guest_uaddr, params.guest_len);
	return result;
}

int sev_send_finish(struct sev_call *call)
{
	return sev_plain(call, psp_send_finish);
}

int sev_send_cancel(struct sev_call *call)
{
	return sev_plain(call, psp_send_cancel);
}

/* ---- in ---- */

/* Gives the firmware the sender's PDH and the session with it, which it reads in their whole size. */
static uint32_t receive_start(struct sev_call *call, void *params, const struct sev_blobs *b)
{
	struct kvm_sev_receive_start *p = params;

	if (p->pdh_len < sizeof(struct abi_sev_cert) || p->session_len < sizeof(struct abi_sev_session))
		return PSP_INVALID_LEN;
	return psp_receive_start(call->psp, &p->handle, p->policy, b->at[0], b->at[1]);
}

int sev_receive_start(struct sev_call *call)
{
	struct kvm_sev_receive_start params;
	auto_sev_blobs struct sev_blobs b = {0};
	const struct sev_start start = {receive_start, &params, sizeof(params), &params.handle, &b};
	int result = sev_take_params(call, &params, sizeof(params));

	if (result < 0)
		return result;
	if (!params.pdh_uaddr || !params.pdh_len || !params.session_uaddr || !params.session_len)
		return -EINVAL;
	result = sev_blob_take(&b, 0, params.pdh_uaddr, params.pdh_len);
	if (result < 0)
		return result;
	result = sev_blob_take(&b, 1, params.session_uaddr, params.session_len);
	return result < 0 ? result : sev_start(call, &start);
}

static int receive_data(
        struct sev_call *call, const struct kvm_sev_receive_update_data *params, const struct sev_blobs *b)
{
	uint64_t spa = 0, size = params->guest_len;
	uint32_t code = PSP_INVALID_LEN;
	int result = sev_guest_spa(call, params->guest_uaddr, &size, &spa);

	if (result < 0)
		return result;
	result = sev_ready(call);
	if (result < 0)
		return result;
	if (params->hdr_len >= sizeof(struct abi_sev_secret_header) && params->trans_len >= params->guest_len)
		code = psp_receive_update_data(call->psp, call->sev->handle, b->at[0], b->at[1],
		        sev_pointer(params->guest_uaddr), spa, params->guest_len);
	return sev_result(call, code);
}

/* As with the kernel, the error for a guest without SEV is -EINVAL here. */
int sev_receive_update_data(struct sev_call *call)
{
	struct kvm_sev_receive_update_data params;
	auto_sev_blobs struct sev_blobs b = {0};
	int result = call->vm->encrypted ? sev_copy_in(call, &params, sizeof(params)) : -EINVAL;

	if (result < 0)
		return result;
	if (!params.hdr_uaddr || !params.hdr_len || !params.guest_uaddr || !params.guest_len ||
	        !params.trans_uaddr || !params.trans_len ||
	        !within_page(params.guest_uaddr, params.guest_len))
		return -EINVAL;
	result = sev_blob_take(&b, 0, params.hdr_uaddr, params.hdr_len);
	if (result < 0)
		return result;
	result = sev_blob_take(&b, 1, params.trans_uaddr, params.trans_len);
	if (result < 0)
		return result;
	result = sev_pin(call->sev, params.guest_uaddr, params.guest_len, true);
	if (result < 0)
		return result;
	result = receive_data(call, &params, &b);
	sev_unpin(call->sev, params.guest_uaddr, params.guest_len);
	return result;
}

int sev_receive_finish(struct sev_call *call)
{
	return sev_plain(call, psp_receive_finish);
}
