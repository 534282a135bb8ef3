/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snp: the commands that launch a SEV-SNP guest. Runs with sev_guest.lock held. Law:
 * amd-memory-encryption.rst, KVM_SEV_SNP_LAUNCH_START to FINISH; Linux's snp_launch_update() and
 * kvm_gmem_populate().
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "kvm/gmem.h"
#include "rmp.h"
#include "vmsa.h"

/* The VM keeps a context only if the guest was started, so the caller may try again after a refusal. */
static int launch_start(struct sev_call *call, const struct uapi_sev_snp_launch_start *params)
{
	struct sev_guest *sev = call->sev;
	uint32_t gctx;
	int result;

	if (sev_result(call, psp_gctx_create(call->psp, &gctx)) < 0)
		return -ENOTTY;
	result = sev_result(call, psp_snp_launch_start(call->psp, gctx, params->policy, params->gosvw));
	if (result == 0)
		result = sev_result(call, psp_snp_activate(call->psp, gctx, sev->asid));
	if (result < 0) {
		psp_snp_decommission(call->psp, gctx);
		return result;
	}
	sev->gctx = gctx;
	sev->fd = (int)call->cmd->sev_fd;
	return 0;
}

int sev_snp_launch_start(struct sev_call *call)
{
	struct uapi_sev_snp_launch_start params;
	int result;

	if (!sev_is_snp(call->vm))
		return -ENOTTY;
	if (sev_copy_in(call, &params, sizeof(params)) < 0)
		return -EFAULT;
	if (call->sev->gctx || params.flags || params.policy & ~SEV_SNP_POLICY_BITS ||
	        !(params.policy & ABI_SNP_POLICY_MUST_BE_ONE))
		return -EINVAL;
	if (sev_check_device(call, (int)call->cmd->sev_fd) < 0)
		return -ENOTTY;
	pthread_mutex_lock(&sev_platform_of(call->vm)->driver_lock);
	result = launch_start(call, &params);
	pthread_mutex_unlock(&sev_platform_of(call->vm)->driver_lock);
	return result;
}

/* ---- pages ---- */

static bool type_is_known(uint8_t type)
{
	return type == ABI_PAGE_NORMAL || type == ABI_PAGE_ZERO || type == ABI_PAGE_UNMEASURED ||
	       type == ABI_PAGE_SECRETS || type == ABI_PAGE_CPUID;
}

static bool update_is_valid(const struct uapi_sev_snp_launch_update *params)
{
	bool placed = params->uaddr && is_aligned(params->uaddr, PAGE_SIZE_BYTES);

	return params->len && is_aligned(params->len, PAGE_SIZE_BYTES) && !params->flags &&
	       type_is_known(params->type) && (params->type == ABI_PAGE_ZERO || placed);
}

/*
 * Gives a page to the firmware. If the firmware refuses a CPUID page, the VMM gets the corrected page with
 * which it answers.
 */
static uint32_t give_page(
        struct sev_call *call, const struct uapi_sev_snp_launch_update *params, uint64_t gpa, uint8_t *page)
{
	uint32_t code = psp_snp_launch_update(
	        call->psp, call->sev->gctx, (enum abi_page_type)params->type, gpa, page);

	if (code == PSP_INVALID_PARAM && params->type == ABI_PAGE_CPUID &&
	        object_copy_out((uintptr_t)params->uaddr, page, PAGE_SIZE_BYTES) < 0)
		log_warn("software platform: the firmware corrected a CPUID page, but it cannot be written "
		         "back to the VMM");
	return code;
}

/* KVM wants to be able to write a corrected CPUID page back, even if the firmware has nothing to correct. */
static int take_source(const struct uapi_sev_snp_launch_update *params, uint64_t n, void *page)
{
	uint64_t from = params->uaddr + n * PAGE_SIZE_BYTES;

	if (params->type == ABI_PAGE_ZERO)
		return 0;
	if (params->type == ABI_PAGE_CPUID && !sev_is_there(from, PAGE_SIZE_BYTES, true))
		return -EFAULT;
	return object_copy_in(page, (uintptr_t)from, PAGE_SIZE_BYTES);
}

/*
 * Gives page number n of the update to the firmware. kvm_vm.lock is held, which stands for the kernel's
 * slots_lock.
 */
static int update_page(struct sev_call *call, const struct uapi_sev_snp_launch_update *params,
        const struct kvm_slot *row, uint64_t n)
{
	uint64_t gpa = params->gfn_start * PAGE_SIZE_BYTES + n * PAGE_SIZE_BYTES;
	uint64_t offset = row->region.guest_memfd_offset + (gpa - row->region.guest_phys_addr);
	uint8_t page[PAGE_SIZE_BYTES] = {0};
	int result = take_source(params, n, page);

	if (result < 0)
		return result;
	if (!kvm_vm_page_is_private(call->vm, gpa))
		return -EINVAL;
	if (!sev_rmp_assign(row->gmem, offset, gpa))
		return -EEXIST;
	result = sev_check_device(call, (int)call->cmd->sev_fd);
	if (result == 0)
		result = sev_result(call, give_page(call, params, gpa, page));
	if (result == 0)
		memcpy(row->gmem->pages + offset, page, sizeof(page));
	sev_rmp_launched(row->gmem, offset, result == 0);
	crypto_wipe(page, sizeof(page)); /* the firmware may have put the guest's keys there */
	return result;
}

static const struct kvm_slot *slot_of(struct kvm_vm *vm, uint64_t gfn)
{
	const struct kvm_slot *row = NULL;
	uint64_t gpa;

	if (mul_ok(gfn, PAGE_SIZE_BYTES, &gpa))
		row = kvm_vm_memory_slot(vm, gpa);
	return row && row->region.flags & UAPI_MEM_GUEST_MEMFD ? row : NULL;
}

/*
 * Returns how many pages were done before the first failure or the slot's end; -EIO if the first page
 * failed.
 */
static int64_t update_pages(
        struct sev_call *call, const struct uapi_sev_snp_launch_update *params, const struct kvm_slot *row)
{
	uint64_t first = params->gfn_start - row->region.guest_phys_addr / PAGE_SIZE_BYTES;
	uint64_t room = row->region.memory_size / PAGE_SIZE_BYTES - first, done = 0;
	uint64_t count = params->len / PAGE_SIZE_BYTES < room ? params->len / PAGE_SIZE_BYTES : room;

	while (row->gmem && done < count && update_page(call, params, row, done) == 0)
		done++;
	return done ? (int64_t)done : -EIO;
}

/* The caller gets the firmware's code only after a failure; it is 0 if the firmware was not asked. */
static int64_t update_slot(struct sev_call *call, const struct uapi_sev_snp_launch_update *params)
{
	const struct kvm_slot *row = slot_of(call->vm, params->gfn_start);
	uint32_t error = call->cmd->error;
	int64_t done;

	if (!row)
		return -EINVAL;
	call->cmd->error = 0;
	done = update_pages(call, params, row);
	if (done >= 0)
		call->cmd->error = error;
	return done;
}

int sev_snp_launch_update(struct sev_call *call)
{
	struct uapi_sev_snp_launch_update params;
	int64_t done;

	if (!sev_is_snp(call->vm) || !call->sev->gctx)
		return -EINVAL;
	if (sev_copy_in(call, &params, sizeof(params)) < 0)
		return -EFAULT;
	if (!update_is_valid(&params))
		return -EINVAL;
	pthread_mutex_lock(&call->vm->lock);
	done = update_slot(call, &params);
	pthread_mutex_unlock(&call->vm->lock);
	if (done < 0)
		return (int)done;
	params.gfn_start += (uint64_t)done;
	params.len -= (uint64_t)done * PAGE_SIZE_BYTES;
	if (params.type != ABI_PAGE_ZERO)
		params.uaddr += (uint64_t)done * PAGE_SIZE_BYTES;
	return sev_copy_out(call, &params, sizeof(params));
}

/* ---- the end ---- */

/* The firmware only hashes the VMSA. Encrypting it is not built. */
static uint32_t update_vmsa(struct sev_call *call, struct abi_vmsa *vmsa, uint64_t spa)
{
	return psp_snp_launch_update(call->psp, call->sev->gctx, ABI_PAGE_VMSA, ABI_VMSA_GPA, vmsa);
}

/* Copies as Linux's psp_copy_user_blob() does, with sizes that the kernel knows. */
static int take_id(
        const struct uapi_sev_snp_launch_finish *params, struct abi_id_block *block, struct abi_id_auth *auth)
{
	if (!params->id_block_uaddr)
		return -EINVAL;
	if (object_copy_in(block, (uintptr_t)params->id_block_uaddr, sizeof(*block)) < 0)
		return -EFAULT;
	if (!params->id_auth_uaddr)
		return -EINVAL;
	return object_copy_in(auth, (uintptr_t)params->id_auth_uaddr, sizeof(*auth));
}

/*
 * The VMSAs come first. After a later refusal the caller cannot try again, because the vCPUs are the
 * guest's.
 */
int sev_snp_launch_finish(struct sev_call *call)
{
	struct uapi_sev_snp_launch_finish params;
	struct abi_id_block block;
	struct abi_id_auth auth;
	int result;

	if (!sev_is_snp(call->vm))
		return -ENOTTY;
	if (!call->sev->gctx)
		return -EINVAL;
	if (sev_copy_in(call, &params, sizeof(params)) < 0)
		return -EFAULT;
	if (params.flags)
		return -EINVAL;
	result = sev_vmsas_update(call, update_vmsa, (int)call->cmd->sev_fd);
	if (result < 0)
		return result;
	result = params.id_block_en ? take_id(&params, &block, &auth) : 0;
	if (result < 0)
		return result;
	result = sev_check_device(call, call->sev->fd);
	if (result < 0)
		return result;
	result = sev_result(
	        call, psp_snp_launch_finish(call->psp, call->sev->gctx, &params,
	                      params.id_block_en ? &block : NULL, params.id_block_en ? &auth : NULL));
	if (result < 0)
		return result;
	atomic_store(&call->vm->may_prefault, true);
	return 0;
}

int sev_snp_enable_req_certs(struct sev_call *call)
{
	if (!sev_is_snp(call->vm) || atomic_load(&call->vm->vcpu_count))
		return -EINVAL;
	call->sev->req_certs = true;
	return 0;
}
