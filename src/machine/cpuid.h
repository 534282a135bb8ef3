/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid: between the choice of features (cpuid.c) and the leaves that hold them (cpuid_leaves.c).
 */
#ifndef MACHINE_CPUID_H
#define MACHINE_CPUID_H

#include "cpu.h"

#define MACHINE_XCR0_LEGACY 0x003 /* x87 and SSE */
#define MACHINE_XCR0_AVX    0x004
#define MACHINE_XCR0_AVX512 0x0e0
#define MACHINE_XCR0_PKRU   0x200

/* A table while it is being made. */
struct machine_cpuid_build {
	const struct machine_cpuid_ask *ask;
	struct machine_cpu_features features; /* what the guest gets */
	struct machine_cpuid cpuid;
	bool full; /* an entry did not fit */
};

/* NULL: no such leaf. */
const struct kvm_cpuid_entry2 *machine_cpuid_entry(
        const struct kvm_cpuid_entry2 *entries, unsigned count, uint32_t function, uint32_t index);
/* The leaf as the host offers it; all zero if it does not. */
const struct kvm_cpuid_entry2 *machine_cpuid_host(
        const struct machine_cpuid_ask *ask, uint32_t function, uint32_t index);

static inline bool machine_cpuid_is_host(const struct machine_cpuid_ask *ask)
{
	return ask->model->signature == 0;
}

/* EBX of "AuthenticAMD". Every named model is AMD's. */
#define MACHINE_CPUID_VENDOR_AMD_EBX 0x68747541
static inline bool machine_cpuid_is_amd(const struct machine_cpuid_ask *ask)
{
	return !machine_cpuid_is_host(ask) ||
	       machine_cpuid_host(ask, 0, 0)->ebx == MACHINE_CPUID_VENDOR_AMD_EBX;
}

/* Writes build->cpuid from build->features. */
int machine_cpuid_leaves(struct machine_cpuid_build *build, struct err *err) MUST_CHECK;

#endif
