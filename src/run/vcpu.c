/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: the thread of a vCPU: run, handle the exit, again. A call is a flag, immediate_exit and a signal: the
 * flag is seen between exits, immediate_exit closes the gap before KVM_RUN, the signal ends one under way.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "vmm/call.h"
#include "vmm/sandbox.h"

#include "vcpu.h"

#define KICK_SIGNAL SIGUSR1

static void on_kick(int signal)
{
}

int run_vcpu_prepare_kick(struct err *err)
{
	struct sigaction action = {.sa_handler = on_kick};

	if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
		return err_sys(err, ERR_FAILED, errno, "the handler of the kick signal");
	return 0;
}

/* ---- the thread ---- */

void run_vcpu_count(_Atomic uint64_t *counter, uint64_t more)
{
	/* Nobody else writes it. */
	atomic_store_explicit(
	        counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

static void answer_looks(struct run_vcpu *vcpu)
{
	struct run_look *look;

	while ((look = vcpu->looks)) {
		vcpu->looks = look->next;
		run_vcpu_report_registers(vcpu, look->text);
		loop_post(vcpu->loop, &look->task);
	}
}

/*
 * Does what the vCPU was called for, and waits while it is to wait. Returns false when the thread is to end.
 * A vCPU does not wait in the middle of an instruction: the answer to its last exit is with KVM first, so
 * that its registers are whole. immediate_exit is set by then, so KVM_RUN takes the answer and returns.
 */
static bool heed(struct run_vcpu *vcpu)
{
	enum run_vcpu_wish wish;

	pthread_mutex_lock(&vcpu->lock);
	answer_looks(vcpu);
	while (vcpu->wish == RUN_VCPU_PARK && !vcpu->unanswered) {
		if (!vcpu->waits)
			loop_post(vcpu->loop, &vcpu->parked);
		vcpu->waits = true;
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
		answer_looks(vcpu);
	}
	vcpu->waits = false;
	wish = vcpu->wish;
	if (wish == RUN_VCPU_GO) {
		vcpu->called = false;
		__atomic_store_n(&vcpu->kvm->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&vcpu->lock);
	return wish != RUN_VCPU_END;
}

int run_vcpu_to_exit(struct run_vcpu *vcpu)
{
	int result = call_vcpu_run(machine_host(vcpu->machine), vcpu->kvm->fd, vcpu->kvm->run, &vcpu->err);
	enum run_exit exit;

	if (result < 0) {
		run_vcpu_explain_run(vcpu);
		run_vcpu_report_registers(vcpu, vcpu->report);
		return -1;
	}
	vcpu->unanswered = result == 0;
	exit = result ? RUN_EXIT_INTR : run_vcpu_exit_kind(vcpu->kvm->run->exit_reason);
	run_vcpu_count(&vcpu->counters.exits[exit], 1);
	return result;
}

static enum run_vcpu_outcome run_until_end(struct run_vcpu *vcpu)
{
	enum run_vcpu_verdict verdict = RUN_VCPU_RESUME;

	while (!vcpu->called || heed(vcpu)) {
		int result = verdict == RUN_VCPU_AGAIN ? 0 : run_vcpu_to_exit(vcpu);

		if (result < 0)
			return RUN_VCPU_FAILED;
		if (result > 0)
			continue;
		verdict = run_vcpu_on_exit(vcpu);
		if (verdict == RUN_VCPU_CRASH)
			return RUN_VCPU_CRASHED;
		if (verdict == RUN_VCPU_FAIL)
			return RUN_VCPU_FAILED;
		if (verdict == RUN_VCPU_STOP)
			break;
	}
	return RUN_VCPU_STOPPED;
}

void run_vcpu_run_briefly(struct run_vcpu *vcpu, bool briefly)
{
	pthread_mutex_lock(&vcpu->lock);
	/* A call wants the same, and goes on wanting it. */
	__atomic_store_n(&vcpu->kvm->run->immediate_exit, briefly || vcpu->called, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&vcpu->lock);
}

static void close_looks(struct run_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	answer_looks(vcpu);
	vcpu->closed = true;
	pthread_mutex_unlock(&vcpu->lock);
}

static void *vcpu_main(void *ctx)
{
	struct run_vcpu *vcpu = ctx;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->kvm->index);
	pthread_setname_np(pthread_self(), name);
	vcpu->tid = gettid();
	sandbox_enter(SANDBOX_VCPU);
	vcpu->outcome = run_until_end(vcpu);
	if (vcpu->outcome != RUN_VCPU_STOPPED)
		err_wrap(&vcpu->err, "vCPU %u", vcpu->kvm->index);
	close_looks(vcpu);
	loop_post(vcpu->loop, &vcpu->ended);
	return NULL;
}

/* ---- the main thread ---- */

void run_vcpu_prepare(struct run_vcpu *vcpu)
{
	struct run_vcpu_counters counters = vcpu->counters;

	*vcpu = (struct run_vcpu){.counters = counters};
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
}

int run_vcpu_start(struct run_vcpu *vcpu, struct err *err)
{
	int sys;

	vcpu->called = vcpu->wish != RUN_VCPU_GO;
	sys = pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);
	if (sys) {
		err_sys(err, ERR_FAILED, sys, "the thread of vCPU %u", vcpu->kvm->index);
		limit_explain_thread(err);
		return -1;
	}
	vcpu->started = true;
	return 0;
}

/* The lock is held. */
static void call(struct run_vcpu *vcpu)
{
	vcpu->called = true;
	__atomic_store_n(&vcpu->kvm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_cond_signal(&vcpu->changed);
	if (vcpu->started && !vcpu->waits)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void run_vcpu_wish(struct run_vcpu *vcpu, enum run_vcpu_wish wish)
{
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->wish != wish) {
		vcpu->wish = wish;
		call(vcpu);
	}
	pthread_mutex_unlock(&vcpu->lock);
}

bool run_vcpu_waits(struct run_vcpu *vcpu)
{
	bool waits;

	pthread_mutex_lock(&vcpu->lock);
	waits = vcpu->waits && vcpu->wish == RUN_VCPU_PARK;
	pthread_mutex_unlock(&vcpu->lock);
	return waits;
}

void run_vcpu_look(struct run_vcpu *vcpu, struct run_look *look)
{
	pthread_mutex_lock(&vcpu->lock);
	if (vcpu->closed || !vcpu->started) {
		loop_post(vcpu->loop, &look->task);
	} else {
		look->next = vcpu->looks;
		vcpu->looks = look;
		call(vcpu);
	}
	pthread_mutex_unlock(&vcpu->lock);
}

uint64_t run_vcpu_work(const struct run_vcpu *vcpu)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RUN_EXITS; i++)
		sum += i == RUN_EXIT_INTR
		               ? 0
		               : atomic_load_explicit(&vcpu->counters.exits[i], memory_order_relaxed);
	return sum;
}

void run_vcpu_join(struct run_vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
