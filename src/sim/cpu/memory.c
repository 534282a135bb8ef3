/*
 * memory: which map of guest memory the vCPU uses, from before it looks an address up until after, and what
 * the map has there. The vCPU's thread.
 */
#include "walk.h"

/* Whoever waits for the map to be in use may then also rely on what was written before. */
void sim_map_take(struct sim_cpu *cpu)
{
	const struct sim_map *map;

	sim_cpu_unpost(cpu, SIM_PENDING_FLUSH);
	map = atomic_load(&cpu->bus->map);
	sim_tlb_flush(cpu);
	cpu->map = map;
	cpu->map_cached = map->generation;
	atomic_store(&cpu->map_used, map->generation);
	sim_code_serialize(cpu);
}

/* From SIM_MAP_ANY on, nobody frees the map that is loaded next. */
void sim_map_enter(struct sim_cpu *cpu)
{
	const struct sim_map *map;

	atomic_store(&cpu->map_used, SIM_MAP_ANY);
	map = atomic_load(&cpu->bus->map);
	if (map->generation != cpu->map_cached || atomic_load(&cpu->pending) & SIM_PENDING_FLUSH) {
		sim_map_take(cpu);
		return;
	}
	cpu->map = map;
	atomic_store(&cpu->map_used, map->generation);
}

void sim_map_leave(struct sim_cpu *cpu)
{
	cpu->map = NULL;
	atomic_store(&cpu->map_used, SIM_MAP_NONE);
}

bool sim_is_guest_memory(const struct ram_guard *guard, uintptr_t address)
{
	const struct sim_cpu *cpu = guard->start;
	const struct sim_map *map = cpu->map;

	for (u32 i = 0; map && i < map->count; i++)
		if (address - (uintptr_t)map->slots[i].host < map->slots[i].size)
			return true;
	return false;
}

bool sim_cpu_look(struct sim_cpu *cpu, void (*look)(struct sim_cpu *cpu, void *arg), void *arg)
{
	jmp_buf env;
	struct ram_guard guard = {.back = &env, .owns = sim_is_guest_memory, .start = cpu};
	volatile bool found = false;

	sim_map_enter(cpu);
	ram_guard_begin(&guard);
	if (!setjmp(env)) {
		look(cpu, arg);
		found = true;
	}
	ram_guard_end(&guard);
	sim_map_leave(cpu);
	return found;
}

const struct sim_slot *sim_slot_find(const struct sim_map *map, u64 gpa)
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
