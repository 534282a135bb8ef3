/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_sev: the steps of a SEV or SEV-ES launch. The measured contents are in guest memory, and the firmware
 * encrypts them in place. Main thread. Law: SEV API 6.1 to 6.7; amd-memory-encryption.rst.
 */
#include <asm/kvm_para.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "launch.h"

/* KVM promises the guest neither of the two (machine/cpuid_leaves.c does), and knows nothing of the MSR. */
int launch_sev_ask_reports(struct launch_work *work, struct err *err)
{
	struct host *host = work->launch->host;
	int vm_fd = work->sev.vm_fd;

	if (!work->launch->config.sev.page_status)
		return LAUNCH_DONE;
	if (call_vm_enable_capability(host, vm_fd, KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE, err) <
	        0)
		return -1;
	return call_vm_take_msr(host, vm_fd, MSR_KVM_MIGRATION_CONTROL, err);
}

int launch_sev_pin_memory(struct launch_work *work, struct err *err)
{
	const struct page_memory *memory = machine_vm_memory(work->vm);
	const struct page_layout *layout = page_memory_layout(memory);
	const struct page_region *region = &layout->regions[work->part];
	uint64_t size_bytes = region->kind == PAGE_PLUGGED ? page_memory_plugged(memory) : region->size_bytes;

	if (size_bytes && call_sev_register_memory(&work->sev,
	                          page_kernel_address(memory, region->gpa, size_bytes), size_bytes, err) < 0)
		return -1;
	return launch_parts(work, layout->count);
}

int launch_sev_start(struct launch_work *work, struct err *err)
{
	const struct launch_options *options = &work->launch->options;
	struct kvm_sev_launch_start start = {
	        .policy = (uint32_t)work->launch->config.sev.policy,
	        .dh_uaddr = (uintptr_t)options->dh_cert.data,
	        .dh_len = (uint32_t)options->dh_cert.size_bytes,
	        .session_uaddr = (uintptr_t)options->session.data,
	        .session_len = (uint32_t)options->session.size_bytes,
	};

	if (call_sev_launch_start(&work->sev, &start, err) < 0)
		return -1;
	work->handle = start.handle;
	return LAUNCH_DONE;
}

static int update_item(struct launch_work *work, const struct launch_item *item, struct err *err)
{
	struct page_memory *memory = machine_vm_memory(work->vm);
	void *at = page_kernel_address(memory, item->gpa, item->size_bytes);

	if (!at || page_load(memory, item->gpa, item->data, item->size_bytes) < 0)
		return err_set(err, ERR_FAILED, "%s does not lie in the guest's memory", item->name);
	if (call_sev_launch_update_data(&work->sev, at, (uint32_t)item->size_bytes, err) < 0)
		return err_wrap(err, "%s at 0x%llx", item->name, (unsigned long long)item->gpa.raw);
	return 0;
}

int launch_sev_update(struct launch_work *work, struct err *err)
{
	const struct launch_plan *plan = work->launch->plan;

	if (update_item(work, &plan->items[work->part], err) < 0)
		return -1;
	return launch_parts(work, launch_contents(plan));
}

/* One call measures every vCPU, in the order in which they were made. */
int launch_sev_update_vmsa(struct launch_work *work, struct err *err)
{
	if (work->launch->config.sev.type != CONFIG_SEV_ES)
		return 0;
	return call_sev_launch_update_vmsa(&work->sev, err);
}

int launch_sev_measure(struct launch_work *work, struct err *err)
{
	clock_gettime(CLOCK_REALTIME_COARSE, &work->measured);
	if (call_sev_launch_measure(&work->sev, &work->measure, err) < 0)
		return -1;
	return launch_measure_write(&work->launch->config, &work->measure, err);
}

static int inject(struct launch_work *work, const struct launch_secret *secret, struct err *err)
{
	void *at = page_kernel_address(machine_vm_memory(work->vm), secret->gpa, secret->size_bytes);
	const struct kvm_sev_launch_secret call = {
	        .hdr_uaddr = (uintptr_t)&secret->header,
	        .hdr_len = sizeof(secret->header),
	        .guest_uaddr = (uintptr_t)at,
	        .guest_len = (uint32_t)secret->size_bytes,
	        .trans_uaddr = (uintptr_t)secret->packet,
	        .trans_len = (uint32_t)secret->size_bytes,
	};

	if (!at)
		return err_set(err, ERR_USAGE, "%zu bytes at 0x%llx do not lie in the guest's memory",
		        secret->size_bytes, (unsigned long long)secret->gpa.raw);
	if (call_sev_launch_secret(&work->sev, &call, err) < 0)
		return -1;
	work->secrets++;
	return LAUNCH_DONE;
}

int launch_sev_secret(struct launch_work *work, struct err *err)
{
	const struct config *config = &work->launch->config;
	struct launch_secret secret = {0};
	int result;

	if (!*config->sev.secret)
		return LAUNCH_DONE;
	result = launch_secret_look(config, &work->measured, work->part, err);
	if (result != LAUNCH_DONE)
		return result;
	result = launch_secret_read(config, work->launch->plan, &secret, err);
	if (result == 0 && inject(work, &secret, err) < 0)
		result = err->kind == ERR_USAGE ? err_wrap(err, "sev.secret-address") : -1;
	launch_secret_finish(&secret);
	return result;
}

/* ---- what a controller asks for ---- */

int launch_inject(struct launch *launch, const struct abi_sev_secret_header *header, const void *packet,
        size_t size_bytes, const uint64_t *address, struct err *err)
{
	struct launch_work *work = &launch->work;
	/* The kernel only reads the packet. */
	struct launch_secret secret = {
	        .header = *header, .packet = (void *)(uintptr_t)packet, .size_bytes = size_bytes};

	if (!launch->plan || launch->config.sev.type == CONFIG_SEV_SNP)
		return err_set(err, ERR_USAGE, "only SEV and SEV-ES guests take launch secrets");
	if (work->state != LAUNCH_LSECRET || !work->vm)
		return err_set(err, ERR_USAGE, "SEV: Not in correct state. (LSECRET) %s",
		        launch_state_word(work->state));
	if (launch_secret_check(size_bytes, err) < 0)
		return -1;
	if (address)
		secret.gpa = gpa(*address);
	else if (launch_secret_place(launch->plan, size_bytes, &secret.gpa, err) < 0)
		return -1;
	return inject(work, &secret, err);
}

int launch_report(struct launch *launch, const uint8_t nonce[static 16], struct abi_sev_report *ret_report,
        struct err *err)
{
	if (!launch->plan || launch->config.sev.type == CONFIG_SEV_SNP)
		return err_set(err, ERR_USAGE,
		        "the host can ask for reports of SEV and SEV-ES guests only; a SEV-SNP guest asks "
		        "for its own");
	if (launch->work.state == LAUNCH_UNINIT || !launch->work.vm)
		return err_set(err, ERR_USAGE, "the guest is not launched yet");
	return call_sev_report(&launch->work.sev, nonce, ret_report, err);
}

int launch_sev_finish(struct launch_work *work, struct err *err)
{
	return call_sev_launch_finish(&work->sev, err);
}

int launch_mirror_guest(const struct launch_work *work, struct mirror_guest *ret_guest, struct err *err)
{
	const struct launch *launch = work->launch;
	struct mirror_guest guest = {
	        .host = launch->host,
	        .vm_fd = machine_vm_fd(work->vm),
	        .vm_type = launch_vm_type(&launch->config),
	        .sev = launch->config.sev.type,
	        .memory = machine_vm_memory(work->vm),
	        .cpuid = (const struct kvm_cpuid2 *)machine_vm_cpuid(work->vm),
	};

	if (call_kvm_open(launch->host, &guest.kvm_fd, err) < 0)
		return -1;
	*ret_guest = guest;
	return 0;
}

static int make_helper(struct launch_work *work, const struct call_sev *launching, struct err *err)
{
	struct mirror_guest guest;
	int result;

	if (launch_mirror_guest(work, &guest, err) < 0)
		return -1;
	guest.launching = launching;
	result = mirror_helper_create(&guest, work->launch->facts.c_bit, &work->helper, err);
	host_close(guest.host, guest.kvm_fd);
	return result;
}

int launch_sev_measure_helper(struct launch_work *work, struct err *err)
{
	const struct config *config = &work->launch->config;

	if (!config->sev.helper || config->sev.type != CONFIG_SEV_ES)
		return LAUNCH_DONE;
	return make_helper(work, &work->sev, err);
}

int launch_sev_start_helper(struct launch_work *work, struct err *err)
{
	const struct config *config = &work->launch->config;

	if (!config->sev.helper || config->sev.type != CONFIG_SEV)
		return LAUNCH_DONE;
	return make_helper(work, NULL, err);
}
