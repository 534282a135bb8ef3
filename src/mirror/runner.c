/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner: runs a mirror on a thread of its own. The thread waits on a condition for its owner's word, and is
 * in KVM_RUN otherwise. A kick that comes when the helper has just stopped by itself counts for that run.
 */
#include <errno.h>
#include <pthread.h>

#include "vmm/mirror/runner.h"
#include "vmm/sandbox.h"

struct mirror_runner {
	struct mirror *mirror;
	pthread_t thread;
	bool started;
	void (*on_stop)(void *ctx);
	void *ctx;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct mirror_runner_facts facts;
	bool ends;
};

/* ---- the thread ---- */

/* false: the runner ends. */
static bool await_go(struct mirror_runner *runner)
{
	bool goes;

	pthread_mutex_lock(&runner->lock);
	while (runner->facts.state != MIRROR_RUNNER_RUNS && !runner->ends)
		pthread_cond_wait(&runner->changed, &runner->lock);
	goes = !runner->ends;
	pthread_mutex_unlock(&runner->lock);
	return goes;
}

static void run(struct mirror_runner *runner)
{
	enum mirror_exit exit = MIRROR_HALTED;
	struct err err;
	int result = mirror_run(runner->mirror, &exit, &err);

	pthread_mutex_lock(&runner->lock);
	runner->facts.state = result < 0              ? MIRROR_RUNNER_FAILED
	                      : exit == MIRROR_HALTED ? MIRROR_RUNNER_HALTED
	                                              : MIRROR_RUNNER_KICKED;
	if (result < 0)
		snprintf(runner->facts.text, sizeof(runner->facts.text), "%s", err.text);
	pthread_mutex_unlock(&runner->lock);
	runner->on_stop(runner->ctx);
}

static void *runner_main(void *ctx)
{
	struct mirror_runner *runner = ctx;

	pthread_setname_np(pthread_self(), "mirror");
	sandbox_enter(SANDBOX_VCPU);
	while (await_go(runner))
		run(runner);
	return NULL;
}

/* ---- the owner ---- */

static int start(struct mirror_runner *runner, struct err *err)
{
	int sys = pthread_create(&runner->thread, NULL, runner_main, runner);

	if (sys) {
		err_sys(err, ERR_FAILED, sys, "the thread of a mirror");
		limit_explain_thread(err);
		return -1;
	}
	runner->started = true;
	return 0;
}

int mirror_runner_create(const struct mirror_guest *guest, const struct mirror_view *views, unsigned count,
        const struct mirror_entry *entry, void (*on_stop)(void *ctx), void *ctx,
        struct mirror_runner **ret_runner, struct err *err)
{
	struct mirror_runner *runner = calloc(1, sizeof(*runner));

	if (!runner)
		return err_sys(err, ERR_FAILED, ENOMEM, "a mirror of the guest");
	runner->on_stop = on_stop;
	runner->ctx = ctx;
	pthread_mutex_init(&runner->lock, NULL);
	pthread_cond_init(&runner->changed, NULL);
	if (mirror_create(guest, views, count, entry, &runner->mirror, err) < 0 || start(runner, err) < 0) {
		mirror_runner_destroy(runner);
		return -1;
	}
	*ret_runner = runner;
	return 0;
}

int mirror_runner_go(struct mirror_runner *runner, struct err *err)
{
	enum mirror_runner_state state;

	pthread_mutex_lock(&runner->lock);
	state = runner->facts.state;
	if (state != MIRROR_RUNNER_RUNS && state != MIRROR_RUNNER_FAILED) {
		/* A kick of the run before may have come when that was over. */
		mirror_forget_kick(runner->mirror);
		runner->facts.state = MIRROR_RUNNER_RUNS;
		runner->facts.runs++;
		pthread_cond_signal(&runner->changed);
	}
	pthread_mutex_unlock(&runner->lock);
	if (state == MIRROR_RUNNER_RUNS)
		return err_set(err, ERR_USAGE, "the mirror runs already");
	if (state == MIRROR_RUNNER_FAILED)
		return err_set(err, ERR_USAGE, "the mirror has failed: %s", runner->facts.text);
	return 0;
}

bool mirror_runner_kick(struct mirror_runner *runner)
{
	bool runs;

	pthread_mutex_lock(&runner->lock);
	runs = runner->facts.state == MIRROR_RUNNER_RUNS;
	if (runs)
		mirror_kick(runner->mirror);
	pthread_mutex_unlock(&runner->lock);
	return runs;
}

struct mirror_runner_facts mirror_runner_facts(struct mirror_runner *runner)
{
	struct mirror_runner_facts facts;

	pthread_mutex_lock(&runner->lock);
	facts = runner->facts;
	pthread_mutex_unlock(&runner->lock);
	return facts;
}

void mirror_runner_destroy(struct mirror_runner *runner)
{
	if (!runner)
		return;
	if (runner->started) {
		pthread_mutex_lock(&runner->lock);
		runner->ends = true;
		pthread_cond_signal(&runner->changed);
		pthread_mutex_unlock(&runner->lock);
		mirror_kick(runner->mirror);
		pthread_join(runner->thread, NULL);
	}
	mirror_destroy(runner->mirror);
	pthread_cond_destroy(&runner->changed);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
}
