/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the guest's time. With SIM_CLOCK_HOST it is the host's CLOCK_MONOTONIC. With SIM_CLOCK_VIRTUAL it
 * does not depend on how fast this machine is, so that a slow machine does not make a guest's timeouts pass:
 *
 * - An instruction takes 1 ns. A vCPU counts its own instructions, and its time is base_ns plus what it
 *   executed since base_icount.
 * - An access to a device costs more, which is added to base_ns.
 * - kvm_clock.now_ns is the latest time that any vCPU has seen. A vCPU that looks at the time and is behind
 *   catches up, because base_ns grows by what it lacks. So no thread ever sees time go back.
 * - When every vCPU is halted nobody executes instructions, and idle.c moves now_ns to the next timer. Only
 *   a guest that rang a device's doorbell a moment ago, or that has waited long for somebody outside, waits
 *   at the host's pace.
 *
 *     vCPU 0's time   |==================> 800: looks, and now_ns becomes 800
 *     vCPU 1's time   |===========> 500: looks, reads 800, and goes on from there (base_ns grew by 300)
 *     now_ns          |                   800 ... both halt; a timer is due at 5,000, so now_ns becomes 5,000
 *
 * A vCPU runs in slices that end at the next timer, or after SLICE instructions, in order to look for
 * signals. A vCPU's own time (in struct kvm_vcpu) changes only on its own thread; now_ns is atomic, and any
 * thread may read it.
 */
#include <time.h>

#include "irq.h"
#include "vcpu.h"

#define SLICE        50000u /* instructions between two looks at signals: about a millisecond of this machine */
#define SLICE_HOST   20000u /* with the host's clock a vCPU notices timers only at the end of a slice */
#define EXIT_NS      1000u  /* a port of the PC behind its slow bus */
#define POLL_GAP     256u   /* instructions between two looks of a guest that polls */
#define POLL_GAP_VC  4096u  /* the same where each look runs the guest's handler of #VC */
#define POLL_NS_MAX  50000u
#define POLL_PORTION 16u

uint64_t kvm_clock_host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void kvm_clock_init(struct kvm_clock *clock, enum sim_clock_kind kind)
{
	clock->host = kind == SIM_CLOCK_HOST;
	clock->host_base_ns = kvm_clock_host_ns();
}

uint64_t kvm_clock_now(const struct kvm_clock *clock)
{
	return clock->host ? kvm_clock_host_ns() - clock->host_base_ns : atomic_load(&clock->now_ns);
}

void kvm_clock_skip_to(struct kvm_clock *clock, uint64_t now_ns)
{
	uint64_t seen = atomic_load(&clock->now_ns);

	while (seen < now_ns && !atomic_compare_exchange_weak(&clock->now_ns, &seen, now_ns))
		;
}

uint64_t kvm_vcpu_now(struct kvm_vcpu *v)
{
	struct kvm_clock *clock = &v->vm->platform->clock;
	uint64_t own, seen;

	if (clock->host)
		return kvm_clock_now(clock);
	own = v->base_ns + (cpu_icount(v->cpu) - v->base_icount);
	seen = atomic_load_explicit(&clock->now_ns, memory_order_relaxed);
	if (seen > own) {
		v->base_ns += seen - own;
		return seen;
	}
	if (seen < own)
		kvm_clock_skip_to(clock, own);
	return own;
}

void kvm_vcpu_charge_access(struct kvm_vcpu *v, uint64_t ns)
{
	v->base_ns += ns;
	kvm_vcpu_retime(v);
}

/*
 * A guest may wait for a device's timer by reading it again and again. If each read cost a microsecond, a
 * long wait would take very many exits. So a read costs more the longer the guest polls one place: a
 * sixteenth of the time that it has waited. No wait becomes longer than by that portion.
 */
void kvm_vcpu_charge_exit(struct kvm_vcpu *v, uint64_t key, bool write)
{
	uint64_t icount = cpu_icount(v->cpu), ns = EXIT_NS, gap = v->protected ? POLL_GAP_VC : POLL_GAP;

	if (!write && key == v->poll.key && icount - v->poll.icount < gap) {
		uint64_t more = v->poll.waited_ns / POLL_PORTION;

		ns += more < POLL_NS_MAX ? more : POLL_NS_MAX;
		v->poll.waited_ns += ns;
	} else {
		v->poll.key = key;
		v->poll.waited_ns = 0;
	}
	v->poll.icount = icount;
	v->base_ns += ns;
	kvm_vcpu_now(v); /* the device that answers sees the time at the end of the access */
}

void kvm_vcpu_retime(struct kvm_vcpu *v)
{
	uint64_t next = atomic_load(&v->vm->next_timer_ns), now = kvm_vcpu_now(v), icount, deadline;

	if (v->vm->platform->clock.host)
		return;
	icount = cpu_icount(v->cpu);
	deadline = next <= now                          ? icount
	           : next - now < v->slice_end - icount ? icount + (next - now)
	                                                : v->slice_end;
	cpu_set_deadline(v->cpu, deadline);
}

uint64_t kvm_vcpu_start_slice(struct kvm_vcpu *v)
{
	struct kvm_vm *vm = v->vm;
	uint64_t now = kvm_vcpu_now(v), icount = cpu_icount(v->cpu), next;

	if (atomic_load(&vm->next_timer_ns) <= now) {
		pthread_mutex_lock(&vm->irq_lock);
		irq_chip_run_timers(vm->chip, now);
		kvm_vm_timers_changed(vm);
		pthread_mutex_unlock(&vm->irq_lock);
	}
	v->slice_end = icount + (vm->platform->clock.host ? SLICE_HOST : SLICE);
	next = atomic_load(&vm->next_timer_ns);
	if (!vm->platform->clock.host && next > now && next - now < v->slice_end - icount)
		return icount + (next - now);
	return v->slice_end;
}
