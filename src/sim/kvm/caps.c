/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps: what KVM_CHECK_EXTENSION answers and what KVM_ENABLE_CAP switches on, as one table. Any thread may
 * call; a capability is switched on with kvm_vm.lock held. Law: api.rst, 4.4, 7 and 8. docs/architecture.md
 * lists what is left out on purpose.
 */
#include <errno.h>
#include <linux/kvm_para.h>

#include "gmem.h"
#include "hooks.h"
#include "irq.h"
#include "registers.h"

typedef int enable_fn(struct kvm_vm *vm, const struct kvm_enable_cap *cap);

#define RING_BYTES_MAX ((uint64_t)65536 * sizeof(struct kvm_dirty_gfn))
#define MSR_REASONS    (KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)
#define MANUAL_FLAGS   (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
/*
 * The quirks of KVM for AMD's processors. Some of them change nothing here: CD_NW_CLEARED (there are no
 * caches), SLOT_ZAP_ALL (forgetting translations early has no visible effect), IGNORE_GUEST_PAT (Intel's),
 * and the two of nested guests.
 */
#define QUIRKS UINT64_C(0xfff)

#define X2APIC_EOI (UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST | UAPI_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST)
#define X2APIC_API (KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK | X2APIC_EOI)

static int enable_hypercall(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0] & ~(UINT64_C(1) << KVM_HC_MAP_GPA_RANGE))
		return -EINVAL;
	vm->hypercall_exits = cap->args[0];
	return 0;
}

/* A quirk that was switched off cannot be switched on again. */
static int enable_known_quirks(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	pthread_mutex_lock(&vm->irq_lock);
	atomic_fetch_or(&vm->bus.quirks_off, (uint32_t)(cap->args[0] & QUIRKS));
	kvm_vm_configure_chip(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	return 0;
}

static int enable_quirks(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	return cap->args[0] & ~QUIRKS ? -EINVAL : enable_known_quirks(vm, cap);
}

/*
 * Adds the choices to those made earlier. Of the two choices about ends of interrupts the later one counts.
 */
static int enable_x2apic_api(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	uint32_t api = (uint32_t)cap->args[0];

	if (cap->args[0] & ~(uint64_t)X2APIC_API || (api & X2APIC_EOI) == X2APIC_EOI)
		return -EINVAL;
	pthread_mutex_lock(&vm->irq_lock);
	if (api & UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST && !(vm->chip && vm->chip->split)) {
		pthread_mutex_unlock(&vm->irq_lock);
		return -EINVAL;
	}
	vm->x2apic_api = (api & X2APIC_EOI ? vm->x2apic_api & ~X2APIC_EOI : vm->x2apic_api) | api;
	kvm_vm_configure_chip(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	return 0;
}

/* Sets the highest APIC ID of a vCPU, plus 1. It can be chosen once, before the first vCPU is made. */
static int enable_max_id(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0] > KVM_VCPU_IDS_MAX || vm->boot_id > cap->args[0] ||
	        (vm->vcpu_ids && vm->vcpu_ids != cap->args[0]))
		return -EINVAL;
	vm->vcpu_ids = (unsigned)cap->args[0];
	return 0;
}

static int enable_split(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0] > IRQ_ROUTES_MAX)
		return -EINVAL;
	return kvm_vm_split_irqchip(vm, (unsigned)cap->args[0]);
}

static int enable_user_msr(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0] & ~(uint64_t)MSR_REASONS)
		return -EINVAL;
	atomic_store(&vm->msr_exits, (uint32_t)cap->args[0]);
	return 0;
}

static int enable_platform_info(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	atomic_store(&vm->hides_platform_info, !cap->args[0]);
	return 0;
}

/* The longest countdown, with the largest divisor, must fit. */
static int enable_bus_cycle(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (!cap->args[0] || cap->args[0] > UINT64_MAX / (UINT32_MAX * UINT64_C(128)))
		return -EINVAL;
	if (!vm->chip)
		return -ENXIO;
	if (atomic_load(&vm->vcpu_count))
		return -EINVAL;
	vm->chip->bus_ns = cap->args[0];
	return 0;
}

static int enable_emulation_exit(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->args[0] & ~UINT64_C(1))
		return -EINVAL;
	atomic_store(&vm->bus.fails_to_vmm, cap->args[0] != 0);
	return 0;
}

static int enable_payload(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	vm->has_payload = cap->args[0];
	return 0;
}

/* INITIALLY_SET means something only with ENABLE. */
static int enable_manual_log(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	uint64_t manual = cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (cap->args[0] & ~(uint64_t)(manual ? MANUAL_FLAGS : KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
		return -EINVAL;
	vm->dirty_manual = (uint32_t)cap->args[0];
	return 0;
}

static int enable_ring(struct kvm_vm *vm, const struct kvm_enable_cap *cap)
{
	uint32_t bytes = (uint32_t)cap->args[0];

	if (!bytes || bytes & (bytes - 1) || bytes < PAGE_SIZE_BYTES)
		return -EINVAL;
	if (bytes > RING_BYTES_MAX)
		return -E2BIG;
	if (vm->ring_bytes || atomic_load(&vm->vcpu_count))
		return -EINVAL;
	vm->ring_bytes = bytes;
	vm->bus.dirtied = kvm_vcpu_dirtied;
	return 0;
}

/* KVM_CHECK_EXTENSION answers 0 for a capability without a row. */
static const struct {
	unsigned capability;
	int value;
	enable_fn *enable; /* NULL: it cannot be switched on */
} capabilities[] = {
        {KVM_CAP_IRQCHIP, 1, NULL},
        {KVM_CAP_BINARY_STATS_FD, 1, NULL},
        {KVM_CAP_HLT, 1, NULL},
        {KVM_CAP_USER_MEMORY, 1, NULL},
        {KVM_CAP_SET_TSS_ADDR, 1, NULL},
        {KVM_CAP_EXT_CPUID, 1, NULL},
        {KVM_CAP_EXT_EMUL_CPUID, 1, NULL},
        {KVM_CAP_NR_VCPUS, KVM_VCPUS_ADVISED, NULL},
        {KVM_CAP_MAX_VCPUS, KVM_VCPUS_MAX, NULL},
        {KVM_CAP_MAX_VCPU_ID, KVM_VCPU_IDS_MAX, enable_max_id},
        {KVM_CAP_NR_MEMSLOTS, KVM_SLOTS_MAX, NULL},
        {KVM_CAP_NOP_IO_DELAY, 1, NULL},
        {KVM_CAP_MP_STATE, 1, NULL},
        {KVM_CAP_VAPIC, 1, NULL},
        {KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1, NULL},
        {KVM_CAP_SYNC_MMU, 1, NULL},
        {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1, NULL},
        {KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1, NULL},
        {KVM_CAP_USER_NMI, 1, NULL},
        {KVM_CAP_IRQ_ROUTING, IRQ_ROUTES_MAX, NULL},
        {KVM_CAP_IRQ_INJECT_STATUS, 1, NULL},
        {KVM_CAP_IRQFD, 1, NULL},
        {KVM_CAP_IRQFD_RESAMPLE, 1, NULL},
        {KVM_CAP_PIT2, 1, NULL},
        {KVM_CAP_PIT_STATE2, 1, NULL},
        {KVM_CAP_REINJECT_CONTROL, 1, NULL},
        {KVM_CAP_IOEVENTFD, 1, NULL},
        {KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET, NULL},
        {KVM_CAP_COALESCED_PIO, 1, NULL},
        {KVM_CAP_IOEVENTFD_ANY_LENGTH, 1, NULL},
        {KVM_CAP_SET_IDENTITY_MAP_ADDR, 1, NULL},
        {KVM_CAP_VCPU_EVENTS, 1, NULL},
        {KVM_CAP_INTR_SHADOW, 1, NULL},
        {KVM_CAP_INTERNAL_ERROR_DATA, 1, NULL},
        {KVM_CAP_SIGNAL_MSI, 1, NULL},
        {KVM_CAP_IMMEDIATE_EXIT, 1, NULL},
        {KVM_CAP_ENABLE_CAP_VM, 1, NULL},
        {KVM_CAP_ENABLE_CAP, 1, NULL},
        {KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, NULL}, /* of a vCPU */
        {KVM_CAP_CHECK_EXTENSION_VM, 1, NULL},
        {KVM_CAP_GET_TSC_KHZ, 1, NULL},
        {KVM_CAP_TSC_DEADLINE_TIMER, 1, NULL},
        {KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC, NULL},
        {KVM_CAP_KVMCLOCK_CTRL, 1, NULL},
        {KVM_CAP_MCE, KVM_MCE_BANKS, NULL},
        {KVM_CAP_DEBUGREGS, 1, NULL},
        {KVM_CAP_SET_GUEST_DEBUG, 1, NULL},
        {KVM_CAP_SET_GUEST_DEBUG2, KVM_GUESTDBG_KNOWN, NULL},
        {KVM_CAP_X86_ROBUST_SINGLESTEP, 1, NULL},
        {KVM_CAP_XSAVE, 1, NULL},
        {KVM_CAP_XSAVE2, sizeof(struct kvm_xsave), NULL},
        {KVM_CAP_XCRS, 1, NULL},
        {KVM_CAP_SREGS2, 1, NULL},
        {KVM_CAP_GET_MSR_FEATURES, 1, NULL},
        {KVM_CAP_DEVICE_CTRL, 1, NULL},
        {KVM_CAP_VCPU_ATTRIBUTES, 1, NULL},
        {KVM_CAP_SYS_ATTRIBUTES, 1, NULL},
        {KVM_CAP_X86_MSR_FILTER, 1, NULL},
        {KVM_CAP_X86_USER_SPACE_MSR, 1, enable_user_msr},
        {KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE, enable_hypercall},
        {KVM_CAP_EXCEPTION_PAYLOAD, 1, enable_payload},
        {KVM_CAP_MSR_PLATFORM_INFO, 1, enable_platform_info},
        {KVM_CAP_SET_BOOT_CPU_ID, 1, NULL},
        {UAPI_CAP_APIC_BUS_CYCLES_NS, IRQ_BUS_NS, enable_bus_cycle},
        {KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1, enable_emulation_exit},
        {KVM_CAP_SPLIT_IRQCHIP, 1, enable_split},
        {KVM_CAP_X2APIC_API, (int)X2APIC_API, enable_x2apic_api},
        {KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL_FLAGS, enable_manual_log},
        {KVM_CAP_DIRTY_LOG_RING, RING_BYTES_MAX, enable_ring},
        {KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES_MAX, enable_ring},
        {KVM_CAP_DISABLE_QUIRKS, 1, enable_known_quirks},
        {KVM_CAP_DISABLE_QUIRKS2, (int)QUIRKS, enable_quirks},
        {KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, 1, NULL}, /* kvm_vm_enable_cap() switches these two on */
        {KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, 1, NULL},
        {UAPI_CAP_USER_MEMORY2, 1, NULL},
        {UAPI_CAP_MEMORY_FAULT_INFO, 1, NULL},
        {UAPI_CAP_GUEST_MEMFD, 1, NULL},
        {UAPI_CAP_PRE_FAULT_MEMORY, 1, NULL},
};

int kvm_vm_capability(const struct kvm_platform *platform, const struct kvm_vm *vm, unsigned long capability)
{
	bool protected = vm && kvm_vm_has_protected_state(vm);

	switch (capability) {
	case UAPI_CAP_VM_TYPES: return (int)platform->hooks->vm_types(platform->secure);
	case UAPI_CAP_MEMORY_ATTRIBUTES:
		return !vm || kvm_vm_has_private_memory(vm) ? (int)UAPI_MEMORY_ATTRIBUTE_PRIVATE : 0;
	case UAPI_CAP_GUEST_MEMFD_FLAGS: return (int)kvm_vm_gmem_flags(vm);
	case KVM_CAP_READONLY_MEM: return !protected;
	case KVM_CAP_SYNC_REGS: return protected ? 0 : KVM_SYNC_X86_VALID_FIELDS;
	default: break;
	}
	/* Only an IOAPIC in the VMM can be spared the reports of ends of interrupts. */
	if (capability == KVM_CAP_X2APIC_API && vm && !(vm->chip && vm->chip->split))
		return (int)(X2APIC_API & ~UAPI_X2APIC_ENABLE_SUPPRESS_EOI_BROADCAST);
	if (capability == UAPI_CAP_APIC_BUS_CYCLES_NS && vm && vm->chip)
		return (int)vm->chip->bus_ns;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (capabilities[i].capability == capability)
			return capabilities[i].value;
	}
	return 0;
}

int kvm_vm_enable_cap(void *object, void *arg, uintptr_t user)
{
	const struct kvm_enable_cap *cap = arg;
	struct kvm_vm *vm = object;
	int result = -EINVAL;

	if (cap->flags)
		return -EINVAL;
	if (cap->cap == KVM_CAP_VM_COPY_ENC_CONTEXT_FROM)
		return vm->platform->hooks->vm_copy_from(vm, (int)cap->args[0]);
	if (cap->cap == KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM)
		return vm->platform->hooks->vm_move_from(vm, (int)cap->args[0]);
	pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (capabilities[i].capability == cap->cap && capabilities[i].enable)
			result = capabilities[i].enable(vm, cap);
	}
	pthread_mutex_unlock(&vm->lock);
	return result;
}
