/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm: what vm.c and log.c share: one incarnation of the guest.
 */
#ifndef VMM_MACHINE_VM_H
#define VMM_MACHINE_VM_H

#include <pthread.h>
#include <stdatomic.h>

#include "machine.h"

/* Regions have the first slots, in their order; pieces of RAM that were added have those behind them. */
#define MACHINE_FIRST_PLUG_SLOT PAGE_REGIONS_MAX
#define MACHINE_SLOTS_MAX       (MACHINE_FIRST_PLUG_SLOT + PAGE_PLUGS_MAX)

/* The memory slots, and whether KVM logs what the guest writes to them. */
struct machine_log {
	pthread_mutex_t lock; /* of the rest; held during the kernel's calls for slots and their logs */
	bool on;
	bool by_hand;                              /* call_vm_clear_log_by_hand() */
	struct page_plug slots[MACHINE_SLOTS_MAX]; /* size 0: there is none */
};

struct machine_vm {
	struct machine *machine;
	struct page_memory *memory;
	struct machine_cpuid cpuid; /* of the first vCPU */
	int fd;
	struct machine_log log;
	_Atomic bool may_migrate;
	unsigned vcpu_count;
	struct machine_vcpu vcpus[MACHINE_VCPUS_MAX];
};

/* log.c: makes a memory slot, which is logged if the others are; of size 0: takes it away. Main thread. */
int machine_vm_set_slot(
        struct machine_vm *vm, unsigned slot, const struct page_plug *piece, struct err *err) MUST_CHECK;

#endif
