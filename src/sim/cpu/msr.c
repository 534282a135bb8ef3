/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr: the model-specific registers of the processor itself. Those of TSC, APIC and KVM are the platform's.
 */
#include <stddef.h>

#include "internal.h"
#include "vc.h"

#define CPUID_EDX_FFXSR 25 /* of 80000001h */
#define EFER_INDEX      0xc0000080u
#define MSR_GHCB        0xc0010130u
#define MSR_SEV_STATUS  0xc0010131u

enum msr_rule {
	MSR_ANY,
	MSR_CANONICAL,
	MSR_32,       /* the guest's upper half must be zero */
	MSR_SYSENTER, /* an address; AMD's processors keep 32 bits */
	MSR_TSC_AUX,
	MSR_PAT, /* eight memory types */
	MSR_EFER,
	MSR_READ, /* a constant, which KVM cannot write */
	MSR_MTRR_DEF,
	MSR_MTRR_FIX, /* eight memory types that MTRRs may have */
	MSR_MTRR_BASE,
	MSR_MTRR_MASK,
};

struct msr {
	u32 index;
	enum msr_rule rule;
	size_t offset; /* in struct cpu */
	u64 value;     /* of MSR_READ */
};

#define FIELD(name) offsetof(struct cpu, name)
#define SEG_BASE(i) \
	(offsetof(struct cpu, seg) + (i) * sizeof(struct cpu_seg) + offsetof(struct cpu_seg, base))
#define MTRR_VAR(i) (offsetof(struct cpu, mtrr_var) + (i) * sizeof(u64))
#define MTRR_FIX(i) (offsetof(struct cpu, mtrr_fixed) + (i) * sizeof(u64))
#define VAR(i) \
	{ \
		0x200 + (i), (i) % 2 ? MSR_MTRR_MASK : MSR_MTRR_BASE, MTRR_VAR(i), 0 \
	}

static const struct msr msrs[] = {
        {0xfe, MSR_READ, 0, 0x508}, /* MTRRcap: 8 variable, fixed, write-combining */
        {0x174, MSR_32, FIELD(sysenter_cs), 0},
        {0x175, MSR_SYSENTER, FIELD(sysenter_esp), 0},
        {0x176, MSR_SYSENTER, FIELD(sysenter_eip), 0},
        VAR(0),
        VAR(1),
        VAR(2),
        VAR(3),
        VAR(4),
        VAR(5),
        VAR(6),
        VAR(7),
        VAR(8),
        VAR(9),
        VAR(10),
        VAR(11),
        VAR(12),
        VAR(13),
        VAR(14),
        VAR(15),
        {0x250, MSR_MTRR_FIX, MTRR_FIX(0), 0},
        {0x258, MSR_MTRR_FIX, MTRR_FIX(1), 0},
        {0x259, MSR_MTRR_FIX, MTRR_FIX(2), 0},
        {0x268, MSR_MTRR_FIX, MTRR_FIX(3), 0},
        {0x269, MSR_MTRR_FIX, MTRR_FIX(4), 0},
        {0x26a, MSR_MTRR_FIX, MTRR_FIX(5), 0},
        {0x26b, MSR_MTRR_FIX, MTRR_FIX(6), 0},
        {0x26c, MSR_MTRR_FIX, MTRR_FIX(7), 0},
        {0x26d, MSR_MTRR_FIX, MTRR_FIX(8), 0},
        {0x26e, MSR_MTRR_FIX, MTRR_FIX(9), 0},
        {0x26f, MSR_MTRR_FIX, MTRR_FIX(10), 0},
        {0x277, MSR_PAT, FIELD(pat), 0},
        {0x2ff, MSR_MTRR_DEF, FIELD(mtrr_def), 0},
        {0xc0000080, MSR_EFER, FIELD(efer), 0},
        {0xc0000081, MSR_ANY, FIELD(star), 0},
        {0xc0000082, MSR_CANONICAL, FIELD(lstar), 0},
        {0xc0000083, MSR_CANONICAL, FIELD(cstar), 0},
        {0xc0000084, MSR_32, FIELD(sfmask), 0},
        {0xc0000100, MSR_CANONICAL, SEG_BASE(CPU_FS), 0},
        {0xc0000101, MSR_CANONICAL, SEG_BASE(CPU_GS), 0},
        {0xc0000102, MSR_CANONICAL, FIELD(kernel_gs_base), 0},
        {0xc0000103, MSR_TSC_AUX, FIELD(tsc_aux), 0},
};

static const struct msr *find(u32 index)
{
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
		if (msrs[i].index == index)
			return &msrs[i];
	return NULL;
}

const uint32_t *cpu_msr_list(uint32_t *ret_count)
{
	static uint32_t list[ARRAY_LEN(msrs)];
	uint32_t count = 0;

	/*
	 * A VMM must be able to write back each value that it saved, so the list has no constants. Several
	 * threads may fill the list at once; they write the same values.
	 */
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++) {
		if (msrs[i].rule != MSR_READ)
			__atomic_store_n(&list[count++], msrs[i].index, __ATOMIC_RELAXED);
	}
	*ret_count = count;
	return list;
}

/* Returns whether the MSR exists: TSC_AUX exists only with RDTSCP or RDPID. */
static bool present(const struct cpu *cpu, const struct msr *msr)
{
	return msr->rule != MSR_TSC_AUX || cpu->features & (FEATURE_RDTSCP | FEATURE_RDPID);
}

bool cpu_msr_read(struct cpu *cpu, uint32_t index, uint64_t *ret_value, bool by_host)
{
	const struct msr *msr = find(index);

	if (!msr || (!by_host && !present(cpu, msr)))
		return false;
	if (msr->rule == MSR_READ)
		*ret_value = msr->value;
	else
		memcpy(ret_value, (const char *)cpu + msr->offset, 8);
	return true;
}

static bool pat_valid(u64 value)
{
	for (unsigned i = 0; i < 8; i++, value >>= 8)
		if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
			return false;
	return true;
}

/* Returns whether MTRRs may have this memory type: UC, WC, WT, WP, WB (APM 2, 7.7.1). */
static bool mtrr_type(u64 value)
{
	return (value & 0xff) < 8 && 0x73 >> (value & 0xff) & 1;
}

static bool mtrr_types(u64 value)
{
	bool good = true;

	for (unsigned i = 0; i < 8; i++)
		good = good && mtrr_type(value >> 8 * i);
	return good;
}

/* Returns whether CPUID has the features that the bits of EFER switch (kvm_valid_efer(); no SVM here). */
bool cpu_efer_valid(const struct cpu *cpu, u64 value)
{
	u64 known = EFER_SCE | (cpu->features & FEATURE_LM ? EFER_LME | EFER_LMA : 0) |
	            (cpu->features & FEATURE_NX ? EFER_NXE : 0);
	u32 regs[4];

	cpu_cpuid_query(cpu, 0x80000001, 0, regs);
	if (regs[3] >> CPUID_EDX_FFXSR & 1)
		known |= EFER_FFXSR;
	return !(value & ~known);
}

static bool efer_write(struct cpu *cpu, u64 value, bool by_host)
{
	const u64 known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR;

	/* The VMM may set bits that CPUID does not offer, and LME while paging is on. */
	if (by_host ? value & ~known : !cpu_efer_valid(cpu, value))
		return false;
	if (!by_host && (value ^ cpu->efer) & EFER_LME && cpu->cr0 & CR0_PG)
		return false;
	/* Only the processor changes LMA. */
	cpu->efer = (value & ~(u64)EFER_LMA) | (cpu->efer & EFER_LMA);
	cpu_tlb_flush(cpu);
	cpu_mode_changed(cpu);
	return true;
}

static bool allowed(struct cpu *cpu, const struct msr *msr, u64 value, bool by_host)
{
	switch (msr->rule) {
	case MSR_CANONICAL: return is_canonical(value);
	case MSR_32: return by_host || value >> 32 == 0;
	case MSR_TSC_AUX: return (by_host || present(cpu, msr)) && (cpu->amd || value >> 32 == 0);
	case MSR_PAT: return pat_valid(value);
	case MSR_MTRR_DEF: return !(value & ~(u64)0xcff) && mtrr_type(value);
	case MSR_MTRR_FIX: return mtrr_types(value);
	case MSR_MTRR_BASE: return !(value & (0xf00 | ~cpu_phys_mask(cpu))) && mtrr_type(value);
	case MSR_MTRR_MASK: return !(value & (0x7ff | ~cpu_phys_mask(cpu)));
	case MSR_READ: return false;
	default: return true;
	}
}

/* Returns what the register keeps of an allowed value, as KVM's __kvm_set_msr() and svm_set_msr() do. */
static u64 kept(const struct cpu *cpu, const struct msr *msr, u64 value)
{
	switch (msr->rule) {
	case MSR_SYSENTER: return cpu->amd ? (u32)value : make_canonical(value);
	case MSR_TSC_AUX: return (u32)value;
	default: return value;
	}
}

bool cpu_msr_write(struct cpu *cpu, uint32_t index, uint64_t value, bool by_host)
{
	const struct msr *msr = find(index);

	if (!msr || !allowed(cpu, msr, value, by_host))
		return false;
	if (msr->rule == MSR_EFER)
		return efer_write(cpu, value, by_host);
	value = kept(cpu, msr, value);
	memcpy((char *)cpu + msr->offset, &value, 8);
	return true;
}

/* ---- RDMSR, WRMSR ---- */

/*
 * KVM does not intercept EFER in a SEV-ES guest, which so sees the SVME that VMRUN demands. The processor
 * ignores what the guest writes there.
 */
static bool real_efer(struct cpu *cpu, bool write, u64 *value)
{
	if (write)
		return cpu_msr_write(cpu, EFER_INDEX, *value & ~(u64)EFER_SVME, false);
	*value = cpu->efer | EFER_SVME;
	return true;
}

static bool own_or_platform(struct cpu *cpu, bool write, u32 index, u64 *value)
{
	if (unlikely(cpu->vc) && index == EFER_INDEX)
		return real_efer(cpu, write, value);
	if (!find(index))
		return cpu->bus->msr && cpu->bus->msr(cpu->ctx, write, index, value);
	return write ? cpu_msr_write(cpu, index, *value, false) : cpu_msr_read(cpu, index, value, false);
}

static u32 refusal(struct cpu *cpu, bool write, u32 index)
{
	const struct msr *msr = find(index);

	if ((msr && !(write && msr->rule == MSR_READ)) ||
	        (cpu->bus->msr_known && cpu->bus->msr_known(cpu->ctx, write, index)))
		return KVM_MSR_EXIT_REASON_INVAL;
	return KVM_MSR_EXIT_REASON_UNKNOWN;
}

static bool intercepted(struct cpu *cpu, bool write, u32 index)
{
	if (index == MSR_GHCB || index == MSR_SEV_STATUS)
		return false;
	return cpu->bus->msr_intercepted ? cpu->bus->msr_intercepted(cpu->ctx, write, index) : !find(index);
}

bool cpu_msr_answer(struct cpu *cpu, bool write, uint32_t index, uint64_t *value, uint32_t *ret_reason)
{
	if (own_or_platform(cpu, write, index, value))
		return true;
	*ret_reason = refusal(cpu, write, index);
	return false;
}

bool cpu_msr_access(struct cpu *cpu, bool write, u32 index, u64 *value)
{
	struct cpu_access *access;
	u32 reason = KVM_MSR_EXIT_REASON_FILTER;

	if (unlikely(cpu->vc) && intercepted(cpu, write, index))
		vc_intercept(cpu, VC_MSR);
	/* If this access left with an exit before, the caller's answer counts, whatever has changed since. */
	if (cpu->access_id == cpu_icount(cpu) && cpu->accesses_used < cpu->accesses &&
	        cpu_access_repeated(cpu, &access)) {
		*value = access->data;
		return !cpu->exit_info.msr.failed;
	}
	if ((!cpu->bus->msr_allowed || cpu->bus->msr_allowed(cpu->ctx, write, index)) &&
	        cpu_msr_answer(cpu, write, index, value, &reason))
		return true;
	if (!cpu->bus->msr_exits || !cpu->bus->msr_exits(cpu->ctx, reason))
		return false;
	(void)cpu_access_repeated(cpu, &access);
	cpu->exit_info.msr.write = write;
	cpu->exit_info.msr.failed = false;
	cpu->exit_info.msr.index = index;
	cpu->exit_info.msr.reason = reason;
	cpu->exit_info.msr.data = write ? *value : 0;
	cpu->access_waits = true;
	cpu_leave(cpu, CPU_EXIT_MSR);
}
