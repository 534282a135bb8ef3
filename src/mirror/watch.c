/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: a thread that kicks a mirror whose helper runs for too long. It waits on a condition and makes no
 * other call. It begins with the first run, so a helper that nobody uses has none.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "helper.h"

struct mirror_watch {
	struct mirror *mirror;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	uint64_t until_ns; /* by CLOCK_MONOTONIC; 0: nothing runs */
	bool over, ends;
};

int mirror_watch_create(struct mirror *mirror, struct mirror_watch **ret_watch, struct err *err)
{
	struct mirror_watch *watch = calloc(1, sizeof(*watch));
	pthread_condattr_t attributes;

	if (!watch)
		return err_sys(err, ERR_FAILED, ENOMEM, "a mirror of the guest");
	watch->mirror = mirror;
	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	*ret_watch = watch;
	return 0;
}

void mirror_watch_destroy(struct mirror_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->ends = true;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->lock);
	if (watch->started)
		pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->changed);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

/* With the lock. */
static void look(struct mirror_watch *watch)
{
	struct timespec until = {
	        (time_t)(watch->until_ns / 1000000000), (long)(watch->until_ns % 1000000000)};

	if (!watch->until_ns || watch->over) {
		pthread_cond_wait(&watch->changed, &watch->lock);
	} else if (clock_ns(CLOCK_MONOTONIC) < watch->until_ns) {
		pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
	} else {
		watch->over = true;
		mirror_kick(watch->mirror);
	}
}

static void *watch_main(void *ctx)
{
	struct mirror_watch *watch = ctx;

	pthread_setname_np(pthread_self(), "mirror-watch");
	pthread_mutex_lock(&watch->lock);
	while (!watch->ends)
		look(watch);
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

/* Signals are for other threads. Without the thread nobody kicks the mirror, but all else works. */
static void start(struct mirror_watch *watch)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	watch->started = pthread_create(&watch->thread, NULL, watch_main, watch) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!watch->started)
		log_warn("no thread watches the migration helper: one that does not answer is waited for");
}

void mirror_watch_begin(struct mirror_watch *watch, uint64_t limit_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!watch->started)
		start(watch);
	pthread_mutex_lock(&watch->lock);
	watch->until_ns = now > UINT64_MAX - limit_ns ? UINT64_MAX : now + limit_ns;
	watch->over = false;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->lock);
}

bool mirror_watch_is_over(struct mirror_watch *watch)
{
	bool over;

	pthread_mutex_lock(&watch->lock);
	over = watch->over;
	pthread_mutex_unlock(&watch->lock);
	return over;
}

void mirror_watch_end(struct mirror_watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	watch->until_ns = 0;
	pthread_mutex_unlock(&watch->lock);
}
