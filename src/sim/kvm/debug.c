/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug: debug registers, and the debugger outside the guest. Runs with kvm_vcpu.lock held. Law: api.rst,
 * KVM_GET_DEBUGREGS, KVM_SET_GUEST_DEBUG, KVM_EXIT_DEBUG.
 */
#include <errno.h>
#include <string.h>

#include "registers.h"

#define VECTOR_DB  1
#define VECTOR_BP  3
#define INT3_BYTES 1

int kvm_vcpu_get_debugregs(void *object, void *arg, uintptr_t user)
{
	cpu_get_debugregs(((struct kvm_vcpu *)object)->cpu, arg);
	return 0;
}

int kvm_vcpu_set_debugregs(void *object, void *arg, uintptr_t user)
{
	return cpu_set_debugregs(((struct kvm_vcpu *)object)->cpu, arg) < 0 ? -EINVAL : 0;
}

/* Injects an exception that a debugger gives back to the guest. A #BP is that of the INT3 at rip. */
static int inject(struct kvm_vcpu *v, uint32_t control)
{
	const struct cpu_event db = {.kind = CPU_EVENT_EXCEPTION, .vector = VECTOR_DB, .given = true};
	const struct cpu_event bp = {
	        .kind = CPU_EVENT_SOFT, .vector = VECTOR_BP, .soft_len = INT3_BYTES, .given = true};

	if (!(control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)))
		return 0;
	if (v->cpu->event.kind == CPU_EVENT_EXCEPTION || v->cpu->event.given)
		return -EBUSY;
	v->cpu->event = control & KVM_GUESTDBG_INJECT_DB ? db : bp;
	v->cpu->gpr[CPU_GPR_RIP] += v->cpu->event.soft_len;
	return 0;
}

int kvm_vcpu_set_guest_debug(void *object, void *arg, uintptr_t user)
{
	static const struct {
		uint32_t control, ask;
	} rows[] = {{KVM_GUESTDBG_SINGLESTEP, CPU_DEBUG_STEP}, {KVM_GUESTDBG_USE_SW_BP, CPU_DEBUG_INT3},
	        {KVM_GUESTDBG_USE_HW_BP, CPU_DEBUG_BREAK}, {KVM_GUESTDBG_BLOCKIRQ, CPU_DEBUG_CALM}};
	const struct kvm_guest_debug *debug = arg;
	struct cpu_debugger debugger = {.dr7 = debug->arch.debugreg[7]};
	struct kvm_vcpu *v = object;
	int result = inject(v, debug->control);

	if (result < 0)
		return result;
	memcpy(debugger.dr, debug->arch.debugreg, sizeof(debugger.dr));
	for (size_t i = 0; i < ARRAY_LEN(rows) && debug->control & KVM_GUESTDBG_ENABLE; i++)
		debugger.ask |= debug->control & rows[i].control ? rows[i].ask : 0;
	cpu_set_debugger(v->cpu, &debugger);
	v->guest_debug = debug->control & KVM_GUESTDBG_ENABLE ? debug->control : 0;
	return 0;
}

int kvm_vcpu_leave_debug(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;

	v->run->exit_reason = KVM_EXIT_DEBUG;
	v->run->debug.arch = (struct kvm_debug_exit_arch){.exception = info->debug.vector,
	        .pc = info->debug.linear,
	        .dr6 = info->debug.dr6,
	        .dr7 = info->debug.dr7};
	return 0;
}
