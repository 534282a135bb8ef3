/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq: the calls on the interrupt controllers, irqfds and doorbells (irq.c, eventfd.c).
 */
#ifndef KVM_IRQ_H
#define KVM_IRQ_H

#include "vm.h"

/* Are the PIC, the IOAPIC and the PIT here, and not with the VMM? */
bool kvm_vm_has_pic(const struct kvm_vm *vm);
/* The interrupt controllers, if they are here, do as capabilities and quirks say. kvm_vm.irq_lock is held. */
void kvm_vm_configure_chip(struct kvm_vm *vm);
/*
 * KVM_CAP_SPLIT_IRQCHIP: LAPICs alone; GSIs below reserved are pins of the VMM's IOAPIC. kvm_vm.lock is held.
 * Returns 0 or a negated errno.
 */
int kvm_vm_split_irqchip(struct kvm_vm *vm, unsigned reserved);
/* Some timer of the VM was set or stopped: kvm_vm.next_timer_ns follows. kvm_vm.irq_lock is held. */
void kvm_vm_timers_changed(struct kvm_vm *vm);

/* All irqfds and doorbells of a VM that ends are gone; its thread has ended. */
void kvm_vm_eventfds_finish(struct kvm_vm *vm);
/* The VM's descriptor was closed: its irqfds end, though its vCPUs may live on. */
void kvm_vm_irqfds_release(struct kvm_vm *vm);
/* The guest writes to a port (pio) or to memory: does a doorbell answer? kvm_vm.irq_lock is held. */
bool kvm_vm_ioeventfd_write(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data);
/* The guest ended an interrupt of that pin: level-triggered irqfds hear of it. kvm_vm.irq_lock is held. */
void kvm_vm_irqfd_acked(struct kvm_vm *vm, unsigned irqchip, unsigned pin);

/* ---- calls (struct kvm_call) ---- */

int kvm_vm_create_irqchip(void *object, void *arg, uintptr_t user);  /* KVM_CREATE_IRQCHIP */
int kvm_vm_get_irqchip(void *object, void *arg, uintptr_t user);     /* KVM_GET_IRQCHIP */
int kvm_vm_set_irqchip(void *object, void *arg, uintptr_t user);     /* KVM_SET_IRQCHIP */
int kvm_vm_create_pit(void *object, void *arg, uintptr_t user);      /* KVM_CREATE_PIT2 */
int kvm_vm_get_pit(void *object, void *arg, uintptr_t user);         /* KVM_GET_PIT2 */
int kvm_vm_set_pit(void *object, void *arg, uintptr_t user);         /* KVM_SET_PIT2 */
int kvm_vm_reinject(void *object, void *arg, uintptr_t user);        /* KVM_REINJECT_CONTROL */
int kvm_vm_irq_line(void *object, void *arg, uintptr_t user);        /* KVM_IRQ_LINE */
int kvm_vm_irq_line_status(void *object, void *arg, uintptr_t user); /* KVM_IRQ_LINE_STATUS */
int kvm_vm_set_routing(void *object, void *arg, uintptr_t user);     /* KVM_SET_GSI_ROUTING */
int kvm_vm_signal_msi(void *object, void *arg, uintptr_t user);      /* KVM_SIGNAL_MSI */
int kvm_vm_irqfd(void *object, void *arg, uintptr_t user);           /* KVM_IRQFD */
int kvm_vm_ioeventfd(void *object, void *arg, uintptr_t user);       /* KVM_IOEVENTFD */

#endif
