/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll: the loop on poll(2), for hosts and containers that refuse io_uring. It runs on the loop's thread and
 * on the writer's threads. A machine has few descriptors to watch, so epoll(7) would gain nothing, and it
 * refuses regular files.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>

#include "writer.h"

#define SECOND_NS 1000000000ull

struct poller {
	struct loop_writer *writer;
	/* The descriptors of this turn's watches. */
	struct pollfd *fds;
	struct loop_op **ops;
	size_t count, room;
};

/* ---- operations ---- */

static int poll_start(struct loop_op *op, struct err *err)
{
	struct poller *poller = op->loop->state;

	if (op->kind == LOOP_TIMER && !add_ok(clock_ns(CLOCK_MONOTONIC), op->ns, &op->deadline_ns))
		op->deadline_ns = UINT64_MAX;
	if (op->kind != LOOP_WRITE)
		return 0;
	return loop_writer_add(poller->writer, op, err);
}

/*
 * The next turn frees a stopped watch or timer, because this turn may still look at it. A write is freed when
 * its thread is done.
 */
static void poll_stop(struct loop_op *op)
{
}

static void free_stopped(struct loop *loop)
{
	for (struct loop_op *op = loop->ops, *next; op; op = next) {
		next = op->next;
		if (op->stopped && op->kind != LOOP_WRITE)
			loop_op_free(op);
	}
}

/* ---- a turn ---- */

static int make_room(struct poller *poller, size_t count)
{
	struct pollfd *fds;
	struct loop_op **ops;

	if (count <= poller->room)
		return 0;
	fds = reallocarray(poller->fds, count, sizeof(*fds));
	if (fds)
		poller->fds = fds;
	ops = reallocarray(poller->ops, count, sizeof(struct loop_op *));
	if (ops)
		poller->ops = ops;
	if (!fds || !ops)
		return -1;
	poller->room = count;
	return 0;
}

static int collect_watches(struct loop *loop, struct err *err)
{
	struct poller *poller = loop->state;

	poller->count = 0;
	for (struct loop_op *op = loop->ops; op; op = op->next) {
		if (!loop_op_repeats(op))
			continue;
		if (make_room(poller, poller->count + 1) < 0)
			return err_sys(err, ERR_FAILED, ENOMEM, "event loop: its descriptors");
		poller->fds[poller->count] = (struct pollfd){.fd = op->fd, .events = op->events};
		poller->ops[poller->count++] = op;
	}
	return 0;
}

/* Returns the timer that ends first, or NULL if there is none. */
static struct loop_op *first_timer(struct loop *loop)
{
	struct loop_op *first = NULL;

	for (struct loop_op *op = loop->ops; op; op = op->next) {
		if (op->kind == LOOP_TIMER && !op->stopped &&
		        (!first || op->deadline_ns < first->deadline_ns))
			first = op;
	}
	return first;
}

static int wait_for_events(struct loop *loop)
{
	struct poller *poller = loop->state;
	struct loop_op *timer = first_timer(loop);
	bool at_once = loop->posted || loop->awake || loop->first_io;
	struct timespec time = {0};

	if (timer && !at_once) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC),
		         left = timer->deadline_ns > now ? timer->deadline_ns - now : 0;

		time.tv_sec = (time_t)(left / SECOND_NS);
		time.tv_nsec = (long)(left % SECOND_NS);
	}
	return ppoll(poller->fds, poller->count, timer || at_once ? &time : NULL, NULL);
}

/* A watch that a callback stops is only marked, and stays until the next turn. */
static void complete_watches(struct loop *loop)
{
	struct poller *poller = loop->state;

	for (size_t i = 0; i < poller->count && !loop->stopping; i++) {
		int events = poller->fds[i].revents;

		if (events && !poller->ops[i]->stopped &&
		        (poller->ops[i]->kind == LOOP_WATCH || loop_bell_take(poller->fds[i].fd)))
			loop_op_complete(poller->ops[i], events & POLLNVAL ? POLLERR : events);
	}
}

static void complete_timers(struct loop *loop)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct loop_op *op;

	while (!loop->stopping && (op = first_timer(loop)) && op->deadline_ns <= now)
		loop_op_complete(op, 0);
}

static int do_io(const struct loop_io *io)
{
	ssize_t n = -1;

	switch (io->kind) {
	case LOOP_IO_READ: n = preadv2(io->fd, io->iov, (int)io->iov_count, (off_t)io->offset, 0); break;
	case LOOP_IO_WRITE:
		n = pwritev2(io->fd, io->iov, (int)io->iov_count, (off_t)io->offset, loop_io_flags(io));
		break;
	case LOOP_IO_SYNC: n = fdatasync(io->fd); break;
	case LOOP_IO_DISCARD:
	case LOOP_IO_ZERO:
		n = fallocate(io->fd, loop_io_mode(io), (off_t)io->offset, (off_t)io->bytes);
		break;
	}
	return n < 0 ? -errno : (int)n;
}

/* Does the requests that waited at the start of the turn; those that their callbacks start wait for the next.
 */
static void complete_io(struct loop *loop)
{
	struct loop_io *last = loop->last_io, *io = NULL;

	while (!loop->stopping && io != last) {
		io = loop_io_take(loop);
		io->on_done(io, do_io(io));
	}
}

static int poll_turn(struct loop *loop, struct err *err)
{
	int result;

	free_stopped(loop);
	if (collect_watches(loop, err) < 0)
		return -1;
	result = wait_for_events(loop);
	if (result < 0 && errno != EINTR)
		return err_sys(err, ERR_FAILED, errno, "event loop: ppoll");
	if (result > 0)
		complete_watches(loop);
	complete_timers(loop);
	complete_io(loop);
	return 0;
}

/* ---- life ---- */

static void poll_destroy(struct loop *loop)
{
	struct poller *poller = loop->state;

	loop_writer_destroy(poller->writer);
	free(poller->fds);
	free(poller->ops);
	free(poller);
}

static int poll_create(struct loop *loop, struct err *err)
{
	struct poller *poller = calloc(1, sizeof(*poller));

	if (!poller)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	if (loop_writer_create(&poller->writer, err) < 0) {
		free(poller);
		return -1;
	}
	loop->state = poller;
	return 0;
}

/*
 * With this back end no thread of the kernel can release the descriptor: whoever closes the last one waits.
 */
static void poll_keep(struct loop *loop, int fd)
{
}

const struct loop_backend loop_poll = {
        .name = "poll",
        .create = poll_create,
        .destroy = poll_destroy,
        .start = poll_start,
        .stop = poll_stop,
        .turn = poll_turn,
        .keep = poll_keep,
};
