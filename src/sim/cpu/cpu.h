/*
 * cpu: the software x86-64 processor of the software platform, as the rest of the room `sim` sees it. It
 * knows guest memory, bytes on a bus and vectors; nothing of KVM's descriptors, devices or threads. One
 * cpu belongs to one thread; what another thread may touch says so (pending).
 */
#ifndef CPU_H
#define CPU_H

#include <linux/kvm.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "vmm/base.h"

struct cpu;
struct cpu_op;
struct cpu_block;
struct cpu_tlb;
struct cpu_tlb_entry;
struct cpu_code;
struct kvm_gmem;

/* ---- guest memory ---- */

#define CPU_SLOT_READONLY 1u /* writes become MMIO exits, as KVM_MEM_READONLY */

struct cpu_slot {
	uint64_t gpa; /* both in bytes, multiples of 4,096; slots do not overlap */
	uint64_t size;
	uint32_t id;   /* of the slot, for bus.dirtied */
	uint8_t *host; /* size bytes; an access that the VMM's mapping refuses is CPU_EXIT_MISSING */
	struct kvm_gmem
	        *gmem; /* for cpu_bus.view: the guest_memfd behind it (NULL: none), from gmem_offset */
	uint64_t gmem_offset;
	uint32_t flags;
	_Atomic uint64_t
	        *dirty; /* NULL, or one bit a page: set before the first write that follows a flush */
};

/*
 * All of guest memory, sorted by gpa; immutable once published. To change it: give the new map a generation
 * that no map of this VM had before, store it into cpu_bus.map, set CPU_PENDING_FLUSH on every vCPU, and wait
 * until cpu_uses_other_map() is false for each of them. Then the old map can be freed. Maps are told
 * apart by their generations and never by their addresses, because the allocator may give a freed map's
 * address to the next one.
 */
struct cpu_map {
	uint64_t generation; /* at least CPU_MAP_FIRST */
	uint32_t count;
	struct cpu_slot slots[];
};

/* In cpu.map_used, beside the generations of maps. */
#define CPU_MAP_NONE  0 /* the vCPU uses no map */
#define CPU_MAP_ANY   1 /* it is about to take the bus's map, whichever that is */
#define CPU_MAP_FIRST 2

/* ---- what the platform supplies ---- */

/* What cpu_bus.view says of a page. */
enum cpu_view {
	CPU_VIEW_GOOD,
	CPU_VIEW_WRONG_KIND, /* the access is not allowed to be of that kind (CPU_EXIT_FAULT) */
	CPU_VIEW_MISSING,    /* the VMM's memory cannot be accessed (CPU_EXIT_MISSING) */
};

/*
 * One bus per VM, ctx is per vCPU. The callbacks run on the vCPU's thread, inside cpu_run(); they may
 * call cpu_set_deadline(), cpu_icount() and cpu_post() and nothing else of this file. An access
 * that repeats after an exit is not reported twice.
 */
struct cpu_bus {
	_Atomic(const struct cpu_map *) map;
	uint64_t phys_mask; /* valid physical address bits, e.g. (1 << 40) - 1; above: reserved in page tables
	                     */

	/* A device inside the platform answers (true), or the access becomes an exit (false). NULL: none
	 * answers. */
	bool (*io)(void *ctx, bool write, uint16_t port, uint32_t size, void *data);
	bool (*mmio)(void *ctx, bool write, uint64_t gpa, uint32_t size, void *data);
	/* MSRs that are not the processor's own (TSC, APIC, KVM's). false: the guest gets #GP(0). */
	bool (*msr)(void *ctx, bool write, uint32_t index, uint64_t *value);
	/* May the guest access this MSR? NULL: any. */
	bool (*msr_allowed)(void *ctx, bool write, uint32_t index);
	/* Is there an MSR among those that msr() answers that can be read, or written? */
	bool (*msr_known)(void *ctx, bool write, uint32_t index);
	/* A refused access, KVM_MSR_EXIT_REASON_*: true: an exit; false: #GP(0). NULL: #GP(0). */
	bool (*msr_exits)(void *ctx, uint32_t reason);
	/* A page whose bit is not set in slot->dirty is about to be written. NULL: the bit is enough. False:
	 * not now; the instruction is given up with CPU_EXIT_STOPPED. */
	bool (*dirtied)(void *ctx, const struct cpu_slot *slot, uint64_t page);
	uint64_t (*tsc)(void *ctx);
	/* Does KVM write VMMCALL over VMCALL? Else, and with NULL, it is #UD, as on AMD's processors. */
	bool (*fixes_vmcall)(void *ctx);
	uint8_t (*cr8_read)(void *ctx); /* NULL: reads what was written */
	void (*cr8_write)(void *ctx, uint8_t tpr);
	/* Takes the vector of the interrupt that CPU_PENDING_INTR announced; -1 if it went away. */
	int (*interrupt_ack)(void *ctx);

	/* KVM_X86_QUIRK_*: the oddities of KVM that the VMM switched off (KVM_CAP_DISABLE_QUIRKS2). */
	_Atomic uint32_t quirks_off;

	/*
	 * Memory encryption (APM 2, 15.34.5): the C-bit of page tables; 0: none. Then view() gives the page
	 * at gpa as the guest sees it with or without its C-bit (NULL for no memory; slot is NULL then). What
	 * it gave is not used any more after view_end().
	 */
	uint64_t c_bit;
	enum cpu_view (*view)(void *ctx, const struct cpu_slot *slot, uint64_t gpa, bool private, bool write,
	        uint8_t **ret_host);
	void (*view_end)(void *ctx);
};

static inline bool cpu_bus_has_quirk(const struct cpu_bus *bus, uint32_t quirk)
{
	return !(atomic_load_explicit(&bus->quirks_off, memory_order_relaxed) & quirk);
}

/* ---- events: bits of cpu.pending, which any thread may set with cpu_post() ---- */

#define CPU_PENDING_INTR \
	0x01u /* a maskable interrupt waits; the platform clears it when none waits any more */
#define CPU_PENDING_NMI 0x02u /* cpu_post_nmi(); cleared when none waits any more */
#define CPU_PENDING_WINDOW \
	0x04u /* exit with CPU_EXIT_WINDOW when an interrupt could be taken; the caller clears */
#define CPU_PENDING_STOP  0x08u /* exit with CPU_EXIT_STOPPED at the next block end; the caller clears */
#define CPU_PENDING_FLUSH 0x10u /* forget translations and take over bus->map; cleared when done */

/* ---- exits ---- */

enum cpu_exit {
	CPU_EXIT_IO,   /* exit.io: for a read put the data at exit.io.data, then run again */
	CPU_EXIT_MMIO, /* exit.mmio: likewise */
	CPU_EXIT_MSR,  /* exit.msr: for a read put the data there, or set failed for #GP; then run again */
	CPU_EXIT_HLT,  /* rip is behind the HLT; run again once there is something to take */
	CPU_EXIT_SHUTDOWN,  /* triple fault */
	CPU_EXIT_STOPPED,   /* CPU_PENDING_STOP */
	CPU_EXIT_WINDOW,    /* CPU_PENDING_WINDOW */
	CPU_EXIT_DEADLINE,  /* icount reached the deadline, or there was much toil */
	CPU_EXIT_HYPERCALL, /* VMMCALL; rip is behind it, the arguments and the result are in
	                       registers */
	CPU_EXIT_DEBUG,     /* exit.debug: #DB or INT3 that the debugger takes, instead of the guest */
	CPU_EXIT_TRACED,    /* the tracer asked to stop before the instruction at rip */
	CPU_EXIT_FAULT,     /* exit.fault: see cpu_bus.view; run again to try again */
	CPU_EXIT_MISSING,  /* a slot's memory cannot be accessed: the VMM unmapped or protected it. Nothing of
	                      the instruction was done; run again to try again */
	CPU_EXIT_DELIVERY, /* exit.delivery: an event is delivered by way of what is no memory; it still waits
	                    */
	CPU_EXIT_FAILED,   /* exit.failed: nothing sensible to do, such as code outside RAM
	                      (KVM_EXIT_INTERNAL_ERROR) */
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
	uint8_t hypercall_length; /* of the VMMCALL */
	struct {
		bool write, failed;
		uint32_t index, reason; /* KVM_MSR_EXIT_REASON_* */
		uint64_t data;
	} msr;
	struct {
		uint8_t vector;  /* 1: #DB; 3: INT3, rip is at it */
		uint64_t linear; /* rip with the base of CS */
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
		uint8_t size; /* of bytes */
	} failed;
};

/* ---- architectural state ---- */

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
	CPU_SEG_FLAT,    /* internal: base 0 in 64-bit mode; a bad address is #GP */
	CPU_SEG_FLAT_SS, /* likewise; a bad address is #SS */
	CPU_SEG_COUNT
};

/* As in the VMSA (APM 2, 15.5.1): attr bits 0-3 type, 4 S, 5-6 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G. */
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

/* One device access of the instruction that runs; kept so that it can be repeated after an exit. */
struct cpu_access {
	uint64_t data;
};
#define CPU_ACCESS_MAX 80

/* Counted per opcode that is not implemented, for the summary at the end. */
struct cpu_unknown {
	uint32_t key; /* see cpu_unknown_name() */
	uint64_t count;
};
#define CPU_UNKNOWN_MAX 64

/* An interrupt or exception to deliver (KVM_SET_VCPU_EVENTS, KVM_INTERRUPT use it too). */
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
	uint8_t soft_len; /* of CPU_EVENT_SOFT: of the instruction, which lies before rip */
	bool given;       /* from outside: no debugger takes it */
};

/* What a debugger outside the guest wants to see (KVM_SET_GUEST_DEBUG). */
#define CPU_DEBUG_STEP  0x1u /* exit after each instruction */
#define CPU_DEBUG_INT3  0x2u /* exit at INT3 */
#define CPU_DEBUG_BREAK 0x4u /* dr and dr7 take the place of the guest's; every #DB exits */
#define CPU_DEBUG_CALM  0x8u /* no maskable interrupts */

struct cpu_debugger {
	uint32_t ask; /* CPU_DEBUG_* */
	uint64_t dr[4], dr7;
};

struct cpu {
	uint64_t gpr[CPU_GPR_COUNT];
	/* Lazy arithmetic flags (flags.h): read and write with cpu_rflags(), cpu_set_rflags(). */
	uint64_t flag_result, flag_aux;
	uint64_t rflags_rest; /* all flags but CF PF AF ZF SF OF; bit 1 set */

	/* ---- dispatch (run.c, code.c) ---- */
	const struct cpu_op *op, *op_end;
	struct cpu_block *block;
	uint64_t icount, deadline; /* of instructions; icount is exact at block ends, else cpu_icount() */
	uint32_t toil; /* decoding and faults of this cpu_run(), no time of the guest's: not in icount */
	_Atomic uint32_t pending;
	_Atomic uint32_t nmis; /* that wait; what is above cpu_nmi_limit() does not count */
	uint32_t accept;       /* the pending bits that may be acted on now */
	uint32_t mode;         /* enum cpu_mode bits (internal.h), from CR0, EFER, CS, SS */
	uint32_t cpl;
	bool attention; /* something below wants a look before the next block */
	bool shadow;    /* interrupts are held off for one instruction (STI, MOV SS) */
	bool nmi_blocked;
	struct cpu_tlb *tlb;
	struct cpu_tlb_entry *tlb_now; /* of the current privilege */
	struct cpu_code *code;
	uint64_t exec_tag; /* which entries of the jump cache hold (code.c) */

	struct cpu_seg seg[CPU_SEG_COUNT];
	struct cpu_table gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	uint64_t dr[8];
	struct cpu_debugger debugger;
	uint8_t watch_code, watch_data, watch_port; /* a bit for each breakpoint that is armed, by kind */
	uint32_t debug_hits;                        /* data and port breakpoints that this instruction met */
	uint64_t debug_dr6; /* of the #DB in cpu.event, for DR6 when it is delivered */
	uint64_t pdpte[4];  /* PAE: loaded with CR3 */

	struct cpu_x87 x87;
	uint8_t xmm[16][16] __attribute__((aligned(16)));
	uint32_t mxcsr;
	uint32_t mxcsr_mask;

	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, pat;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];

	/* What is delivered before the next instruction. */
	struct cpu_event event;

	/* ---- the instruction that runs ---- */
	struct cpu_access access[CPU_ACCESS_MAX];
	uint32_t accesses, accesses_used;
	uint64_t access_id; /* the icount of the instruction that they belong to */
	bool access_waits;  /* the last one's data is the caller's to give */
	bool bus_locked;
	uint32_t ins_ready, ins_taken;    /* bytes of exit_info.io.data that INS may take, took */
	uint64_t saved_result, saved_aux; /* the flags before saved_op, if it must be given up */
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
	const struct cpu_map *map; /* what this vCPU looks addresses up in; NULL while it uses none */
	_Atomic uint64_t map_used; /* the generation of map, CPU_MAP_NONE or CPU_MAP_ANY */
	uint64_t map_cached;       /* the generation that the TLB's translations came from */
	struct kvm_cpuid_entry2 *cpuid;
	uint32_t cpuid_count;
	uint32_t features; /* enum cpu_feature (internal.h), from cpuid */
	bool amd;          /* its vendor is AMD, or Hygon; else, also without a CPUID, Intel's rules hold */
	bool apic_on;      /* MSR 1B says so, and CPUID repeats it */
	bool mwait_on;     /* MISC_ENABLE says so, and CPUID repeats it if KVM's quirk about it is off */

	/* Called before each instruction if set; true: exit with CPU_EXIT_TRACED. For tracers and a gdb stub.
	 */
	bool (*trace)(void *trace_ctx, struct cpu *cpu);
	void *trace_ctx;

	struct cpu_unknown unknown[CPU_UNKNOWN_MAX];
	uint32_t unknown_count;
};

/* ---- life ---- */

/* In the state after power-on (APM 2, 14.1), CPUID empty. bus and ctx are borrowed for the vCPU's life. */
int cpu_create(struct cpu_bus *bus, void *ctx, struct cpu **ret_cpu, struct err *err) MUST_CHECK;
void cpu_destroy(struct cpu *cpu); /* NULL is allowed */
/* INIT: as power-on, but for the FPU, MSRs of memory types and the TSC (APM 2, 14.1.3). */
void cpu_init(struct cpu *cpu);
/* SIPI: CS:IP = vector << 12 : 0. */
void cpu_sipi(struct cpu *cpu, uint8_t vector);

/*
 * Runs until something wants the caller. deadline is an absolute icount; UINT64_MAX: none. An exit's data
 * must be in place before the next call; setting RIP or the base of CS to something else in between abandons
 * the rest of an access.
 */
enum cpu_exit cpu_run(struct cpu *cpu, uint64_t deadline);
/* From a callback: the deadline of this run moves; it holds at the next block end. */
static inline void cpu_set_deadline(struct cpu *cpu, uint64_t deadline)
{
	cpu->deadline = deadline;
}

/* Instructions executed since creation, the one that runs not included. */
uint64_t cpu_icount(const struct cpu *cpu);

/* Any thread. Holds at the next block end, a few dozen instructions away. */
static inline void cpu_post(struct cpu *cpu, uint32_t bits)
{
	atomic_fetch_or(&cpu->pending, bits);
}

static inline void cpu_unpost(struct cpu *cpu, uint32_t bits)
{
	atomic_fetch_and(&cpu->pending, ~bits);
}

/*
 * How many NMIs may wait: two as long as the vCPU may take one, because it may not get to look before the
 * second comes; one while it handles an NMI. What is beyond is lost. As KVM's process_nmi().
 */
static inline uint32_t cpu_nmi_limit(const struct cpu *cpu)
{
	return cpu->nmi_blocked || cpu->event.kind == CPU_EVENT_NMI ? 1 : 2;
}

static inline uint32_t cpu_nmis(const struct cpu *cpu)
{
	uint32_t waiting = atomic_load(&cpu->nmis), limit = cpu_nmi_limit(cpu);

	return waiting < limit ? waiting : limit;
}

/* The bit is cleared first and set last: it may be set without an NMI, never clear with one. */
static inline void cpu_set_nmis(struct cpu *cpu, uint32_t count)
{
	cpu_unpost(cpu, CPU_PENDING_NMI);
	atomic_store(&cpu->nmis, count);
	if (count)
		cpu_post(cpu, CPU_PENDING_NMI);
}

/* Any thread, but one at a time. */
static inline void cpu_post_nmi(struct cpu *cpu)
{
	if (atomic_load(&cpu->nmis) < UINT8_MAX)
		atomic_fetch_add(&cpu->nmis, 1);
	cpu_post(cpu, CPU_PENDING_NMI);
}

/* May the vCPU be using another map than the one of this generation, which is the bus's now? */
static inline bool cpu_uses_other_map(const struct cpu *cpu, uint64_t generation)
{
	uint64_t used = atomic_load(&cpu->map_used);

	return used != CPU_MAP_NONE && used != generation;
}

/* Could a maskable interrupt be taken now (IF set, no shadow, nothing in delivery)? */
bool cpu_interruptible(const struct cpu *cpu);

/* ---- state, as KVM's structs have it; only outside cpu_run() ---- */

void cpu_get_regs(const struct cpu *cpu, struct kvm_regs *ret_regs);
void cpu_set_regs(struct cpu *cpu, const struct kvm_regs *regs);
/* apic_base and interrupt_bitmap are the platform's: zero on get, not looked at on set. cr8 is cpu->cr8. */
void cpu_get_sregs(const struct cpu *cpu, struct kvm_sregs *ret_sregs);
/* -1 for a combination that KVM refuses with EINVAL (api.rst 4.14; kvm_is_valid_sregs). */
int cpu_set_sregs(struct cpu *cpu, const struct kvm_sregs *sregs) MUST_CHECK;
void cpu_get_fpu(const struct cpu *cpu, struct kvm_fpu *ret_fpu);
void cpu_set_fpu(struct cpu *cpu, const struct kvm_fpu *fpu);
/* The 512 bytes of FXSAVE64, with which an XSAVE area begins. */
void cpu_get_fxsave(const struct cpu *cpu, uint8_t ret_area[static 512]);
int cpu_set_fxsave(struct cpu *cpu, const uint8_t area[static 512]) MUST_CHECK; /* -1: bad MXCSR */
/* DR0 to DR3, DR6, DR7; -1: a bit that KVM refuses (api.rst, KVM_SET_DEBUGREGS). */
void cpu_get_debugregs(const struct cpu *cpu, struct kvm_debugregs *ret_regs);
int cpu_set_debugregs(struct cpu *cpu, const struct kvm_debugregs *regs) MUST_CHECK;
void cpu_set_debugger(struct cpu *cpu, const struct cpu_debugger *debugger);
uint64_t cpu_rflags(const struct cpu *cpu);
void cpu_set_rflags(struct cpu *cpu, uint64_t rflags);
/* The processor's own MSRs; false: not one of them (ask the platform), or a value that raises #GP. */
bool cpu_msr_read(struct cpu *cpu, uint32_t index, uint64_t *ret_value, bool by_host) MUST_CHECK;
bool cpu_msr_write(struct cpu *cpu, uint32_t index, uint64_t value, bool by_host) MUST_CHECK;
/* The indices of the processor's own MSRs, for KVM_GET_MSR_INDEX_LIST. */
const uint32_t *cpu_msr_list(uint32_t *ret_count);
/*
 * Guest-linear to guest-physical, without side effects (KVM_TRANSLATE). As KVM, this reads page tables from
 * the VMM's memory: those that a guest encrypted lead nowhere.
 */
bool cpu_translate(struct cpu *cpu, uint64_t linear, uint64_t *ret_gpa) MUST_CHECK;

/* ---- CPUID ---- */

/* The table that CPUID answers from; copied. Features that it offers decide what is #UD. -1: more than 256.
 */
int cpu_set_cpuid(
        struct cpu *cpu, const struct kvm_cpuid_entry2 *entries, uint32_t count, struct err *err) MUST_CHECK;
/* Brings what follows the vCPU's state up to date in an entry of its table, as KVM's
 * kvm_update_cpuid_runtime(). */
void cpu_cpuid_now(const struct cpu *cpu, struct kvm_cpuid_entry2 *entry);
/* The bits that a physical address may have by this vCPU's CPUID; what MTRRs and the APIC's base go by. */
uint64_t cpu_phys_mask(const struct cpu *cpu);
/*
 * What this processor can offer, for KVM_GET_SUPPORTED_CPUID: fills at most *count entries, sets *count to
 * what there are. Bits outside are not implemented. Does not depend on the host but for instructions it
 * computes with.
 */
void cpu_supported_cpuid(struct kvm_cpuid_entry2 *entries, uint32_t *count);

/* ---- what was met and is not implemented ---- */

/* "0f 38 f8 /2": map and opcode, mandatory prefix, /reg of groups. Returns text. */
const char *cpu_unknown_name(uint32_t key, char text[static 32]);

#endif
