/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: waits for clients, and for the guest where an answer depends on it. Main thread.
 */
#include <errno.h>
#include <poll.h>

#include "control.h"

#define ACCEPTS_A_TURN 16
#define PAUSE_NS       200000000u /* until a client is tried again for which there was no descriptor */

/* ---- clients ---- */

static void on_listening(void *ctx, int events);

static int start_listening(struct control *control, struct err *err)
{
	return loop_watch_start(
	        control->loop, control->listener.fd, POLLIN, on_listening, control, &control->listening, err);
}

static void on_pause_over(void *ctx)
{
	struct control *control = ctx;
	struct err err;

	control->pause = NULL;
	if (start_listening(control, &err) < 0)
		log_error("control: no more clients can connect: %s", err.text);
}

/* A client that cannot be accepted stays in the queue, and would wake the loop again and again. */
static void pause_listening(struct control *control, int sys)
{
	struct err err;

	log_guest(LOG_WARN, "control: a client has to wait: %s", err_sys_name(sys));
	if (loop_timer_start(control->loop, PAUSE_NS, on_pause_over, control, &control->pause, &err) == 0)
		loop_op_stop(take_ptr(&control->listening));
}

static void welcome(struct control *control, int fd)
{
	struct err err;

	if (control->client_count < CONTROL_CLIENTS_MAX) {
		if (control_client_create(control, fd, &err) < 0)
			log_guest(LOG_WARN, "%s", err.text);
		return;
	}
	log_guest(
	        LOG_WARN, "control: there are %d clients already; one more is refused", CONTROL_CLIENTS_MAX);
	close(fd);
}

static bool is_passing(int sys)
{
	return sys == EPERM || sys == EINTR || sys == ECONNABORTED;
}

static void on_listening(void *ctx, int events)
{
	struct control *control = ctx;

	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = control_listener_accept(&control->listener);

		if (fd >= 0)
			welcome(control, fd);
		else if (errno == EAGAIN)
			return;
		else if (!is_passing(errno)) {
			pause_listening(control, errno);
			return;
		}
	}
}

/* ---- answers that wait for the guest ---- */

static void answer_settled(void *ctx)
{
	struct control *control = ctx;

	while (control->settled) {
		struct control_call *call = control->settled;

		control->settled = call->next;
		control_call_answer(call, control_call_empty(call), NULL);
	}
}

/* The answers come from the loop, since the next requests of their clients may change the guest again. */
void control_on_settled(struct control *control)
{
	struct control_call **last = &control->settled;

	while (*last)
		last = &(*last)->next;
	*last = take_ptr(&control->unsettled);
	if (control->settled)
		loop_post(control->loop, &control->settle_task);
}

json_t *control_call_empty(const struct control_call *call)
{
	return call->command->result ? json_string("") : json_object();
}

json_t *control_call_when_settled(struct control_call *call)
{
	struct control_call **last = &call->control->unsettled;

	if (run_is_settled(call->control->place.run))
		return control_call_empty(call);
	control_call_defer(call);
	while (*last)
		last = &(*last)->next;
	*last = call;
	return NULL;
}

/* ---- life ---- */

static bool has_socket(const struct control_place *place)
{
	return place->listen_fd >= 0 || *place->config->control.socket;
}

static int start(struct control *control, struct err *err)
{
	/* Answers in Base64 need it, and the sandbox lets nothing be loaded later. */
	if (crypto_load(err) < 0)
		return -1;
	if (control_listener_open(&control->listener, &control->place, err) < 0)
		return -1;
	control->observer = (struct run_observer){.on_event = control_event_on_run, .ctx = control};
	run_observe(control->place.run, &control->observer);
	control_migration_init(control);
	control_mirrors_init(control);
	return start_listening(control, err);
}

int control_create(const struct control_place *place, struct control **ret_control, struct err *err)
{
	struct control *control;

	if (!has_socket(place)) {
		*ret_control = NULL;
		return 0;
	}
	control = calloc(1, sizeof(*control));
	if (!control)
		return err_sys(err, ERR_FAILED, ENOMEM, "the control socket");
	control->place = *place;
	control->loop = run_loop(place->run);
	control->listener.fd = -1;
	control->settle_task = (struct loop_task){.fn = answer_settled, .ctx = control};
	if (start(control, err) < 0) {
		control_destroy(control);
		return -1;
	}
	*ret_control = control;
	return 0;
}

/* The guest has ended before it arrived where these calls wanted it. */
static void refuse_unsettled(struct control *control)
{
	const struct err err = {.kind = ERR_FAILED, .text = "the guest has ended"};

	while (control->unsettled) {
		struct control_call *call = control->unsettled;

		control->unsettled = call->next;
		control_call_answer(call, NULL, &err);
	}
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	control_listener_close(&control->listener);
	control_mirrors_finish(control);
	loop_op_stop(control->listening);
	loop_op_stop(control->pause);
	loop_cancel(control->loop, &control->settle_task);
	control->closing = true;
	answer_settled(control);
	refuse_unsettled(control);
	control_looks_finish(control);
	control_limited_free(control);
	control_memory_finish(control);
	while (control->clients) {
		control_client_flush(control->clients);
		control_client_drop(control->clients, NULL);
	}
	free(control);
}
