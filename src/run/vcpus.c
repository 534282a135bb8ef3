/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpus: all vCPUs of the guest: they are started, parked and ended together. Main thread.
 */
#include <string.h>

#include "run.h"

/* ---- what their threads tell ---- */

/* How a vCPU ended counts only where it changes something: a guest that is being stopped may crash. */
static void on_bad_end(struct run *run, const struct run_vcpu *vcpu)
{
	bool crashed = vcpu->outcome == RUN_VCPU_CRASHED;
	enum run_life_event event = crashed ? RUN_LIFE_CRASH : RUN_LIFE_FAIL;

	if (!run_changes(run, event))
		return;
	run->err = vcpu->err;
	memcpy(run->report, vcpu->report, sizeof(run->report));
	if (crashed)
		run_tell_panic(run, vcpu->panic, vcpu->sev_set, vcpu->sev_code);
	run_step_because(run, event, crashed ? RUN_CAUSE_GUEST_PANIC : RUN_CAUSE_HOST_ERROR);
}

static bool all_wait(struct run *run)
{
	for (unsigned i = 0; i < run->vcpu_count; i++) {
		if (run->vcpus[i].started && !run_vcpu_waits(&run->vcpus[i]))
			return false;
	}
	return true;
}

static void on_vcpu_parked(void *ctx)
{
	struct run *run = ((struct run_vcpu *)ctx)->owner;

	if (run->running && all_wait(run))
		run_step(run, RUN_LIFE_PARKED);
}

static void on_vcpu_ended(void *ctx)
{
	struct run_vcpu *vcpu = ctx;
	struct run *run = vcpu->owner;

	run_vcpu_join(vcpu);
	run->running--;
	if (vcpu->outcome != RUN_VCPU_STOPPED)
		on_bad_end(run, vcpu);
	if (!run->running)
		run_step(run, RUN_LIFE_STOPPED);
	else if (all_wait(run))
		run_step(run, RUN_LIFE_PARKED);
}

/* ---- what they are told ---- */

static int start(struct run *run, enum run_vcpu_wish wish, struct err *err)
{
	struct machine_vm *vm = launch_vm(run->launch);

	run->vcpu_count = machine_vm_vcpu_count(vm);
	atomic_store(&run->told_full, false);
	atomic_store(&run->told_storm, false);
	for (unsigned i = 0; i < run->vcpu_count; i++) {
		struct run_vcpu *vcpu = &run->vcpus[i];

		run_vcpu_prepare(vcpu);
		vcpu->owner = run;
		vcpu->machine = run->machine;
		vcpu->vm = vm;
		vcpu->kvm = machine_vm_vcpu(vm, i);
		vcpu->loop = run->loop;
		vcpu->told_certificates = &run->told_certificates;
		vcpu->told_full = &run->told_full;
		vcpu->full = &run->full_task;
		vcpu->told_storm = &run->told_storm;
		vcpu->storm = &run->storm_task;
		vcpu->ended = (struct loop_task){.fn = on_vcpu_ended, .ctx = vcpu};
		vcpu->parked = (struct loop_task){.fn = on_vcpu_parked, .ctx = vcpu};
		vcpu->wish = wish;
		if (run_vcpu_start(vcpu, err) < 0)
			return -1;
		run->running++;
	}
	return 0;
}

static void wish(struct run *run, enum run_vcpu_wish wish)
{
	for (unsigned i = 0; i < run->vcpu_count; i++) {
		if (run->vcpus[i].started)
			run_vcpu_wish(&run->vcpus[i], wish);
	}
}

int run_vcpus_start(struct run *run, enum run_vcpu_wish to, struct err *err)
{
	if (!run->running && start(run, to, err) < 0)
		return -1;
	wish(run, to);
	if (to == RUN_VCPU_GO)
		run_spin_start(&run->spin, run->loop, run->vcpus, run->vcpu_count);
	return 0;
}

/* Threads that had not yet heard that they may run go on waiting, and do not tell it again. */
void run_vcpus_park(struct run *run)
{
	run_spin_stop(&run->spin);
	wish(run, RUN_VCPU_PARK);
	if (run->running && all_wait(run))
		run_step(run, RUN_LIFE_PARKED);
}

void run_vcpus_end(struct run *run)
{
	struct machine_vm *vm = launch_vm(run->launch);

	run_spin_stop(&run->spin);
	if (vm)
		page_memory_stop(machine_vm_memory(vm));
	wish(run, RUN_VCPU_END);
	if (!run->running)
		run_step(run, RUN_LIFE_STOPPED);
}

void run_vcpus_end_now(struct run *run)
{
	run_spin_stop(&run->spin);
	if (launch_vm(run->launch))
		page_memory_stop(machine_vm_memory(launch_vm(run->launch)));
	wish(run, RUN_VCPU_END);
	for (unsigned i = 0; i < run->vcpu_count; i++)
		run_vcpu_join(&run->vcpus[i]);
}
