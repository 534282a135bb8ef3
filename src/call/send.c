/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send: the commands that move a SEV guest from one platform to another. Any thread.
 * Law: amd-memory-encryption.rst, KVM_SEV_SEND_START to KVM_SEV_RECEIVE_FINISH; SEV API, the same.
 */
#include "firmware.h"

/* The kernel wants something in the place of each certificate, also of those that the firmware does not read.
 */
int call_sev_send_start(const struct call_sev *sev, const struct call_sev_receiver *receiver,
        uint32_t *ret_policy, struct abi_sev_session *ret_session, struct err *err)
{
	struct abi_sev_session session = {0};
	bool has_amd = receiver->amd_bytes != 0;
	struct kvm_sev_send_start start = {
	        .pdh_cert_uaddr = (uintptr_t)receiver->pdh,
	        .pdh_cert_len = sizeof(*receiver->pdh),
	        .plat_certs_uaddr = (uintptr_t)receiver->chain,
	        .plat_certs_len = sizeof(*receiver->chain),
	        .amd_certs_uaddr = (uintptr_t)(has_amd ? receiver->amd : receiver->chain),
	        .amd_certs_len = has_amd ? receiver->amd_bytes : sizeof(*receiver->chain),
	        .session_uaddr = (uintptr_t)&session,
	        .session_len = sizeof(session),
	};

	if (call_firmware_issue(sev, KVM_SEV_SEND_START, &start, "KVM_SEV_SEND_START", err) < 0)
		return -1;
	if (start.session_len != sizeof(session))
		return err_set(err, ERR_HOST, "KVM_SEV_SEND_START gave %u bytes, a session has %zu",
		        start.session_len, sizeof(session));
	*ret_policy = start.policy;
	*ret_session = session;
	return 0;
}

int call_sev_send_update_data(const struct call_sev *sev, void *data, uint32_t size_bytes,
        struct abi_sev_secret_header *ret_header, void *ret_packet, struct err *err)
{
	struct kvm_sev_send_update_data update = {
	        .hdr_uaddr = (uintptr_t)ret_header,
	        .hdr_len = sizeof(*ret_header),
	        .guest_uaddr = (uintptr_t)data,
	        .guest_len = size_bytes,
	        .trans_uaddr = (uintptr_t)ret_packet,
	        .trans_len = size_bytes,
	};

	return call_firmware_issue(sev, KVM_SEV_SEND_UPDATE_DATA, &update, "KVM_SEV_SEND_UPDATE_DATA", err);
}

int call_sev_send_finish(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_SEND_FINISH, NULL, "KVM_SEV_SEND_FINISH", err);
}

int call_sev_send_cancel(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_SEND_CANCEL, NULL, "KVM_SEV_SEND_CANCEL", err);
}

int call_sev_receive_start(const struct call_sev *sev, uint32_t policy, const struct abi_sev_cert *pdh,
        const struct abi_sev_session *session, uint32_t *ret_handle, struct err *err)
{
	struct kvm_sev_receive_start start = {
	        .policy = policy,
	        .pdh_uaddr = (uintptr_t)pdh,
	        .pdh_len = sizeof(*pdh),
	        .session_uaddr = (uintptr_t)session,
	        .session_len = sizeof(*session),
	};

	if (call_firmware_issue(sev, KVM_SEV_RECEIVE_START, &start, "KVM_SEV_RECEIVE_START", err) < 0)
		return -1;
	*ret_handle = start.handle;
	return 0;
}

int call_sev_receive_update_data(const struct call_sev *sev, const struct abi_sev_secret_header *header,
        const void *packet, void *data, uint32_t size_bytes, struct err *err)
{
	struct kvm_sev_receive_update_data update = {
	        .hdr_uaddr = (uintptr_t)header,
	        .hdr_len = sizeof(*header),
	        .guest_uaddr = (uintptr_t)data,
	        .guest_len = size_bytes,
	        .trans_uaddr = (uintptr_t)packet,
	        .trans_len = size_bytes,
	};

	return call_firmware_issue(
	        sev, KVM_SEV_RECEIVE_UPDATE_DATA, &update, "KVM_SEV_RECEIVE_UPDATE_DATA", err);
}

int call_sev_receive_finish(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_RECEIVE_FINISH, NULL, "KVM_SEV_RECEIVE_FINISH", err);
}
