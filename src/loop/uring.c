/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring: the loop on io_uring. It runs on the loop's thread. An operation that must be armed or cancelled
 * waits in a queue until the submission queue has a free entry, so that nothing is lost when it is full. Law:
 * io_uring_setup(2), io_uring_enter(2).
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>

#include "backend.h"
#include "uring.h"

#define RING_ENTRIES       16
#define BOUND_RING_ENTRIES 128 /* of a loop with much to do */
#define RETRY_MS           1   /* until a kernel that could take no more entries is tried again */
#define CANCEL_MS          10

struct uring {
	struct io_uring ring;
	struct loop_queue queue; /* of the operations that are armed or cancelled next */
	unsigned ios;            /* requests of loop_io_start() that the kernel has */
	bool ending;             /* nobody is called back any more */
	bool idle;               /* the last turn found no completion */
};

/* The lowest bit of an entry's user_data tells a struct loop_io from a struct loop_op. */
#define IO_BIT 1u

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
	case LOOP_BELL: io_uring_prep_poll_multishot(sqe, op->fd, POLLIN); break;
	case LOOP_TIMER:
		op->time.tv_sec = (long long)(op->ns / 1000000000u);
		op->time.tv_nsec = (long long)(op->ns % 1000000000u);
		io_uring_prep_timeout(sqe, &op->time, 0, 0);
		break;
	case LOOP_WRITE:
		io_uring_prep_write(sqe, op->fd, op->data, (unsigned)op->size, (uint64_t)-1);
		/* A thread of the kernel's makes the write. */
		io_uring_sqe_set_flags(sqe, op->blocks ? IOSQE_ASYNC : 0);
		break;
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

static void prepare_io(struct loop_io *io, struct io_uring_sqe *sqe)
{
	switch (io->kind) {
	case LOOP_IO_READ: io_uring_prep_readv(sqe, io->fd, io->iov, io->iov_count, io->offset); break;
	case LOOP_IO_WRITE:
		io_uring_prep_writev2(sqe, io->fd, io->iov, io->iov_count, io->offset, loop_io_flags(io));
		break;
	case LOOP_IO_SYNC: io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC); break;
	case LOOP_IO_DISCARD:
	case LOOP_IO_ZERO:
		io_uring_prep_fallocate(sqe, io->fd, loop_io_mode(io), (off_t)io->offset, (off_t)io->bytes);
		break;
	}
	io_uring_sqe_set_data64(sqe, (uintptr_t)io | IO_BIT);
}

/* Gives the waiting requests to the submission queue. Returns false if some must still wait. */
static bool submit_ios(struct loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_sqe *sqe;

	while (loop->first_io) {
		sqe = next_sqe(uring);
		if (!sqe)
			return false;
		prepare_io(loop_io_take(loop), sqe);
		uring->ios++;
	}
	return true;
}

/*
 * io_uring reads a file's position, writes, and sets the position, without the lock that write(2) holds
 * meanwhile: two writes at once, as of a guest's output and of a message in the same file, would lie on each
 * other. The page cache takes the bytes at once, so the loop's thread can call write(2).
 */
static void write_to_regular(struct loop_op *op)
{
	const ssize_t n = write(op->fd, op->data, op->size);

	op->posted = true;
	loop_op_post(op, n < 0 ? -errno : (int)n);
}

static int uring_start(struct loop_op *op, struct err *err)
{
	if (op->kind == LOOP_WRITE && op->regular)
		write_to_regular(op);
	else
		enqueue(op);
	return 0;
}

/* An operation whose task waits is freed by the task. */
static void uring_stop(struct loop_op *op)
{
	if (!op->posted)
		enqueue(op);
}

/* ---- completing ---- */

/* armed: the kernel still has it, and will complete it again. */
static void complete(struct loop_op *op, int result, bool armed)
{
	op->armed = armed;
	if (op->queued)
		return; /* it was stopped; submit_queue() cancels it, or only frees it if it is not armed */
	if (!loop_op_repeats(op) || (op->stopped && !armed)) {
		loop_op_complete(op, result);
		return;
	}
	if (!op->stopped && (op->kind == LOOP_WATCH || result >= 0))
		loop_op_complete(op, result < 0 ? POLLERR : result);
	/*
	 * submit_queue() arms it again, or frees it if its callback stopped it. The kernel cancels what a
	 * thread armed when that thread ends. A bell that cannot be polled is not armed again.
	 */
	if (!armed && (op->kind == LOOP_WATCH || result >= 0 || result == -ECANCELED))
		enqueue(op);
}

static void complete_io(struct uring *uring, struct loop_io *io, int result)
{
	uring->ios--;
	if (!uring->ending)
		io->on_done(io, result);
}

static struct loop_io *io_of(uint64_t data)
{
	return (struct loop_io *)(uintptr_t)(data - IO_BIT);
}

static struct loop_op *op_of(uint64_t data)
{
	return (struct loop_op *)(uintptr_t)data;
}

static void complete_all(struct loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_cqe *cqe;

	uring->idle = !io_uring_cq_ready(&uring->ring);
	while (!loop->stopping && io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		uint64_t data = io_uring_cqe_get_data64(cqe);
		bool armed = cqe->flags & IORING_CQE_F_MORE;
		int result = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (data & IO_BIT)
			complete_io(uring, io_of(data), result);
		else if (data)
			complete(op_of(data), result, armed);
	}
}

static void wait_for_completion(struct uring *uring, int ms)
{
	struct pollfd ready = {.fd = uring->ring.ring_fd, .events = POLLIN};

	poll(&ready, 1, ms);
	io_uring_get_events(&uring->ring);
}

static int uring_turn(struct loop *loop, struct err *err)
{
	struct uring *uring = loop->state;
	bool all = submit_queue(uring) && submit_ios(loop);
	int result = all && !loop->posted && !loop->awake ? io_uring_submit_and_wait(&uring->ring, 1)
	                                                  : io_uring_submit_and_get_events(&uring->ring);

	if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
		return err_sys(err, ERR_FAILED, -result, "event loop: io_uring_enter");
	if (!all || result == -EBUSY || result == -EAGAIN)
		wait_for_completion(uring, RETRY_MS);
	complete_all(loop);
	return 0;
}

/*
 * The kernel also tells when it has work for this thread that ends in completions. It may set that flag again
 * just after it has done the work, so the flag counts only until a turn finds nothing.
 */
static bool uring_is_ready(const struct loop *loop)
{
	const struct uring *uring = loop->state;

	return io_uring_cq_ready(&uring->ring) ||
	       (!uring->idle &&
	               (__atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN));
}

/* ---- life ---- */

/*
 * The kernel interrupts the thread of a bound loop only when it waits for completions, which saves work for
 * each of them (Linux 6.1; io_uring_setup(2)).
 */
static int init_ring(struct loop *loop, struct io_uring *ring)
{
	unsigned flags = IORING_SETUP_R_DISABLED, bound = flags | IORING_SETUP_SINGLE_ISSUER |
	                                                  IORING_SETUP_DEFER_TASKRUN |
	                                                  IORING_SETUP_TASKRUN_FLAG;

	if (loop->bound && io_uring_queue_init(BOUND_RING_ENTRIES, ring, bound) == 0)
		return 0;
	return io_uring_queue_init(loop->bound ? BOUND_RING_ENTRIES : RING_ENTRIES, ring, flags);
}

#define SQE(op) \
	{ \
		.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = (op) \
	}
#define REGISTER(op) \
	{ \
		.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = (op) \
	}

/*
 * From now on the kernel takes only the operations of this file from the ring. A ring can do what the sandbox
 * forbids, such as opening files and sockets, and its operations are no system calls.
 */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
	        SQE(IORING_OP_POLL_ADD),
	        SQE(IORING_OP_TIMEOUT),
	        SQE(IORING_OP_ASYNC_CANCEL),
	        SQE(IORING_OP_WRITE),
	        SQE(IORING_OP_READV),
	        SQE(IORING_OP_WRITEV),
	        SQE(IORING_OP_FSYNC),
	        SQE(IORING_OP_FALLOCATE),
	        REGISTER(IORING_REGISTER_FILES),
	        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_ASYNC},
	};

	/* liburing 2.3 declares functions for both and has neither. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
	            ARRAY_LEN(allowed)) < 0 ||
	        syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}

static int uring_create(struct loop *loop, struct err *err)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int result;

	if (!uring)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	result = init_ring(loop, &uring->ring);
	if (result == 0 && (result = restrict_ring(&uring->ring)) < 0)
		io_uring_queue_exit(&uring->ring);
	if (result < 0) {
		free(uring);
		return err_sys(err, ERR_HOST, -result, "event loop: io_uring_setup");
	}
	/* This feature came with Linux 5.13, as the polls did that stay armed (IORING_POLL_ADD_MULTI). */
	if (!(uring->ring.features & IORING_FEAT_RSRC_TAGS)) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return err_sys(
		        err, ERR_HOST, ENOSYS, "event loop: io_uring keeps no poll armed before Linux 5.13");
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
 * The kernel uses a request's data until its completion, so this waits for the completion, as the exit of the
 * process would. A cancellation may come too early to interrupt a write, so it is repeated.
 */
static void uring_destroy(struct loop *loop)
{
	struct uring *uring = loop->state;

	loop->stopping = false;
	uring->ending = true;
	for (struct loop_op *op = loop->ops; op; op = op->next)
		op->stopped = true; /* so that nobody is called back */
	while (cancel_writes(loop) || uring->ios) {
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
        .stop = uring_stop,
        .turn = uring_turn,
        .is_ready = uring_is_ready,
        .keep = uring_keep,
};
