/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: what a controller wants of the guest. The lifecycle's table says what that means. Main thread.
 */
#include "run.h"
#include "vmm/device/power.h"

bool run_is_ending(const struct run *run)
{
	return run->state == RUN_LIFE_STOPPING || run->state == RUN_LIFE_FLUSHING ||
	       run->state == RUN_LIFE_ENDED;
}

static int refuse_ending(const struct run *run, struct err *err)
{
	return run_is_ending(run) ? err_set(err, ERR_USAGE, "the guest has ended") : 0;
}

int run_refuse_moved(const struct run *run, struct err *err)
{
	if (refuse_ending(run, err) < 0)
		return -1;
	switch (run->state) {
	case RUN_LIFE_ARRIVING:
	case RUN_LIFE_AWAITING:
		return err_set(err, ERR_USAGE, "the guest has not come from the other vmm yet");
	case RUN_LIFE_LEAVING:
	case RUN_LIFE_LEAVING_QUIETLY:
	case RUN_LIFE_LEFT:
		return err_set(err, ERR_USAGE,
		        "the guest is being given to another vmm; migrate_cancel keeps it here");
	case RUN_LIFE_GIVEN:
		return err_set(err, ERR_USAGE,
		        "the guest was given to another vmm, so it neither runs nor changes here; quit ends "
		        "this vmm");
	default: return 0;
	}
}

int run_stop(struct run *run, struct err *err)
{
	if (run_refuse_moved(run, err) < 0)
		return -1;
	if (run->state == RUN_LIFE_CLOSING)
		return err_set(err, ERR_USAGE,
		        "a signal asked the guest to shut down, and it has at most %u s for that "
		        "(run.grace): it "
		        "cannot be paused now",
		        run->config->run.grace_s);
	run_step(run, RUN_LIFE_PAUSE);
	return 0;
}

int run_cont(struct run *run, struct err *err)
{
	if (run_refuse_moved(run, err) < 0 || run_take_disks(run, err) < 0)
		return -1;
	run_step(run, RUN_LIFE_CONT);
	return 0;
}

int run_reset(struct run *run, struct err *err)
{
	if (run_refuse_moved(run, err) < 0)
		return -1;
	run_step_because(run, RUN_LIFE_RESET, RUN_CAUSE_HOST_RESET);
	return 0;
}

int run_powerdown(struct run *run, struct err *err)
{
	if (run_refuse_moved(run, err) < 0)
		return -1;
	device_power_button(device_power_of(machine_board(run->machine)));
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_POWERDOWN});
	return 0;
}

int run_plug(struct run *run, uint64_t size_bytes, struct err *err)
{
	if (refuse_ending(run, err) < 0)
		return -1;
	if (run->memory_held)
		return err_set(err, ERR_USAGE,
		        "the guest is being moved: add memory when it has arrived, or after migrate_cancel");
	switch (run->state) {
	case RUN_LIFE_RUNNING:
	case RUN_LIFE_PAUSING:
	case RUN_LIFE_QUIETENING:
	case RUN_LIFE_PAUSED:
	case RUN_LIFE_CLOSING: break;
	default:
		return err_set(err, ERR_USAGE, "the guest is %s: add memory when it runs (cont)",
		        run_life_state_name(run->state));
	}
	if (launch_plug(run->launch, size_bytes, err) < 0)
		return -1;
	log_info("the guest got %llu MiB more memory", (unsigned long long)(size_bytes >> 20));
	return 0;
}

void run_hold_memory(struct run *run, bool hold)
{
	run->memory_held = hold;
}

void run_quit(struct run *run)
{
	run_step_because(run, RUN_LIFE_QUIT, RUN_CAUSE_HOST_QUIT);
}
