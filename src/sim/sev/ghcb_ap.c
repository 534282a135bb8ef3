/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_ap: how the processors of a guest start whose registers KVM cannot set. The first SIPI lets a
 * processor run from the VMSA that was launched, whatever its vector is. From then on the guest's own code
 * waits in an AP Reset Hold, which INIT and SIPI end. Law: the GHCB specification (AMD 56421), 4.3; Linux's
 * arch/x86/kvm/svm/sev.c.
 */
#include "guest.h"

int sev_ghcb_hold(struct kvm_vcpu *v, enum sev_hold hold)
{
	v->sev->ghcb.hold = hold;
	return kvm_vcpu_halt(v, KVM_MP_STATE_AP_RESET_HOLD, KVM_EXIT_AP_RESET_HOLD);
}

/* kvm_vm.irq_lock is held. */
bool sev_vcpu_sipi(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;

	if (!v->vm->sev->es)
		return false;
	if (!g->sipi_received)
		g->sipi_received = true;
	else if (g->hold == SEV_HOLD_EVENT)
		sev_ghcb_done(v, 1);
	else if (g->hold == SEV_HOLD_MSR)
		g->msr = ABI_GHCB_MSR_OF(1, ABI_GHCB_MSR_RESET_HOLD);
	return true;
}
