/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty: which pages the guests wrote. A slot has a bitmap, or each vCPU has a ring. A page is logged once;
 * when the VMM takes it out of the log, every processor looks at it again (kvm_vm_map_publish()). The calls
 * run with kvm_vm.lock held, kvm_vcpu_dirtied() runs on the vCPU's thread. Law: api.rst, KVM_GET_DIRTY_LOG,
 * KVM_CLEAR_DIRTY_LOG, KVM_CAP_DIRTY_LOG_RING.
 */
#include <errno.h>
#include <string.h>

#include "memory.h"
#include "vcpu.h"

#define RING_RESERVED 64 /* entries that are left when the ring counts as full */

static uint64_t pages_of(const struct kvm_slot *row)
{
	return row->region.memory_size / PAGE_SIZE_BYTES;
}

static uint64_t words_of(uint64_t pages)
{
	return (pages + 63) / 64;
}

_Atomic uint64_t *kvm_vm_dirty_make(const struct kvm_vm *vm, uint64_t pages)
{
	_Atomic uint64_t *bits = calloc(words_of(pages), sizeof(*bits));

	for (uint64_t i = 0; bits && i < pages && vm->dirty_manual & KVM_DIRTY_LOG_INITIALLY_SET; i++)
		bits[i / 64] |= UINT64_C(1) << (i % 64);
	return bits;
}

/* ---- the bitmap ---- */

static int find_row(struct kvm_vm *vm, uint32_t slot, struct kvm_slot **ret_row)
{
	if (vm->ring_bytes)
		return -ENXIO;
	if (slot >= KVM_SLOTS_MAX)
		return -EINVAL;
	*ret_row = &vm->slots[slot];
	return (*ret_row)->dirty ? 0 : -ENOENT;
}

/*
 * Takes the log. The pages in it count as clean from here on, unless the VMM says so itself by
 * KVM_CLEAR_DIRTY_LOG.
 */
static int take_log(struct kvm_vm *vm, const struct kvm_dirty_log *log)
{
	bool clear = !(vm->dirty_manual & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	auto_free uint64_t *bits = NULL;
	struct kvm_slot *row;
	uint64_t words;
	int result = find_row(vm, log->slot, &row);

	if (result < 0)
		return result;
	words = words_of(pages_of(row));
	bits = calloc(words, sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	for (uint64_t i = 0; i < words; i++)
		bits[i] = clear ? atomic_exchange(&row->dirty[i], 0) : atomic_load(&row->dirty[i]);
	if (clear && kvm_vm_map_publish(vm) < 0)
		return -ENOMEM;
	/* Adds pages that a processor wrote before it noticed that the log was taken. */
	for (uint64_t i = 0; i < words && clear; i++)
		bits[i] |= atomic_exchange(&row->dirty[i], 0);
	return object_copy_out((uintptr_t)log->dirty_bitmap, bits, words * sizeof(*bits));
}

int kvm_vm_get_dirty_log(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int result;

	pthread_mutex_lock(&vm->lock);
	result = take_log(vm, arg);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

static bool range_is_valid(const struct kvm_clear_dirty_log *log, uint64_t pages)
{
	uint64_t left;

	if (log->first_page > pages)
		return false;
	left = pages - log->first_page;
	return log->num_pages <= left && (log->num_pages == left || log->num_pages % 64 == 0);
}

static int clear_log(struct kvm_vm *vm, const struct kvm_clear_dirty_log *log)
{
	auto_free uint64_t *bits = NULL;
	struct kvm_slot *row;
	uint64_t words = words_of(log->num_pages);
	int result;

	if (!vm->ring_bytes && log->slot < KVM_SLOTS_MAX && log->first_page % 64)
		return -EINVAL;
	result = find_row(vm, log->slot, &row);
	if (result < 0)
		return result;
	if (!range_is_valid(log, pages_of(row)))
		return -EINVAL;
	bits = calloc(words + 1, sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	if (object_copy_in(bits, (uintptr_t)log->dirty_bitmap, words * sizeof(*bits)) < 0)
		return -EFAULT;
	for (uint64_t i = 0; i < words; i++)
		atomic_fetch_and(&row->dirty[log->first_page / 64 + i], ~bits[i]);
	return kvm_vm_map_publish(vm);
}

int kvm_vm_clear_dirty_log(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int result;

	pthread_mutex_lock(&vm->lock);
	result = clear_log(vm, arg);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

/* ---- the ring ---- */

static uint32_t ring_used(const struct kvm_vcpu *v)
{
	return v->ring_at - atomic_load(&v->ring_reset);
}

bool kvm_vcpu_ring_is_full(const struct kvm_vcpu *v)
{
	return v->ring && ring_used(v) + RING_RESERVED >= v->ring_count;
}

/* An entry's slot and page are written before its flags, because the VMM reads the flags first. */
bool kvm_vcpu_dirtied(void *ctx, const struct cpu_slot *slot, uint64_t page)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_dirty_gfn *entry = &v->ring[v->ring_at % v->ring_count];

	if (ring_used(v) >= v->ring_count)
		return false; /* STOP is posted already */
	entry->slot = slot->id;
	entry->offset = page;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_DIRTY, __ATOMIC_RELEASE);
	v->ring_at++;
	if (kvm_vcpu_ring_is_full(v))
		cpu_post(v->cpu, CPU_PENDING_STOP);
	return true;
}

/* A ring that is full has room for this, because it counts as full before it is. */
void kvm_vcpu_log_write(struct kvm_vcpu *v, struct kvm_slot *row, uint64_t page)
{
	const struct cpu_slot slot = {.id = (uint32_t)(row - v->vm->slots)};
	uint64_t bit = UINT64_C(1) << (page % 64);

	if (!row->dirty)
		return;
	if (!(atomic_fetch_or(&row->dirty[page / 64], bit) & bit) && v->ring)
		kvm_vcpu_dirtied(v, &slot, page);
}

/* The VMM can change an entry, so its numbers are checked. */
static void forget_page(struct kvm_vm *vm, uint32_t slot, uint64_t page)
{
	struct kvm_slot *row = slot < KVM_SLOTS_MAX ? &vm->slots[slot] : NULL;

	if (row && row->dirty && page < pages_of(row))
		atomic_fetch_and(&row->dirty[page / 64], ~(UINT64_C(1) << (page % 64)));
}

static int reset_ring(struct kvm_vcpu *v)
{
	uint32_t at = atomic_load(&v->ring_reset), count = 0;

	for (; count < v->ring_count; at++, count++) {
		struct kvm_dirty_gfn *entry = &v->ring[at % v->ring_count];

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_RESET))
			break;
		forget_page(v->vm, entry->slot, entry->offset);
		__atomic_store_n(&entry->flags, 0, __ATOMIC_RELEASE);
	}
	atomic_store(&v->ring_reset, at);
	return (int)count;
}

int kvm_vm_reset_dirty_rings(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int count = 0;

	if (!vm->ring_bytes)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		count += reset_ring(vm->vcpus[i]);
	if (count && kvm_vm_map_publish(vm) < 0)
		count = -ENOMEM;
	pthread_mutex_unlock(&vm->lock);
	return count;
}
