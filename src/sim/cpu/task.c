/*
 * task: hardware task switches, by far JMP and CALL, IRET with NT, and task gates (APM 2, 12.3). Not in long
 * mode.
 */
#include "far.h"

void sim_task_switch(struct sim_cpu *cpu, u16 selector, unsigned why, bool has_error, u32 error)
{
	sim_leave_failed(cpu, "a task switch", sim_op_rip(cpu));
}
