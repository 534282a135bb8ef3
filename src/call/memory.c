/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: calls for memory that the guest alone can read: guest_memfd and memory attributes. Main thread,
 * call_vm_set_attributes from any. Law: api.rst, 4.140 to 4.142.
 */
#include <errno.h>

#include "vmm/call.h"

int call_vm_create_guest_memfd(struct host *h, int vm_fd, uint64_t size_bytes, int *ret_fd, struct err *err)
{
	struct uapi_create_guest_memfd create = {.size = size_bytes};
	int fd = host_ioctl(h, vm_fd, UAPI_CREATE_GUEST_MEMFD, &create);

	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_CREATE_GUEST_MEMFD of %llu MiB",
		        (unsigned long long)(size_bytes >> 20));
	*ret_fd = fd;
	return 0;
}

int call_vm_set_private_memory(struct host *h, int vm_fd, unsigned slot, uint64_t gpa, uint64_t size_bytes,
        void *host_address, int guest_memfd, uint64_t offset, struct err *err)
{
	struct uapi_userspace_memory_region2 region = {
	        .slot = slot,
	        .flags = UAPI_MEM_GUEST_MEMFD,
	        .guest_phys_addr = gpa,
	        .memory_size = size_bytes,
	        .userspace_addr = (uintptr_t)host_address,
	        .guest_memfd = (uint32_t)guest_memfd,
	        .guest_memfd_offset = offset,
	};

	if (host_ioctl(h, vm_fd, UAPI_SET_USER_MEMORY_REGION2, &region) < 0)
		return err_sys(err, ERR_HOST, errno,
		        "KVM_SET_USER_MEMORY_REGION2 of slot %u, %llu KiB at 0x%llx", slot,
		        (unsigned long long)(size_bytes >> 10), (unsigned long long)gpa);
	return 0;
}

int call_vm_set_attributes(
        struct host *h, int vm_fd, uint64_t gpa, uint64_t size_bytes, uint64_t attributes, struct err *err)
{
	struct uapi_memory_attributes set = {.address = gpa, .size = size_bytes, .attributes = attributes};

	if (host_ioctl(h, vm_fd, UAPI_SET_MEMORY_ATTRIBUTES, &set) < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_SET_MEMORY_ATTRIBUTES of %llu KiB at 0x%llx",
		        (unsigned long long)(size_bytes >> 10), (unsigned long long)gpa);
	return 0;
}

int call_vm_enable_capability(
        struct host *h, int vm_fd, unsigned capability, uint64_t argument, struct err *err)
{
	struct kvm_enable_cap enable = {.cap = capability, .args = {argument}};

	if (host_ioctl(h, vm_fd, KVM_ENABLE_CAP, &enable) < 0)
		return err_sys(err, ERR_HOST, errno, "KVM_ENABLE_CAP of capability %u", capability);
	return 0;
}
