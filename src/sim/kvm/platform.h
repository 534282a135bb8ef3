/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: the simulated KVM as a whole: its VMs, its clock, and /dev/kvm (system.c).
 */
#ifndef KVM_PLATFORM_H
#define KVM_PLATFORM_H

#include <pthread.h>

#include "clock.h"
#include "object/object.h"

#define KVM_CPUID_MAX 256
#define KVM_PHYS_BITS 40

struct jit_pool;
struct kvm_eventfd;
struct kvm_hooks;
struct kvm_vm;
struct sev_platform;

struct kvm_platform {
	struct object_table *objects;  /* the root's */
	const struct kvm_hooks *hooks; /* how memory encryption changes what KVM does (hooks.h) */
	struct sev_platform *secure;   /* the secure processor, for the hooks; NULL: there is none */
	struct jit_pool *code; /* where vCPUs translate guests' code to, which is the root's; NULL: nowhere */
	bool compare;          /* what is translated, with what the interpreter makes of it */
	struct kvm_clock clock;
	bool paravirtual;     /* guests are offered what KVM has for guests that know it (pv.c) */
	pthread_mutex_t lock; /* protects all below, and the refs of VMs */
	struct kvm_vm *vms;
	struct kvm_eventfd *irqfds; /* of all VMs */
	struct sim_figures ended;   /* of VMs that are gone */
};

/*
 * Makes a platform without VMs. objects, hooks and secure are the caller's, and live longer than the
 * platform. The caller ends it with kvm_platform_finish(), once all of its descriptors are closed.
 */
void kvm_platform_init(struct kvm_platform *platform, struct object_table *objects, enum sim_clock_kind clock,
        const struct kvm_hooks *hooks, struct sev_platform *secure);
void kvm_platform_finish(struct kvm_platform *platform);
/* Opens /dev/kvm. Returns the descriptor, or a negated errno. */
int kvm_platform_open(struct kvm_platform *platform);
/*
 * Adds up what all guests did, including those that are gone. The sums are exact when no vCPU runs. Any
 * thread.
 */
void kvm_platform_figures(struct kvm_platform *platform, struct sim_figures *ret_figures);

#endif
