/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks: what their threads tell of errors, and that a paused guest's disks are quiet. Main thread.
 */
#include "run.h"
#include "vmm/virtio.h"

/* The id of the i-th device of the configuration if it is a disk, or NULL. */
static const char *disk_id(const struct run *run, size_t i)
{
	const struct config_device *device = &run->config->devices[i];

	return device->driver == CONFIG_BLK ? device->id : NULL;
}

static void on_error_task(void *ctx)
{
	struct run *run = ctx;
	struct virtio_blk_facts facts;

	for (size_t i = 0; i < run->config->devices_count; i++) {
		const char *id = disk_id(run, i);

		if (!id || !virtio_blk_facts(machine_board(run->machine), id, &facts) ||
		        facts.failed == run->disk_errors[i])
			continue;
		run->disk_errors[i] = facts.failed;
		run_tell(run, &(struct run_event){.kind = RUN_EVENT_DISK_ERROR,
		                      .device = id,
		                      .writes = facts.failed_kind != BACK_DISK_READ,
		                      .sys = facts.failed_sys});
	}
}

void run_disks_on_error(void *ctx)
{
	struct run *run = ctx;

	loop_post(run->loop, &run->disk_error_task);
}

static void on_quiet_task(void *ctx)
{
	struct run *run = ctx;

	if (run->released) {
		run_tell(run, &(struct run_event){.kind = RUN_EVENT_RELEASED});
		return;
	}
	for (size_t i = 0; i < run->config->devices_count; i++) {
		const char *id = disk_id(run, i);

		if (id && !virtio_blk_is_quiet(machine_board(run->machine), id))
			return;
	}
	run_step(run, RUN_LIFE_QUIET);
}

void run_disks_on_quiet(void *ctx)
{
	struct run *run = ctx;

	loop_post(run->loop, &run->disk_quiet_task);
}

/* A disk that is quiet already says so all the same. A guest without disks has nothing to wait for. */
void run_disks_quieten(struct run *run)
{
	bool some = false;

	for (size_t i = 0; i < run->config->devices_count; i++) {
		const char *id = disk_id(run, i);

		some |= id && virtio_blk_quieten(machine_board(run->machine), id);
	}
	if (!some)
		run_step(run, RUN_LIFE_QUIET);
}

void run_disks_init(struct run *run)
{
	run->disk_error_task = (struct loop_task){.fn = on_error_task, .ctx = run};
	run->disk_quiet_task = (struct loop_task){.fn = on_quiet_task, .ctx = run};
}
