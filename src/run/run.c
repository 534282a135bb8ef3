/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: carries out what the lifecycle table says. Main thread; what other threads notice is posted to it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "console.h"
#include "life.h"
#include "signals.h"
#include "spin.h"
#include "vcpu.h"
#include "vmm/device/power.h"
#include "vmm/launch.h"

#define SECOND_NS 1000000000ull
#define FLUSH_NS  SECOND_NS /* for the last output of a guest that was ended */

struct run {
	const struct config *config;
	struct loop *loop;
	struct machine *machine;
	struct launch *launch;
	struct machine_vm *vm; /* the incarnation; NULL: none */
	struct run_console console;
	enum run_life_state state;
	struct run_vcpu vcpus[MACHINE_VCPUS_MAX];
	unsigned vcpu_count, running; /* started, not yet ended */
	struct run_spin spin;
	time_t started_s;
	unsigned resets;

	/* What other threads have reported. */
	struct loop_task event_task, output_task, room_task;
	_Atomic(const char *) events[DEVICE_EVENTS]; /* how each was asked for; NULL: it was not */

	int signal_fd;
	uint64_t signalled_ns; /* when the last signal came that counted; 0: none has come */
	sigset_t old_mask;
	bool masked;
	bool hurry; /* the guest is being ended: the console gets FLUSH_NS */
	struct loop_op *signal_watch, *grace, *flush;
	struct err err; /* why the guest ended, if not by shutting down */
	char report[2048];
};

static void step(struct run *run, enum run_life_event event);

/* An event that means nothing in the guest's present state leaves it as it is. */
static bool changes(const struct run *run, enum run_life_event event)
{
	return run_life_step(run->state, event).next != run->state;
}

/* ---- vCPUs ---- */

/* How a vCPU ended counts only where it changes something: a guest that is being stopped may crash. */
static void on_bad_end(struct run *run, const struct run_vcpu *vcpu)
{
	enum run_life_event event = vcpu->outcome == RUN_VCPU_CRASHED ? RUN_LIFE_CRASH : RUN_LIFE_FAIL;

	if (!changes(run, event))
		return;
	run->err = vcpu->err;
	memcpy(run->report, vcpu->report, sizeof(run->report));
	step(run, event);
}

static void on_vcpu_ended(void *ctx)
{
	struct run_vcpu *vcpu = ctx;
	struct run *run = vcpu->owner;

	run_vcpu_join(vcpu);
	run->running--;
	if (vcpu->outcome != RUN_VCPU_STOPPED)
		on_bad_end(run, vcpu);
	if (!run->running)
		step(run, RUN_LIFE_STOPPED);
}

static int start_vcpus(struct run *run, struct err *err)
{
	run->vcpu_count = machine_vm_vcpu_count(run->vm);
	for (unsigned i = 0; i < run->vcpu_count; i++) {
		struct run_vcpu *vcpu = &run->vcpus[i];

		*vcpu = (struct run_vcpu){
		        .owner = run,
		        .machine = run->machine,
		        .vm = run->vm,
		        .kvm = machine_vm_vcpu(run->vm, i),
		        .loop = run->loop,
		        .ended = {.fn = on_vcpu_ended, .ctx = vcpu},
		};
		if (run_vcpu_start(vcpu, err) < 0)
			return -1;
		run->running++;
	}
	run_spin_start(&run->spin, run->loop, run->vcpus, run->vcpu_count);
	return 0;
}

/* ---- what the table orders ---- */

/* Waits, while it must, for the files of the guest's owner. */
static int launch_whole(struct run *run, struct err *err)
{
	int next;

	launch_begin(run->launch, run->machine);
	do {
		next = launch_next(run->launch, false, err);
		if (next == LAUNCH_WAITS)
			nanosleep(&(const struct timespec){.tv_nsec = LAUNCH_WAIT_NS}, NULL);
	} while (next > 0);
	run->vm = next < 0 ? NULL : launch_vm(run->launch);
	return next;
}

static void launch(struct run *run)
{
	struct err err = {0};

	launch_end(run->launch);
	run->vm = NULL;
	run->vcpu_count = 0;
	if (launch_whole(run, &err) == 0 && start_vcpus(run, &err) == 0)
		return;
	run->err = err;
	step(run, RUN_LIFE_FAIL);
}

static void stop_vcpus(struct run *run)
{
	run_spin_stop(&run->spin);
	if (run->vm)
		page_memory_stop(machine_vm_memory(run->vm));
	for (unsigned i = 0; i < run->vcpu_count; i++) {
		if (run->vcpus[i].started)
			run_vcpu_stop(&run->vcpus[i]);
	}
	if (!run->running)
		step(run, RUN_LIFE_STOPPED);
}

static void on_grace_over(void *ctx)
{
	struct run *run = ctx;

	run->grace = NULL;
	if (run->state == RUN_LIFE_CLOSING)
		err_set(&run->err, ERR_FAILED,
		        "the guest did not shut down within %u s (run.grace) and was ended",
		        run->config->run.grace_s);
	step(run, RUN_LIFE_GRACE_OVER);
}

static void press(struct run *run)
{
	struct err err;

	if (!run->config->run.grace_s) {
		step(run, RUN_LIFE_QUIT);
		return;
	}
	device_power_button(device_power_of(machine_board(run->machine)));
	log_info("the power button was pressed; the guest has %u s to shut down", run->config->run.grace_s);
	if (loop_timer_start(run->loop, run->config->run.grace_s * SECOND_NS, on_grace_over, run, &run->grace,
	            &err) < 0)
		step(run, RUN_LIFE_GRACE_OVER);
}

static void on_flush_over(void *ctx)
{
	struct run *run = ctx;

	run->flush = NULL;
	log_info("nobody reads the console: its last output is dropped");
	step(run, RUN_LIFE_GRACE_OVER);
}

/* A guest that shut down waits for the reader of its last output. A user who ends a guest does not. */
static void flush(struct run *run)
{
	struct err err;

	run_console_on_output(&run->console);
	if (run_console_idle(&run->console))
		step(run, RUN_LIFE_FLUSHED);
	else if (run->hurry &&
	         loop_timer_start(run->loop, FLUSH_NS, on_flush_over, run, &run->flush, &err) < 0)
		step(run, RUN_LIFE_GRACE_OVER);
}

static void act(struct run *run, enum run_life_action action)
{
	switch (action) {
	case RUN_LIFE_NOTHING: break;
	case RUN_LIFE_RELAUNCH:
		run->resets++;
		launch(run);
		break;
	case RUN_LIFE_LAUNCH: launch(run); break;
	case RUN_LIFE_PRESS: press(run); break;
	case RUN_LIFE_STOP: stop_vcpus(run); break;
	case RUN_LIFE_END:
		run->hurry = true;
		stop_vcpus(run);
		break;
	case RUN_LIFE_FLUSH: flush(run); break;
	case RUN_LIFE_FINISH: loop_stop(run->loop); break;
	}
}

static void step(struct run *run, enum run_life_event event)
{
	struct run_life_step next = run_life_step(run->state, event);

	if (next.next != run->state)
		log_debug("the guest is %s", run_life_state_name(next.next));
	run->state = next.next;
	act(run, next.action);
}

/* ---- what others notice ---- */

static void on_crash(struct run *run, const char *how)
{
	if (!changes(run, RUN_LIFE_CRASH))
		return;
	err_set(&run->err, ERR_GUEST, "the guest crashed: %s", how);
	step(run, RUN_LIFE_CRASH);
}

static void on_power_off(struct run *run, const char *how)
{
	if (changes(run, RUN_LIFE_POWER_OFF))
		log_info("the guest switched itself off (%s)", how);
	step(run, RUN_LIFE_POWER_OFF);
}

static void on_reset(struct run *run, const char *how)
{
	if (run->state == RUN_LIFE_RUNNING && run->config->run.on_reboot == CONFIG_REBOOT_EXIT) {
		err_set(&run->err, ERR_REBOOT, "the guest rebooted (%s) and was ended (run.on-reboot)", how);
		step(run, RUN_LIFE_POWER_OFF);
		return;
	}
	if (changes(run, RUN_LIFE_RESET))
		log_info("the guest rebooted (%s)", how);
	step(run, RUN_LIFE_RESET);
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
	step(ctx, RUN_LIFE_QUIT);
}

/* While the last output is written, the guest has ended already. The user may cut the output off, a script
 * may not. */
static void on_script_quit(void *ctx)
{
	struct run *run = ctx;

	if (run->state != RUN_LIFE_FLUSHING)
		step(run, RUN_LIFE_QUIT);
}

static void on_console_idle(void *ctx)
{
	struct run *run = ctx;

	if (run->state == RUN_LIFE_FLUSHING)
		step(run, RUN_LIFE_FLUSHED);
}

/* A guest that is being ended, or has ended, is judged by run_guest(). */
static void on_expect_timeout(void *ctx)
{
	struct run *run = ctx;

	if (!changes(run, RUN_LIFE_QUIT) || run->state == RUN_LIFE_FLUSHING)
		return;
	run_expect_unmet(&run->console.expect, false, run->report, sizeof(run->report), &run->err);
	step(run, RUN_LIFE_QUIT);
}

static void on_status(void *ctx)
{
	struct run *run = ctx;
	uint64_t exits = 0;

	for (unsigned i = 0; i < run->vcpu_count; i++)
		exits += atomic_load(&run->vcpus[i].exits);
	log_print("\n[vmm: %s%s%s for %lld s on host %s; %u vCPUs, %llu MiB, %llu exits, %u resets]\n",
	        run->config->name, *run->config->name ? ": " : "", run_life_state_name(run->state),
	        (long long)(time(NULL) - run->started_s), host_name(machine_host(run->machine)),
	        run->vcpu_count, (unsigned long long)(run->config->machine.memory_bytes >> 20),
	        (unsigned long long)exits, run->resets);
}

/* ---- signals ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/*
 * One request often comes as several signals at once: timeout(1) sends one to vmm and one to vmm's process
 * group, and the shell passes on a terminal's hangup. So a signal counts as a second request only if it comes
 * more than a second later.
 */
static void on_signal(void *ctx, int events)
{
	struct run *run = ctx;
	uint64_t now = now_ns(); /* before the signals are read: whoever sees them gone counts from then on */

	if (!run_signals_drop(run->signal_fd))
		return;
	if (run->signalled_ns && now - run->signalled_ns <= SECOND_NS)
		return;
	run->signalled_ns = now;
	if (run->state == RUN_LIFE_CLOSING)
		err_set(&run->err, ERR_FAILED,
		        "the guest was ended by a second signal before it had shut down");
	step(run, RUN_LIFE_TERM);
}

static int take_signals(struct run *run, struct err *err)
{
	run->masked = true;
	if (run_signals_take(&run->signal_fd, &run->old_mask, err) < 0 || run_vcpu_prepare_kick(err) < 0)
		return -1;
	return loop_watch_start(run->loop, run->signal_fd, POLLIN, on_signal, run, &run->signal_watch, err);
}

/* ---- life ---- */

static int create_parts(struct run *run, const struct run_place *place, struct err *err)
{
	const struct device_events events = {on_event, on_output, on_room, NULL, NULL, run};
	struct machine_place machine = {.host = place->host, .clock = place->clock, .events = &events};
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
	return take_signals(run, err);
}

int run_create(const struct run_place *place, const struct config *config,
        const struct run_console_io *console, struct run **ret_run, struct err *err)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return err_sys(err, ERR_FAILED, ENOMEM, "guest");
	run->config = config;
	run->signal_fd = -1;
	run->event_task = (struct loop_task){.fn = on_event_task, .ctx = run};
	run->output_task = (struct loop_task){.fn = on_output_task, .ctx = run};
	run->room_task = (struct loop_task){.fn = on_room_task, .ctx = run};
	run->console = (struct run_console){.io = *console,
	        .on_quit = on_quit,
	        .on_status = on_status,
	        .on_idle = on_console_idle,
	        .on_script_quit = on_script_quit,
	        .on_timeout = on_expect_timeout,
	        .ctx = run};
	if (create_parts(run, place, err) < 0) {
		run_destroy(run);
		return -1;
	}
	*ret_run = run;
	return 0;
}

int run_guest(struct run *run, struct err *err)
{
	run->started_s = time(NULL);
	step(run, RUN_LIFE_START);
	run_console_start(&run->console);
	if (run->state != RUN_LIFE_ENDED && loop_run(run->loop, err) < 0) {
		stop_vcpus(run);
		for (unsigned i = 0; i < run->vcpu_count; i++)
			run_vcpu_join(&run->vcpus[i]);
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
	if (run->vm && run->config->sev.type == CONFIG_SEV_NONE)
		loop_keep(run->loop, machine_vm_fd(run->vm));
	if (run->launch)
		launch_end(run->launch);
	run_console_finish(&run->console);
	machine_destroy(run->machine);
	loop_destroy(run->loop);
	launch_destroy(run->launch);
	if (run->signal_fd >= 0) {
		/* A signal that asked an ended guest to end must not kill vmm before it has said how the
		 * guest ended. */
		run_signals_drop(run->signal_fd);
		close(run->signal_fd);
	}
	if (run->masked)
		pthread_sigmask(SIG_SETMASK, &run->old_mask, NULL);
	free(run);
}
