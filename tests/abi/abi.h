/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi: one program that drives KVM's ioctls through struct host and prints the results. The transcripts of
 * the real kernel and of the software platform must be equal (tests/abi/README.md).
 */
#ifndef VMM_TESTS_ABI_H
#define VMM_TESTS_ABI_H

#include <linux/kvm.h>
#include <stdio.h>

#include "vmm/base.h"
#include "vmm/host.h"

#include "asm.h"

struct abi {
	struct host *host;
	int kvm; /* /dev/kvm */
};

/* A chapter of the transcript. */
struct chapter {
	const char *name;
	void (*run)(struct abi *abi);
	bool sev; /* for hosts that have it */
};
extern const struct chapter chapter_system, chapter_vm, chapter_vcpu, chapter_ports, chapter_memory,
        chapter_modes, chapter_interrupts, chapter_processors, chapter_events, chapter_state, chapter_debug,
        chapter_msrs, chapter_registers, chapter_traps, chapter_lapic, chapter_quirks, chapter_split,
        chapter_dirty, chapter_runs, chapter_hypercalls, chapter_missing, chapter_no_sev, chapter_sev_context,
        chapter_sev_launch, chapter_sev_es, chapter_sev_memory, chapter_sev_share, chapter_snp_memory,
        chapter_snp_launch, chapter_sev_device, chapter_sev_types, chapter_sev_registers, chapter_sev_send,
        chapter_sev_init, chapter_sev_runs, chapter_sev_debug, chapter_sev_moves;

/* Prints one line: the words, then 0, a number or an errno name. Returns the result. */
int say(int result, const char *fmt, ...) PRINTF(2, 3);
void tell(const char *fmt, ...) PRINTF(1, 2);
/* Ends the program, because what failed here is needed for the rest of the transcript. */
_Noreturn void give_up(const char *what);

int ask(struct abi *abi, int fd, unsigned long request, const void *arg);
/* Maps a guest_memfd and touches its pages, and prints what happened. */
void tell_mapping(struct abi *abi, int gmem, size_t size);
int ask_number(struct abi *abi, int fd, unsigned long request, unsigned long number);

/* ---- guests (guest.c) ---- */

#define GUEST_VCPUS_MAX 2
#define GUEST_BYTES     0x20000 /* of memory at 0; what is above is MMIO */
#define GUEST_CODE      0x1000
#define GUEST_CODE_2    0x2000 /* of the second vCPU: SIPI vector 2 */
#define GUEST_IDT       0x4000
#define GUEST_STUBS     0x5000 /* 32 bytes a vector */
#define GUEST_TABLES    0x8000 /* page tables */
#define GUEST_STACK     0xf000
#define PORT_VECTOR     0xe0 /* a handler writes its vector here */
#define PORT_DONE       0xf4

enum guest_flag {
	GUEST_IRQCHIP = 1,
	GUEST_PIT = 2,
	GUEST_QUIET = 4,      /* exits are not printed */
	GUEST_SPLIT = 8,      /* LAPICs alone in the kernel */
	GUEST_RING = 16,      /* dirty pages go into rings of a page */
	GUEST_PROTECTED = 32, /* a VM whose private pages nothing encrypts */
};

/* Makes one more flag: these quirks of KVM are switched off before there is a vCPU. */
#define GUEST_WITHOUT(quirks) ((unsigned)(quirks) << 8)

struct guest {
	struct abi *abi;
	unsigned flags;
	int vm, vcpu[GUEST_VCPUS_MAX];
	unsigned vcpus;
	struct kvm_run *run[GUEST_VCPUS_MAX];
	size_t run_bytes;
	uint8_t *memory;
	struct code code; /* of the first vCPU, to be written */
	uint64_t input;   /* the answer to reads of ports and MMIO, byte by byte */
};

/* Makes a guest. bits: the mode in which the first vCPU starts, at GUEST_CODE. */
void guest_open(struct guest *g, struct abi *abi, int bits, unsigned vcpus, unsigned flags);
void guest_close(struct guest *g);
/*
 * Makes a handler that writes its vector to PORT_VECTOR, and sends EOI to the LAPIC (eoi 1) or the PIC (2).
 */
void guest_set_handler(struct guest *g, unsigned vector, int eoi);
/*
 * Returns the place for the code of the vector's handler, for a test that writes its own handler after
 * guest_set_handler().
 */
struct code guest_stub(struct guest *g, unsigned vector);
/* Calls KVM_RUN once and prints the exit. Returns the exit reason, or -1. */
int guest_run_once(struct guest *g, unsigned vcpu);
/* Runs until the guest is done, or leaves for another reason than a port, MMIO or an interruption. */
int guest_run(struct guest *g);
/*
 * Does the same while the second vCPU runs in a thread, whose exits are not printed, because their order is
 * not fixed.
 */
void guest_run_both(struct guest *g);

#endif
