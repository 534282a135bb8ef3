/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: how memory encryption changes a vCPU: whether it may run, how it leaves when it touches a page with
 * the wrong C-bit, how its VMSA is made. Runs with kvm_vcpu.lock held. Law: api.rst, KVM_RUN,
 * KVM_EXIT_MEMORY_FAULT; Linux's arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>

#include "kvm/gmem.h"
#include "kvm/msr.h"
#include "spa.h"
#include "vmsa.h"

/* 64 bits since Linux 7.0 (uapi/asm/svm.h); older kernels say ffffffff. */
#define SVM_EXIT_ERR UINT64_MAX

int sev_vcpu_create(struct kvm_vcpu *v)
{
	if (v->vm->type < UAPI_VM_SEV && !v->vm->encrypted)
		return 0;
	v->sev = calloc(1, sizeof(*v->sev));
	if (!v->sev)
		return -ENOMEM;
	if (v->vm->sev->es)
		sev_ghcb_reset(v);
	return 0;
}

/*
 * Makes a VMSA. It lies in a page of the kernel, which has its own frame, also after a move. Returns NULL if
 * there is no memory.
 */
static struct abi_vmsa *vmsa_make(struct sev_platform *secure)
{
	struct abi_vmsa *vmsa = aligned_alloc(PAGE_SIZE_BYTES, sizeof(*vmsa));

	if (vmsa && !sev_spa_place(secure, vmsa, (uintptr_t)vmsa, sizeof(*vmsa)))
		free(take_ptr(&vmsa));
	return vmsa;
}

static void vmsa_free(struct sev_platform *secure, struct abi_vmsa *vmsa)
{
	if (vmsa)
		sev_spa_forget(secure, vmsa);
	free(vmsa);
}

void sev_vcpu_destroy(struct kvm_vcpu *v)
{
	if (!v->sev)
		return;
	vmsa_free(sev_platform_of(v->vm), v->sev->vmsa);
	sev_ghcb_finish(&v->sev->ghcb);
	free(v->sev->held);
	free(v->sev);
	v->sev = NULL;
}

/*
 * The processor refuses to enter a guest whose VMSA is not encrypted, or not a good one, or whose ASID has no
 * key.
 */
static bool can_enter(struct kvm_vcpu *v)
{
	const struct sev_guest *sev = v->vm->sev;

	if (sev->es && !v->protected)
		return false;
	if (sev_is_snp(v->vm))
		return !v->sev->guest_vmsa.taken || sev_guest_vmsa_enter(v);
	return psp_cipher(sev_platform_of(v->vm)->psp, sev->asid);
}

int sev_vcpu_pre_run(struct kvm_vcpu *v)
{
	/*
	 * The context was moved away while this KVM_RUN waited for the vCPU (the kernel's KVM_REQ_VM_DEAD).
	 */
	if (atomic_load(&v->vm->dead))
		return -EIO;
	return v->vm->sev->need_init ? -EINVAL : 1;
}

int sev_vcpu_enter(struct kvm_vcpu *v)
{
	if (can_enter(v))
		return 1;
	v->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	v->run->fail_entry.hardware_entry_failure_reason = SVM_EXIT_ERR;
	v->run->fail_entry.cpu = 0;
	return 0;
}

/* In MHz; the TSC's rate is a little lower, as the secrets page and the TSC information tell (TSC_FACTOR). */
#define NOMINAL_TSC_MHZ (KVM_TSC_KHZ * UINT64_C(100000) / (100000 - PSP_TSC_FACTOR) / 1000)

/*
 * The GHCB's MSR is there with SEV-ES. SEV_STATUS is read-only, and says what protects the guest (APM 2,
 * 15.34.10, 15.35.7, 15.36.2). GUEST_TSC_FREQ is there with Secure TSC (15.36.18).
 */
bool sev_vcpu_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value)
{
	const struct sev_guest *sev = v->vm->sev;

	if (!v->sev || !v->vm->encrypted)
		return false;
	if (index == KVM_MSR_GHCB && sev->es) {
		if (write)
			v->sev->ghcb.msr = *value;
		*value = v->sev->ghcb.msr;
		return true;
	}
	if (index == KVM_MSR_GUEST_TSC_FREQ && !write && sev->vmsa_features & ABI_FEATURE_SECURE_TSC) {
		*value = NOMINAL_TSC_MHZ;
		return true;
	}
	if (index != KVM_MSR_SEV_STATUS || write)
		return false;
	*value = 1 | (sev->es ? 2 : 0) | sev->vmsa_features << 2;
	return true;
}

/* Without SEV-SNP no C-bit says what an access is: KVM's attribute does. */
static bool is_private_fault(const struct kvm_vcpu *v, const struct cpu_exit_info *info)
{
	return sev_is_snp(v->vm) ? info->fault.private
	                         : v->vm->type == UAPI_VM_SW_PROTECTED &&
	                                   kvm_vm_page_is_private(v->vm, info->fault.gpa);
}

int sev_vcpu_leave_fault(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;
	const struct uapi_memory_fault fault = {
	        .flags = is_private_fault(v, info) ? UAPI_MEMORY_EXIT_PRIVATE : 0,
	        .gpa = info->fault.gpa,
	        .size = PAGE_SIZE_BYTES,
	};

	v->run->exit_reason = UAPI_EXIT_MEMORY_FAULT;
	__builtin_memcpy(&v->run->hw, &fault, sizeof(fault));
	return -EFAULT;
}

/* ---- VMSAs ---- */

#define DR7_FIXED 0x400u

/* KVM lets DR7 be intercepted unless the processor switches the debug registers (DebugSwap). */
void sev_vcpu_set_vc(struct kvm_vcpu *v, uint64_t features)
{
	cpu_set_vc(v->cpu, CPU_VC_ON | (features & ABI_FEATURE_DEBUG_SWAP ? 0 : CPU_VC_DR7));
}

/*
 * Makes the registers the guest's. Only SEV-ES hides the FPU as well; Linux's snp_launch_update_vmsa() does
 * not.
 */
static void protect(struct kvm_vcpu *v)
{
	sev_vcpu_keep_stale(v);
	v->protected = true;
	v->sev->fpu_hidden = !sev_is_snp(v->vm);
	sev_vcpu_set_vc(v, v->vm->sev->vmsa_features);
}

static int vmsa_update(struct sev_call *call, struct kvm_vcpu *v, sev_vmsa_fn *update, int fd)
{
	bool legacy = call->vm->type == UAPI_VM_DEFAULT;
	uint64_t size = sizeof(*v->sev->vmsa), spa;
	int result;

	if (v->protected || v->guest_debug || v->cpu->dr[7] & ~(uint64_t)DR7_FIXED)
		return -EINVAL;
	if (!v->sev->vmsa)
		v->sev->vmsa = vmsa_make(sev_platform_of(call->vm));
	if (!v->sev->vmsa)
		return -ENOMEM;
	sev_vmsa_build(v, call->sev->vmsa_features, legacy, v->sev->vmsa);
	result = sev_check_device(call, fd);
	spa = sev_spa_of(sev_platform_of(call->vm), v->sev->vmsa, (uintptr_t)v->sev->vmsa, &size);
	if (result < 0)
		return result;
	result = sev_result(call, update(call, v->sev->vmsa, spa));
	if (result < 0)
		return result;
	protect(v);
	return 0;
}

int sev_vmsas_update(struct sev_call *call, sev_vmsa_fn *update, int fd)
{
	struct kvm_vcpu *v;
	int result = 0;

	for (unsigned i = 0; result == 0 && (v = kvm_vm_vcpu(call->vm, i)); i++) {
		pthread_mutex_lock(&v->lock);
		result = vmsa_update(call, v, update, fd);
		pthread_mutex_unlock(&v->lock);
	}
	return result;
}
