/*
 * exit: what a vCPU does about each reason to leave the guest. The vCPU's thread. Law: api.rst, 5.
 */
#include <stdarg.h>

#include "vcpu.h"
#include "vmm/uapi.h"

enum vcpu_verdict vcpu_end(struct vcpu *vcpu, enum vcpu_verdict verdict, const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(&vcpu->err, verdict == VCPU_CRASH ? ERR_GUEST : ERR_FAILED, "%s", text);
	vcpu_report_registers(vcpu);
	return verdict;
}

static enum vcpu_verdict on_nothing(struct vcpu *vcpu)
{
	return VCPU_RESUME;
}

static enum vcpu_verdict on_shutdown(struct vcpu *vcpu)
{
	return vcpu_end(vcpu, VCPU_CRASH, "the guest crashed with a triple fault");
}

static enum vcpu_verdict on_internal_error(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		return vcpu_end(vcpu, VCPU_FAIL,
		        "KVM could not emulate an instruction of the guest (KVM_EXIT_INTERNAL_ERROR, "
		        "suberror 1): this "
		        "KVM is no full one, or the guest executes outside its memory");
	return vcpu_end(vcpu, VCPU_FAIL, "KVM gave up (KVM_EXIT_INTERNAL_ERROR, suberror %u)",
	        run->internal.suberror);
}

static enum vcpu_verdict on_fail_entry(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;

	return vcpu_end(vcpu, VCPU_FAIL, "the processor refused to enter the guest (hardware reason 0x%llx)",
	        (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
}

static enum vcpu_verdict on_system_event(struct vcpu *vcpu)
{
	if (vcpu->kvm->run->system_event.type == UAPI_SYSTEM_EVENT_SEV_TERM)
		return vcpu_on_sev_term(vcpu);
	return vcpu_end(vcpu, VCPU_CRASH, "the guest ended itself (system event %u)",
	        vcpu->kvm->run->system_event.type);
}

static enum vcpu_verdict (*const handlers[])(struct vcpu *vcpu) = {
        [KVM_EXIT_IO] = vcpu_on_io,
        [KVM_EXIT_MMIO] = vcpu_on_mmio,
        [KVM_EXIT_INTR] = on_nothing,
        [KVM_EXIT_IRQ_WINDOW_OPEN] = on_nothing,
        [KVM_EXIT_SHUTDOWN] = on_shutdown,
        [KVM_EXIT_INTERNAL_ERROR] = on_internal_error,
        [KVM_EXIT_FAIL_ENTRY] = on_fail_entry,
        [KVM_EXIT_SYSTEM_EVENT] = on_system_event,
        [KVM_EXIT_HYPERCALL] = vcpu_on_hypercall,
        [UAPI_EXIT_MEMORY_FAULT] = vcpu_on_memory_fault,
};

enum vcpu_verdict vcpu_on_exit(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->kvm->run->exit_reason;

	if (reason != UAPI_EXIT_MEMORY_FAULT)
		vcpu->idle_faults = 0;
	if (reason < ARRAY_LEN(handlers) && handlers[reason])
		return handlers[reason](vcpu);
	return vcpu_end(vcpu, VCPU_FAIL, "KVM left the guest for a reason that vmm does not know: %u (%s)",
	        reason, host_exit_name(reason) ?: "unnamed");
}
