/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_sev: a SEV-ES or SEV-SNP guest ends itself, with a reason. The vCPU's thread.
 * Law: GHCB (56421), 2.3.1 Termination Request; kernel asm/sev-common.h and edk2 for the reasons.
 */
#include "vcpu.h"
#include "vmm/uapi.h"

#define GHCB_MSR_TERM      0x100
#define GHCB_MSR_INFO_MASK 0xfff

/* Set 0 is the protocol's, set 1 Linux'. */
static const char *const set_0[] = {
        "general",
        "the GHCB protocol version is not supported",
        "SEV-SNP features that it needs are not supported",
};
static const char *const set_1[] = {
        "the GHCB could not be registered",
        "a page state change failed",
        "PVALIDATE failed",
        "it does not run at VMPL 0",
        "the CPUID page is wrong",
        "the CPUID page does not name the hypervisor's leaves",
        "the secrets page is wrong",
        "there is no SVSM",
        "the SVSM runs at VMPL 0",
        "the SVSM calling area is wrong",
        "secure TSC failed",
        "the SVSM calling area could not be moved",
        "secure AVIC failed",
};

static const char *reason_text(unsigned set, unsigned code)
{
	if (set == 0 && code < ARRAY_LEN(set_0))
		return set_0[code];
	if (set == 1 && code < ARRAY_LEN(set_1))
		return set_1[code];
	return "a reason that vmm does not know";
}

enum run_vcpu_verdict run_vcpu_on_sev_term(struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;
	uint64_t msr = run->system_event.ndata ? run->system_event.data[0] : 0;
	unsigned set = msr >> 12 & 15, code = msr >> 16 & 0xff;

	vcpu->panic = RUN_PANIC_SEV;
	vcpu->sev_set = set;
	vcpu->sev_code = code;
	/* A request through the GHCB's page leaves the page's address here. */
	if ((msr & GHCB_MSR_INFO_MASK) != GHCB_MSR_TERM)
		return run_vcpu_end(vcpu, RUN_VCPU_CRASH,
		        "the guest ended itself (SEV termination request, GHCB MSR 0x%llx): it gave no "
		        "reason, "
		        "or used the GHCB in a way that KVM refuses",
		        (unsigned long long)msr);
	return run_vcpu_end(vcpu, RUN_VCPU_CRASH,
	        "the guest ended itself (SEV termination request): %s (reason set %u, code %u)%s",
	        reason_text(set, code), set, code,
	        set == 0 && code == 0 ? ", often because it does not accept something of this host" : "");
}
