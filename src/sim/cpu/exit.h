/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit: the events that may be posted to the processor, and the reasons for which cpu_run() returns.
 */
#ifndef CPU_EXIT_H
#define CPU_EXIT_H

#include <stdbool.h>
#include <stdint.h>

/* ---- events: bits of cpu.pending, which any thread may set with cpu_post() ---- */

/* A maskable interrupt waits. The platform clears the bit when none waits any more. */
#define CPU_PENDING_INTR 0x01u
/* An NMI waits; see cpu_post_nmi(). The processor clears the bit when none waits any more. */
#define CPU_PENDING_NMI 0x02u
/*
 * The processor must exit with CPU_EXIT_WINDOW when an interrupt could be taken. The caller clears the bit.
 */
#define CPU_PENDING_WINDOW 0x04u
/* The processor must exit with CPU_EXIT_STOPPED at the next block end. The caller clears the bit. */
#define CPU_PENDING_STOP 0x08u
/* The processor must forget translations and take bus->map. It clears the bit then. */
#define CPU_PENDING_FLUSH 0x10u

/* ---- exits ---- */

enum cpu_exit {
	CPU_EXIT_IO,        /* exit.io: for a read put the data at exit.io.data, then run again */
	CPU_EXIT_MMIO,      /* exit.mmio: likewise */
	CPU_EXIT_MSR,       /* exit.msr: for a read put the data there, or set failed for #GP; run again */
	CPU_EXIT_HLT,       /* rip is behind the HLT; run again once there is something to take */
	CPU_EXIT_SHUTDOWN,  /* triple fault */
	CPU_EXIT_STOPPED,   /* CPU_PENDING_STOP */
	CPU_EXIT_WINDOW,    /* CPU_PENDING_WINDOW */
	CPU_EXIT_DEADLINE,  /* icount reached the deadline, or there was much toil */
	CPU_EXIT_HYPERCALL, /* VMMCALL: rip is behind it; arguments and result are in registers */
	CPU_EXIT_VMGEXIT,   /* VMGEXIT, only with cpu_set_vc(): rip is behind it */
	CPU_EXIT_DEBUG,     /* exit.debug: #DB or INT3 that the debugger takes instead of the guest */
	CPU_EXIT_FAULT,     /* exit.fault: see cpu_bus.view; run again to try again */
	/*
	 * A slot's memory cannot be accessed: the VMM unmapped or protected it. Nothing of the instruction
	 * was done; run again to try again.
	 */
	CPU_EXIT_MISSING,
	/*
	 * exit.delivery: the delivery of an event accesses an address without memory; the event still waits.
	 */
	CPU_EXIT_DELIVERY,
	/* exit.failed: the processor cannot go on, as with code outside RAM (KVM_EXIT_INTERNAL_ERROR). */
	CPU_EXIT_FAILED,
};

#define CPU_IO_BYTES_MAX 1024

struct cpu_exit_info {
	struct {
		bool write;
		uint16_t port;
		uint8_t size;   /* 1, 2 or 4 */
		uint32_t count; /* accesses of that size, all at data; more than 1 only for INS */
		uint8_t data[CPU_IO_BYTES_MAX];
	} io;
	struct {
		bool write;
		uint8_t size; /* 1 to 8; larger and page-crossing accesses come in parts */
		uint64_t gpa;
		uint8_t data[8];
	} mmio;
	uint8_t hypercall_length; /* the length of the VMMCALL */
	struct {
		bool write, failed;
		uint32_t index, reason; /* KVM_MSR_EXIT_REASON_* */
		uint64_t data;
	} msr;
	struct {
		uint8_t vector;  /* 1: #DB; 3: INT3, rip is at it */
		uint64_t linear; /* rip plus the base of CS */
		uint64_t dr6, dr7;
	} debug;
	struct {
		uint64_t gpa;
		bool private;
	} fault;
	struct {
		bool write;
		uint64_t gpa;
	} delivery;
	struct {
		const char *why; /* static text */
		uint64_t gpa;    /* or rip */
		uint8_t bytes[15];
		uint8_t size; /* how many of bytes count */
	} failed;
};

#endif
