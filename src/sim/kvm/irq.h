/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq: the calls on the interrupt controllers, irqfds, doorbells and writes without exits (irq.c, eventfd.c,
 * coalesced.c).
 */
#ifndef KVM_IRQ_H
#define KVM_IRQ_H

#include "vm.h"

/* Are the PIC, the IOAPIC and the PIT in the platform, and not in the VMM? */
bool kvm_vm_has_pic(const struct kvm_vm *vm);
/*
 * Applies capabilities and quirks to the platform's interrupt controllers, if the VM has them.
 * kvm_vm.irq_lock is held.
 */
void kvm_vm_configure_chip(struct kvm_vm *vm);
/*
 * Answers KVM_CAP_SPLIT_IRQCHIP: gives the VM LAPICs alone. GSIs below reserved are pins of the VMM's IOAPIC.
 * kvm_vm.lock is held. Returns 0 or a negated errno.
 */
int kvm_vm_split_irqchip(struct kvm_vm *vm, unsigned reserved);
/* Updates kvm_vm.next_timer_ns after some timer of the VM was set or stopped. kvm_vm.irq_lock is held. */
void kvm_vm_timers_changed(struct kvm_vm *vm);

/* Ends the thread that waits for irqfds, and frees all irqfds and doorbells of a VM that ends. */
void kvm_vm_eventfds_finish(struct kvm_vm *vm);
/* Ends the irqfds of a VM whose descriptor was closed, though its vCPUs may live on. */
void kvm_vm_irqfds_release(struct kvm_vm *vm);
/*
 * Rings the doorbell, if there is one, for a guest's write to a port (pio) or to memory. Returns false if
 * there is none. kvm_vm.irq_lock is held.
 */
bool kvm_vm_ioeventfd_write(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data);
/* Make and end the ring of writes without exits, of a VM that begins or ends. The first returns 0 or a
 * negated errno. */
int kvm_vm_ring_init(struct kvm_vm *vm);
void kvm_vm_ring_finish(struct kvm_vm *vm);
/* Puts a guest's write into the ring, if the VMM wants that. Returns false if the write is an exit. */
bool kvm_vm_coalesce(struct kvm_vm *vm, bool pio, uint64_t address, uint32_t size, const void *data);
/* Tells level-triggered irqfds that the guest ended an interrupt of that pin. kvm_vm.irq_lock is held. */
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
int kvm_vm_register_zone(void *object, void *arg, uintptr_t user);   /* KVM_REGISTER_COALESCED_MMIO */
int kvm_vm_unregister_zone(void *object, void *arg, uintptr_t user); /* KVM_UNREGISTER_COALESCED_MMIO */

#endif
