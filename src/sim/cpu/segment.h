/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment: the stack, segment registers, descriptors (segment.c), and the delivery of events (interrupt.c).
 */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include "op.h"

/* ---- the stack: size is in bytes, 2, 4 or 8 ---- */

void cpu_push(struct cpu *cpu, unsigned size, u64 value);
u64 cpu_pop(struct cpu *cpu, unsigned size);
/* Read and write at rsp + offset without moving rsp; for what pops or pushes several values, or none. */
u64 cpu_stack_peek(struct cpu *cpu, unsigned offset, unsigned size);
void cpu_stack_poke(struct cpu *cpu, s64 offset, unsigned size, u64 value);
/* Adds to rsp, esp or sp, as the mode says. */
void cpu_stack_move(struct cpu *cpu, s64 by);
/* Raises what a push of size bytes would raise. */
void cpu_stack_probe(struct cpu *cpu, unsigned size);

/* ---- control flow ---- */

/* Jumps near. The target is cut to size bytes (not in 64-bit mode), and checked against the limit of CS. */
void cpu_jump(struct cpu *cpu, u64 target, unsigned size);
void cpu_set_cpl(struct cpu *cpu, u32 cpl);
/* Delivers cpu->event to the guest. */
void cpu_deliver(struct cpu *cpu);
/* Takes count of the NMIs that wait, and forgets those beyond the limit (run.c). */
void cpu_nmis_take(struct cpu *cpu, u32 count);

/* ---- segment registers ---- */

/* Loads a segment register (enum cpu_seg_index) as MOV and POP do, with all checks of protected mode. */
void cpu_seg_load(struct cpu *cpu, unsigned index, u16 selector);
/* Does the same in real and virtual 8086 mode, where the base is the selector times 16. */
void cpu_seg_load_real(struct cpu *cpu, unsigned index, u16 selector);
/*
 * Reads a descriptor: 8 bytes, or 16 for a system descriptor in long mode. False: it lies outside its table.
 */
bool cpu_descriptor_read(struct cpu *cpu, u16 selector, u64 ret_descriptor[static 2], u64 *ret_linear);
/* Unpacks a descriptor. system64: it is a system descriptor of long mode, whose base has 64 bits. */
void cpu_descriptor_unpack(
        const u64 descriptor[static 2], u16 selector, bool system64, struct cpu_seg *ret_seg);
/* Sets the accessed bit of the descriptor at linear, and of seg, which was made from it. */
void cpu_descriptor_accessed(struct cpu *cpu, u64 linear, struct cpu_seg *seg);

#endif
