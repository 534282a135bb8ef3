/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: carries out what the lifecycle table says. Main thread; what other threads notice is posted to it.
 */
#include <errno.h>
#include <time.h>

#include "run.h"
#include "vmm/back/helper.h"
#include "vmm/device/power.h"
#include "vmm/sandbox.h"
#include "vmm/virtio.h"

#define SECOND_NS 1000000000ull
#define FLUSH_NS  SECOND_NS /* for the last output of a guest that was ended */

bool run_changes(const struct run *run, enum run_life_event event)
{
	return run_life_step(run->state, event).next != run->state;
}

bool run_is_pausing(const struct run *run)
{
	return run->state == RUN_LIFE_PAUSING || run->state == RUN_LIFE_QUIETENING ||
	       run->state == RUN_LIFE_LEAVING || run->state == RUN_LIFE_LEAVING_QUIETLY;
}

/* ---- what the table orders ---- */

/* All vCPUs wait, and the disks are quiet. */
static void rest(struct run *run)
{
	virtio_hold(machine_board(run->machine));
	run->held = true;
	run_tell_running(run, false);
}

/* A vCPU that runs may hold the lock of a device and wait for this thread, so this is for those that wait. */
static void wake(struct run *run)
{
	if (run->held)
		virtio_wake(machine_board(run->machine));
	run->held = false;
}

static void relaunch(struct run *run)
{
	run->resets++;
	run_console_hold(&run->console);
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_RESET, .cause = run->cause});
	run_launching_begin(run);
}

/* A script waits for the output of a guest that runs. */
static void start_vcpus(struct run *run, enum run_vcpu_wish wish)
{
	struct err err = {0};

	if (wish == RUN_VCPU_GO)
		wake(run);
	if (run_vcpus_start(run, wish, &err) < 0) {
		run->err = err;
		run_step_because(run, RUN_LIFE_FAIL, RUN_CAUSE_HOST_ERROR);
		return;
	}
	run_tell_running(run, wish == RUN_VCPU_GO);
	if (wish == RUN_VCPU_GO)
		run_console_start(&run->console);
}

static void end_incarnation(struct run *run)
{
	run_launching_stop(run);
	if (!run->given)
		wake(run);
	run_vcpus_end(run);
}

static void on_grace_over(void *ctx)
{
	struct run *run = ctx;

	run->grace = NULL;
	if (run->state == RUN_LIFE_CLOSING)
		err_set(&run->err, ERR_FAILED,
		        "the guest did not shut down within %u s (run.grace) and was ended",
		        run->config->run.grace_s);
	run_step_because(run, RUN_LIFE_GRACE_OVER, RUN_CAUSE_HOST_SIGNAL);
}

static void press(struct run *run)
{
	struct err err;

	if (!run->config->run.grace_s) {
		run_step_because(run, RUN_LIFE_QUIT, RUN_CAUSE_HOST_SIGNAL);
		return;
	}
	device_power_button(device_power_of(machine_board(run->machine)));
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_POWERDOWN});
	log_info("the power button was pressed; the guest has %u s to shut down", run->config->run.grace_s);
	if (loop_timer_start(run->loop, run->config->run.grace_s * SECOND_NS, on_grace_over, run, &run->grace,
	            &err) < 0)
		run_step_because(run, RUN_LIFE_GRACE_OVER, RUN_CAUSE_HOST_SIGNAL);
}

static void on_flush_over(void *ctx)
{
	struct run *run = ctx;

	run->flush = NULL;
	log_info("nobody reads the console: its last output is dropped");
	run_step(run, RUN_LIFE_GRACE_OVER);
}

/* A guest that shut down waits for the reader of its last output. A user who ends a guest does not. */
static void flush(struct run *run)
{
	struct err err;

	run_console_on_output(&run->console);
	if (run_console_idle(&run->console))
		run_step(run, RUN_LIFE_FLUSHED);
	else if (run->hurry &&
	         loop_timer_start(run->loop, FLUSH_NS, on_flush_over, run, &run->flush, &err) < 0)
		run_step(run, RUN_LIFE_GRACE_OVER);
}

static void act(struct run *run, enum run_life_action action)
{
	switch (action) {
	case RUN_LIFE_NOTHING: break;
	case RUN_LIFE_RELAUNCH: relaunch(run); break;
	case RUN_LIFE_LAUNCH: run_launching_begin(run); break;
	case RUN_LIFE_GO_ON: run_launching_go_on(run); break;
	case RUN_LIFE_HOLD: start_vcpus(run, RUN_VCPU_PARK); break;
	case RUN_LIFE_GO: start_vcpus(run, RUN_VCPU_GO); break;
	case RUN_LIFE_PARK: run_vcpus_park(run); break;
	case RUN_LIFE_QUIETEN: run_disks_quieten(run); break;
	case RUN_LIFE_TELL: rest(run); break;
	case RUN_LIFE_PRESS: press(run); break;
	case RUN_LIFE_STOP: end_incarnation(run); break;
	case RUN_LIFE_END:
		run->hurry = true;
		end_incarnation(run);
		break;
	case RUN_LIFE_FLUSH: flush(run); break;
	case RUN_LIFE_FINISH: loop_stop(run->loop); break;
	}
}

void run_step(struct run *run, enum run_life_event event)
{
	struct run_life_step next = run_life_step(run->state, event);
	bool ends = next.next == RUN_LIFE_STOPPING && run->state != RUN_LIFE_STOPPING;

	if (next.next != run->state)
		log_debug("the guest is %s", run_life_state_name(next.next));
	run->state = next.next;
	if (ends)
		run_tell(run, &(struct run_event){.kind = RUN_EVENT_SHUTDOWN, .cause = run->cause});
	act(run, next.action);
	run_tell_if_settled(run);
}

void run_step_because(struct run *run, enum run_life_event event, enum run_cause cause)
{
	if (run_changes(run, event))
		run->cause = cause;
	run_step(run, event);
}

/* ---- life ---- */

static int create_parts(struct run *run, const struct run_place *place, struct err *err)
{
	const struct device_events events = run_notice_events(run);
	struct machine_place machine = {
	        .host = place->host, .clock = place->clock, .events = &events, .arrives = place->arrives};
	struct machine_files files;

	/* vmm says why a launch would be refused before it makes any device. */
	if (launch_create(place->host, run->config, place->process, &run->launch, err) < 0)
		return -1;
	files = launch_machine_files(run->launch);
	if (loop_create(&run->loop, err) < 0)
		return -1;
	machine.loop = run->loop;
	if (machine_create(&machine, run->config, &files, &run->machine, err) < 0)
		return -1;
	run->console.loop = run->loop;
	/* Signals come last: opening a FIFO for the debug console may wait, and a signal must be able to end
	 * that. */
	if (run_console_init(&run->console, run->machine, err) < 0)
		return -1;
	return run_signals_take(run, err);
}

/* Of a guest that never moves, no controller has vmm connect to another one. */
static bool may_move(const struct config *config)
{
	return config->sev.type == CONFIG_SEV_NONE ||
	       (config->sev.type == CONFIG_SEV && config->sev.page_status);
}

int run_create(const struct run_place *place, const struct config *config,
        const struct run_console_io *console, struct run **ret_run, struct err *err)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return err_sys(err, ERR_FAILED, ENOMEM, "guest");
	run->config = config;
	run->empty = run->released = place->arrives;
	run->signal_fd = -1;
	run_launching_init(run);
	run_tell_init(run);
	run_disks_init(run);
	run_dimms_init(run);
	run_notice_init(run, console);
	if ((sandbox_is_on() && back_helper_start(config, place->controlled && may_move(config), err) < 0) ||
	        create_parts(run, place, err) < 0) {
		run_destroy(run);
		return -1;
	}
	*ret_run = run;
	return 0;
}

static enum run_life_event first_event(const struct run *run)
{
	if (run->empty)
		return RUN_LIFE_START_EMPTY;
	return run->config->run.paused ? RUN_LIFE_START_PAUSED : RUN_LIFE_START;
}

int run_guest(struct run *run, struct err *err)
{
	run->started_s = time(NULL);
	sandbox_enter(SANDBOX_MAIN);
	run_step(run, first_event(run));
	if (loop_run(run->loop, err) < 0) {
		run_vcpus_end_now(run);
		run->state = RUN_LIFE_ENDED;
		return -1;
	}
	if (!run->err.kind && run_expect_unmet(&run->console.expect, true, run->report, sizeof(run->report),
	                              &run->err) == 0)
		return 0;
	*err = run->err;
	return -1;
}

const char *run_report(const struct run *run)
{
	return run->report;
}

void run_destroy(struct run *run)
{
	if (!run)
		return;
	/* A SEV guest's ASID is free only when its VM is gone, so vmm waits for that. */
	if (run->launch && launch_vm(run->launch) && run->config->sev.type == CONFIG_SEV_NONE)
		loop_keep(run->loop, machine_vm_fd(launch_vm(run->launch)));
	if (run->launch)
		launch_end(run->launch);
	run_console_finish(&run->console);
	machine_destroy(run->machine);
	back_helper_stop();
	loop_destroy(run->loop);
	launch_destroy(run->launch);
	run_signals_give_back(run);
	free(run);
}
