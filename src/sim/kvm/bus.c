/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: answers the processor's accesses inside the platform that are not to memory: interrupt controllers,
 * doorbells, MSRs, the time-stamp counter. The running processor calls these functions on the vCPU's thread.
 * They take kvm_vm.irq_lock themselves.
 */
#include <string.h>

#include "clock.h"
#include "irq.h"
#include "msr.h"

/* Virtual time that an access costs: a port of the PC, a register near the processor. */
#define PORT_NS 1000u
#define MMIO_NS 100u

static bool doorbell(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data)
{
	bool answered;

	if (!atomic_load_explicit(&vm->ioeventfd_count, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&vm->irq_lock);
	answered = kvm_vm_ioeventfd_write(vm, pio, address, size, data);
	if (answered)
		atomic_store(&vm->rang_ns, kvm_clock_host_ns());
	pthread_mutex_unlock(&vm->irq_lock);
	return answered;
}

/* Takes a write that no device of the platform answers, if the VMM has given it a place other than an exit.
 */
static bool without_exit(struct kvm_vcpu *v, bool pio, uint64_t address, uint32_t size, const void *data)
{
	if (doorbell(v->vm, pio, address, size, data))
		return true;
	if (!kvm_vm_coalesce(v->vm, pio, address, size, data))
		return false;
	kvm_vcpu_charge_access(v, pio ? PORT_NS : MMIO_NS);
	return true;
}

static bool on_io(void *ctx, bool write, uint16_t port, uint32_t size, void *data)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_vm *vm = v->vm;

	if (!kvm_vm_has_pic(vm) || !(irq_pic_port(port) || irq_pit_port(vm->chip->pit, port)))
		return write && without_exit(v, true, port, size, data);
	pthread_mutex_lock(&vm->irq_lock);
	irq_chip_io(vm->chip, write, port, size, data, kvm_vcpu_now(v));
	kvm_vm_timers_changed(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	kvm_vcpu_charge_access(v, PORT_NS);
	return true;
}

static bool in_range(uint64_t gpa, uint32_t size, uint64_t base, uint64_t bytes)
{
	return gpa >= base && range_fits(gpa - base, size, bytes);
}

/* The guest may have changed whether it takes what the VMM waits to inject; run.c looks before it goes on. */
static void changed_lint0(struct kvm_vcpu *v)
{
	if (v->run->request_interrupt_window)
		cpu_post(v->cpu, CPU_PENDING_STOP);
}

/*
 * The guest accesses the page of a LAPIC that is off, or that has MSRs in place of the page. KVM answers a
 * read with ones and ignores a write. If the VMM switched this quirk off, KVM does not answer at all.
 */
static bool lapic_page(struct kvm_vcpu *v, bool write, uint64_t offset, uint32_t size, void *data)
{
	if (irq_lapic_is_on(&v->lapic) && !irq_lapic_is_x2(&v->lapic)) {
		irq_lapic_mmio(&v->lapic, write, (unsigned)offset, size, data, kvm_vcpu_now(v));
		if (write && offset / 16 == LAPIC_LVT_LINT0 / 16)
			changed_lint0(v);
		return true;
	}
	if (!cpu_bus_has_quirk(&v->vm->bus, KVM_X86_QUIRK_LAPIC_MMIO_HOLE))
		return false;
	if (!write)
		memset(data, 0xff, size);
	return true;
}

static bool on_mmio(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_vm *vm = v->vm;
	uint64_t lapic = v->lapic.base & ~UINT64_C(0xfff);
	bool ours;

	if (!vm->chip)
		return write && without_exit(v, false, gpa, size, data);
	pthread_mutex_lock(&vm->irq_lock);
	ours = in_range(gpa, size, lapic, PAGE_SIZE_BYTES) && lapic_page(v, write, gpa - lapic, size, data);
	if (!ours && !vm->chip->split && in_range(gpa, size, IRQ_IOAPIC_BASE, IRQ_IOAPIC_BYTES))
		irq_ioapic_mmio(vm->chip, write, (unsigned)(gpa - IRQ_IOAPIC_BASE), size, data), ours = true;
	if (ours && write)
		kvm_vm_timers_changed(vm);
	pthread_mutex_unlock(&vm->irq_lock);
	if (!ours)
		return write && without_exit(v, false, gpa, size, data);
	kvm_vcpu_charge_access(v, MMIO_NS);
	return true;
}

static bool on_msr(void *ctx, bool write, uint32_t index, uint64_t *value)
{
	bool good = kvm_vcpu_msr(ctx, write, index, value, false);

	if (write)
		kvm_vcpu_retime(ctx);
	if (write && index == 0x800 + LAPIC_LVT_LINT0 / 16)
		changed_lint0(ctx);
	return good;
}

static uint64_t on_tsc(void *ctx)
{
	struct kvm_vcpu *v = ctx;

	return kvm_vcpu_now(v) + (uint64_t)v->tsc_offset;
}

static uint8_t on_cr8_read(void *ctx)
{
	struct kvm_vcpu *v = ctx;
	uint8_t tpr;

	if (!v->vm->chip)
		return (uint8_t)v->cpu->cr8;
	pthread_mutex_lock(&v->vm->irq_lock);
	tpr = (uint8_t)(irq_lapic_tpr(&v->lapic) >> 4);
	pthread_mutex_unlock(&v->vm->irq_lock);
	return tpr;
}

static void on_cr8_write(void *ctx, uint8_t tpr)
{
	struct kvm_vcpu *v = ctx;

	if (!v->vm->chip)
		return;
	pthread_mutex_lock(&v->vm->irq_lock);
	irq_lapic_set_tpr(&v->lapic, (uint32_t)tpr << 4);
	pthread_mutex_unlock(&v->vm->irq_lock);
}

/* As with KVM, an interrupt of the PIC goes first, or one that the VMM injects in its place. */
static int on_interrupt_ack(void *ctx)
{
	struct kvm_vcpu *v = ctx;
	struct kvm_vm *vm = v->vm;
	int vector;

	pthread_mutex_lock(&vm->irq_lock);
	if (v->user_vector >= 0 && (!vm->chip || irq_lapic_takes_pic(&v->lapic))) {
		vector = v->user_vector;
		v->user_vector = -1;
	} else if (!vm->chip) {
		vector = -1;
	} else if (vm->chip->pic.output && irq_lapic_takes_pic(&v->lapic)) {
		vector = irq_pic_ack(vm->chip);
	} else {
		vector = irq_lapic_ack(&v->lapic);
	}
	kvm_stats_add(&v->stats, KVM_STAT_INJECTIONS, vector >= 0);
	kvm_vcpu_interrupts_changed(v);
	pthread_mutex_unlock(&vm->irq_lock);
	return vector;
}

void kvm_bus_init(struct cpu_bus *bus)
{
	bus->phys_mask = (UINT64_C(1) << KVM_PHYS_BITS) - 1;
	bus->io = on_io;
	bus->mmio = on_mmio;
	bus->msr = on_msr;
	bus->msr_allowed = kvm_vcpu_msr_allowed;
	bus->msr_known = kvm_vcpu_msr_known;
	bus->fixes_vmcall = kvm_vcpu_fixes_vmcall;
	bus->msr_exits = kvm_vcpu_msr_exits;
	bus->tsc = on_tsc;
	bus->cr8_read = on_cr8_read;
	bus->cr8_write = on_cr8_write;
	bus->interrupt_ack = on_interrupt_ack;
}
