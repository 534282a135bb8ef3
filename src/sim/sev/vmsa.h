/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmsa: the save areas that hold a vCPU's registers (vmsa.c, vcpu.c).
 */
#ifndef SEV_VMSA_H
#define SEV_VMSA_H

#include "command.h"

/*
 * Makes the VMSA as KVM does from the vCPU's state (sev_es_sync_vmsa). legacy: of KVM_SEV_ES_INIT, without
 * the FPU.
 */
void sev_vmsa_build(const struct kvm_vcpu *v, uint64_t features, bool legacy, struct abi_vmsa *ret_vmsa);

/* A command of the firmware on a VMSA at a system physical address. Returns the firmware's code. */
typedef uint32_t sev_vmsa_fn(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa);

/*
 * Makes the VMSA of each vCPU in turn and gives it to the firmware through the /dev/sev behind fd: SEV-ES
 * takes the descriptor of its start, SEV-SNP that of the call. Returns 0 or a negated errno; -EINVAL if a
 * vCPU is protected already, or has a debugger.
 */
int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update, int fd);

#endif
