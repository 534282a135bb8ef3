/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: a virtual machine, and the calls about the whole of it (vm.c, caps.c). Order of locks: sev_guest.lock,
 * kvm_vcpu.lock, kvm_vm.lock, kvm_vm.irqfd_lock, kvm_vm.irq_lock, kvm_platform.lock, object_table.lock.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "call.h"
#include "cpu/cpu.h"
#include "irq/irq.h"
#include "platform.h"
#include "stats.h"
#include "vmm/uapi.h"

#define KVM_VCPUS_MAX     IRQ_LAPICS_MAX
#define KVM_VCPUS_ADVISED 64
#define KVM_VCPU_IDS_MAX  4096
#define KVM_SLOTS_MAX     512

struct kvm_coalesced_mmio_ring;
struct kvm_filter;
struct kvm_slot;
struct kvm_vcpu;
struct kvm_zone;
struct sev_guest;

struct kvm_vm {
	struct object object;
	struct kvm_platform *platform;
	struct kvm_vm *next;
	unsigned refs; /* objects (its own, vCPUs, guest_memfds), mirrors, kvm_vm_hold(); kvm_platform.lock */
	unsigned type; /* enum uapi_vm_type */

	/* The VM's part of memory encryption. The hooks set these members; this room only reads them. */
	struct sev_guest *sev;
	_Atomic bool dead;         /* its encryption context was moved away: every call gives EIO */
	_Atomic bool may_prefault; /* pages can be given to the guest beforehand (pre_fault_allowed of the
	                              kernel) */
	bool encrypted;            /* the guest has an encryption context */
	bool guest_keeps_tsc; /* nobody else changes the guest's time (guest_tsc_protected of the kernel) */

	pthread_mutex_t lock; /* slots, attributes, vCPUs */
	struct kvm_stats stats;
	_Atomic uint64_t
	        *private; /* one bit a page of all of its addresses; NULL: it knows no private pages */
	struct kvm_slot *slots;
	struct cpu_map *map;
	struct cpu_bus bus;
	struct kvm_vcpu *vcpus[KVM_VCPUS_MAX]; /* by index; they live as long as the VM */
	_Atomic unsigned vcpu_count;
	pthread_mutex_t irqfd_lock; /* the next five; changing irqfds takes irq_lock, too */
	struct kvm_eventfd *irqfds;
	int epoll_fd, stop_fd; /* of the thread, once it was started */
	pthread_t irqfd_thread;
	bool irqfd_thread_runs;
	uint32_t x2apic_api;              /* KVM_CAP_X2APIC_API */
	unsigned vcpu_ids;                /* KVM_CAP_MAX_VCPU_ID; 0: not chosen yet */
	unsigned boot_id;                 /* KVM_SET_BOOT_CPU_ID */
	_Atomic uint64_t hypercall_exits; /* KVM_CAP_EXIT_HYPERCALL */
	_Atomic bool has_payload;         /* KVM_CAP_EXCEPTION_PAYLOAD */
	_Atomic bool hides_platform_info; /* KVM_CAP_MSR_PLATFORM_INFO */
	uint32_t dirty_manual;            /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
	uint32_t ring_bytes;              /* KVM_CAP_DIRTY_LOG_RING; 0: bitmaps */
	_Atomic uint32_t msr_exits;       /* KVM_CAP_X86_USER_SPACE_MSR */
	_Atomic int64_t clock_offset;
	_Atomic uint64_t wall_clock; /* MSR_KVM_WALL_CLOCK */
	_Atomic bool old_clock;      /* the boot processor uses the clock's older MSR */

	pthread_mutex_t irq_lock;  /* everything below, and mp_state and sleep of every vCPU */
	struct kvm_filter *filter; /* if has_filter */
	_Atomic bool has_filter;
	struct irq_chip *chip; /* set once, before the first vCPU; NULL: none in the platform */
	struct kvm_eventfd *ioeventfds;
	_Atomic unsigned ioeventfd_count;
	struct kvm_zone *zones; /* whose writes go to the ring in place of exits */
	_Atomic unsigned zone_count;
	struct kvm_coalesced_mmio_ring *ring; /* mapped behind kvm_run of each vCPU, too */
	int ring_fd;
	_Atomic uint64_t next_timer_ns;
	_Atomic uint64_t idle_ns; /* time skipped since the guest last did or received anything */
	_Atomic uint64_t rang_ns; /* when the guest last rang a doorbell, by the host's clock; 0: never */
};

/* Answers KVM_CREATE_VM. Returns the VM's descriptor, or a negated errno. */
int kvm_vm_create(struct kvm_platform *platform, unsigned long type);
/*
 * Returns the VM behind a descriptor, held for the caller until kvm_vm_unref(); NULL: the descriptor is not a
 * VM's. No lock is held.
 */
struct kvm_vm *kvm_vm_hold(struct kvm_platform *platform, int fd);
/* Returns the VM that was created last, held as by kvm_vm_hold(); NULL: there is none. */
struct kvm_vm *kvm_vm_hold_newest(struct kvm_platform *platform);
/* Takes one more hold on the VM, on which the caller has a hold already. Takes kvm_platform.lock. */
void kvm_vm_ref(struct kvm_vm *vm);
/* Gives back one hold; giving back the last one ends the VM. NULL is allowed. No lock is held. */
void kvm_vm_unref(struct kvm_vm *vm);
/* Returns the vCPU with that index, or NULL. */
struct kvm_vcpu *kvm_vm_vcpu(struct kvm_vm *vm, unsigned index);
/* Returns the vCPU that was made with that number (KVM_CREATE_VCPU), or NULL. */
struct kvm_vcpu *kvm_vm_vcpu_by_id(struct kvm_vm *vm, unsigned long id);

/*
 * Say what follows from the VM's type, even if the guest has no encryption context yet: the kernel's
 * has_private_mem (SEV-SNP) and has_protected_state (SEV-ES, SEV-SNP).
 */
bool kvm_vm_has_private_memory(const struct kvm_vm *vm);
bool kvm_vm_has_protected_state(const struct kvm_vm *vm);

/* Answers KVM_CHECK_EXTENSION. vm NULL: for /dev/kvm. */
int kvm_vm_capability(const struct kvm_platform *platform, const struct kvm_vm *vm, unsigned long capability);
int kvm_vm_enable_cap(void *object, void *arg, uintptr_t user); /* KVM_ENABLE_CAP (struct kvm_call) */

#endif
