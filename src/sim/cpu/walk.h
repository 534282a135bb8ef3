/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: looks up addresses in the map of guest memory that is in use (memory.c) and in page tables (walk.c).
 */
#ifndef CPU_WALK_H
#define CPU_WALK_H

#include "internal.h"

/* ---- the map ---- */

/* Addresses are looked up only between enter and leave; take changes to the bus's present map in between. */
void cpu_map_enter(struct cpu *cpu);
void cpu_map_take(struct cpu *cpu);
void cpu_map_leave(struct cpu *cpu);
/* Returns whether the map in use has this memory; for ram_guard.owns, with the vCPU as start. */
bool cpu_is_guest_memory(const struct ram_guard *guard, uintptr_t address);
/* Where native code goes on after a fault of guest memory; for ram_guard.detour, with the vCPU as start. */
uintptr_t cpu_native_detour(const struct ram_guard *guard, uintptr_t rip);
/* Calls look() with the map in use, outside cpu_run(). False: look() met memory that is missing. */
bool cpu_look(struct cpu *cpu, void (*look)(struct cpu *cpu, void *arg), void *arg) MUST_CHECK;

const struct cpu_slot *cpu_slot_find(const struct cpu_map *map, u64 gpa);

/* ---- the walker ---- */

struct walk_query {
	enum access access;
	bool user; /* checks rights as at CPL 3 */
	bool smap; /* a supervisor's data access to a user page is refused */
	bool peek; /* sets no accessed and dirty bits; reads tables from the VMM's memory, without C-bit */
};

struct walk {
	u64 gpa;             /* of the page of 4 KiB */
	u32 error;           /* of #PF, if refused */
	u8 shift;            /* log2 of the bytes of the page in the tables */
	bool writable;       /* a write of the same privilege may follow without another walk */
	bool private;        /* the C-bit is set, under memory encryption */
	enum cpu_view table; /* if refused: what is wrong with the table at gpa, or CPU_VIEW_GOOD */
	bool no_table;       /* if refused: a table lies where there is no memory */
};

/* Walks the page tables; linear is canonical. False: #PF with ret->error, or a bad table. */
bool cpu_walk(const struct cpu *cpu, u64 linear, const struct walk_query *query, struct walk *ret);
/* Returns where size bytes at gpa are, as page tables are read; NULL: no memory, or a bad *ret_view. */
void *cpu_table_host(
        const struct cpu *cpu, u64 gpa, unsigned size, bool *ret_readonly, enum cpu_view *ret_view);

#endif
