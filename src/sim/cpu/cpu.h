/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu: the software x86-64 processor of the software platform, as the rest of the platform sees it. It knows
 * guest memory, bytes on a bus and vectors; nothing of KVM's descriptors, devices or threads. One struct cpu
 * belongs to one thread; what another thread may touch says so (pending).
 */
#ifndef CPU_H
#define CPU_H

#include "bus.h"
#include "exit.h"
#include "state.h"
#include "vmm/base.h"

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
