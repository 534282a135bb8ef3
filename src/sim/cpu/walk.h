/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: addresses looked up: in the map of guest memory that is in use (memory.c), in page tables (walk.c).
 */
#ifndef CPU_WALK_H
#define CPU_WALK_H

#include "internal.h"

/* ---- the map ---- */

/* Addresses are looked up between enter and leave only; take changes to the bus's present map in between. */
void cpu_map_enter(struct cpu *cpu);
void cpu_map_take(struct cpu *cpu);
void cpu_map_leave(struct cpu *cpu);
/* For ram_guard.owns, with the vCPU as start: the memory of the map in use. */
bool cpu_is_guest_memory(const struct ram_guard *guard, uintptr_t address);
/* Outside cpu_run(): calls look() with the map in use. False: look() met memory that is missing. */
bool cpu_look(struct cpu *cpu, void (*look)(struct cpu *cpu, void *arg), void *arg) MUST_CHECK;

const struct cpu_slot *cpu_slot_find(const struct cpu_map *map, u64 gpa);

/* ---- the walker ---- */

struct walk_query {
	enum access access;
	bool user; /* as CPL 3 */
	bool smap; /* a supervisor's data access to a user page is refused */
	bool peek; /* no accessed and dirty bits, and tables as the VMM's memory has them: no C-bit */
};

struct walk {
	u64 gpa;             /* of the page of 4 KiB */
	u32 error;           /* of #PF, if refused */
	u8 shift;            /* log2 of the bytes of the page in the tables */
	bool writable;       /* a write of the same privilege may follow without another walk */
	bool private;        /* under memory encryption: with the C-bit */
	enum cpu_view table; /* if refused: what is wrong with the table at gpa, or CPU_VIEW_GOOD */
};

/* linear is canonical. False: #PF with error, or a bad table. */
bool cpu_walk(const struct cpu *cpu, u64 linear, const struct walk_query *query, struct walk *ret);
/* Where size bytes at gpa are, as page tables are read: NULL if there is no memory, or a bad *ret_view. */
void *cpu_table_host(
        const struct cpu *cpu, u64 gpa, unsigned size, bool *ret_readonly, enum cpu_view *ret_view);

#endif
