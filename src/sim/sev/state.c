/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the VMM can still read and write of a vCPU whose registers are the guest's. Runs with
 * kvm_vcpu.lock held. Law: guest_state_protected, has_protected_state and fpstate_is_confidential() of
 * Linux's arch/x86/kvm.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "guest.h"
#include "kvm/registers.h"

/*
 * In a VM of the type SEV-ES or SEV-SNP such a call fails. A SEV-ES guest of KVM_SEV_ES_INIT has the VM type
 * 0. There the call works on what KVM had of the registers before, which the guest does not use.
 */
enum access { REGISTERS, FPU, DEBUGGER };

static const struct {
	unsigned long request;
	enum access access;
} rows[] = {
        {KVM_GET_REGS, REGISTERS},
        {KVM_SET_REGS, REGISTERS},
        {KVM_GET_SREGS, REGISTERS},
        {KVM_SET_SREGS, REGISTERS},
        {KVM_GET_SREGS2, REGISTERS},
        {KVM_SET_SREGS2, REGISTERS},
        {KVM_GET_DEBUGREGS, REGISTERS},
        {KVM_SET_DEBUGREGS, REGISTERS},
        {KVM_GET_XCRS, REGISTERS},
        {KVM_SET_XCRS, REGISTERS},
        {KVM_GET_FPU, FPU},
        {KVM_SET_FPU, FPU},
        {KVM_GET_XSAVE, FPU},
        {KVM_GET_XSAVE2, FPU},
        {KVM_SET_XSAVE, FPU},
        {KVM_SET_GUEST_DEBUG, DEBUGGER},
};

/* ---- the VMM's copy ---- */

void sev_vcpu_keep_stale(struct kvm_vcpu *v)
{
	cpu_get_regs(v->cpu, &v->sev->stale.regs);
	cpu_get_debugregs(v->cpu, &v->sev->stale.debugregs);
	cpu_get_fxsave(v->cpu, v->sev->stale.fxsave);
	cpu_get_ymm(v->cpu, v->sev->stale.ymm);
	v->sev->stale.xcr0 = v->cpu->xcr0;
}

void sev_vcpu_set_regs(struct kvm_vcpu *v, const struct kvm_regs *regs)
{
	v->sev->stale.regs = *regs;
}

/* Exchanges the processor's registers with the VMM's copy: once before a call, once after it. */
static void exchange(struct kvm_vcpu *v)
{
	const uint64_t xcr0 = v->cpu->xcr0;
	struct sev_vcpu *s = v->sev;
	struct kvm_debugregs debugregs;
	uint8_t fxsave[SEV_FXSAVE_BYTES], ymm[CPU_YMM_BYTES];

	cpu_get_debugregs(v->cpu, &debugregs);
	cpu_get_fxsave(v->cpu, fxsave);
	cpu_get_ymm(v->cpu, ymm);
	if (cpu_set_debugregs(v->cpu, &s->stale.debugregs) < 0 || cpu_set_fxsave(v->cpu, s->stale.fxsave) < 0)
		log_error("software platform: a vCPU did not take its debug or FPU registers back");
	cpu_set_ymm(v->cpu, s->stale.ymm);
	v->cpu->xcr0 = s->stale.xcr0;
	s->stale.debugregs = debugregs;
	memcpy(s->stale.fxsave, fxsave, sizeof(fxsave));
	memcpy(s->stale.ymm, ymm, sizeof(ymm));
	s->stale.xcr0 = xcr0;
}

/*
 * KVM knows only those system registers whose changes the processor reports to it (traps of CR0, CR4, EFER).
 */
static int stale_sregs(struct kvm_vcpu *v, uintptr_t user, bool second)
{
	struct kvm_sregs now;
	struct kvm_sregs told = {0};
	struct kvm_sregs2 told2 = {0};

	kvm_vcpu_get_sregs(v, &now, 0);
	told.cr0 = told2.cr0 = now.cr0;
	told.cr4 = told2.cr4 = now.cr4;
	told.cr8 = told2.cr8 = now.cr8;
	told.efer = told2.efer = now.efer;
	told.apic_base = told2.apic_base = now.apic_base;
	return second ? object_copy_out(user, &told2, sizeof(told2))
	              : object_copy_out(user, &told, sizeof(told));
}

/*
 * KVM checks all registers, and then takes the APIC's base alone. KVM_SET_SREGS2 has its flags at the place
 * where the other struct ends, and none may be set here.
 */
static int stale_set_sregs(struct kvm_vcpu *v, uintptr_t user, bool second)
{
	struct kvm_sregs sregs = {0};
	uint64_t flags = 0;

	if (object_copy_in(&sregs, user, offsetof(struct kvm_sregs, interrupt_bitmap)) < 0 ||
	        (second &&
	                object_copy_in(&flags, user + offsetof(struct kvm_sregs2, flags), sizeof(flags)) < 0))
		return -EFAULT;
	if (flags || !cpu_sregs_are_valid(v->cpu, &sregs) ||
	        !kvm_vcpu_apic_base_valid(v, sregs.apic_base, true))
		return -EINVAL;
	pthread_mutex_lock(&v->vm->irq_lock);
	kvm_vcpu_set_apic_base(v, sregs.apic_base);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}
_Static_assert(offsetof(struct kvm_sregs, interrupt_bitmap) == offsetof(struct kvm_sregs2, flags),
        "the structs are alike up to there");

/* Makes a call that does not work on exchanged registers. Returns true if it was such a call. */
static bool stale_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user, int *ret_result)
{
	struct kvm_regs *regs = &v->sev->stale.regs;

	switch (request) {
	case KVM_GET_REGS: *ret_result = object_copy_out(user, regs, sizeof(*regs)); return true;
	case KVM_SET_REGS: *ret_result = object_copy_in(regs, user, sizeof(*regs)); return true;
	case KVM_GET_SREGS:
	case KVM_GET_SREGS2: *ret_result = stale_sregs(v, user, request == KVM_GET_SREGS2); return true;
	case KVM_SET_SREGS:
	case KVM_SET_SREGS2: *ret_result = stale_set_sregs(v, user, request == KVM_SET_SREGS2); return true;
	default: return false;
	}
}

/* A hidden FPU reads as zeros, and what the VMM writes is dropped. */
static int hidden_fpu(unsigned long request, uintptr_t user)
{
	static const struct kvm_xsave zeros;

	if (request == KVM_GET_FPU)
		return object_copy_out(user, &zeros, sizeof(struct kvm_fpu));
	return request == KVM_GET_XSAVE || request == KVM_GET_XSAVE2
	               ? object_copy_out(user, &zeros, sizeof(zeros))
	               : 0;
}

/* Makes the call on the VMM's copy. */
static int call_exchanged(struct kvm_vcpu *v, unsigned long request, uintptr_t user)
{
	int result;

	exchange(v);
	result = kvm_call_table(v, kvm_vcpu_calls, request, user, -EINVAL);
	exchange(v);
	return result;
}

bool sev_vcpu_call(struct kvm_vcpu *v, unsigned long request, uintptr_t user, int *ret_result)
{
	bool refused = kvm_vm_has_protected_state(v->vm);
	size_t i = 0;

	while (i < ARRAY_LEN(rows) && rows[i].request != request)
		i++;
	if (!v->protected || i == ARRAY_LEN(rows))
		return false;
	if (rows[i].access == DEBUGGER || (refused && (rows[i].access == REGISTERS || v->sev->fpu_hidden)))
		*ret_result = -EINVAL;
	else if (rows[i].access == FPU && v->sev->fpu_hidden)
		*ret_result = hidden_fpu(request, user);
	else if (rows[i].access == FPU || !stale_call(v, request, user, ret_result))
		*ret_result = call_exchanged(v, request, user);
	return true;
}
