/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dimms: what the guest's system answers when memory is added, told to observers. Main thread.
 */
#include "vmm/device/dimms.h"
#include "run.h"

static void on_answer_task(void *ctx)
{
	struct run *run = ctx;
	struct device_dimm list[PAGE_PLUGS_MAX];
	unsigned count = device_dimms_list(device_dimms_of(machine_board(run->machine)), list);

	for (unsigned i = 0; i < count; i++) {
		if (list[i].answers == run->dimm_answers[i])
			continue;
		run->dimm_answers[i] = list[i].answers;
		/* A reset has forgotten what was answered before it. */
		if (list[i].answered)
			run_tell(run, &(struct run_event){.kind = RUN_EVENT_DIMM,
			                      .slot = i,
			                      .source = list[i].source,
			                      .status = list[i].status});
	}
}

void run_dimms_on_answer(void *ctx)
{
	struct run *run = ctx;

	loop_post(run->loop, &run->dimm_task);
}

void run_dimms_init(struct run *run)
{
	run->dimm_task = (struct loop_task){.fn = on_answer_task, .ctx = run};
}
