/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_limited: events of which a guest can cause as many as it likes. Of each disk and each slot for memory
 * at most one a second is told: the first at once, and of those that follow within the second the latest, at
 * its end, as QEMU's monitor does. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "control.h"

#define BETWEEN_NS 1000000000u

/* An event of one disk or slot. */
struct control_limited {
	struct control *control;
	struct control_limited *next;
	const char *name;
	char *of;
	struct loop_op *timer; /* until the next one may come; NULL: it may come now */
	json_t *latest;        /* the one that comes then; NULL: none */
};

static struct control_limited *find(struct control *control, const char *name, const char *of)
{
	struct control_limited *limited = control->limited;

	while (limited && (strcmp(limited->name, name) != 0 || strcmp(limited->of, of) != 0))
		limited = limited->next;
	return limited;
}

static struct control_limited *add(struct control *control, const char *name, const char *of)
{
	struct control_limited *limited = calloc(1, sizeof(*limited));

	if (!limited)
		return NULL;
	*limited = (struct control_limited){control, control->limited, name, strdup(of), NULL, NULL};
	if (limited->of)
		return control->limited = limited;
	free(limited);
	return NULL;
}

static void on_time(void *ctx);

static void tell(struct control_limited *limited, json_t *data)
{
	struct err err;

	control_event_send(limited->control, limited->name, data);
	if (loop_timer_start(limited->control->loop, BETWEEN_NS, on_time, limited, &limited->timer, &err) < 0)
		log_guest(LOG_WARN, "control: %s", err.text);
}

static void on_time(void *ctx)
{
	struct control_limited *limited = ctx;

	limited->timer = NULL;
	if (limited->latest)
		tell(limited, take_ptr(&limited->latest));
}

/* name lasts; of says which disk or slot; data is taken over. */
static void tell_limited(struct control *control, const char *name, const char *of, json_t *data)
{
	struct control_limited *limited = find(control, name, of) ?: add(control, name, of);

	if (limited && !limited->timer) {
		tell(limited, data);
	} else if (limited) {
		json_decref(limited->latest);
		limited->latest = data;
	} else {
		json_decref(data);
	}
}

void control_event_on_disk_error(struct control *control, const struct run_event *event)
{
	tell_limited(control, "BLOCK_IO_ERROR", event->device,
	        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "device", event->device, "qom-path", event->device,
	                "operation", event->writes ? "write" : "read", "action", "report", "nospace",
	                event->sys == ENOSPC, "reason", strerror(event->sys)));
}

void control_event_on_dimm(struct control *control, const struct run_event *event)
{
	char slot[sizeof("4294967295")];

	snprintf(slot, sizeof(slot), "%u", event->slot);
	tell_limited(control, "ACPI_DEVICE_OST", slot,
	        json_pack("{s:o}", "info",
	                control_memory_ost(&control->memory, event->slot, event->source, event->status)));
}

void control_limited_free(struct control *control)
{
	while (control->limited) {
		struct control_limited *limited = control->limited;

		control->limited = limited->next;
		loop_op_stop(limited->timer);
		json_decref(limited->latest);
		free(limited->of);
		free(limited);
	}
}
