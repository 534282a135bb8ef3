/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_snp: the steps of a SEV-SNP launch. The kernel copies the measured contents into private pages. Main
 * thread. Law: SNP ABI 8.16 to 8.18; amd-memory-encryption.rst.
 */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "launch.h"
#include "vmm/owner.h"

#define FW_INVALID_PARAM 0x16

/* A kernel that was interrupted, or short of memory for a moment, is asked again, but not without end. */
#define UPDATE_TRIES    100
#define UPDATE_PAUSE_NS 1000000

int launch_snp_ask_certificates(struct launch_work *work, struct err *err)
{
	return *work->launch->config.sev.certificates ? call_snp_enable_req_certs(&work->sev, err) : 0;
}

int launch_snp_own_memory(struct launch_work *work, struct err *err)
{
	struct page_memory *memory = machine_vm_memory(work->vm);
	const struct page_layout *layout = page_memory_layout(memory);
	const struct page_region *region = &layout->regions[work->part];

	/* The guest asks for its shared pages by a hypercall. */
	if (!work->part && call_vm_enable_capability(work->launch->host, work->sev.vm_fd,
	                           KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE, err) < 0)
		return -1;
	if (page_convert(memory, region->gpa, region->size_bytes, true, err) < 0)
		return -1;
	return launch_parts(work, layout->count);
}

int launch_snp_start(struct launch_work *work, struct err *err)
{
	return call_snp_launch_start(&work->sev, work->launch->config.sev.policy, err);
}

/* ---- contents ---- */

/*
 * Any failure with the first page, other than a refusal by the firmware, is EIO with code 0
 * (snp_launch_update() of 6.11 and later). A signal, or memory that was short for a moment, may be the cause.
 */
static bool may_pass(const struct err *err)
{
	return !err->fw && (err->sys == EINTR || err->sys == EAGAIN || err->sys == EIO);
}

/* Success may be partial: the kernel drops the firmware's answer and the rest must be asked for again. */
static int update_all(struct launch_work *work, struct uapi_sev_snp_launch_update *update, struct err *err)
{
	unsigned idle = 0;

	while (update->len) {
		uint64_t before = update->len;
		int result = call_snp_launch_update(&work->sev, update, err);

		if (result < 0 && !may_pass(err))
			return -1;
		if (update->len > before)
			return err_set(err, ERR_HOST,
			        "KVM_SEV_SNP_LAUNCH_UPDATE: the kernel reports more bytes left than it was "
			        "given");
		idle = update->len == before ? idle + 1 : 0;
		if (idle == UPDATE_TRIES && result < 0)
			return -1;
		if (idle == UPDATE_TRIES)
			return err_set(err, ERR_HOST,
			        "KVM_SEV_SNP_LAUNCH_UPDATE: the kernel made no progress at 0x%llx, with "
			        "0x%llx bytes left",
			        (unsigned long long)update->gfn_start * PAGE_SIZE_BYTES,
			        (unsigned long long)update->len);
		if (result < 0)
			nanosleep(&(const struct timespec){.tv_nsec = UPDATE_PAUSE_NS}, NULL);
	}
	return 0;
}

static struct uapi_sev_snp_launch_update update_of(const struct launch_item *item, const void *data)
{
	return (struct uapi_sev_snp_launch_update){
	        .gfn_start = item->gpa.raw / PAGE_SIZE_BYTES,
	        .uaddr = (uintptr_t)data,
	        .len = item->size_bytes,
	        .type = (uint8_t)item->type,
	};
}

/*
 * The firmware checks the page against the processor. It returns a page that it refuses with corrections, and
 * the corrected page may be tried once.
 */
static int update_cpuid(struct launch_work *work, const struct launch_item *item, struct abi_cpuid_page *page,
        struct err *err)
{
	bool adopt = work->launch->config.sev.cpuid_correction == CONFIG_CPUID_ADOPT;
	struct uapi_sev_snp_launch_update update = update_of(item, page);
	struct abi_cpuid_page asked;
	int changed;

	if (launch_cpuid_page_fill(machine_vm_cpuid(work->vm), page, err) < 0)
		return -1;
	asked = *page;
	if (update_all(work, &update, err) == 0)
		return 0;
	if (err->fw != FW_INVALID_PARAM)
		return -1;
	changed = launch_cpuid_page_tell(&asked, page, adopt ? LOG_WARN : LOG_ERROR);
	if (changed < 0)
		return err_wrap(err, "the CPUID page that the firmware corrected is not valid");
	if (changed == 0 || !adopt)
		return -1;
	update = update_of(item, page);
	return update_all(work, &update, err);
}

static int update_item(
        struct launch_work *work, const struct launch_item *item, void *staging, struct err *err)
{
	struct uapi_sev_snp_launch_update update = update_of(item, staging);
	int result;

	if (item->data)
		memcpy(staging, item->data, item->size_bytes);
	else if (item->type != ABI_PAGE_ZERO)
		memset(staging, 0, item->size_bytes);
	result = item->type == ABI_PAGE_CPUID ? update_cpuid(work, item, staging, err)
	                                      : update_all(work, &update, err);
	return result < 0 ? err_wrap(err, "%s at 0x%llx", item->name, (unsigned long long)item->gpa.raw) : 0;
}

/* ZERO pages need no contents, whatever their number. */
static size_t staging_bytes(const struct launch_plan *plan)
{
	size_t most = PAGE_SIZE_BYTES;

	for (unsigned i = 0; i < plan->count; i++) {
		const struct launch_item *item = &plan->items[i];

		if (item->type != ABI_PAGE_ZERO && item->size_bytes > most)
			most = item->size_bytes;
	}
	return most;
}

/* VMSAs are not issued here, because KVM measures them at the end, from the vCPUs. */
int launch_snp_update(struct launch_work *work, struct err *err)
{
	const struct launch_plan *plan = work->launch->plan;
	int result;

	if (!work->staging)
		work->staging = aligned_alloc(PAGE_SIZE_BYTES, staging_bytes(plan));
	if (!work->staging)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for what is measured");
	if (update_item(work, &plan->items[work->part], work->staging, err) < 0)
		return -1;
	result = launch_parts(work, launch_contents(plan));
	if (result == LAUNCH_DONE)
		free(take_ptr(&work->staging));
	return result;
}

/* ---- the end ---- */

int launch_snp_finish(struct launch_work *work, struct err *err)
{
	const struct launch_options *options = &work->launch->options;
	struct uapi_sev_snp_launch_finish finish = {0};

	if (options->has_id) {
		finish.id_block_en = 1;
		finish.id_block_uaddr = (uintptr_t)&options->block;
		finish.id_auth_uaddr = (uintptr_t)&options->auth;
		finish.auth_key_en = owner_id_has_author(&options->auth);
	}
	memcpy(finish.host_data, options->host_data, sizeof(finish.host_data));
	if (call_snp_launch_finish(&work->sev, &finish, err) == 0)
		return 0;
	/* The processors' state is measured and encrypted by now; there is no way back. */
	return err_wrap(err, "the launch cannot be finished, nor tried again with this guest");
}
