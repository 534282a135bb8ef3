/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps: the steps of a launch that generations share: the device, the cgroup, the VM, its context, its
 * vCPUs. Main thread. Law: amd-memory-encryption.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "launch.h"

int launch_open_device(struct launch_work *work, struct err *err)
{
	struct launch *launch = work->launch;

	if (launch->sev_fd < 0 && call_platform_open(launch->host, &launch->sev_fd, err) < 0)
		return -1;
	work->sev.sev_fd = launch->sev_fd;
	return 0;
}

/* The charge for an ASID stays where the process was when its context was made. */
int launch_join_cgroup(struct launch_work *work, struct err *err)
{
	struct launch *launch = work->launch;
	char path[4200], pid[24];
	int length;

	if (!*launch->config.cgroup || launch->in_cgroup)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", launch->config.cgroup);
	length = snprintf(pid, sizeof(pid), "%d\n", getpid());
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || write(fd, pid, (size_t)length) != length)
		return err_sys(err, ERR_HOST, errno, "joining the cgroup %s", launch->config.cgroup);
	launch->in_cgroup = true;
	return 0;
}

/* Every maker of plans adds the VMSAs last. */
unsigned launch_contents(const struct launch_plan *plan)
{
	unsigned count = plan->count;

	while (count && plan->items[count - 1].type == ABI_PAGE_VMSA)
		count--;
	return count;
}

unsigned launch_vm_type(const struct config *config)
{
	static const unsigned types[] = {
	        [CONFIG_SEV_NONE] = UAPI_VM_DEFAULT,
	        [CONFIG_SEV] = UAPI_VM_SEV,
	        [CONFIG_SEV_ES] = UAPI_VM_SEV_ES,
	        [CONFIG_SEV_SNP] = UAPI_VM_SNP,
	};

	return config->sev.init == CONFIG_SEV_INIT_LEGACY ? UAPI_VM_DEFAULT : types[config->sev.type];
}

int launch_create_vm(struct launch_work *work, struct err *err)
{
	if (machine_vm_create(work->machine, launch_vm_type(&work->launch->config), &work->vm, err) < 0)
		return -1;
	work->sev.vm_fd = machine_vm_fd(work->vm);
	return 0;
}

int launch_init(struct launch_work *work, struct err *err)
{
	const struct launch *launch = work->launch;
	const struct config *config = &launch->config;

	if (config->sev.init == CONFIG_SEV_INIT_LEGACY)
		return call_sev_init_legacy(&work->sev, config->sev.type == CONFIG_SEV_ES, err);
	/* KVM sets the feature bit that marks a SEV-SNP guest. */
	return call_sev_init2(&work->sev, config->sev.vmsa_features & ~ABI_FEATURE_SNP, err);
}

static int set_registers(
        struct launch_work *work, unsigned vcpu, const struct abi_vmsa *vmsa, struct err *err)
{
	struct host *host = work->launch->host;
	int fd = machine_vm_vcpu(work->vm, vcpu)->fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (call_vcpu_get_sregs(host, fd, &sregs, err) < 0)
		return -1;
	launch_vcpu_sregs(vmsa, &sregs);
	launch_vcpu_regs(vmsa, &regs);
	if (call_vcpu_set_sregs(host, fd, &sregs, err) < 0)
		return -1;
	return call_vcpu_set_regs(host, fd, &regs, err);
}

int launch_add_vcpus(struct launch_work *work, struct err *err)
{
	const struct launch_plan *plan = work->launch->plan;

	if (machine_vm_add_vcpus(work->vm, err) < 0)
		return -1;
	for (unsigned i = 0; plan && i < plan->count; i++) {
		const struct launch_item *item = &plan->items[i];

		if (item->type == ABI_PAGE_VMSA && !item->mirror &&
		        set_registers(work, item->vcpu, item->data, err) < 0)
			return -1;
	}
	return 0;
}
