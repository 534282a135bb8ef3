/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mce: machine-check banks, which guests set up and in which a VMM may report errors. Runs on the vCPU's
 * thread, or with kvm_vcpu.lock held. Law: api.rst, KVM_X86_SETUP_MCE, KVM_X86_SET_MCE; APM 2, 9.3.
 */
#include <errno.h>

#include "msr.h"

#define MSR_MCG_CAP    0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MCG_CTL    0x17bu
#define MSR_BANKS      0x400u /* CTL, STATUS, ADDR, MISC of each */
#define MCG_CTL_P      (UINT64_C(1) << 8)
#define MCG_SER_P      (UINT64_C(1) << 24)
#define MCG_OFFERED    (MCG_CTL_P | MCG_SER_P)
#define MCG_BANKS      UINT64_C(0xff)
#define MCG_EXTENDED   UINT64_C(0xff0000) /* the count of extended registers, which the VMM sets */
#define STATUS_MCIP    UINT64_C(4)
#define BANK_VALID     (UINT64_C(1) << 63)
#define BANK_OVERFLOW  (UINT64_C(1) << 62)
#define BANK_UC        (UINT64_C(1) << 61)
#define CR4_MCE        UINT64_C(0x40)
#define VECTOR_MC      18

enum { CTL, STATUS, ADDR, MISC };

void kvm_vcpu_mce_reset(struct kvm_vcpu *v)
{
	v->mce.cap = KVM_MCE_BANKS;
}

int kvm_system_get_mce_cap(void *object, void *arg, uintptr_t user)
{
	*(uint64_t *)arg = MCG_OFFERED;
	return 0;
}

int kvm_vcpu_setup_mce(void *object, void *arg, uintptr_t user)
{
	const uint64_t cap = *(const uint64_t *)arg, banks = cap & MCG_BANKS;
	struct kvm_vcpu *v = object;

	if (!banks || banks > KVM_MCE_BANKS || cap & ~(MCG_OFFERED | MCG_BANKS | MCG_EXTENDED))
		return -EINVAL;
	v->mce.cap = cap & (MCG_BANKS | MCG_CTL_P); /* as KVM on AMD */
	v->mce.ctl = cap & MCG_CTL_P ? UINT64_MAX : v->mce.ctl;
	for (uint64_t i = 0; i < banks; i++)
		v->mce.bank[i][CTL] = UINT64_MAX;
	return 0;
}

/* ---- the registers ---- */

static bool write_bank(uint64_t *reg, unsigned which, uint64_t value, bool by_host)
{
	/*
	 * CTL takes all bits or no bit; operating systems may leave out bits 0 and 10. A guest may only clear
	 * a status.
	 */
	if (which == CTL && value && (value | 1 | 1u << 10) != UINT64_MAX)
		return false;
	if (which == STATUS && value && !by_host)
		return false;
	*reg = value;
	return true;
}

static bool write_register(struct kvm_vcpu *v, uint32_t index, uint64_t value, bool by_host)
{
	uint32_t at = index - MSR_BANKS;

	if (index == MSR_MCG_STATUS) {
		v->mce.status = value;
		return true;
	}
	if (index == MSR_MCG_CTL) {
		if ((value && value != UINT64_MAX) || (!(v->mce.cap & MCG_CTL_P) && (value || !by_host)))
			return false;
		v->mce.ctl = value;
		return true;
	}
	return index != MSR_MCG_CAP && write_bank(&v->mce.bank[at / 4][at % 4], at % 4, value, by_host);
}

static bool read_register(struct kvm_vcpu *v, uint32_t index, uint64_t *ret_value, bool by_host)
{
	uint32_t at = index - MSR_BANKS;

	if (index == MSR_MCG_CTL && !(v->mce.cap & MCG_CTL_P) && !by_host)
		return false;
	*ret_value = index == MSR_MCG_CAP      ? v->mce.cap
	             : index == MSR_MCG_STATUS ? v->mce.status
	             : index == MSR_MCG_CTL    ? v->mce.ctl
	                                       : v->mce.bank[at / 4][at % 4];
	return true;
}

bool kvm_vcpu_mce_known(const struct kvm_vcpu *v, uint32_t index)
{
	return (index >= MSR_MCG_CAP && index <= MSR_MCG_CTL) ||
	       (index >= MSR_BANKS && index - MSR_BANKS < 4 * (v->mce.cap & MCG_BANKS));
}

bool kvm_vcpu_mce_msr(struct kvm_vcpu *v, bool write, uint32_t index, uint64_t *value, bool by_host)
{
	return write ? write_register(v, index, *value, by_host) : read_register(v, index, value, by_host);
}

/* ---- an error ---- */

static void set_bank(uint64_t *bank, const struct kvm_x86_mce *mce)
{
	bank[STATUS] = mce->status | (bank[STATUS] & BANK_VALID ? BANK_OVERFLOW : 0);
	bank[ADDR] = mce->addr;
	bank[MISC] = mce->misc;
}

/* An uncorrected error raises #MC, or shuts the guest down if it is not ready for #MC. */
static void report_uncorrected(struct kvm_vcpu *v, uint64_t *bank, const struct kvm_x86_mce *mce)
{
	if ((v->mce.cap & MCG_CTL_P && v->mce.ctl != UINT64_MAX) || bank[CTL] != UINT64_MAX)
		return;
	if (v->mce.status & STATUS_MCIP || !(v->cpu->cr4 & CR4_MCE)) {
		v->triple_fault = true;
		return;
	}
	set_bank(bank, mce);
	v->mce.status = mce->mcg_status;
	v->cpu->event = (struct cpu_event){.kind = CPU_EVENT_EXCEPTION, .vector = VECTOR_MC};
}

int kvm_vcpu_set_mce(void *object, void *arg, uintptr_t user)
{
	const struct kvm_x86_mce *mce = arg;
	struct kvm_vcpu *v = object;
	uint64_t *bank;

	if (mce->bank >= (v->mce.cap & MCG_BANKS) || !(mce->status & BANK_VALID))
		return -EINVAL;
	bank = v->mce.bank[mce->bank];
	if (mce->status & BANK_UC)
		report_uncorrected(v, bank, mce);
	else if (!(bank[STATUS] & BANK_VALID) || !(bank[STATUS] & BANK_UC))
		set_bank(bank, mce);
	else
		bank[STATUS] |= BANK_OVERFLOW;
	return 0;
}
