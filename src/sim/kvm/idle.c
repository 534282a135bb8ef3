/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle: handles vCPUs that do not run: it wakes them, takes INIT and SIPI, and lets virtual time jump when
 * all are halted (clock.c explains). All of it runs with kvm_vm.irq_lock held, except kvm_vcpu_block(), which
 * runs on the vCPU's thread and takes the lock itself.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>

#include "hooks.h"
#include "irq.h"

/*
 * If a guest has only waited for this long of its time, and nothing came in or went out, it waits for
 * somebody outside. From then on its time passes at the pace of the host's clock, so that the outside has
 * time to answer.
 */
#define PATIENCE_NS UINT64_C(30000000000)
/*
 * A guest that rang a doorbell waits for a device: a disk, a network. The answer takes the host's time, so
 * for this long the guest's time does not jump, and its timeouts mean what they say.
 */
#define ANSWER_NS    UINT64_C(3000000000)
#define FOREVER      UINT64_MAX
#define MASK_POLL_MS 5 /* how often a sleeping vCPU looks for signals that KVM_SET_SIGNAL_MASK lets in */

static bool has_interrupt(const struct kvm_vcpu *v)
{
	const struct irq_chip *chip = v->vm->chip;

	if (v->user_vector >= 0 && (!chip || irq_lapic_takes_pic(&v->lapic)))
		return true;
	if (!chip)
		return false;
	return (chip->pic.output && irq_lapic_takes_pic(&v->lapic)) || irq_lapic_pending(&v->lapic) >= 0;
}

static void wake(struct kvm_vcpu *v)
{
	if (v->sleeping)
		eventfd_write(v->wake_fd, 1);
}

static void start_again(struct kvm_vcpu *v)
{
	v->mp_state = KVM_MP_STATE_RUNNABLE;
	wake(v);
}

/* Does an interrupt or an NMI end what the vCPU waits for? */
static bool is_halted(const struct kvm_vcpu *v)
{
	return v->mp_state == KVM_MP_STATE_HALTED || v->mp_state == KVM_MP_STATE_AP_RESET_HOLD;
}

void kvm_vcpu_interrupts_changed(struct kvm_vcpu *v)
{
	if (!has_interrupt(v)) {
		cpu_unpost(v->cpu, CPU_PENDING_INTR);
		return;
	}
	cpu_post(v->cpu, CPU_PENDING_INTR);
	if (is_halted(v) && v->wakeable)
		start_again(v);
}

void kvm_vcpu_post_nmi(struct kvm_vcpu *v)
{
	if (!v)
		return;
	cpu_post_nmi(v->cpu);
	if (is_halted(v))
		start_again(v);
}

void kvm_vcpu_kick(struct kvm_vcpu *v)
{
	if (!v)
		return;
	if (is_halted(v))
		start_again(v);
	else
		v->kicked = true;
}

void kvm_vcpu_request(struct kvm_vcpu *v, uint32_t request)
{
	if (!v)
		return;
	v->requests |= request;
	cpu_post(v->cpu, CPU_PENDING_STOP);
	wake(v);
}

/*
 * Resets the processor. Registers that are the guest's stay, and so does an access that the VMM is to answer:
 * the guest is where it was. Only the events that KVM would inject are gone.
 */
static void reset_processor(struct kvm_vcpu *v)
{
	if (!v->protected) {
		cpu_init(v->cpu);
		v->waits = 0;
		return;
	}
	cpu_end_nmi_blocking(v->cpu);
	cpu_set_nmis(v->cpu, 0);
	if (v->cpu->event.kind == CPU_EVENT_INTR || v->cpu->event.kind == CPU_EVENT_NMI)
		v->cpu->event.kind = CPU_EVENT_NONE;
}

/* Resets the vCPU as Linux's kvm_vcpu_reset() does for an INIT. */
static void reset_vcpu(struct kvm_vcpu *v)
{
	reset_processor(v);
	irq_lapic_reset(&v->lapic, false);
	v->kicked = false;
	if (v->sev)
		v->vm->platform->hooks->vcpu_init(v);
}

/*
 * Returns the requests that can take effect. A vCPU that waits for INIT or SIPI changes its state only after
 * that.
 */
static uint32_t takeable(const struct kvm_vcpu *v)
{
	bool waits = v->mp_state == KVM_MP_STATE_UNINITIALIZED || v->mp_state == KVM_MP_STATE_INIT_RECEIVED;

	return v->requests & (waits ? KVM_REQUESTS_OF_LAPIC : UINT32_MAX);
}

void kvm_vcpu_take_requests(struct kvm_vcpu *v, uint32_t which)
{
	uint32_t lapic = v->requests & which & KVM_REQUESTS_OF_LAPIC, taken;

	if (lapic & KVM_REQUEST_INIT) {
		reset_vcpu(v);
		v->mp_state = v->lapic.base & IRQ_LAPIC_BASE_BSP ? KVM_MP_STATE_RUNNABLE
		                                                 : KVM_MP_STATE_INIT_RECEIVED;
	}
	if (lapic & KVM_REQUEST_SIPI && v->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		if (!v->sev || !v->vm->platform->hooks->vcpu_sipi(v))
			cpu_sipi(v->cpu, v->sipi_vector);
		v->mp_state = KVM_MP_STATE_RUNNABLE;
	}
	v->requests &= ~lapic;
	taken = takeable(v) & which;
	v->requests &= ~taken;
	if (taken & KVM_REQUEST_UPDATE_PROTECTED_STATE)
		reset_vcpu(v);
}

static bool is_busy(struct kvm_vm *vm)
{
	for (unsigned i = 0; i < atomic_load(&vm->vcpu_count); i++) {
		if (vm->vcpus[i]->mp_state == KVM_MP_STATE_RUNNABLE || takeable(vm->vcpus[i]))
			return true;
	}
	return false;
}

/* Returns how long a device may still take to answer, in ns of the host. */
static uint64_t answer_left(const struct kvm_vm *vm)
{
	uint64_t rang = atomic_load(&vm->rang_ns), since = rang ? kvm_clock_host_ns() - rang : ANSWER_NS;

	return since < ANSWER_NS ? ANSWER_NS - since : 0;
}

/* Returns how long the host waits before the guest's time moves on by gap, both in ns. */
static uint64_t wait_of(struct kvm_vm *vm, uint64_t gap)
{
	uint64_t left = answer_left(vm);

	if (vm->platform->clock.host || atomic_load(&vm->idle_ns) > PATIENCE_NS)
		return gap;
	return gap < left ? gap : left;
}

/*
 * Moves time on by one step while this vCPU has nothing to do. patient: the wait of the previous step is
 * over. Returns how many ns of the host to wait before the next step. kvm_vm.irq_lock is held.
 */
static uint64_t step(struct kvm_vm *vm, bool patient)
{
	struct kvm_clock *clock = &vm->platform->clock;
	uint64_t next = atomic_load(&vm->next_timer_ns), now = kvm_clock_now(clock), gap, wait;

	if (next == IRQ_NEVER || (!clock->host && is_busy(vm)))
		return FOREVER;
	gap = next > now ? next - now : 0;
	wait = patient && !clock->host ? 0 : wait_of(vm, gap);
	if (wait)
		return wait;
	atomic_fetch_add(&vm->idle_ns, gap);
	kvm_clock_skip_to(clock, next);
	irq_chip_run_timers(vm->chip, kvm_clock_now(clock));
	kvm_vm_timers_changed(vm);
	return 0;
}

/*
 * As ppoll(2) with the caller's mask, but that no handler runs: the caller's may jump out of the call or call
 * the platform.
 */
static int poll_held(struct kvm_vcpu *v, const struct pollfd *wake, const struct timespec *limit)
{
	struct pollfd both[2] = {*wake, {.events = POLLIN}};
	uint64_t wanted = ~v->sigmask;
	sigset_t set;
	int n, fd;

	sigemptyset(&set);
	__builtin_memcpy(&set, &wanted, sizeof(wanted));
	fd = signalfd(v->signal_fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -1;
	both[1].fd = v->signal_fd = fd;
	n = ppoll(both, 2, limit, NULL);
	if (n <= 0 || !both[1].revents)
		return n;
	errno = EINTR;
	return -1;
}

/* Returns 1: the time is over; 0: the vCPU was woken; -EINTR: a signal came that the caller lets in. */
static int sleep_ns(struct kvm_vcpu *v, uint64_t ns)
{
	struct pollfd p = {.fd = v->wake_fd, .events = POLLIN};
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
	struct timespec mask_poll = {.tv_nsec = MASK_POLL_MS * 1000000};
	sigset_t mask;
	eventfd_t count;
	int n;

	sigemptyset(&mask);
	__builtin_memcpy(&mask, &v->sigmask, sizeof(v->sigmask));
	if (v->held)
		n = poll_held(v, &p, ns == FOREVER ? NULL : &ts);
	else if (v->has_sigmask)
		n = ppoll(&p, 1, &mask_poll, NULL);
	else
		n = ppoll(&p, 1, ns == FOREVER ? NULL : &ts, &mask);
	if (n < 0)
		return errno == EINTR ? -EINTR : 0;
	if (n == 1)
		eventfd_read(v->wake_fd, &count);
	return n == 0 && (v->held || !v->has_sigmask);
}

/*
 * Is there something to run now? An NMI that waits until another's handler ends does not end a HLT.
 * kvm_vm.irq_lock is held.
 */
static bool has_work(struct kvm_vcpu *v)
{
	bool nmi = atomic_load(&v->cpu->nmis) && !v->cpu->nmi_blocked;

	if (is_halted(v) && (nmi || (v->wakeable && has_interrupt(v))))
		v->mp_state = KVM_MP_STATE_RUNNABLE;
	return v->mp_state == KVM_MP_STATE_RUNNABLE || takeable(v);
}

static int wait_for_work(struct kvm_vcpu *v)
{
	struct kvm_vm *vm = v->vm;
	bool patient = false;
	uint64_t wait = 0;
	int slept;

	for (;;) {
		if (kvm_vcpu_interrupted(v))
			return -EINTR;
		pthread_mutex_lock(&vm->irq_lock);
		v->sleeping = false;
		if (!has_work(v)) {
			wait = step(vm, patient);
			v->sleeping = wait != 0;
		}
		if (has_work(v)) {
			v->sleeping = false;
			pthread_mutex_unlock(&vm->irq_lock);
			return 0;
		}
		pthread_mutex_unlock(&vm->irq_lock);
		slept = wait ? sleep_ns(v, wait) : 0;
		if (slept < 0)
			return slept;
		patient = slept == 1;
	}
}

int kvm_vcpu_block(struct kvm_vcpu *v)
{
	uint64_t begun = kvm_clock_host_ns();
	int result;

	kvm_stats_set(&v->stats, KVM_STAT_BLOCKING, 1);
	result = wait_for_work(v);
	kvm_stats_set(&v->stats, KVM_STAT_BLOCKING, 0);
	kvm_stats_add(&v->stats, KVM_STAT_HALT_WAIT_NS, kvm_clock_host_ns() - begun);
	kvm_stats_add(&v->stats, KVM_STAT_HALT_WAKEUP, result == 0);
	return result;
}
