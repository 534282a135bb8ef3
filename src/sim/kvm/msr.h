/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr: model-specific registers that are the platform's and not the processor's, and which of them a guest
 * may access (msr.c, mce.c, filter.c). by_host: the VMM makes the access, not the guest.
 */
#ifndef KVM_MSR_H
#define KVM_MSR_H

#include "vcpu.h"

#define KVM_MSR_GHCB           0xc0010130u
#define KVM_MSR_SEV_STATUS     0xc0010131u
#define KVM_MSR_GUEST_TSC_FREQ 0xc0010134u /* with Secure TSC */

/* The list of MSRs that the VMM saves and restores (KVM_GET_MSR_INDEX_LIST). */
const uint32_t *kvm_platform_msrs(uint32_t *ret_count);
/* MSRs whose value is the same for every vCPU (KVM_GET_MSR_FEATURE_INDEX_LIST), and such a value. */
const uint32_t *kvm_platform_features(uint32_t *ret_count);
bool kvm_platform_feature(uint32_t index, uint64_t *ret_value);

/* Set the MSRs to their values after a reset. */
void kvm_vcpu_msrs_reset(struct kvm_vcpu *vcpu);
void kvm_vcpu_mce_reset(struct kvm_vcpu *vcpu);
/* Reads or writes an MSR. False: there is no such MSR, or it does not take the value; a guest gets #GP(0). */
bool kvm_vcpu_msr(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);
/*
 * The first says whether the MSR is one of machine checks; the second does with such an MSR what
 * kvm_vcpu_msr() does with others.
 */
bool kvm_vcpu_mce_known(const struct kvm_vcpu *vcpu, uint32_t index);
bool kvm_vcpu_mce_msr(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);

/* For struct cpu_bus (msr_known, msr_allowed, msr_exits). */
bool kvm_vcpu_msr_known(void *ctx, bool write, uint32_t index);
bool kvm_vcpu_msr_allowed(void *ctx, bool write, uint32_t index);
bool kvm_vcpu_msr_exits(void *ctx, uint32_t reason);
/* Leaves the guest, for the VMM to answer the access to the MSR. Returns 0. */
int kvm_vcpu_leave_msr(struct kvm_vcpu *vcpu);
/* NULL is allowed. */
void kvm_vm_filter_free(struct kvm_filter *filter);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_set_msr_filter(void *object, void *arg, uintptr_t user);  /* KVM_X86_SET_MSR_FILTER */
int kvm_vcpu_get_msrs(void *object, void *arg, uintptr_t user);      /* KVM_GET_MSRS */
int kvm_vcpu_set_msrs(void *object, void *arg, uintptr_t user);      /* KVM_SET_MSRS */
int kvm_vcpu_setup_mce(void *object, void *arg, uintptr_t user);     /* KVM_X86_SETUP_MCE */
int kvm_vcpu_set_mce(void *object, void *arg, uintptr_t user);       /* KVM_X86_SET_MCE */
int kvm_system_get_mce_cap(void *object, void *arg, uintptr_t user); /* KVM_X86_GET_MCE_CAP_SUPPORTED */

#endif
