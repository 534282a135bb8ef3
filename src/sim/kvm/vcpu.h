/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu: a virtual processor: its life, how it runs, sleeps and is interrupted (vcpu.c, run.c, idle.c,
 * lapic.c, vapic.c, hypercall.c, bus.c). Its registers are in registers.h and msr.h.
 */
#ifndef KVM_VCPU_H
#define KVM_VCPU_H

#include "vm.h"

/* struct kvm_run, port data, and over the last page the ring of the VM (coalesced.c) */
#define KVM_RUN_BYTES   ((size_t)3 * PAGE_SIZE_BYTES)
#define KVM_RING_OFFSET (KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE_BYTES) /* in a vCPU's descriptor */
#define KVM_MCE_BANKS   32

/* The value of kvm_vcpu.waits if a VMGEXIT left to the VMM, whatever the exit reason was. */
#define KVM_WAITS_VMGEXIT UINT32_MAX

enum kvm_request {
	KVM_REQUEST_INIT = 1,
	KVM_REQUEST_SIPI = 2,
	KVM_REQUEST_UPDATE_PROTECTED_STATE = 4, /* as an INIT, but the vCPU does not wait for a SIPI */
	KVM_REQUEST_VMSA_RELOAD = 8,            /* the page with the guest's VMSA may be gone */
};
#define KVM_REQUESTS_OF_LAPIC (KVM_REQUEST_INIT | KVM_REQUEST_SIPI)

struct sev_vcpu;

struct kvm_vcpu {
	struct object object;
	struct kvm_vm *vm;
	unsigned index, id;
	pthread_mutex_t lock; /* held by every ioctl on the vCPU, so also while it runs */
	struct kvm_run *run;
	struct cpu *cpu;
	struct irq_lapic lapic; /* if vm->chip */

	/* kvm_vm.irq_lock */
	_Atomic uint32_t mp_state; /* KVM_RUN also looks without the lock */
	uint32_t requests;         /* enum kvm_request */
	uint8_t sipi_vector;
	bool sleeping;
	int eoi_vector; /* an end of interrupt to report to the VMM; -1: none */
	bool wakeable;  /* while halted: a maskable interrupt would be taken */
	bool kicked;    /* KVM_HC_KICK_CPU: the next HLT is over at once */
	int wake_fd;
	int signal_fd; /* for sleep while the caller holds signals; -1: not made yet */

	/* the vCPU's thread */
	uint64_t base_ns, base_icount; /* this vCPU's time was base_ns at base_icount */
	uint64_t slice_end;
	int64_t tsc_offset;
	uint64_t tsc_adjust;
	uint64_t msrs[10]; /* see msr.c */
	uint64_t vapic;    /* guest-physical, of the four bytes in vapic.c; 0: none */
	struct {
		uint64_t cap, status, ctl, bank[KVM_MCE_BANKS][4];
	} mce;
	bool triple_fault; /* the next KVM_RUN ends with a shutdown */
	struct {           /* of the exception in cpu->event that KVM_SET_VCPU_EVENTS made pending */
		bool pending, has;
		uint64_t value;
	} payload;
	struct kvm_dirty_gfn *ring; /* NULL: none; ring_count entries, a power of two */
	uint32_t ring_count, ring_at;
	_Atomic uint32_t ring_reset; /* entries before this one were given back; kvm_vm.lock */
	struct {
		uint64_t key, icount, waited_ns;
	} poll;
	uint32_t waits;  /* the exit reason for which the next KVM_RUN brings data; 0: none; KVM_WAITS_VMGEXIT
	                  */
	int user_vector; /* KVM_INTERRUPT; -1: none */
	bool has_run;
	uint32_t guest_debug; /* KVM_SET_GUEST_DEBUG; 0: no debugger */
	bool has_sigmask;
	bool held; /* this KVM_RUN is called with all signals blocked: kvm_vcpu_signals_held() */
	uint64_t sigmask, sigmask_user;
	struct kvm_cpuid_entry2 *cpuid;
	uint32_t cpuid_count;
	bool sregs_set; /* by the VMM, so they are no longer those of KVM's reset */
	uint64_t exits;
	struct kvm_stats stats;
	struct {
		bool enforce;          /* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
		_Atomic uint64_t time; /* MSRs of KVM's */
		uint64_t steal, poll;
		uint64_t delay; /* what the thread has waited for a processor, as far as it was counted */
		_Atomic bool time_due; /* the clock in guest memory is to be written again */
		bool wall_due,
		        stopped; /* ... the wall clock; the clock with the flag of having been stopped */
	} pv;

	/* The vCPU's part of memory encryption. The hooks set these members; this room only reads them. */
	struct sev_vcpu *sev; /* NULL: the guest has no memory encryption */
	bool protected;       /* the registers are the guest's (guest_state_protected of the kernel) */
};

/* ---- life ---- */

/* KVM_CREATE_VCPU. Returns the vCPU's descriptor, or a negated errno. */
int kvm_vcpu_create(struct kvm_vm *vm, unsigned long id);
/* Frees a vCPU whose VM ends. NULL is allowed. */
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);
/* Adds what the vCPU did to *sum. kvm_platform.lock is held. */
void kvm_vcpu_add_figures(const struct kvm_vcpu *vcpu, struct sim_figures *sum);
/* Fills in the functions that the processor calls for accesses that are not to memory. */
void kvm_bus_init(struct cpu_bus *bus);

/* ---- running; the vCPU's thread ---- */

int kvm_vcpu_run(void *object, void *arg, uintptr_t user); /* KVM_RUN (struct kvm_call) */
/* What sim_signals_held() does. */
void kvm_vcpu_signals_held(const sigset_t *mask);
/* Does a signal, or immediate_exit, want KVM_RUN to return? */
bool kvm_vcpu_interrupted(const struct kvm_vcpu *vcpu);
/*
 * Fill in kvm_run for an access that the VMM answers. A port's count accesses of that size are all at data,
 * at most a page; data is not used for reads. A register has 1 to 8 bytes. The caller sets kvm_vcpu.waits.
 */
void kvm_vcpu_tell_io(
        struct kvm_vcpu *vcpu, bool write, uint16_t port, uint8_t size, uint32_t count, const uint8_t *data);
void kvm_vcpu_tell_mmio(struct kvm_vcpu *vcpu, bool write, uint64_t gpa, uint32_t size, const uint8_t *data);
/* Returns the page after struct kvm_run, which holds the data of ports. */
uint8_t *kvm_vcpu_port_data(struct kvm_vcpu *vcpu);
/*
 * Lets the vCPU sleep in this state until an interrupt, an NMI, INIT or a kick comes. Returns 1, or without
 * interrupt controllers in the platform 0: then the VMM gets this exit and decides.
 */
int kvm_vcpu_halt(struct kvm_vcpu *vcpu, uint32_t mp_state, uint32_t exit_reason);
/* What a guest asks of KVM, and how: the values of RAX, then of RBX, RCX, RDX and RSI. */
struct kvm_hypercall {
	uint64_t number, args[4];
	bool longmode; /* the guest's code has 64 bits, or its registers are hidden */
	uint8_t cpl;
};

/*
 * Answers a hypercall, for a VMMCALL or a VMGEXIT. Returns 1 with its answer, the guest's RAX, in
 * *ret_result. Returns 0 if the VMM is to answer: kvm_run says what it is asked, and will have the answer in
 * hypercall.ret; the caller sets kvm_vcpu.waits.
 */
int kvm_vcpu_answer_hypercall(struct kvm_vcpu *vcpu, const struct kvm_hypercall *call, uint64_t *ret_result);
/*
 * Answers the guest's VMMCALL. Returns 1 if it was answered and the guest goes on; 0 if the VMM answers, and
 * kvm_vcpu_finish_hypercall() brings its answer to the guest.
 */
int kvm_vcpu_hypercall(struct kvm_vcpu *vcpu);
void kvm_vcpu_finish_hypercall(struct kvm_vcpu *vcpu);
/* Does KVM execute the guest's VMCALL as VMMCALL? (struct cpu_bus, fixes_vmcall) */
bool kvm_vcpu_fixes_vmcall(void *ctx);

/* ---- sleeping, waking, interrupts ---- */

/*
 * Sleeps until a vCPU that is halted, or waits for INIT or SIPI, has something to run. Returns 0 or -EINTR.
 */
int kvm_vcpu_block(struct kvm_vcpu *vcpu);
/*
 * Makes waiting requests take effect: those of these bits, each as far as the vCPU's state lets it.
 * kvm_vm.irq_lock is held, and the processor does not run.
 */
void kvm_vcpu_take_requests(struct kvm_vcpu *vcpu, uint32_t which);
/* Looks again whether an interrupt waits for this vCPU. kvm_vm.irq_lock is held, as for the next three. */
void kvm_vcpu_interrupts_changed(struct kvm_vcpu *vcpu);
/* Posts an NMI. NULL is allowed, as for the next two. */
void kvm_vcpu_post_nmi(struct kvm_vcpu *vcpu);
/* Ends the vCPU's HLT, or its next one. */
void kvm_vcpu_kick(struct kvm_vcpu *vcpu);
/* request: bits of enum kvm_request. */
void kvm_vcpu_request(struct kvm_vcpu *vcpu, uint32_t request);

/* ---- the local APIC ---- */

/* May MSR 1B (the APIC's base) be set to this value? */
bool kvm_vcpu_apic_base_valid(const struct kvm_vcpu *vcpu, uint64_t base, bool by_host);
/* Sets MSR 1B to a valid value. kvm_vm.irq_lock is held. */
void kvm_vcpu_set_apic_base(struct kvm_vcpu *vcpu, uint64_t base);
/* Adapts the LAPIC to a kvm_vcpu.cpuid that has changed. */
void kvm_vcpu_lapic_cpuid_changed(struct kvm_vcpu *vcpu);
/*
 * The first writes the bytes of KVM_SET_VAPIC_ADDR before the vCPU enters its guest, if an interrupt waits.
 * The second reads them after the vCPU has left the guest.
 */
void kvm_vcpu_vapic_enter(struct kvm_vcpu *vcpu);
void kvm_vcpu_vapic_leave(struct kvm_vcpu *vcpu);

int kvm_vcpu_get_lapic(void *object, void *arg, uintptr_t user); /* KVM_GET_LAPIC (struct kvm_call) */
int kvm_vcpu_set_lapic(void *object, void *arg, uintptr_t user); /* KVM_SET_LAPIC (struct kvm_call) */
int kvm_vcpu_set_vapic(void *object, void *arg, uintptr_t user); /* KVM_SET_VAPIC_ADDR (struct kvm_call) */

#endif
