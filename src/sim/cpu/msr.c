/*
 * msr: the model-specific registers that are the processor's own; TSC, APIC and KVM's are the platform's.
 */
#include <stddef.h>

#include "internal.h"

enum msr_rule {
	MSR_ANY,
	MSR_CANONICAL,
	MSR_32,  /* the upper half must be zero */
	MSR_PAT, /* eight memory types */
	MSR_EFER,
	MSR_READ,    /* a constant for the guest */
	MSR_IGNORED, /* reads as 0, writes do nothing */
	MSR_MTRR_DEF,
};

struct msr {
	u32 index;
	enum msr_rule rule;
	size_t offset; /* in struct sim_cpu */
	u64 value;     /* of MSR_READ */
};

#define FIELD(name) offsetof(struct sim_cpu, name)
#define SEG_BASE(i) \
	(offsetof(struct sim_cpu, seg) + (i) * sizeof(struct sim_seg) + offsetof(struct sim_seg, base))
#define MTRR_VAR(i) (offsetof(struct sim_cpu, mtrr_var) + (i) * sizeof(u64))
#define MTRR_FIX(i) (offsetof(struct sim_cpu, mtrr_fixed) + (i) * sizeof(u64))
#define VAR(i) \
	{ \
		0x200 + (i), MSR_ANY, MTRR_VAR(i), 0 \
	}

static const struct msr msrs[] = {
        {0x17, MSR_READ, 0, 0},     /* platform id */
        {0x8b, MSR_READ, 0, 0},     /* microcode revision */
        {0xfe, MSR_READ, 0, 0x508}, /* MTRRcap: 8 variable, fixed, write-combining */
        {0x174, MSR_32, FIELD(sysenter_cs), 0},
        {0x175, MSR_CANONICAL, FIELD(sysenter_esp), 0},
        {0x176, MSR_CANONICAL, FIELD(sysenter_eip), 0},
        {0x1a0, MSR_ANY, FIELD(misc_enable), 0},
        {0x1d9, MSR_IGNORED, 0, 0}, /* DEBUGCTL */
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
        {0x250, MSR_ANY, MTRR_FIX(0), 0},
        {0x258, MSR_ANY, MTRR_FIX(1), 0},
        {0x259, MSR_ANY, MTRR_FIX(2), 0},
        {0x268, MSR_ANY, MTRR_FIX(3), 0},
        {0x269, MSR_ANY, MTRR_FIX(4), 0},
        {0x26a, MSR_ANY, MTRR_FIX(5), 0},
        {0x26b, MSR_ANY, MTRR_FIX(6), 0},
        {0x26c, MSR_ANY, MTRR_FIX(7), 0},
        {0x26d, MSR_ANY, MTRR_FIX(8), 0},
        {0x26e, MSR_ANY, MTRR_FIX(9), 0},
        {0x26f, MSR_ANY, MTRR_FIX(10), 0},
        {0x277, MSR_PAT, FIELD(pat), 0},
        {0x2ff, MSR_MTRR_DEF, FIELD(mtrr_def), 0},
        {0xc0000080, MSR_EFER, FIELD(efer), 0},
        {0xc0000081, MSR_ANY, FIELD(star), 0},
        {0xc0000082, MSR_CANONICAL, FIELD(lstar), 0},
        {0xc0000083, MSR_CANONICAL, FIELD(cstar), 0},
        {0xc0000084, MSR_32, FIELD(sfmask), 0},
        {0xc0000100, MSR_CANONICAL, SEG_BASE(SIM_FS), 0},
        {0xc0000101, MSR_CANONICAL, SEG_BASE(SIM_GS), 0},
        {0xc0000102, MSR_CANONICAL, FIELD(kernel_gs_base), 0},
        {0xc0000103, MSR_32, FIELD(tsc_aux), 0},
};

static const struct msr *find(u32 index)
{
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
		if (msrs[i].index == index)
			return &msrs[i];
	return NULL;
}

const uint32_t *sim_cpu_msr_list(uint32_t *ret_count)
{
	static uint32_t list[ARRAY_LEN(msrs)];

	/* Every thread would write the same. */
	for (size_t i = 0; i < ARRAY_LEN(msrs); i++)
		__atomic_store_n(&list[i], msrs[i].index, __ATOMIC_RELAXED);
	*ret_count = ARRAY_LEN(msrs);
	return list;
}

bool sim_cpu_msr_read(struct sim_cpu *cpu, uint32_t index, uint64_t *ret_value)
{
	const struct msr *msr = find(index);

	if (!msr)
		return false;
	if (msr->rule == MSR_READ || msr->rule == MSR_IGNORED)
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

static bool efer_write(struct sim_cpu *cpu, u64 value, bool by_host)
{
	u64 known = EFER_SCE | EFER_FFXSR | EFER_LMA | (cpu->features & FEATURE_LM ? EFER_LME : 0) |
	            (cpu->features & FEATURE_NX ? EFER_NXE : 0) | EFER_SVME;

	if (by_host)
		known |= EFER_LME | EFER_NXE;
	if (value & ~known || (!by_host && value & EFER_SVME & ~cpu->efer))
		return false;
	if (!by_host) {
		/* LMA is the processor's; LME is fixed while paging is on. */
		if ((value ^ cpu->efer) & EFER_LME && cpu->cr0 & CR0_PG)
			return false;
		value = (value & ~(u64)EFER_LMA) | (cpu->efer & EFER_LMA);
	}
	cpu->efer = value;
	sim_tlb_flush(cpu);
	sim_mode_changed(cpu);
	return true;
}

static bool allowed(struct sim_cpu *cpu, const struct msr *msr, u64 value, bool by_host)
{
	switch (msr->rule) {
	case MSR_CANONICAL: return (u64)((s64)(value << 16) >> 16) == value;
	case MSR_32: return value >> 32 == 0;
	case MSR_PAT: return pat_valid(value);
	case MSR_MTRR_DEF: return !(value & ~(u64)0xcff);
	case MSR_READ: return by_host;
	default: return true;
	}
}

bool sim_cpu_msr_write(struct sim_cpu *cpu, uint32_t index, uint64_t value, bool by_host)
{
	const struct msr *msr = find(index);

	/* Loading microcode is harmless: there is none. */
	if (index == 0x8b)
		return true;
	if (!msr || !allowed(cpu, msr, value, by_host))
		return false;
	if (msr->rule == MSR_EFER)
		return efer_write(cpu, value, by_host);
	if (msr->rule != MSR_READ && msr->rule != MSR_IGNORED)
		memcpy((char *)cpu + msr->offset, &value, 8);
	return true;
}

/* ---- RDMSR, WRMSR ---- */

static bool own_or_platform(struct sim_cpu *cpu, bool write, u32 index, u64 *value)
{
	if (!find(index))
		return cpu->bus->msr && cpu->bus->msr(cpu->ctx, write, index, value);
	return write ? sim_cpu_msr_write(cpu, index, *value, false) : sim_cpu_msr_read(cpu, index, value);
}

static u32 refusal(struct sim_cpu *cpu, u32 index)
{
	if (find(index) || (cpu->bus->msr_known && cpu->bus->msr_known(cpu->ctx, index)))
		return KVM_MSR_EXIT_REASON_INVAL;
	return KVM_MSR_EXIT_REASON_UNKNOWN;
}

bool sim_msr_access(struct sim_cpu *cpu, bool write, u32 index, u64 *value)
{
	struct sim_access *access;
	u32 reason = KVM_MSR_EXIT_REASON_FILTER;

	/* The one that an exit told of is answered by the caller, whatever was changed meanwhile. */
	if (cpu->access_id == sim_cpu_icount(cpu) && cpu->accesses_used < cpu->accesses &&
	        sim_access_repeated(cpu, &access)) {
		*value = access->data;
		return !cpu->exit_info.msr.failed;
	}
	if (!cpu->bus->msr_allowed || cpu->bus->msr_allowed(cpu->ctx, write, index)) {
		if (own_or_platform(cpu, write, index, value))
			return true;
		reason = refusal(cpu, index);
	}
	if (!cpu->bus->msr_exits || !cpu->bus->msr_exits(cpu->ctx, reason))
		return false;
	(void)sim_access_repeated(cpu, &access);
	cpu->exit_info.msr.write = write;
	cpu->exit_info.msr.failed = false;
	cpu->exit_info.msr.index = index;
	cpu->exit_info.msr.reason = reason;
	cpu->exit_info.msr.data = write ? *value : 0;
	cpu->access_waits = true;
	sim_leave(cpu, SIM_EXIT_MSR);
}
