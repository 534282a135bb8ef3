/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registers: a vCPU's registers, CPUID, events and run state as KVM's structs have them (vcpu.c, state.c,
 * xstate.c, debug.c, sync.c). The vCPU's thread, or kvm_vcpu.lock is held.
 */
#ifndef KVM_REGISTERS_H
#define KVM_REGISTERS_H

#include "vcpu.h"

#define KVM_GUESTDBG_KNOWN \
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP | \
	        KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_BLOCKIRQ)

/* Returns the first entry of a leaf in kvm_vcpu.cpuid; NULL: there is none. */
const struct kvm_cpuid_entry2 *kvm_vcpu_cpuid_leaf(const struct kvm_vcpu *vcpu, uint32_t leaf);
/* May XCR0 have this value, by the vCPU's CPUID? */
bool kvm_vcpu_xcr0_is_valid(const struct kvm_vcpu *vcpu, uint64_t value);
/* Does what KVM_SET_SREGS does, except for its interrupt_bitmap. */
int kvm_vcpu_set_sregs_but_interrupt(struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs);
/* Takes the registers that the VMM put into struct kvm_run. Returns 0 or -EINVAL. */
int kvm_vcpu_sync_in(struct kvm_vcpu *vcpu);
/*
 * Puts into struct kvm_run the state that KVM_RUN reports besides the exit, and the registers that the VMM
 * asked for.
 */
void kvm_vcpu_tell_state(struct kvm_vcpu *vcpu);
/*
 * Could the VMM inject an interrupt now? An access that is under way does not matter, because it is finished
 * first.
 */
bool kvm_vcpu_injectable(const struct kvm_vcpu *vcpu);
/* Does the vCPU take interrupts of the VMM's PIC at all? */
bool kvm_vcpu_takes_pic(const struct kvm_vcpu *vcpu);
/*
 * Writes the value that KVM_SET_VCPU_EVENTS gave along with an exception into the register where the guest
 * looks for it (DR6 or CR2).
 */
void kvm_vcpu_deliver_payload(struct kvm_vcpu *vcpu);
/* Leaves the guest, for the VMM's debugger. Returns 0. */
int kvm_vcpu_leave_debug(struct kvm_vcpu *vcpu);

/* ---- calls (struct kvm_call) ---- */

int kvm_vcpu_set_regs(void *object, void *arg, uintptr_t user);        /* KVM_SET_REGS */
int kvm_vcpu_get_sregs(void *object, void *arg, uintptr_t user);       /* KVM_GET_SREGS */
int kvm_vcpu_set_sregs(void *object, void *arg, uintptr_t user);       /* KVM_SET_SREGS */
int kvm_vcpu_get_sregs2(void *object, void *arg, uintptr_t user);      /* KVM_GET_SREGS2 */
int kvm_vcpu_set_sregs2(void *object, void *arg, uintptr_t user);      /* KVM_SET_SREGS2 */
int kvm_vcpu_get_xsave(void *object, void *arg, uintptr_t user);       /* KVM_GET_XSAVE, KVM_GET_XSAVE2 */
int kvm_vcpu_set_xsave(void *object, void *arg, uintptr_t user);       /* KVM_SET_XSAVE */
int kvm_vcpu_get_xcrs(void *object, void *arg, uintptr_t user);        /* KVM_GET_XCRS */
int kvm_vcpu_set_xcrs(void *object, void *arg, uintptr_t user);        /* KVM_SET_XCRS */
int kvm_vcpu_get_debugregs(void *object, void *arg, uintptr_t user);   /* KVM_GET_DEBUGREGS */
int kvm_vcpu_set_debugregs(void *object, void *arg, uintptr_t user);   /* KVM_SET_DEBUGREGS */
int kvm_vcpu_set_guest_debug(void *object, void *arg, uintptr_t user); /* KVM_SET_GUEST_DEBUG */
int kvm_vcpu_get_cpuid(void *object, void *arg, uintptr_t user);       /* KVM_GET_CPUID2 */
int kvm_vcpu_set_cpuid(void *object, void *arg, uintptr_t user);       /* KVM_SET_CPUID2 */
int kvm_vcpu_get_events(void *object, void *arg, uintptr_t user);      /* KVM_GET_VCPU_EVENTS */
int kvm_vcpu_set_events(void *object, void *arg, uintptr_t user);      /* KVM_SET_VCPU_EVENTS */
int kvm_vcpu_get_mp_state(void *object, void *arg, uintptr_t user);    /* KVM_GET_MP_STATE */
int kvm_vcpu_set_mp_state(void *object, void *arg, uintptr_t user);    /* KVM_SET_MP_STATE */

#endif
