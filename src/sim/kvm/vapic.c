/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vapic: KVM_SET_VAPIC_ADDR. A guest whose code was changed to read its task priority from memory shares four
 * bytes with its LAPIC: the task priority, and the highest vectors in service and requested. The platform
 * takes over the guest's changes there when the vCPU leaves the guest, and writes the bytes on entry if an
 * interrupt waits. Runs on the vCPU's thread. Law: api.rst, KVM_SET_VAPIC_ADDR; Linux's arch/x86/kvm/lapic.c,
 * kvm_lapic_sync_to_vapic().
 */
#include <errno.h>

#include "memory.h"
#include "vcpu.h"

/* Finds the four bytes in the VMM's memory. Returns false if no slot holds all of them. */
static bool find(struct kvm_vcpu *v, uint64_t gpa, uintptr_t *ret_user)
{
	const struct kvm_slot *row;

	pthread_mutex_lock(&v->vm->lock);
	row = kvm_vm_memory_slot(v->vm, gpa);
	if (row && row->region.memory_size - (gpa - row->region.guest_phys_addr) < sizeof(uint32_t))
		row = NULL;
	if (row)
		*ret_user = (uintptr_t)(row->region.userspace_addr + (gpa - row->region.guest_phys_addr));
	pthread_mutex_unlock(&v->vm->lock);
	return row != NULL;
}

int kvm_vcpu_set_vapic(void *object, void *arg, uintptr_t user)
{
	const struct kvm_vapic_addr *address = arg;
	struct kvm_vcpu *v = object;
	uintptr_t at;

	if (!v->vm->chip || (address->vapic_addr && !find(v, address->vapic_addr, &at)))
		return -EINVAL;
	v->vapic = address->vapic_addr;
	return 0;
}

void kvm_vcpu_vapic_enter(struct kvm_vcpu *v)
{
	uint32_t word;
	uintptr_t at;

	if (!v->vapic || !(atomic_load(&v->cpu->pending) & CPU_PENDING_INTR) || !find(v, v->vapic, &at))
		return;
	pthread_mutex_lock(&v->vm->irq_lock);
	word = irq_lapic_vapic(&v->lapic);
	pthread_mutex_unlock(&v->vm->irq_lock);
	if (object_copy_out(at, &word, sizeof(word)) < 0)
		v->vapic = 0;
}

void kvm_vcpu_vapic_leave(struct kvm_vcpu *v)
{
	uint32_t word;
	uintptr_t at;

	if (!v->vapic || !find(v, v->vapic, &at) || object_copy_in(&word, at, sizeof(word)) < 0)
		return;
	pthread_mutex_lock(&v->vm->irq_lock);
	irq_lapic_set_tpr(&v->lapic, word & 0xff);
	pthread_mutex_unlock(&v->vm->irq_lock);
}
