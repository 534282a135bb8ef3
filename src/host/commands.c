/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands: names the secure processor's commands, and the arguments of each that a trace shows. All commands
 * of a VM share one kernel call, and all of the platform another. A trace shows numbers, but never keys,
 * sessions or addresses of this process. Any thread. Law: amd-memory-encryption.rst, psp-sev.h.
 */
#include <linux/psp-sev.h>

#include "names.h"
#include "vmm/uapi.h"

#define FIELD(label, type, member) \
	{ \
		label, offsetof(type, member), sizeof(((type *)0)->member) \
	}

#define GUEST(name) \
	{ \
		name, #name \
	}

static const struct host_request guest_commands[] = {
        GUEST(KVM_SEV_INIT),
        GUEST(KVM_SEV_ES_INIT),
        {UAPI_SEV_INIT2, "KVM_SEV_INIT2", NULL,
                {FIELD("features", struct uapi_sev_init, vmsa_features),
                        FIELD("flags", struct uapi_sev_init, flags),
                        FIELD("ghcb", struct uapi_sev_init, ghcb_version)}},
        {KVM_SEV_LAUNCH_START, "KVM_SEV_LAUNCH_START", NULL,
                {FIELD("policy", struct kvm_sev_launch_start, policy),
                        FIELD("dh", struct kvm_sev_launch_start, dh_len),
                        FIELD("session", struct kvm_sev_launch_start, session_len)}},
        {KVM_SEV_LAUNCH_UPDATE_DATA, "KVM_SEV_LAUNCH_UPDATE_DATA", NULL,
                {FIELD("size", struct kvm_sev_launch_update_data, len)}},
        GUEST(KVM_SEV_LAUNCH_UPDATE_VMSA),
        {KVM_SEV_LAUNCH_SECRET, "KVM_SEV_LAUNCH_SECRET", NULL,
                {FIELD("size", struct kvm_sev_launch_secret, guest_len)}},
        {KVM_SEV_LAUNCH_MEASURE, "KVM_SEV_LAUNCH_MEASURE", NULL,
                {FIELD("size", struct kvm_sev_launch_measure, len)}},
        GUEST(KVM_SEV_LAUNCH_FINISH),
        GUEST(KVM_SEV_GUEST_STATUS),
        GUEST(KVM_SEV_GET_ATTESTATION_REPORT),
        {UAPI_SEV_SNP_LAUNCH_START, "KVM_SEV_SNP_LAUNCH_START", NULL,
                {FIELD("policy", struct uapi_sev_snp_launch_start, policy),
                        FIELD("flags", struct uapi_sev_snp_launch_start, flags)}},
        {UAPI_SEV_SNP_LAUNCH_UPDATE, "KVM_SEV_SNP_LAUNCH_UPDATE", NULL,
                {FIELD("gfn", struct uapi_sev_snp_launch_update, gfn_start),
                        FIELD("size", struct uapi_sev_snp_launch_update, len),
                        FIELD("type", struct uapi_sev_snp_launch_update, type)}},
        {UAPI_SEV_SNP_LAUNCH_FINISH, "KVM_SEV_SNP_LAUNCH_FINISH", NULL,
                {FIELD("id-block", struct uapi_sev_snp_launch_finish, id_block_en),
                        FIELD("author", struct uapi_sev_snp_launch_finish, auth_key_en)}},
        {UAPI_SEV_SNP_ENABLE_REQ_CERTS, "KVM_SEV_SNP_ENABLE_REQ_CERTS"},
};

static const struct host_request platform_commands[] = {
        GUEST(SEV_FACTORY_RESET),
        GUEST(SEV_PLATFORM_STATUS),
        GUEST(SEV_PEK_GEN),
        GUEST(SEV_PEK_CSR),
        GUEST(SEV_PDH_GEN),
        GUEST(SEV_PDH_CERT_EXPORT),
        GUEST(SEV_PEK_CERT_IMPORT),
        GUEST(SEV_GET_ID),
        GUEST(SEV_GET_ID2),
        {UAPI_SNP_PLATFORM_STATUS, "SNP_PLATFORM_STATUS"},
        {UAPI_SNP_COMMIT, "SNP_COMMIT"},
        {UAPI_SNP_SET_CONFIG, "SNP_SET_CONFIG"},
        {UAPI_SNP_VLEK_LOAD, "SNP_VLEK_LOAD"},
};

static const struct host_request *find(const struct host_request *rows, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (rows[i].request == id)
			return &rows[i];
	}
	return NULL;
}

bool host_command_find(unsigned long request, const void *arg, struct host_command *ret_command)
{
	struct host_command command = {0};

	if (!arg)
		return false;
	if (request == KVM_MEMORY_ENCRYPT_OP) {
		const struct kvm_sev_cmd *cmd = arg;

		command.id = cmd->id;
		command.data = (const void *)(uintptr_t)cmd->data;
		command.error = cmd->error;
		command.row = find(guest_commands, ARRAY_LEN(guest_commands), cmd->id);
	} else if (request == SEV_ISSUE_CMD) {
		const struct sev_issue_cmd *cmd = arg;

		command.id = cmd->cmd;
		command.error = cmd->error;
		command.row = find(platform_commands, ARRAY_LEN(platform_commands), cmd->cmd);
	} else {
		return false;
	}
	*ret_command = command;
	return true;
}
