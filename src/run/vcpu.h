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
#include "vmm/run/command.h"
#include "vmm/run/facts.h"

/* Why a vCPU's thread ended. */
enum run_vcpu_outcome {
	RUN_VCPU_STOPPED, /* it was asked to, or a device told it to */
	RUN_VCPU_CRASHED, /* by the guest's own doing; err and report say how */
	RUN_VCPU_FAILED,  /* the host could not go on */
};

/* What the thread does with the vCPU after an exit. */
enum run_vcpu_verdict {
	RUN_VCPU_RESUME,
	RUN_VCPU_AGAIN, /* the rest of this exit, after a look at what the vCPU is to do */
	RUN_VCPU_STOP,
	RUN_VCPU_CRASH,
	RUN_VCPU_FAIL
};

enum run_vcpu_wish { RUN_VCPU_GO, RUN_VCPU_PARK, RUN_VCPU_END };

/* As struct run_vcpu_counts. The thread of the vCPU writes them, and others read them meanwhile. */
struct run_vcpu_counters {
	_Atomic uint64_t exits[RUN_EXITS];
	_Atomic uint64_t conversions[RUN_CONVERSIONS], converted_pages[RUN_CONVERSIONS];
};

struct run_vcpu {
	void *owner; /* for the tasks */
	struct machine *machine;
	struct machine_vm *vm;
	struct machine_vcpu *kvm;
	struct loop *loop;
	_Atomic bool *told_certificates; /* the guest's: it was told that they cannot be read */
	_Atomic bool *told_full;  /* the guest's: it was told that its record of shared pages is full */
	struct loop_task *full;   /* the guest's: posted when that is told */
	_Atomic bool *told_storm; /* the guest's: it was warned of a storm of conversions */
	struct loop_task *storm;  /* the guest's: posted when there is one */
	struct loop_task ended;   /* posted as the thread's last act */
	struct loop_task parked;  /* posted when the thread waits */
	pthread_t thread;
	bool started;
	_Atomic pid_t tid; /* 0: the thread has not come so far */

	/* What the thread is to do. The lock guards wish, waits, looks and closed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic bool called; /* there is something to look at */
	enum run_vcpu_wish wish;
	bool waits;
	struct run_look *looks; /* to be answered */
	bool closed;            /* the thread answers no more */

	/* Written by the thread alone. */
	struct run_vcpu_counters counters;
	unsigned idle_faults; /* memory faults in a row that asked for what was so already */
	bool unanswered;      /* KVM has not yet been given the answer to the last exit */
	uint32_t io_done;     /* elements of a port access that were done before the vCPU was called */

	/* Written by the thread, read once `ended` has been called. */
	enum run_vcpu_outcome outcome;
	struct err err;
	char report[RUN_TEXT_BYTES];
	enum run_panic panic; /* of RUN_VCPU_CRASHED */
	unsigned sev_set, sev_code;
};

/* Call once, before any vCPU starts: the kick is a signal with an empty handler. */
int run_vcpu_prepare_kick(struct err *err) MUST_CHECK;
/* For a vCPU of the guest that is to be started: keeps the counters, and forgets all else. */
void run_vcpu_prepare(struct run_vcpu *vcpu);
/* vcpu is prepared, and has machine, vm, kvm, loop, the tasks and wish. */
int run_vcpu_start(struct run_vcpu *vcpu, struct err *err) MUST_CHECK;
/*
 * Tells the thread to run the vCPU, to wait, or to end. It posts `parked` when it waits, and `ended` when it
 * has ended. Main thread.
 */
void run_vcpu_wish(struct run_vcpu *vcpu, enum run_vcpu_wish wish);
/* Does it wait, and will it go on waiting? Main thread. */
bool run_vcpu_waits(struct run_vcpu *vcpu);
/* Has the thread write the registers into look->text and post look->task. Any thread. */
void run_vcpu_look(struct run_vcpu *vcpu, struct run_look *look);
/* Waits for the thread, which has posted `ended` or is about to. */
void run_vcpu_join(struct run_vcpu *vcpu);
/* How often the guest used a device or asked for something. Any thread. */
uint64_t run_vcpu_work(const struct run_vcpu *vcpu);

/* ---- for the thread itself ---- */

/* exit.c: handles the exit in kvm_run. RUN_VCPU_CRASH and RUN_VCPU_FAIL have filled err and report. */
enum run_vcpu_verdict run_vcpu_on_exit(struct run_vcpu *vcpu);
/*
 * vcpu.c: runs the vCPU up to an exit, or to a call. Returns 0 for an exit, 1 for a call or a signal, -1 if
 * KVM_RUN failed; err and report are filled then.
 */
int run_vcpu_to_exit(struct run_vcpu *vcpu) MUST_CHECK;
/* vcpu.c: the next KVM_RUN does what is left of the present exit, and returns before the guest runs. */
void run_vcpu_run_briefly(struct run_vcpu *vcpu, bool briefly);
/* The kind that an exit counts as. */
enum run_exit run_vcpu_exit_kind(uint32_t reason);
/* Fills err and report; returns the verdict, RUN_VCPU_CRASH or RUN_VCPU_FAIL. */
enum run_vcpu_verdict run_vcpu_end(struct run_vcpu *vcpu, enum run_vcpu_verdict verdict, const char *fmt, ...)
        PRINTF(3, 4);
/* exit_page.c, exit_msr.c, exit_sev.c */
/* Adds to one of the vCPU's counters. Its thread. */
void run_vcpu_count(_Atomic uint64_t *counter, uint64_t more);
enum run_vcpu_verdict run_vcpu_on_memory_fault(struct run_vcpu *vcpu);
/* Adds to err, which KVM_RUN left there, which page it is about, the cause and the remedy. */
void run_vcpu_explain_run(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_hypercall(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_msr(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_sev_term(struct run_vcpu *vcpu);
/* exit_certs.c */
enum run_vcpu_verdict run_vcpu_on_req_certs(struct run_vcpu *vcpu);
/* exit_io.c */
enum run_vcpu_verdict run_vcpu_on_io(struct run_vcpu *vcpu);
enum run_vcpu_verdict run_vcpu_on_mmio(struct run_vcpu *vcpu);
/* report.c: writes the registers, as far as KVM gives them. */
void run_vcpu_report_registers(const struct run_vcpu *vcpu, char text[static RUN_TEXT_BYTES]);

#endif
