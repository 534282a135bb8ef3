/* SPDX-License-Identifier: Apache-2.0 */
/*
 * far: code segments and stacks of inner levels, which far transfers, interrupts and task switches share.
 */
#ifndef CPU_FAR_H
#define CPU_FAR_H

#include "ops.h"

enum task_why { TASK_JUMP, TASK_CALL, TASK_IRET, TASK_EVENT };

/*
 * Reads the descriptor of a code segment. ext is added to error codes: 1 while an external event is
 * delivered.
 */
void cpu_code_descriptor(struct cpu *cpu, u16 selector, u32 ext, struct cpu_seg *ret, u64 *ret_linear);
void cpu_check_target(struct cpu *cpu, const struct cpu_seg *cs, u64 rip);
/*
 * Switches to another task. flags are those that the old task keeps. selector names the new task's TSS; with
 * TASK_IRET it is read from the current TSS.
 */
void cpu_task_switch(struct cpu *cpu, u16 selector, enum task_why why, u64 flags);
void cpu_load_cs(struct cpu *cpu, const struct cpu_seg *cs, u32 cpl, u64 rip);

/* A stack that is filled before anything else changes. */
struct new_stack {
	struct cpu_seg ss;
	u64 rsp;
	u32 cpl, ext;
	bool keep_ss; /* SS keeps its value, because the level does not change */
};

/* Returns the stack of an inner level from the TSS; in long mode that of the IST if ist is not 0. */
struct new_stack cpu_new_stack(struct cpu *cpu, u32 cpl, unsigned ist, u32 ext);
void cpu_new_stack_push(struct cpu *cpu, struct new_stack *stack, unsigned size, u64 value);
void cpu_new_stack_commit(struct cpu *cpu, const struct new_stack *stack);

#endif
