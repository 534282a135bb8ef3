/*
 * vm: a VM and the calls on its descriptor that are about the whole of it. Any thread; kvm_vm.lock.
 * Law: api.rst, 4.
 */
#include <errno.h>
#include <string.h>

#include "sev/sev.h"

#define SHADOW_PAGES_MIN 64 /* KVM_MIN_ALLOC_MMU_PAGES */

static int check_extension(void *object, void *arg, uintptr_t user)
{
	const struct kvm_vm *vm = object;

	return kvm_vm_capability(vm->sim, vm, user);
}

static int create_vcpu(void *object, void *arg, uintptr_t user)
{
	return kvm_vcpu_create(object, user);
}

/* Intel's crutches for real mode; this processor has none and needs no pages for them. */
static int set_tss_address(void *object, void *arg, uintptr_t user)
{
	return user > UINT32_MAX - 3 * PAGE_SIZE_BYTES + 1 ? -EINVAL : 0;
}

static int set_identity_map(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;

	return atomic_load(&vm->vcpu_count) ? -EINVAL : 0;
}

/* There are no shadow page tables, so no number of them has an effect. */
static int set_shadow_pages(void *object, void *arg, uintptr_t user)
{
	return user < SHADOW_PAGES_MIN ? -EINVAL : 0;
}

bool kvm_vm_has_private_memory(const struct kvm_vm *vm)
{
	return vm->type == UAPI_VM_SNP;
}

bool kvm_vm_has_protected_state(const struct kvm_vm *vm)
{
	return vm->type == UAPI_VM_SEV_ES || vm->type == UAPI_VM_SNP;
}

struct kvm_vcpu *kvm_vm_vcpu(struct kvm_vm *vm, unsigned index)
{
	return index < atomic_load(&vm->vcpu_count) ? vm->vcpus[index] : NULL;
}

const struct kvm_call kvm_vm_calls[] = {
        {KVM_CHECK_EXTENSION, check_extension},
        {KVM_CREATE_VCPU, create_vcpu},
        {KVM_SET_USER_MEMORY_REGION, kvm_vm_set_memory},
        {UAPI_SET_USER_MEMORY_REGION2, kvm_vm_set_memory2},
        {UAPI_CREATE_GUEST_MEMFD, kvm_vm_create_gmem},
        {UAPI_SET_MEMORY_ATTRIBUTES, kvm_vm_set_attributes},
        {KVM_GET_DIRTY_LOG, kvm_vm_get_dirty_log},
        {KVM_CLEAR_DIRTY_LOG, kvm_vm_clear_dirty_log},
        {KVM_RESET_DIRTY_RINGS, kvm_vm_reset_dirty_rings},
        {KVM_MEMORY_ENCRYPT_OP, sev_vm_command, .raw = true},
        {KVM_MEMORY_ENCRYPT_REG_REGION, sev_vm_register, .raw = true},
        {KVM_MEMORY_ENCRYPT_UNREG_REGION, sev_vm_unregister, .raw = true},
        {KVM_SET_TSS_ADDR, set_tss_address},
        {KVM_SET_IDENTITY_MAP_ADDR, set_identity_map},
        {KVM_ENABLE_CAP, kvm_vm_enable_cap},
        {KVM_CREATE_DEVICE, kvm_vm_create_device},
        {KVM_CREATE_IRQCHIP, kvm_vm_create_irqchip},
        {KVM_GET_IRQCHIP, kvm_vm_get_irqchip},
        {KVM_SET_IRQCHIP, kvm_vm_set_irqchip},
        {KVM_CREATE_PIT2, kvm_vm_create_pit},
        {KVM_GET_PIT2, kvm_vm_get_pit},
        {KVM_SET_PIT2, kvm_vm_set_pit},
        {KVM_REINJECT_CONTROL, kvm_vm_reinject},
        {KVM_IRQ_LINE, kvm_vm_irq_line},
        {KVM_IRQ_LINE_STATUS, kvm_vm_irq_line_status},
        {KVM_SET_GSI_ROUTING, kvm_vm_set_routing},
        {KVM_SIGNAL_MSI, kvm_vm_signal_msi},
        {KVM_IRQFD, kvm_vm_irqfd},
        {KVM_IOEVENTFD, kvm_vm_ioeventfd},
        {KVM_X86_SET_MSR_FILTER, kvm_vm_set_msr_filter},
        {KVM_GET_CLOCK, kvm_vm_get_clock},
        {KVM_GET_TSC_KHZ, kvm_vm_get_tsc_khz},
        {KVM_SET_TSC_KHZ, kvm_vm_set_tsc_khz},
        {KVM_SET_NR_MMU_PAGES, set_shadow_pages},
        {KVM_SET_CLOCK, kvm_vm_set_clock},
        {0},
};

static void init_locks(struct kvm_vm *vm)
{
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->irqfd_lock, NULL);
	pthread_mutex_init(&vm->irq_lock, NULL);
}

/* What a VM is made of before it has a descriptor. */
static int vm_fill(struct kvm_vm *vm)
{
	kvm_bus_init(&vm->bus);
	vm->slots = calloc(KVM_SLOTS_MAX, sizeof(*vm->slots));
	vm->map = calloc(1, sizeof(*vm->map));
	if (!vm->slots || !vm->map || sev_vm_create(vm) < 0)
		return -ENOMEM;
	vm->map->generation = SIM_MAP_FIRST;
	atomic_store(&vm->bus.map, vm->map);
	return kvm_vm_has_private_memory(vm) ? kvm_vm_attributes_init(vm) : 0;
}

int kvm_vm_create(struct sim_platform *sim, unsigned long type)
{
	struct kvm_vm *vm;
	int fd;

	if (type > UAPI_VM_SNP || !(sev_platform_vm_types(sim->secure) >> type & 1))
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	*vm = (struct kvm_vm){
	        .object.kind = SIM_VM, .sim = sim, .refs = 1, .epoll_fd = -1, .type = (unsigned)type};
	vm->next_timer_ns = IRQ_NEVER;
	init_locks(vm);
	pthread_mutex_lock(&sim->lock);
	vm->next = sim->vms;
	sim->vms = vm;
	pthread_mutex_unlock(&sim->lock);
	fd = vm_fill(vm);
	if (fd == 0)
		fd = sim_object_open(sim, &vm->object, sim_object_fd("sim-vm", 0));
	if (fd < 0)
		kvm_vm_unref(vm);
	return fd;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	kvm_vm_eventfds_finish(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		pthread_mutex_lock(&vm->sim->lock);
		kvm_vcpu_add_figures(vm->vcpus[i], &vm->sim->ended);
		pthread_mutex_unlock(&vm->sim->lock);
		kvm_vcpu_destroy(vm->vcpus[i]);
	}
	irq_chip_destroy(vm->chip);
	kvm_vm_memory_finish(vm);
	kvm_vm_filter_free(vm->filter);
	kvm_vm_attributes_finish(vm);
	sev_vm_destroy(vm);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->irqfd_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
