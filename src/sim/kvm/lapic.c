/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lapic: the calls and the MSR 1B of a vCPU's local APIC: its state, its base, and what CPUID says about it.
 * The base exists without an in-kernel LAPIC, too. Law: api.rst, 4.57; Linux's arch/x86/kvm/lapic.c.
 */
#include <errno.h>

#include "irq.h"
#include "registers.h"

#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define TIMER_PERIODIC           0x20000u
#define TIMER_DEADLINE           0x40000u

/* Returns the bits of the base that this vCPU's CPUID does not offer. */
static uint64_t base_reserved(const struct kvm_vcpu *v)
{
	const struct kvm_cpuid_entry2 *features = kvm_vcpu_cpuid_leaf(v, 1);
	uint64_t reserved = ~cpu_phys_mask(v->cpu);

	return features && features->ecx & CPUID_1_ECX_X2APIC ? reserved : reserved | IRQ_LAPIC_BASE_X2;
}

bool kvm_vcpu_apic_base_valid(const struct kvm_vcpu *v, uint64_t base, bool by_host)
{
	return irq_lapic_base_is_valid(&v->lapic, base, base_reserved(v), by_host);
}

void kvm_vcpu_set_apic_base(struct kvm_vcpu *v, uint64_t base)
{
	irq_lapic_set_base(&v->lapic, base);
	v->cpu->apic_on = irq_lapic_is_on(&v->lapic);
}

void kvm_vcpu_lapic_cpuid_changed(struct kvm_vcpu *v)
{
	const struct kvm_cpuid_entry2 *features = kvm_vcpu_cpuid_leaf(v, 1);

	if (!features || !v->vm->chip)
		return;
	pthread_mutex_lock(&v->vm->irq_lock);
	v->lapic.timer_modes =
	        TIMER_PERIODIC | (features->ecx & CPUID_1_ECX_TSC_DEADLINE ? TIMER_DEADLINE : 0);
	irq_lapic_set_version(&v->lapic);
	pthread_mutex_unlock(&v->vm->irq_lock);
}

int kvm_vcpu_get_lapic(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;

	if (!v->vm->chip)
		return -EINVAL;
	pthread_mutex_lock(&v->vm->irq_lock);
	irq_lapic_get_state(&v->lapic, arg, kvm_clock_now(&v->vm->platform->clock));
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 0;
}

int kvm_vcpu_set_lapic(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	int result;

	if (!v->vm->chip)
		return -EINVAL;
	pthread_mutex_lock(&v->vm->irq_lock);
	result = irq_lapic_set_state(&v->lapic, arg, kvm_clock_now(&v->vm->platform->clock)) < 0 ? -errno : 0;
	kvm_vm_timers_changed(v->vm);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return result;
}
