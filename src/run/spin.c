/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin: a look at the vCPUs every few seconds. A kernel that has panicked, or firmware that waits for what
 * this machine does not have, keeps a core busy for ever and says nothing. Main thread.
 */
#include <string.h>
#include <time.h>

#include "spin.h"

#define SECOND_NS 1000000000ull

/*
 * A vCPU that used less than half of the time is not taken for busy: it waits, or the host has too much to do
 * for any verdict.
 */
static uint64_t busy_for(uint64_t before_ns, uint64_t cpu_ns, uint64_t wall_ns)
{
	return cpu_ns >= wall_ns / 2 ? before_ns + cpu_ns : 0;
}

unsigned run_spin_look(struct run_spin_record *record, uint64_t wall_ns, uint64_t exits,
        const uint64_t *cpu_ns, unsigned vcpu_count)
{
	unsigned spinning = 0;

	for (unsigned i = 0; i < vcpu_count; i++) {
		uint64_t used_ns = cpu_ns[i] > record->cpu_ns[i] ? cpu_ns[i] - record->cpu_ns[i] : 0;
		uint64_t busy_ns = busy_for(record->busy_ns[i], used_ns, wall_ns - record->wall_ns);

		record->busy_ns[i] = exits == record->exits && record->wall_ns ? busy_ns : 0;
		record->cpu_ns[i] = cpu_ns[i];
		spinning += record->busy_ns[i] >= RUN_SPIN_TELL_S * SECOND_NS;
	}
	record->wall_ns = wall_ns;
	record->exits = exits;
	if (record->told)
		return 0;
	record->told = spinning != 0;
	return spinning;
}

/* ---- the vCPUs of a guest ---- */

/* A thread that has ended has no clock: 0 is less than before, and not busy. */
static uint64_t processor_time(const struct run_vcpu *vcpu)
{
	clockid_t id;

	return vcpu->started && pthread_getcpuclockid(vcpu->thread, &id) == 0 ? clock_ns(id) : 0;
}

static void tell(const struct run_spin *spin, unsigned spinning)
{
	log_warn(
	        "%u of the guest's %u vCPUs have been busy for %d s of processor time without using a "
	        "device. "
	        "If the guest computes, all is well. If not, it may have stopped in a loop: a kernel after a "
	        "panic (give it panic=-1), or firmware that waits for SMM, which this machine does not have",
	        spinning, spin->vcpu_count, RUN_SPIN_TELL_S);
}

static void start_timer(struct run_spin *spin);

static void on_time(void *ctx)
{
	struct run_spin *spin = ctx;
	uint64_t exits = 0, cpu_ns[MACHINE_VCPUS_MAX];
	unsigned spinning;

	spin->timer = NULL;
	for (unsigned i = 0; i < spin->vcpu_count; i++) {
		exits += run_vcpu_work(&spin->vcpus[i]);
		cpu_ns[i] = processor_time(&spin->vcpus[i]);
	}
	spinning = run_spin_look(&spin->record, clock_ns(CLOCK_MONOTONIC), exits, cpu_ns, spin->vcpu_count);
	if (spinning)
		tell(spin, spinning);
	if (!spin->record.told)
		start_timer(spin);
}

static void start_timer(struct run_spin *spin)
{
	struct err err;

	if (loop_timer_start(spin->loop, RUN_SPIN_LOOK_S * SECOND_NS, on_time, spin, &spin->timer, &err) < 0)
		log_debug("cannot watch whether the guest spins: %s", err.text);
}

void run_spin_start(struct run_spin *spin, struct loop *loop, struct run_vcpu *vcpus, unsigned vcpu_count)
{
	bool told = spin->record.told;

	*spin = (struct run_spin){
	        .loop = loop, .vcpus = vcpus, .vcpu_count = vcpu_count, .record = {.told = told}};
	if (!told)
		start_timer(spin);
}

void run_spin_stop(struct run_spin *spin)
{
	if (spin->timer)
		loop_op_stop(take_ptr(&spin->timer));
}
