/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pv: what KVM offers guests that know it: a clock in their memory, the time that was stolen from them, and
 * which of all this a guest may use.
 */
#ifndef KVM_PV_H
#define KVM_PV_H

#include "vcpu.h"

/* The number after the last of KVM's own MSRs, of which some are here (pv.c). */
#define KVM_PV_MSRS 6

/* The MSRs that the VMM saves and restores. */
extern const uint32_t kvm_pv_msrs[KVM_PV_MSRS];

/* Sets KVM's MSRs to their values after power-on. */
void kvm_vcpu_pv_reset(struct kvm_vcpu *vcpu);
/* May the guest use this feature of KVM's (KVM_FEATURE_*)? */
bool kvm_vcpu_pv_has(const struct kvm_vcpu *vcpu, unsigned feature);
/* Returns the features that KVM_GET_SUPPORTED_CPUID offers. */
uint32_t kvm_platform_pv_features(const struct kvm_platform *platform);
/* Is this one of KVM's MSRs that are here, and may the guest use it? */
bool kvm_vcpu_pv_knows_msr(const struct kvm_vcpu *vcpu, uint32_t index);
/* Reads or writes such an MSR. False: it does not take the value. */
bool kvm_vcpu_pv_msr(struct kvm_vcpu *vcpu, bool write, uint32_t index, uint64_t *value, bool by_host);
/* The vCPU's time has changed against the VM's clock. */
void kvm_vcpu_pv_retime(struct kvm_vcpu *vcpu);
/* Says the same of every vCPU of the VM. Any thread. */
void kvm_vm_pv_retime(struct kvm_vm *vm);
/* Brings what the guest reads in its memory up to date before the vCPU enters the guest. */
void kvm_vcpu_pv_enter(struct kvm_vcpu *vcpu);

/* ---- calls (struct kvm_call) ---- */

int kvm_vcpu_kvmclock_ctrl(void *object, void *arg, uintptr_t user); /* KVM_KVMCLOCK_CTRL */
int kvm_vcpu_enable_cap(void *object, void *arg, uintptr_t user);    /* KVM_ENABLE_CAP */

#endif
