/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit: translates hot blocks of the software processor to the host's own code. The interpreter stays for
 * everything else: for code outside 64-bit mode, for single steps, and for each instruction that has no
 * translation, whose handler the code calls. cpu_native (cpu/native.h) is how the processor sees it.
 *
 * Code is never writable and executable at the same address: a memfd is mapped twice, once to write and once
 * to execute. mprotect() in turns would do as well, but the sandbox refuses to make anything executable after
 * the start, and this needs no call once the pool is there. So the pool must be made before the sandbox
 * closes.
 *
 * Debian 12 has two libraries that emit x86 code, Xbyak and AsmJit. Both are C++, and this project is C; the
 * few forms that are needed here are in emit.h.
 */
#ifndef JIT_H
#define JIT_H

#include "cpu/cpu.h"

struct jit_pool;

/*
 * Makes a pool of memory for the code of count processors; it takes memory only as it is used. NULL: the host
 * lets nobody make memory executable, or has none, and *err says why. Any thread.
 */
struct jit_pool *jit_pool_create(unsigned count, struct err *err) MUST_CHECK;
void jit_pool_destroy(struct jit_pool *pool); /* after its processors; NULL is allowed */

/*
 * Gives the processor a translator, which ends with it. heat is how often a block runs before it is
 * translated. False: the pool is used up, or there is no memory, and the processor goes on interpreting. Any
 * thread.
 */
bool jit_attach(struct jit_pool *pool, struct cpu *cpu, uint32_t heat) MUST_CHECK;
/*
 * Has the processor, which has a translator, run each translated block by the interpreter, too, on copies of
 * memory: where the two differ it says so, and leaves with CPU_EXIT_FAILED. False: there is no memory.
 */
bool jit_compare(struct cpu *cpu) MUST_CHECK;

/* Blocks that were run by both, and those that could not be, because devices or the platform were asked. */
struct jit_counts {
	uint64_t compared, alone;
};
/* Adds the processor's. */
void jit_add_counts(const struct cpu *cpu, struct jit_counts *sum);

#endif
