/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: the thread of a vCPU: run, handle the exit, again. A stop is a flag, immediate_exit and a signal: the
 * flag is seen between exits, immediate_exit closes the gap before KVM_RUN, the signal ends one under way.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "vmm/call.h"

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

static enum run_vcpu_outcome run_until_end(struct run_vcpu *vcpu)
{
	static const enum run_vcpu_outcome outcomes[] = {
	        [RUN_VCPU_RESUME] = RUN_VCPU_STOPPED,
	        [RUN_VCPU_STOP] = RUN_VCPU_STOPPED,
	        [RUN_VCPU_CRASH] = RUN_VCPU_CRASHED,
	        [RUN_VCPU_FAIL] = RUN_VCPU_FAILED,
	};
	enum run_vcpu_verdict verdict = RUN_VCPU_RESUME;

	while (verdict == RUN_VCPU_RESUME && !atomic_load(&vcpu->stop)) {
		int result =
		        call_vcpu_run(machine_host(vcpu->machine), vcpu->kvm->fd, vcpu->kvm->run, &vcpu->err);

		if (result < 0) {
			run_vcpu_explain_run(vcpu);
			run_vcpu_report_registers(vcpu);
			return RUN_VCPU_FAILED;
		}
		if (result == 0) {
			atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
			verdict = run_vcpu_on_exit(vcpu);
		}
	}
	return outcomes[verdict];
}

static void *vcpu_main(void *ctx)
{
	struct run_vcpu *vcpu = ctx;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->kvm->index);
	pthread_setname_np(pthread_self(), name);
	vcpu->outcome = run_until_end(vcpu);
	if (vcpu->outcome != RUN_VCPU_STOPPED)
		err_wrap(&vcpu->err, "vCPU %u", vcpu->kvm->index);
	loop_post(vcpu->loop, &vcpu->ended);
	return NULL;
}

int run_vcpu_start(struct run_vcpu *vcpu, struct err *err)
{
	int sys = pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);

	if (sys) {
		err_sys(err, ERR_FAILED, sys, "the thread of vCPU %u", vcpu->kvm->index);
		limit_explain_thread(err);
		return -1;
	}
	vcpu->started = true;
	return 0;
}

void run_vcpu_stop(struct run_vcpu *vcpu)
{
	atomic_store(&vcpu->stop, true);
	__atomic_store_n(&vcpu->kvm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (vcpu->started)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void run_vcpu_join(struct run_vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
