/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq: the calls that make, read and drive the interrupt controllers. Any thread may call; the controllers
 * are used with kvm_vm.irq_lock held. Law: api.rst, KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_IRQ_LINE,
 * KVM_SET_GSI_ROUTING, KVM_SIGNAL_MSI.
 */
#include <errno.h>
#include <string.h>

#include "irq.h"
#include "vcpu.h"

/* ---- callbacks of the controllers ---- */

static void on_changed(void *ctx, unsigned lapic)
{
	struct kvm_vcpu *v = kvm_vm_vcpu(ctx, lapic);

	if (v)
		kvm_vcpu_interrupts_changed(v);
}

static void on_nmi(void *ctx, unsigned lapic)
{
	kvm_vcpu_post_nmi(kvm_vm_vcpu(ctx, lapic));
}

static void on_kick(void *ctx, unsigned lapic)
{
	kvm_vcpu_kick(kvm_vm_vcpu(ctx, lapic));
}

static void on_init(void *ctx, unsigned lapic)
{
	kvm_vcpu_request(kvm_vm_vcpu(ctx, lapic), KVM_REQUEST_INIT);
}

static void on_sipi(void *ctx, unsigned lapic, uint8_t vector)
{
	struct kvm_vcpu *v = kvm_vm_vcpu(ctx, lapic);

	if (v)
		v->sipi_vector = vector;
	kvm_vcpu_request(v, KVM_REQUEST_SIPI);
}

static void on_acked(void *ctx, unsigned irqchip, unsigned pin)
{
	kvm_vm_irqfd_acked(ctx, irqchip, pin);
}

/* Reports an end of interrupt to the VMM's IOAPIC by an exit. */
static void on_eoi(void *ctx, unsigned lapic, uint8_t vector)
{
	struct kvm_vcpu *v = kvm_vm_vcpu(ctx, lapic);

	if (!v || !irq_wants_eoi(v->vm->chip, &v->lapic, vector))
		return;
	v->eoi_vector = vector;
	cpu_post(v->cpu, CPU_PENDING_STOP);
}

void kvm_vm_timers_changed(struct kvm_vm *vm)
{
	atomic_store(&vm->next_timer_ns, irq_chip_next_timer(vm->chip));
}

/* ---- making ---- */

void kvm_vm_configure_chip(struct kvm_vm *vm)
{
	if (!vm->chip)
		return;
	vm->chip->lint0_masked = !cpu_bus_has_quirk(&vm->bus, KVM_X86_QUIRK_LINT0_REENABLED);
	vm->chip->x2apic_api = vm->x2apic_api;
	vm->chip->boot_id = vm->boot_id;
}

static int create_chip(struct kvm_vm *vm)
{
	struct irq_owner owner = {on_changed, on_nmi, on_init, on_sipi, on_acked, vm, on_eoi, on_kick};

	if (irq_chip_create(owner, &vm->chip) < 0)
		return -ENOMEM;
	kvm_vm_configure_chip(vm);
	return 0;
}

int kvm_vm_split_irqchip(struct kvm_vm *vm, unsigned reserved)
{
	int result = -EEXIST;

	pthread_mutex_lock(&vm->irq_lock);
	if (!vm->chip && !atomic_load(&vm->vcpu_count))
		result = create_chip(vm);
	if (result == 0)
		irq_chip_split(vm->chip, reserved);
	pthread_mutex_unlock(&vm->irq_lock);
	return result;
}

int kvm_vm_create_irqchip(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int result = 0;

	pthread_mutex_lock(&vm->lock);
	pthread_mutex_lock(&vm->irq_lock);
	if (vm->chip)
		result = -EEXIST;
	else if (atomic_load(&vm->vcpu_count))
		result = -EINVAL;
	else
		result = create_chip(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

static int create_pit(struct kvm_vm *vm, const struct kvm_pit_config *config)
{
	struct irq_pit *pit;

	if (!kvm_vm_has_pic(vm))
		return -ENOENT;
	if (vm->chip->pit)
		return -EEXIST;
	pit = calloc(1, sizeof(*pit));
	if (!pit)
		return -ENOMEM;
	pit->speaker = config->flags & KVM_PIT_SPEAKER_DUMMY;
	irq_pit_reset(pit, kvm_clock_now(&vm->platform->clock));
	vm->chip->pit = pit;
	return 0;
}

int kvm_vm_create_pit(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	int result;

	pthread_mutex_lock(&vm->irq_lock);
	result = create_pit(vm, arg);
	pthread_mutex_unlock(&vm->irq_lock);
	return result;
}

/* ---- state ---- */

/* Calls f with the interrupt controllers locked. missing is the error if there are none. */
static int with_chip(struct kvm_vm *vm, int (*f)(struct kvm_vm *vm, void *arg), void *arg, int missing)
{
	int result;

	pthread_mutex_lock(&vm->irq_lock);
	result = vm->chip ? f(vm, arg) : missing;
	pthread_mutex_unlock(&vm->irq_lock);
	return result;
}

static int get_pit(struct kvm_vm *vm, void *arg)
{
	struct kvm_pit_state2 *state = arg;

	if (!vm->chip->pit)
		return -ENXIO;
	memset(state, 0, sizeof(*state));
	memcpy(state->channels, vm->chip->pit->channel, sizeof(state->channels));
	state->flags = vm->chip->pit->flags;
	return 0;
}

static int set_pit(struct kvm_vm *vm, void *arg)
{
	if (!vm->chip->pit)
		return -ENXIO;
	irq_pit_set_state(vm->chip->pit, arg, kvm_clock_now(&vm->platform->clock));
	kvm_vm_timers_changed(vm);
	return 0;
}

static int set_reinject(struct kvm_vm *vm, void *arg)
{
	const struct kvm_reinject_control *control = arg;

	if (!vm->chip->pit)
		return -ENXIO;
	vm->chip->pit->reinject = control->pit_reinject;
	return 0;
}

static int get_irqchip(struct kvm_vm *vm, void *arg)
{
	struct kvm_irqchip *c = arg;

	if (vm->chip->split)
		return -ENXIO;
	if (c->chip_id > KVM_IRQCHIP_IOAPIC)
		return -EINVAL;
	if (c->chip_id == KVM_IRQCHIP_IOAPIC)
		irq_ioapic_get_state(vm->chip, &c->chip.ioapic);
	else
		c->chip.pic = vm->chip->pic.chip[c->chip_id];
	return 0;
}

static int set_irqchip(struct kvm_vm *vm, void *arg)
{
	const struct kvm_irqchip *c = arg;

	if (vm->chip->split)
		return -ENXIO;
	if (c->chip_id > KVM_IRQCHIP_IOAPIC)
		return -EINVAL;
	if (c->chip_id == KVM_IRQCHIP_IOAPIC)
		irq_ioapic_set_state(vm->chip, &c->chip.ioapic);
	else
		irq_pic_set_state(vm->chip, c->chip_id, &c->chip.pic);
	return 0;
}

int kvm_vm_get_pit(void *object, void *arg, uintptr_t user)
{
	return with_chip(object, get_pit, arg, -ENXIO);
}

int kvm_vm_set_pit(void *object, void *arg, uintptr_t user)
{
	return with_chip(object, set_pit, arg, -ENXIO);
}

/* The request's number does not tell the struct's size, so the struct is copied here. */
int kvm_vm_reinject(void *object, void *arg, uintptr_t user)
{
	struct kvm_reinject_control control;

	if (object_copy_in(&control, user, sizeof(control)) < 0)
		return -EFAULT;
	return with_chip(object, set_reinject, &control, -ENXIO);
}

int kvm_vm_get_irqchip(void *object, void *arg, uintptr_t user)
{
	return with_chip(object, get_irqchip, arg, -ENXIO);
}

/* The request's number says _IOR, but the call reads the struct, so the struct is copied here. */
int kvm_vm_set_irqchip(void *object, void *arg, uintptr_t user)
{
	struct kvm_irqchip chip;

	if (object_copy_in(&chip, user, sizeof(chip)) < 0)
		return -EFAULT;
	memcpy(arg, &chip, sizeof(chip));
	return with_chip(object, set_irqchip, &chip, -ENXIO);
}

/* ---- interrupts ---- */

static int set_line(struct kvm_vm *vm, void *arg)
{
	const struct kvm_irq_level *line = arg;

	vm->idle_ns = 0;
	return irq_line_set(vm->chip, IRQ_SOURCE_USER, line->irq, line->level);
}

int kvm_vm_irq_line_status(void *object, void *arg, uintptr_t user)
{
	struct kvm_vm *vm = object;
	struct kvm_irq_level *line = arg;
	int status;

	pthread_mutex_lock(&vm->irq_lock);
	status = vm->chip ? set_line(vm, line) : 0;
	pthread_mutex_unlock(&vm->irq_lock);
	if (!vm->chip)
		return -ENXIO;
	line->status = status;
	return 0;
}

int kvm_vm_irq_line(void *object, void *arg, uintptr_t user)
{
	return kvm_vm_irq_line_status(object, arg, user);
}

static int signal_msi(struct kvm_vm *vm, void *arg)
{
	const struct kvm_msi *msi = arg;

	if (msi->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (!irq_msi_is_valid(vm->chip, (uint64_t)msi->address_hi << 32))
		return -EINVAL;
	vm->idle_ns = 0;
	/* The result is -1 if nobody took the message; the caller sees it as EPERM, as with the kernel. */
	return irq_msi(vm->chip, (uint64_t)msi->address_hi << 32 | msi->address_lo, msi->data);
}

int kvm_vm_signal_msi(void *object, void *arg, uintptr_t user)
{
	return with_chip(object, signal_msi, arg, -EINVAL);
}

struct routing {
	const struct kvm_irq_routing_entry *entries;
	unsigned count;
};

static int set_routing(struct kvm_vm *vm, void *arg)
{
	const struct routing *r = arg;

	return irq_routes_set(vm->chip, r->entries, r->count) < 0 ? -errno : 0;
}

int kvm_vm_set_routing(void *object, void *arg, uintptr_t user)
{
	const struct kvm_irq_routing *head = arg;
	auto_free struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_vm *vm = object;

	if (!vm->chip || head->nr > IRQ_ROUTES_MAX || head->flags)
		return -EINVAL;
	entries = calloc(head->nr + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (object_copy_in(entries, user + sizeof(*head), head->nr * sizeof(*entries)) < 0)
		return -EFAULT;
	return with_chip(vm, set_routing, &(struct routing){entries, head->nr}, -EINVAL);
}
