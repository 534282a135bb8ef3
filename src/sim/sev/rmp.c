/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rmp: whose the pages of a SEV-SNP guest are.
 *
 *                first private access,            PVALIDATE,
 *                or the launch                    or the launch
 *     the host's ----------------------> assigned ---------------> validated
 *          ^                                 |                         |
 *          '------------- a hole in the guest_memfd -------------------'
 *
 * KVM maps an address as private or as shared, as the VMM's attribute says. So an access whose C-bit is
 * another one exits to the VMM before it comes to an entry, and a shared page is never one of the
 * guest_memfd. All vCPUs run at VMPL 0, because KVM runs no others. That level has all rights; what RMPADJUST
 * gives the others is kept and has no effect. All entries are of 4 KiB: KVM has no huge pages in a
 * guest_memfd. Law: APM 2, 15.36; Linux's sev_gmem_prepare(), sev_gmem_invalidate(), sev_handle_rmp_fault().
 */
#include "rmp.h"

#define ASSIGNED  UINT64_C(0x1)
#define VALIDATED UINT64_C(0x2)
#define VMSA      UINT64_C(0x4)
#define GPA       UINT64_C(0x000ffffffffff000)
/* Four bits for each of the VMPLs 1 to 3: read, write, execute as user, execute as supervisor. */
#define RIGHTS_AT(vmpl)      (48 + 4 * (vmpl))
#define RIGHTS(vmpl, rights) ((uint64_t)(rights) << RIGHTS_AT(vmpl))
#define ALL_RIGHTS           0xfu
#define VMPL_MAX             3u

/* What the instructions leave in EAX (APM 3). */
#define FAIL_INPUT        1u
#define FAIL_PERMISSION   2u
#define FAIL_SIZEMISMATCH 6u

#define LARGE            UINT64_C(0x1) /* in RCX: the page has 2 MiB */
#define LARGE_BYTES      MIB(2)
#define ADJUST_VMPL(rdx) ((unsigned)((rdx)&0xff)) /* RMPADJUST's RDX, and RMPQUERY's */
#define ADJUST_RIGHTS(r) ((unsigned)((r) >> 8 & 0xff))
#define ADJUST_VMSA      UINT64_C(0x10000)
#define ADJUST_KNOWN     UINT64_C(0x10fff)

static _Atomic uint64_t *entry_of(const struct kvm_gmem *gmem, uint64_t offset)
{
	return &gmem->rmp[offset / PAGE_SIZE_BYTES];
}

bool sev_rmp_assign(struct kvm_gmem *gmem, uint64_t offset, uint64_t gpa)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong(entry_of(gmem, offset), &none, gpa | ASSIGNED);
}

void sev_rmp_prepare(struct kvm_gmem *gmem, uint64_t offset, uint64_t gpa)
{
	sev_rmp_assign(gmem, offset, gpa);
}

void sev_rmp_launched(struct kvm_gmem *gmem, uint64_t offset, bool taken)
{
	if (taken)
		atomic_fetch_or(entry_of(gmem, offset), VALIDATED);
	else
		atomic_store(entry_of(gmem, offset), 0);
}

/*
 * Finds the entry of a page that the guest uses as private, and assigns the page if nobody has it. No lock is
 * needed: before a guest_memfd ends, its owner waits until this processor uses another map.
 */
static enum cpu_view find(
        const struct kvm_vm *vm, const struct cpu_slot *slot, uint64_t gpa, _Atomic uint64_t **ret_entry)
{
	uint64_t offset;

	if (!kvm_vm_page_is_private(vm, gpa) || !slot || !slot->gmem)
		return CPU_VIEW_WRONG_KIND;
	offset = slot->gmem_offset + (gpa - slot->gpa);
	if (offset >= atomic_load(&slot->gmem->hole_start) && offset < atomic_load(&slot->gmem->hole_end))
		return CPU_VIEW_REFUSED;
	*ret_entry = entry_of(slot->gmem, offset);
	if (!(atomic_load(*ret_entry) & ASSIGNED))
		sev_rmp_assign(slot->gmem, offset, gpa);
	return (atomic_load(*ret_entry) & GPA) == gpa ? CPU_VIEW_GOOD : CPU_VIEW_REFUSED;
}

enum cpu_view sev_rmp_view(
        struct kvm_vm *vm, const struct cpu_slot *slot, uint64_t gpa, bool private, uint8_t **host)
{
	_Atomic uint64_t *entry;
	enum cpu_view view;

	if (!private)
		return kvm_vm_page_is_private(vm, gpa) ? CPU_VIEW_WRONG_KIND : CPU_VIEW_GOOD;
	view = find(vm, slot, gpa, &entry);
	if (view != CPU_VIEW_GOOD)
		return view;
	*host = slot->gmem->pages + slot->gmem_offset + (gpa - slot->gpa);
	return atomic_load(entry) & VALIDATED ? CPU_VIEW_GOOD : CPU_VIEW_NOT_VALIDATED;
}

static uint64_t offset_of(const struct kvm_slot *slot, uint64_t gpa)
{
	return slot->region.guest_memfd_offset + (gpa - slot->region.guest_phys_addr);
}

bool sev_rmp_look(struct kvm_vm *vm, uint64_t gpa, struct sim_page_view *ret_view)
{
	const struct kvm_slot *slot = kvm_vm_memory_slot(vm, gpa);
	uint64_t entry;
	bool assigned;

	if (!slot || !slot->gmem)
		return false;
	entry = atomic_load(entry_of(slot->gmem, offset_of(slot, gpa)));
	assigned = (entry & (GPA | ASSIGNED)) == (gpa | ASSIGNED);
	*ret_view = (struct sim_page_view){.private = kvm_vm_page_is_private(vm, gpa),
	        .assigned = assigned,
	        .validated = assigned && entry & VALIDATED};
	return true;
}

const uint8_t *sev_rmp_vmsa(struct kvm_vm *vm, uint64_t gpa)
{
	const uint64_t want = gpa | ASSIGNED | VALIDATED | VMSA, mask = GPA | ASSIGNED | VALIDATED | VMSA;
	const struct kvm_slot *slot = kvm_vm_memory_slot(vm, gpa);
	uint64_t offset;

	if (!slot || !slot->gmem || !kvm_vm_page_is_private(vm, gpa))
		return NULL;
	offset = offset_of(slot, gpa);
	return (atomic_load(entry_of(slot->gmem, offset)) & mask) == want ? slot->gmem->pages + offset : NULL;
}

/* ---- instructions ---- */

/* Makes the processors look again at their next block. A page that lost something may still be in a TLB. */
static void forget(struct kvm_vm *vm)
{
	struct kvm_vcpu *v;

	for (unsigned i = 0; (v = kvm_vm_vcpu(vm, i)); i++)
		cpu_post(v->cpu, CPU_PENDING_FLUSH);
}

/* Changes the bits of an entry. False: the page is no longer the guest's. */
static bool change(_Atomic uint64_t *entry, uint64_t clear, uint64_t set, uint64_t *ret_old)
{
	*ret_old = atomic_load(entry);
	do {
		if (!(*ret_old & ASSIGNED))
			return false;
	} while (!atomic_compare_exchange_weak(entry, ret_old, (*ret_old & ~clear) | set));
	return true;
}

static enum cpu_view pvalidate(struct kvm_vm *vm, _Atomic uint64_t *entry, struct cpu_rmp_call *call)
{
	const uint64_t wanted = call->rdx & 1 ? VALIDATED : 0;
	uint64_t old;

	if (!change(entry, VALIDATED, wanted, &old))
		return CPU_VIEW_REFUSED;
	call->ret_unchanged = (old & VALIDATED) == wanted;
	if (!call->ret_unchanged && !wanted)
		forget(vm);
	return CPU_VIEW_GOOD;
}

/* The caller's level is 0, so it may change any other level, and may give away each right. */
static enum cpu_view adjust(_Atomic uint64_t *entry, struct cpu_rmp_call *call)
{
	const unsigned vmpl = ADJUST_VMPL(call->rdx), rights = ADJUST_RIGHTS(call->rdx);
	uint64_t old;

	if (!(atomic_load(entry) & VALIDATED))
		return CPU_VIEW_NOT_VALIDATED;
	return change(entry, RIGHTS(vmpl, ALL_RIGHTS) | VMSA,
	               RIGHTS(vmpl, rights) | (call->rdx & ADJUST_VMSA ? VMSA : 0), &old)
	               ? CPU_VIEW_GOOD
	               : CPU_VIEW_REFUSED;
}

/*
 * Gives the rights that a level has, and whether the page is a VMSA, where RMPADJUST takes them. Bit 0 of
 * RCX, the page's size, is 0.
 */
static enum cpu_view query(_Atomic uint64_t *entry, struct cpu_rmp_call *call)
{
	const unsigned vmpl = ADJUST_VMPL(call->rdx);
	const uint64_t now = atomic_load(entry);

	if (!(now & VALIDATED))
		return CPU_VIEW_NOT_VALIDATED;
	call->rcx = 0;
	call->rdx = vmpl | (now >> RIGHTS_AT(vmpl) & ALL_RIGHTS) << 8 | (now & VMSA ? ADJUST_VMSA : 0);
	return CPU_VIEW_GOOD;
}

/*
 * Returns the code with which the instruction refuses its operands; 0: it goes on. RMPQUERY has only the
 * level, and may only say that it is not permitted.
 */
static uint32_t refusal(const struct cpu_rmp_call *call)
{
	const unsigned vmpl = ADJUST_VMPL(call->rdx);

	if (call->op == CPU_RMP_QUERY)
		return vmpl && vmpl <= VMPL_MAX ? 0 : FAIL_PERMISSION;
	if (call->op == CPU_RMP_ADJUST && (call->rdx & ~ADJUST_KNOWN || vmpl > VMPL_MAX))
		return FAIL_INPUT;
	if (call->rcx & LARGE && !is_aligned(call->gpa, LARGE_BYTES))
		return FAIL_INPUT;
	if (call->op == CPU_RMP_ADJUST && !vmpl)
		return FAIL_PERMISSION;
	return 0;
}

/*
 * Without the C-bit the instruction comes to a page that is not the guest's. KVM does not resolve that fault
 * (sev_handle_rmp_fault()).
 */
enum cpu_view sev_rmp_execute(void *ctx, const struct cpu_slot *slot, struct cpu_rmp_call *call)
{
	struct kvm_vm *vm = ((struct kvm_vcpu *)ctx)->vm;
	_Atomic uint64_t *entry;
	enum cpu_view view;

	call->ret_result = refusal(call);
	if (call->ret_result)
		return CPU_VIEW_GOOD;
	if (!call->private)
		return kvm_vm_page_is_private(vm, call->gpa) ? CPU_VIEW_WRONG_KIND : CPU_VIEW_REFUSED;
	view = find(vm, slot, call->gpa, &entry);
	if (view != CPU_VIEW_GOOD)
		return view;
	if (call->op == CPU_RMP_QUERY)
		return query(entry, call);
	if (call->rcx & LARGE) {
		call->ret_result = FAIL_SIZEMISMATCH;
		return CPU_VIEW_GOOD;
	}
	return call->op == CPU_RMP_ADJUST ? adjust(entry, call) : pvalidate(vm, entry, call);
}
