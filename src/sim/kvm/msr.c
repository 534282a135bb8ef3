/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr: model-specific registers that are the platform's: time, the APIC, and those that KVM answers so that
 * operating systems start. Runs on the vCPU's thread, or with kvm_vcpu.lock held. Law: APM 2, appendix A;
 * Intel's SDM 4 for those that both vendors have.
 */
#include "msr.h"
#include "hooks.h"
#include "irq.h"
#include "pv.h"
#include "registers.h"

#define MSR_TSC          0x10u
#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_ADJUST   0x3bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_PLATFORM     0xceu /* PLATFORM_INFO */
#define MSR_X2APIC       0x800u

#define MICROCODE_REVISION 0x01000065u /* as KVM on AMD has it */
#define MISC_ENABLE_EMON   UINT64_C(0x80)
#define MISC_ENABLE_BTS    UINT64_C(0x800) /* unavailable; likewise PEBS */
#define MISC_ENABLE_PEBS   UINT64_C(0x1000)
#define MISC_ENABLE_MWAIT  UINT64_C(0x40000)
#define CPUID_1_ECX_SSE3   1u
#define HWCR_DROPPED       UINT64_C(0x148)      /* cache disable, flush filter disable, IGNNE emulation */
#define HWCR_KEPT          UINT64_C(0x1040000)  /* McStatusWrEn, TscFreqSel */
#define DE_CFG_LFENCE      UINT64_C(2)          /* LFENCE serialises */
#define PLATFORM_FAULT     UINT64_C(0x80000000) /* CPUID can be made to fault */
#define CPUID_FAULT        UINT64_C(1)          /* of MISC_FEATURES_ENABLES: it faults */
#define VM_CR_LOCK         UINT64_C(0x8)
#define VM_CR_SVMDIS       UINT64_C(0x10)
#define VM_CR_KNOWN        UINT64_C(0x1f)

/* Where rows keep a value in kvm_vcpu.msrs. Slot 0 is for rows that keep none. */
enum slot {
	NOTHING,
	MICROCODE,
	MISC_ENABLE,
	POWER_CTL,
	HWCR,
	DE_CFG,
	VM_CR,
	HSAVE_PA,
	PLATFORM,
	FEATURES,
	SLOTS
};

/* Takes a written value: changes it as KVM would, or refuses it (returns false: a guest gets #GP). */
typedef bool write_fn(struct kvm_vcpu *v, uint64_t *value, bool by_host);

struct row {
	uint32_t first, last;
	enum slot slot;
	uint64_t value;  /* the value after a reset; a row that keeps no value always reads this */
	write_fn *write; /* NULL: KVM does not know how to write it */
	bool write_only; /* KVM does not know how to read it */
};

static bool write_any(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	return true;
}

static bool write_zero(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	return *value == 0;
}

/* The guest may load microcode, which does nothing. Only the VMM changes the revision. */
static bool write_microcode(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	if (!by_host)
		*value = v->msrs[MICROCODE];
	return true;
}

/* Without the quirk, CPUID's MONITOR follows this bit of MISC_ENABLE, and the bit exists only with SSE3. */
static bool has_mwait_switch(const struct kvm_vcpu *v)
{
	const struct kvm_cpuid_entry2 *features = kvm_vcpu_cpuid_leaf(v, 1);

	return cpu_bus_has_quirk(&v->vm->bus, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT) ||
	       (features && features->ecx & CPUID_1_ECX_SSE3);
}

/*
 * A guest cannot change that branch trace store and PEBS are unavailable, nor the bit of performance
 * monitoring.
 */
static bool write_misc_enable(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	const uint64_t unavailable = MISC_ENABLE_BTS | MISC_ENABLE_PEBS, old = v->msrs[MISC_ENABLE];

	if (!by_host)
		*value = (*value & ~MISC_ENABLE_EMON) | (old & MISC_ENABLE_EMON);
	if ((!by_host && (*value ^ old) & unavailable) ||
	        ((*value ^ old) & MISC_ENABLE_MWAIT && !has_mwait_switch(v)))
		return false;
	v->cpu->mwait_on = *value & MISC_ENABLE_MWAIT;
	return true;
}

/*
 * Bits for caches and flushes, which operating systems set, are dropped without effect. Few other bits may
 * be set.
 */
static bool write_hwcr(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	*value &= ~HWCR_DROPPED;
	return !(*value & ~HWCR_KEPT);
}

/* A feature MSR: once the vCPU has run, the VMM may only write the value that it has. */
static bool write_de_cfg(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	if (by_host && v->has_run && *value != v->msrs[DE_CFG])
		return false;
	return !(*value & ~DE_CFG_LFENCE);
}

/* Once SVM is disabled, that bit and its lock cannot be changed. */
static bool write_vm_cr(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	const uint64_t old = v->msrs[VM_CR], fixed = old & VM_CR_SVMDIS ? VM_CR_LOCK | VM_CR_SVMDIS : 0;

	if (*value & ~VM_CR_KNOWN)
		return false;
	*value = (*value & ~fixed) | (old & fixed);
	return true;
}

/* CPUID can be made to fault where PLATFORM_INFO says so. */
static bool write_features(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	if (*value & ~CPUID_FAULT || (*value && !(v->msrs[PLATFORM] & PLATFORM_FAULT)))
		return false;
	v->cpu->cpuid_faults = *value;
	return true;
}

static bool write_hsave_pa(struct kvm_vcpu *v, uint64_t *value, bool by_host)
{
	const uint64_t in_page = PAGE_SIZE_BYTES - 1;

	if (!by_host && *value & (in_page | ~cpu_phys_mask(v->cpu)))
		return false;
	*value &= ~in_page;
	return true;
}

/*
 * Registers of the platform that do nothing else, one row for each. Law: Linux's arch/x86/kvm/x86.c and
 * svm/svm.c.
 */
static const struct row rows[] = {
        {0x17, 0x17, NOTHING, 0, NULL},                               /* IA32_PLATFORM_ID */
        {0x2a, 0x2a, NOTHING, 0, NULL},                               /* EBL_CR_POWERON */
        {0x2c, 0x2c, NOTHING, 1 << 24, NULL},                         /* EBC_FREQUENCY_ID */
        {0x79, 0x79, NOTHING, 0, write_any, true},                    /* IA32_BIOS_UPDT_TRIG */
        {0x8b, 0x8b, MICROCODE, MICROCODE_REVISION, write_microcode}, /* IA32_BIOS_SIGN_ID */
        {0xc1, 0xc2, NOTHING, 0, write_any},                          /* PERFCTR of P6; there is no PMU */
        {0xcd, 0xcd, NOTHING, 3, NULL},                               /* frequency of the front side bus */
        {MSR_PLATFORM, MSR_PLATFORM, PLATFORM, PLATFORM_FAULT, write_any},
        {0x11e, 0x11e, NOTHING, 0xbe702111, write_any},          /* BBL_CR_CTL3 */
        {0x140, 0x140, FEATURES, 0, write_features},             /* MISC_FEATURES_ENABLES */
        {0x186, 0x187, NOTHING, 0, write_any},                   /* EVNTSEL of P6 */
        {0x198, 0x198, NOTHING, 1000 | UINT64_C(4) << 40, NULL}, /* IA32_PERF_STATUS */
        {0x199, 0x199, NOTHING, 0, NULL},                        /* IA32_PERF_CTL */
        {0x1a0, 0x1a0, MISC_ENABLE, MISC_ENABLE_BTS | MISC_ENABLE_PEBS, write_misc_enable},
        {0x1d9, 0x1d9, NOTHING, 0, write_any}, /* DEBUGCTL */
        {0x1db, 0x1de, NOTHING, 0, NULL},      /* the last branch and interrupt */
        {0x1fc, 0x1fc, POWER_CTL, 0, write_any},
        {0x606, 0x606, NOTHING, 0, NULL}, /* RAPL: its unit, energies */
        {0x611, 0x611, NOTHING, 0, NULL}, {0x619, 0x619, NOTHING, 0, NULL}, {0x639, 0x639, NOTHING, 0, NULL},
        {0x641, 0x641, NOTHING, 0, NULL},
        {0xc0010000, 0xc0010007, NOTHING, 0, write_any}, /* EVNTSEL, PERFCTR of K7 */
        {0xc0010010, 0xc0010010, NOTHING, 0, NULL},      /* SYSCFG */
        {0xc0010015, 0xc0010015, HWCR, 0, write_hwcr},
        {0xc001001b, 0xc001001b, NOTHING, 0x20000000, write_any}, /* CLK_CTL of K7 */
        {0xc001001f, 0xc001001f, NOTHING, 0, write_any},          /* NB_CFG */
        {0xc0010020, 0xc0010020, NOTHING, 0, write_any, true},    /* PATCH_LOADER */
        {0xc0010055, 0xc0010055, NOTHING, 0, NULL},               /* interrupt pending message */
        {0xc0010058, 0xc0010058, NOTHING, 0, write_zero},         /* MMIO configuration base */
        {0xc0010112, 0xc0010113, NOTHING, 0, NULL},               /* TSEG: address, mask */
        {0xc0010114, 0xc0010114, VM_CR, 0, write_vm_cr},
        {0xc0010115, 0xc0010115, NOTHING, 0, write_any, true}, /* IGNNE */
        {0xc0010117, 0xc0010117, HSAVE_PA, 0, write_hsave_pa},
        {0xc0011021, 0xc0011021, NOTHING, 0, NULL},      /* IC_CFG */
        {0xc0011022, 0xc0011023, NOTHING, 0, write_any}, /* DC_CFG, TW_CFG */
        {0xc0011029, 0xc0011029, DE_CFG, 0, write_de_cfg},
        {0xc001102a, 0xc001102a, NOTHING, 0, write_any}, /* BU_CFG2 */
        {0xc001102c, 0xc001102c, NOTHING, 0, write_any}, /* EX_CFG */
};
_Static_assert(SLOTS <= ARRAY_LEN(((struct kvm_vcpu *)0)->msrs), "kvm_vcpu.msrs has a place for each slot");

static const uint32_t list[] = {MSR_TSC, MSR_APIC_BASE, MSR_TSC_ADJUST, MSR_TSC_DEADLINE, 0x8b, MSR_PLATFORM,
        0x140, 0x17a, 0x17b, 0x1a0, 0x1d9, 0x1fc, 0xc0010015, 0xc0010117, 0xc0011029};

const uint32_t *kvm_platform_msrs(uint32_t *ret_count)
{
	*ret_count = ARRAY_LEN(list);
	return list;
}

/* The bits that may be set in feature MSRs. A vCPU starts with fewer. */
static const uint32_t features[] = {0xc0011029, 0x8b, MSR_PLATFORM};
static const uint64_t feature_values[] = {DE_CFG_LFENCE, MICROCODE_REVISION, PLATFORM_FAULT};

const uint32_t *kvm_platform_features(uint32_t *ret_count)
{
	*ret_count = ARRAY_LEN(features);
	return features;
}

bool kvm_platform_feature(uint32_t index, uint64_t *ret_value)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		if (features[i] != index)
			continue;
		*ret_value = feature_values[i];
		return true;
	}
	return false;
}

void kvm_vcpu_msrs_reset(struct kvm_vcpu *v)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		v->msrs[rows[i].slot] = rows[i].value;
	if (!cpu_bus_has_quirk(&v->vm->bus, UAPI_QUIRK_STUFF_FEATURE_MSRS))
		v->msrs[MICROCODE] = v->msrs[PLATFORM] = 0;
}

/* The row of the MSR, if it can be accessed this way; else NULL. */
static const struct row *find_row(bool write, uint32_t index)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (index >= rows[i].first && index <= rows[i].last)
			return (write ? !rows[i].write : rows[i].write_only) ? NULL : &rows[i];
	}
	return NULL;
}

/* The guest can only read PLATFORM_INFO, and that only if the VMM lets it (KVM_CAP_MSR_PLATFORM_INFO). */
static bool is_hidden(const struct kvm_vcpu *v, bool write, uint32_t index, bool by_host)
{
	return index == MSR_PLATFORM && !by_host && (write || atomic_load(&v->vm->hides_platform_info));
}

static bool row_access(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	const struct row *row = find_row(write, index);
	uint64_t kept = *value;

	if (!row || is_hidden(v, write, index, by_host))
		return false;
	if (!write)
		*value = row->slot == NOTHING ? row->value : v->msrs[row->slot];
	else if (!row->write(v, &kept, by_host))
		return false;
	else
		v->msrs[row->slot] = kept;
	return true;
}

static void tsc_access(struct kvm_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	uint64_t now = kvm_vcpu_now(v);
	int64_t old = v->tsc_offset;

	if (!write) {
		*value = now + (uint64_t)v->tsc_offset;
		return;
	}
	if (v->vm->guest_keeps_tsc)
		return;
	v->tsc_offset = (int64_t)(*value - now);
	kvm_vcpu_pv_retime(v);
	if (!by_host)
		v->tsc_adjust += (uint64_t)(v->tsc_offset - old);
}

static void tsc_adjust_access(struct kvm_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	if (!write) {
		*value = v->tsc_adjust;
		return;
	}
	if (!by_host && !v->vm->guest_keeps_tsc) {
		v->tsc_offset += (int64_t)(*value - v->tsc_adjust);
		kvm_vcpu_pv_retime(v);
	}
	v->tsc_adjust = *value;
}

static void deadline_access(struct kvm_vcpu *v, bool write, uint64_t *value)
{
	uint64_t now = kvm_vcpu_now(v), at = *value - (uint64_t)v->tsc_offset;

	/* A deadline in the past is due at once, also if only the TSC's offset makes it so. */
	if ((int64_t)(at - now) < 0)
		at = now;
	if (write)
		irq_lapic_set_deadline(&v->lapic, *value, at);
	else
		*value = irq_lapic_deadline(&v->lapic);
}

static bool base_access(struct kvm_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	if (!write)
		*value = v->lapic.base;
	else if (kvm_vcpu_apic_base_valid(v, *value, by_host))
		kvm_vcpu_set_apic_base(v, *value);
	else
		return false;
	return true;
}

/* Without a LAPIC in the platform there is no timer, but KVM still answers for the MSR of its deadline. */
static bool without_lapic(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	if (index == MSR_APIC_BASE)
		return base_access(v, write, value, by_host);
	if (!write)
		*value = 0;
	return index == MSR_TSC_DEADLINE;
}

static bool apic_access(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	bool good = true;

	if (!v->vm->chip)
		return without_lapic(v, write, index, value, by_host);
	pthread_mutex_lock(&v->vm->irq_lock);
	if (index == MSR_APIC_BASE)
		good = base_access(v, write, value, by_host);
	else if (index == MSR_TSC_DEADLINE)
		deadline_access(v, write, value);
	else
		good = irq_lapic_msr(&v->lapic, write, index, value, kvm_vcpu_now(v));
	if (write)
		kvm_vm_timers_changed(v->vm);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return good;
}

bool kvm_vcpu_msr_known(void *ctx, bool write, uint32_t index)
{
	return index == MSR_TSC || index == MSR_TSC_ADJUST || index == MSR_APIC_BASE ||
	       index == MSR_TSC_DEADLINE || (index & ~0xffu) == MSR_X2APIC || find_row(write, index) ||
	       kvm_vcpu_mce_known(ctx, index) || kvm_vcpu_pv_knows_msr(ctx, index);
}

bool kvm_vcpu_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	if (index == MSR_TSC)
		tsc_access(v, write, value, by_host);
	else if (index == MSR_TSC_ADJUST)
		tsc_adjust_access(v, write, value, by_host);
	else if (kvm_vcpu_mce_known(v, index))
		return kvm_vcpu_mce_msr(v, write, index, value, by_host);
	else if (kvm_vcpu_pv_knows_msr(v, index))
		return kvm_vcpu_pv_msr(v, write, index, value, by_host);
	else if (index == KVM_MSR_GHCB || index == KVM_MSR_SEV_STATUS || index == KVM_MSR_GUEST_TSC_FREQ)
		return !by_host && v->vm->platform->hooks->vcpu_msr(v, write, index, value);
	else if (index == MSR_APIC_BASE || index == MSR_TSC_DEADLINE || (index & ~0xffu) == MSR_X2APIC)
		return apic_access(v, write, index, value, by_host);
	else
		return row_access(v, write, index, value, by_host);
	return true;
}
