/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: an event loop, on io_uring, or on poll(2) where io_uring is refused. A loop belongs to the thread
 * that runs it, which never blocks anywhere else. Other threads may call only loop_post() and loop_call().
 * Callbacks run on the loop's thread, one at a time. The main thread has one; a device that does much I/O has
 * one of its own (loop_thread).
 */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base.h"

struct loop;

int loop_create(struct loop **ret_loop, struct err *err) MUST_CHECK;
/*
 * Ends all watches and operations without calling their callbacks. Writes are interrupted, and waited
 * for, and so are the requests of loop_io_start(): when it returns, nobody uses their data any more. NULL is
 * allowed.
 */
void loop_destroy(struct loop *loop);
/* Runs callbacks until loop_stop(). Returns -1 only if waiting itself fails. */
int loop_run(struct loop *loop, struct err *err) MUST_CHECK;
void loop_stop(struct loop *loop);

/*
 * A piece of work for the loop's thread. The poster owns it, sets fn and ctx, and zeroes the rest. Posting a
 * task that already waits does nothing, so posts cost no memory and many posts cost one call. The task must
 * live until it has been called or the loop is destroyed.
 */
struct loop_task {
	void (*fn)(void *ctx);
	void *ctx;
	_Atomic bool queued;
	struct loop_task *next;
};
void loop_post(struct loop *loop, struct loop_task *task);
/*
 * Takes a task back: it is not called before it is posted again. On the loop's thread, or while nobody runs
 * it; no other thread posts the task at the same time.
 */
void loop_cancel(struct loop *loop, struct loop_task *task);

/*
 * Runs fn on the loop's thread and returns when it is done. On that thread itself, and while nobody runs the
 * loop, it is an ordinary call. Not to be called while holding a lock that a callback of the loop takes.
 */
void loop_call(struct loop *loop, void (*fn)(void *ctx), void *ctx);

/* A thread that runs a loop of its own until loop_thread_destroy(), which joins it. name: for ps and logs. */
struct loop_thread;
int loop_thread_create(const char *name, struct loop_thread **ret_thread, struct err *err) MUST_CHECK;
struct loop *loop_thread_loop(struct loop_thread *thread);
/* The number of the thread that was made for this loop; 0: none was. Any thread. */
pid_t loop_thread_id(const struct loop *loop);
void loop_thread_destroy(struct loop_thread *thread); /* NULL is allowed */

/*
 * Reads or writes a file at an offset, or changes its allocation. The caller owns the struct and its iov, and
 * keeps both until on_done has been called on the loop's thread: with the count of bytes, 0 for the others,
 * or a negated errno. Requests are taken together: they go to the kernel when the loop next waits. Without
 * io_uring they block the loop's thread one after the other.
 */
enum loop_io_kind {
	LOOP_IO_READ,
	LOOP_IO_WRITE,
	LOOP_IO_SYNC,    /* fdatasync(2) */
	LOOP_IO_DISCARD, /* fallocate(2): punches a hole, the size stays */
	LOOP_IO_ZERO,    /* fallocate(2): zeroes the range, the size stays */
};
struct loop_io {
	enum loop_io_kind kind;
	bool through; /* of WRITE: on_done comes when the data is on the storage (RWF_DSYNC) */
	int fd;
	uint64_t offset, bytes; /* bytes: of DISCARD and ZERO */
	const struct iovec *iov;
	unsigned iov_count;
	void (*on_done)(struct loop_io *io, int result);

	/* The fields below are the loop's. */
	struct loop *loop;
	struct loop_io *next;
};
void loop_io_start(struct loop *loop, struct loop_io *io);

/*
 * Keeps a descriptor's object alive until the loop is destroyed, when one of the kernel's own threads lets go
 * of it: the kernel takes many milliseconds to take a VM apart, and nobody has to wait for that. At most one;
 * a failure costs only time, so it is not reported. Without io_uring it does nothing.
 */
void loop_keep(struct loop *loop, int fd);

/*
 * look is called before the loop's thread waits for events: it does work that nobody announces, and returns
 * true if there was some. While last is false, it is called again and again for a moment, and may leave
 * whoever brings work silent. When last is true the thread is about to sleep, so look must ask to be rung
 * from now on. One look a loop; NULL: none. On the loop's thread.
 */
#define LOOP_LOOK_MAX_NS 50000 /* the longest such moment */
void loop_look(struct loop *loop, bool (*look)(void *ctx, bool last), void *ctx);

/* An operation that has not ended: a watch, a bell, a timer or a write. */
struct loop_op;

/*
 * Calls on_ready with the poll(2) events of fd, again and again until the watch is stopped; with POLLERR if
 * fd cannot be watched. fd is borrowed. loop_op_stop() may be called from any callback, even the watch's own.
 */
int loop_watch_start(struct loop *loop, int fd, short events, void (*on_ready)(void *ctx, int events),
        void *ctx, struct loop_op **ret_op, struct err *err) MUST_CHECK;
/*
 * Calls on_ring after somebody wrote to the eventfd, once or more for several writes. The loop reads the
 * eventfd, or never does; nobody else may. fd is borrowed. Cheaper than a watch.
 */
int loop_bell_start(struct loop *loop, int fd, void (*on_ring)(void *ctx), void *ctx, struct loop_op **ret_op,
        struct err *err) MUST_CHECK;
/*
 * Takes the rings of an eventfd to which no bell listens. Never waits, not even if another process, which
 * shares the eventfd, has made it blocking (fcntl(2)). false: there were none. Any thread.
 */
bool loop_bell_take(int fd);
/* Calls on_time once, ns nanoseconds from now. The operation has ended when on_time is called. */
int loop_timer_start(struct loop *loop, uint64_t ns, void (*on_time)(void *ctx), void *ctx,
        struct loop_op **ret_op, struct err *err) MUST_CHECK;
/*
 * Writes up to size bytes to a descriptor that may block. The descriptor need not be non-blocking, since
 * making it so would affect every process that shares it. data is borrowed until on_done is called with the
 * count or a negated errno; the operation has then ended.
 */
int loop_write_start(struct loop *loop, int fd, const void *data, size_t size,
        void (*on_done)(void *ctx, int result), void *ctx, struct loop_op **ret_op,
        struct err *err) MUST_CHECK;
/*
 * Stops an operation: no callback comes after this. The data of a write must stay valid until the loop is
 * destroyed. NULL is allowed.
 */
void loop_op_stop(struct loop_op *op);

#endif
