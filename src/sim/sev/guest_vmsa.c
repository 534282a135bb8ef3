/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_vmsa: the registers with which a SEV-SNP guest starts another of its processors. The guest prepares a
 * VMSA in a private page of its own, makes the page a VMSA (RMPADJUST), and asks for AP creation:
 *
 *     the asking vCPU: check, leave the address at the target --> KVM_REQUEST_UPDATE_PROTECTED_STATE
 *     the target:      INIT, take the address --> look at the page, load the registers --> run
 *
 * The page is looked at each time the target enters the guest, so a page that is gone ends KVM_RUN. What the
 * guest put there stays: the processor does not bring its registers back, and two vCPUs with one VMSA both
 * run, where hardware lets the second one wait. Law: the GHCB specification (AMD 56421), 4.1.9; APM
 * 2, 15.36.12; Linux's sev_snp_ap_creation(), Linux's sev_snp_init_protected_guest_state().
 */
#include "cpu/ram.h"
#include "rmp.h"
#include "vmsa.h"

/* A processor with erratum 1467 takes an access to the large page around such a VMSA for one to the VMSA. */
#define ERRATUM_BYTES MIB(2)

/* ---- the target ---- */

/* kvm_vm.irq_lock is held. */
void sev_vcpu_init(struct kvm_vcpu *v)
{
	struct sev_guest_vmsa *g = &v->sev->guest_vmsa;

	if (!g->waiting)
		return;
	g->gpa = g->pending;
	g->waiting = g->loaded = false;
	g->taken = true;
	v->mp_state = g->gpa == SEV_NO_VMSA ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
}

/* KVM allows the features of the VM, and the processor insists on SEV-SNP. No other VMPL than 0 is built. */
static bool is_good(const struct kvm_vcpu *v, const struct abi_vmsa *vmsa)
{
	return vmsa->sev_features & ABI_FEATURE_SNP && !(vmsa->sev_features & ~v->vm->sev->vmsa_features) &&
	       !vmsa->vmpl;
}

static bool load(struct kvm_vcpu *v, const uint8_t *page)
{
	struct abi_vmsa vmsa;
	bool loaded;

	ram_copy(&vmsa, page, sizeof(vmsa));
	loaded = is_good(v, &vmsa) && sev_vmsa_load(v, &vmsa);
	if (loaded)
		sev_vcpu_set_vc(v, vmsa.sev_features);
	crypto_wipe(&vmsa, sizeof(vmsa));
	return loaded;
}

bool sev_guest_vmsa_enter(struct kvm_vcpu *v)
{
	struct sev_guest_vmsa *g = &v->sev->guest_vmsa;
	const uint8_t *page;

	pthread_mutex_lock(&v->vm->lock);
	page = g->gpa == SEV_NO_VMSA ? NULL : sev_rmp_vmsa(v->vm, g->gpa);
	g->loaded = page && (g->loaded || load(v, page));
	pthread_mutex_unlock(&v->vm->lock);
	return g->loaded;
}

/* ---- the request ---- */

static bool may_create(const struct kvm_vcpu *v, uint64_t gpa)
{
	return v->sev->stale.regs.rax == v->vm->sev->vmsa_features &&
	       !(gpa & ~(cpu_phys_mask(v->cpu) | v->vm->bus.c_bit)) && is_aligned(gpa, PAGE_SIZE_BYTES) &&
	       !is_aligned(gpa, ERRATUM_BYTES);
}

static void leave_for(struct kvm_vcpu *target, uint64_t gpa, bool at_once)
{
	pthread_mutex_lock(&target->vm->irq_lock);
	target->sev->guest_vmsa.pending = gpa;
	target->sev->guest_vmsa.waiting = true;
	if (at_once)
		kvm_vcpu_request(target, KVM_REQUEST_UPDATE_PROTECTED_STATE);
	pthread_mutex_unlock(&target->vm->irq_lock);
}

int sev_ghcb_on_ap_creation(struct kvm_vcpu *v)
{
	const struct abi_ghcb *ghcb = &v->sev->ghcb.guest;
	const unsigned request = ABI_GHCB_AP_REQUEST(ghcb->sw_exit_info_1);
	struct kvm_vcpu *target = kvm_vm_vcpu_by_id(v->vm, ABI_GHCB_AP_ID(ghcb->sw_exit_info_1));
	bool create = request == ABI_GHCB_AP_CREATE || request == ABI_GHCB_AP_CREATE_ON_INIT;

	if (!target || (!create && request != ABI_GHCB_AP_DESTROY) ||
	        (create && !may_create(v, ghcb->sw_exit_info_2)))
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
	leave_for(target, create ? ghcb->sw_exit_info_2 : SEV_NO_VMSA, request != ABI_GHCB_AP_CREATE_ON_INIT);
	return 1;
}
