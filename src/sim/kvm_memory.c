/*
 * kvm_memory: memory slots, published to the processors as one sorted map. Any thread; sim_vm.lock.
 * Law: api.rst, KVM_SET_USER_MEMORY_REGION.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "sim.h"

#define PAGES_MAX ((UINT64_C(1) << 31) - 1)
#define GPA_END   (UINT64_C(1) << SIM_PHYS_BITS)
#define USER_END  (UINT64_C(1) << 47)

typedef struct kvm_userspace_memory_region region_t;

static bool overlaps(const region_t *a, const region_t *b)
{
	return a->memory_size && b->memory_size && a->guest_phys_addr < b->guest_phys_addr + b->memory_size &&
	       b->guest_phys_addr < a->guest_phys_addr + a->memory_size;
}

static int by_gpa(const void *a, const void *b)
{
	const struct sim_slot *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static struct sim_map *map_make(const struct sim_vm *vm)
{
	struct sim_map *map = calloc(1, sizeof(*map) + SIM_SLOTS_MAX * sizeof(map->slots[0]));

	for (unsigned i = 0; map && i < SIM_SLOTS_MAX; i++) {
		const region_t *r = &vm->slots[i].region;

		if (r->memory_size)
			map->slots[map->count++] = (struct sim_slot){
			        .gpa = r->guest_phys_addr,
			        .size = r->memory_size,
			        .host = (uint8_t *)(uintptr_t)r->userspace_addr,
			        .id = i,
			        .flags = r->flags & KVM_MEM_READONLY ? SIM_SLOT_READONLY : 0,
			        .dirty = vm->slots[i].dirty,
			};
	}
	if (map)
		qsort(map->slots, map->count, sizeof(map->slots[0]), by_gpa);
	return map;
}

/* Waits until no processor uses another map: each looks at the end of the block that it runs. */
static void wait_for_processors(struct sim_vm *vm, const struct sim_map *map)
{
	const struct timespec moment = {.tv_nsec = 20000};

	for (unsigned i = 0; i < atomic_load(&vm->vcpu_count); i++) {
		struct sim_vcpu *v = vm->vcpus[i];

		sim_cpu_post(v->cpu, SIM_PENDING_FLUSH);
		while (atomic_load(&v->in_run) && atomic_load(&v->cpu->map_used) != map)
			nanosleep(&moment, NULL);
	}
}

int vm_map_publish(struct sim_vm *vm)
{
	struct sim_map *map = map_make(vm), *old = vm->map;

	if (!map)
		return -ENOMEM;
	vm->map = map;
	atomic_store(&vm->bus.map, map);
	wait_for_processors(vm, map);
	free(old);
	return 0;
}

/* What is wrong with a region in itself. */
static int check(const region_t *r)
{
	uint64_t end;

	if (r->slot >= SIM_SLOTS_MAX || r->flags & ~(uint32_t)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if (!is_aligned(r->memory_size | r->guest_phys_addr | r->userspace_addr, PAGE_SIZE_BYTES))
		return -EINVAL;
	if (!range_fits(r->userspace_addr, r->memory_size, USER_END))
		return -EINVAL;
	if (!add_ok(r->guest_phys_addr, r->memory_size, &end))
		return -EINVAL;
	return 0;
}

/* What is wrong with it beside what is there. A slot can move and change its log, nothing else. */
static int check_change(const struct sim_vm *vm, const region_t *r, const region_t *old)
{
	if (!r->memory_size)
		return old->memory_size ? 0 : -EINVAL;
	if (r->memory_size / PAGE_SIZE_BYTES > PAGES_MAX)
		return -EINVAL;
	if (old->memory_size &&
	        (r->userspace_addr != old->userspace_addr || r->memory_size != old->memory_size ||
	                (r->flags ^ old->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	for (unsigned i = 0; i < SIM_SLOTS_MAX; i++) {
		if (i != r->slot && overlaps(r, &vm->slots[i].region))
			return -EEXIST;
	}
	return range_fits(r->guest_phys_addr, r->memory_size, GPA_END) ? 0 : -EINVAL;
}

static int change(struct sim_vm *vm, const region_t *r)
{
	struct sim_slot_row *row = &vm->slots[r->slot], old = *row;
	bool log = r->memory_size && r->flags & KVM_MEM_LOG_DIRTY_PAGES;
	int result;

	if (!log)
		row->dirty = NULL;
	else if (!old.dirty || old.region.memory_size != r->memory_size)
		row->dirty = vm_dirty_make(vm, r->memory_size / PAGE_SIZE_BYTES);
	if (log && !row->dirty) {
		*row = old;
		return -ENOMEM;
	}
	row->region = *r;
	result = vm_map_publish(vm);
	if (result < 0) {
		if (row->dirty != old.dirty)
			free(row->dirty);
		*row = old;
	} else if (row->dirty != old.dirty) {
		free(old.dirty);
	}
	return result;
}

int vm_set_memory(void *object, void *arg, uintptr_t user)
{
	struct sim_vm *vm = object;
	const region_t *r = arg;
	int result = check(r);

	if (result < 0)
		return result;
	pthread_mutex_lock(&vm->lock);
	result = check_change(vm, r, &vm->slots[r->slot].region);
	if (result == 0)
		result = change(vm, r);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

void vm_memory_finish(struct sim_vm *vm)
{
	for (unsigned i = 0; vm->slots && i < SIM_SLOTS_MAX; i++)
		free(vm->slots[i].dirty);
	free(vm->slots);
	free(vm->map);
}
