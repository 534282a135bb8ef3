/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: what happens to the guest, told to all clients whose negotiation is complete. Main thread.
 */
#include <time.h>

#include "control.h"

#define PROGRESS_NS 100000000u

static json_t *timestamp(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return json_pack("{s:i,s:i}", "seconds", -1, "microseconds", -1);
	return json_pack("{s:I,s:I}", "seconds", (json_int_t)now.tv_sec, "microseconds",
	        (json_int_t)now.tv_nsec / 1000);
}

/* A client that is dropped leaves the list, and takes with it only its own place. */
void control_event_send(struct control *control, const char *name, json_t *data)
{
	json_t *event = json_pack("{s:o,s:s}", "timestamp", timestamp(), "event", name);

	if (data)
		json_doc_set(&event, "data", data);
	for (struct control_client *client = control->clients, *next; client; client = next) {
		control_client_enter(client);
		if (client->negotiated)
			control_client_send(client, json_incref(event));
		next = client->next;
		control_client_leave(client);
	}
	json_decref(event);
}

static json_t *cause(const struct run_event *event)
{
	return json_pack("{s:b,s:s}", "guest", run_cause_is_guest(event->cause), "reason",
	        run_cause_name(event->cause));
}

/* vmm ends with a guest that panics. QEMU has information of the kind `sev` only. */
static json_t *panic(const struct run_event *event)
{
	json_t *data = json_pack("{s:s}", "action", "poweroff");

	if (event->panic == RUN_PANIC_SEV)
		json_doc_set(&data, "info",
		        json_pack("{s:s,s:I,s:I}", "type", "sev", "set", (json_int_t)event->sev_set, "code",
		                (json_int_t)event->sev_code));
	return data;
}

/* ---- an event that may come often ---- */

/* Progress within a row is told now and then; its beginning and its end always. */
static void tell_launch(struct control *control, const struct run_event *event)
{
	struct control_told *told = &control->told;
	struct launch_row_facts row;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!launch_row_facts(run_launch(control->place.run), event->row, &row))
		return;
	if (told->launch_ns && told->row == event->row && told->state == row.state &&
	        now - told->launch_ns < PROGRESS_NS)
		return;
	*told = (struct control_told){event->row, row.state, now};
	control_event_send(control, "__VMM_LAUNCH",
	        json_pack("{s:i,s:s,s:s,s:I,s:I}", "row", (int)event->row, "name", row.name, "state",
	                control_row_state_name(row.state), "done", (json_int_t)row.done, "total",
	                (json_int_t)row.total));
}

static void tell_full(struct control *control)
{
	control_event_send(control, "__VMM_SHARED_RANGES_FULL",
	        json_pack("{s:I}", "shared-ranges-max",
	                (json_int_t)control->place.config->sev.shared_ranges_max));
}

/* When an incarnation has just ended, nobody is there to ask. */
static void tell_storm(struct control *control)
{
	const struct machine_vm *vm = run_vm(control->place.run);
	struct page_flips *flips = vm ? page_memory_flips(machine_vm_memory(vm)) : NULL;
	struct page_flip top;

	if (!flips)
		return;
	control_event_send(control, "__VMM_CONVERSION_STORM",
	        json_pack("{s:I,s:I,s:o}", "conversion-storm",
	                (json_int_t)control->place.config->sev.conversion_storm, "conversions",
	                (json_int_t)page_flips_count(flips, clock_ns(CLOCK_MONOTONIC)).conversions, "top",
	                page_flips_top(flips, &top) ? control_flip(&top) : json_null()));
}

void control_event_on_run(void *ctx, const struct run_event *event)
{
	struct control *control = ctx;

	switch (event->kind) {
	case RUN_EVENT_STOP: control_event_send(control, "STOP", NULL); break;
	case RUN_EVENT_RESUME: control_event_send(control, "RESUME", NULL); break;
	case RUN_EVENT_RESET: control_event_send(control, "RESET", cause(event)); break;
	case RUN_EVENT_POWERDOWN: control_event_send(control, "POWERDOWN", NULL); break;
	case RUN_EVENT_SHUTDOWN: control_event_send(control, "SHUTDOWN", cause(event)); break;
	case RUN_EVENT_PANICKED: control_event_send(control, "GUEST_PANICKED", panic(event)); break;
	case RUN_EVENT_LAUNCH: tell_launch(control, event); break;
	case RUN_EVENT_DISK_ERROR: control_event_on_disk_error(control, event); break;
	case RUN_EVENT_DIMM: control_event_on_dimm(control, event); break;
	case RUN_EVENT_SHARED_RANGES_FULL: tell_full(control); break;
	case RUN_EVENT_CONVERSION_STORM: tell_storm(control); break;
	case RUN_EVENT_SETTLED: control_on_settled(control); break;
	case RUN_EVENT_RELEASED:
	case RUN_EVENTS: break;
	}
}
