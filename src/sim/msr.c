/*
 * msr: model-specific registers that are the platform's: time, the APIC, and those that KVM answers so that
 * systems start. The vCPU's thread, or its ioctls. Law: APM 2, appendix A; Intel SDM 4 for the shared ones.
 */
#include "sev/sev.h"

#define MSR_TSC          0x10u
#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_ADJUST   0x3bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u
#define MSR_GHCB         0xc0010130u
#define MSR_SEV_STATUS   0xc0010131u

/* Registers without effect: written values are kept (slot), or lost. */
static const struct {
	uint32_t index;
	int8_t slot; /* in sim_vcpu.msrs; -1: reads as value, writes go nowhere */
	uint64_t value;
} rows[] = {
        {0x17, -1, 0},               /* IA32_PLATFORM_ID */
        {0x2a, -1, 0},               /* EBL_CR_POWERON */
        {0x79, -1, 0},               /* IA32_BIOS_UPDT_TRIG */
        {0x8b, 0, 0x01000065},       /* microcode revision, as KVM on AMD has it */
        {0xc0010010, -1, 0},         /* SYSCFG */
        {0xc0010015, 2, 0x01000000}, /* HWCR: the TSC counts at the P0 rate */
        {0xc001001f, -1, 0},         /* NB_CFG */
        {0xc0010020, -1, 0},         /* PATCH_LOADER */
        {0xc0010055, -1, 0},         /* interrupt pending message */
        {0xc0010058, -1, 0},         /* MMIO configuration base */
        {0xc0010140, -1, 0},         /* OSVW id length */
        {0xc0010141, -1, 0},         /* OSVW status */
        {0xc0011022, -1, 0},         /* DC_CFG */
        {0xc0011029, 3, 0x2},        /* DE_CFG: LFENCE serialises */
        {0xc001102a, -1, 0},         /* BU_CFG2 */
};

static const uint32_t list[] = {
        MSR_TSC, MSR_APIC_BASE, MSR_TSC_ADJUST, MSR_TSC_DEADLINE, 0x8b, 0x17a, 0x17b, 0xc0010015, 0xc0011029};

const uint32_t *platform_msr_list(uint32_t *ret_count)
{
	*ret_count = ARRAY_LEN(list);
	return list;
}

static const uint32_t features[] = {0xc0011029, 0x8b};

const uint32_t *platform_feature_list(uint32_t *ret_count)
{
	*ret_count = ARRAY_LEN(features);
	return features;
}

bool platform_feature(uint32_t index, uint64_t *ret_value)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		for (size_t n = 0; n < ARRAY_LEN(rows) && features[i] == index; n++) {
			*ret_value = rows[n].value;
			if (rows[n].index == index)
				return true;
		}
	}
	return false;
}

void vcpu_msrs_reset(struct sim_vcpu *v)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].slot >= 0)
			v->msrs[rows[i].slot] = rows[i].value;
	}
}

static bool row_known(uint32_t index)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].index == index)
			return true;
	}
	return false;
}

static bool row_access(struct sim_vcpu *v, bool write, uint32_t index, uint64_t *value)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].index != index)
			continue;
		if (write && rows[i].slot >= 0)
			v->msrs[rows[i].slot] = *value;
		else if (!write)
			*value = rows[i].slot >= 0 ? v->msrs[rows[i].slot] : rows[i].value;
		return true;
	}
	return false;
}

static void tsc_access(struct sim_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	uint64_t now = vcpu_now(v);
	int64_t old = v->tsc_offset;

	if (!write) {
		*value = now + (uint64_t)v->tsc_offset;
		return;
	}
	v->tsc_offset = (int64_t)(*value - now);
	if (!by_host)
		v->tsc_adjust += (uint64_t)(v->tsc_offset - old);
}

static void tsc_adjust_access(struct sim_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	if (!write) {
		*value = v->tsc_adjust;
		return;
	}
	if (!by_host)
		v->tsc_offset += (int64_t)(*value - v->tsc_adjust);
	v->tsc_adjust = *value;
}

static void deadline_access(struct sim_vcpu *v, bool write, uint64_t *value)
{
	uint64_t now = vcpu_now(v), at = *value - (uint64_t)v->tsc_offset;

	/* What lies behind, also by way of the offset, is due at once. */
	if ((int64_t)(at - now) < 0)
		at = now;
	if (write)
		irq_lapic_set_deadline(&v->lapic, *value, at);
	else
		*value = v->lapic.deadline_tsc;
}

static bool base_access(struct sim_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	if (!write)
		*value = v->lapic.base;
	else if (v->vm->chip)
		return irq_lapic_set_base(&v->lapic, *value, by_host, cpuid_has_x2apic(v));
	else
		v->lapic.base = *value;
	return true;
}

static bool apic_access(struct sim_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	bool good = true;

	if (!v->vm->chip)
		return index == MSR_APIC_BASE && base_access(v, write, value, by_host);
	pthread_mutex_lock(&v->vm->irq_lock);
	if (index == MSR_APIC_BASE)
		good = base_access(v, write, value, by_host);
	else if (index == MSR_TSC_DEADLINE)
		deadline_access(v, write, value);
	else
		good = irq_lapic_msr(&v->lapic, write, index, value, vcpu_now(v));
	if (write)
		vm_timers_changed(v->vm);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return good;
}

bool vcpu_msr_known(void *ctx, uint32_t index)
{
	return index == MSR_TSC || index == MSR_TSC_ADJUST || index == MSR_APIC_BASE ||
	       index == MSR_TSC_DEADLINE || (index & ~0xffu) == MSR_X2APIC || row_known(index) ||
	       vcpu_mce_known(ctx, index);
}

/* The guest's alone, and read-only: what protects it (APM 2, 15.34.10, 15.36.2). */
static bool sev_status(const struct sim_vcpu *v, bool write, uint64_t *value, bool by_host)
{
	const struct sim_sev *sev = v->vm->sev;

	if (write || by_host || !v->sev || !sev->active)
		return false;
	*value = 1 | (sev->es ? 2 : 0) | sev->vmsa_features << 2;
	return true;
}

bool vcpu_msr(struct sim_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	if (index == MSR_GHCB && !by_host)
		vcpu_sev_miss_ghcb(v);
	if (index == MSR_TSC)
		tsc_access(v, write, value, by_host);
	else if (index == MSR_TSC_ADJUST)
		tsc_adjust_access(v, write, value, by_host);
	else if (vcpu_mce_known(v, index))
		return vcpu_mce_msr(v, write, index, value, by_host);
	else if (index == MSR_SEV_STATUS)
		return sev_status(v, write, value, by_host);
	else if (index == MSR_APIC_BASE || index == MSR_TSC_DEADLINE || (index & ~0xffu) == MSR_X2APIC)
		return apic_access(v, write, index, value, by_host);
	else
		return row_access(v, write, index, value);
	return true;
}
