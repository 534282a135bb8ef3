/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread: a thread that makes a loop, runs it and ends it. It does all three itself, because an io_uring may
 * be bound to the thread that uses it.
 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "vmm/sandbox.h"

#define NAME_BYTES 16 /* pthread_setname_np(3), with the NUL */

struct loop_thread {
	char name[NAME_BYTES];
	pthread_t thread;
	struct loop *loop; /* NULL: it could not be made, and err says why */
	struct err err;
	sem_t ready; /* posted when loop or err is set */
	sem_t end;   /* posted when nobody but the thread uses the loop any more */
	struct loop_task stop;
};

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		;
}

int loop_thread_spawn(pthread_t *ret_thread, void *(*fn)(void *ctx), void *ctx, int signal)
{
	sigset_t mask, old;
	int sys;

	sigfillset(&mask);
	if (signal)
		sigdelset(&mask, signal);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	sys = pthread_create(ret_thread, NULL, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return sys;
}

static void *thread_main(void *ctx)
{
	struct loop_thread *thread = ctx;
	struct loop *loop = NULL;
	struct err err;

	pthread_setname_np(pthread_self(), thread->name);
	if (loop_create_bound(&loop, &thread->err) == 0) {
		loop->thread_id = gettid();
		thread->loop = loop;
		sandbox_enter(SANDBOX_DEVICE);
		loop_take(loop); /* so that calls wait for loop_run() instead of being ordinary ones */
	}
	sem_post(&thread->ready);
	if (!loop)
		return NULL;
	if (loop_run(loop, &err) < 0)
		log_error("thread %s: %s", thread->name, err.text);
	loop_leave(loop);
	wait_for(&thread->end);
	loop_destroy(loop);
	return NULL;
}

static void on_stop(void *ctx)
{
	const struct loop_thread *thread = ctx;

	loop_stop(thread->loop);
}

static void thread_free(struct loop_thread *thread)
{
	sem_destroy(&thread->ready);
	sem_destroy(&thread->end);
	free(thread);
}

static int thread_start(struct loop_thread *thread, struct err *err)
{
	int sys = loop_thread_spawn(&thread->thread, thread_main, thread, 0);

	if (sys) {
		err_sys(err, ERR_FAILED, sys, "the thread %s", thread->name);
		limit_explain_thread(err);
		return -1;
	}
	wait_for(&thread->ready);
	if (thread->loop)
		return 0;
	pthread_join(thread->thread, NULL);
	*err = thread->err;
	return err_wrap(err, "the thread %s", thread->name);
}

int loop_thread_create(const char *name, struct loop_thread **ret_thread, struct err *err)
{
	struct loop_thread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return err_sys(err, ERR_FAILED, ENOMEM, "the thread %s", name);
	snprintf(thread->name, sizeof(thread->name), "%s", name);
	thread->stop = (struct loop_task){.fn = on_stop, .ctx = thread};
	sem_init(&thread->ready, 0, 0);
	sem_init(&thread->end, 0, 0);
	if (thread_start(thread, err) < 0) {
		thread_free(thread);
		return -1;
	}
	*ret_thread = thread;
	return 0;
}

struct loop *loop_thread_loop(struct loop_thread *thread)
{
	return thread->loop;
}

pid_t loop_thread_id(const struct loop *loop)
{
	return loop->thread_id;
}

void loop_thread_destroy(struct loop_thread *thread)
{
	if (!thread)
		return;
	loop_post(thread->loop, &thread->stop);
	sem_post(&thread->end);
	pthread_join(thread->thread, NULL);
	thread_free(thread);
}
