/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave: the functions by which an instruction is given up, or ends the run (run.c).
 */
#ifndef CPU_LEAVE_H
#define CPU_LEAVE_H

#include "arch.h"
#include "op.h"

/*
 * Each of these functions gives up the instruction that runs: rip stays at it, and only the finished
 * iterations of REP are kept. The functions return not to the caller but to the dispatcher.
 */

/* Raise an exception in the guest: cpu_raise() one without an error code, cpu_raise_error() one with it. */
_Noreturn void cpu_raise(struct cpu *cpu, u8 vector);
_Noreturn void cpu_raise_error(struct cpu *cpu, u8 vector, u32 error);
/* #PF, with linear in CR2. */
_Noreturn void cpu_raise_page_fault(struct cpu *cpu, u64 linear, u32 error);
/* Makes cpu_run() return exit. The caller has filled in the part of exit_info for this exit. */
_Noreturn void cpu_leave(struct cpu *cpu, enum cpu_exit exit);
/* Leaves with CPU_EXIT_FAILED. why is static text; gpa is the guest-physical address in question. */
_Noreturn void cpu_leave_failed(struct cpu *cpu, const char *why, u64 gpa);

/*
 * Completes the instruction; cpu_run() then returns exit at the end of the block. The instruction must be
 * the last of its block, as its row says.
 */
void cpu_exit_after(struct cpu *cpu, enum cpu_exit exit);

/* Return the address of the instruction that runs, and of the next one, as offsets into CS. */
u64 cpu_op_rip(const struct cpu *cpu);
u64 cpu_op_next_rip(const struct cpu *cpu);

/* Handlers that only fail. op_unknown() counts opcodes that are not implemented, and raises #UD. */
cpu_op_fn op_unknown;
/* Raises #UD, as the architecture demands. */
cpu_op_fn op_invalid;
/* Raises #GP, because the instruction has more than 15 bytes. */
cpu_op_fn op_too_long;

#endif
