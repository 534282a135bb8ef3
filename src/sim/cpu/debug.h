/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug: what debug.c tells and asks the rest of the processor: breakpoints, single steps, the debugger
 * outside the guest. The vCPU's thread. Law: APM 2, 13.1.
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include "internal.h"

/* After a change of the debug registers or the debugger. */
void cpu_debug_changed(struct cpu *cpu);
/* Is a step due behind the instruction that is about to run? */
bool cpu_debug_steps(const struct cpu *cpu, const struct cpu_op *op);
/* SYSCALL and SYSRET trap by the TF that they leave behind. */
void cpu_debug_step_behind(struct cpu *cpu);
/* Around an instruction that runs alone: its breakpoint (#DB), what it met, the step. */
void cpu_debug_before(struct cpu *cpu, u64 linear);
void cpu_debug_after(struct cpu *cpu, const struct cpu_op *op, bool step);
/* Behind the delivery of an INT n: what was met before it traps at the handler's first instruction. */
void cpu_debug_behind_int(struct cpu *cpu);
/* If cpu->event is a #DB that the guest gets: DR6 and DR7. */
void cpu_debug_deliver(struct cpu *cpu);
/* Is cpu->event the debugger's? Then it becomes an exit. */
bool cpu_debug_takes(struct cpu *cpu);
/* Accesses; only called while watch_data or watch_port is set. */
void cpu_debug_data(struct cpu *cpu, u64 linear, unsigned size, bool write);
void cpu_debug_port(struct cpu *cpu, u16 port, unsigned size);

/* Does each instruction run alone, and each iteration of a repeated one? */
ALWAYS bool cpu_debug_active(const struct cpu *cpu)
{
	return cpu->rflags_rest & FLAG_TF || cpu->debugger.ask & CPU_DEBUG_STEP || cpu->watch_code ||
	       cpu->watch_data || cpu->watch_port;
}

#endif
