/*
 * kvm_vm: a VM and the calls on its descriptor that are about the whole of it. Any thread; sim_vm.lock.
 * Law: api.rst, 4.
 */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "sim.h"

#define QUIRKS UINT64_C(0x3f) /* of KVM_CAP_DISABLE_QUIRKS2: known, none of them is built here */

/* What KVM_CHECK_EXTENSION answers; everything else is 0. */
static const struct {
	unsigned capability;
	int value;
} capabilities[] = {
        {KVM_CAP_IRQCHIP, 1},
        {KVM_CAP_HLT, 1},
        {KVM_CAP_USER_MEMORY, 1},
        {KVM_CAP_SET_TSS_ADDR, 1},
        {KVM_CAP_EXT_CPUID, 1},
        {KVM_CAP_NR_VCPUS, SIM_VCPUS_MAX},
        {KVM_CAP_MAX_VCPUS, SIM_VCPUS_MAX},
        {KVM_CAP_MAX_VCPU_ID, SIM_VCPU_IDS_MAX},
        {KVM_CAP_NR_MEMSLOTS, SIM_SLOTS_MAX},
        {KVM_CAP_NOP_IO_DELAY, 1},
        {KVM_CAP_MP_STATE, 1},
        {KVM_CAP_SYNC_MMU, 1},
        {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
        {KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
        {KVM_CAP_USER_NMI, 1},
        {KVM_CAP_IRQ_ROUTING, IRQ_ROUTES_MAX},
        {KVM_CAP_IRQ_INJECT_STATUS, 1},
        {KVM_CAP_IRQFD, 1},
        {KVM_CAP_IRQFD_RESAMPLE, 1},
        {KVM_CAP_PIT2, 1},
        {KVM_CAP_PIT_STATE2, 1},
        {KVM_CAP_REINJECT_CONTROL, 1},
        {KVM_CAP_IOEVENTFD, 1},
        {KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
        {KVM_CAP_SET_IDENTITY_MAP_ADDR, 1},
        {KVM_CAP_VCPU_EVENTS, 1},
        {KVM_CAP_INTR_SHADOW, 1},
        {KVM_CAP_INTERNAL_ERROR_DATA, 1},
        {KVM_CAP_READONLY_MEM, 1},
        {KVM_CAP_SIGNAL_MSI, 1},
        {KVM_CAP_IMMEDIATE_EXIT, 1},
        {KVM_CAP_ENABLE_CAP_VM, 1},
        {KVM_CAP_CHECK_EXTENSION_VM, 1},
        {KVM_CAP_GET_TSC_KHZ, 1},
        {KVM_CAP_TSC_DEADLINE_TIMER, 1},
        {KVM_CAP_EXIT_HYPERCALL, 1 << KVM_HC_MAP_GPA_RANGE},
        {KVM_CAP_DISABLE_QUIRKS2, (int)QUIRKS},
        {235 /* KVM_CAP_VM_TYPES */, 1},
};

int vm_capability(unsigned long capability)
{
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (capabilities[i].capability == capability)
			return capabilities[i].value;
	}
	return 0;
}

static int check_extension(void *object, void *arg, uintptr_t user)
{
	return vm_capability(user);
}

static int create_vcpu(void *object, void *arg, uintptr_t user)
{
	return vcpu_create(object, user);
}

/* Intel's crutches for real mode; this processor has none and needs no pages for them. */
static int set_tss_address(void *object, void *arg, uintptr_t user)
{
	return user > UINT32_MAX - 3 * PAGE_SIZE_BYTES + 1 ? -EINVAL : 0;
}

static int set_identity_map(void *object, void *arg, uintptr_t user)
{
	struct sim_vm *vm = object;

	return atomic_load(&vm->vcpu_count) ? -EINVAL : 0;
}

static int enable_cap(void *object, void *arg, uintptr_t user)
{
	const struct kvm_enable_cap *cap = arg;
	struct sim_vm *vm = object;

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_EXIT_HYPERCALL:
		if (cap->args[0] & ~(UINT64_C(1) << KVM_HC_MAP_GPA_RANGE))
			return -EINVAL;
		pthread_mutex_lock(&vm->lock);
		vm->hypercall_exits = cap->args[0];
		pthread_mutex_unlock(&vm->lock);
		return 0;
	case KVM_CAP_DISABLE_QUIRKS2: return cap->args[0] & ~QUIRKS ? -EINVAL : 0;
	default: return -EINVAL;
	}
}

struct sim_vcpu *vm_vcpu(struct sim_vm *vm, unsigned index)
{
	return index < atomic_load(&vm->vcpu_count) ? vm->vcpus[index] : NULL;
}

const struct sim_call sim_vm_calls[] = {
        {KVM_CHECK_EXTENSION, check_extension},
        {KVM_CREATE_VCPU, create_vcpu},
        {KVM_SET_USER_MEMORY_REGION, vm_set_memory},
        {KVM_GET_DIRTY_LOG, vm_get_dirty_log},
        {KVM_SET_TSS_ADDR, set_tss_address},
        {KVM_SET_IDENTITY_MAP_ADDR, set_identity_map},
        {KVM_ENABLE_CAP, enable_cap},
        {KVM_CREATE_IRQCHIP, vm_create_irqchip},
        {KVM_GET_IRQCHIP, vm_get_irqchip},
        {KVM_SET_IRQCHIP, vm_set_irqchip},
        {KVM_CREATE_PIT2, vm_create_pit},
        {KVM_GET_PIT2, vm_get_pit},
        {KVM_SET_PIT2, vm_set_pit},
        {KVM_REINJECT_CONTROL, vm_reinject},
        {KVM_IRQ_LINE, vm_irq_line},
        {KVM_IRQ_LINE_STATUS, vm_irq_line_status},
        {KVM_SET_GSI_ROUTING, vm_set_routing},
        {KVM_SIGNAL_MSI, vm_signal_msi},
        {KVM_IRQFD, vm_irqfd},
        {KVM_IOEVENTFD, vm_ioeventfd},
        {0},
};

static void init_locks(struct sim_vm *vm)
{
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->irq_lock, NULL);
}

int vm_create(struct sim_platform *sim, unsigned long type)
{
	struct sim_vm *vm;
	int fd;

	if (type != 0)
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	*vm = (struct sim_vm){.object.kind = SIM_VM, .sim = sim, .refs = 1, .epoll_fd = -1};
	vm->next_timer_ns = IRQ_NEVER;
	init_locks(vm);
	bus_init(&vm->bus);
	vm->slots = calloc(SIM_SLOTS_MAX, sizeof(*vm->slots));
	vm->map = calloc(1, sizeof(*vm->map));
	atomic_store(&vm->bus.map, vm->map);
	pthread_mutex_lock(&sim->lock);
	vm->next = sim->vms;
	sim->vms = vm;
	pthread_mutex_unlock(&sim->lock);
	fd = vm->slots && vm->map ? sim_object_open(sim, &vm->object, "sim-vm", 0) : -ENOMEM;
	if (fd < 0)
		vm_unref(vm);
	return fd;
}

void vm_destroy(struct sim_vm *vm)
{
	vm_eventfds_finish(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		pthread_mutex_lock(&vm->sim->lock);
		vcpu_add_figures(vm->vcpus[i], &vm->sim->ended);
		pthread_mutex_unlock(&vm->sim->lock);
		vcpu_destroy(vm->vcpus[i]);
	}
	irq_chip_destroy(vm->chip);
	vm_memory_finish(vm);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
