/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: the map of guest memory that the vCPU uses while it looks up addresses, and the search in it. Runs
 * on the vCPU's thread.
 */
#include "native.h"
#include "walk.h"

/*
 * Changes to the bus's present map. A thread that waits until the map is in use may then also rely on
 * everything that the vCPU wrote before.
 */
void cpu_map_take(struct cpu *cpu)
{
	const struct cpu_map *map;

	cpu_unpost(cpu, CPU_PENDING_FLUSH);
	map = atomic_load(&cpu->bus->map);
	cpu_tlb_flush(cpu);
	if (unlikely(cpu->bus->viewed))
		cpu->bus->view_end(cpu->ctx);
	cpu->map = map;
	cpu->map_cached = map->generation;
	atomic_store(&cpu->map_used, map->generation);
	cpu_code_serialize(cpu);
}

/* Begins to use the bus's map. Once map_used is CPU_MAP_ANY, no thread frees the map that is loaded next. */
void cpu_map_enter(struct cpu *cpu)
{
	const struct cpu_map *map;

	atomic_store(&cpu->map_used, CPU_MAP_ANY);
	map = atomic_load(&cpu->bus->map);
	if (map->generation != cpu->map_cached || atomic_load(&cpu->pending) & CPU_PENDING_FLUSH) {
		cpu_map_take(cpu);
		return;
	}
	cpu->map = map;
	atomic_store(&cpu->map_used, map->generation);
}

void cpu_map_leave(struct cpu *cpu)
{
	cpu->map = NULL;
	atomic_store(&cpu->map_used, CPU_MAP_NONE);
}

bool cpu_is_guest_memory(const struct ram_guard *guard, uintptr_t address)
{
	const struct cpu *cpu = guard->start;
	const struct cpu_map *map = cpu->map;

	for (u32 i = 0; map && i < map->count; i++)
		if (address - (uintptr_t)map->slots[i].host < map->slots[i].size)
			return true;
	return false;
}

uintptr_t cpu_native_detour(const struct ram_guard *guard, uintptr_t rip)
{
	const struct cpu *cpu = guard->start;

	return cpu->native ? cpu->native->detour(cpu, rip) : 0;
}

bool cpu_look(struct cpu *cpu, void (*look)(struct cpu *cpu, void *arg), void *arg)
{
	jmp_buf env;
	struct ram_guard guard = {.back = &env, .owns = cpu_is_guest_memory, .start = cpu};
	volatile bool found = false;

	cpu_map_enter(cpu);
	cpu_ram_guard_begin(&guard);
	if (!setjmp(env)) {
		look(cpu, arg);
		found = true;
	}
	cpu_ram_guard_end(&guard);
	cpu_map_leave(cpu);
	return found;
}

const struct cpu_slot *cpu_slot_find(const struct cpu_map *map, u64 gpa)
{
	u32 low = 0, high = map ? map->count : 0;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (gpa < map->slots[middle].gpa)
			high = middle;
		else if (gpa - map->slots[middle].gpa >= map->slots[middle].size)
			low = middle + 1;
		else
			return &map->slots[middle];
	}
	return NULL;
}
