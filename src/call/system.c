/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system: calls on /dev/kvm itself. Any thread. Law: api.rst, 4.1 to 4.5.
 */
#include <errno.h>
#include <fcntl.h>

#include "node.h"
#include "vmm/call.h"

#define CPUID_ENTRIES_MAX 256

static int explain_open(int sys, struct err *err)
{
	char remedy[CALL_NODE_REMEDY_BYTES];

	if (sys == ENOENT || sys == ENODEV || sys == ENXIO)
		return err_sys(err, ERR_HOST, sys,
		        "/dev/kvm is missing: enable SVM in the firmware setup and load the module (modprobe "
		        "kvm_amd); in a virtual machine, enable nested virtualisation; --host sim runs "
		        "guests without it, and without any protection");
	if (sys == EACCES || sys == EPERM)
		return err_sys(err, ERR_HOST, sys,
		        "/dev/kvm may not be opened: %s; --host sim runs guests without it, and without any "
		        "protection",
		        call_node_remedy("/dev/kvm", sys, remedy));
	return err_sys(err, ERR_HOST, sys, "/dev/kvm cannot be opened");
}

int call_kvm_open(struct host *h, int *ret_fd, struct err *err)
{
	int fd = host_open(h, "/dev/kvm", O_RDWR), version;

	if (fd < 0)
		return explain_open(errno, err);
	version = host_ioctl_number(h, fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		int sys = errno;

		host_close(h, fd);
		if (version < 0)
			return err_sys(err, ERR_HOST, sys, "/dev/kvm: KVM_GET_API_VERSION");
		return err_set(err, ERR_HOST,
		        "/dev/kvm has API version %d, vmm needs %d: use Linux 2.6.22 or newer", version,
		        KVM_API_VERSION);
	}
	*ret_fd = fd;
	return 0;
}

int call_capability(struct host *h, int fd, unsigned capability)
{
	int value = host_ioctl_number(h, fd, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

int call_kvm_run_size(struct host *h, int kvm_fd, size_t *ret_size, struct err *err)
{
	int size = host_ioctl_number(h, kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_GET_VCPU_MMAP_SIZE");
	if ((size_t)size < sizeof(struct kvm_run))
		return err_set(err, ERR_HOST, "KVM maps %d bytes per vCPU, %zu are needed", size,
		        sizeof(struct kvm_run));
	*ret_size = (size_t)size;
	return 0;
}

int call_kvm_supported_cpuid(struct host *h, int kvm_fd, struct kvm_cpuid2 **ret_cpuid, struct err *err)
{
	auto_free struct kvm_cpuid2 *cpuid =
	        calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return err_sys(err, ERR_FAILED, ENOMEM, "CPUID table");
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (host_ioctl(h, kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return err_sys(err, ERR_FAILED, errno, "KVM_GET_SUPPORTED_CPUID");
	*ret_cpuid = take_ptr(&cpuid);
	return 0;
}

bool call_kvm_sev_attribute(struct host *h, int kvm_fd, unsigned attribute, uint64_t *ret_value)
{
	uint64_t value = 0;
	struct kvm_device_attr get = {
	        .group = UAPI_X86_GROUP_SEV, .attr = attribute, .addr = (uintptr_t)&value};

	if (host_ioctl(h, kvm_fd, KVM_GET_DEVICE_ATTR, &get) < 0)
		return false;
	*ret_value = value;
	return true;
}

const struct call_capability_row call_capabilities[] = {
        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", true, "guest memory from a file descriptor"},
        {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", true, "interrupt controllers in the kernel"},
        {KVM_CAP_PIT2, "KVM_CAP_PIT2", true, "the timer that boots operating systems"},
        {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", true, "the CPU model"},
        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", true,
                "stopping a vCPU without a race (Linux 4.11)"},
        {KVM_CAP_NR_VCPUS, "KVM_CAP_NR_VCPUS", false, "recommended limit of vCPUs"},
        {KVM_CAP_MAX_VCPUS, "KVM_CAP_MAX_VCPUS", false, "limit of vCPUs"},
        {KVM_CAP_NR_MEMSLOTS, "KVM_CAP_NR_MEMSLOTS", false, "limit of memory slots"},
        {KVM_CAP_IRQFD, "KVM_CAP_IRQFD", false, "interrupts from descriptors"},
        {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", false, "doorbells to descriptors"},
        {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", false, "message signalled interrupts"},
        {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", false, "only the local APICs in the kernel"},
        {KVM_CAP_EXIT_HYPERCALL, "KVM_CAP_EXIT_HYPERCALL", false, "page state changes of the guest"},
        {UAPI_CAP_VM_TYPES, "KVM_CAP_VM_TYPES", false, "VM types, a bit each (Linux 6.8)"},
        {UAPI_CAP_USER_MEMORY2, "KVM_CAP_USER_MEMORY2", false, "slots with private memory (Linux 6.8)"},
        {UAPI_CAP_GUEST_MEMFD, "KVM_CAP_GUEST_MEMFD", false, "memory that only the guest can read"},
        {UAPI_CAP_MEMORY_ATTRIBUTES, "KVM_CAP_MEMORY_ATTRIBUTES", false, "pages private or shared"},
        {KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, "KVM_CAP_VM_COPY_ENC_CONTEXT_FROM", false, "mirror VMs"},
        {0},
};

int call_kvm_check(struct host *h, int kvm_fd, struct err *err)
{
	for (const struct call_capability_row *row = call_capabilities; row->name; row++) {
		if (row->needed && !call_capability(h, kvm_fd, row->capability))
			return err_set(err, ERR_HOST, "this KVM lacks %s (%s): a newer kernel is needed",
			        row->name, row->use);
	}
	return 0;
}
