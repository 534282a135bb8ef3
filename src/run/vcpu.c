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

int vcpu_prepare_kick(struct err *err)
{
	struct sigaction action = {.sa_handler = on_kick};

	if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
		return err_sys(err, ERR_FAILED, errno, "the handler of the kick signal");
	return 0;
}

static enum vcpu_outcome run_until_end(struct vcpu *vcpu)
{
	static const enum vcpu_outcome outcomes[] = {
	        [VCPU_RESUME] = VCPU_STOPPED,
	        [VCPU_STOP] = VCPU_STOPPED,
	        [VCPU_CRASH] = VCPU_CRASHED,
	        [VCPU_FAIL] = VCPU_FAILED,
	};
	enum vcpu_verdict verdict = VCPU_RESUME;

	while (verdict == VCPU_RESUME && !atomic_load(&vcpu->stop)) {
		int result =
		        call_vcpu_run(machine_host(vcpu->machine), vcpu->kvm->fd, vcpu->kvm->run, &vcpu->err);

		if (result < 0) {
			vcpu_explain_run(vcpu);
			vcpu_report_registers(vcpu);
			return VCPU_FAILED;
		}
		if (result == 0) {
			atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
			verdict = vcpu_on_exit(vcpu);
		}
	}
	return outcomes[verdict];
}

static void *vcpu_main(void *ctx)
{
	struct vcpu *vcpu = ctx;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->kvm->index);
	pthread_setname_np(pthread_self(), name);
	vcpu->outcome = run_until_end(vcpu);
	if (vcpu->outcome != VCPU_STOPPED)
		err_wrap(&vcpu->err, "vCPU %u", vcpu->kvm->index);
	loop_post(vcpu->loop, &vcpu->ended);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *err)
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

void vcpu_stop(struct vcpu *vcpu)
{
	atomic_store(&vcpu->stop, true);
	__atomic_store_n(&vcpu->kvm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (vcpu->started)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_join(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
