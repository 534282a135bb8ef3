/*
 * kvm_sev_vcpu: what a vCPU of a guest with memory encryption does otherwise: may it run, what of it may the
 * VMM still see, how a wrong view of memory leaves. sim_vcpu.lock. Law: api.rst, KVM_RUN, KVM_GET_REGS,
 * KVM_EXIT_MEMORY_FAULT; sev-es and sev.c of KVM (guest_state_protected).
 */
#include <errno.h>

#include "sev/sev.h"

#define SVM_EXIT_ERR 0xffffffffu

int vcpu_sev_create(struct sim_vcpu *v)
{
	if (v->vm->type == UAPI_VM_DEFAULT && !v->vm->sev->active)
		return 0;
	v->sev = calloc(1, sizeof(*v->sev));
	return v->sev ? 0 : -ENOMEM;
}

/* The page of a VMSA is the kernel's own, and its frame goes along with it. NULL: no memory. */
static struct abi_vmsa *vmsa_make(struct sim_processor *secure)
{
	struct abi_vmsa *vmsa = aligned_alloc(PAGE_SIZE_BYTES, sizeof(*vmsa));

	if (vmsa && !spa_place(secure, vmsa, (uintptr_t)vmsa, sizeof(*vmsa)))
		free(take_ptr(&vmsa));
	return vmsa;
}

static void vmsa_free(struct sim_processor *secure, struct abi_vmsa *vmsa)
{
	if (vmsa)
		spa_forget(secure, vmsa);
	free(vmsa);
}

void vcpu_sev_destroy(struct sim_vcpu *v)
{
	if (!v->sev)
		return;
	vmsa_free(v->vm->sim->secure, v->sev->vmsa);
	free(v->sev->held);
	free(v->sev);
	v->sev = NULL;
}

/* The processor refuses a VMSA that is not encrypted, and an ASID without a key. */
static bool can_enter(const struct sim_vcpu *v)
{
	const struct sim_sev *sev = v->vm->sev;

	if (sev->es && !v->sev->protected)
		return false;
	return vm_is_snp(v->vm) || psp_cipher(v->vm->sim->secure->psp, sev->asid);
}

int vcpu_sev_enter(struct sim_vcpu *v)
{
	/* Its context went away while this KVM_RUN waited for the vCPU: KVM_REQ_VM_DEAD. */
	if (atomic_load(&v->vm->dead))
		return -EIO;
	if (v->vm->sev->need_init)
		return -EINVAL;
	if (can_enter(v))
		return 1;
	v->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	v->run->fail_entry.hardware_entry_failure_reason = SVM_EXIT_ERR;
	v->run->fail_entry.cpu = 0;
	return 0;
}

void vcpu_sev_miss_ghcb(struct sim_vcpu *v)
{
	if (v->sev && v->vm->sev->es)
		v->sev->ghcb_uses++;
}

int vcpu_sev_leave_fault(struct sim_vcpu *v)
{
	const struct sim_exit_info *info = &v->cpu->exit_info;
	const struct uapi_memory_fault fault = {
	        .flags = info->fault.private ? UAPI_MEMORY_EXIT_PRIVATE : 0,
	        .gpa = info->fault.gpa,
	        .size = PAGE_SIZE_BYTES,
	};

	v->run->exit_reason = UAPI_EXIT_MEMORY_FAULT;
	__builtin_memcpy(&v->run->hw, &fault, sizeof(fault));
	return -EFAULT;
}

/* ---- protected registers ---- */

static const unsigned long of_the_guest[] = {KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS,
        KVM_GET_SREGS2, KVM_SET_SREGS2, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, KVM_GET_XCRS, KVM_SET_XCRS,
        KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XSAVE2, KVM_SET_GUEST_DEBUG, KVM_GET_FPU, KVM_SET_FPU};

/* The VM type of KVM_SEV_ES_INIT promises nothing: what was there before is read and written, in vain. */
static bool stale_access(struct sim_vcpu *v, unsigned long request, uintptr_t user, int *ret_result)
{
	struct sim_vcpu_sev *s = v->sev;

	switch (request) {
	case KVM_GET_REGS:
		*ret_result = sim_copy_out(user, &s->stale.regs, sizeof(s->stale.regs));
		return true;
	case KVM_SET_REGS:
		*ret_result = sim_copy_in(&s->stale.regs, user, sizeof(s->stale.regs));
		return true;
	case KVM_GET_SREGS:
		*ret_result = sim_copy_out(user, &s->stale.sregs, sizeof(s->stale.sregs));
		return true;
	case KVM_SET_SREGS:
		*ret_result = sim_copy_in(&s->stale.sregs, user, sizeof(s->stale.sregs));
		return true;
	case KVM_GET_FPU:
	case KVM_SET_FPU:
	case KVM_GET_XSAVE:
	case KVM_GET_XSAVE2:
	case KVM_SET_XSAVE: *ret_result = 0; return true;
	case KVM_SET_GUEST_DEBUG: *ret_result = -EINVAL; return true;
	default: return false;
	}
}

bool vcpu_sev_refuses(struct sim_vcpu *v, unsigned long request, uintptr_t user, int *ret_result)
{
	if (!v->sev->protected)
		return false;
	if (v->vm->type == UAPI_VM_DEFAULT)
		return stale_access(v, request, user, ret_result);
	for (size_t i = 0; i < ARRAY_LEN(of_the_guest); i++) {
		if (of_the_guest[i] == request) {
			*ret_result = -EINVAL;
			return true;
		}
	}
	return false;
}

/* ---- VMSAs ---- */

static void keep_stale(struct sim_vcpu *v)
{
	sim_cpu_get_regs(v->cpu, &v->sev->stale.regs);
	sim_cpu_get_sregs(v->cpu, &v->sev->stale.sregs);
	v->sev->stale.sregs.apic_base = v->lapic.base;
}

#define DR7_FIXED 0x400u

static int vmsa_update(struct sev_call *call, struct sim_vcpu *v, sev_vmsa_fn *update)
{
	bool legacy = call->vm->type == UAPI_VM_DEFAULT;
	uint64_t size = sizeof(*v->sev->vmsa), spa;
	int result;

	if (v->sev->protected || v->cpu->dr[7] & ~(uint64_t)DR7_FIXED)
		return -EINVAL;
	if (!v->sev->vmsa)
		v->sev->vmsa = vmsa_make(call->vm->sim->secure);
	if (!v->sev->vmsa)
		return -ENOMEM;
	vmsa_build(v, call->sev->vmsa_features, legacy, v->sev->vmsa);
	if (legacy)
		keep_stale(v);
	result = sev_device(call, call->sev->fd);
	spa = spa_of(call->vm->sim->secure, v->sev->vmsa, (uintptr_t)v->sev->vmsa, &size);
	if (result == 0)
		result = sev_result(call, update(call, v->sev->vmsa, spa));
	v->sev->protected = result == 0;
	return result;
}

int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update)
{
	struct sim_vcpu *v;
	int result = 0;

	for (unsigned i = 0; result == 0 && (v = vm_vcpu(call->vm, i)); i++) {
		pthread_mutex_lock(&v->lock);
		result = vmsa_update(call, v, update);
		pthread_mutex_unlock(&v->lock);
	}
	return result;
}
