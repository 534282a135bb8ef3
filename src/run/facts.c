/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what is known of the guest, for controllers. Main thread.
 */
#include <time.h>

#include "run.h"

#define LOOK_NS 20000

const struct config *run_config(const struct run *run)
{
	return run->config;
}

struct loop *run_loop(struct run *run)
{
	return run->loop;
}

struct machine *run_machine(struct run *run)
{
	return run->machine;
}

struct launch *run_launch(struct run *run)
{
	return run->launch;
}

struct machine_vm *run_vm(struct run *run)
{
	return launch_vm(run->launch);
}

static const char *end_name(enum run_cause cause)
{
	switch (cause) {
	case RUN_CAUSE_GUEST_PANIC: return "guest-panicked";
	case RUN_CAUSE_HOST_ERROR: return "internal-error";
	default: return "shutdown";
	}
}

static const char *status_name(const struct run *run)
{
	switch (run->state) {
	case RUN_LIFE_RUNNING:
	case RUN_LIFE_PAUSING:
	case RUN_LIFE_QUIETENING:
	case RUN_LIFE_CLOSING: return "running";
	case RUN_LIFE_RESETTING:
	case RUN_LIFE_LAUNCHING: return run->told_running ? "running" : "prelaunch";
	case RUN_LIFE_PAUSED: return "paused";
	case RUN_LIFE_ARRIVING:
	case RUN_LIFE_AWAITING: return "inmigrate";
	case RUN_LIFE_LEAVING:
	case RUN_LIFE_LEAVING_QUIETLY:
	case RUN_LIFE_LEFT: return "finish-migrate";
	case RUN_LIFE_GIVEN: return "postmigrate";
	case RUN_LIFE_STOPPING:
	case RUN_LIFE_FLUSHING:
	case RUN_LIFE_ENDED: return end_name(run->cause);
	default: return "prelaunch";
	}
}

struct run_status run_status_of(const struct run *run)
{
	const char *name = status_name(run);

	return (struct run_status){
	        .running = name[0] == 'r',
	        .name = name,
	        .phase = run_life_state_name(run->state),
	        .resets = run->resets,
	        .started_s = run->started_s,
	};
}

/* ---- vCPUs ---- */

unsigned run_vcpus(const struct run *run)
{
	return run->config->machine.vcpus;
}

/* A thread that was just made says soon which one it is. */
static pid_t thread_of(const struct run_vcpu *vcpu)
{
	if (!vcpu->started)
		return 0;
	while (!vcpu->tid)
		nanosleep(&(const struct timespec){.tv_nsec = LOOK_NS}, NULL);
	return vcpu->tid;
}

static uint64_t processor_ns(const struct run_vcpu *vcpu)
{
	clockid_t id;

	return vcpu->started && pthread_getcpuclockid(vcpu->thread, &id) == 0 ? clock_ns(id) : 0;
}

const char *run_conversion_name(enum run_conversion conversion)
{
	return conversion == RUN_TO_PRIVATE ? "private" : "shared";
}

static void read_counters(const _Atomic uint64_t *counters, unsigned count, uint64_t *ret_counts)
{
	for (unsigned i = 0; i < count; i++)
		ret_counts[i] = atomic_load_explicit(&counters[i], memory_order_relaxed);
}

struct run_vcpu_facts run_vcpu_facts(struct run *run, unsigned i)
{
	struct run_vcpu *vcpu = &run->vcpus[i];
	struct run_vcpu_facts facts = {
	        .thread = thread_of(vcpu),
	        .waits = vcpu->started && run_vcpu_waits(vcpu),
	        .processor_ns = processor_ns(vcpu),
	};

	read_counters(vcpu->counters.exits, RUN_EXITS, facts.counts.exits);
	read_counters(vcpu->counters.conversions, RUN_CONVERSIONS, facts.counts.conversions);
	read_counters(vcpu->counters.converted_pages, RUN_CONVERSIONS, facts.counts.converted_pages);
	return facts;
}

static void on_looked(void *ctx)
{
	struct run_look *look = ctx;

	look->on_done(look);
}

void run_look_start(struct run *run, unsigned i, struct run_look *look)
{
	look->text[0] = '\0';
	look->task = (struct loop_task){.fn = on_looked, .ctx = look};
	if (run->vcpus[i].started)
		run_vcpu_look(&run->vcpus[i], look);
	else
		loop_post(run->loop, &look->task);
}

/* ---- memory ---- */

struct run_memory_facts run_memory_facts(const struct run *run)
{
	const struct machine_vm *vm = launch_vm(run->launch);
	struct run_memory_facts facts = {.ram_bytes = run->config->machine.memory_bytes};

	facts.plugged_bytes = vm ? page_memory_plugged(machine_vm_memory(vm)) : 0;
	facts.ram_bytes += facts.plugged_bytes;
	facts.known = vm && page_memory_has_record(machine_vm_memory(vm));
	if (!facts.known)
		return facts;
	/* In this order: a guest that allows its migration has reported its pages before. */
	facts.may_migrate = machine_vm_may_migrate(vm);
	page_memory_count(machine_vm_memory(vm), &facts.private_bytes, &facts.shared_bytes);
	page_record_count(machine_vm_memory(vm), &facts.record);
	return facts;
}
