/*
 * vm: a VM and the calls on its descriptor that are about the whole of it. Any thread; sim_vm.lock.
 * Law: api.rst, 4.
 */
#include <errno.h>
#include <string.h>

#include "sev/sev.h"

#define SHADOW_PAGES_MIN 64 /* KVM_MIN_ALLOC_MMU_PAGES */

static int check_extension(void *object, void *arg, uintptr_t user)
{
	const struct sim_vm *vm = object;

	return vm_capability(vm->sim, vm, user);
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

/* There are no shadow page tables, so no number of them has an effect. */
static int set_shadow_pages(void *object, void *arg, uintptr_t user)
{
	return user < SHADOW_PAGES_MIN ? -EINVAL : 0;
}

bool vm_has_private_memory(const struct sim_vm *vm)
{
	return vm->type == UAPI_VM_SNP;
}

bool vm_has_protected_state(const struct sim_vm *vm)
{
	return vm->type == UAPI_VM_SEV_ES || vm->type == UAPI_VM_SNP;
}

struct sim_vcpu *vm_vcpu(struct sim_vm *vm, unsigned index)
{
	return index < atomic_load(&vm->vcpu_count) ? vm->vcpus[index] : NULL;
}

const struct sim_call sim_vm_calls[] = {
        {KVM_CHECK_EXTENSION, check_extension},
        {KVM_CREATE_VCPU, create_vcpu},
        {KVM_SET_USER_MEMORY_REGION, vm_set_memory},
        {UAPI_SET_USER_MEMORY_REGION2, vm_set_memory2},
        {UAPI_CREATE_GUEST_MEMFD, vm_create_gmem},
        {UAPI_SET_MEMORY_ATTRIBUTES, vm_set_attributes},
        {KVM_GET_DIRTY_LOG, vm_get_dirty_log},
        {KVM_CLEAR_DIRTY_LOG, vm_clear_dirty_log},
        {KVM_RESET_DIRTY_RINGS, vm_reset_dirty_rings},
        {KVM_MEMORY_ENCRYPT_OP, vm_sev_command, .raw = true},
        {KVM_MEMORY_ENCRYPT_REG_REGION, vm_sev_register, .raw = true},
        {KVM_MEMORY_ENCRYPT_UNREG_REGION, vm_sev_unregister, .raw = true},
        {KVM_SET_TSS_ADDR, set_tss_address},
        {KVM_SET_IDENTITY_MAP_ADDR, set_identity_map},
        {KVM_ENABLE_CAP, vm_enable_cap},
        {KVM_CREATE_DEVICE, vm_create_device},
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
        {KVM_X86_SET_MSR_FILTER, vm_set_msr_filter},
        {KVM_GET_CLOCK, vm_get_clock},
        {KVM_GET_TSC_KHZ, vm_get_tsc_khz},
        {KVM_SET_TSC_KHZ, vm_set_tsc_khz},
        {KVM_SET_NR_MMU_PAGES, set_shadow_pages},
        {KVM_SET_CLOCK, vm_set_clock},
        {0},
};

static void init_locks(struct sim_vm *vm)
{
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->irqfd_lock, NULL);
	pthread_mutex_init(&vm->irq_lock, NULL);
}

/* What a VM is made of before it has a descriptor. */
static int vm_fill(struct sim_vm *vm)
{
	bus_init(&vm->bus);
	vm->slots = calloc(SIM_SLOTS_MAX, sizeof(*vm->slots));
	vm->map = calloc(1, sizeof(*vm->map));
	if (!vm->slots || !vm->map || vm_sev_create(vm) < 0)
		return -ENOMEM;
	vm->map->generation = SIM_MAP_FIRST;
	atomic_store(&vm->bus.map, vm->map);
	return vm_has_private_memory(vm) ? vm_attributes_init(vm) : 0;
}

int vm_create(struct sim_platform *sim, unsigned long type)
{
	struct sim_vm *vm;
	int fd;

	if (type > UAPI_VM_SNP || !(processor_vm_types(sim->secure) >> type & 1))
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	*vm = (struct sim_vm){
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
	vm_filter_free(vm->filter);
	vm_attributes_finish(vm);
	vm_sev_destroy(vm);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->irqfd_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
