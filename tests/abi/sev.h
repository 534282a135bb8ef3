/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev: a VM with memory encryption, and its commands, for the chapters on hosts that have it.
 */
#ifndef VMM_TESTS_ABI_SEV_H
#define VMM_TESTS_ABI_SEV_H

#include <errno.h>
#include <fcntl.h>
#include <linux/psp-sev.h>
#include <sys/mman.h>

#include "vmm/abi/policy.h"
#include "vmm/uapi.h"

#include "abi.h"

#define MEMORY_BYTES 0x10000u
#define NOWHERE      ((const void *)16)

/* A VM with memory at 0, and a vCPU if it has one. */
struct sev_vm {
	struct abi *abi;
	int vm, vcpu, sev, gmem;
	uint8_t *memory;
};

static inline int set_region(const struct sev_vm *v)
{
	const struct uapi_userspace_memory_region2 region = {.memory_size = MEMORY_BYTES,
	        .flags = v->gmem >= 0 ? UAPI_MEM_GUEST_MEMFD : 0,
	        .userspace_addr = (uintptr_t)v->memory,
	        .guest_memfd = (uint32_t)v->gmem};

	return ask(v->abi, v->vm, UAPI_SET_USER_MEMORY_REGION2, &region);
}

static inline void vm_open(struct sev_vm *v, struct abi *abi, unsigned type)
{
	const struct uapi_create_guest_memfd create = {.size = MEMORY_BYTES};

	*v = (struct sev_vm){.abi = abi, .vcpu = -1, .gmem = -1};
	v->vm = ask_number(abi, abi->kvm, KVM_CREATE_VM, type);
	v->sev = host_open(abi->host, "/dev/sev", O_RDWR);
	v->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->vm < 0 || v->sev < 0 || v->memory == MAP_FAILED)
		give_up("a VM with SEV");
	if (type == UAPI_VM_SNP)
		v->gmem = ask(abi, v->vm, UAPI_CREATE_GUEST_MEMFD, &create);
	if (set_region(v) < 0)
		give_up("its memory");
}

static inline void vm_close(struct sev_vm *v)
{
	host_close(v->abi->host, v->vcpu);
	host_close(v->abi->host, v->gmem);
	host_close(v->abi->host, v->vm);
	host_close(v->abi->host, v->sev);
	munmap(v->memory, MEMORY_BYTES);
}

/* Prints the errno, and the firmware's code if the kernel gave one back. */
static inline int command_by(struct sev_vm *v, int sev_fd, uint32_t id, const void *data, const char *what)
{
	struct kvm_sev_cmd cmd = {
	        .id = id, .data = (uintptr_t)data, .error = 0xeeee, .sev_fd = (uint32_t)sev_fd};
	int result = ask(v->abi, v->vm, KVM_MEMORY_ENCRYPT_OP, &cmd);

	if (cmd.error == 0xeeee)
		return say(result, "%s", what);
	return say(result, "%s, firmware %x", what, cmd.error);
}

static inline int command(struct sev_vm *v, uint32_t id, const void *data, const char *what)
{
	return command_by(v, v->sev, id, data, what);
}

static inline void add_vcpu(struct sev_vm *v)
{
	v->vcpu = ask_number(v->abi, v->vm, KVM_CREATE_VCPU, 0);
	if (v->vcpu < 0)
		give_up("KVM_CREATE_VCPU");
}

/* A command that belongs to a launch, of which no line tells. */
static inline void quietly(struct sev_vm *v, uint32_t id, const void *data)
{
	struct kvm_sev_cmd cmd = {.id = id, .data = (uintptr_t)data, .sev_fd = (uint32_t)v->sev};

	if (ask(v->abi, v->vm, KVM_MEMORY_ENCRYPT_OP, &cmd) < 0)
		give_up("a command of a launch");
}

/* What comes before the measurement. */
static inline void begin(struct sev_vm *v, uint32_t policy)
{
	struct kvm_sev_launch_start start = {.policy = policy};
	const struct kvm_sev_launch_update_data data = {(uintptr_t)v->memory, MEMORY_BYTES};

	quietly(v, KVM_SEV_LAUNCH_START, &start);
	quietly(v, KVM_SEV_LAUNCH_UPDATE_DATA, &data);
	if (policy & ABI_SEV_POLICY_ES)
		quietly(v, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
}

static inline int init2(struct sev_vm *v, const char *what)
{
	const struct uapi_sev_init init = {0};

	return command(v, UAPI_SEV_INIT2, &init, what);
}

#endif
