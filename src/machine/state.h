/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what state.c, state_vcpu.c and state_msrs.c share: the parts of a guest that KVM holds, read from it
 * and written to it. What a peer sent was checked before it is written.
 */
#ifndef VMM_MACHINE_STATE_H
#define VMM_MACHINE_STATE_H

#include "vm.h"
#include "vmm/base/vmstate.h"

/* Makes s bad, for the reason in err. */
void machine_state_fail(struct vmstate *s, const struct err *err);
/* Can this guest's state be read at all? Makes s bad if not. */
bool machine_state_is_open(const struct machine_vm *vm, struct vmstate *s);
bool machine_state_is_zero(const void *bytes, size_t size);

/* An MSR's index and value. */
struct machine_msr {
	uint32_t index;
	uint64_t value;
};
/* What moves with a vCPU, in ascending order; the caller frees *ret_msrs. */
int machine_msrs_read(const struct machine_vm *vm, const struct machine_vcpu *vcpu,
        struct machine_msr **ret_msrs, unsigned *ret_count, struct err *err) MUST_CHECK;
/* Visits a list that machine_msrs_read() made. One that is loaded is allocated; the caller frees it. */
void machine_msrs_visit(struct vmstate *s, struct machine_msr **msrs, unsigned *count);
/* Gives a vCPU such a list. Only MSRs that move are taken. */
int machine_msrs_write(const struct machine_vm *vm, const struct machine_vcpu *vcpu,
        const struct machine_msr *msrs, unsigned count, struct err *err) MUST_CHECK;

#endif
