/* SPDX-License-Identifier: Apache-2.0 */
/* Exits of a confidential guest's vCPU, made by hand. A test program includes this once. */
#ifndef TESTS_UNIT_RUN_SEV_EXITS_H
#define TESTS_UNIT_RUN_SEV_EXITS_H

#include "../../../src/run/vcpu.h"
#include "unit/launch/bench.h"

static struct bench bench;
static struct run_vcpu vcpu;

static inline void start_with(const char *type, const char *const *sets)
{
	bench_start(&bench);
	if (bench_launch(&bench, type, sets) < 0)
		fail_msg("%s", bench.err.text);
	vcpu = (struct run_vcpu){
	        .machine = bench.machine,
	        .vm = bench.vm,
	        .kvm = machine_vm_vcpu(bench.vm, 0),
	};
	bench.kernel.count = 0;
}

static inline void start(const char *type)
{
	start_with(type, NULL);
}

static inline int teardown(void **state)
{
	bench_end(&bench);
	return 0;
}

static inline enum run_vcpu_verdict fault(uint64_t gpa, uint64_t size, uint64_t flags)
{
	const struct uapi_memory_fault fault = {.flags = flags, .gpa = gpa, .size = size};

	vcpu.kvm->run->exit_reason = UAPI_EXIT_MEMORY_FAULT;
	memcpy(&vcpu.kvm->run->hw, &fault, sizeof(fault));
	return run_vcpu_on_exit(&vcpu);
}

static inline enum run_vcpu_verdict hypercall(uint64_t nr, uint64_t gpa, uint64_t pages, uint64_t attributes)
{
	struct kvm_run *run = vcpu.kvm->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = nr;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = pages;
	run->hypercall.args[2] = attributes;
	run->hypercall.ret = 77;
	return run_vcpu_on_exit(&vcpu);
}

static inline void assert_error(enum err_kind kind, const char *part)
{
	assert_int_equal(vcpu.err.kind, kind);
	if (!strstr(vcpu.err.text, part))
		fail_msg("\"%s\" lacks \"%s\"", vcpu.err.text, part);
}

/* What the vCPU has counted: conversions to private and their pages, conversions to shared and their pages.
 */
static inline void assert_converted(
        uint64_t to_private, uint64_t private_pages, uint64_t to_shared, uint64_t shared_pages)
{
	assert_int_equal(vcpu.counters.conversions[RUN_TO_PRIVATE], to_private);
	assert_int_equal(vcpu.counters.converted_pages[RUN_TO_PRIVATE], private_pages);
	assert_int_equal(vcpu.counters.conversions[RUN_TO_SHARED], to_shared);
	assert_int_equal(vcpu.counters.converted_pages[RUN_TO_SHARED], shared_pages);
}

#endif
