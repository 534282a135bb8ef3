/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: implements vmm/loop.h on one of two back ends: operations, posted tasks, creation and end. It runs on
 * the loop's thread; any thread may call loop_post(). A bell tells of posted tasks.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "backend.h"

/* ---- operations ---- */

static struct loop_op *op_create(struct loop *loop, enum loop_op_kind kind, void *ctx)
{
	struct loop_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->loop = loop;
	op->kind = kind;
	op->ctx = ctx;
	op->next = loop->ops;
	if (loop->ops)
		loop->ops->prev = op;
	loop->ops = op;
	return op;
}

void loop_op_free(struct loop_op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		op->loop->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	free(op);
}

static int op_start(struct loop_op *op, struct loop_op **ret_op, struct err *err)
{
	if (op->loop->backend->start(op, err) < 0) {
		loop_op_free(op);
		return -1;
	}
	*ret_op = op;
	return 0;
}

static int no_memory(struct err *err)
{
	return err_sys(err, ERR_FAILED, ENOMEM, "event loop: a new operation");
}

int loop_watch_start(struct loop *loop, int fd, short events, void (*on_ready)(void *ctx, int events),
        void *ctx, struct loop_op **ret_op, struct err *err)
{
	struct loop_op *op = op_create(loop, LOOP_WATCH, ctx);

	if (!op)
		return no_memory(err);
	op->fd = fd;
	op->events = events;
	op->on_result = on_ready;
	return op_start(op, ret_op, err);
}

int loop_bell_start(struct loop *loop, int fd, void (*on_ring)(void *ctx), void *ctx, struct loop_op **ret_op,
        struct err *err)
{
	struct loop_op *op = op_create(loop, LOOP_BELL, ctx);

	if (!op)
		return no_memory(err);
	op->fd = fd;
	op->events = POLLIN;
	op->on_time = on_ring;
	return op_start(op, ret_op, err);
}

/* A kernel before 5.8 has no such read of an eventfd; there it is as blocking as it was made. */
bool loop_bell_take(int fd)
{
	uint64_t rings;
	const struct iovec iov = {&rings, sizeof(rings)};
	ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	if (n < 0 && errno == EOPNOTSUPP)
		n = read(fd, &rings, sizeof(rings));
	return n == sizeof(rings);
}

int loop_timer_start(struct loop *loop, uint64_t ns, void (*on_time)(void *ctx), void *ctx,
        struct loop_op **ret_op, struct err *err)
{
	struct loop_op *op = op_create(loop, LOOP_TIMER, ctx);

	if (!op)
		return no_memory(err);
	op->ns = ns;
	op->on_time = on_time;
	return op_start(op, ret_op, err);
}

static mode_t kind_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

int loop_write_start(struct loop *loop, int fd, const void *data, size_t size,
        void (*on_done)(void *ctx, int result), void *ctx, struct loop_op **ret_op, struct err *err)
{
	struct loop_op *op = op_create(loop, LOOP_WRITE, ctx);
	mode_t kind = kind_of(fd);

	if (!op)
		return no_memory(err);
	op->fd = fd;
	op->data = data;
	op->size = size;
	/*
	 * A terminal that has room for a part of a write takes that part, and then waits for the reader.
	 * io_uring would wait with it, on the loop's thread.
	 */
	op->blocks = kind == S_IFCHR;
	op->regular = kind == S_IFREG;
	op->on_result = on_done;
	return op_start(op, ret_op, err);
}

void loop_op_stop(struct loop_op *op)
{
	if (!op || op->stopped)
		return;
	op->stopped = true;
	op->loop->backend->stop(op);
}

bool loop_op_repeats(const struct loop_op *op)
{
	return op->kind == LOOP_WATCH || op->kind == LOOP_BELL;
}

void loop_op_complete(struct loop_op *op, int result)
{
	/* The callback may start the next operation, so the one that has ended is freed first. */
	const struct loop_op done = *op;

	if (op->stopped || !loop_op_repeats(op))
		loop_op_free(op);
	if (done.stopped)
		return;
	if (done.kind == LOOP_TIMER || done.kind == LOOP_BELL)
		done.on_time(done.ctx);
	else
		done.on_result(done.ctx, result);
}

static void on_posted(void *ctx)
{
	struct loop_op *op = ctx;

	loop_op_complete(op, op->result);
}

void loop_op_post(struct loop_op *op, int result)
{
	op->result = result;
	op->ended = (struct loop_task){.fn = on_posted, .ctx = op};
	/* The loop's thread may free op at once. */
	loop_post(op->loop, &op->ended);
}

void loop_queue_add(struct loop_queue *queue, struct loop_op *op)
{
	op->queued = true;
	op->queue_next = NULL;
	if (queue->last)
		queue->last->queue_next = op;
	else
		queue->first = op;
	queue->last = op;
	queue->count++;
}

struct loop_op *loop_queue_take(struct loop_queue *queue)
{
	struct loop_op *op = queue->first;

	if (!op)
		return NULL;
	queue->first = op->queue_next;
	if (!queue->first)
		queue->last = NULL;
	queue->count--;
	op->queued = false;
	return op;
}

/* ---- posting ---- */

void loop_post(struct loop *loop, struct loop_task *task)
{
	uint64_t one = 1;

	bool wake;

	if (atomic_exchange(&task->queued, true))
		return;
	pthread_mutex_lock(&loop->lock);
	task->next = NULL;
	if (loop->last)
		loop->last->next = task;
	else
		loop->first = task;
	/* Whoever posted the first task wakes the loop for all of them. The loop's own thread need not. */
	wake = loop->first == task && !loop_is_mine(loop);
	if (loop->first == task && !wake)
		loop->posted = true;
	loop->last = task;
	pthread_mutex_unlock(&loop->lock);
	/* An eventfd takes 2^64 - 2 posts before it could refuse one. */
	while (wake && write(loop->post_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static struct loop_task *take_tasks(struct loop *loop)
{
	struct loop_task *first;

	pthread_mutex_lock(&loop->lock);
	first = loop->first;
	loop->first = loop->last = NULL;
	loop->posted = false;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

static void on_post(void *ctx)
{
	struct loop *loop = ctx;

	loop->due = take_tasks(loop);
	while (loop->due) {
		struct loop_task *task = loop->due;

		loop->due = task->next;
		/* From here on the task can be posted again, even by its own function. */
		atomic_store(&task->queued, false);
		task->fn(task->ctx);
	}
}

/* Removes a task from a list if it is there. Returns the task before it, NULL if there is none. */
static struct loop_task *unlink_task(struct loop_task **first, struct loop_task *task)
{
	struct loop_task *before = NULL;

	for (struct loop_task **at = first; *at; before = *at, at = &(*at)->next) {
		if (*at == task) {
			*at = task->next;
			break;
		}
	}
	return before;
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task *before;

	unlink_task(&loop->due, task);
	pthread_mutex_lock(&loop->lock);
	before = unlink_task(&loop->first, task);
	if (loop->last == task)
		loop->last = before;
	pthread_mutex_unlock(&loop->lock);
	atomic_store(&task->queued, false);
}

/* ---- life ---- */

static int create(const struct loop_backend *backend, bool bound, struct loop **ret_loop, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct loop_op *op = NULL;

	if (!loop)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	loop->bound = bound;
	if (backend->create(loop, err) < 0) {
		free(loop);
		return -1;
	}
	loop->backend = backend;
	pthread_mutex_init(&loop->lock, NULL);
	loop_call_init(loop);
	loop->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->post_fd < 0) {
		err_sys(err, ERR_FAILED, errno, "event loop: eventfd");
		loop_destroy(loop);
		return -1;
	}
	if (loop_bell_start(loop, loop->post_fd, on_post, loop, &op, err) < 0) {
		loop_destroy(loop);
		return -1;
	}
	*ret_loop = loop;
	return 0;
}

int loop_create_with(const struct loop_backend *backend, struct loop **ret_loop, struct err *err)
{
	return create(backend, false, ret_loop, err);
}

static int create_any(bool bound, struct loop **ret_loop, struct err *err)
{
	struct err refused;

	if (create(&loop_uring, bound, ret_loop, &refused) == 0)
		return 0;
	log_debug("%s; the event loop uses poll(2) instead", refused.text);
	return create(&loop_poll, bound, ret_loop, err);
}

int loop_create(struct loop **ret_loop, struct err *err)
{
	return create_any(false, ret_loop, err);
}

int loop_create_bound(struct loop **ret_loop, struct err *err)
{
	return create_any(true, ret_loop, err);
}

int loop_run(struct loop *loop, struct err *err)
{
	bool taken = loop_take(loop);
	int result = 0;

	loop->stopping = false;
	while (!loop->stopping && result == 0) {
		loop_spin(loop);
		result = loop->backend->turn(loop, err);
		loop_spin_adapt(loop);
		if (loop->posted && !loop->stopping)
			on_post(loop);
	}
	if (taken)
		loop_leave(loop);
	return result;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_keep(struct loop *loop, int fd)
{
	loop->backend->keep(loop, fd);
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	loop->backend->destroy(loop);
	while (loop->ops)
		loop_op_free(loop->ops);
	if (loop->post_fd >= 0)
		close(loop->post_fd);
	pthread_cond_destroy(&loop->changed);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}
