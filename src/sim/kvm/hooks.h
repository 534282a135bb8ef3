/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks: the functions by which memory encryption changes what KVM does, in one table like the kernel's
 * kvm_x86_ops. This room does not know SEV: the table comes from a room above it, which knows this one. Most
 * functions are called for every guest and do nothing for guests whose memory is not encrypted. Those of "a
 * vCPU with a part" are called only if kvm_vcpu.sev is not NULL.
 */
#ifndef KVM_HOOKS_H
#define KVM_HOOKS_H

#include "vcpu.h"

struct kvm_gmem;

struct kvm_hooks {
	/* ---- /dev/kvm; secure is NULL where there is no secure processor ---- */

	/* Returns the types of VM that can be made, as a mask of 1 << enum uapi_vm_type. */
	unsigned (*vm_types)(const struct sev_platform *secure);
	/*
	 * Adds what CPUID says about memory encryption to count entries; there is room for KVM_CPUID_MAX.
	 * Returns the new count.
	 */
	uint32_t (*add_cpuid)(
	        const struct sev_platform *secure, struct kvm_cpuid_entry2 *entries, uint32_t count);
	/* Reads an attribute of the group KVM_X86_GRP_SEV. Returns 0 or -ENXIO. */
	int (*attribute)(const struct sev_platform *secure, uint64_t attribute, uint64_t *ret_value);

	/* ---- a VM ---- */

	/* Makes kvm_vm.sev. Returns 0 or -ENOMEM. */
	int (*vm_create)(struct kvm_vm *vm);
	/* Frees kvm_vm.sev, which may be NULL, of a VM that ends. */
	void (*vm_destroy)(struct kvm_vm *vm);
	/* Answer KVM_MEMORY_ENCRYPT_OP and the two calls on regions of memory. */
	int (*vm_command)(struct kvm_vm *vm, uintptr_t user);
	int (*vm_register)(struct kvm_vm *vm, uintptr_t user);
	int (*vm_unregister)(struct kvm_vm *vm, uintptr_t user);
	/*
	 * Answer KVM_CAP_VM_COPY_ENC_CONTEXT_FROM and KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM; fd is the other VM's.
	 */
	int (*vm_copy_from)(struct kvm_vm *vm, int fd);
	int (*vm_move_from)(struct kvm_vm *vm, int fd);

	/*
	 * Gives a page of a guest_memfd to the guest, as the first private access to it does, unless the
	 * guest has it already (kvm_arch_gmem_prepare() of the kernel). Any thread.
	 */
	void (*gmem_prepare)(struct kvm_gmem *gmem, uint64_t offset, uint64_t gpa);

	/* ---- a vCPU; its thread, or kvm_vcpu.lock is held ---- */

	/* Makes kvm_vcpu.sev if the VM is one with memory encryption. Returns 0 or -ENOMEM. */
	int (*vcpu_create)(struct kvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct kvm_vcpu *vcpu);
	/*
	 * Makes the guest's access to the MSR of the GHCB, to SEV_STATUS or to GUEST_TSC_FREQ. False: the
	 * guest gets #GP(0).
	 */
	bool (*vcpu_msr)(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value);
	/* Is this an MSR that the VMM does not reach any more, because the processor keeps it in the VMSA? */
	bool (*vcpu_hides_msr)(const struct kvm_vcpu *vcpu, uint32_t index);

	/* ---- a vCPU with a part ---- */

	/* May KVM_RUN go on? Returns 1 or a negated errno. */
	int (*vcpu_pre_run)(struct kvm_vcpu *vcpu);
	/*
	 * Enters the guest with the registers that vcpu_init() chose. Called as KVM_RUN enters the guest, and
	 * after each request. Returns 1; or 0: the processor refuses, and kvm_run tells why.
	 */
	int (*vcpu_enter)(struct kvm_vcpu *vcpu);
	/*
	 * Takes an INIT: chooses the registers with which the guest goes on, and may change mp_state.
	 * kvm_vm.irq_lock is held.
	 */
	void (*vcpu_init)(struct kvm_vcpu *vcpu);
	/*
	 * Answers the guest's VMGEXIT. Returns 1: the guest goes on; 0 or a negated errno: KVM_RUN returns.
	 * If the VMM is to answer, the hook fills in kvm_run, sets kvm_vcpu.waits to KVM_WAITS_VMGEXIT and
	 * returns 0. The next KVM_RUN, also one that is to return at once, then calls
	 * vcpu_vmgexit_complete(), which takes the VMM's answer from kvm_run. It returns the same values, and
	 * may leave to the VMM again in the same way.
	 */
	int (*vcpu_vmgexit)(struct kvm_vcpu *vcpu);
	int (*vcpu_vmgexit_complete)(struct kvm_vcpu *vcpu);
	/* Ends the last VMGEXIT, because the guest goes on now. */
	void (*vcpu_resume)(struct kvm_vcpu *vcpu);
	/*
	 * Takes a SIPI of a vCPU whose registers are, or will be, the guest's: they stay as they are.
	 * kvm_vm.irq_lock is held. Returns false if KVM sets the registers.
	 */
	bool (*vcpu_sipi)(struct kvm_vcpu *vcpu);
	/*
	 * Takes a call on the vCPU if it is about registers that are the guest's: refuses it, or makes it on
	 * the VMM's copy of them. Returns true if it did, with the call's result in *ret_result.
	 */
	bool (*vcpu_call)(struct kvm_vcpu *vcpu, unsigned long request, uintptr_t user, int *ret_result);
	/*
	 * Takes the general registers that the VMM wrote into kvm_run of a vCPU whose registers are the
	 * guest's.
	 */
	void (*vcpu_set_regs)(struct kvm_vcpu *vcpu, const struct kvm_regs *regs);
	/* Writes what the guest wrote into decrypted pages to memory, because the VMM gets the vCPU back, or
	 * the vCPU sleeps. */
	void (*vcpu_release)(struct kvm_vcpu *vcpu);
	/* Does the same now and then, between two slices of the guest's time. */
	void (*vcpu_slice)(struct kvm_vcpu *vcpu);
	/*
	 * Fills in KVM_EXIT_MEMORY_FAULT after the guest touched a page with the wrong C-bit. Returns
	 * -EFAULT.
	 */
	int (*vcpu_leave_fault)(struct kvm_vcpu *vcpu);
};

#endif
