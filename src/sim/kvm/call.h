/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: tables of the calls on each kind of descriptor, and the function that finds a call in its table and
 * makes it.
 */
#ifndef KVM_CALL_H
#define KVM_CALL_H

#include <linux/kvm.h>

#include "object/object.h"

/*
 * The function that answers an ioctl. object: the struct kvm_platform, kvm_vm or kvm_vcpu behind the
 * descriptor. arg: the call's struct, copied in and out by the direction and the size in the number; NULL
 * where the argument is a number. user: the argument as the caller gave it. Returns 0 or more, or a negated
 * errno; after an error nothing is copied out. On a vCPU kvm_vcpu.lock is held, elsewhere no lock is.
 */
typedef int kvm_call_fn(void *object, void *arg, uintptr_t user);

struct kvm_call {
	unsigned long request; /* 0: the table ends */
	kvm_call_fn *fn;
	/* arg is NULL and nothing is copied: user may be NULL, or the number does not tell the size. */
	bool raw;
};

/* The tables of calls on /dev/kvm, on VMs and on vCPUs. */
extern const struct kvm_call kvm_system_calls[];
extern const struct kvm_call kvm_vm_calls[];
extern const struct kvm_call kvm_vcpu_calls[];

/* Makes the call with this number. Returns the call's result, or unknown if the table has no such call. */
int kvm_call_table(
        void *object, const struct kvm_call *table, unsigned long request, uintptr_t user, int unknown);

#endif
