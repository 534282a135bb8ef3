/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: explains the refusal of a command that another program has given to the secure processor, as the
 * steps of vmm's own launches are explained. Any thread; constant. Law: amd-memory-encryption.rst.
 */
#include <linux/kvm.h>
#include <string.h>

#include "launch.h"
#include "vmm/call.h"
#include "vmm/uapi.h"

static const struct command {
	uint32_t id;
	enum launch_step step; /* that gives this command */
	const char *name;
} commands[] = {
        {KVM_SEV_INIT, LAUNCH_STEP_INIT, "KVM_SEV_INIT"},
        {KVM_SEV_ES_INIT, LAUNCH_STEP_INIT, "KVM_SEV_ES_INIT"},
        {UAPI_SEV_INIT2, LAUNCH_STEP_INIT, "KVM_SEV_INIT2"},
        {KVM_SEV_LAUNCH_START, LAUNCH_STEP_START, "KVM_SEV_LAUNCH_START"},
        {KVM_SEV_LAUNCH_UPDATE_DATA, LAUNCH_STEP_UPDATE, "KVM_SEV_LAUNCH_UPDATE_DATA"},
        {KVM_SEV_LAUNCH_UPDATE_VMSA, LAUNCH_STEP_VMSA, "KVM_SEV_LAUNCH_UPDATE_VMSA"},
        {KVM_SEV_LAUNCH_SECRET, LAUNCH_STEP_SECRET, "KVM_SEV_LAUNCH_SECRET"},
        {KVM_SEV_LAUNCH_MEASURE, LAUNCH_STEP_MEASURE, "KVM_SEV_LAUNCH_MEASURE"},
        {KVM_SEV_LAUNCH_FINISH, LAUNCH_STEP_FINISH, "KVM_SEV_LAUNCH_FINISH"},
        {KVM_SEV_GUEST_STATUS, LAUNCH_STEP_STATUS, "KVM_SEV_GUEST_STATUS"},
        {KVM_SEV_SEND_START, LAUNCH_STEP_SEND_START, "KVM_SEV_SEND_START"},
        {KVM_SEV_SEND_UPDATE_DATA, LAUNCH_STEP_SEND_PAGE, "KVM_SEV_SEND_UPDATE_DATA"},
        {KVM_SEV_SEND_FINISH, LAUNCH_STEP_SEND_END, "KVM_SEV_SEND_FINISH"},
        {KVM_SEV_SEND_CANCEL, LAUNCH_STEP_SEND_END, "KVM_SEV_SEND_CANCEL"},
        {KVM_SEV_RECEIVE_START, LAUNCH_STEP_RECEIVE_START, "KVM_SEV_RECEIVE_START"},
        {KVM_SEV_RECEIVE_UPDATE_DATA, LAUNCH_STEP_RECEIVE_PAGE, "KVM_SEV_RECEIVE_UPDATE_DATA"},
        {KVM_SEV_RECEIVE_FINISH, LAUNCH_STEP_RECEIVE_FINISH, "KVM_SEV_RECEIVE_FINISH"},
        {UAPI_SEV_SNP_LAUNCH_START, LAUNCH_STEP_START, "KVM_SEV_SNP_LAUNCH_START"},
        {UAPI_SEV_SNP_LAUNCH_UPDATE, LAUNCH_STEP_UPDATE, "KVM_SEV_SNP_LAUNCH_UPDATE"},
        {UAPI_SEV_SNP_LAUNCH_FINISH, LAUNCH_STEP_FINISH, "KVM_SEV_SNP_LAUNCH_FINISH"},
};

int launch_explain_command(uint32_t id, enum config_sev_type type, const struct facts *facts, int sys,
        uint32_t fw, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].id != id)
			continue;
		call_firmware_refused(err, commands[i].name, sys, fw);
		return launch_explain(commands[i].step, type, facts, err);
	}
	return err_sys(err, ERR_HOST, sys, "command %u of KVM_MEMORY_ENCRYPT_OP", id);
}
