/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: what a controller can know of a guest that lives. Main thread, between run_create() and
 * run_destroy(). What belongs to an incarnation of the guest is gone after a reset: ask again.
 */
#ifndef VMM_RUN_FACTS_H
#define VMM_RUN_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/launch.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/page.h"

struct run;

/* ---- the parts, borrowed ---- */

const struct config *run_config(const struct run *run);
/* The main loop, which whoever answers controllers shares. */
struct loop *run_loop(struct run *run);
struct machine *run_machine(struct run *run);
/* Its rows, digests and states: vmm/launch.h. */
struct launch *run_launch(struct run *run);
/* The incarnation; NULL before the launch has made it, and between two. */
struct machine_vm *run_vm(struct run *run);

/* ---- vCPUs ---- */

/* Why vCPUs leave the guest; the kinds of KVM_EXIT_* that vmm handles. */
enum run_exit {
	RUN_EXIT_IO,
	RUN_EXIT_MMIO,
	RUN_EXIT_INTR,         /* a signal: a stop, or a look at the vCPU */
	RUN_EXIT_HYPERCALL,    /* the guest says who owns a page */
	RUN_EXIT_MSR,          /* a register that KVM leaves to vmm */
	RUN_EXIT_MEMORY_FAULT, /* a SEV-SNP guest used a page the other way */
	RUN_EXIT_SYSTEM_EVENT,
	RUN_EXIT_SHUTDOWN,
	RUN_EXIT_OTHER,
	RUN_EXITS
};
/* "memory-fault" */
const char *run_exit_name(enum run_exit exit);

/* What became of pages that changed hands. */
enum run_conversion { RUN_TO_PRIVATE, RUN_TO_SHARED, RUN_CONVERSIONS };
/* "private", "shared" */
const char *run_conversion_name(enum run_conversion conversion);

/* What a vCPU has done since run_guest() was called, over all incarnations. */
struct run_vcpu_counts {
	uint64_t exits[RUN_EXITS];
	/*
	 * Conversions that this vCPU's exits asked for and that vmm has done, and their pages. Of a SEV or
	 * SEV-ES guest: what it has reported (sev.page-status). A page that was so already counts, too; what
	 * is no memory has no pages.
	 */
	uint64_t conversions[RUN_CONVERSIONS], converted_pages[RUN_CONVERSIONS];
};

struct run_vcpu_facts {
	pid_t thread;          /* 0: it has none, because the guest is being launched or has ended */
	bool waits;            /* it is paused */
	uint64_t processor_ns; /* the processor time of this thread */
	struct run_vcpu_counts counts;
};
/* How many vCPUs the guest has, also while it is launched. */
unsigned run_vcpus(const struct run *run);
struct run_vcpu_facts run_vcpu_facts(struct run *run, unsigned vcpu);
/* A look at the registers of a vCPU. The vCPU leaves the guest for a moment if it runs. */
#define RUN_TEXT_BYTES 2048
struct run_look {
	/* Called from the loop, soon, once: text is filled; "" if the vCPU has ended. look is free again. */
	void (*on_done)(struct run_look *look);
	char text[RUN_TEXT_BYTES];
	/* The fields below belong to run_look_start(). */
	struct loop_task task;
	struct run_look *next;
};
/* Starts a look. The caller owns *look, sets on_done, and keeps it until that was called or run is destroyed.
 */
void run_look_start(struct run *run, unsigned vcpu, struct run_look *look);

/* ---- memory ---- */

struct run_memory_facts {
	uint64_t ram_bytes;     /* of the configuration, and what was added */
	uint64_t plugged_bytes; /* what was added */
	/*
	 * Is it known which pages are shared? Of a SEV-SNP guest; of a SEV or SEV-ES guest with
	 * sev.page-status, as far as it has reported them. Otherwise the rest is 0.
	 */
	bool known;
	uint64_t private_bytes; /* RAM that is the guest's own; the firmware's place is no RAM */
	uint64_t shared_bytes;  /* the rest of it */
	struct page_record record;
	bool may_migrate; /* a SEV or SEV-ES guest has said so (MSR_KVM_MIGRATION_CONTROL) */
};
struct run_memory_facts run_memory_facts(const struct run *run);

#endif
