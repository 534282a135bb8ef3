/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_disk: BLOCK_IO_ERROR, of which a guest can cause as many as it likes. Each disk tells at most one a
 * second: the first at once, and of those that follow within the second the latest, at its end, as QEMU's
 * monitor does. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "control.h"

#define BETWEEN_NS 1000000000u

/* A disk that had an error. */
struct control_disk_told {
	struct control *control;
	struct control_disk_told *next;
	char *device;
	struct loop_op *timer; /* until the next event may come; NULL: it may come now */
	json_t *latest;        /* the event that comes then; NULL: none */
};

static struct control_disk_told *find(struct control *control, const char *device)
{
	struct control_disk_told *told = control->disks_told;

	while (told && strcmp(told->device, device) != 0)
		told = told->next;
	return told;
}

static struct control_disk_told *add(struct control *control, const char *device)
{
	struct control_disk_told *told = calloc(1, sizeof(*told));

	if (!told)
		return NULL;
	*told = (struct control_disk_told){control, control->disks_told, strdup(device), NULL, NULL};
	if (told->device)
		return control->disks_told = told;
	free(told);
	return NULL;
}

static void on_time(void *ctx);

static void tell(struct control_disk_told *told, json_t *data)
{
	struct err err;

	control_event_send(told->control, "BLOCK_IO_ERROR", data);
	if (loop_timer_start(told->control->loop, BETWEEN_NS, on_time, told, &told->timer, &err) < 0)
		log_guest(LOG_WARN, "control: %s", err.text);
}

static void on_time(void *ctx)
{
	struct control_disk_told *told = ctx;

	told->timer = NULL;
	if (told->latest)
		tell(told, take_ptr(&told->latest));
}

void control_event_on_disk_error(struct control *control, const struct run_event *event)
{
	struct control_disk_told *told = find(control, event->device) ?: add(control, event->device);
	json_t *data = json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "device", event->device, "qom-path",
	        event->device, "operation", event->writes ? "write" : "read", "action", "report", "nospace",
	        event->sys == ENOSPC, "reason", strerror(event->sys));

	if (told && !told->timer) {
		tell(told, data);
	} else if (told) {
		json_decref(told->latest);
		told->latest = data;
	} else {
		json_decref(data);
	}
}

void control_disks_told_free(struct control *control)
{
	while (control->disks_told) {
		struct control_disk_told *told = control->disks_told;

		control->disks_told = told->next;
		loop_op_stop(told->timer);
		json_decref(told->latest);
		free(told->device);
		free(told);
	}
}
