/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: one connection: reads requests, lets them wait in a queue, and has them carried out one at a time.
 * A client that sends faster than it reads is not read from until it has read. Main thread.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"

#define PASSED_FDS_MAX 8 /* room for descriptors in a message; all but the last are closed */

/* ---- the queue ---- */

static bool is_queue_full(const struct control_client *client)
{
	return client->queue_count == CONTROL_QUEUE_MAX || client->queue_bytes > CONTROL_FRAME_MAX_BYTES;
}

static void queue_add(struct control_client *client, const struct control_request *request)
{
	client->queue[(client->queue_start + client->queue_count++) % CONTROL_QUEUE_MAX] = *request;
	client->queue_bytes += request->size;
}

static struct control_request queue_take(struct control_client *client)
{
	struct control_request request = client->queue[client->queue_start];

	client->queue_start = (client->queue_start + 1) % CONTROL_QUEUE_MAX;
	client->queue_count--;
	client->queue_bytes -= request.size;
	return request;
}

/* ---- life ---- */

static void client_free(struct control_client *client)
{
	while (client->queue_count)
		free(queue_take(client).text);
	control_frame_finish(&client->frame);
	free(client->output);
	free(client);
}

void control_client_enter(struct control_client *client)
{
	client->busy++;
}

void control_client_leave(struct control_client *client)
{
	if (--client->busy == 0 && client->gone)
		client_free(client);
}

static void client_unlink(struct control_client *client)
{
	struct control *control = client->control;

	if (client->prev)
		client->prev->next = client->next;
	else
		control->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	if (--control->client_count == 0)
		control_fdsets_finish(control);
}

/* The loop's back end may keep the socket open for a moment; shutdown(2) tells the peer at once. */
void control_client_drop(struct control_client *client, const char *why)
{
	if (client->gone)
		return;
	client->gone = true;
	if (why)
		log_guest(LOG_WARN, "control: a client is disconnected: %s", why);
	loop_op_stop(take_ptr(&client->reading));
	loop_op_stop(take_ptr(&client->writing));
	shutdown(client->fd, SHUT_RDWR);
	close(client->fd);
	control_fds_finish(client);
	if (client->call)
		client->call->client = NULL;
	client_unlink(client);
	control_client_enter(client);
	control_client_leave(client);
}

/* ---- input ---- */

static void take_passed_fds(struct control_client *client, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		const unsigned char *at = CMSG_DATA(part);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = part->cmsg_len - CMSG_LEN(0); left >= sizeof(int); left -= sizeof(int)) {
			if (client->passed_fd >= 0)
				close(client->passed_fd);
			memcpy(&client->passed_fd, at, sizeof(int));
			at += sizeof(int);
		}
	}
}

/* Returns how many bytes came, 0 at their end, or -1 with errno. */
static ssize_t receive(struct control_client *client)
{
	char fds[CMSG_SPACE(PASSED_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {client->input, sizeof(client->input)};
	struct msghdr message = {
	        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = fds, .msg_controllen = sizeof(fds)};
	ssize_t n = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0)
		take_passed_fds(client, &message);
	return n;
}

/* Puts what the next bytes end into the queue. Returns false if there are no more bytes, or no more memory.
 */
static bool take_request(struct control_client *client)
{
	const uint8_t *data = client->input + client->input_start;
	size_t left = client->input_end - client->input_start;
	struct control_request request = {0};
	enum control_frame_result result = control_frame_feed(&client->frame, &data, &left, &request.why);

	client->input_start = client->input_end - left;
	if (result == CONTROL_FRAME_WHOLE)
		request.text = control_frame_take(&client->frame, &request.size);
	if (result == CONTROL_FRAME_WHOLE || result == CONTROL_FRAME_BAD)
		queue_add(client, &request);
	if (result == CONTROL_FRAME_NO_MEMORY)
		control_client_drop(client, "no memory is left for its request");
	return result == CONTROL_FRAME_WHOLE || result == CONTROL_FRAME_BAD;
}

static void serve_next(struct control_client *client)
{
	struct control_request request = queue_take(client);

	control_request_serve(client, &request);
	free(request.text);
}

/* Carries out what can be carried out, one request after the other. */
static void work(struct control_client *client)
{
	while (!client->gone && !client->control->closing) {
		if (client->queue_count && !client->call && !control_client_is_full(client))
			serve_next(client);
		else if (is_queue_full(client) || !take_request(client))
			break;
	}
}

/* ---- what to wait for ---- */

static void on_readable(void *ctx, int events)
{
	struct control_client *client = ctx;
	ssize_t n = receive(client);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	control_client_enter(client);
	client->input_start = 0;
	client->input_end = n > 0 ? (size_t)n : 0;
	if (n < 0)
		control_client_drop(client, NULL);
	else
		client->ended = n == 0;
	control_client_pump(client);
	control_client_leave(client);
}

static void on_writable(void *ctx, int events)
{
	struct control_client *client = ctx;

	control_client_enter(client);
	if (!control_client_flush(client))
		control_client_drop(client, NULL);
	else if (!client->output)
		loop_op_stop(take_ptr(&client->writing));
	control_client_pump(client);
	control_client_leave(client);
}

static int watch(struct control_client *client, bool wanted, short events,
        void (*on_ready)(void *ctx, int events), struct loop_op **op)
{
	struct err err;

	if (!wanted) {
		loop_op_stop(take_ptr(op));
		return 0;
	}
	if (*op)
		return 0;
	return loop_watch_start(client->control->loop, client->fd, events, on_ready, client, op, &err);
}

void control_client_await_room(struct control_client *client)
{
	if (watch(client, true, POLLOUT, on_writable, &client->writing) < 0)
		control_client_drop(client, "no memory is left to wait for it");
}

static bool is_done(const struct control_client *client)
{
	return client->ended && !client->queue_count && !client->call && !client->output;
}

/* Input is read when what came before was taken apart. A peer that has gone shows at the next write. */
static void wait_for_more(struct control_client *client)
{
	bool read = !client->ended && client->input_start == client->input_end;

	if (is_done(client))
		control_client_drop(client, NULL);
	else if (watch(client, read, POLLIN, on_readable, &client->reading) < 0)
		control_client_drop(client, "no memory is left to wait for it");
}

void control_client_pump(struct control_client *client)
{
	control_client_enter(client);
	work(client);
	if (!client->gone)
		wait_for_more(client);
	control_client_leave(client);
}

/* ---- greeting ---- */

static void greet(struct control_client *client)
{
	control_client_send(client, json_pack("{s:{s:o,s:[]}}", "QMP", "version",
	                                    control_query_version(NULL, NULL), "capabilities"));
}

int control_client_create(struct control *control, int fd, struct err *err)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return err_sys(err, ERR_FAILED, ENOMEM, "control: a client");
	}
	client->control = control;
	client->fd = fd;
	client->passed_fd = -1;
	client->next = control->clients;
	if (client->next)
		client->next->prev = client;
	control->clients = client;
	control->client_count++;
	control_client_enter(client);
	greet(client);
	control_client_pump(client);
	control_client_leave(client);
	return 0;
}
