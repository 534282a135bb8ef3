/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native: what the processor asks of a translator to native code (src/sim/jit). The processor does without
 * one.
 */
#ifndef CPU_NATIVE_H
#define CPU_NATIVE_H

#include "code.h"

struct cpu_native {
	/*
	 * Runs the block at linear, in 64-bit mode, and the ones behind it that are translated, until the
	 * dispatcher must look around or a block has no translation. False: this block has none, and nothing
	 * ran.
	 */
	bool (*run)(struct cpu *cpu, struct cpu_block *block, u64 linear);
	/* Forgets all translations, because the blocks are dropped. */
	void (*forget)(struct cpu *cpu);
	/*
	 * Returns where to go on after a fault of guest memory in native code at rip: code that runs the
	 * instruction by its handler, which meets the fault again. 0: rip is not in native code. The signal's
	 * handler calls it.
	 */
	uintptr_t (*detour)(const struct cpu *cpu, uintptr_t rip);
	void (*destroy)(struct cpu *cpu);
	/* An instruction is about to write over code; it may be given up. NULL: nobody wants to know. */
	void (*code_written)(struct cpu *cpu);
};

/* Runs a block by the interpreter, in 64-bit mode. */
void cpu_run_block(struct cpu *cpu, struct cpu_block *block);

#endif
