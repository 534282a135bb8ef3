/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: KVM_MEMORY_ENCRYPT_OP for SEV and SEV-ES, and what all generations share. Main thread; the state of a
 * guest that moves the thread of the move asks for, too.
 * Law: Documentation/virt/kvm/x86/amd-memory-encryption.rst; SEV API 6.
 */
#include <errno.h>

#include "firmware.h"

int call_firmware_issue(
        const struct call_sev *sev, uint32_t id, void *data, const char *name, struct err *err)
{
	struct kvm_sev_cmd cmd = {.id = id, .data = (uintptr_t)data, .sev_fd = (uint32_t)sev->sev_fd};

	if (host_ioctl(sev->host, sev->vm_fd, KVM_MEMORY_ENCRYPT_OP, &cmd) < 0)
		return call_firmware_refused(err, name, errno, cmd.error);
	return 0;
}

int call_sev_init2(const struct call_sev *sev, uint64_t vmsa_features, struct err *err)
{
	struct uapi_sev_init init = {.vmsa_features = vmsa_features};

	return call_firmware_issue(sev, UAPI_SEV_INIT2, &init, "KVM_SEV_INIT2", err);
}

int call_sev_init_legacy(const struct call_sev *sev, bool es, struct err *err)
{
	return call_firmware_issue(
	        sev, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT, NULL, es ? "KVM_SEV_ES_INIT" : "KVM_SEV_INIT", err);
}

int call_sev_launch_start(const struct call_sev *sev, struct kvm_sev_launch_start *start, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_LAUNCH_START, start, "KVM_SEV_LAUNCH_START", err);
}

int call_sev_launch_update_data(const struct call_sev *sev, void *data, uint32_t size_bytes, struct err *err)
{
	struct kvm_sev_launch_update_data update = {.uaddr = (uintptr_t)data, .len = size_bytes};

	return call_firmware_issue(
	        sev, KVM_SEV_LAUNCH_UPDATE_DATA, &update, "KVM_SEV_LAUNCH_UPDATE_DATA", err);
}

int call_sev_launch_update_vmsa(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, "KVM_SEV_LAUNCH_UPDATE_VMSA", err);
}

int call_sev_launch_measure(const struct call_sev *sev, struct abi_sev_measure *ret_measure, struct err *err)
{
	struct abi_sev_measure blob = {0};
	struct kvm_sev_launch_measure measure = {.uaddr = (uintptr_t)&blob, .len = sizeof(blob)};

	if (call_firmware_issue(sev, KVM_SEV_LAUNCH_MEASURE, &measure, "KVM_SEV_LAUNCH_MEASURE", err) < 0)
		return -1;
	if (measure.len != sizeof(blob))
		return err_set(err, ERR_HOST, "KVM_SEV_LAUNCH_MEASURE gave %u bytes, a measurement has %zu",
		        measure.len, sizeof(blob));
	*ret_measure = blob;
	return 0;
}

int call_sev_report(const struct call_sev *sev, const uint8_t nonce[static 16],
        struct abi_sev_report *ret_report, struct err *err)
{
	struct abi_sev_report blob = {0};
	struct kvm_sev_attestation_report report = {.uaddr = (uintptr_t)&blob, .len = sizeof(blob)};

	memcpy(report.mnonce, nonce, sizeof(report.mnonce));
	if (call_firmware_issue(
	            sev, KVM_SEV_GET_ATTESTATION_REPORT, &report, "KVM_SEV_GET_ATTESTATION_REPORT", err) < 0)
		return -1;
	if (report.len != sizeof(blob))
		return err_set(err, ERR_HOST,
		        "KVM_SEV_GET_ATTESTATION_REPORT gave %u bytes, a report has %zu", report.len,
		        sizeof(blob));
	*ret_report = blob;
	return 0;
}

int call_sev_launch_secret(
        const struct call_sev *sev, const struct kvm_sev_launch_secret *secret, struct err *err)
{
	struct kvm_sev_launch_secret copy = *secret;

	return call_firmware_issue(sev, KVM_SEV_LAUNCH_SECRET, &copy, "KVM_SEV_LAUNCH_SECRET", err);
}

int call_sev_launch_finish(const struct call_sev *sev, struct err *err)
{
	return call_firmware_issue(sev, KVM_SEV_LAUNCH_FINISH, NULL, "KVM_SEV_LAUNCH_FINISH", err);
}

int call_sev_guest_status(
        const struct call_sev *sev, struct kvm_sev_guest_status *ret_status, struct err *err)
{
	struct kvm_sev_guest_status status = {0};

	if (call_firmware_issue(sev, KVM_SEV_GUEST_STATUS, &status, "KVM_SEV_GUEST_STATUS", err) < 0)
		return -1;
	*ret_status = status;
	return 0;
}

/* name: of the request, for the error. */
static int pin_or_unpin(const struct call_sev *sev, unsigned long request, const char *name,
        void *host_address, uint64_t size_bytes, struct err *err)
{
	struct kvm_enc_region region = {.addr = (uintptr_t)host_address, .size = size_bytes};

	if (host_ioctl(sev->host, sev->vm_fd, request, &region) < 0)
		return err_sys(
		        err, ERR_HOST, errno, "%s of %llu KiB", name, (unsigned long long)(size_bytes >> 10));
	return 0;
}

int call_sev_register_memory(
        const struct call_sev *sev, void *host_address, uint64_t size_bytes, struct err *err)
{
	return pin_or_unpin(sev, KVM_MEMORY_ENCRYPT_REG_REGION, "KVM_MEMORY_ENCRYPT_REG_REGION", host_address,
	        size_bytes, err);
}

int call_sev_unregister_memory(
        const struct call_sev *sev, void *host_address, uint64_t size_bytes, struct err *err)
{
	return pin_or_unpin(sev, KVM_MEMORY_ENCRYPT_UNREG_REGION, "KVM_MEMORY_ENCRYPT_UNREG_REGION",
	        host_address, size_bytes, err);
}
