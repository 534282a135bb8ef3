/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu: the software x86-64 processor of the software platform, as the rest of the platform sees it. It knows
 * guest memory, bytes on a bus and vectors. It knows nothing of KVM's descriptors, devices or threads. One
 * struct cpu belongs to one thread; other threads may call only the functions that say so.
 */
#ifndef CPU_H
#define CPU_H

#include "bus.h"
#include "exit.h"
#include "state.h"
#include "vmm/base.h"

/* Does what sim_instruction_length() does. */
unsigned cpu_length(const uint8_t *code, unsigned size, bool *ret_known);

/* ---- life ---- */

/*
 * Creates a processor in the state after power-on (APM 2, 14.1), with an empty CPUID table. The processor
 * borrows bus and ctx as long as it lives.
 */
int cpu_create(struct cpu_bus *bus, void *ctx, struct cpu **ret_cpu, struct err *err) MUST_CHECK;
void cpu_destroy(struct cpu *cpu); /* NULL is allowed */
/*
 * Resets the processor by INIT: as at power-on, but the FPU, the MSRs of memory types and the TSC stay (APM
 * 2, 14.1.3).
 */
void cpu_init(struct cpu *cpu);
/* Performs a SIPI: sets CS:IP to vector << 12 : 0. */
void cpu_sipi(struct cpu *cpu, uint8_t vector);

/*
 * Runs until something needs the caller. deadline is an absolute icount; UINT64_MAX: there is none. The
 * caller must put the data of an exit in place before the next call. If it sets RIP or the base of CS to
 * another value in between, the rest of the access is abandoned.
 */
enum cpu_exit cpu_run(struct cpu *cpu, uint64_t deadline);
/* Moves the deadline of this run, from a callback. The new deadline holds from the next block end on. */
static inline void cpu_set_deadline(struct cpu *cpu, uint64_t deadline)
{
	cpu->deadline = deadline;
}

/* Returns the number of instructions executed since creation, without the one that runs. */
uint64_t cpu_icount(const struct cpu *cpu);

/* Posts events, from any thread. They take effect at the next block end, a few dozen instructions away. */
static inline void cpu_post(struct cpu *cpu, uint32_t bits)
{
	atomic_fetch_or(&cpu->pending, bits);
}

static inline void cpu_unpost(struct cpu *cpu, uint32_t bits)
{
	atomic_fetch_and(&cpu->pending, ~bits);
}

/*
 * Returns how many NMIs may wait. Two may wait while the vCPU can take one, because the second may come
 * before the vCPU looks; one may wait while it handles an NMI. More are lost, as in KVM's process_nmi().
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

/*
 * Sets the number of NMIs that wait. The bit is cleared first and set last, so that it may be set without an
 * NMI, but is never clear with one.
 */
static inline void cpu_set_nmis(struct cpu *cpu, uint32_t count)
{
	cpu_unpost(cpu, CPU_PENDING_NMI);
	atomic_store(&cpu->nmis, count);
	if (count)
		cpu_post(cpu, CPU_PENDING_NMI);
}

/* Posts an NMI, from any thread, but from one thread at a time. */
static inline void cpu_post_nmi(struct cpu *cpu)
{
	if (atomic_load(&cpu->nmis) < UINT8_MAX)
		atomic_fetch_add(&cpu->nmis, 1);
	cpu_post(cpu, CPU_PENDING_NMI);
}

/* Returns whether the vCPU may be using another map than the bus's present one, which has this generation. */
static inline bool cpu_uses_other_map(const struct cpu *cpu, uint64_t generation)
{
	uint64_t used = atomic_load(&cpu->map_used);

	return used != CPU_MAP_NONE && used != generation;
}

/*
 * Says which events raise #VC in the guest, in place of an exit or a question to the bus: none, or CPU_VC_ON
 * with further CPU_VC_* bits. A reset and an INIT leave this alone. Only outside cpu_run() (APM 2, 15.35.4
 * and 15.35.5).
 *
 * While #VC is on, VMGEXIT leaves with CPU_EXIT_VMGEXIT at any CPL, and IRET does not end the blocking of
 * NMIs, because KVM cannot intercept it: the caller ends it with cpu_end_nmi_blocking() when the guest says
 * that it has handled the NMI.
 */
void cpu_set_vc(struct cpu *cpu, uint32_t vc);
/* Lets the next NMI in. */
void cpu_end_nmi_blocking(struct cpu *cpu);

/* Has the processor ask the bus again before it writes to a page (cpu_bus.view). Only outside cpu_run(). */
void cpu_tlb_forget_writes(struct cpu *cpu);

/* Returns whether a maskable interrupt could be taken now: IF is set, no shadow, nothing in delivery. */
bool cpu_interruptible(const struct cpu *cpu);

/* ---- state, as KVM's structs have it; only outside cpu_run() ---- */

void cpu_get_regs(const struct cpu *cpu, struct kvm_regs *ret_regs);
void cpu_set_regs(struct cpu *cpu, const struct kvm_regs *regs);
/*
 * Gets the registers. apic_base and interrupt_bitmap belong to the platform: they are zero here, and
 * cpu_set_sregs() ignores them. cr8 is cpu->cr8.
 */
void cpu_get_sregs(const struct cpu *cpu, struct kvm_sregs *ret_sregs);
/* Returns false for a combination that KVM refuses with EINVAL (api.rst 4.14; kvm_is_valid_sregs). */
bool cpu_sregs_are_valid(const struct cpu *cpu, const struct kvm_sregs *sregs);
/* Returns -1 if the registers are not valid. */
int cpu_set_sregs(struct cpu *cpu, const struct kvm_sregs *sregs) MUST_CHECK;
void cpu_get_fpu(const struct cpu *cpu, struct kvm_fpu *ret_fpu);
void cpu_set_fpu(struct cpu *cpu, const struct kvm_fpu *fpu);
/* Get and set the 512 bytes of FXSAVE64, with which an XSAVE area begins. */
void cpu_get_fxsave(const struct cpu *cpu, uint8_t ret_area[static 512]);
int cpu_set_fxsave(struct cpu *cpu, const uint8_t area[static 512]) MUST_CHECK; /* -1: bad MXCSR */
/* Get and set the upper halves of the YMM registers, which XSAVE has behind its header. */
#define CPU_YMM_BYTES 256
void cpu_get_ymm(const struct cpu *cpu, uint8_t ret_high[static CPU_YMM_BYTES]);
void cpu_set_ymm(struct cpu *cpu, const uint8_t high[static CPU_YMM_BYTES]);
/* Get and set DR0 to DR3, DR6 and DR7. -1: a bit is set that KVM refuses (api.rst, KVM_SET_DEBUGREGS). */
void cpu_get_debugregs(const struct cpu *cpu, struct kvm_debugregs *ret_regs);
int cpu_set_debugregs(struct cpu *cpu, const struct kvm_debugregs *regs) MUST_CHECK;
void cpu_set_debugger(struct cpu *cpu, const struct cpu_debugger *debugger);
uint64_t cpu_rflags(const struct cpu *cpu);
void cpu_set_rflags(struct cpu *cpu, uint64_t rflags);
/*
 * Read and write the processor's own MSRs. False: the MSR is not one of them (ask the platform), or the
 * value raises #GP.
 */
bool cpu_msr_read(struct cpu *cpu, uint32_t index, uint64_t *ret_value, bool by_host) MUST_CHECK;
bool cpu_msr_write(struct cpu *cpu, uint32_t index, uint64_t value, bool by_host) MUST_CHECK;
/*
 * Makes the guest's access to an MSR that it may access, the processor's own or the platform's. False: the
 * guest gets #GP, or an exit for *ret_reason (KVM_MSR_EXIT_REASON_*).
 */
bool cpu_msr_answer(
        struct cpu *cpu, bool write, uint32_t index, uint64_t *value, uint32_t *ret_reason) MUST_CHECK;
/* Returns the indices of the processor's own MSRs, for KVM_GET_MSR_INDEX_LIST. */
const uint32_t *cpu_msr_list(uint32_t *ret_count);
/*
 * Translates a guest-linear to a guest-physical address, without side effects (KVM_TRANSLATE). Like KVM, it
 * reads page tables from the VMM's memory, so tables that the guest encrypted lead nowhere.
 */
bool cpu_translate(struct cpu *cpu, uint64_t linear, uint64_t *ret_gpa) MUST_CHECK;

/* ---- CPUID ---- */

/*
 * Sets the table from which CPUID answers; the entries are copied. The features that the table offers decide
 * which instructions raise #UD. -1: there are more than 256 entries, or no memory for them.
 */
int cpu_set_cpuid(
        struct cpu *cpu, const struct kvm_cpuid_entry2 *entries, uint32_t count, struct err *err) MUST_CHECK;
/* Sets ret_regs to the answer of CPUID: EAX, EBX, ECX, EDX. */
void cpu_cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t ret_regs[static 4]);
/* Updates what follows the vCPU's state in a table's entry, as KVM's kvm_update_cpuid_runtime() does. */
void cpu_cpuid_now(const struct cpu *cpu, struct kvm_cpuid_entry2 *entry);
/* Returns the bits that a physical address may have by this vCPU's CPUID, for MTRRs and the APIC's base. */
uint64_t cpu_phys_mask(const struct cpu *cpu);
/*
 * Lists the features that this processor can offer, for KVM_GET_SUPPORTED_CPUID. Fills at most *count
 * entries, and sets *count to the number that exists. Features that are not listed are not implemented. The
 * list depends on the host only for instructions with which the processor computes.
 */
void cpu_supported_cpuid(struct kvm_cpuid_entry2 *entries, uint32_t *count);

/* ---- instructions that are not implemented ---- */

/*
 * Writes the name of an opcode, such as "66 0f 38 f8 /2 mod 1", to text: mandatory prefix, map and opcode,
 * the /reg and mod of ModRM. Returns text.
 */
const char *cpu_unknown_name(uint32_t key, char text[static 32]);

#endif
