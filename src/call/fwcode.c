/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwcode: the secure processor's status codes by name, and how a refused call becomes an error. Any thread;
 * constant. Law: SEV API (55766), Status Codes; SNP ABI (56860), Status Codes.
 */
#include "firmware.h"

static const struct call_fw_code codes[] = {
        {0x00, "SUCCESS", "the command was carried out"},
        {0x01, "INVALID_PLATFORM_STATE", "the platform is not in a state that allows the command"},
        {0x02, "INVALID_GUEST_STATE", "the guest is not in a state that allows the command"},
        {0x03, "INVALID_CONFIG", "the platform's configuration does not allow it"},
        {0x04, "INVALID_LEN", "a buffer has a wrong length"},
        {0x05, "ALREADY_OWNED", "the platform has an owner already"},
        {0x06, "INVALID_CERTIFICATE", "a certificate is not valid"},
        {0x07, "POLICY_FAILURE", "the guest's policy does not allow it"},
        {0x08, "INACTIVE", "the guest is not active"},
        {0x09, "INVALID_ADDRESS", "an address is not valid"},
        {0x0a, "BAD_SIGNATURE", "a signature is wrong"},
        {0x0b, "BAD_MEASUREMENT", "a measurement or an authentication code does not match"},
        {0x0c, "ASID_OWNED", "the ASID belongs to another guest"},
        {0x0d, "INVALID_ASID", "the ASID is not valid for this guest"},
        {0x0e, "WBINVD_REQUIRED", "caches must be written back first"},
        {0x0f, "DFFLUSH_REQUIRED", "the data fabric must be flushed first"},
        {0x10, "INVALID_GUEST", "there is no such guest"},
        {0x11, "INVALID_COMMAND", "there is no such command"},
        {0x12, "ACTIVE", "the guest is active"},
        {0x13, "HWSEV_RET_PLATFORM", "a hardware fault; the platform may go on"},
        {0x14, "HWSEV_RET_UNSAFE", "a hardware fault; the platform is no longer safe"},
        {0x15, "UNSUPPORTED", "the firmware does not support it"},
        {0x16, "INVALID_PARAM", "a parameter is not valid"},
        {0x17, "RESOURCE_LIMIT", "the firmware has run out of something"},
        {0x18, "SECURE_DATA_INVALID", "data from a guest or its owner is not authentic"},
        {0x19, "INVALID_PAGE_SIZE", "a page has a wrong size in the RMP"},
        {0x1a, "INVALID_PAGE_STATE", "a page is in a wrong state in the RMP"},
        {0x1b, "INVALID_MDATA_ENTRY", "a metadata entry is not valid"},
        {0x1c, "INVALID_PAGE_OWNER", "a page belongs to another owner"},
        {0x1d, "AEAD_OFLOW", "a message counter has run over"},
        {0x1f, "RBMODE_EXITED", "the firmware has left the ring buffer mode"},
        {0x20, "RMP_INIT_REQUIRED", "the RMP must be initialised again"},
        {0x21, "BAD_SVN", "a security version is lower than the committed one"},
        {0x22, "BAD_VERSION", "a version is lower than the committed one"},
        {0x23, "SHUTDOWN_REQUIRED", "the platform must be shut down first"},
        {0x24, "UPDATE_FAILED", "the firmware update failed"},
        {0x25, "RESTORE_REQUIRED", "the firmware must be restored"},
        {0x26, "RMP_INIT_FAILED", "the RMP could not be initialised"},
        {0x27, "INVALID_KEY", "the key is not valid"},
        {0x28, "SHUTDOWN_INCOMPLETE", "the platform is not shut down"},
        {0x30, "INCORRECT_BUFFER_LENGTH", "a buffer has another length than expected"},
        {0x3a, "IN_USE", "it is in use"},
        {CALL_FW_NOT_CALLED, "not called", "the call did not reach the firmware"},
        {0},
};

const struct call_fw_code *call_fw_code_find(uint32_t code)
{
	static const struct call_fw_code unknown = {0, "unknown to vmm", "it may be newer"};

	for (const struct call_fw_code *c = codes; c->name; c++) {
		if (c->code == code)
			return c;
	}
	return &unknown;
}

int call_firmware_refused(struct err *err, const char *call, int sys, uint32_t fw)
{
	const struct call_fw_code *code = call_fw_code_find(fw);

	if (!fw)
		return err_sys(err, ERR_HOST, sys, "%s", call);
	err_set(err, ERR_HOST, "%s: %s (%s), firmware code 0x%x, %s: %s", call, strerrordesc_np(sys) ?: "",
	        err_sys_name(sys), fw, code->name, code->meaning);
	if (err) {
		err->sys = sys;
		err->fw = fw;
	}
	return -1;
}
