/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code: the cache of decoded blocks (code.c, which begins with a picture), and toil.
 */
#ifndef CPU_CODE_H
#define CPU_CODE_H

#include "op.h"

struct cpu_block {
	u64 gpa, gpa2; /* gpa2: page of the second part of a lone instruction that crosses a page, else ~0 */
	u64 epoch;     /* when the bytes were last compared */
	struct cpu_block *next;
	u32 mode;
	u16 count, bytes_size;
	bool dead;
	u8 *bytes;
	struct cpu_op ops[];
};

int cpu_code_create(struct cpu *cpu, struct err *err) MUST_CHECK;
void cpu_code_destroy(struct cpu *cpu);
/* The block that begins at linear, which is CS:RIP; decodes it if need be. Raises #PF and #GP of the fetch.
 */
struct cpu_block *cpu_code_find(struct cpu *cpu, u64 linear);

/* ---- what makes blocks and jumps stale ---- */

/* Translations changed: empties the jump cache. Blocks are kept, because they are of physical addresses. */
void cpu_code_forget_jumps(struct cpu *cpu);
/* CPL is 3 or is not any more: jumps of the other privilege do not count. */
void cpu_code_privilege_changed(struct cpu *cpu);
/* Another processor or the VMM may have written code: each block's bytes are compared before it runs again.
 */
void cpu_code_serialize(struct cpu *cpu);
/* The same, but only if the last time is a while ago: for loops that wait. */
void cpu_code_serialize_lazily(struct cpu *cpu);
/* Drops all blocks. */
void cpu_code_forget_blocks(struct cpu *cpu);
/* Is there code in the page? The TLB asks, and makes writes to it slow. */
bool cpu_code_in_page(const struct cpu *cpu, u64 gpa);
/* Such a write: drops the blocks of the page if it met one. */
void cpu_code_written(struct cpu *cpu, u64 gpa, unsigned size);

/* ---- the jump cache ---- */

/*
 * Where the dispatcher looks first: the block at a linear address, if linear and tag (cpu->exec_tag:
 * translations, mode, privilege, bytes known to be current) are equal.
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
 * Decoding and faults take the host much longer than instructions do, but no time of the guest. cpu.toil adds
 * them up, in instructions' time, and when there is too much of it, the caller of cpu_run() gets to look.
 */
#define CPU_TOIL_BLOCK 250u /* to decode a block */
#define CPU_TOIL_FAULT 200u /* to unwind a fault and deliver it */
#define CPU_TOIL_MAX   50000u

#endif
