/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: runs each write on a thread of its own, and keeps the threads for later writes. A write to a
 * terminal or a pipe may block for as long as nobody reads, and on a terminal POLLOUT does not promise that a
 * write will not block. Every process that has the descriptor would share O_NONBLOCK, so only a thread that
 * may block serves every kind of file.
 */
#include <errno.h>
#include <signal.h>

#include "vmm/sandbox.h"
#include "writer.h"

#define INTERRUPT_SIGNAL SIGUSR1 /* the signal that also kicks vCPUs, whose handler is empty, too */
#define INTERRUPT_NS     1000000 /* until a thread that has not ended is interrupted again */

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
	struct thread *threads; /* used only by the loop's thread */
};

static void on_interrupt(int signal)
{
}

/* Takes the next write, waiting for one. Returns NULL if the writer is ending. */
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

/*
 * Counts the thread as free before it tells the loop, so that the loop's next write needs no
 * other thread.
 */
static void finish(struct loop_writer *writer, struct loop_op *op, int result)
{
	pthread_mutex_lock(&writer->lock);
	writer->free++;
	pthread_mutex_unlock(&writer->lock);
	loop_op_post(op, result);
}

static void *thread_main(void *ctx)
{
	struct thread *thread = ctx;
	struct loop_op *op;

	pthread_setname_np(pthread_self(), "writer");
	sandbox_enter(SANDBOX_WRITER);
	while ((op = take(thread->writer))) {
		ssize_t n = write(op->fd, op->data, op->size);

		finish(thread->writer, op, n < 0 ? -errno : (int)n);
	}
	atomic_store(&thread->ended, true);
	return NULL;
}

/* The caller holds the lock. */
static int add_thread(struct loop_writer *writer, struct err *err)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	int sys = ENOMEM;

	if (thread) {
		thread->writer = writer;
		sys = loop_thread_spawn(&thread->thread, thread_main, thread, INTERRUPT_SIGNAL);
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
	/*
	 * The free threads will take the writes that already wait, so only the free ones beyond those count.
	 */
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
	const struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: write(2) must end */
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

/* A signal that comes before write(2) has begun interrupts nothing, so the signal is repeated. */
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
