/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: the architectural state of a processor, and the state that the simulation keeps beside it.
 */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <linux/kvm.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "exit.h"

struct cpu_block;
struct cpu_code;
struct cpu_native;
struct cpu_op;
struct cpu_tlb;
struct cpu_tlb_entry;

enum cpu_reg { CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI };
enum cpu_seg_index {
	CPU_ES,
	CPU_CS,
	CPU_SS,
	CPU_DS,
	CPU_FS,
	CPU_GS,
	CPU_LDTR,
	CPU_TR,
	CPU_SEG_FLAT,    /* internal: base 0 in 64-bit mode; a bad address raises #GP */
	CPU_SEG_FLAT_SS, /* the same, but a bad address raises #SS */
	CPU_SEG_COUNT
};

/* attr is as in the VMSA (APM 2, 15.5.1): bits 0-3 type, 4 S, 5-6 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G. */
struct cpu_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, already scaled by G */
	uint16_t selector;
	uint16_t attr;
};

struct cpu_table { /* GDTR, IDTR */
	uint64_t base;
	uint16_t limit;
};

struct cpu_x87 {
	uint16_t fcw, fsw, fop;
	uint8_t ftw; /* abridged: bit i set = physical register i holds a value */
	uint64_t fip, fdp;
	uint8_t st[8][16]; /* ST(i) at [(top + i) & 7]; 10 bytes used */
};

#define CPU_GPR_ZERO  16 /* always 0: the missing base or index of an address */
#define CPU_GPR_RIP   17 /* of the block that runs; else of the next instruction */
#define CPU_GPR_COUNT 18

/*
 * One device access of the instruction that runs, kept so that the instruction can be repeated after an
 * exit.
 */
struct cpu_access {
	uint64_t data;
};
#define CPU_ACCESS_MAX 80

/* How often an opcode was met that is not implemented, for the summary at the end. */
struct cpu_unknown {
	uint32_t key; /* see cpu_unknown_name() */
	uint64_t count;
};
#define CPU_UNKNOWN_MAX 64

/* An interrupt or exception to deliver (KVM_SET_VCPU_EVENTS and KVM_INTERRUPT set it, too). */
enum cpu_event_kind {
	CPU_EVENT_NONE,
	CPU_EVENT_INTR, /* external */
	CPU_EVENT_NMI,
	CPU_EVENT_EXCEPTION, /* a fault or trap; rip is what the handler returns to */
	CPU_EVENT_SOFT,      /* INT n, INT3, INTO: gate privilege is checked */
};

struct cpu_event {
	enum cpu_event_kind kind;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint8_t soft_len; /* of CPU_EVENT_SOFT: the length of the instruction, which lies before rip */
	bool given;       /* the event came from outside: no debugger takes it */
};

/* The events that a debugger outside the guest wants to see (KVM_SET_GUEST_DEBUG). */
#define CPU_DEBUG_STEP  0x1u /* exit after each instruction */
#define CPU_DEBUG_INT3  0x2u /* exit at INT3 */
#define CPU_DEBUG_BREAK 0x4u /* dr and dr7 replace the guest's; every #DB exits */
#define CPU_DEBUG_CALM  0x8u /* no maskable interrupts */

struct cpu_debugger {
	uint32_t ask; /* CPU_DEBUG_* */
	uint64_t dr[4], dr7;
};

/* What raises #VC, for cpu_set_vc(). */
#define CPU_VC_ON  0x1u /* what every SEV-ES guest has to ask its hypervisor for */
#define CPU_VC_DR7 0x2u /* #DB and MOV from and to DR7, which KVM does not intercept with DebugSwap */

/* Behind the sixteen registers are two that VEX instructions compute in (vex_lane.c). */
#define CPU_XMM_A     16
#define CPU_XMM_B     17
#define CPU_XMM_COUNT 18

struct cpu {
	uint64_t gpr[CPU_GPR_COUNT];
	/* Lazy arithmetic flags (flags.h): read and write with cpu_rflags(), cpu_set_rflags(). */
	uint64_t flag_result, flag_aux;
	uint64_t rflags_rest; /* all flags but CF PF AF ZF SF OF; bit 1 set */

	/* ---- dispatch (run.c, code.c) ---- */
	const struct cpu_op *op, *op_end;
	struct cpu_block *block;
	uint64_t icount, deadline; /* in instructions; icount is exact at block ends, else use cpu_icount() */
	/* Decoding and faults of this cpu_run(): no time of the guest, so icount does not include them. */
	uint32_t toil;
	_Atomic uint32_t pending;
	_Atomic uint32_t nmis; /* that wait; those above cpu_nmi_limit() do not count */
	uint32_t accept;       /* the pending bits that may be acted on now */
	uint32_t mode;         /* enum cpu_mode bits (mode.h), from CR0, EFER, CS, SS */
	uint32_t cpl;
	uint32_t vc;    /* CPU_VC_*; 0: nothing raises #VC */
	bool attention; /* look_around() must run before the next block */
	bool shadow;    /* interrupts are held off for one instruction (STI, MOV SS) */
	bool nmi_blocked;
	struct cpu_tlb *tlb;
	struct cpu_tlb_entry *tlb_now; /* the entries for the current privilege */
	struct cpu_code *code;
	const struct cpu_native *native; /* a translator (native.h), or NULL */
	uint64_t exec_tag;               /* the tag of the entries of the jump cache that hold (code.c) */

	struct cpu_seg seg[CPU_SEG_COUNT];
	struct cpu_table gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	uint64_t dr[8];
	struct cpu_debugger debugger;
	uint8_t watch_code, watch_data, watch_port; /* a bit for each breakpoint that is armed, by kind */
	uint32_t debug_hits;                        /* data and port breakpoints that this instruction met */
	uint64_t debug_dr6;                         /* of the #DB in cpu.event; DR6 gets it at the delivery */
	uint64_t pdpte[4];                          /* PAE: loaded with CR3 */

	struct cpu_x87 x87;
	uint8_t xmm[CPU_XMM_COUNT][16] __attribute__((aligned(16)));
	uint8_t ymm_high[16][16]; /* the upper halves of the YMM registers */
	uint32_t mxcsr;
	uint32_t mxcsr_mask;
	bool in_vex;   /* an SSE instruction runs as part of one with VEX: it checks nothing */
	bool in_lanes; /* and runs for each lane: the exceptions are put together in */
	uint32_t lane_flags;
	bool any_alignment; /* the instruction does not check the alignment of its operand */

	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, pat;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];

	/* The event that is delivered before the next instruction. */
	struct cpu_event event;

	/* ---- the instruction that runs ---- */
	struct cpu_access access[CPU_ACCESS_MAX];
	uint32_t accesses, accesses_used;
	uint64_t access_id; /* the icount of the instruction that made the accesses */
	bool access_waits;  /* the caller has yet to give the data of the last one */
	bool bus_locked;
	uint32_t ins_ready, ins_taken;    /* bytes of exit_info.io.data that INS may take, and has taken */
	uint64_t saved_result, saved_aux; /* the flags before saved_op, in case it is given up */
	const struct cpu_op *saved_op;
	uint8_t bounce[64] __attribute__((aligned(64)));
	uint64_t bounce_linear;
	uint32_t bounce_size, bounce_seg;
	int exit; /* -1, or the exit to leave with at the block's end */
	jmp_buf *unwind;
	struct cpu_exit_info exit_info;

	/* ---- the platform ---- */
	struct cpu_bus *bus;
	void *ctx;
	const struct cpu_map *map; /* the map that this vCPU uses; NULL: it uses none */
	_Atomic uint64_t map_used; /* the generation of map, CPU_MAP_NONE or CPU_MAP_ANY */
	uint64_t map_cached;       /* the generation that the TLB's translations came from */
	struct kvm_cpuid_entry2 *cpuid;
	uint32_t cpuid_count;
	uint64_t features; /* enum cpu_feature (mode.h), from cpuid */
	bool amd;          /* the vendor is AMD or Hygon; else, and without a CPUID, Intel's rules hold */
	bool apic_on;      /* MSR 1B says so, and CPUID repeats it */
	bool cpuid_faults; /* CPUID raises #GP in applications */
	bool mwait_on;     /* MISC_ENABLE says so; CPUID repeats it if KVM's quirk about it is off */

	struct cpu_unknown unknown[CPU_UNKNOWN_MAX];
	uint32_t unknown_count;
};

#endif
