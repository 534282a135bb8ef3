/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the save areas that hold a vCPU's registers (vmsa.c, vcpu.c, guest_vmsa.c).
 */
#ifndef SEV_VMSA_H
#define SEV_VMSA_H

#include "command.h"

/*
 * Makes the VMSA as KVM does from the vCPU's state (sev_es_sync_vmsa). legacy: of KVM_SEV_ES_INIT, without
 * the FPU.
 */
void sev_vmsa_build(const struct kvm_vcpu *v, uint64_t features, bool legacy, struct abi_vmsa *ret_vmsa);

/*
 * Gives the vCPU the registers of a VMSA that its guest made, and the rest the values that INIT gives.
 * Returns false, and nothing is right any more, if the processor would not run with them (APM 2, 15.5.1).
 */
bool sev_vmsa_load(struct kvm_vcpu *v, const struct abi_vmsa *vmsa);

/* A command of the firmware on a VMSA at a system physical address. Returns the firmware's code. */
typedef uint32_t sev_vmsa_fn(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa);

/*
 * Makes the VMSA of each vCPU in turn and gives it to the firmware through the /dev/sev behind fd: SEV-ES
 * takes the descriptor of its start, SEV-SNP that of the call. Returns 0 or a negated errno; -EINVAL if a
 * vCPU is protected already, or has a debugger.
 */
int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update, int fd);

#endif
