/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend: the interface between the loop's front (loop.c) and its two back ends. io_uring is the first
 * choice; poll(2) takes over where the kernel or a container's seccomp profile refuses io_uring.
 */
#ifndef VMM_LOOP_BACKEND_H
#define VMM_LOOP_BACKEND_H

#include <linux/time_types.h>
#include <pthread.h>

#include "vmm/loop.h"

enum loop_op_kind { LOOP_WATCH, LOOP_BELL, LOOP_TIMER, LOOP_WRITE };

struct loop_op {
	struct loop *loop;
	enum loop_op_kind kind;
	bool stopped; /* it gets no more callbacks; its back end frees it */
	int fd;
	short events;
	uint64_t ns;
	const void *data;
	size_t size;
	bool blocks;  /* a write: it may block although poll(2) says that there is room */
	bool regular; /* a write: to a regular file, at the position that all who have it share */
	union {
		void (*on_result)(void *ctx, int result);
		void (*on_time)(void *ctx); /* of a bell, too */
	};
	void *ctx;
	struct loop_op *prev, *next; /* the list of the loop's operations, newest first */

	/* The fields below are the back end's. */
	bool queued; /* it waits in a queue, linked by queue_next */
	struct loop_op *queue_next;
	bool armed;                    /* uring: the kernel has it and will complete it */
	struct __kernel_timespec time; /* uring: read by the kernel while it takes the timer */
	uint64_t deadline_ns;          /* poll: the end of a timer, by CLOCK_MONOTONIC */
	bool posted;                   /* uring: it has ended, and its task waits to be called */
	int result;                    /* what loop_op_post() was given */
	struct loop_task ended;
};

struct loop_queue {
	struct loop_op *first, *last;
	unsigned count;
};

struct loop_backend {
	const char *name;
	int (*create)(struct loop *loop, struct err *err);
	/*
	 * After this returns, nobody reads the data of writes any longer. The loop frees the remaining
	 * operations.
	 */
	void (*destroy)(struct loop *loop);
	int (*start)(struct loop_op *op, struct err *err);
	/*
	 * Called after op->stopped was set. The back end calls loop_op_free() as soon as nothing refers to
	 * op.
	 */
	void (*stop)(struct loop_op *op);
	/*
	 * Waits for events, unless loop->posted or loop->awake, and calls back for each, until there are no
	 * more or the loop is stopping.
	 */
	int (*turn)(struct loop *loop, struct err *err);
	/*
	 * Would a turn find an event without waiting? The answer may be wrong, which costs time and nothing
	 * else. NULL: this back end does not know.
	 */
	bool (*is_ready)(const struct loop *loop);
	void (*keep)(struct loop *loop, int fd);
};

struct loop {
	const struct loop_backend *backend;
	void *state; /* the back end's own state */
	bool stopping;
	bool posted; /* the loop's own thread posted a task: it runs at the end of the turn */
	/*
	 * The thread that makes the loop also runs and destroys it, and has much to do: io_uring may rely on
	 * that (IORING_SETUP_SINGLE_ISSUER).
	 */
	bool bound;
	pid_t thread_id; /* of the thread that loop_thread_create() made for it; 0: it is none's */
	bool (*look)(void *ctx, bool last); /* NULL: nobody has anything to look for */
	void *look_ctx;
	uint64_t spin_ns;   /* how long it looks before it sleeps */
	uint64_t asleep_ns; /* when it last went to sleep, by CLOCK_MONOTONIC */
	bool awake;         /* the next turn must not wait */
	struct loop_op *ops;
	struct loop_io *first_io, *last_io; /* those that the back end has not taken, oldest first */
	int post_fd;
	struct loop_task *due; /* the posted tasks that are being called; the loop's thread has them */
	pthread_mutex_t lock;  /* guards the members below */
	struct loop_task *first, *last; /* the posted tasks, oldest first */
	bool taken;                     /* a thread runs the loop, or a call while nobody runs it */
	pthread_t taker;
	struct loop_waiting *calls; /* oldest first */
	struct loop_task call_task; /* posted when a call waits */
	pthread_cond_t changed;     /* a call is done, or the loop is not taken any more */
};

extern const struct loop_backend loop_uring, loop_poll;

/* As loop_create(), with a back end of the caller's choice. */
int loop_create_with(const struct loop_backend *backend, struct loop **ret_loop, struct err *err) MUST_CHECK;
/* As loop_create(), for a loop that is bound to the calling thread. */
int loop_create_bound(struct loop **ret_loop, struct err *err) MUST_CHECK;
/*
 * Calls back with the result of op, and frees op unless it calls again. A stopped operation is only freed. A
 * watch or bell that its own callback stopped is left to the back end.
 */
void loop_op_complete(struct loop_op *op, int result);
void loop_op_free(struct loop_op *op);
/* Has the loop's thread complete op, which ended with this result. Any thread may call it, once for an op. */
void loop_op_post(struct loop_op *op, int result);

/*
 * Makes the calling thread the one that has the loop, and ends that. loop_take() waits for its turn; it
 * returns false if the thread had the loop already.
 */
bool loop_take(struct loop *loop);
void loop_leave(struct loop *loop);
void loop_call_init(struct loop *loop);
/* Does the calling thread have the loop? The caller holds the loop's lock. */
bool loop_is_mine(const struct loop *loop);
/* Starts a thread that blocks all signals but this one (0: all). Returns 0 or an errno. */
int loop_thread_spawn(pthread_t *ret_thread, void *(*fn)(void *ctx), void *ctx, int signal) MUST_CHECK;

/* Looks for work before a turn; after the turn, learns how long it had to wait. */
void loop_spin(struct loop *loop);
void loop_spin_adapt(struct loop *loop);

/* Does op call back again and again until it is stopped? */
bool loop_op_repeats(const struct loop_op *op);

/* Takes the oldest request that waits; NULL if there is none. */
struct loop_io *loop_io_take(struct loop *loop);
/* The mode of fallocate(2) for a request, and the flags of pwritev2(2). */
int loop_io_mode(const struct loop_io *io);
int loop_io_flags(const struct loop_io *io);

void loop_queue_add(struct loop_queue *queue, struct loop_op *op);
/* Returns NULL if the queue is empty. */
struct loop_op *loop_queue_take(struct loop_queue *queue);

#endif
