/* SPDX-License-Identifier: Apache-2.0 */
/*
 * both: runs each translated block by the interpreter and by the translator, and compares (sim.cpu=both).
 */
#ifndef JIT_BOTH_H
#define JIT_BOTH_H

#include "internal.h"

struct both;

/* NULL: there is no memory. */
struct both *jit_both_create(struct cpu *cpu) MUST_CHECK;
void jit_both_destroy(struct both *both); /* NULL is allowed */
/* Is cpu_native.run, for a processor whose struct jit has a struct both. */
bool jit_both_run(struct cpu *cpu, struct cpu_block *block, u64 linear);

/* Adds what was counted to *sum. */
void jit_both_counts(const struct both *both, struct jit_counts *sum);

/* ---- states (states.c) ---- */

/* Copies all that the processor's own thread writes; what other threads write stays. */
void jit_state_copy(struct cpu *to, const struct cpu *from);
/* Makes copies comparable: sets what is not the guest's to zero, and flags to the bits of RFLAGS. */
void jit_state_simplify(struct cpu *state);
bool jit_state_equal(const struct cpu *a, const struct cpu *b);
/* Logs up to eight differences of two states that were simplified. */
void jit_state_tell_differences(const struct cpu *interpreted, const struct cpu *translated);

#endif
