/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: the cache of decoded blocks (code.c, which begins with a picture), and toil.
 */
#ifndef CPU_CODE_H
#define CPU_CODE_H

#include "op.h"

struct cpu_block {
	u64 gpa, gpa2; /* gpa2: the second page of a lone instruction that crosses pages, else ~0 */
	u64 epoch;     /* when the bytes were last compared */
	struct cpu_block *next;
	u32 mode;
	u16 count, bytes_size;
	bool dead;
	u32 heat, native_generation;
	void *native; /* the translator's, while the generation is its own; heat counts runs until there is
	                 one */
	u8 *bytes;
	struct cpu_op ops[];
};

int cpu_code_create(struct cpu *cpu, struct err *err) MUST_CHECK;
void cpu_code_destroy(struct cpu *cpu);
/*
 * Returns the block at linear, which is CS:RIP, and decodes it if necessary. Raises #PF and #GP of the
 * fetch.
 */
struct cpu_block *cpu_code_find(struct cpu *cpu, u64 linear);
/*
 * Returns whether a block that was once found at linear is still the one there, without a search. False: ask
 * cpu_code_find(). Raises what that raises.
 */
bool cpu_code_again(struct cpu *cpu, struct cpu_block *block, u64 linear);

/* ---- events that make blocks and jumps stale ---- */

/*
 * Empties the jump cache after a change of translations. Blocks stay, because they have physical addresses.
 */
void cpu_code_forget_jumps(struct cpu *cpu);
/* Makes jumps of the other privilege not count, after a change of the CPL to or from 3. */
void cpu_code_privilege_changed(struct cpu *cpu);
/*
 * Makes the bytes of each block be compared before it runs again, because another processor or the VMM may
 * have written code.
 */
void cpu_code_serialize(struct cpu *cpu);
/* Does the same, but only if the last time is a while ago; for loops that wait. */
void cpu_code_serialize_lazily(struct cpu *cpu);
/* Drops all blocks. */
void cpu_code_forget_blocks(struct cpu *cpu);
/* Returns whether the page has code. The TLB makes writes to such a page slow. */
bool cpu_code_in_page(const struct cpu *cpu, u64 gpa);
/* Drops the blocks of a page with code if a write of size bytes at gpa met any of them. */
void cpu_code_written(struct cpu *cpu, u64 gpa, unsigned size);

/* ---- the jump cache ---- */

/*
 * The block at a linear address; the dispatcher looks here first. An entry counts only if its linear address
 * and its tag are the present ones. The tag (cpu->exec_tag) stands for the translations, the mode, the
 * privilege, and the fact that bytes are known to be current.
 */
struct cpu_jump {
	u64 linear, tag;
	struct cpu_block *block;
};
#define JUMP_ENTRIES 4096u
struct cpu_jump *cpu_code_jumps(struct cpu *cpu);

ALWAYS unsigned cpu_jump_index(u64 linear)
{
	return (unsigned)(linear ^ linear >> 12) % JUMP_ENTRIES;
}

/*
 * ---- toil ----
 * Decoding and faults take the host much longer than instructions do, but they take no time of the guest.
 * cpu.toil adds them up, in instructions' time. When there is too much of it, cpu_run() returns to its
 * caller.
 */
#define CPU_TOIL_BLOCK 250u /* to decode a block */
#define CPU_TOIL_FAULT 200u /* to unwind a fault and deliver it */
#define CPU_TOIL_MAX   50000u

#endif
