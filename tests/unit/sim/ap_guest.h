/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ap_guest: for tests of guests with a second processor, which one thread runs by turns with the first: INIT,
 * SIPI, and waiting in KVM_RUN until a processor is in some state.
 */
#ifndef VMM_TEST_AP_GUEST_H
#define VMM_TEST_AP_GUEST_H

#include <signal.h>
#include <sys/time.h>

#include "ghcb_guest.h"

#define PATIENCE_US 20000
#define INIT        0x4500u
#define SIPI        0x4600u

/* The mapping of a vCPU's struct kvm_run. */
static inline struct kvm_run *run_of(struct machine *m, int vcpu)
{
	struct kvm_run *run =
	        host_mmap(m->host, NULL, (size_t)number_of(m, m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
	                PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	assert_ptr_not_equal(run, MAP_FAILED);
	return run;
}

static inline void run_unmap(struct machine *m, struct kvm_run *run)
{
	host_munmap(m->host, run, (size_t)number_of(m, m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
}

static inline void send(struct guest *g, uint32_t data)
{
	const struct kvm_msi msi = {.address_lo = 0xfee01000, .data = data};

	assert_int_equal(call_of(g->m, g->vm, KVM_SIGNAL_MSI, &msi), 1);
}

static inline uint32_t state_of(struct guest *g)
{
	struct kvm_mp_state state;

	assert_int_equal(call_of(g->m, g->vcpu, KVM_GET_MP_STATE, &state), 0);
	return state.mp_state;
}

static inline void on_alarm(int signal)
{
}

/* Runs until the processor waits in this state; a signal gets the thread back. */
static inline void runs_until(struct guest *g, uint32_t wanted)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval often = {.it_value.tv_usec = PATIENCE_US, .it_interval.tv_usec = PATIENCE_US},
	                       never = {.it_value.tv_usec = 0};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	do {
		int result = guest_run(g);

		if (result != -EINTR)
			fail_msg("KVM_RUN: %d, exit %u", result, g->run->exit_reason);
	} while (state_of(g) != wanted);
	setitimer(ITIMER_REAL, &never, NULL);
}

/* INIT, then the first SIPI: the processor runs from its VMSA, wherever the SIPI points to. */
static inline void starts(struct guest *g)
{
	assert_int_equal(state_of(g), KVM_MP_STATE_UNINITIALIZED);
	send(g, INIT);
	assert_int_equal(guest_run(g), -EAGAIN);
	assert_int_equal(state_of(g), KVM_MP_STATE_INIT_RECEIVED);
	send(g, SIPI | 0x99);
}

#endif
