/*
 * sim: the software platform: a host that answers KVM's ioctls in the process, with a processor and
 * interrupt controllers in software. It runs guests on any x86-64 Linux without /dev/kvm; it protects
 * nothing, and only `cli` may choose it, at the user's word.
 */
#ifndef VMM_SIM_H
#define VMM_SIM_H

#include "vmm/host.h"

enum sim_clock_kind {
	SIM_CLOCK_VIRTUAL, /* 1 instruction is 1 ns; when every vCPU halts, time skips to the next timer */
	SIM_CLOCK_HOST,    /* CLOCK_MONOTONIC */
};

struct sim_options {
	enum sim_clock_kind clock;
};

/* A host whose /dev/kvm is the software platform; other paths and descriptors are the kernel's. */
int host_sim_create(const struct sim_options *options, struct host **ret_host, struct err *err) MUST_CHECK;

/*
 * The guest's time in ns since the host was created, for the devices of the VMM: monotonic, any thread. On
 * a vCPU's thread between two KVM_RUN it is exact. h is what host_sim_create() gave, not a wrapper of it.
 */
uint64_t sim_now_ns(const struct host *h);

/* What the guests of a host did so far; exact when none runs. */
struct sim_figures {
	uint64_t instructions;
	uint64_t exits;          /* KVM_RUN that returned to the VMM */
	uint64_t unknown;        /* instructions met that are not implemented: each raised #UD */
	char unknown_names[256]; /* "0f 38 f0 /0 mod 3 x12, ..." */
};
void sim_figures(struct host *h, struct sim_figures *ret_figures);

#endif
