/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync: the state that KVM_RUN reports in struct kvm_run besides the exit, and the registers that it and the
 * VMM exchange there. Runs on the vCPU's thread. Law: api.rst, 5 (struct kvm_run), KVM_CAP_SYNC_REGS.
 */
#include <errno.h>
#include <string.h>

#include "hooks.h"
#include "irq.h"
#include "registers.h"

bool kvm_vm_has_pic(const struct kvm_vm *vm)
{
	return vm->chip && !vm->chip->split;
}

bool kvm_vcpu_takes_pic(const struct kvm_vcpu *v)
{
	return !v->vm->chip || irq_lapic_takes_pic(&v->lapic);
}

bool kvm_vcpu_injectable(const struct kvm_vcpu *v)
{
	return cpu_rflags(v->cpu) & 0x200 && !v->cpu->shadow && v->cpu->event.kind == CPU_EVENT_NONE &&
	       v->user_vector < 0 && kvm_vcpu_takes_pic(v);
}

/* If the registers are the guest's, the VMM changes only the copy that KVM_GET_REGS reads. */
static void set_regs(struct kvm_vcpu *v, const struct kvm_regs *regs)
{
	struct kvm_regs copy = *regs;

	if (v->protected)
		v->vm->platform->hooks->vcpu_set_regs(v, &copy);
	else
		kvm_vcpu_set_regs(v, &copy, 0);
}

/* The VMM may change its memory at any time, so each struct is copied once. */
int kvm_vcpu_sync_in(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t sets = run->kvm_dirty_regs;

	if ((run->kvm_valid_regs | sets) &
	        ~(uint64_t)kvm_vm_capability(v->vm->platform, v->vm, KVM_CAP_SYNC_REGS))
		return -EINVAL;
	if (sets & KVM_SYNC_X86_REGS) {
		set_regs(v, &run->s.regs.regs);
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_REGS;
	}
	if (sets & KVM_SYNC_X86_SREGS) {
		struct kvm_sregs sregs = run->s.regs.sregs;

		if (!v->protected && kvm_vcpu_set_sregs(v, &sregs, 0) < 0)
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_SREGS;
	}
	if (sets & KVM_SYNC_X86_EVENTS) {
		struct kvm_vcpu_events events = run->s.regs.events;

		if (kvm_vcpu_set_events(v, &events, 0) < 0)
			return -EINVAL;
		run->kvm_dirty_regs &= ~KVM_SYNC_X86_EVENTS;
	}
	return 0;
}

static void sync_out(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t sets = v->protected ? 0 : run->kvm_valid_regs;

	if (sets & KVM_SYNC_X86_REGS)
		cpu_get_regs(v->cpu, &run->s.regs.regs);
	if (sets & KVM_SYNC_X86_SREGS)
		kvm_vcpu_get_sregs(v, &run->s.regs.sregs, 0);
	if (sets & KVM_SYNC_X86_EVENTS)
		kvm_vcpu_get_events(v, &run->s.regs.events, 0);
}

void kvm_vcpu_tell_state(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;

	sync_out(v);
	run->if_flag = cpu_rflags(v->cpu) >> 9 & 1;
	run->flags = 0;
	run->cr8 = v->vm->bus.cr8_read(v);
	run->apic_base = v->lapic.base;
	run->ready_for_interrupt_injection = kvm_vm_has_pic(v->vm) || kvm_vcpu_injectable(v);
}
