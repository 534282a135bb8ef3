/* SPDX-License-Identifier: Apache-2.0 */
/* sev_runner: a vCPU of a sev_guest that runs in a thread until it is told to leave; words of its memory. */
#ifndef VMM_TEST_SEV_RUNNER_H
#define VMM_TEST_SEV_RUNNER_H

#include <pthread.h>
#include <signal.h>

#include "sev_guest.h"

struct runner {
	pthread_t thread;
	struct guest *g;
	int result;
};

static inline void *runner_run(void *arg)
{
	struct runner *r = arg;

	r->result = guest_run(r->g);
	return NULL;
}

static inline void runner_on_signal(int number)
{
}

static inline void runner_start(struct runner *r, struct guest *g)
{
	const struct sigaction action = {.sa_handler = runner_on_signal};

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	r->g = g;
	assert_int_equal(pthread_create(&r->thread, NULL, runner_run, r), 0);
}

static inline void runner_end(struct runner *r)
{
	__atomic_store_n(&r->g->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(r->thread, SIGUSR1);
	pthread_join(r->thread, NULL);
	assert_int_equal(r->result, -EINTR);
}

/* Reads what the guest may be writing; its side of the race is not always known to the thread sanitizer. */
static __attribute__((noinline, unused, no_sanitize("thread"))) uint64_t word(
        const struct guest *g, unsigned at)
{
	return __atomic_load_n((uint64_t *)(void *)(g->memory + at), __ATOMIC_ACQUIRE);
}

#endif
