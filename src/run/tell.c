/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell: what observers hear of the guest. Main thread.
 */
#include "run.h"

static const struct {
	const char *name;
	bool guest;
} causes[RUN_CAUSES] = {
        [RUN_CAUSE_HOST_ERROR] = {"host-error", false},
        [RUN_CAUSE_HOST_QUIT] = {"host-qmp-quit", false},
        [RUN_CAUSE_HOST_RESET] = {"host-qmp-system-reset", false},
        [RUN_CAUSE_HOST_SIGNAL] = {"host-signal", false},
        [RUN_CAUSE_HOST_UI] = {"host-ui", false},
        [RUN_CAUSE_GUEST_SHUTDOWN] = {"guest-shutdown", true},
        [RUN_CAUSE_GUEST_RESET] = {"guest-reset", true},
        [RUN_CAUSE_GUEST_PANIC] = {"guest-panic", true},
};

const char *run_cause_name(enum run_cause cause)
{
	return causes[cause].name;
}

bool run_cause_is_guest(enum run_cause cause)
{
	return causes[cause].guest;
}

void run_observe(struct run *run, struct run_observer *observer)
{
	observer->next = run->observers;
	run->observers = observer;
}

void run_tell(struct run *run, const struct run_event *event)
{
	for (const struct run_observer *observer = run->observers; observer; observer = observer->next)
		observer->on_event(observer->ctx, event);
}

void run_tell_running(struct run *run, bool running)
{
	enum run_event_kind kind = running ? RUN_EVENT_RESUME : RUN_EVENT_STOP;

	if (run->told_running == running)
		return;
	run->told_running = running;
	run_tell(run, &(struct run_event){.kind = kind});
}

void run_tell_panic(struct run *run, enum run_panic panic, uint64_t sev_set, uint64_t sev_code)
{
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_PANICKED,
	                      .cause = RUN_CAUSE_GUEST_PANIC,
	                      .panic = panic,
	                      .sev_set = sev_set,
	                      .sev_code = sev_code});
}

/* ---- arrivals ---- */

bool run_is_settled(const struct run *run)
{
	return !run_life_is_moving(run->state) || run_launching_waits(run);
}

static void on_settled(void *ctx)
{
	struct run *run = ctx;

	if (!run->unsettled || !run_is_settled(run))
		return;
	run->unsettled = false;
	run_tell(run, &(struct run_event){.kind = RUN_EVENT_SETTLED});
}

/*
 * An observer may give the next command when it hears that the guest has settled. So it hears that from the
 * loop, and not in the middle of a step.
 */
void run_tell_if_settled(struct run *run)
{
	if (!run_is_settled(run))
		run->unsettled = true;
	else if (run->unsettled)
		loop_post(run->loop, &run->settled_task);
}

void run_tell_init(struct run *run)
{
	run->settled_task = (struct loop_task){.fn = on_settled, .ctx = run};
}
