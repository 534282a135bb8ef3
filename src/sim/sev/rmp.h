/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmp: the reverse map table of SEV-SNP, as far as it is about guests: an entry for each page of a
 * guest_memfd (kvm_gmem.rmp). An entry is one word, so that processors and the VMM can change it at once
 * without a lock; it costs nothing until somebody touches its page. Any thread. Law: APM 2, 15.36.
 */
#ifndef SEV_RMP_H
#define SEV_RMP_H

#include "guest.h"
#include "kvm/gmem.h"
#include "vmm/sim.h"

/* For struct kvm_hooks: assigns the page, which the guest has yet to validate. */
void sev_rmp_prepare(struct kvm_gmem *gmem, uint64_t offset, uint64_t gpa);
/* Does the same for a launch. Returns false if the page is assigned already. */
bool sev_rmp_assign(struct kvm_gmem *gmem, uint64_t offset, uint64_t gpa);
/* Ends what sev_rmp_assign() began: the page is validated, or the host's again if it is not taken. */
void sev_rmp_launched(struct kvm_gmem *gmem, uint64_t offset, bool taken);

/*
 * Gets what attribute and entry of the page at gpa are. False: no guest_memfd is behind the slot there, if
 * there is one. kvm_vm.lock is held.
 */
bool sev_rmp_look(struct kvm_vm *vm, uint64_t gpa, struct sim_page_view *ret_view);

/*
 * Returns the page at gpa if it is a VMSA: validated, and made one by RMPADJUST; or NULL. kvm_vm.lock is
 * held.
 */
const uint8_t *sev_rmp_vmsa(struct kvm_vm *vm, uint64_t gpa);

/* For struct cpu_bus: what a SEV-SNP guest's access with the C-bit (private) or without it leads to. */
enum cpu_view sev_rmp_view(
        struct kvm_vm *vm, const struct cpu_slot *slot, uint64_t gpa, bool private, uint8_t **host);
enum cpu_view sev_rmp_execute(void *ctx, const struct cpu_slot *slot, struct cpu_rmp_call *call);

#endif
