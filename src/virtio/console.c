/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: a console with one port. On the main loop. Law: VIRTIO 1.2, 5.3.
 *
 * The device has no memory of its own: bytes wait in the driver's buffers until somebody takes them, and
 * input goes straight into its buffers. So a slow reader makes the driver wait, and nothing else.
 *
 * VIRTIO_CONSOLE_F_MULTIPORT would bring more ports, ports with names (Linux: /dev/virtio-ports/NAME, as the
 * QEMU guest agent wants one), and both sides told when the other one opens or closes a port. It needs two
 * queues more a port and two for control.
 */
#include <errno.h>

#include "vmm/virtio.h"

#define CONSOLE_ID         3
#define CONSOLE_QUEUE_SIZE 64

/* 5.3.2: the queues of port 0 */
enum { RECEIVE, TRANSMIT, QUEUES };

struct virtio_console {
	struct virtio_device *device;
	struct device_events events;
	struct virtio_queue *queues[QUEUES]; /* NULL: stopped */
	struct virtio_chain out, in;
	bool sending;    /* `out` was popped */
	uint64_t sent;   /* bytes of it, or of the chain that is popped next, that were taken */
	bool wants_room; /* input was refused */
};

/* Takes the next chain. Returns as virtio_queue_pop(), 0 only after asking the driver to ring. */
static int next_chain(struct virtio_queue *queue, struct virtio_chain *chain)
{
	int there;

	do {
		there = virtio_queue_pop(queue, chain);
	} while (!there && virtio_queue_listen(queue));
	return there;
}

static void breach(struct virtio_console *console, const char *text)
{
	console->queues[RECEIVE] = console->queues[TRANSMIT] = NULL;
	virtio_device_break(console->device, "%s", text);
}

/* ---- output ---- */

/* Makes sure that `out` is a chain with bytes left. Returns false if the driver offers none. */
static bool next_output(struct virtio_console *console)
{
	if (console->sending)
		return true;
	if (next_chain(console->queues[TRANSMIT], &console->out) <= 0)
		return false;
	if (console->out.writable) {
		breach(console, "a request to transmit with a buffer to write");
		return false;
	}
	console->sending = true;
	return true;
}

size_t virtio_console_output(struct virtio_console *console, void *data, size_t max)
{
	struct virtio_queue *queue = console->queues[TRANSMIT];
	size_t taken = 0;

	if (!queue)
		return 0;
	virtio_queue_hush(queue);
	while (taken < max && next_output(console)) {
		size_t n =
		        virtio_chain_read(&console->out, console->sent, (uint8_t *)data + taken, max - taken);

		taken += n;
		console->sent += n;
		if (console->sent >= console->out.readable_bytes) {
			virtio_queue_push(queue, &console->out, 0);
			console->sending = false;
			console->sent = 0;
		}
	}
	virtio_queue_flush(queue);
	return taken;
}

/* ---- input ---- */

size_t virtio_console_input(struct virtio_console *console, const void *data, size_t size)
{
	struct virtio_queue *queue = console->queues[RECEIVE];
	size_t given = 0;

	while (queue && given < size && next_chain(queue, &console->in) > 0) {
		size_t n;

		if (console->in.readable) {
			breach(console, "a request to receive with a buffer to read");
			break;
		}
		n = virtio_chain_write(&console->in, 0, (const uint8_t *)data + given, size - given);
		virtio_queue_push(queue, &console->in, (uint32_t)n);
		given += n;
	}
	if (queue)
		virtio_queue_flush(queue);
	console->wants_room = given < size;
	return given;
}

/* ---- the kind ---- */

static void tell_room(const struct virtio_console *console)
{
	if (console->wants_room && console->events.on_room)
		console->events.on_room(console->events.ctx);
}

static int start(void *ctx, const struct virtio_start *start, struct err *err)
{
	struct virtio_console *console = ctx;

	for (unsigned i = 0; i < QUEUES; i++)
		console->queues[i] = start->queues[i];
	if (!start->goes_on)
		console->sent = 0;
	tell_room(console);
	return 0;
}

static void kick(void *ctx, struct virtio_queue *queue)
{
	const struct virtio_console *console = ctx;

	if (queue == console->queues[RECEIVE])
		tell_room(console);
	else if (queue == console->queues[TRANSMIT] && console->events.on_output)
		console->events.on_output(console->events.ctx);
}

static void stop(void *ctx)
{
	struct virtio_console *console = ctx;

	console->queues[RECEIVE] = console->queues[TRANSMIT] = NULL;
	console->sending = false;
	virtio_device_stopped(console->device);
}

/* How much of the first chain that waits was taken. */
static void visit(void *ctx, bool works, uint64_t features, struct vmstate *s)
{
	struct virtio_console *console = ctx;

	if (works)
		vmstate_u64(s, "bytes taken", &console->sent, UINT32_MAX);
}

static const struct virtio_kind console_kind = {
        .name = "virtio-console",
        .id = CONSOLE_ID,
        .pci_class = 0x078000, /* another communication controller */
        .start = start,
        .kick = kick,
        .stop = stop,
        .visit = visit,
        .finish = free,
};

int virtio_console_add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct virtio_setup setup = {
	        .kind = &console_kind,
	        .id = config->id,
	        .queues = QUEUES,
	        .queue_size = CONSOLE_QUEUE_SIZE,
	        .loop = place->main_loop,
	};
	struct virtio_console *console = calloc(1, sizeof(*console));

	if (!console)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", config->id);
	console->events = place->board->events;
	setup.ctx = console;
	return virtio_pci_add(place->board, &setup, &console->device, err);
}

struct virtio_console *virtio_console_of(const struct device_board *board, const char *id)
{
	return virtio_device_find(board, &console_kind, id);
}
