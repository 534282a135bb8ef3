/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug: breakpoints, single steps and the debugger outside the guest, for the processor's other files
 * (debug.c). Runs on the vCPU's thread. Law: APM 2, 13.1.
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include "internal.h"

/* Makes a change of the debug registers or of the debugger effective. */
void cpu_debug_changed(struct cpu *cpu);
/* Returns whether a step is due after the instruction that is about to run. */
bool cpu_debug_steps(const struct cpu *cpu, const struct cpu_op *op);
/* Makes the step due after SYSCALL and SYSRET, which trap by the TF that they leave behind. */
void cpu_debug_step_behind(struct cpu *cpu);
/*
 * Frame an instruction that runs alone. The first raises #DB for a breakpoint on the
 * instruction; the second makes #DB due for the breakpoints that the instruction met, and for the step.
 */
void cpu_debug_before(struct cpu *cpu, u64 linear);
void cpu_debug_after(struct cpu *cpu, const struct cpu_op *op, bool step);
/* Makes breakpoints that were met before the delivery of an INT n trap at its handler's first instruction. */
void cpu_debug_behind_int(struct cpu *cpu);
/*
 * Sets DR6 and DR7 if cpu->event is a #DB that the guest gets. KVM intercepts the #DB of a SEV-ES guest
 * without DebugSwap, so the event becomes #VC then.
 */
void cpu_debug_deliver(struct cpu *cpu);
/* Returns whether the debugger takes cpu->event; the event then becomes an exit. */
bool cpu_debug_takes(struct cpu *cpu);
/* Note the breakpoints that an access meets; only called while watch_data or watch_port is set. */
void cpu_debug_data(struct cpu *cpu, u64 linear, unsigned size, bool write);
void cpu_debug_port(struct cpu *cpu, u16 port, unsigned size);

/* Returns whether each instruction runs alone, and each iteration of a repeated one. */
ALWAYS bool cpu_debug_active(const struct cpu *cpu)
{
	return cpu->rflags_rest & FLAG_TF || cpu->debugger.ask & CPU_DEBUG_STEP || cpu->watch_code ||
	       cpu->watch_data || cpu->watch_port;
}

#endif
