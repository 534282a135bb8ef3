/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring: the loop on io_uring. It runs on the loop's thread. An operation that must be armed or cancelled
 * waits in a queue until the submission queue has a free entry, so that nothing is lost when it is full. Law:
 * io_uring_setup(2), io_uring_enter(2).
 */
#include <errno.h>
#include <poll.h>

#include "backend.h"
#include "uring.h"

#define RING_ENTRIES 16
#define RETRY_MS     1 /* until a kernel that could take no more entries is tried again */
#define CANCEL_MS    10

struct uring {
	struct io_uring ring;
	struct loop_queue queue; /* of the requests that go to the kernel next */
};

static struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	return io_uring_get_sqe(ring);
}

struct io_uring_sqe *(*loop_uring_get_sqe)(struct io_uring *ring) = get_sqe;

/*
 * Returns a free entry. If the submission queue is full, it is flushed first; the kernel takes what it can.
 */
static struct io_uring_sqe *next_sqe(struct uring *uring)
{
	struct io_uring_sqe *sqe = loop_uring_get_sqe(&uring->ring);

	if (sqe)
		return sqe;
	io_uring_submit(&uring->ring);
	return loop_uring_get_sqe(&uring->ring);
}

/* ---- submitting ---- */

static void arm(struct loop_op *op, struct io_uring_sqe *sqe)
{
	switch (op->kind) {
	case LOOP_WATCH: io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->events); break;
	case LOOP_TIMER:
		op->time.tv_sec = (long long)(op->ns / 1000000000u);
		op->time.tv_nsec = (long long)(op->ns % 1000000000u);
		io_uring_prep_timeout(sqe, &op->time, 0, 0);
		break;
	case LOOP_WRITE: io_uring_prep_write(sqe, op->fd, op->data, (unsigned)op->size, (uint64_t)-1); break;
	}
	io_uring_sqe_set_data(sqe, op);
	op->armed = true;
}

static void enqueue(struct loop_op *op)
{
	struct uring *uring = op->loop->state;

	if (!op->queued)
		loop_queue_add(&uring->queue, op);
}

/* Arms and cancels the operations in the queue. Returns false if some must still wait. */
static bool submit_queue(struct uring *uring)
{
	struct loop_op *op;

	while ((op = uring->queue.first)) {
		bool over = op->stopped && !op->armed; /* the kernel does not have it */
		struct io_uring_sqe *sqe = over ? NULL : next_sqe(uring);

		if (!over && !sqe)
			return false;
		loop_queue_take(&uring->queue);
		if (over) {
			loop_op_free(op);
		} else if (op->armed) {
			io_uring_prep_cancel(sqe, op, 0);
			io_uring_sqe_set_data(sqe, NULL);
		} else {
			arm(op, sqe);
		}
	}
	return true;
}

static int uring_start(struct loop_op *op, struct err *err)
{
	enqueue(op);
	return 0;
}

/* ---- completing ---- */

static void complete(struct loop_op *op, int result)
{
	bool watch = op->kind == LOOP_WATCH;

	op->armed = false;
	if (op->queued)
		return; /* it was stopped; submit_queue() frees it instead of cancelling it */
	if (!watch || op->stopped) {
		loop_op_complete(op, result);
		return;
	}
	loop_op_complete(op, result < 0 ? POLLERR : result);
	/* submit_queue() arms it again, or frees it if its callback stopped it. */
	enqueue(op);
}

static void complete_all(struct loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_cqe *cqe;

	while (!loop->stopping && io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		struct loop_op *op = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (op)
			complete(op, result);
	}
}

static void wait_for_completion(struct uring *uring, int ms)
{
	struct pollfd ready = {.fd = uring->ring.ring_fd, .events = POLLIN};

	poll(&ready, 1, ms);
}

static int uring_turn(struct loop *loop, struct err *err)
{
	struct uring *uring = loop->state;
	bool all = submit_queue(uring);
	int result = io_uring_submit_and_wait(&uring->ring, all ? 1 : 0);

	if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
		return err_sys(err, ERR_FAILED, -result, "event loop: io_uring_enter");
	if (!all || result == -EBUSY || result == -EAGAIN)
		wait_for_completion(uring, RETRY_MS);
	complete_all(loop);
	return 0;
}

/* ---- life ---- */

static int uring_create(struct loop *loop, struct err *err)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int result;

	if (!uring)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	result = io_uring_queue_init(RING_ENTRIES, &uring->ring, 0);
	if (result < 0) {
		free(uring);
		return err_sys(err, ERR_HOST, -result, "event loop: io_uring_setup");
	}
	/* This feature came with Linux 5.6, as IORING_OP_WRITE did. */
	if (!(uring->ring.features & IORING_FEAT_RW_CUR_POS)) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return err_sys(err, ERR_HOST, ENOSYS, "event loop: io_uring cannot write before Linux 5.6");
	}
	loop->state = uring;
	return 0;
}

/*
 * A work queue of the kernel releases a ring's registered files (io_uring_register(2),
 * IORING_REGISTER_FILES).
 */
static void uring_keep(struct loop *loop, int fd)
{
	struct uring *uring = loop->state;

	if (io_uring_register_files(&uring->ring, &fd, 1) < 0)
		log_debug("the VM is taken apart before vmm ends");
}

/* Asks for the cancellation of all writes that the kernel has. Returns false if it has none. */
static bool cancel_writes(struct loop *loop)
{
	bool some = false;

	for (struct loop_op *op = loop->ops; op; op = op->next) {
		if (op->kind != LOOP_WRITE || !op->armed)
			continue;
		enqueue(op);
		some = true;
	}
	return some;
}

/*
 * The kernel's threads read a write's data until its completion, so this waits for the completion, as the
 * exit of the process would. A cancellation may come too early to interrupt a write, so it is repeated.
 */
static void uring_destroy(struct loop *loop)
{
	struct uring *uring = loop->state;

	loop->stopping = false;
	for (struct loop_op *op = loop->ops; op; op = op->next)
		op->stopped = true; /* so that nobody is called back */
	while (cancel_writes(loop)) {
		submit_queue(uring);
		io_uring_submit(&uring->ring);
		wait_for_completion(uring, CANCEL_MS);
		complete_all(loop);
	}
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

const struct loop_backend loop_uring = {
        .name = "io_uring",
        .create = uring_create,
        .destroy = uring_destroy,
        .start = uring_start,
        .stop = enqueue,
        .turn = uring_turn,
        .keep = uring_keep,
};
