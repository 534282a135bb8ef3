/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: one thread that runs one vCPU, and what it makes of its exits.
 */
#ifndef VMM_RUN_VCPU_H
#define VMM_RUN_VCPU_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/loop.h"
#include "vmm/machine.h"

/* Why a vCPU's thread ended. */
enum run_vcpu_outcome {
	RUN_VCPU_STOPPED, /* it was asked to, or a device told it to */
	RUN_VCPU_CRASHED, /* by the guest's own doing; err and report say how */
	RUN_VCPU_FAILED,  /* the host could not go on */
};

/* What the thread does with the vCPU after an exit. */
enum run_vcpu_verdict { RUN_VCPU_RESUME, RUN_VCPU_STOP, RUN_VCPU_CRASH, RUN_VCPU_FAIL };

struct run_vcpu {
	void *owner; /* for `ended` */
	struct machine *machine;
	struct machine_vm *vm;
	struct machine_vcpu *kvm;
	struct loop *loop;
	struct loop_task ended; /* posted as the thread's last act */
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	_Atomic uint64_t exits;
	unsigned idle_faults; /* memory faults in a row that asked for what was so already */

	/* Written by the thread, read once `ended` has been called. */
	enum run_vcpu_outcome outcome;
	struct err err;
	char report[2048];
};

/* Call once, before any vCPU starts: the kick is a signal with an empty handler. */
int run_vcpu_prepare_kick(struct err *err) MUST_CHECK;
/* vcpu is zeroed but for machine, vm, kvm, loop and ended. */
int run_vcpu_start(struct run_vcpu *vcpu, struct err *err) MUST_CHECK;
/* Asks the thread to end; it posts `ended` when it has. Main thread. */
void run_vcpu_stop(struct run_vcpu *vcpu);
/* Waits for the thread, which has posted `ended` or is about to. */
void run_vcpu_join(struct run_vcpu *vcpu);

/* ---- for the thread itself ---- */

/* exit.c: handles the exit in kvm_run. RUN_VCPU_CRASH and RUN_VCPU_FAIL have filled err and report. */
enum run_vcpu_verdict run_vcpu_on_exit(struct run_vcpu *vcpu);
/* Fills err and report; returns the verdict, RUN_VCPU_CRASH or RUN_VCPU_FAIL. */
enum run_vcpu_verdict run_vcpu_end(struct run_vcpu *vcpu, enum run_vcpu_verdict verdict, const char *fmt, ...)
        PRINTF(3, 4);
/* exit_page.c, exit_sev.c */
enum run_vcpu_verdict run_vcpu_on_memory_fault(struct run_vcpu *vcpu);
/* Adds to err, which KVM_RUN left there, which page it is about, the cause and the remedy. */
void run_vcpu_explain_run(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_hypercall(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_sev_term(struct run_vcpu *vcpu);
/* exit_io.c */
enum run_vcpu_verdict run_vcpu_on_io(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_mmio(struct run_vcpu *vcpu);
/* report.c: fills vcpu->report with the registers, as far as KVM gives them. */
void run_vcpu_report_registers(struct run_vcpu *vcpu);

#endif
