/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: a VM's life, and the calls on its descriptor that are about the whole of it. Any thread may call. Law:
 * api.rst, 4.
 */
#include <errno.h>
#include <string.h>

#include "gmem.h"
#include "hooks.h"
#include "irq.h"
#include "memory.h"
#include "msr.h"

#define SHADOW_PAGES_MIN 64 /* KVM_MIN_ALLOC_MMU_PAGES */

static int check_extension(void *object, void *arg, uintptr_t user)
{
	const struct kvm_vm *vm = object;

	return kvm_vm_capability(vm->platform, vm, user);
}

static int create_vcpu(void *object, void *arg, uintptr_t user)
{
	return kvm_vcpu_create(object, user);
}

/* KVM needs these pages for real mode on Intel's processors. This processor does not need them. */
static int set_tss_address(void *object, void *arg, uintptr_t user)
{
	return user > UINT32_MAX - 3 * PAGE_SIZE_BYTES + 1 ? -EINVAL : 0;
}

static int set_identity_map(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;

	return atomic_load(&vm->vcpu_count) ? -EINVAL : 0;
}

/* Accepts a number of shadow page tables, which has no effect, because there are none. */
static int set_shadow_pages(void *object, void *arg, uintptr_t user)
{
	return user < SHADOW_PAGES_MIN ? -EINVAL : 0;
}

static int set_boot_id(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int result = 0;

	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->vcpu_count))
		result = -EBUSY;
	else if (user > KVM_VCPU_IDS_MAX || (vm->vcpu_ids && user > vm->vcpu_ids))
		result = -EINVAL;
	else
		vm->boot_id = (unsigned)user;
	pthread_mutex_lock(&vm->irq_lock);
	kvm_vm_configure_chip(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

/* ---- memory encryption answers ---- */

static int encrypt_op(void *object, void *arg, uintptr_t user)
{
	return ((struct kvm_vm *)object)->platform->hooks->vm_command(object, user);
}

static int register_region(void *object, void *arg, uintptr_t user)
{
	return ((struct kvm_vm *)object)->platform->hooks->vm_register(object, user);
}

static int unregister_region(void *object, void *arg, uintptr_t user)
{
	return ((struct kvm_vm *)object)->platform->hooks->vm_unregister(object, user);
}

bool kvm_vm_has_private_memory(const struct kvm_vm *vm)
{
	return vm->type == UAPI_VM_SNP || vm->type == UAPI_VM_SW_PROTECTED;
}

bool kvm_vm_has_protected_state(const struct kvm_vm *vm)
{
	return vm->type == UAPI_VM_SEV_ES || vm->type == UAPI_VM_SNP;
}

struct kvm_vcpu *kvm_vm_vcpu(struct kvm_vm *vm, unsigned index)
{
	return index < atomic_load(&vm->vcpu_count) ? vm->vcpus[index] : NULL;
}

struct kvm_vcpu *kvm_vm_vcpu_by_id(struct kvm_vm *vm, unsigned long id)
{
	struct kvm_vcpu *v;

	for (unsigned i = 0; (v = kvm_vm_vcpu(vm, i)); i++) {
		if (v->id == id)
			return v;
	}
	return NULL;
}

const struct kvm_call kvm_vm_calls[] = {
        {KVM_CHECK_EXTENSION, check_extension},
        {KVM_CREATE_VCPU, create_vcpu},
        {KVM_GET_STATS_FD, kvm_vm_get_stats},
        {KVM_SET_USER_MEMORY_REGION, kvm_vm_set_memory},
        {UAPI_SET_USER_MEMORY_REGION2, kvm_vm_set_memory2},
        {UAPI_CREATE_GUEST_MEMFD, kvm_vm_create_gmem},
        {UAPI_SET_MEMORY_ATTRIBUTES, kvm_vm_set_attributes},
        {KVM_GET_DIRTY_LOG, kvm_vm_get_dirty_log},
        {KVM_CLEAR_DIRTY_LOG, kvm_vm_clear_dirty_log},
        {KVM_RESET_DIRTY_RINGS, kvm_vm_reset_dirty_rings},
        {KVM_MEMORY_ENCRYPT_OP, encrypt_op, .raw = true},
        {KVM_MEMORY_ENCRYPT_REG_REGION, register_region, .raw = true},
        {KVM_MEMORY_ENCRYPT_UNREG_REGION, unregister_region, .raw = true},
        {KVM_SET_BOOT_CPU_ID, set_boot_id},
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
        {KVM_REGISTER_COALESCED_MMIO, kvm_vm_register_zone},
        {KVM_UNREGISTER_COALESCED_MMIO, kvm_vm_unregister_zone},
        {KVM_X86_SET_MSR_FILTER, kvm_vm_set_msr_filter},
        {KVM_GET_CLOCK, kvm_vm_get_clock},
        {KVM_GET_TSC_KHZ, kvm_vm_get_tsc_khz},
        {KVM_SET_TSC_KHZ, kvm_vm_set_tsc_khz},
        {KVM_SET_NR_MMU_PAGES, set_shadow_pages},
        {KVM_SET_CLOCK, kvm_vm_set_clock},
        {0},
};

/* ---- the descriptor ---- */

static struct kvm_vm *vm_of(struct object *object)
{
	return (struct kvm_vm *)object;
}

static int vm_ioctl(struct object *object, unsigned long request, uintptr_t user)
{
	if (atomic_load(&vm_of(object)->dead))
		return -EIO;
	return kvm_call_table(object, kvm_vm_calls, request, user, -ENOTTY);
}

static void vm_closed(struct object *object)
{
	kvm_vm_irqfds_release(vm_of(object));
}

static void vm_end(struct object *object)
{
	kvm_vm_unref(vm_of(object));
}

static const struct object_ops vm_ops = {.ioctl = vm_ioctl, .closed = vm_closed, .end = vm_end};

struct kvm_vm *kvm_vm_hold(struct kvm_platform *platform, int fd)
{
	struct object *object = object_hold(platform->objects, fd, &vm_ops);

	if (!object)
		return NULL;
	kvm_vm_ref(vm_of(object));
	object_leave(platform->objects, object);
	return vm_of(object);
}

/* ---- life ---- */

static void init_locks(struct kvm_vm *vm)
{
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->irqfd_lock, NULL);
	pthread_mutex_init(&vm->irq_lock, NULL);
}

/* Makes what a VM needs before it has a descriptor. */
static int vm_fill(struct kvm_vm *vm)
{
	int result = kvm_vm_ring_init(vm);

	if (result < 0)
		return result;
	kvm_bus_init(&vm->bus);
	vm->slots = calloc(KVM_SLOTS_MAX, sizeof(*vm->slots));
	vm->map = calloc(1, sizeof(*vm->map));
	if (!vm->slots || !vm->map || vm->platform->hooks->vm_create(vm) < 0)
		return -ENOMEM;
	vm->map->generation = CPU_MAP_FIRST;
	atomic_store(&vm->bus.map, vm->map);
	if (vm->type == UAPI_VM_SW_PROTECTED)
		kvm_vm_protect_by_software(vm);
	return kvm_vm_has_private_memory(vm) ? kvm_vm_attributes_init(vm) : 0;
}

int kvm_vm_create(struct kvm_platform *platform, unsigned long type)
{
	struct kvm_vm *vm;
	int fd;

	if (type > UAPI_VM_SNP || !(platform->hooks->vm_types(platform->secure) >> type & 1))
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	*vm = (struct kvm_vm){.object.ops = &vm_ops,
	        .platform = platform,
	        .refs = 1,
	        .epoll_fd = -1,
	        .stats.fd = -1,
	        .ring_fd = -1,
	        .type = (unsigned)type};
	vm->next_timer_ns = IRQ_NEVER;
	init_locks(vm);
	pthread_mutex_lock(&platform->lock);
	vm->next = platform->vms;
	platform->vms = vm;
	pthread_mutex_unlock(&platform->lock);
	fd = vm_fill(vm);
	if (fd == 0)
		fd = object_open(platform->objects, &vm->object, object_fd("sim-vm", 0));
	if (fd < 0)
		kvm_vm_unref(vm);
	return fd;
}

static void vm_destroy(struct kvm_vm *vm)
{
	kvm_vm_eventfds_finish(vm);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		pthread_mutex_lock(&vm->platform->lock);
		kvm_vcpu_add_figures(vm->vcpus[i], &vm->platform->ended);
		pthread_mutex_unlock(&vm->platform->lock);
		kvm_vcpu_destroy(vm->vcpus[i]);
	}
	irq_chip_destroy(vm->chip);
	kvm_stats_finish(&vm->stats);
	kvm_vm_ring_finish(vm);
	kvm_vm_memory_finish(vm);
	kvm_vm_filter_free(vm->filter);
	kvm_vm_attributes_finish(vm);
	vm->platform->hooks->vm_destroy(vm);
	pthread_mutex_destroy(&vm->irq_lock);
	pthread_mutex_destroy(&vm->irqfd_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void kvm_vm_ref(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->platform->lock);
	vm->refs++;
	pthread_mutex_unlock(&vm->platform->lock);
}

struct kvm_vm *kvm_vm_hold_newest(struct kvm_platform *platform)
{
	struct kvm_vm *vm;

	pthread_mutex_lock(&platform->lock);
	vm = platform->vms;
	if (vm)
		vm->refs++;
	pthread_mutex_unlock(&platform->lock);
	return vm;
}

void kvm_vm_unref(struct kvm_vm *vm)
{
	struct kvm_vm **at;
	bool last;

	if (!vm)
		return;
	pthread_mutex_lock(&vm->platform->lock);
	last = --vm->refs == 0;
	for (at = &vm->platform->vms; last && *at; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			break;
		}
	}
	pthread_mutex_unlock(&vm->platform->lock);
	if (last)
		vm_destroy(vm);
}
