/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware: how calls that reach the secure processor report its refusals.
 */
#ifndef VMM_CALL_FIRMWARE_H
#define VMM_CALL_FIRMWARE_H

#include <string.h>

#include "vmm/call.h"

/* A status code of the firmware. */
struct call_fw_code {
	uint32_t code;
	const char *name;    /* "POLICY_FAILURE" */
	const char *meaning; /* half a sentence */
};
/* The row of a code; a row for unknown codes, never NULL. */
const struct call_fw_code *call_fw_code_find(uint32_t code);

/* KVM_MEMORY_ENCRYPT_OP: data is the command's struct or NULL. */
int call_firmware_issue(
        const struct call_sev *sev, uint32_t id, void *data, const char *name, struct err *err) MUST_CHECK;

#endif
