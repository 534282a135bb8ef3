/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: as many threads as there are writes under way, kept for the next ones. A write to a terminal or a
 * pipe may block for as long as nobody reads; that poll(2) says POLLOUT promises a terminal's writer little.
 * O_NONBLOCK would be shared with everybody who has the descriptor, so a thread that may block is the one way
 * that serves every kind.
 */
#include <errno.h>
#include <signal.h>

#include "writer.h"

#define INTERRUPT_SIGNAL SIGUSR1 /* that of the vCPUs' kick, whose handler is empty, too */
#define INTERRUPT_NS     1000000 /* until a thread that has not ended yet is interrupted again */

struct thread {
	struct loop_writer *writer;
	pthread_t thread;
	_Atomic bool ended;
	struct thread *next;
};

struct loop_writer {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct loop_queue queue; /* writes that no thread has taken yet */
	unsigned free;           /* threads that have no write under way */
	bool ending;
	struct thread *threads; /* of the main thread */
};

static void on_interrupt(int signal)
{
}

/* NULL: the writer is ending. */
static struct loop_op *take(struct loop_writer *writer)
{
	struct loop_op *op = NULL;

	pthread_mutex_lock(&writer->lock);
	while (!writer->ending && !writer->queue.first)
		pthread_cond_wait(&writer->wake, &writer->lock);
	if (!writer->ending)
		op = loop_queue_take(&writer->queue);
	writer->free--;
	pthread_mutex_unlock(&writer->lock);
	return op;
}

/* The thread is free before the main thread hears of it, whose next write then needs no other thread. */
static void finish(struct loop_writer *writer, struct loop_op *op, int result)
{
	op->result = result;
	pthread_mutex_lock(&writer->lock);
	writer->free++;
	pthread_mutex_unlock(&writer->lock);
	/* The main thread may free op at once. */
	loop_post(op->loop, &op->ended);
}

static void *thread_main(void *ctx)
{
	struct thread *thread = ctx;
	struct loop_op *op;

	pthread_setname_np(pthread_self(), "writer");
	while ((op = take(thread->writer))) {
		ssize_t n = write(op->fd, op->data, op->size);

		finish(thread->writer, op, n < 0 ? -errno : (int)n);
	}
	atomic_store(&thread->ended, true);
	return NULL;
}

/* Signals are for the other threads, but for the one that interrupts this one's writes. */
static int start_masked(struct thread *thread)
{
	sigset_t mask, old;
	int sys;

	sigfillset(&mask);
	sigdelset(&mask, INTERRUPT_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	sys = pthread_create(&thread->thread, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return sys;
}

/* With the lock held. */
static int add_thread(struct loop_writer *writer, struct err *err)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	int sys = ENOMEM;

	if (thread) {
		thread->writer = writer;
		sys = start_masked(thread);
	}
	if (sys) {
		free(thread);
		return err_sys(err, ERR_FAILED, sys, "event loop: a thread that writes");
	}
	thread->next = writer->threads;
	writer->threads = thread;
	writer->free++;
	return 0;
}

int loop_writer_add(struct loop_writer *writer, struct loop_op *op, struct err *err)
{
	int result = 0;

	pthread_mutex_lock(&writer->lock);
	/* Free threads may be about to take what waits in the queue. */
	if (writer->free <= writer->queue.count)
		result = add_thread(writer, err);
	if (result == 0) {
		loop_queue_add(&writer->queue, op);
		pthread_cond_signal(&writer->wake);
	}
	pthread_mutex_unlock(&writer->lock);
	return result;
}

int loop_writer_create(struct loop_writer **ret_writer, struct err *err)
{
	const struct sigaction action = {.sa_handler = on_interrupt}; /* without SA_RESTART */
	struct loop_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return err_sys(err, ERR_FAILED, ENOMEM, "event loop");
	if (sigaction(INTERRUPT_SIGNAL, &action, NULL) < 0) {
		free(writer);
		return err_sys(err, ERR_FAILED, errno, "event loop: the handler of a signal");
	}
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->wake, NULL);
	*ret_writer = writer;
	return 0;
}

/* A signal that comes before write(2) has begun interrupts nothing, so it is repeated. */
static void interrupt_until_ended(struct thread *thread)
{
	const struct timespec pause = {.tv_nsec = INTERRUPT_NS};

	while (!atomic_load(&thread->ended)) {
		pthread_kill(thread->thread, INTERRUPT_SIGNAL);
		nanosleep(&pause, NULL);
	}
	pthread_join(thread->thread, NULL);
}

void loop_writer_destroy(struct loop_writer *writer)
{
	struct thread *thread;

	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->ending = true;
	pthread_cond_broadcast(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	while ((thread = writer->threads)) {
		writer->threads = thread->next;
		interrupt_until_ended(thread);
		free(thread);
	}
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}
