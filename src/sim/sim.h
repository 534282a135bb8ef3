/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the parts that the files of the software platform's root share. The root stands above all of its inner
 * rooms.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <pthread.h>
#include <stdatomic.h>

#include "kvm/platform.h"
#include "object/object.h"
#include "vmm/sim.h"

/* A fault that waits for its call. */
struct sim_fault_row {
	struct sim_fault ask;
	char call[48];
	uint64_t left; /* matching calls until the fault happens; 0: the row is free */
};

struct sim_platform {
	struct host host; /* first: a struct host of this kind is cast to a sim_platform */
	struct object_table objects;
	struct kvm_platform kvm; /* with the secure processor, which the root makes and ends */
	pthread_mutex_t lock;    /* protects the faults */
	struct sim_fault_row faults[SIM_FAULTS_MAX];
	_Atomic unsigned fault_count;
};

/*
 * Counts a call that is about to be made (fault.c). Returns 0, or the negated errno with which it is to fail.
 */
int sim_fault_meet(struct sim_platform *sim, const char *call);

#endif
