/*
 * debug: what debug.c tells and asks the rest of the processor: breakpoints, single steps, the debugger
 * outside the guest. The vCPU's thread. Law: APM 2, 13.1.
 */
#ifndef SIM_CPU_DEBUG_H
#define SIM_CPU_DEBUG_H

#include "internal.h"

/* After a change of the debug registers or the debugger. */
void sim_debug_changed(struct sim_cpu *cpu);
/* Is a step due behind the instruction that is about to run? */
bool sim_debug_steps(const struct sim_cpu *cpu, const struct sim_op *op);
/* SYSCALL and SYSRET trap by the TF that they leave behind. */
void sim_debug_step_behind(struct sim_cpu *cpu);
/* Around an instruction that runs alone: its breakpoint (#DB), what it met, the step. */
void sim_debug_before(struct sim_cpu *cpu, u64 linear);
void sim_debug_after(struct sim_cpu *cpu, const struct sim_op *op, bool step);
/* Behind the delivery of an INT n: what was met before it traps at the handler's first instruction. */
void sim_debug_behind_int(struct sim_cpu *cpu);
/* If cpu->event is a #DB that the guest gets: DR6 and DR7. */
void sim_debug_deliver(struct sim_cpu *cpu);
/* Is cpu->event the debugger's? Then it becomes an exit. */
bool sim_debug_takes(struct sim_cpu *cpu);
/* Accesses; only called while watch_data or watch_port is set. */
void sim_debug_data(struct sim_cpu *cpu, u64 linear, unsigned size, bool write);
void sim_debug_port(struct sim_cpu *cpu, u16 port, unsigned size);

/* Does each instruction run alone, and each iteration of a repeated one? */
ALWAYS bool sim_debug_active(const struct sim_cpu *cpu)
{
	return cpu->rflags_rest & FLAG_TF || cpu->debugger.ask & SIM_DEBUG_STEP || cpu->watch_code ||
	       cpu->watch_data || cpu->watch_port;
}

#endif
