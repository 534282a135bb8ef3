/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghcb_events: the events that a guest can name in its GHCB: what each needs, and how KVM answers it. Law:
 * the GHCB specification (AMD 56421), 4.1; Linux's arch/x86/kvm/svm/sev.c and arch/x86/kvm/svm/svm.c.
 */
#include <errno.h>

#include "guest.h"
#include "kvm/msr.h"
#include "kvm/registers.h"

#define EXC_UD 6
#define EXC_GP 13

#define CPUID_1_ECX_MONITOR 0x8u

/* An event's function: the fields are there, and the answer is "done" unless the function gives another. */

/* ---- instructions ---- */

/*
 * DR7: KVM cannot change it, because the processor keeps it in the VMSA. INVD, WBINVD: caches are coherent
 * here, as KVM holds them to be.
 */
static int on_nothing(struct kvm_vcpu *v)
{
	return 1;
}

/* KVM never asks the processor to intercept RDTSC, and has no handler for it. */
static int on_rdtsc(struct kvm_vcpu *v)
{
	struct kvm_run *run = v->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	run->internal.ndata = 2;
	run->internal.data[0] = ABI_GHCB_RDTSC;
	run->internal.data[1] = 0; /* which of the host's processors it was */
	return 0;
}

/* Injects an exception as the guest goes on; the GHCB says nothing about it. */
static int inject(struct kvm_vcpu *v, uint8_t vector, bool has_error)
{
	if (v->cpu->event.kind == CPU_EVENT_NONE)
		v->cpu->event = (struct cpu_event){
		        .kind = CPU_EVENT_EXCEPTION, .vector = vector, .has_error = has_error, .given = true};
	return 1;
}

static int on_rdtscp(struct kvm_vcpu *v)
{
	return inject(v, EXC_UD, false);
}

/* There are no performance counters. */
static int on_rdpmc(struct kvm_vcpu *v)
{
	return inject(v, EXC_GP, true);
}

/* KVM knows XCR0 only from the guest's word. */
void sev_ghcb_cpuid(struct kvm_vcpu *v)
{
	struct kvm_regs *regs = &v->sev->stale.regs;
	const uint64_t xcr0 = v->cpu->xcr0;
	uint32_t r[4];

	v->cpu->xcr0 = v->sev->stale.xcr0;
	cpu_cpuid_query(v->cpu, (uint32_t)regs->rax, (uint32_t)regs->rcx, r);
	v->cpu->xcr0 = xcr0;
	regs->rax = r[0];
	regs->rbx = r[1];
	regs->rcx = r[2];
	regs->rdx = r[3];
}

static int on_cpuid(struct kvm_vcpu *v)
{
	sev_ghcb_cpuid(v);
	return 1;
}

/* KVM makes these NOPs, unless the VMM switched that off. */
static int on_monitor(struct kvm_vcpu *v)
{
	uint32_t r[4];

	cpu_cpuid_query(v->cpu, 1, 0, r);
	if (cpu_bus_has_quirk(&v->vm->bus, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) || r[2] & CPUID_1_ECX_MONITOR)
		return 1;
	return inject(v, EXC_UD, false);
}

/* ---- MSRs ---- */

static int msr_completed(struct kvm_vcpu *v, bool write, bool good, uint64_t value)
{
	struct kvm_regs *regs = &v->sev->stale.regs;

	if (!good)
		return sev_ghcb_exception(v, EXC_GP);
	if (!write) {
		regs->rax = (uint32_t)value;
		regs->rdx = value >> 32;
	}
	return 1;
}

static int complete_msr(struct kvm_vcpu *v)
{
	bool write = v->run->exit_reason == KVM_EXIT_X86_WRMSR;

	return msr_completed(v, write, !v->run->msr.error, v->run->msr.data);
}

/*
 * Accesses the MSR for the guest. An MSR that the processor keeps in the VMSA cannot be reached: that is an
 * error, but where a SEV-ES guest of the VM type 0 gets zero, and its writes are lost.
 */
static bool access_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, uint32_t *ret_reason)
{
	*ret_reason = KVM_MSR_EXIT_REASON_FILTER;
	if (!kvm_vcpu_msr_allowed(v, write, index))
		return false;
	*ret_reason = KVM_MSR_EXIT_REASON_UNKNOWN;
	if (index == KVM_MSR_SEV_STATUS || index == KVM_MSR_GUEST_TSC_FREQ) /* they are the processor's */
		return false;
	*ret_reason = KVM_MSR_EXIT_REASON_INVAL;
	if (!sev_vcpu_hides_msr(v, index))
		return cpu_msr_answer(v->cpu, write, index, value, ret_reason);
	if (!write)
		*value = 0;
	return !kvm_vm_has_protected_state(v->vm);
}

static int on_msr(struct kvm_vcpu *v)
{
	const struct kvm_regs *regs = &v->sev->stale.regs;
	bool write = v->sev->ghcb.guest.sw_exit_info_1;
	uint64_t value = write ? regs->rdx << 32 | (uint32_t)regs->rax : 0;
	uint32_t index = (uint32_t)regs->rcx, reason;

	if (access_msr(v, write, index, &value, &reason))
		return msr_completed(v, write, true, value);
	if (kvm_vcpu_msr_exits(v, reason)) {
		v->cpu->exit_info.msr.write = write;
		v->cpu->exit_info.msr.index = index;
		v->cpu->exit_info.msr.reason = reason;
		v->cpu->exit_info.msr.data = value;
		kvm_vcpu_leave_msr(v);
		return sev_ghcb_leave(v, complete_msr);
	}
	/* KVM takes its refusal to write an MSR that is in the VMSA for an error of the VMM. */
	if (write && reason == KVM_MSR_EXIT_REASON_INVAL && sev_vcpu_hides_msr(v, index))
		return -EINVAL;
	return msr_completed(v, write, false, 0);
}

/* ---- hypercalls ---- */

static int complete_vmmcall(struct kvm_vcpu *v)
{
	v->sev->stale.regs.rax = v->run->hypercall.ret;
	return 1;
}

static int on_vmmcall(struct kvm_vcpu *v)
{
	struct kvm_regs *regs = &v->sev->stale.regs;
	const struct kvm_hypercall call = {
	        .number = regs->rax,
	        .args = {regs->rbx, regs->rcx, regs->rdx, regs->rsi},
	        .cpl = sev_ghcb_is_valid(&v->sev->ghcb, ABI_GHCB_BIT(cpl)) ? v->sev->ghcb.guest.cpl : 0,
	        .longmode = true, /* the registers of a protected guest have 64 bits in the GHCB */
	};

	uint64_t result;

	if (kvm_vcpu_answer_hypercall(v, &call, &result) == 0)
		return sev_ghcb_leave(v, complete_vmmcall);
	regs->rax = result;
	return 1;
}

/* ---- what only software asks for ---- */

static int on_nmi_complete(struct kvm_vcpu *v)
{
	cpu_end_nmi_blocking(v->cpu);
	return 1;
}

static int on_reset_hold(struct kvm_vcpu *v)
{
	return sev_ghcb_hold(v, SEV_HOLD_EVENT);
}

/* KVM keeps one number for the VM, and does not look at it. */
static int on_jump_table(struct kvm_vcpu *v)
{
	const struct abi_ghcb *guest = &v->sev->ghcb.guest;

	if (guest->sw_exit_info_1 == ABI_GHCB_JUMP_TABLE_SET)
		atomic_store(&v->vm->sev->jump_table, guest->sw_exit_info_2);
	else if (guest->sw_exit_info_1 == ABI_GHCB_JUMP_TABLE_GET)
		return sev_ghcb_done(v, atomic_load(&v->vm->sev->jump_table));
	else
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_INPUT);
	return 1;
}

static int on_features(struct kvm_vcpu *v)
{
	return sev_ghcb_done(v, SEV_GHCB_FEATURES);
}

/* The guest says that it got a #VC that it does not know. */
static int on_unsupported(struct kvm_vcpu *v)
{
	log_guest(LOG_WARN, "software platform: the guest got a #VC with code 0x%llx and cannot handle it",
	        (unsigned long long)v->sev->ghcb.guest.sw_exit_info_1);
	return -EINVAL;
}

/* ---- the table ---- */

/* Fields that must be valid, and SNP: the guest must be one of SEV-SNP. */
enum need { RAX = 1, RCX = 2, RDX = 4, CPL = 8, XCR0 = 16, SCRATCH = 32, EXIT = 64, SNP = 128 };

static const struct {
	unsigned need, bit;
} fields[] = {
        {RAX, ABI_GHCB_BIT(rax)},
        {RCX, ABI_GHCB_BIT(rcx)},
        {RDX, ABI_GHCB_BIT(rdx)},
        {CPL, ABI_GHCB_BIT(cpl)},
        {XCR0, ABI_GHCB_BIT(xcr0)},
        {SCRATCH, ABI_GHCB_BIT(sw_scratch)},
        {EXIT, ABI_GHCB_BIT(sw_exit_code)},
        {EXIT, ABI_GHCB_BIT(sw_exit_info_1)},
        {EXIT, ABI_GHCB_BIT(sw_exit_info_2)},
};

static unsigned need_of_cpuid(const struct kvm_vcpu *v)
{
	return v->sev->stale.regs.rax == 0xd ? XCR0 : 0;
}

static unsigned need_of_port(const struct kvm_vcpu *v)
{
	uint64_t info = v->sev->ghcb.guest.sw_exit_info_1;

	return info & ABI_GHCB_IO_STRING ? SCRATCH : info & ABI_GHCB_IO_IN ? 0 : RAX;
}

static unsigned need_of_msr(const struct kvm_vcpu *v)
{
	return v->sev->ghcb.guest.sw_exit_info_1 ? RAX | RDX : 0;
}

static unsigned need_of_ap_creation(const struct kvm_vcpu *v)
{
	uint64_t info = v->sev->ghcb.guest.sw_exit_info_1;

	return ABI_GHCB_AP_REQUEST(info) == ABI_GHCB_AP_DESTROY ? 0 : RAX;
}

struct event {
	uint64_t code;
	unsigned needs;                                  /* of enum need, besides EXIT */
	unsigned (*needs_too)(const struct kvm_vcpu *v); /* NULL: no others */
	sev_ghcb_fn *answer;
};

static const struct event events[] = {
        {ABI_GHCB_READ_DR7, 0, NULL, on_nothing},
        {ABI_GHCB_WRITE_DR7, RAX, NULL, on_nothing},
        {ABI_GHCB_RDTSC, 0, NULL, on_rdtsc},
        {ABI_GHCB_RDPMC, RCX, NULL, on_rdpmc},
        {ABI_GHCB_CPUID, RAX | RCX, need_of_cpuid, on_cpuid},
        {ABI_GHCB_INVD, 0, NULL, on_nothing},
        {ABI_GHCB_IOIO, 0, need_of_port, sev_ghcb_on_port},
        {ABI_GHCB_MSR, RCX, need_of_msr, on_msr},
        {ABI_GHCB_VMMCALL, RAX | CPL, NULL, on_vmmcall},
        {ABI_GHCB_RDTSCP, 0, NULL, on_rdtscp},
        {ABI_GHCB_WBINVD, 0, NULL, on_nothing},
        {ABI_GHCB_MONITOR, RAX | RCX | RDX, NULL, on_monitor},
        {ABI_GHCB_MWAIT, RAX | RCX, NULL, on_monitor},
        {ABI_GHCB_MMIO_READ, SCRATCH, NULL, sev_ghcb_on_mmio},
        {ABI_GHCB_MMIO_WRITE, SCRATCH, NULL, sev_ghcb_on_mmio},
        {ABI_GHCB_NMI_COMPLETE, 0, NULL, on_nmi_complete},
        {ABI_GHCB_AP_RESET_HOLD, 0, NULL, on_reset_hold},
        {ABI_GHCB_AP_JUMP_TABLE, 0, NULL, on_jump_table},
        {ABI_GHCB_PSC, SCRATCH | SNP, NULL, sev_ghcb_on_psc},
        {ABI_GHCB_GUEST_REQUEST, SNP, NULL, sev_ghcb_on_request},
        {ABI_GHCB_EXT_GUEST_REQUEST, SNP, NULL, sev_ghcb_on_ext_request},
        {ABI_GHCB_AP_CREATION, SNP, need_of_ap_creation, sev_ghcb_on_ap_creation},
        {ABI_GHCB_HV_FEATURES, 0, NULL, on_features},
        {ABI_GHCB_TERMINATE, 0, NULL, sev_ghcb_terminate},
        {ABI_GHCB_UNSUPPORTED, 0, NULL, on_unsupported},
};

static const struct event *find_event(uint64_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (events[i].code == code)
			return &events[i];
	}
	return NULL;
}

static bool has_fields(const struct sev_ghcb *g, unsigned needs)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (needs & fields[i].need && !sev_ghcb_is_valid(g, fields[i].bit))
			return false;
	}
	return true;
}

/* The order of the checks is KVM's. */
int sev_ghcb_event(struct kvm_vcpu *v)
{
	const struct event *e = find_event(v->sev->ghcb.guest.sw_exit_code);
	unsigned needs = EXIT;

	if (e && e->needs & SNP && !sev_is_snp(v->vm))
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_EVENT);
	if (e)
		needs |= e->needs | (e->needs_too ? e->needs_too(v) : 0);
	if (!has_fields(&v->sev->ghcb, needs))
		return sev_ghcb_malformed(v, ABI_GHCB_MISSING_INPUT);
	if (!e)
		return sev_ghcb_malformed(v, ABI_GHCB_INVALID_EVENT);
	sev_ghcb_done(v, 0);
	return e->answer(v);
}
