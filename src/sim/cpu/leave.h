/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave: how an instruction is given up, or ends the run (run.c).
 */
#ifndef CPU_LEAVE_H
#define CPU_LEAVE_H

#include "arch.h"
#include "op.h"

/*
 * Each of these gives up the instruction that runs: rip stays at it, and nothing of what it did is kept but
 * the finished iterations of REP. They do not return to the caller but to the dispatcher.
 */

/* The guest gets the exception: cpu_raise() those without an error code, the others those with one. */
_Noreturn void cpu_raise(struct cpu *cpu, u8 vector);
_Noreturn void cpu_raise_error(struct cpu *cpu, u8 vector, u32 error);
/* #PF, with linear in CR2. */
_Noreturn void cpu_raise_page_fault(struct cpu *cpu, u64 linear, u32 error);
/* cpu_run() returns exit. The caller has filled in what exit_info holds for it. */
_Noreturn void cpu_leave(struct cpu *cpu, enum cpu_exit exit);
/* CPU_EXIT_FAILED; why is static text, gpa the guest-physical address that it is about. */
_Noreturn void cpu_leave_failed(struct cpu *cpu, const char *why, u64 gpa);

/* The instruction is complete, and cpu_run() returns exit at the end of the block, which the row says is
 * here. */
void cpu_exit_after(struct cpu *cpu, enum cpu_exit exit);

/* The address of the instruction that runs, and of the one behind it, as offsets into CS. */
u64 cpu_op_rip(const struct cpu *cpu);
u64 cpu_op_next_rip(const struct cpu *cpu);

/* Handlers that only fail. op_unknown() counts opcodes that are not implemented and raises #UD. */
cpu_op_fn op_unknown;
/* #UD, as the architecture says. */
cpu_op_fn op_invalid;
/* #GP: the instruction has more than 15 bytes. */
cpu_op_fn op_too_long;

#endif
