/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: KVM_RUN: from the VMM's struct kvm_run into the processor and back. Runs on the vCPU's thread with
 * kvm_vcpu.lock held. Law: api.rst, 4.10 and 5.
 */
#include <asm/svm.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cpu/ram.h"
#include "hooks.h"
#include "irq.h"
#include "memory.h"
#include "msr.h"
#include "pv.h"
#include "registers.h"

#define NPF_WRITE UINT64_C(0x2) /* EXITINFO1 of a nested page fault (APM 2, 15.25.6) */
#define NPF_USER  UINT64_C(0x4)
#define NPF_FINAL UINT64_C(0x100000000) /* the address itself faulted, not a guest's page table */

/* ---- signals: as with the kernel, KVM_RUN returns before a handler runs ---- */

static uint64_t low_mask(const sigset_t *set)
{
	uint64_t bits;

	memcpy(&bits, set, sizeof(bits));
	return bits;
}

/* What the caller of this thread blocks otherwise; NULL: it lets signals come in the platform. */
static _Thread_local const sigset_t *callers_mask;

void kvm_vcpu_signals_held(const sigset_t *mask)
{
	callers_mask = mask;
}

/* While the guest runs all signals wait, except those that a fault of this program raises. */
static void hold_signals(struct kvm_vcpu *v, sigset_t *ret_old)
{
	static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t all;

	v->held = callers_mask != NULL;
	if (v->held) {
		*ret_old = *callers_mask;
	} else {
		sigfillset(&all);
		for (size_t i = 0; i < ARRAY_LEN(own_faults); i++)
			sigdelset(&all, own_faults[i]);
		pthread_sigmask(SIG_SETMASK, &all, ret_old);
	}
	v->sigmask = v->has_sigmask ? v->sigmask_user : low_mask(ret_old);
}

bool kvm_vcpu_interrupted(const struct kvm_vcpu *v)
{
	sigset_t pending;

	if (__atomic_load_n(&v->run->immediate_exit, __ATOMIC_ACQUIRE))
		return true;
	return sigpending(&pending) == 0 && low_mask(&pending) & ~v->sigmask;
}

/* ---- exits ---- */

uint8_t *kvm_vcpu_port_data(struct kvm_vcpu *v)
{
	return (uint8_t *)v->run + KVM_PIO_PAGE_OFFSET * PAGE_SIZE_BYTES;
}

void kvm_vcpu_tell_io(
        struct kvm_vcpu *v, bool write, uint16_t port, uint8_t size, uint32_t count, const uint8_t *data)
{
	kvm_stats_add(&v->stats, KVM_STAT_IO_EXITS, 1);
	v->run->exit_reason = KVM_EXIT_IO;
	v->run->io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	v->run->io.size = size;
	v->run->io.port = port;
	v->run->io.count = count;
	v->run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE_BYTES;
	if (write)
		memcpy(kvm_vcpu_port_data(v), data, (size_t)size * count);
	else
		memset(kvm_vcpu_port_data(v), 0, (size_t)size * count);
	kvm_vcpu_charge_exit(v, port, write);
	if (write)
		atomic_store(&v->vm->idle_ns, 0);
}

void kvm_vcpu_tell_mmio(struct kvm_vcpu *v, bool write, uint64_t gpa, uint32_t size, const uint8_t *data)
{
	kvm_stats_add(&v->stats, KVM_STAT_MMIO_EXITS, 1);
	v->run->exit_reason = KVM_EXIT_MMIO;
	v->run->mmio.phys_addr = gpa;
	v->run->mmio.len = size;
	v->run->mmio.is_write = write;
	memset(v->run->mmio.data, 0, sizeof(v->run->mmio.data));
	if (write)
		memcpy(v->run->mmio.data, data, size);
	kvm_vcpu_charge_exit(v, gpa | UINT64_C(1) << 63, write);
	if (write)
		atomic_store(&v->vm->idle_ns, 0);
}

static int leave_io(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;

	kvm_vcpu_tell_io(v, info->io.write, info->io.port, info->io.size, info->io.count, info->io.data);
	v->waits = v->cpu->access_waits ? KVM_EXIT_IO : 0; /* after OUT to port 7Eh nothing waits */
	return 0;
}

static int leave_mmio(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;

	kvm_vcpu_tell_mmio(v, info->mmio.write, info->mmio.gpa, info->mmio.size, info->mmio.data);
	v->waits = KVM_EXIT_MMIO;
	return 0;
}

/*
 * Brings the VMM's answer to the last exit to the processor. Returns 1: the guest goes on; 0 or a negated
 * errno: KVM_RUN returns.
 */
static int bring_data(struct kvm_vcpu *v)
{
	struct cpu_exit_info *info = &v->cpu->exit_info;
	struct kvm_run *run = v->run;
	bool vmgexit = v->waits == KVM_WAITS_VMGEXIT;

	if (v->waits == KVM_EXIT_IO && !info->io.write)
		memcpy(info->io.data, kvm_vcpu_port_data(v), (size_t)info->io.size * info->io.count);
	else if (v->waits == KVM_EXIT_MMIO && !info->mmio.write)
		memcpy(info->mmio.data, run->mmio.data, info->mmio.size);
	else if (v->waits == KVM_EXIT_HYPERCALL)
		kvm_vcpu_finish_hypercall(v);
	else if (v->waits == KVM_EXIT_X86_RDMSR || v->waits == KVM_EXIT_X86_WRMSR) {
		info->msr.failed = run->msr.error;
		info->msr.data = run->msr.data;
	}
	v->waits = 0;
	return vmgexit ? v->vm->platform->hooks->vcpu_vmgexit_complete(v) : 1;
}

static int leave_failed(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;
	struct kvm_run *run = v->run;

	kvm_stats_add(&v->stats, KVM_STAT_EMULATION_FAILURES, 1);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = info->failed.size ? 3 : 0;
	run->emulation_failure.flags =
	        info->failed.size ? KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES : 0;
	run->emulation_failure.insn_size = info->failed.size;
	memcpy(run->emulation_failure.insn_bytes, info->failed.bytes,
	        sizeof(run->emulation_failure.insn_bytes));
	log_guest(LOG_WARN, "software processor: %s at 0x%llx", info->failed.why,
	        (unsigned long long)info->failed.gpa);
	return 0;
}

/*
 * Leaves because an event could not be delivered. As KVM does on SVM, this is reported as a nested page
 * fault: EXITINFO2, the exit code, EXITINFO1.
 */
static int leave_delivery(struct kvm_vcpu *v)
{
	const struct cpu_exit_info *info = &v->cpu->exit_info;
	struct kvm_run *run = v->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run->internal.ndata = 5;
	run->internal.data[0] = info->delivery.gpa;
	run->internal.data[1] = SVM_EXIT_NPF;
	run->internal.data[2] = NPF_USER | NPF_FINAL | (info->delivery.write ? NPF_WRITE : 0);
	run->internal.data[3] = info->delivery.gpa;
	run->internal.data[4] = 0; /* which of the host's processors it was */
	return 0;
}

/* ---- the loop ---- */

static int leave(struct kvm_vcpu *v, uint32_t reason)
{
	v->run->exit_reason = reason;
	return 0;
}

static int leave_interrupted(struct kvm_vcpu *v)
{
	kvm_stats_add(&v->stats, KVM_STAT_SIGNAL_EXITS, 1);
	v->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

int kvm_vcpu_halt(struct kvm_vcpu *v, uint32_t mp_state, uint32_t exit_reason)
{
	kvm_stats_add(&v->stats, KVM_STAT_HALT_EXITS, 1);
	if (!v->vm->chip)
		return leave(v, exit_reason);
	/* The trap of a single step over HLT comes after it and ends the HLT. */
	if (v->cpu->event.kind != CPU_EVENT_NONE)
		return 1;
	pthread_mutex_lock(&v->vm->irq_lock);
	v->wakeable = cpu_interruptible(v->cpu);
	v->mp_state = v->kicked ? KVM_MP_STATE_RUNNABLE : mp_state;
	v->kicked = false;
	pthread_mutex_unlock(&v->vm->irq_lock);
	return 1;
}

/* Returns 1: the guest goes on; 0 or a negated errno: KVM_RUN returns. */
static int handle_exit(struct kvm_vcpu *v, enum cpu_exit exit)
{
	switch (exit) {
	case CPU_EXIT_IO: return leave_io(v);
	case CPU_EXIT_MMIO: return leave_mmio(v);
	case CPU_EXIT_HLT: return kvm_vcpu_halt(v, KVM_MP_STATE_HALTED, KVM_EXIT_HLT);
	case CPU_EXIT_SHUTDOWN: return leave(v, KVM_EXIT_SHUTDOWN);
	case CPU_EXIT_WINDOW:
		cpu_unpost(v->cpu, CPU_PENDING_WINDOW);
		kvm_stats_add(&v->stats, KVM_STAT_WINDOW_EXITS, 1);
		return kvm_vcpu_injectable(v) ? leave(v, KVM_EXIT_IRQ_WINDOW_OPEN) : 1;
	case CPU_EXIT_HYPERCALL: return kvm_vcpu_hypercall(v);
	case CPU_EXIT_VMGEXIT: return v->vm->platform->hooks->vcpu_vmgexit(v);
	case CPU_EXIT_MSR: return kvm_vcpu_leave_msr(v);
	case CPU_EXIT_DEBUG: return kvm_vcpu_leave_debug(v);
	case CPU_EXIT_FAULT: return v->vm->platform->hooks->vcpu_leave_fault(v);
	case CPU_EXIT_DELIVERY: return leave_delivery(v);
	case CPU_EXIT_MISSING: v->run->exit_reason = KVM_EXIT_UNKNOWN; return -EFAULT;
	case CPU_EXIT_STOPPED:
	case CPU_EXIT_DEADLINE: return 1;
	default: return leave_failed(v);
	}
}

static enum cpu_exit run_processor(struct kvm_vcpu *v, uint64_t deadline)
{
	enum cpu_exit exit;

	if (v->sev)
		v->vm->platform->hooks->vcpu_resume(v);
	kvm_vcpu_pv_enter(v);
	kvm_vcpu_vapic_enter(v);
	exit = cpu_run(v->cpu, deadline);
	kvm_stats_add(&v->stats, KVM_STAT_EXITS, 1);
	kvm_vcpu_vapic_leave(v);
	kvm_vcpu_now(v); /* what the VMM's devices read next is this vCPU's time */
	return exit;
}

/* Completes the instruction whose data came with this KVM_RUN, even if KVM_RUN is to return at once. */
static int finish_access(struct kvm_vcpu *v)
{
	enum cpu_exit exit;

	cpu_post(v->cpu, CPU_PENDING_STOP);
	exit = run_processor(v, cpu_icount(v->cpu));
	cpu_unpost(v->cpu, CPU_PENDING_STOP);
	return handle_exit(v, exit);
}

/*
 * Without interrupt controllers in the platform the VMM asks for an exit as soon as it can inject. A local
 * APIC that takes nothing from a PIC has none.
 */
static bool window_open(struct kvm_vcpu *v, bool completing)
{
	if (kvm_vm_has_pic(v->vm) || !v->run->request_interrupt_window || !kvm_vcpu_takes_pic(v)) {
		cpu_unpost(v->cpu, CPU_PENDING_WINDOW);
		return false;
	}
	if (!completing && kvm_vcpu_injectable(v))
		return true;
	cpu_post(v->cpu, CPU_PENDING_WINDOW);
	return false;
}

/* Takes INIT, SIPI and the rest. The processor has no reason to stop any longer. */
static void take_requests(struct kvm_vcpu *v)
{
	pthread_mutex_lock(&v->vm->irq_lock);
	cpu_unpost(v->cpu, CPU_PENDING_STOP);
	kvm_vcpu_take_requests(v, UINT32_MAX);
	pthread_mutex_unlock(&v->vm->irq_lock);
}

/* May the guest go on with the registers that it has now? Returns 1, 0 or a negated errno. */
static int enter(struct kvm_vcpu *v)
{
	return v->sev ? v->vm->platform->hooks->vcpu_enter(v) : 1;
}

/* Is there a reason to leave before the guest goes on? Returns 1 if there is none, else 0. */
static int leave_for_request(struct kvm_vcpu *v)
{
	if (kvm_vcpu_ring_is_full(v))
		return leave(v, KVM_EXIT_DIRTY_RING_FULL);
	if (v->triple_fault) {
		v->triple_fault = false;
		return leave(v, KVM_EXIT_SHUTDOWN);
	}
	if (v->eoi_vector >= 0) {
		v->run->eoi.vector = (uint8_t)v->eoi_vector;
		v->eoi_vector = -1;
		return leave(v, KVM_EXIT_IOAPIC_EOI);
	}
	return 1;
}

static int run_loop(struct kvm_vcpu *v, bool completing)
{
	bool entered = false;
	int result = 1;

	while (result == 1) {
		if (kvm_vcpu_interrupted(v))
			return completing && (result = finish_access(v)) != 1 ? result : leave_interrupted(v);
		if (atomic_load(&v->cpu->pending) & CPU_PENDING_STOP) {
			take_requests(v);
			entered = false;
		}
		if (v->mp_state != KVM_MP_STATE_RUNNABLE) {
			if (v->sev)
				v->vm->platform->hooks->vcpu_release(v);
			if (kvm_vcpu_block(v) < 0)
				return leave_interrupted(v);
			take_requests(v);
			entered = false;
			continue;
		}
		result = entered ? 1 : enter(v);
		if (result != 1)
			return result;
		entered = true;
		if (!completing && leave_for_request(v) == 0)
			return 0;
		if (window_open(v, completing))
			return leave(v, KVM_EXIT_IRQ_WINDOW_OPEN);
		completing = false;
		result = handle_exit(v, run_processor(v, kvm_vcpu_start_slice(v)));
		if (v->sev)
			v->vm->platform->hooks->vcpu_slice(v);
	}
	return result;
}

static bool exits_at_once(const struct kvm_vcpu *v)
{
	return __atomic_load_n(&v->run->immediate_exit, __ATOMIC_ACQUIRE);
}

/* The vCPU was never started. As with the kernel, its first INIT ends this KVM_RUN. */
static int wait_for_init(struct kvm_vcpu *v)
{
	if (exits_at_once(v))
		return -EINTR;
	if (kvm_vcpu_block(v) < 0)
		return leave_interrupted(v);
	take_requests(v);
	return -EAGAIN;
}

/*
 * An instruction that the last exit left unfinished is completed first. After it, an immediate exit gives no
 * exit reason. A VMGEXIT is complete when its answer has come: its instruction was over before.
 */
static int run_checked(struct kvm_vcpu *v)
{
	bool completing = v->waits && v->waits != KVM_WAITS_VMGEXIT;
	int result;

	if (v->mp_state == KVM_MP_STATE_UNINITIALIZED)
		return wait_for_init(v);
	result = kvm_vcpu_sync_in(v);
	if (result < 0)
		return result;
	if (!v->vm->chip) {
		if (v->run->cr8 > 15)
			return -EINVAL;
		v->cpu->cr8 = v->run->cr8;
	}
	result = bring_data(v);
	if (result != 1)
		return result;
	if (exits_at_once(v)) {
		result = completing ? finish_access(v) : 1;
		return result == 1 ? -EINTR : result;
	}
	kvm_vcpu_deliver_payload(v);
	result = v->sev ? v->vm->platform->hooks->vcpu_pre_run(v) : 1;
	return result == 1 ? run_loop(v, completing) : result;
}

int kvm_vcpu_run(void *object, void *arg, uintptr_t user)
{
	struct kvm_vcpu *v = object;
	sigset_t old;
	int result;

	if (user)
		return -EINVAL;
	if (!v->has_run)
		cpu_ram_guard_prepare();
	v->has_run = true;
	hold_signals(v, &old);
	result = run_checked(v);
	kvm_vcpu_tell_state(v);
	v->exits++;
	if (!v->held)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}
