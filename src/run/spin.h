/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin: notices a guest that keeps its processors busy and uses no device: it computes, or it will never do
 * anything again.
 */
#ifndef VMM_RUN_SPIN_H
#define VMM_RUN_SPIN_H

#include "vmm/loop.h"
#include "vmm/machine.h"

#include "vcpu.h"

#define RUN_SPIN_LOOK_S 10 /* between two looks */
#define RUN_SPIN_TELL_S 60 /* of processor time without a device, before it is told */

/* The counters at the last look, and how long each vCPU has been busy since a device was last used. */
struct run_spin_record {
	uint64_t wall_ns, exits;
	uint64_t cpu_ns[MACHINE_VCPUS_MAX], busy_ns[MACHINE_VCPUS_MAX];
	bool told;
};

/*
 * One look: the host's clock, the exits of all vCPUs so far, the processor time of each vCPU's thread.
 * Returns how many vCPUs have been busy for RUN_SPIN_TELL_S, once in a record's life, else 0. The record
 * starts zeroed.
 */
unsigned run_spin_look(struct run_spin_record *record, uint64_t wall_ns, uint64_t exits,
        const uint64_t *cpu_ns, unsigned vcpu_count);

struct run_spin {
	struct loop *loop;
	struct run_vcpu *vcpus; /* borrowed; their threads run from run_spin_start() to run_spin_stop() */
	unsigned vcpu_count;
	struct loop_op *timer;
	struct run_spin_record record;
};

/* Looks every RUN_SPIN_LOOK_S and tells the log. Without memory for a timer it does not. Main thread. */
void run_spin_start(struct run_spin *spin, struct loop *loop, struct run_vcpu *vcpus, unsigned vcpu_count);
void run_spin_stop(struct run_spin *spin); /* also when it never was started */

#endif
