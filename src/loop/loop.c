/*
 * loop: io_uring completions and posted tasks become callbacks. Main thread; loop_post() from any.
 * Each turn: submit what callbacks asked for and wait; run the callback of each completion. Posted tasks
 * arrive as a completion too, of a watch on an eventfd.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "vmm/loop.h"

#define RING_ENTRIES 16

enum op_kind { OP_WATCH, OP_TIMER, OP_WRITE };

struct loop_op {
	struct loop *loop;
	enum op_kind kind;
	bool stopped; /* its completion is still to come, then it is freed */
	int fd;
	short events;
	struct __kernel_timespec time;
	union {
		void (*on_result)(void *ctx, int result);
		void (*on_time)(void *ctx);
	};
	void *ctx;
	struct loop_op *prev, *next; /* all operations of the loop */
};

struct loop {
	struct io_uring ring;
	bool stopping;
	struct loop_op *ops;
	int post_fd;
	pthread_mutex_t lock;           /* guards the posted tasks */
	struct loop_task *first, *last; /* in the order of posting */
};

/* ---- submitting ---- */

/* A full submission queue is flushed; the kernel takes what it holds. */
static struct io_uring_sqe *next_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	if (sqe)
		return sqe;
	io_uring_submit(&loop->ring);
	return io_uring_get_sqe(&loop->ring);
}

static int op_create(struct loop *loop, enum op_kind kind, void *ctx, struct loop_op **ret_op,
        struct io_uring_sqe **ret_sqe, struct err *err)
{
	struct loop_op *op = calloc(1, sizeof(*op));
	struct io_uring_sqe *sqe = op ? next_sqe(loop) : NULL;

	if (!sqe) {
		free(op);
		return err_sys(err, ERR_FAILED, op ? EBUSY : ENOMEM, "event loop: a new operation");
	}
	op->loop = loop;
	op->kind = kind;
	op->ctx = ctx;
	op->next = loop->ops;
	if (loop->ops)
		loop->ops->prev = op;
	loop->ops = op;
	*ret_op = op;
	*ret_sqe = sqe;
	return 0;
}

static void op_free(struct loop_op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		op->loop->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	free(op);
}

static void arm_watch(struct loop_op *op, struct io_uring_sqe *sqe)
{
	io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->events);
	io_uring_sqe_set_data(sqe, op);
}

int loop_watch_start(struct loop *loop, int fd, short events, void (*on_ready)(void *ctx, int events),
        void *ctx, struct loop_op **ret_op, struct err *err)
{
	struct io_uring_sqe *sqe = NULL;
	struct loop_op *op = NULL;

	if (op_create(loop, OP_WATCH, ctx, &op, &sqe, err) < 0)
		return -1;
	op->fd = fd;
	op->events = events;
	op->on_result = on_ready;
	arm_watch(op, sqe);
	*ret_op = op;
	return 0;
}

int loop_timer_start(struct loop *loop, uint64_t ns, void (*on_time)(void *ctx), void *ctx,
        struct loop_op **ret_op, struct err *err)
{
	struct io_uring_sqe *sqe = NULL;
	struct loop_op *op = NULL;

	if (op_create(loop, OP_TIMER, ctx, &op, &sqe, err) < 0)
		return -1;
	op->time.tv_sec = (long long)(ns / 1000000000u);
	op->time.tv_nsec = (long long)(ns % 1000000000u);
	op->on_time = on_time;
	io_uring_prep_timeout(sqe, &op->time, 0, 0);
	io_uring_sqe_set_data(sqe, op);
	*ret_op = op;
	return 0;
}

int loop_write_start(struct loop *loop, int fd, const void *data, size_t size,
        void (*on_done)(void *ctx, int result), void *ctx, struct loop_op **ret_op, struct err *err)
{
	struct io_uring_sqe *sqe = NULL;
	struct loop_op *op = NULL;

	if (op_create(loop, OP_WRITE, ctx, &op, &sqe, err) < 0)
		return -1;
	op->on_result = on_done;
	io_uring_prep_write(sqe, fd, data, (unsigned)size, (uint64_t)-1);
	io_uring_sqe_set_data(sqe, op);
	*ret_op = op;
	return 0;
}

void loop_op_stop(struct loop_op *op)
{
	struct io_uring_sqe *sqe = NULL;

	if (!op || op->stopped)
		return;
	op->stopped = true;
	sqe = next_sqe(op->loop);
	if (!sqe)
		return; /* it ends by itself, or with the loop */
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

/* ---- completing ---- */

static void complete_watch(struct loop_op *op, int result)
{
	struct io_uring_sqe *sqe = NULL;

	op->on_result(op->ctx, result < 0 ? POLLERR : result);
	if (op->stopped) {
		/* Stopped by its own callback: the cancellation finds nothing, no completion comes. */
		op_free(op);
		return;
	}
	sqe = next_sqe(op->loop);
	if (sqe)
		arm_watch(op, sqe);
}

static void complete(struct loop_op *op, int result)
{
	if (op->stopped) {
		op_free(op);
		return;
	}
	if (op->kind == OP_WATCH) {
		complete_watch(op, result);
		return;
	}
	/* The callback may start the next operation of its kind, so this one goes first. */
	struct loop_op done = *op;

	op_free(op);
	if (done.kind == OP_TIMER)
		done.on_time(done.ctx);
	else
		done.on_result(done.ctx, result);
}

int loop_run(struct loop *loop, struct err *err)
{
	loop->stopping = false;
	while (!loop->stopping) {
		struct io_uring_cqe *cqe;
		int result = io_uring_submit_and_wait(&loop->ring, 1);

		if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
			return err_sys(err, ERR_FAILED, -result, "event loop: io_uring_enter");
		while (!loop->stopping && io_uring_peek_cqe(&loop->ring, &cqe) == 0) {
			struct loop_op *op = io_uring_cqe_get_data(cqe);

			result = cqe->res;
			io_uring_cqe_seen(&loop->ring, cqe);
			if (op)
				complete(op, result);
		}
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

/* A ring lets go of its registered files in a work queue (io_uring_register(2), IORING_REGISTER_FILES). */
void loop_keep(struct loop *loop, int fd)
{
	if (io_uring_register_files(&loop->ring, &fd, 1) < 0)
		log_debug("the VM is taken apart before vmm ends");
}

/* ---- posting ---- */

void loop_post(struct loop *loop, struct loop_task *task)
{
	uint64_t one = 1;

	if (atomic_exchange(&task->queued, true))
		return;
	pthread_mutex_lock(&loop->lock);
	task->next = NULL;
	if (loop->last)
		loop->last->next = task;
	else
		loop->first = task;
	loop->last = task;
	pthread_mutex_unlock(&loop->lock);
	/* An eventfd takes 2^64 - 2 posts before it could refuse one. */
	while (write(loop->post_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static struct loop_task *take_tasks(struct loop *loop)
{
	struct loop_task *first;

	pthread_mutex_lock(&loop->lock);
	first = loop->first;
	loop->first = loop->last = NULL;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

static void on_post(void *ctx, int events)
{
	struct loop *loop = ctx;
	uint64_t count;

	if (read(loop->post_fd, &count, sizeof(count)) < 0)
		return;
	for (struct loop_task *task = take_tasks(loop), *next; task; task = next) {
		next = task->next;
		/* From here on it can be posted again, also by itself. */
		atomic_store(&task->queued, false);
		task->fn(task->ctx);
	}
}

/* ---- life ---- */

static int open_ring(struct loop *loop, struct err *err)
{
	int result = io_uring_queue_init(RING_ENTRIES, &loop->ring, 0);

	if (result == 0)
		return 0;
	if (result != -EPERM && result != -ENOSYS)
		return err_sys(err, ERR_FAILED, -result, "event loop: io_uring_setup");
	return err_sys(err, ERR_HOST, -result,
	        "io_uring cannot be used: allow it (sysctl kernel.io_uring_disabled=0; in a container, its "
	        "seccomp profile), on Linux 5.6 or newer");
}

int loop_create(struct loop **ret_loop, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct loop_op *op = NULL;

	if (!loop)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	if (open_ring(loop, err) < 0) {
		free(loop);
		return -1;
	}
	pthread_mutex_init(&loop->lock, NULL);
	loop->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->post_fd < 0) {
		err_sys(err, ERR_FAILED, errno, "event loop: eventfd");
		loop_destroy(loop);
		return -1;
	}
	if (loop_watch_start(loop, loop->post_fd, POLLIN, on_post, loop, &op, err) < 0) {
		loop_destroy(loop);
		return -1;
	}
	*ret_loop = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	io_uring_queue_exit(&loop->ring);
	while (loop->ops)
		op_free(loop->ops);
	if (loop->post_fd >= 0)
		close(loop->post_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}
