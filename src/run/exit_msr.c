/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_msr: the register by which a SEV or SEV-ES guest says whether it may be migrated, which KVM leaves to
 * vmm. The vCPU's thread. Law: the kernel's Documentation/virt/kvm/x86/msr.rst, MSR_KVM_MIGRATION_CONTROL;
 * api.rst, KVM_EXIT_X86_RDMSR.
 */
#include <asm/kvm_para.h>

#include "vcpu.h"

enum run_vcpu_verdict run_vcpu_on_msr(struct run_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->kvm->run;

	if (run->msr.index != MSR_KVM_MIGRATION_CONTROL || !machine_config(vcpu->machine)->sev.page_status)
		return run_vcpu_end(vcpu, RUN_VCPU_FAIL, "KVM passes on MSR 0x%x, which vmm did not ask for",
		        run->msr.index);
	/* KVM turns an error into #GP. */
	run->msr.error = 0;
	if (run->exit_reason == KVM_EXIT_X86_RDMSR)
		run->msr.data = machine_vm_may_migrate(vcpu->vm) ? KVM_MIGRATION_READY : 0;
	else if (run->msr.data & ~(uint64_t)KVM_MIGRATION_READY)
		run->msr.error = 1;
	else
		machine_vm_set_may_migrate(vcpu->vm, run->msr.data & KVM_MIGRATION_READY);
	return RUN_VCPU_RESUME;
}
