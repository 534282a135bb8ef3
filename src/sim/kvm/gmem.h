/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem: guest_memfd, and which pages of a VM are private (gmem.c).
 */
#ifndef KVM_GMEM_H
#define KVM_GMEM_H

#include "memory.h"

/*
 * A guest_memfd. Its pages are memory of the platform, which the VMM cannot reach. With GUEST_MEMFD_FLAG_MMAP
 * the VMM may map the file, and with GUEST_MEMFD_FLAG_INIT_SHARED its pages.
 */
struct kvm_gmem {
	struct object object;
	struct kvm_vm *vm;
	uint64_t size, flags;
	/*
	 * The file that the VMM maps. If the pages are shared it holds GMEM_MAP_OFFSET bytes and then the
	 * pages; otherwise it is empty.
	 */
	int map_fd;
	uint8_t *pages;
	/*
	 * The entries of these pages in the RMP. 0: the page is the host's. The hooks give the other values
	 * their meaning.
	 */
	_Atomic uint64_t *rmp;
	/* The bytes that a hole takes from the guest just now. No vCPU may have them back meanwhile. */
	_Atomic uint64_t hole_start, hole_end;
};

/* Returns the flags that KVM_CREATE_GUEST_MEMFD takes for the VM; vm NULL: for any VM. */
uint64_t kvm_vm_gmem_flags(const struct kvm_vm *vm);
/*
 * Returns the guest_memfd behind a descriptor, held for the caller until kvm_gmem_leave(); NULL: the
 * descriptor is not a guest_memfd's. The caller of either function holds no lock.
 */
struct kvm_gmem *kvm_gmem_hold(struct kvm_vm *vm, int fd);
void kvm_gmem_leave(struct kvm_gmem *gmem);
/*
 * Puts the memory of a guest_memfd, whose number is in the slot's region, behind the slot of the VM. gmem is
 * what kvm_gmem_hold() gave for that number. kvm_vm.lock is held. Returns 0 or a negated errno.
 */
int kvm_gmem_bind(struct kvm_vm *vm, struct kvm_slot *slot, struct kvm_gmem *gmem);
/*
 * Returns where the guest's shared accesses to the slot go. For a guest_memfd that the VMM can map, and a
 * guest without memory encryption, that is in the file itself; otherwise it is the VMM's memory at the slot's
 * address.
 */
uint8_t *kvm_gmem_slot_host(const struct kvm_vm *vm, const struct kvm_slot *slot);

/*
 * Lets the guest of a new VM have its private pages from its guest_memfds, although nothing encrypts them
 * (KVM_X86_SW_PROTECTED_VM).
 */
void kvm_vm_protect_by_software(struct kvm_vm *vm);
/* Makes kvm_vm.private. Returns 0 or a negated errno. */
int kvm_vm_attributes_init(struct kvm_vm *vm);
void kvm_vm_attributes_finish(struct kvm_vm *vm);
/* Is the page at gpa private by its attributes? Any thread. */
bool kvm_vm_page_is_private(const struct kvm_vm *vm, uint64_t gpa);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_create_gmem(void *object, void *arg, uintptr_t user);    /* KVM_CREATE_GUEST_MEMFD */
int kvm_vm_set_attributes(void *object, void *arg, uintptr_t user); /* KVM_SET_MEMORY_ATTRIBUTES */
int kvm_vcpu_prefault(void *object, void *arg, uintptr_t user);     /* KVM_PRE_FAULT_MEMORY */

#endif
