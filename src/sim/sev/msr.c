/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr: which MSRs of a SEV-ES guest KVM intercepts; the processor raises #VC for these. The others are the
 * guest's alone, because the processor keeps them in the VMSA. Runs on the vCPU's thread, or with
 * kvm_vcpu.lock held. Law: svm_recalc_msr_intercepts() and sev_es_prevent_msr_access() of Linux's
 * arch/x86/kvm/svm/svm.c, sev_es_recalc_msr_intercepts() of sev.c.
 */
#include "kvm/msr.h"
#include "guest.h"
#include "kvm/registers.h"

#define MSR_TSC_AUX 0xc0000103u
#define EDX_RDTSCP  0x8000000u /* of CPUID 8000_0001 */
#define ECX_RDPID   0x400000u  /* of CPUID 7 */

/* MSRs that KVM lets every such guest access. */
static const struct {
	uint32_t first, last;
} passed[] = {
        {0x174, 0x174},           /* SYSENTER_CS */
        {0x1d9, 0x1d9},           /* DEBUGCTL, whose branch records SEV-ES virtualises */
        {0x1db, 0x1de},           /* the last branch and interrupt */
        {0x277, 0x277},           /* PAT */
        {0xc0000080, 0xc0000084}, /* EFER, STAR, LSTAR, CSTAR, SFMASK */
        {0xc0000100, 0xc0000102}, /* FS.base, GS.base, KernelGSbase */
};

/* Without virtualisation of TSC_AUX (CPUID 8000_001F) KVM has to intercept it. */
static bool tsc_aux_passes(const struct kvm_vcpu *v)
{
	const struct kvm_cpuid_entry2 *late = kvm_vcpu_cpuid_leaf(v, 0x80000001),
	                              *features = kvm_vcpu_cpuid_leaf(v, 7);

	return sev_hardware_has(sev_platform_of(v->vm), SEV_HARDWARE_TSC_AUX) &&
	       ((late && late->edx & EDX_RDTSCP) || (features && features->ecx & ECX_RDPID));
}

static bool passes(const struct kvm_vcpu *v, uint32_t index)
{
	/* AMD's processors keep 32 bits of these, so KVM emulates them for a guest that has an Intel CPUID.
	 */
	if (index == 0x175 || index == 0x176)
		return v->cpu->amd;
	if (index == MSR_TSC_AUX)
		return tsc_aux_passes(v);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		if (index >= passed[i].first && index <= passed[i].last)
			return true;
	return false;
}

/* XSS is not among them: KVM reaches it although the processor keeps it. */
bool sev_vcpu_hides_msr(const struct kvm_vcpu *v, uint32_t index)
{
	return v->sev && v->protected && kvm_vcpu_msr_allowed((void *)(uintptr_t)v, true, index) &&
	       (index == KVM_MSR_GHCB || passes(v, index));
}

/* With Secure TSC a guest reads the rate of its TSC without KVM. */
static bool reads_tsc_rate(const struct kvm_vcpu *v, bool write, uint32_t index)
{
	return index == KVM_MSR_GUEST_TSC_FREQ && !write &&
	       v->vm->sev->vmsa_features & ABI_FEATURE_SECURE_TSC;
}

bool sev_vcpu_msr_intercepted(void *ctx, bool write, uint32_t index)
{
	if (reads_tsc_rate(ctx, write, index))
		return !kvm_vcpu_msr_allowed(ctx, write, index);
	return !passes(ctx, index) || !kvm_vcpu_msr_allowed(ctx, write, index);
}
