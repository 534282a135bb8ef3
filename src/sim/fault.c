/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: calls that fail or are late, for tests and for people who want to see what a VMM does then. Any
 * thread may call; the faults change with sim_platform.lock held. A call that is to fail is not made. Calls
 * on descriptors that are not the platform's are left alone.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kvm/call.h"
#include "sim.h"

#define NS_PER_SECOND UINT64_C(1000000000)

static bool table_names(const struct kvm_call *table, const char *call)
{
	for (; table->request; table++) {
		const char *name = host_ioctl_name(table->request);

		if (name && strcmp(name, call) == 0)
			return true;
	}
	return false;
}

static bool is_known(const char *call)
{
	static const char *const others[] = {"any", "open", "mmap", "SEV_ISSUE_CMD"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strcmp(others[i], call) == 0)
			return true;
	}
	return table_names(kvm_system_calls, call) || table_names(kvm_vm_calls, call) ||
	       table_names(kvm_vcpu_calls, call);
}

int sim_fault_set(struct host *h, const struct sim_fault *fault, struct err *err)
{
	struct sim_platform *sim = (struct sim_platform *)h;
	struct sim_fault_row *row = NULL;

	if (!fault->nth || !is_known(fault->call))
		return err_set(err, ERR_USAGE, "%s: %s", fault->call,
		        fault->nth ? "the software platform has no such call" : "calls are counted from 1");
	pthread_mutex_lock(&sim->lock);
	for (size_t i = 0; i < ARRAY_LEN(sim->faults) && !row; i++)
		row = sim->faults[i].left ? NULL : &sim->faults[i];
	if (row) {
		*row = (struct sim_fault_row){.ask = *fault, .left = fault->nth};
		snprintf(row->call, sizeof(row->call), "%s", fault->call);
		atomic_fetch_add(&sim->fault_count, 1);
	}
	pthread_mutex_unlock(&sim->lock);
	return row ? 0 : err_set(err, ERR_USAGE, "%u faults wait already", SIM_FAULTS_MAX);
}

void sim_fault_clear(struct host *h)
{
	struct sim_platform *sim = (struct sim_platform *)h;

	pthread_mutex_lock(&sim->lock);
	memset(sim->faults, 0, sizeof(sim->faults));
	atomic_store(&sim->fault_count, 0);
	pthread_mutex_unlock(&sim->lock);
}

unsigned sim_fault_count(const struct host *h)
{
	return atomic_load(&((const struct sim_platform *)h)->fault_count);
}

/*
 * Counts the call in every fault that waits for it. Returns the errno of a fault that is due, and the sum of
 * all delays.
 */
static int count_call(struct sim_platform *sim, const char *call, uint64_t *ret_delay_ns)
{
	int sys = 0;

	for (size_t i = 0; i < ARRAY_LEN(sim->faults); i++) {
		struct sim_fault_row *row = &sim->faults[i];

		if (!row->left || (strcmp(row->call, "any") != 0 && strcmp(row->call, call) != 0))
			continue;
		if (--row->left)
			continue;
		atomic_fetch_sub(&sim->fault_count, 1);
		*ret_delay_ns += row->ask.delay_ns;
		sys = row->ask.sys ? row->ask.sys : sys;
	}
	return sys;
}

int sim_fault_meet(struct sim_platform *sim, const char *call)
{
	struct timespec delay;
	uint64_t ns = 0;
	int sys;

	if (!atomic_load(&sim->fault_count))
		return 0;
	pthread_mutex_lock(&sim->lock);
	sys = count_call(sim, call ? call : "", &ns);
	pthread_mutex_unlock(&sim->lock);
	delay = (struct timespec){
	        .tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)};
	if (ns)
		nanosleep(&delay, NULL); /* a signal ends the delay, as it ends a call in the kernel */
	return -sys;
}
