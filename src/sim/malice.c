/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malice: a kernel that attacks its SEV-SNP guest. It changes slots and entries of the RMP behind KVM's back,
 * as a kernel can change its nested page tables and execute RMPUPDATE; what follows is the rest of the
 * platform's work. Law: APM 2, 15.36; APM 3, RMPUPDATE.
 */
#include "malice.h"

#include <stdlib.h>
#include <string.h>

#include "kvm/gmem.h"
#include "sev/guest.h"
#include "sev/rmp.h"
#include "sim.h"

/* A test that names what is not there is wrong. */
static void must(bool good)
{
	if (!good)
		abort();
}

static struct kvm_vm *hold(struct host *h, int fd)
{
	struct kvm_vm *vm = kvm_vm_hold(&((struct sim_platform *)h)->kvm, fd);

	must(vm);
	pthread_mutex_lock(&vm->lock);
	return vm;
}

static void leave(struct kvm_vm *vm)
{
	pthread_mutex_unlock(&vm->lock);
	kvm_vm_unref(vm);
}

/* Cuts a slot in two at an address. Returns the part that begins there. */
static struct kvm_slot *cut(struct kvm_vm *vm, struct kvm_slot *row, uint64_t at)
{
	const uint64_t first = at - row->region.guest_phys_addr;
	unsigned i = 0;

	if (!first || first == row->region.memory_size)
		return row;
	while (i < KVM_SLOTS_MAX && vm->slots[i].region.memory_size)
		i++;
	must(i < KVM_SLOTS_MAX);
	vm->slots[i] = *row;
	vm->slots[i].region.slot = i;
	vm->slots[i].region.guest_phys_addr += first;
	vm->slots[i].region.userspace_addr += first;
	vm->slots[i].region.guest_memfd_offset += first;
	vm->slots[i].region.memory_size -= first;
	row->region.memory_size = first;
	return &vm->slots[i];
}

/* Returns a slot that has this page alone. */
static struct kvm_slot *slot_of(struct kvm_vm *vm, uint64_t gpa)
{
	struct kvm_slot *row = kvm_vm_memory_slot(vm, gpa);

	must(row && row->gmem);
	row = cut(vm, row, gpa);
	cut(vm, row, gpa + PAGE_SIZE_BYTES);
	return row;
}

/* Lets the processors take the slots as they are now. */
static void publish(struct kvm_vm *vm)
{
	must(kvm_vm_map_publish(vm) == 0);
}

void sim_malice_remap(struct host *h, int fd, uint64_t gpa, uint64_t other)
{
	struct kvm_vm *vm = hold(h, fd);
	struct kvm_slot *from = slot_of(vm, other), *to = slot_of(vm, gpa);

	to->gmem = from->gmem;
	to->region.guest_memfd_offset = from->region.guest_memfd_offset;
	publish(vm);
	leave(vm);
}

void sim_malice_swap(struct host *h, int fd, uint64_t gpa, uint64_t other)
{
	struct kvm_vm *vm = hold(h, fd);
	struct kvm_slot *a = slot_of(vm, gpa), *b = slot_of(vm, other), was = *a;

	a->gmem = b->gmem;
	a->region.guest_memfd_offset = b->region.guest_memfd_offset;
	b->gmem = was.gmem;
	b->region.guest_memfd_offset = was.region.guest_memfd_offset;
	publish(vm);
	leave(vm);
}

/* As for a hole, the processors forget the page first. */
void sim_malice_rmpupdate(struct host *h, int fd, uint64_t gpa, uint64_t to)
{
	struct kvm_vm *vm = hold(h, fd);
	struct kvm_slot *row = slot_of(vm, gpa);
	uint64_t offset = row->region.guest_memfd_offset;

	atomic_store(&row->gmem->rmp[offset / PAGE_SIZE_BYTES], 0);
	publish(vm);
	if (to != SIM_MALICE_HOST)
		sev_rmp_prepare(row->gmem, offset, to);
	leave(vm);
}

uint32_t sim_malice_write(struct host *h, int fd, uint64_t gpa, const void *data, size_t size)
{
	struct kvm_vm *vm = hold(h, fd);
	const struct kvm_slot *row = slot_of(vm, gpa & ~(uint64_t)(PAGE_SIZE_BYTES - 1));
	uint64_t offset = row->region.guest_memfd_offset;
	uint32_t fault = 0;

	must(size <= PAGE_SIZE_BYTES - gpa % PAGE_SIZE_BYTES);
	if (atomic_load(&row->gmem->rmp[offset / PAGE_SIZE_BYTES]))
		fault = SIM_MALICE_RMP_FAULT;
	else
		memcpy(row->gmem->pages + offset + gpa % PAGE_SIZE_BYTES, data, size);
	leave(vm);
	return fault;
}

/* The page is the guest's since KVM gave it to the firmware. */
uint32_t sim_malice_write_vmsa(struct host *h, int fd, size_t offset, const void *data, size_t size)
{
	struct object_table *objects = &((struct sim_platform *)h)->objects;
	struct kvm_vcpu *v = (struct kvm_vcpu *)object_hold(objects, fd, NULL);
	uint32_t fault = 0;

	must(v && v->sev && v->sev->vmsa && range_fits(offset, size, sizeof(*v->sev->vmsa)));
	pthread_mutex_lock(&v->lock);
	if (v->protected)
		fault = SIM_MALICE_RMP_FAULT;
	else
		memcpy((uint8_t *)v->sev->vmsa + offset, data, size);
	pthread_mutex_unlock(&v->lock);
	object_leave(objects, &v->object);
	return fault;
}
