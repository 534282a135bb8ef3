/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: memory slots, which the processors get as one sorted map. Any thread may call; slots change with
 * kvm_vm.lock held. Law: api.rst, KVM_SET_USER_MEMORY_REGION, KVM_SET_USER_MEMORY_REGION2.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "gmem.h"
#include "vcpu.h"

#define PAGES_MAX ((UINT64_C(1) << 31) - 1)
#define GPA_END   (UINT64_C(1) << KVM_PHYS_BITS)
#define USER_END  (UINT64_C(1) << 47)

typedef struct uapi_userspace_memory_region2 region_t;

static bool overlaps(const region_t *a, const region_t *b)
{
	return a->memory_size && b->memory_size && a->guest_phys_addr < b->guest_phys_addr + b->memory_size &&
	       b->guest_phys_addr < a->guest_phys_addr + a->memory_size;
}

static int by_gpa(const void *a, const void *b)
{
	const struct cpu_slot *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static struct cpu_map *map_make(const struct kvm_vm *vm)
{
	struct cpu_map *map = calloc(1, sizeof(*map) + KVM_SLOTS_MAX * sizeof(map->slots[0]));

	for (unsigned i = 0; map && i < KVM_SLOTS_MAX; i++) {
		const region_t *r = &vm->slots[i].region;

		if (r->memory_size)
			map->slots[map->count++] = (struct cpu_slot){
			        .gpa = r->guest_phys_addr,
			        .size = r->memory_size,
			        .host = kvm_gmem_slot_host(vm, &vm->slots[i]),
			        .id = i,
			        .gmem = vm->slots[i].gmem,
			        .gmem_offset = r->guest_memfd_offset,
			        .flags = r->flags & KVM_MEM_READONLY ? CPU_SLOT_READONLY : 0,
			        .dirty = vm->slots[i].dirty,
			};
	}
	if (map)
		qsort(map->slots, map->count, sizeof(map->slots[0]), by_gpa);
	return map;
}

/*
 * Waits until no processor uses another map. Each processor looks for a new map at the end of the block that
 * it runs.
 */
static void wait_for_processors(struct kvm_vm *vm, const struct cpu_map *map)
{
	const struct timespec moment = {.tv_nsec = 20000};

	kvm_stats_add(&vm->stats, KVM_STAT_FLUSH_REQUESTS, 1);
	kvm_stats_add(&vm->stats, KVM_STAT_FLUSHES, atomic_load(&vm->vcpu_count) > 0);
	for (unsigned i = 0; i < atomic_load(&vm->vcpu_count); i++) {
		struct kvm_vcpu *v = vm->vcpus[i];

		cpu_post(v->cpu, CPU_PENDING_FLUSH);
		while (cpu_uses_other_map(v->cpu, map->generation))
			nanosleep(&moment, NULL);
	}
}

int kvm_vm_map_publish(struct kvm_vm *vm)
{
	struct cpu_map *map = map_make(vm), *old = vm->map;

	if (!map)
		return -ENOMEM;
	map->generation = old->generation + 1;
	vm->map = map;
	atomic_store(&vm->bus.map, map);
	wait_for_processors(vm, map);
	free(old);
	return 0;
}

struct kvm_slot *kvm_vm_memory_slot(struct kvm_vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		const region_t *r = &vm->slots[i].region;

		if (gpa >= r->guest_phys_addr && gpa - r->guest_phys_addr < r->memory_size)
			return &vm->slots[i];
	}
	return NULL;
}

/* Finds guest memory in the VMM's memory. Returns the slot that has all of it, or NULL. */
static struct kvm_slot *find_memory(struct kvm_vm *vm, uint64_t gpa, size_t size, uintptr_t *ret_host)
{
	struct kvm_slot *row = kvm_vm_memory_slot(vm, gpa);
	uint64_t at = row ? gpa - row->region.guest_phys_addr : 0;

	if (!row || !range_fits(at, size, row->region.memory_size))
		return NULL;
	*ret_host = (uintptr_t)kvm_gmem_slot_host(vm, row) + at;
	return row;
}

bool kvm_vcpu_read_memory(struct kvm_vcpu *v, uint64_t gpa, void *ret_data, size_t size)
{
	uintptr_t host;
	bool good;

	pthread_mutex_lock(&v->vm->lock);
	good = find_memory(v->vm, gpa, size, &host) && object_copy_in(ret_data, host, size) == 0;
	pthread_mutex_unlock(&v->vm->lock);
	return good;
}

bool kvm_vcpu_write_memory(struct kvm_vcpu *v, uint64_t gpa, const void *data, size_t size)
{
	struct kvm_slot *row;
	uintptr_t host;
	bool good;

	pthread_mutex_lock(&v->vm->lock);
	row = find_memory(v->vm, gpa, size, &host);
	good = row && !(row->region.flags & KVM_MEM_READONLY) && object_copy_out(host, data, size) == 0;
	if (good) {
		uint64_t first = gpa - row->region.guest_phys_addr;

		kvm_vcpu_log_write(v, row, first / PAGE_SIZE_BYTES);
		kvm_vcpu_log_write(v, row, (first + size - 1) / PAGE_SIZE_BYTES);
	}
	pthread_mutex_unlock(&v->vm->lock);
	return good;
}

/*
 * Memory of a guest_memfd can be neither logged nor read-only. KVM emulates a write to read-only memory, and
 * for that it must read the registers.
 */
static uint32_t valid_flags(const struct kvm_vm *vm, uint32_t flags)
{
	if (flags & UAPI_MEM_GUEST_MEMFD)
		return UAPI_MEM_GUEST_MEMFD;
	return KVM_MEM_LOG_DIRTY_PAGES | (kvm_vm_has_protected_state(vm) ? 0 : KVM_MEM_READONLY);
}

/* Checks a region by itself. Returns 0 or a negated errno. */
static int check(const struct kvm_vm *vm, const region_t *r)
{
	uint64_t end;

	if (r->slot >= KVM_SLOTS_MAX || r->flags & ~valid_flags(vm, r->flags))
		return -EINVAL;
	if (r->flags & UAPI_MEM_GUEST_MEMFD && (!is_aligned(r->guest_memfd_offset, PAGE_SIZE_BYTES) ||
	                                               !add_ok(r->guest_memfd_offset, r->memory_size, &end)))
		return -EINVAL;
	if (!is_aligned(r->memory_size | r->guest_phys_addr | r->userspace_addr, PAGE_SIZE_BYTES))
		return -EINVAL;
	if (!range_fits(r->userspace_addr, r->memory_size, USER_END))
		return -EINVAL;
	if (!add_ok(r->guest_phys_addr, r->memory_size, &end))
		return -EINVAL;
	return 0;
}

/*
 * Checks a region against the slots that exist. A slot may move or change its log and nothing else; one with
 * a guest_memfd may not change at all. Returns 0 or a negated errno.
 */
static int check_change(const struct kvm_vm *vm, const region_t *r, const region_t *old)
{
	if (!r->memory_size)
		return old->memory_size ? 0 : -EINVAL;
	if (r->memory_size / PAGE_SIZE_BYTES > PAGES_MAX)
		return -EINVAL;
	if (old->memory_size && r->flags & UAPI_MEM_GUEST_MEMFD)
		return -EINVAL;
	if (old->memory_size &&
	        (r->userspace_addr != old->userspace_addr || r->memory_size != old->memory_size ||
	                (r->flags ^ old->flags) & (KVM_MEM_READONLY | UAPI_MEM_GUEST_MEMFD)))
		return -EINVAL;
	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		if (i != r->slot && overlaps(r, &vm->slots[i].region))
			return -EEXIST;
	}
	return range_fits(r->guest_phys_addr, r->memory_size, GPA_END) ? 0 : -EINVAL;
}

/* Changes the slot. gmem: the guest_memfd behind the descriptor in the region; NULL: the slot has none. */
static int change(struct kvm_vm *vm, const region_t *r, struct kvm_gmem *gmem)
{
	struct kvm_slot *row = &vm->slots[r->slot], old = *row;
	bool log = r->memory_size && r->flags & KVM_MEM_LOG_DIRTY_PAGES;
	int result;

	if (!log)
		row->dirty = NULL;
	else if (!old.dirty || old.region.memory_size != r->memory_size)
		row->dirty = kvm_vm_dirty_make(vm, r->memory_size / PAGE_SIZE_BYTES);
	if (log && !row->dirty) {
		*row = old;
		return -ENOMEM;
	}
	row->region = *r;
	row->gmem = NULL;
	result = r->memory_size && r->flags & UAPI_MEM_GUEST_MEMFD ? kvm_gmem_bind(vm, row, gmem) : 0;
	if (result == 0)
		result = kvm_vm_map_publish(vm);
	if (result < 0) {
		if (row->dirty != old.dirty)
			free(row->dirty);
		*row = old;
	} else if (row->dirty != old.dirty) {
		free(old.dirty);
	}
	return result;
}

/*
 * The guest_memfd is held during the call. If another thread closes it meanwhile, it ends after the lock is
 * given back.
 */
static int set_memory(struct kvm_vm *vm, const region_t *r)
{
	struct kvm_gmem *gmem = NULL;
	int result = check(vm, r);

	if (result < 0)
		return result;
	if (r->flags & UAPI_MEM_GUEST_MEMFD)
		gmem = kvm_gmem_hold(vm, (int)r->guest_memfd);
	pthread_mutex_lock(&vm->lock);
	result = check_change(vm, r, &vm->slots[r->slot].region);
	if (result == 0)
		result = change(vm, r, gmem);
	pthread_mutex_unlock(&vm->lock);
	kvm_gmem_leave(gmem);
	return result;
}

/* The old call does not know guest_memfd. */
int kvm_vm_set_memory(void *object, void *arg, uintptr_t user)
{
	const struct kvm_userspace_memory_region *old = arg;
	const region_t r = {.slot = old->slot,
	        .flags = old->flags,
	        .guest_phys_addr = old->guest_phys_addr,
	        .memory_size = old->memory_size,
	        .userspace_addr = old->userspace_addr};

	return old->flags & UAPI_MEM_GUEST_MEMFD ? -EINVAL : set_memory(object, &r);
}

int kvm_vm_set_memory2(void *object, void *arg, uintptr_t user)
{
	return set_memory(object, arg);
}

void kvm_vm_memory_finish(struct kvm_vm *vm)
{
	for (unsigned i = 0; vm->slots && i < KVM_SLOTS_MAX; i++)
		free(vm->slots[i].dirty);
	free(vm->slots);
	free(vm->map);
}
