/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice: what devices, the console and its user tell of the guest, and what follows. What comes from another
 * thread is posted to the main thread.
 */
#include <time.h>

#include "run.h"

static void on_crash(struct run *run, const char *how)
{
	if (!run_changes(run, RUN_LIFE_CRASH))
		return;
	err_set(&run->err, ERR_GUEST, "the guest crashed: %s", how);
	run_tell_panic(run, RUN_PANIC_PVPANIC, 0, 0);
	run_step_because(run, RUN_LIFE_CRASH, RUN_CAUSE_GUEST_PANIC);
}

static void on_power_off(struct run *run, const char *how)
{
	if (run_changes(run, RUN_LIFE_POWER_OFF))
		log_info("the guest switched itself off (%s)", how);
	run_step_because(run, RUN_LIFE_POWER_OFF, RUN_CAUSE_GUEST_SHUTDOWN);
}

static void on_reset(struct run *run, const char *how)
{
	bool executes = run->state == RUN_LIFE_RUNNING || run_is_pausing(run);

	if (executes && run->config->run.on_reboot == CONFIG_REBOOT_EXIT) {
		err_set(&run->err, ERR_REBOOT, "the guest rebooted (%s) and was ended (run.on-reboot)", how);
		run_step_because(run, RUN_LIFE_POWER_OFF, RUN_CAUSE_GUEST_RESET);
		return;
	}
	if (run_changes(run, RUN_LIFE_RESET))
		log_info("the guest rebooted (%s)", how);
	run_step_because(run, RUN_LIFE_RESET, RUN_CAUSE_GUEST_RESET);
}

static void on_event_task(void *ctx)
{
	struct run *run = ctx;
	const char *how[DEVICE_EVENTS];

	for (unsigned event = 0; event < DEVICE_EVENTS; event++)
		how[event] = atomic_exchange(&run->events[event], NULL);
	if (how[DEVICE_EVENT_CRASH])
		on_crash(run, how[DEVICE_EVENT_CRASH]);
	if (how[DEVICE_EVENT_POWER_OFF])
		on_power_off(run, how[DEVICE_EVENT_POWER_OFF]);
	if (how[DEVICE_EVENT_RESET])
		on_reset(run, how[DEVICE_EVENT_RESET]);
}

static void on_event(void *ctx, enum device_event event, const char *how)
{
	struct run *run = ctx;

	atomic_store(&run->events[event], how);
	loop_post(run->loop, &run->event_task);
}

static void on_output_task(void *ctx)
{
	run_console_on_output(&((struct run *)ctx)->console);
}

static void on_output(void *ctx)
{
	struct run *run = ctx;

	loop_post(run->loop, &run->output_task);
}

static void on_full_task(void *ctx)
{
	run_tell(ctx, &(struct run_event){.kind = RUN_EVENT_SHARED_RANGES_FULL});
}

static void on_storm_task(void *ctx)
{
	run_tell(ctx, &(struct run_event){.kind = RUN_EVENT_CONVERSION_STORM});
}

static void on_room_task(void *ctx)
{
	run_console_on_room(&((struct run *)ctx)->console);
}

static void on_room(void *ctx)
{
	struct run *run = ctx;

	loop_post(run->loop, &run->room_task);
}

static void on_quit(void *ctx)
{
	run_step_because(ctx, RUN_LIFE_QUIT, RUN_CAUSE_HOST_UI);
}

/* While the last output is written, the guest has ended already. The user may cut the output off, a script
 * may not. */
static void on_script_quit(void *ctx)
{
	struct run *run = ctx;

	if (run->state != RUN_LIFE_FLUSHING)
		run_step_because(run, RUN_LIFE_QUIT, RUN_CAUSE_HOST_UI);
}

static void on_console_idle(void *ctx)
{
	struct run *run = ctx;

	if (run->state == RUN_LIFE_FLUSHING)
		run_step(run, RUN_LIFE_FLUSHED);
}

/* A guest that is being ended, or has ended, is judged by run_guest(). */
static void on_expect_timeout(void *ctx)
{
	struct run *run = ctx;

	if (!run_changes(run, RUN_LIFE_QUIT) || run->state == RUN_LIFE_FLUSHING)
		return;
	run_expect_unmet(&run->console.expect, false, run->report, sizeof(run->report), &run->err);
	run_step_because(run, RUN_LIFE_QUIT, RUN_CAUSE_HOST_UI);
}

static void on_status(void *ctx)
{
	struct run *run = ctx;
	uint64_t exits = 0;

	for (unsigned i = 0; i < run->vcpu_count; i++)
		exits += run_vcpu_work(&run->vcpus[i]);
	log_print("\n[vmm: %s%s%s for %lld s on host %s; %u vCPUs, %llu MiB, %llu exits, %u resets]\n",
	        run->config->name, *run->config->name ? ": " : "", run_life_state_name(run->state),
	        (long long)(time(NULL) - run->started_s), host_name(machine_host(run->machine)),
	        run->vcpu_count, (unsigned long long)(run->config->machine.memory_bytes >> 20),
	        (unsigned long long)exits, run->resets);
}

struct device_events run_notice_events(struct run *run)
{
	return (struct device_events){
	        .on_event = on_event,
	        .on_output = on_output,
	        .on_room = on_room,
	        .on_disk_error = run_disks_on_error,
	        .on_disk_quiet = run_disks_on_quiet,
	        .on_dimm_answer = run_dimms_on_answer,
	        .ctx = run,
	};
}

void run_notice_init(struct run *run, const struct run_console_io *io)
{
	run->event_task = (struct loop_task){.fn = on_event_task, .ctx = run};
	run->output_task = (struct loop_task){.fn = on_output_task, .ctx = run};
	run->full_task = (struct loop_task){.fn = on_full_task, .ctx = run};
	run->storm_task = (struct loop_task){.fn = on_storm_task, .ctx = run};
	run->room_task = (struct loop_task){.fn = on_room_task, .ctx = run};
	run->console = (struct run_console){
	        .io = *io,
	        .on_quit = on_quit,
	        .on_status = on_status,
	        .on_idle = on_console_idle,
	        .on_script_quit = on_script_quit,
	        .on_timeout = on_expect_timeout,
	        .ctx = run,
	};
}
