/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_sev: a SEV-ES or SEV-SNP guest ends itself, with a reason. The vCPU's thread. The guest writes the
 * reason, so it is read once and used for words alone.
 * Law: GHCB (56421), 2.3.1 and 4.1, Termination Request; kernel asm/sev-common.h and edk2's AmdSev.asm for
 * the reasons.
 */
#include "vcpu.h"
#include "vmm/abi/ghcb.h"
#include "vmm/uapi.h"

/* Set 0 is the protocol's. Linux and OVMF both use set 1; what OVMF says there comes before any kernel. */
static const char *const set_0[] = {
        "general",
        "the GHCB protocol version is not supported",
        "SEV-SNP features that it needs are not supported",
};
static const char *const set_1[] = {
        "the GHCB could not be registered",
        "a page state change failed (Linux), or a #VC came too early (OVMF)",
        "PVALIDATE failed (Linux), or the host gave a wrong answer (OVMF)",
        "it does not run at VMPL 0",
        "the CPUID page is wrong",
        "asking the hypervisor for CPUID failed",
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

/*
 * KVM gives the MSR of the GHCB. It holds the request, or the address of the page in which the request is
 * (SW_EXITINFO1: the set in bits 3:0, the code in bits 11:4).
 */
static bool read_reason(const struct run_vcpu *vcpu, uint64_t msr, unsigned *ret_set, unsigned *ret_code)
{
	uint64_t words[2]; /* sw_exit_code, sw_exit_info_1 */

	if ((msr & ABI_GHCB_MSR_CODE) == ABI_GHCB_MSR_TERMINATE) {
		*ret_set = msr >> 12 & 15;
		*ret_code = msr >> 16 & 0xff;
		return true;
	}
	if (msr & ABI_GHCB_MSR_CODE ||
	        page_read(machine_vm_memory(vcpu->vm), gpa(msr + offsetof(struct abi_ghcb, sw_exit_code)),
	                words, sizeof(words)) < 0)
		return false;
	*ret_set = words[1] & 15;
	*ret_code = words[1] >> 4 & 0xff;
	return words[0] == ABI_GHCB_TERMINATE;
}

enum run_vcpu_verdict run_vcpu_on_sev_term(struct run_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->kvm->run;
	uint64_t msr = run->system_event.ndata ? run->system_event.data[0] : 0;
	unsigned set = 0, code = 0;
	bool known = read_reason(vcpu, msr, &set, &code);

	vcpu->panic = RUN_PANIC_SEV;
	vcpu->sev_set = set;
	vcpu->sev_code = code;
	if (!known)
		return run_vcpu_end(vcpu, RUN_VCPU_CRASH,
		        "the guest ended itself (SEV termination request, GHCB MSR 0x%llx): it gave no "
		        "reason, or used the GHCB in a way that KVM refuses",
		        (unsigned long long)msr);
	return run_vcpu_end(vcpu, RUN_VCPU_CRASH,
	        "the guest ended itself (SEV termination request): %s (reason set %u, code %u)%s",
	        reason_text(set, code), set, code,
	        set == 0 && code == 0 ? ", often because it does not accept something of this host" : "");
}
