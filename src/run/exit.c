/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit: what a vCPU does about each reason to leave the guest. The vCPU's thread. Law: api.rst, 5.
 */
#include <stdarg.h>

#include "vcpu.h"
#include "vmm/uapi.h"

enum run_vcpu_verdict run_vcpu_end(struct run_vcpu *vcpu, enum run_vcpu_verdict verdict, const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(&vcpu->err, verdict == RUN_VCPU_CRASH ? ERR_GUEST : ERR_FAILED, "%s", text);
	run_vcpu_report_registers(vcpu, vcpu->report);
	return verdict;
}

static enum run_vcpu_verdict on_nothing(struct run_vcpu *vcpu)
{
	return RUN_VCPU_RESUME;
}

static enum run_vcpu_verdict on_shutdown(struct run_vcpu *vcpu)
{
	return run_vcpu_end(vcpu, RUN_VCPU_CRASH, "the guest crashed with a triple fault");
}

/* What KVM's suberrors mean; api.rst, 5, and the names in the kernel's uapi header. */
static const char *const internal_errors[] = {
        [KVM_INTERNAL_ERROR_EMULATION] =
                "could not emulate an instruction of the guest, or the guest executes outside its memory",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "met a second exception of the guest while it delivered one",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] =
                "could not deliver an interrupt or exception: the guest's IDT or stack is not in its memory",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "does not know why the processor left the guest",
};

/* The meaning of the words of data differs by suberror and version of the kernel, so vmm tells them as they
 * are; KVM fills five. */
static enum run_vcpu_verdict on_internal_error(struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;
	uint32_t suberror = run->internal.suberror;
	uint32_t count = run->internal.ndata;
	char data[6 * 20] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < count && i < 6; i++)
		used += (size_t)snprintf(data + used, sizeof(data) - used, " 0x%llx",
		        (unsigned long long)run->internal.data[i]);
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL, "KVM %s (KVM_EXIT_INTERNAL_ERROR, suberror %u%s%s)",
	        (suberror < ARRAY_LEN(internal_errors) ? internal_errors[suberror] : NULL) ?: "gave up",
	        suberror, count ? ", data" : "", data);
}

static enum run_vcpu_verdict on_fail_entry(struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;

	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "the processor refused to enter the guest (hardware reason 0x%llx)",
	        (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
}

static enum run_vcpu_verdict on_system_event(struct run_vcpu *vcpu)
{
	if (vcpu->kvm->run->system_event.type == UAPI_SYSTEM_EVENT_SEV_TERM)
		return run_vcpu_on_sev_term(vcpu);
	return run_vcpu_end(vcpu, RUN_VCPU_CRASH, "the guest ended itself (system event %u)",
	        vcpu->kvm->run->system_event.type);
}

/*
 * KVM passes on a HLT, an AP Reset Hold or a new task priority only for a VM whose local APICs are user
 * space's. Every VM of vmm has KVM's (KVM_CREATE_IRQCHIP), and only KVM can wake a processor by those.
 */
static enum run_vcpu_verdict on_user_apic(struct run_vcpu *vcpu)
{
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "KVM left to vmm what the local APIC decides (%s): it does so only for guests whose local "
	        "APICs are not its own, and this guest's are",
	        host_exit_name(vcpu->kvm->run->exit_reason));
}

static const struct {
	enum run_vcpu_verdict (*handle)(struct run_vcpu *vcpu);
	enum run_exit kind;
} rows[] = {
        [KVM_EXIT_IO] = {run_vcpu_on_io, RUN_EXIT_IO},
        [KVM_EXIT_HLT] = {on_user_apic, RUN_EXIT_OTHER},
        [KVM_EXIT_MMIO] = {run_vcpu_on_mmio, RUN_EXIT_MMIO},
        [KVM_EXIT_INTR] = {on_nothing, RUN_EXIT_INTR},
        [KVM_EXIT_SET_TPR] = {on_user_apic, RUN_EXIT_OTHER},
        [KVM_EXIT_IRQ_WINDOW_OPEN] = {on_nothing, RUN_EXIT_OTHER},
        [KVM_EXIT_SHUTDOWN] = {on_shutdown, RUN_EXIT_SHUTDOWN},
        [KVM_EXIT_INTERNAL_ERROR] = {on_internal_error, RUN_EXIT_OTHER},
        [KVM_EXIT_FAIL_ENTRY] = {on_fail_entry, RUN_EXIT_OTHER},
        [KVM_EXIT_SYSTEM_EVENT] = {on_system_event, RUN_EXIT_SYSTEM_EVENT},
        [KVM_EXIT_HYPERCALL] = {run_vcpu_on_hypercall, RUN_EXIT_HYPERCALL},
        [KVM_EXIT_X86_RDMSR] = {run_vcpu_on_msr, RUN_EXIT_MSR},
        [KVM_EXIT_X86_WRMSR] = {run_vcpu_on_msr, RUN_EXIT_MSR},
        [KVM_EXIT_AP_RESET_HOLD] = {on_user_apic, RUN_EXIT_OTHER},
        [UAPI_EXIT_MEMORY_FAULT] = {run_vcpu_on_memory_fault, RUN_EXIT_MEMORY_FAULT},
        [UAPI_EXIT_SNP_REQ_CERTS] = {run_vcpu_on_req_certs, RUN_EXIT_OTHER},
};

static bool is_known(uint32_t reason)
{
	return reason < ARRAY_LEN(rows) && rows[reason].handle;
}

enum run_exit run_vcpu_exit_kind(uint32_t reason)
{
	return is_known(reason) ? rows[reason].kind : RUN_EXIT_OTHER;
}

const char *run_exit_name(enum run_exit exit)
{
	static const char *const names[RUN_EXITS] = {
	        [RUN_EXIT_IO] = "io",
	        [RUN_EXIT_MMIO] = "mmio",
	        [RUN_EXIT_INTR] = "intr",
	        [RUN_EXIT_HYPERCALL] = "hypercall",
	        [RUN_EXIT_MSR] = "msr",
	        [RUN_EXIT_MEMORY_FAULT] = "memory-fault",
	        [RUN_EXIT_SYSTEM_EVENT] = "system-event",
	        [RUN_EXIT_SHUTDOWN] = "shutdown",
	        [RUN_EXIT_OTHER] = "other",
	};

	return names[exit];
}

enum run_vcpu_verdict run_vcpu_on_exit(struct run_vcpu *vcpu)
{
	uint32_t reason = vcpu->kvm->run->exit_reason;

	if (reason != UAPI_EXIT_MEMORY_FAULT)
		vcpu->idle_faults = 0;
	if (is_known(reason))
		return rows[reason].handle(vcpu);
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "KVM left the guest for a reason that vmm does not know: %u (%s)", reason,
	        host_exit_name(reason) ?: "unnamed");
}
