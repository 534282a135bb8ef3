/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp: KVM_MEMORY_ENCRYPT_OP for SEV-SNP. Main thread.
 * Law: Documentation/virt/kvm/x86/amd-memory-encryption.rst; SNP ABI 8.16 to 8.18.
 */
#include "firmware.h"

int call_snp_launch_start(const struct call_sev *sev, uint64_t policy, struct err *err)
{
	struct uapi_sev_snp_launch_start start = {.policy = policy};

	return call_firmware_issue(sev, UAPI_SEV_SNP_LAUNCH_START, &start, "KVM_SEV_SNP_LAUNCH_START", err);
}

int call_snp_enable_req_certs(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(
	        sev, UAPI_SEV_SNP_ENABLE_REQ_CERTS, NULL, "KVM_SEV_SNP_ENABLE_REQ_CERTS", err);
}

int call_snp_launch_update(
        const struct call_sev *sev, struct uapi_sev_snp_launch_update *update, struct err *err)
{
	return call_firmware_issue(sev, UAPI_SEV_SNP_LAUNCH_UPDATE, update, "KVM_SEV_SNP_LAUNCH_UPDATE", err);
}

int call_snp_launch_finish(
        const struct call_sev *sev, const struct uapi_sev_snp_launch_finish *finish, struct err *err)
{
	struct uapi_sev_snp_launch_finish copy = *finish;

	return call_firmware_issue(sev, UAPI_SEV_SNP_LAUNCH_FINISH, &copy, "KVM_SEV_SNP_LAUNCH_FINISH", err);
}
