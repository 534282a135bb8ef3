/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: lets any thread run a function as if on the loop's thread, and wait for it. One thread at a time has
 * the loop: the one that runs it, or one that calls while nobody runs it.
 */
#include "backend.h"

/* A call that waits for the thread that has the loop. It lies on the caller's stack. */
struct loop_waiting {
	void (*fn)(void *ctx);
	void *ctx;
	bool done;
	struct loop_waiting *next;
};

/* ---- who has the loop; the caller holds the lock ---- */

bool loop_is_mine(const struct loop *loop)
{
	return loop->taken && pthread_equal(loop->taker, pthread_self());
}

static void take(struct loop *loop)
{
	loop->taken = true;
	loop->taker = pthread_self();
}

bool loop_take(struct loop *loop)
{
	bool mine;

	pthread_mutex_lock(&loop->lock);
	mine = loop_is_mine(loop);
	while (!mine && loop->taken)
		pthread_cond_wait(&loop->changed, &loop->lock);
	take(loop);
	pthread_mutex_unlock(&loop->lock);
	return !mine;
}

void loop_leave(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->taken = false;
	pthread_cond_broadcast(&loop->changed);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- calls that wait; the caller holds the lock ---- */

static void add(struct loop *loop, struct loop_waiting *call)
{
	struct loop_waiting **at = &loop->calls;

	while (*at)
		at = &(*at)->next;
	*at = call;
}

static void withdraw(struct loop *loop, const struct loop_waiting *call)
{
	struct loop_waiting **at = &loop->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
}

static void on_waiting(void *ctx)
{
	struct loop *loop = ctx;
	struct loop_waiting *call;

	pthread_mutex_lock(&loop->lock);
	while ((call = loop->calls)) {
		loop->calls = call->next;
		pthread_mutex_unlock(&loop->lock);
		call->fn(call->ctx);
		pthread_mutex_lock(&loop->lock);
		call->done = true;
		pthread_cond_broadcast(&loop->changed);
	}
	pthread_mutex_unlock(&loop->lock);
}

/*
 * Waits until the call is done. Returns false if nobody runs the loop any more; the calling thread then has
 * it, and the call to make itself.
 */
static bool wait_done(struct loop *loop, struct loop_waiting *call)
{
	while (!call->done && loop->taken)
		pthread_cond_wait(&loop->changed, &loop->lock);
	if (call->done)
		return true;
	withdraw(loop, call);
	take(loop);
	return false;
}

void loop_call(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	struct loop_waiting call = {.fn = fn, .ctx = ctx};
	bool mine, done = false;

	pthread_mutex_lock(&loop->lock);
	mine = loop_is_mine(loop);
	if (!mine) {
		add(loop, &call);
		pthread_mutex_unlock(&loop->lock);
		loop_post(loop, &loop->call_task);
		pthread_mutex_lock(&loop->lock);
		done = wait_done(loop, &call);
	}
	pthread_mutex_unlock(&loop->lock);
	if (done)
		return;
	fn(ctx);
	if (!mine)
		loop_leave(loop);
}

void loop_call_init(struct loop *loop)
{
	pthread_cond_init(&loop->changed, NULL);
	loop->call_task = (struct loop_task){.fn = on_waiting, .ctx = loop};
}
