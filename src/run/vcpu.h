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
enum vcpu_outcome {
	VCPU_STOPPED, /* it was asked to, or a device told it to */
	VCPU_CRASHED, /* by the guest's own doing; err and report say how */
	VCPU_FAILED,  /* the host could not go on */
};

/* What becomes of the vCPU after an exit. */
enum vcpu_verdict { VCPU_RESUME, VCPU_STOP, VCPU_CRASH, VCPU_FAIL };

struct vcpu {
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
	enum vcpu_outcome outcome;
	struct err err;
	char report[2048];
};

/* Call once, before any vCPU starts: the kick is a signal with an empty handler. */
int vcpu_prepare_kick(struct err *err) MUST_CHECK;
/* vcpu is zeroed but for machine, vm, kvm, loop and ended. */
int vcpu_start(struct vcpu *vcpu, struct err *err) MUST_CHECK;
/* Asks the thread to end; it posts `ended` when it has. Main thread. */
void vcpu_stop(struct vcpu *vcpu);
/* Waits for the thread, which has posted `ended` or is about to. */
void vcpu_join(struct vcpu *vcpu);

/* ---- for the thread itself ---- */

/* exit.c: handles the exit in kvm_run. VCPU_CRASH and VCPU_FAIL have filled err and report. */
enum vcpu_verdict vcpu_on_exit(struct vcpu *vcpu);
/* Fills err and report; returns the verdict, VCPU_CRASH or VCPU_FAIL. */
enum vcpu_verdict vcpu_end(struct vcpu *vcpu, enum vcpu_verdict verdict, const char *fmt, ...) PRINTF(3, 4);
/* exit_page.c, exit_sev.c */
enum vcpu_verdict vcpu_on_memory_fault(struct vcpu *vcpu);
/* Adds to err, which KVM_RUN left there, which page it is about, the cause and the remedy. */
void vcpu_explain_run(struct vcpu *vcpu);
enum vcpu_verdict vcpu_on_hypercall(struct vcpu *vcpu);
enum vcpu_verdict vcpu_on_sev_term(struct vcpu *vcpu);
/* exit_io.c */
enum vcpu_verdict vcpu_on_io(struct vcpu *vcpu);
enum vcpu_verdict vcpu_on_mmio(struct vcpu *vcpu);
/* report.c: fills vcpu->report with the registers, as far as KVM gives them. */
void vcpu_report_registers(struct vcpu *vcpu);

#endif
