/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_psc: page state changes, by which a SEV-SNP guest asks that pages become private or shared. KVM
 * changes no page itself: the VMM gets KVM_HC_MAP_GPA_RANGE. A list of changes in the page's scratch area
 * becomes one exit for each run of entries that lie side by side, and the list tells how far it came:
 *
 *     list: current entry --> [ done | run of equal entries | ... | last ] --> KVM_EXIT_HYPERCALL
 *               ^                                                                   |
 *               '------------------- the run's entries are done --------------------'
 *
 * Law: the GHCB specification (AMD 56421), 2.3.1 and 4.1.6; Linux's snp_begin_psc_msr() and snp_begin_psc()
 * in arch/x86/kvm/svm/sev.c.
 */
#include <errno.h>
#include <linux/kvm_para.h>

#include "guest.h"

#define LARGE_PAGES 512u

/* Does the VMM take these calls (KVM_CAP_EXIT_HYPERCALL)? */
static bool vmm_listens(const struct kvm_vcpu *v)
{
	return v->vm->hypercall_exits >> KVM_HC_MAP_GPA_RANGE & 1;
}

static bool is_change(unsigned operation)
{
	return operation == ABI_GHCB_PSC_PRIVATE || operation == ABI_GHCB_PSC_SHARED;
}

static void tell(struct kvm_vcpu *v, uint64_t gfn, uint64_t pages, unsigned operation, bool large)
{
	struct kvm_run *run = v->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.ret = 0;
	run->hypercall.args[0] = gfn * PAGE_SIZE_BYTES;
	run->hypercall.args[1] = pages;
	run->hypercall.args[2] = (operation == ABI_GHCB_PSC_PRIVATE ? KVM_MAP_GPA_RANGE_ENCRYPTED : 0) |
	                         (large ? KVM_MAP_GPA_RANGE_PAGE_SZ_2M : KVM_MAP_GPA_RANGE_PAGE_SZ_4K);
}

/* KVM takes no other answers of the VMM (kvm_is_valid_map_gpa_range_ret()). */
static bool answer_is_valid(const struct kvm_vcpu *v)
{
	const uint64_t ret = v->run->hypercall.ret;

	return ret == 0 || ret == EINVAL || ret == EAGAIN;
}

/* ---- one page, by the MSR ---- */

static int complete_msr(struct kvm_vcpu *v)
{
	if (!answer_is_valid(v))
		return -EINVAL;
	v->sev->ghcb.msr = v->run->hypercall.ret ? ABI_GHCB_MSR_PSC_FAILED : ABI_GHCB_MSR_PSC;
	return 1;
}

int sev_ghcb_psc_by_msr(struct kvm_vcpu *v)
{
	const uint64_t msr = v->sev->ghcb.msr;
	const unsigned operation = ABI_GHCB_MSR_PSC_OPERATION(msr);

	if (!is_change(operation) || !vmm_listens(v)) {
		v->sev->ghcb.msr = ABI_GHCB_MSR_PSC_FAILED;
		return 1;
	}
	tell(v, ABI_GHCB_MSR_PSC_GFN(msr), 1, operation, false);
	return sev_ghcb_leave(v, complete_msr);
}

/* ---- a list, in the scratch area ---- */

static struct abi_ghcb_psc *list_of(struct kvm_vcpu *v)
{
	return (void *)sev_ghcb_scratch(v, 0);
}

static unsigned size_of(uint64_t entry)
{
	return entry & ABI_GHCB_PSC_LARGE ? LARGE_PAGES : 1;
}

/*
 * What is done of the list goes back to the page: its header and the entries before the current one. The
 * answer itself is never an error.
 */
static int finish(struct kvm_vcpu *v, uint64_t code)
{
	const struct abi_ghcb_psc *list = list_of(v);
	const unsigned count = list->current <= list->end ? list->current : list->end + 1u;

	sev_ghcb_filled(v, 0, sizeof(*list) + count * sizeof(list->entries[0]));
	return sev_ghcb_done(v, code);
}

/* The run of entries that the VMM has, or that nobody needs to do, is done. */
static void run_done(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	struct abi_ghcb_psc *list = list_of(v);

	for (; g->access.now; g->access.now--, list->current++) {
		const uint64_t entry = list->entries[list->current];

		list->entries[list->current] = (entry & ~ABI_GHCB_PSC_DONE) | size_of(entry);
	}
}

/*
 * Looks for the first entry that is not done yet, and makes it the current one. Returns how many pages of it
 * are left, 0 if all entries are done, or -1 if one is bad.
 */
static int find_first(struct abi_ghcb_psc *list)
{
	for (; list->current <= list->end; list->current++) {
		const uint64_t entry = list->entries[list->current];
		const unsigned size = size_of(entry), done = entry & ABI_GHCB_PSC_DONE;

		if (done > size || !is_aligned(ABI_GHCB_PSC_GFN(entry), size))
			return -1;
		if (done < size)
			return (int)(size - done);
	}
	return 0;
}

/* Returns how many entries follow each other from the current one on; *pages grows by theirs. */
static uint32_t run_length(const struct abi_ghcb_psc *list, uint64_t *pages)
{
	const uint64_t first = list->entries[list->current];
	const bool large = first & ABI_GHCB_PSC_LARGE && !(first & ABI_GHCB_PSC_DONE);
	uint32_t count = 1;

	for (unsigned i = list->current + 1u; i <= list->end; i++, count++) {
		const uint64_t entry = list->entries[i];

		if (ABI_GHCB_PSC_OPERATION(entry) != ABI_GHCB_PSC_OPERATION(first) ||
		        ABI_GHCB_PSC_GFN(entry) != ABI_GHCB_PSC_GFN(first) + *pages ||
		        entry & ABI_GHCB_PSC_DONE || !!(entry & ABI_GHCB_PSC_LARGE) != large)
			break;
		*pages += size_of(entry);
	}
	return count;
}

static int complete_run(struct kvm_vcpu *v);

/* Other changes than these two KVM takes for done, without a word to the VMM. */
static int next_run(struct kvm_vcpu *v)
{
	struct sev_ghcb *g = &v->sev->ghcb;
	struct abi_ghcb_psc *list = list_of(v);
	const uint64_t entries = (g->scratch.size - sizeof(*list)) / sizeof(list->entries[0]);

	for (;;) {
		uint64_t first, pages;
		int left;

		if (list->end >= entries)
			return sev_ghcb_done(v, ABI_GHCB_PSC_BAD_HEADER);
		left = find_first(list);
		if (left <= 0)
			return finish(v, left ? ABI_GHCB_PSC_BAD_ENTRY : 0);
		first = list->entries[list->current];
		pages = (uint64_t)left;
		g->access.now = run_length(list, &pages);
		if (is_change(ABI_GHCB_PSC_OPERATION(first))) {
			tell(v, ABI_GHCB_PSC_GFN(first) + (first & ABI_GHCB_PSC_DONE), pages,
			        ABI_GHCB_PSC_OPERATION(first), first & ABI_GHCB_PSC_LARGE);
			return sev_ghcb_leave(v, complete_run);
		}
		run_done(v);
	}
}

static int complete_run(struct kvm_vcpu *v)
{
	if (!answer_is_valid(v))
		return -EINVAL;
	if (v->run->hypercall.ret)
		return finish(v, ABI_GHCB_PSC_FAILED);
	run_done(v);
	return next_run(v);
}

int sev_ghcb_on_psc(struct kvm_vcpu *v)
{
	int result = sev_ghcb_open_scratch(v, sizeof(struct abi_ghcb_psc), true);

	if (result)
		return result;
	if (!vmm_listens(v))
		return sev_ghcb_done(v, ABI_GHCB_PSC_FAILED);
	v->sev->ghcb.scratch.size = ABI_GHCB_SHARED_AT + ABI_GHCB_SHARED_BYTES -
	                            (v->sev->ghcb.guest.sw_scratch - v->sev->ghcb.msr);
	return next_run(v);
}
