/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: slots of guest memory and the log of written pages (memory.c, dirty.c).
 */
#ifndef KVM_MEMORY_H
#define KVM_MEMORY_H

#include "vm.h"

struct kvm_gmem;

struct kvm_slot {
	struct uapi_userspace_memory_region2 region; /* size 0: not used */
	_Atomic uint64_t *dirty;
	struct kvm_gmem *gmem; /* NULL: none, or closed */
};

/*
 * Makes the slots as they are now the processors' map, and waits until no processor uses the old map. Returns
 * 0 or -ENOMEM. kvm_vm.lock is held.
 */
int kvm_vm_map_publish(struct kvm_vm *vm);
/* Returns the slot that holds the page at gpa, or NULL. kvm_vm.lock is held. */
struct kvm_slot *kvm_vm_memory_slot(struct kvm_vm *vm, uint64_t gpa);
/*
 * Reads and writes guest memory as KVM itself does, at addresses that a guest gave it. Return false if no
 * slot has all of it, or the VMM's memory cannot be accessed. A write is logged. The vCPU's thread, while the
 * processor does not run, and without locks of the VM.
 */
bool kvm_vcpu_read_memory(struct kvm_vcpu *vcpu, uint64_t gpa, void *ret_data, size_t size);
bool kvm_vcpu_write_memory(struct kvm_vcpu *vcpu, uint64_t gpa, const void *data, size_t size);
/* Frees slots and map of a VM that ends. */
void kvm_vm_memory_finish(struct kvm_vm *vm);

/* Makes the log of a slot that begins to be logged; the caller frees it. NULL: no memory. */
_Atomic uint64_t *kvm_vm_dirty_make(const struct kvm_vm *vm, uint64_t pages);
/*
 * Logs a page that the processor is about to write to and that is not in the log (struct cpu_bus, dirtied).
 */
bool kvm_vcpu_dirtied(void *ctx, const struct cpu_slot *slot, uint64_t page);
/* Logs a page of a slot that the platform itself has written to. kvm_vm.lock is held. */
void kvm_vcpu_log_write(struct kvm_vcpu *vcpu, struct kvm_slot *slot, uint64_t page);
/* Does the vCPU's ring of written pages count as full? If so, KVM_RUN leaves the guest. */
bool kvm_vcpu_ring_is_full(const struct kvm_vcpu *vcpu);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_set_memory(void *object, void *arg, uintptr_t user);        /* KVM_SET_USER_MEMORY_REGION */
int kvm_vm_set_memory2(void *object, void *arg, uintptr_t user);       /* KVM_SET_USER_MEMORY_REGION2 */
int kvm_vm_get_dirty_log(void *object, void *arg, uintptr_t user);     /* KVM_GET_DIRTY_LOG */
int kvm_vm_clear_dirty_log(void *object, void *arg, uintptr_t user);   /* KVM_CLEAR_DIRTY_LOG */
int kvm_vm_reset_dirty_rings(void *object, void *arg, uintptr_t user); /* KVM_RESET_DIRTY_RINGS */

#endif
