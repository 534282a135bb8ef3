/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: the calls that read and write what KVM holds of a guest, for a guest that moves. No vCPU runs
 * meanwhile. Law: api.rst, 4; Documentation/virt/kvm/devices/vcpu.rst, 4.
 */
#include <errno.h>

#include "vmm/call.h"

#define MSRS_MAX        4096u
#define XSAVE_SIZE_MAX  KIB(64)
#define GROUP_TSC       0u /* KVM_VCPU_TSC_CTRL */
#define ATTR_TSC_OFFSET 0u /* KVM_VCPU_TSC_OFFSET */

int call_get_state(struct host *h, int fd, unsigned long request, void *data, struct err *err)
{
	if (host_ioctl(h, fd, request, data) < 0)
		return err_sys(err, ERR_FAILED, errno, "%s", host_ioctl_name(request));
	return 0;
}

int call_set_state(struct host *h, int fd, unsigned long request, const void *data, struct err *err)
{
	return call_get_state(h, fd, request, (void *)(uintptr_t)data, err);
}

size_t call_vm_xsave_size(struct host *h, int vm_fd)
{
	size_t size = (size_t)call_capability(h, vm_fd, KVM_CAP_XSAVE2);

	return size > sizeof(struct kvm_xsave) && size <= XSAVE_SIZE_MAX ? size : sizeof(struct kvm_xsave);
}

int call_vcpu_get_xsave(struct host *h, int vcpu_fd, void *area, size_t size, struct err *err)
{
	/* The older call writes no more than that, and fails where the area is larger. */
	return call_get_state(
	        h, vcpu_fd, size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area, err);
}

int call_vcpu_set_xsave(struct host *h, int vcpu_fd, const void *area, struct err *err)
{
	return call_set_state(h, vcpu_fd, KVM_SET_XSAVE, area, err);
}

int call_kvm_msr_list(struct host *h, int kvm_fd, struct kvm_msr_list **ret_list, struct err *err)
{
	auto_free struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));

	if (!list)
		return err_sys(err, ERR_FAILED, ENOMEM, "list of MSRs");
	list->nmsrs = MSRS_MAX;
	if (host_ioctl(h, kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_GET_MSR_INDEX_LIST");
	*ret_list = take_ptr(&list);
	return 0;
}

int call_vcpu_get_msr(
        struct host *h, int vcpu_fd, uint32_t index, bool *ret_has, uint64_t *ret_value, struct err *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = index}};
	int got = host_ioctl(h, vcpu_fd, KVM_GET_MSRS, &msrs);

	if (got < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_GET_MSRS of MSR 0x%x", index);
	*ret_has = got == 1;
	*ret_value = msrs.entry.data;
	return 0;
}

int call_vcpu_get_tsc_khz(struct host *h, int vcpu_fd, uint32_t *ret_khz, struct err *err)
{
	int khz = host_ioctl_number(h, vcpu_fd, KVM_GET_TSC_KHZ, 0);

	if (khz <= 0)
		return err_sys(err, ERR_HOST, khz < 0 ? errno : 0, "KVM_GET_TSC_KHZ");
	*ret_khz = (uint32_t)khz;
	return 0;
}

int call_vcpu_set_tsc_khz(struct host *h, int vcpu_fd, uint32_t khz, struct err *err)
{
	if (host_ioctl_number(h, vcpu_fd, KVM_SET_TSC_KHZ, khz) < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_SET_TSC_KHZ of %u kHz", khz);
	return 0;
}

int call_vcpu_get_tsc_offset(struct host *h, int vcpu_fd, uint64_t *ret_offset, struct err *err)
{
	struct kvm_device_attr attr = {
	        .group = GROUP_TSC, .attr = ATTR_TSC_OFFSET, .addr = (uintptr_t)ret_offset};

	if (host_ioctl(h, vcpu_fd, KVM_GET_DEVICE_ATTR, &attr) < 0)
		return err_sys(err, ERR_HOST, errno,
		        "the offset of the guest's TSC (KVM_GET_DEVICE_ATTR) needs Linux 5.16 or newer");
	return 0;
}

int call_vcpu_set_tsc_offset(struct host *h, int vcpu_fd, uint64_t offset, struct err *err)
{
	struct kvm_device_attr attr = {
	        .group = GROUP_TSC, .attr = ATTR_TSC_OFFSET, .addr = (uintptr_t)&offset};

	if (host_ioctl(h, vcpu_fd, KVM_SET_DEVICE_ATTR, &attr) < 0)
		return err_sys(err, ERR_HOST, errno,
		        "the offset of the guest's TSC (KVM_SET_DEVICE_ATTR) needs Linux 5.16 or newer");
	return 0;
}

void call_vcpu_tell_stopped(struct host *h, int vcpu_fd)
{
	(void)host_ioctl_number(h, vcpu_fd, KVM_KVMCLOCK_CTRL, 0);
}
