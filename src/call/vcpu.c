/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: calls on a vCPU descriptor. The thread that runs the vCPU, or the main thread before it runs.
 * Law: api.rst, 4 and 5.
 */
#include <errno.h>

#include "vmm/call.h"

int call_vcpu_create(struct host *h, int vm_fd, unsigned id, int *ret_fd, struct err *err)
{
	int fd = host_ioctl_number(h, vm_fd, KVM_CREATE_VCPU, id);

	if (fd < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_CREATE_VCPU %u", id);
	*ret_fd = fd;
	return 0;
}

int call_vcpu_map_run(struct host *h, int vcpu_fd, size_t size, struct kvm_run **ret_run, struct err *err)
{
	void *run = host_mmap(h, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);

	if (run == MAP_FAILED)
		return err_sys(err, ERR_FAILED, errno, "mapping a vCPU's struct kvm_run");
	*ret_run = run;
	return 0;
}

/* A call that moves one struct in or out. */
static int transfer(struct host *h, int fd, unsigned long request, const void *data, struct err *err)
{
	if (host_ioctl(h, fd, request, (void *)(uintptr_t)data) < 0)
		return err_sys(err, ERR_FAILED, errno, "%s", host_ioctl_name(request));
	return 0;
}

int call_vcpu_set_cpuid(struct host *h, int vcpu_fd, const struct kvm_cpuid2 *cpuid, struct err *err)
{
	return transfer(h, vcpu_fd, KVM_SET_CPUID2, cpuid, err);
}

int call_vcpu_set_msr(
        struct host *h, int vcpu_fd, uint32_t index, uint64_t value, bool *ret_taken, struct err *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};
	int set = host_ioctl(h, vcpu_fd, KVM_SET_MSRS, &msrs);

	if (set < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_SET_MSRS of MSR 0x%x", index);
	*ret_taken = set == 1;
	return 0;
}

int call_vcpu_get_regs(struct host *h, int vcpu_fd, struct kvm_regs *ret_regs, struct err *err)
{
	return transfer(h, vcpu_fd, KVM_GET_REGS, ret_regs, err);
}

int call_vcpu_set_regs(struct host *h, int vcpu_fd, const struct kvm_regs *regs, struct err *err)
{
	return transfer(h, vcpu_fd, KVM_SET_REGS, regs, err);
}

int call_vcpu_get_sregs(struct host *h, int vcpu_fd, struct kvm_sregs *ret_sregs, struct err *err)
{
	return transfer(h, vcpu_fd, KVM_GET_SREGS, ret_sregs, err);
}

int call_vcpu_set_sregs(struct host *h, int vcpu_fd, const struct kvm_sregs *sregs, struct err *err)
{
	return transfer(h, vcpu_fd, KVM_SET_SREGS, sregs, err);
}

int call_vcpu_run(struct host *h, int vcpu_fd, struct kvm_run *run, struct err *err)
{
	/* The answer of an earlier run must not be taken for the answer of this one. */
	run->exit_reason = KVM_EXIT_UNKNOWN;
	if (host_ioctl_number(h, vcpu_fd, KVM_RUN, 0) == 0)
		return 0;
	if (errno == EINTR || errno == EAGAIN)
		return 1;
	/* Only EFAULT asks for another kind of page. Any other errno means that the host has no page to give.
	 */
	if (errno == EFAULT && run->exit_reason == UAPI_EXIT_MEMORY_FAULT)
		return 0;
	return err_sys(err, ERR_FAILED, errno, "KVM_RUN");
}
