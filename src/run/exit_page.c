/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit_page: a guest wants a page to be private or shared: a SEV-SNP guest by touching it that way, each
 * guest by saying so. The vCPU's thread. Law: api.rst, KVM_EXIT_MEMORY_FAULT, KVM_EXIT_HYPERCALL
 * (KVM_HC_MAP_GPA_RANGE).
 */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "vcpu.h"
#include "vmm/page.h"
#include "vmm/uapi.h"

/* Bits of the third argument; those below say the size of the guest's pages, which means nothing here. */
#define MAP_GPA_RANGE_ENCRYPTED (1u << 4)

/*
 * Two vCPUs may ask for the same page at once; the later one finds it as it wants it and goes on. A vCPU that
 * asks this often in a row will never go on.
 */
#define IDLE_FAULTS_MAX 1000

static bool is_snp(const struct run_vcpu *vcpu)
{
	return machine_config(vcpu->machine)->sev.type == CONFIG_SEV_SNP;
}

/* Once for each incarnation: a guest may ask without end. */
static void tell_full(struct run_vcpu *vcpu, struct gpa start, bool private)
{
	if (atomic_exchange(vcpu->told_full, true))
		return;
	log_guest(LOG_WARN,
	        "the guest's page at 0x%llx cannot become %s: the record of its shared pages is full "
	        "(sev.shared-ranges-max is %llu)%s",
	        (unsigned long long)start.raw, private ? "private" : "shared",
	        (unsigned long long)machine_config(vcpu->machine)->sev.shared_ranges_max,
	        is_snp(vcpu) ? "" : "; the record is incomplete from now on, for the guest may go on");
	loop_post(vcpu->loop, vcpu->full);
}

/* The event comes again while it lasts, the warning does not. */
static void tell_storm(struct run_vcpu *vcpu)
{
	struct page_flip top;

	if (!atomic_exchange(vcpu->told_storm, true) &&
	        page_flips_top(page_memory_flips(machine_vm_memory(vcpu->vm)), &top))
		log_guest(LOG_WARN,
		        "the guest converted pages to private or shared more than %llu times within a second "
		        "(sev.conversion-storm), most often the one at 0x%llx: %llu times since its start",
		        (unsigned long long)machine_config(vcpu->machine)->sev.conversion_storm,
		        (unsigned long long)top.first * PAGE_SIZE_BYTES, (unsigned long long)top.count);
	loop_post(vcpu->loop, vcpu->storm);
}

static void note(struct run_vcpu *vcpu, struct gpa start, uint64_t size_bytes)
{
	struct page_flips *flips = page_memory_flips(machine_vm_memory(vcpu->vm));

	/* The coarse clock takes a quarter of the time, and is right to some milliseconds. */
	if (flips && page_flips_note(flips, start.raw / PAGE_SIZE_BYTES, size_bytes / PAGE_SIZE_BYTES,
	                     clock_ns(CLOCK_MONOTONIC_COARSE)))
		tell_storm(vcpu);
}

/* *ret_refused: the record of shared pages has no room for the change. */
static enum run_vcpu_verdict convert(
        struct run_vcpu *vcpu, struct gpa start, uint64_t size_bytes, bool private, bool *ret_refused)
{
	struct page_memory *memory = machine_vm_memory(vcpu->vm);
	enum run_conversion conversion = private ? RUN_TO_PRIVATE : RUN_TO_SHARED;
	struct err err;
	int result = page_convert(memory, start, size_bytes, private, &err);

	*ret_refused = result == PAGE_CONVERT_REFUSED;
	if (result == 0) {
		run_vcpu_count(&vcpu->counters.conversions[conversion], 1);
		run_vcpu_count(&vcpu->counters.converted_pages[conversion],
		        page_memory_bytes_in(memory, start, size_bytes) / PAGE_SIZE_BYTES);
		note(vcpu, start, size_bytes);
	}
	if (*ret_refused)
		tell_full(vcpu, start, private);
	if (result >= 0)
		return RUN_VCPU_RESUME;
	if (page_memory_is_stopped(memory))
		return RUN_VCPU_STOP;
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL, "the guest's page at 0x%llx cannot become %s: %s",
	        (unsigned long long)start.raw, private ? "private" : "shared", err.text);
}

/* A fault cannot be refused: the vCPU would fault again, without end. */
static enum run_vcpu_verdict end_without_room(struct run_vcpu *vcpu, uint64_t at, bool private)
{
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "the guest's page at 0x%llx cannot become %s: the guest has more ranges of shared pages than "
	        "sev.shared-ranges-max allows (%llu)",
	        (unsigned long long)at, private ? "private" : "shared",
	        (unsigned long long)machine_config(vcpu->machine)->sev.shared_ranges_max);
}

/* Some faults ask for no change. Without a limit on idle_faults they would be answered without end. */
static enum run_vcpu_verdict answer_fault(
        struct run_vcpu *vcpu, const struct uapi_memory_fault *fault, bool private)
{
	enum run_vcpu_verdict verdict;
	bool refused;

	if (!page_is_already(machine_vm_memory(vcpu->vm), gpa(fault->gpa), fault->size, private)) {
		vcpu->idle_faults = 0;
		verdict = convert(vcpu, gpa(fault->gpa), fault->size, private, &refused);
		return refused ? end_without_room(vcpu, fault->gpa, private) : verdict;
	}
	if (++vcpu->idle_faults < IDLE_FAULTS_MAX)
		return RUN_VCPU_RESUME;
	return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
	        "KVM wants the guest's page at 0x%llx to be %s, which it is already: KVM and vmm do not "
	        "agree "
	        "about who owns the page; report this with the output of --trace",
	        (unsigned long long)fault->gpa, private ? "private" : "shared");
}

/* KVM_RUN's own errors. KVM names the page where guest_memfd could not give it (kvm_gmem_get_pfn()). */
static const struct {
	int sys;
	const char *cause;
} run_errors[] = {
        {EHWPOISON, "a page of the guest's memory is damaged in the host's hardware, and what it held is "
                    "lost; start the guest again, and see dmesg | grep -i -e mce -e 'hardware error'"},
        {ENOMEM, "the host has no memory left for the guest; lower machine.memory or end other guests"},
        {ENOSPC, "the host has no memory left for the guest; lower machine.memory or end other guests"},
        {EFAULT, "the host cannot bring in a page of the guest's memory; free memory on the host, or "
                 "enlarge its pool of huge pages"},
};

void run_vcpu_explain_run(struct run_vcpu *vcpu)
{
	struct uapi_memory_fault fault;
	char place[48] = "";
	struct err *err = &vcpu->err;

	memcpy(&fault, &vcpu->kvm->run->hw, sizeof(fault));
	if (vcpu->kvm->run->exit_reason == UAPI_EXIT_MEMORY_FAULT)
		snprintf(place, sizeof(place), " at guest address 0x%llx", (unsigned long long)fault.gpa);
	for (size_t i = 0; i < ARRAY_LEN(run_errors); i++) {
		if (run_errors[i].sys == err->sys)
			err_append(err, "%s: %s", place, run_errors[i].cause);
	}
}

/*
 * A SEV-SNP guest that uses an address without memory as private one means a device behind it, and has not
 * taken the encryption bit from its page table. The first such device is the local APIC, which OVMF before
 * edk2-stable202405 reaches that way.
 */
static enum run_vcpu_verdict end_without_memory(struct run_vcpu *vcpu, uint64_t at, bool private)
{
	const char *more = "";

	if (is_snp(vcpu) && private)
		more = at == MACHINE_LAPIC_GPA
		               ? ": it took its local APIC for encrypted memory, as OVMF older than "
		                 "edk2-stable202405 does; use OVMF.fd of Debian 13's package ovmf, or "
		                 "OVMF.amdsev.fd of ovmf-amdsev"
		               : ": it took a device, or nothing at all, for encrypted memory";
	return run_vcpu_end(vcpu, RUN_VCPU_CRASH, "the guest used 0x%llx as %s memory, where it has none%s",
	        (unsigned long long)at, private ? "private" : "shared", more);
}

enum run_vcpu_verdict run_vcpu_on_memory_fault(struct run_vcpu *vcpu)
{
	struct uapi_memory_fault fault;
	bool private;

	memcpy(&fault, &vcpu->kvm->run->hw, sizeof(fault));
	private = fault.flags & UAPI_MEMORY_EXIT_PRIVATE;
	if (fault.flags & ~UAPI_MEMORY_EXIT_PRIVATE || !fault.size ||
	        !is_aligned(fault.gpa | fault.size, PAGE_SIZE_BYTES))
		return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
		        "KVM reports a memory fault that vmm does not understand: flags 0x%llx, 0x%llx bytes "
		        "at 0x%llx",
		        (unsigned long long)fault.flags, (unsigned long long)fault.size,
		        (unsigned long long)fault.gpa);
	if (!is_snp(vcpu) || !page_is_backed(machine_vm_memory(vcpu->vm), gpa(fault.gpa), fault.size))
		return end_without_memory(vcpu, fault.gpa, private);
	return answer_fault(vcpu, &fault, private);
}

/*
 * The guest of a VMMCALL finds the answer in RAX, where errors are negative. The answer to a page state
 * change of SEV-SNP is KVM's, which takes EINVAL and EAGAIN alone (Linux's kvm_is_valid_map_gpa_range_ret()).
 */
static uint64_t refusal(const struct run_vcpu *vcpu, uint64_t sys)
{
	return is_snp(vcpu) ? sys : -sys;
}

enum run_vcpu_verdict run_vcpu_on_hypercall(struct run_vcpu *vcpu)
{
	const struct page_memory *memory = machine_vm_memory(vcpu->vm);
	struct kvm_run *run = vcpu->kvm->run;
	uint64_t start = run->hypercall.args[0], pages = run->hypercall.args[1], size_bytes;
	bool private = run->hypercall.args[2] & MAP_GPA_RANGE_ENCRYPTED, refused;
	enum run_vcpu_verdict verdict;

	if (run->hypercall.nr != KVM_HC_MAP_GPA_RANGE || !page_memory_has_record(memory))
		return run_vcpu_end(vcpu, RUN_VCPU_FAIL,
		        "KVM passes on hypercall %llu, which vmm did not ask for",
		        (unsigned long long)run->hypercall.nr);
	run->hypercall.ret = 0;
	if (!pages || !mul_ok(pages, PAGE_SIZE_BYTES, &size_bytes) || !is_aligned(start, PAGE_SIZE_BYTES) ||
	        !page_is_reportable(memory, gpa(start), size_bytes)) {
		log_guest(LOG_WARN, "the guest wants %llu pages at 0x%llx to be %s: it has no such pages",
		        (unsigned long long)pages, (unsigned long long)start, private ? "private" : "shared");
		run->hypercall.ret = refusal(vcpu, EINVAL);
		return RUN_VCPU_RESUME;
	}
	verdict = convert(vcpu, gpa(start), size_bytes, private, &refused);
	if (refused)
		run->hypercall.ret = refusal(vcpu, EAGAIN);
	return verdict;
}
