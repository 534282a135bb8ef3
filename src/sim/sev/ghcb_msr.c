/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_msr: the protocol in the GHCB's MSR, by which a guest asks before it has a page. Law: the GHCB
 * specification (AMD 56421), 2.3.1; Linux's arch/x86/kvm/svm/sev.c.
 */
#include "guest.h"

static int info(struct kvm_vcpu *v)
{
	sev_ghcb_reset(v);
	return 1;
}

/* Replaces bits 63:32 and the code. The bits between them stay. */
static int cpuid(struct kvm_vcpu *v)
{
	struct kvm_regs *regs = &v->sev->stale.regs;
	uint64_t msr = v->sev->ghcb.msr;

	regs->rax = ABI_GHCB_MSR_CPUID_FUNCTION(msr);
	regs->rcx = 0;
	sev_ghcb_cpuid(v);
	const uint64_t values[] = {regs->rax, regs->rbx, regs->rcx, regs->rdx};
	v->sev->ghcb.msr = values[ABI_GHCB_MSR_CPUID_REGISTER(msr)] << 32 |
	                   (msr & (UINT32_MAX & ~ABI_GHCB_MSR_CODE)) | ABI_GHCB_MSR_CPUID;
	return 1;
}

/* Result 0: not a SIPI ended the hold; sev_vcpu_sipi() makes it 1. */
static int reset_hold(struct kvm_vcpu *v)
{
	v->sev->ghcb.msr = ABI_GHCB_MSR_OF(0, ABI_GHCB_MSR_RESET_HOLD);
	return sev_ghcb_hold(v, SEV_HOLD_MSR);
}

static int features(struct kvm_vcpu *v)
{
	v->sev->ghcb.msr = ABI_GHCB_MSR_OF(SEV_GHCB_FEATURES, ABI_GHCB_MSR_FEATURES);
	return 1;
}

static int preferred(struct kvm_vcpu *v)
{
	v->sev->ghcb.msr = ABI_GHCB_MSR_OF(ABI_GHCB_MSR_NO_PREFERENCE, ABI_GHCB_MSR_PREFERRED);
	return 1;
}

static int register_page(struct kvm_vcpu *v)
{
	uint64_t frame = ABI_GHCB_MSR_DATA(v->sev->ghcb.msr);

	v->sev->ghcb.registered = ABI_GHCB_MSR_OF(frame, 0);
	v->sev->ghcb.msr = ABI_GHCB_MSR_OF(frame, ABI_GHCB_MSR_REGISTER);
	return 1;
}

static const struct {
	unsigned code;
	bool snp; /* a SEV-ES guest that asks is ended */
	sev_ghcb_fn *answer;
} requests[] = {
        {ABI_GHCB_MSR_INFO_ASK, false, info},
        {ABI_GHCB_MSR_CPUID_ASK, false, cpuid},
        {ABI_GHCB_MSR_RESET_HOLD_ASK, false, reset_hold},
        {ABI_GHCB_MSR_PREFERRED_ASK, true, preferred},
        {ABI_GHCB_MSR_REGISTER_ASK, true, register_page},
        {ABI_GHCB_MSR_PSC_ASK, true, sev_ghcb_psc_by_msr},
        {ABI_GHCB_MSR_FEATURES_ASK, false, features},
        {ABI_GHCB_MSR_TERMINATE, false, sev_ghcb_terminate},
};

/* The MSR stays as it is where KVM does not know the code. */
int sev_ghcb_msr_protocol(struct kvm_vcpu *v)
{
	unsigned code = v->sev->ghcb.msr & ABI_GHCB_MSR_CODE;

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].code == code)
			return requests[i].snp && !sev_is_snp(v->vm) ? sev_ghcb_terminate(v)
			                                             : requests[i].answer(v);
	}
	log_guest(LOG_DEBUG, "software platform: no answer to the GHCB's MSR 0x%llx",
	        (unsigned long long)v->sev->ghcb.msr);
	return 1;
}
