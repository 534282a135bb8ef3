/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the guest's time, and the calls about it (clock.c, time.c). clock.c explains how time passes.
 */
#ifndef KVM_CLOCK_H
#define KVM_CLOCK_H

#include <stdatomic.h>

#include "vmm/base.h"
#include "vmm/sim.h"

#define KVM_TSC_KHZ 1000000u /* a tick of the time-stamp counter is a nanosecond */

struct kvm_vcpu;
struct kvm_vm;

/* The guest's time. On a vCPU's thread it is read by kvm_vcpu_now(). */
struct kvm_clock {
	bool host; /* SIM_CLOCK_HOST */
	uint64_t host_base_ns;
	_Atomic uint64_t now_ns; /* of the virtual clock: the latest time that any vCPU has seen */
};

void kvm_clock_init(struct kvm_clock *clock, enum sim_clock_kind kind);
/* Returns the time in ns since kvm_clock_init(). It never goes back. Any thread. */
uint64_t kvm_clock_now(const struct kvm_clock *clock);
/* Returns the host's time in ns (CLOCK_MONOTONIC). Any thread. */
uint64_t kvm_clock_host_ns(void);
/* Sets the virtual clock to now_ns, unless it is later already. Any thread. */
void kvm_clock_skip_to(struct kvm_clock *clock, uint64_t now_ns);

/* Returns when the VM's clock (KVM_GET_CLOCK) was 0, in ns of the wall clock. Any thread. */
uint64_t kvm_vm_clock_zero(const struct kvm_vm *vm);

/* ---- on the vCPU's thread ---- */

/*
 * Returns the vCPU's time in ns, computed from its instructions. It is never earlier than a time that any
 * vCPU has seen.
 */
uint64_t kvm_vcpu_now(struct kvm_vcpu *vcpu);
/* Adds ns to the vCPU's time, for an access to a device inside the platform. */
void kvm_vcpu_charge_access(struct kvm_vcpu *vcpu, uint64_t ns);
/*
 * Adds the cost of an access that the VMM answers to the vCPU's time. key identifies the place of the access;
 * a guest that reads the same place again and again pays more.
 */
void kvm_vcpu_charge_exit(struct kvm_vcpu *vcpu, uint64_t key, bool write);
/* Runs the timers that are due, and returns the instruction count up to which the processor may run. */
uint64_t kvm_vcpu_start_slice(struct kvm_vcpu *vcpu);
/*
 * Shortens the slice, because a timer may be due earlier now. Called from a callback of the running
 * processor.
 */
void kvm_vcpu_retime(struct kvm_vcpu *vcpu);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_get_clock(void *object, void *arg, uintptr_t user);     /* KVM_GET_CLOCK */
int kvm_vm_set_clock(void *object, void *arg, uintptr_t user);     /* KVM_SET_CLOCK */
int kvm_vm_get_tsc_khz(void *object, void *arg, uintptr_t user);   /* KVM_GET_TSC_KHZ */
int kvm_vm_set_tsc_khz(void *object, void *arg, uintptr_t user);   /* KVM_SET_TSC_KHZ */
int kvm_vcpu_get_tsc_khz(void *object, void *arg, uintptr_t user); /* KVM_GET_TSC_KHZ */
int kvm_vcpu_set_tsc_khz(void *object, void *arg, uintptr_t user); /* KVM_SET_TSC_KHZ */
int kvm_vcpu_has_attr(void *object, void *arg, uintptr_t user);    /* KVM_HAS_DEVICE_ATTR */
int kvm_vcpu_get_attr(void *object, void *arg, uintptr_t user);    /* KVM_GET_DEVICE_ATTR */
int kvm_vcpu_set_attr(void *object, void *arg, uintptr_t user);    /* KVM_SET_DEVICE_ATTR */
int kvm_system_has_attr(void *object, void *arg, uintptr_t user);  /* KVM_HAS_DEVICE_ATTR */
int kvm_system_get_attr(void *object, void *arg, uintptr_t user);  /* KVM_GET_DEVICE_ATTR */
int kvm_vm_create_device(void *object, void *arg, uintptr_t user); /* KVM_CREATE_DEVICE */

#endif
