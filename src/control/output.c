/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: what a client is sent. What its socket does not take at once is kept, up to a limit. Main thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"

#define OUTPUT_FULL_BYTES KIB(64) /* no request is carried out while more than this is unsent */
#define OUTPUT_MAX_BYTES  MIB(1)  /* a client that leaves more unread, events above all, is dropped */

static size_t unsent(const struct control_client *client)
{
	return client->output_end - client->output_start;
}

bool control_client_is_full(const struct control_client *client)
{
	return unsent(client) > OUTPUT_FULL_BYTES;
}

static int keep(struct control_client *client, const char *data, size_t size)
{
	size_t old = unsent(client), room = client->output_room;
	char *output = client->output;

	if (client->output_start) {
		memmove(output, output + client->output_start, old);
		client->output_start = 0;
		client->output_end = old;
	}
	if (old + size > room) {
		room = old + size > 2 * room ? old + size : 2 * room;
		output = realloc(output, room);
		if (!output)
			return -1;
		client->output = output;
		client->output_room = room;
	}
	memcpy(output + old, data, size);
	client->output_end = old + size;
	return 0;
}

/* Returns how much the socket took, or -1 if the client is lost. */
static ssize_t send_some(const struct control_client *client, const char *data, size_t size)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t n = send(client->fd, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? (ssize_t)sent : -1;
		sent += (size_t)n;
	}
	return (ssize_t)sent;
}

bool control_client_flush(struct control_client *client)
{
	ssize_t sent;

	if (!client->output)
		return true;
	sent = send_some(client, client->output + client->output_start, unsent(client));
	if (sent < 0)
		return false;
	client->output_start += (size_t)sent;
	if (unsent(client))
		return true;
	free(take_ptr(&client->output));
	client->output_start = client->output_end = client->output_room = 0;
	return true;
}

static void send_line(struct control_client *client, const char *line, size_t size)
{
	ssize_t sent = unsent(client) ? 0 : send_some(client, line, size);

	if (sent < 0) {
		control_client_drop(client, NULL);
		return;
	}
	if ((size_t)sent == size)
		return;
	if (unsent(client) > OUTPUT_MAX_BYTES)
		control_client_drop(client, "it does not read what it is sent");
	else if (keep(client, line + sent, size - (size_t)sent) < 0)
		control_client_drop(client, "no memory is left for its output");
	else
		control_client_await_room(client);
}

void control_client_send(struct control_client *client, json_t *document)
{
	auto_free char *line = json_doc_line(document);

	json_decref(document);
	if (client->gone)
		return;
	if (line)
		send_line(client, line, strlen(line));
	else
		control_client_drop(client, "no memory is left for its answer");
}
