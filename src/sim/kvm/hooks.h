/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks: what is different with memory encryption, in one table of functions, as the kernel's kvm_x86_ops.
 * This room knows no SEV: the table comes from a room above it, which knows this one. Most functions are
 * called for every guest and do nothing for those whose memory is not encrypted; those "of a vCPU with a
 * part" are called if kvm_vcpu.sev is not NULL.
 */
#ifndef KVM_HOOKS_H
#define KVM_HOOKS_H

#include "vcpu.h"

struct kvm_hooks {
	/* ---- /dev/kvm; secure is NULL where there is no secure processor ---- */

	/* The types of VM that can be made: a mask of 1 << enum uapi_vm_type. */
	unsigned (*vm_types)(const struct sev_platform *secure);
	/* Adds what CPUID says of memory encryption to count entries; there is room for KVM_CPUID_MAX.
	 * Returns how many there are now. */
	uint32_t (*add_cpuid)(
	        const struct sev_platform *secure, struct kvm_cpuid_entry2 *entries, uint32_t count);
	/* An attribute of the group KVM_X86_GRP_SEV. Returns 0 or -ENXIO. */
	int (*attribute)(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value);

	/* ---- a VM ---- */

	/* Makes kvm_vm.sev. Returns 0 or -ENOMEM. */
	int (*vm_create)(struct kvm_vm *vm);
	/* The VM ends: kvm_vm.sev may be NULL. */
	void (*vm_destroy)(struct kvm_vm *vm);
	/* KVM_MEMORY_ENCRYPT_OP and the two calls on regions of memory. */
	int (*vm_command)(struct kvm_vm *vm, uintptr_t user);
	int (*vm_register)(struct kvm_vm *vm, uintptr_t user);
	int (*vm_unregister)(struct kvm_vm *vm, uintptr_t user);
	/* KVM_CAP_VM_COPY_ENC_CONTEXT_FROM and KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM: fd is the other VM's. */
	int (*vm_copy_from)(struct kvm_vm *vm, int fd);
	int (*vm_move_from)(struct kvm_vm *vm, int fd);

	/* ---- a vCPU; its thread, or kvm_vcpu.lock is held ---- */

	/* Makes kvm_vcpu.sev if the VM is one with memory encryption. Returns 0 or -ENOMEM. */
	int (*vcpu_create)(struct kvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct kvm_vcpu *vcpu);
	/* The guest executed VMMCALL. */
	void (*vcpu_hypercall)(struct kvm_vcpu *vcpu);
	/* The guest accesses the MSR of the GHCB or SEV_STATUS. False: it gets #GP(0). */
	bool (*vcpu_msr)(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value);
	/* Is this an MSR that the VMM does not reach any more, because the processor keeps it in the VMSA? */
	bool (*vcpu_hides_msr)(const struct kvm_vcpu *vcpu, uint32_t index);

	/* ---- a vCPU with a part ---- */

	/* May the vCPU run? Returns 1, 0 (KVM_RUN is over, kvm_run tells why) or a negated errno. */
	int (*vcpu_enter)(struct kvm_vcpu *vcpu);
	/*
	 * A call on the vCPU. Returns true if it was one on registers that are the guest's: then it was
	 * refused, or made on what the VMM has of them instead, and *ret_result is its result.
	 */
	bool (*vcpu_call)(struct kvm_vcpu *vcpu, unsigned long request, uintptr_t user, int *ret_result);
	/* The VMM wrote general registers into kvm_run, of a vCPU whose registers are the guest's. */
	void (*vcpu_set_regs)(struct kvm_vcpu *vcpu, const struct kvm_regs *regs);
	/* The VMM gets the vCPU back: what the guest wrote into decrypted pages goes to memory. */
	void (*vcpu_release)(struct kvm_vcpu *vcpu);
	/* The guest touched a page with the wrong C-bit: KVM_EXIT_MEMORY_FAULT. Returns -EFAULT. */
	int (*vcpu_leave_fault)(struct kvm_vcpu *vcpu);
};

#endif
