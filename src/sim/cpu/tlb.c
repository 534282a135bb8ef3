/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb: forgets entries of the software TLB, and chooses the set of entries that the present privilege uses.
 * mmu.c fills it. Runs on the vCPU's thread.
 */
#include "internal.h"

void cpu_tlb_flush(struct cpu *cpu)
{
	for (unsigned set = 0; set < TLB_SETS; set++) {
		if (!cpu->tlb->used[set])
			continue;
		for (unsigned i = 0; i < TLB_ENTRIES; i++)
			cpu->tlb->set[set][i] = (struct cpu_tlb_entry){.read = TLB_NONE, .write = TLB_NONE};
		cpu->tlb->used[set] = cpu->tlb->large[set] = false;
	}
	for (unsigned i = 0; i < EXEC_ENTRIES; i++)
		cpu->tlb->exec[i].tag = 2;
	cpu->tlb->shared = 0;
	cpu_code_forget_jumps(cpu);
}

/* Returns whether linear is in the page of an entry, or in the large page of which the entry is a piece. */
static bool holds(u64 tag, u64 gpa, u64 linear)
{
	return (tag ^ linear) >> GPA_SHIFT_OF(gpa) == 0;
}

static void set_flush_page(struct cpu_tlb *tlb, unsigned set, u64 linear)
{
	unsigned own = (linear >> 12) % TLB_ENTRIES;

	/* The pieces of a large page may be anywhere in the TLB. */
	for (unsigned i = tlb->large[set] ? 0 : own; i < (tlb->large[set] ? TLB_ENTRIES : own + 1); i++) {
		struct cpu_tlb_entry *e = &tlb->set[set][i];

		if (holds(e->read, e->gpa, linear))
			*e = (struct cpu_tlb_entry){.read = TLB_NONE, .write = TLB_NONE};
	}
}

void cpu_tlb_flush_page(struct cpu *cpu, u64 linear)
{
	for (unsigned set = 0; set < TLB_SETS; set++)
		if (cpu->tlb->used[set])
			set_flush_page(cpu->tlb, set, linear);
	for (unsigned i = 0; i < EXEC_ENTRIES; i++)
		if (holds(cpu->tlb->exec[i].tag, cpu->tlb->exec[i].gpa, linear))
			cpu->tlb->exec[i].tag = 2;
	cpu_code_forget_jumps(cpu);
}

void cpu_tlb_select(struct cpu *cpu)
{
	bool ac = cpu->rflags_rest & FLAG_AC;
	enum tlb_set set;

	if (cpu->cpl == 3)
		set = ac && cpu->cr0 & CR0_AM ? TLB_USER_ALIGNED : TLB_USER;
	else
		set = cpu->cr4 & CR4_SMAP && !ac ? TLB_SUPERVISOR : TLB_SUPERVISOR_AC;
	cpu->tlb_now = cpu->tlb->set[set];
}

void cpu_tlb_forget_writes(struct cpu *cpu)
{
	for (unsigned set = 0; set < TLB_SETS; set++)
		for (unsigned i = 0; cpu->tlb->used[set] && i < TLB_ENTRIES; i++)
			cpu->tlb->set[set][i].write = TLB_NONE;
}

/* Forgets translations of a page that lead to another place than host. */
static void forget_others(struct cpu *cpu, u64 gpa, const u8 *host)
{
	for (unsigned set = 0; set < TLB_SETS; set++)
		for (unsigned i = 0; cpu->tlb->used[set] && i < TLB_ENTRIES; i++) {
			struct cpu_tlb_entry *e = &cpu->tlb->set[set][i];

			if (PAGE_OF(e->gpa) == gpa && !(e->read & TLB_NONE) &&
			        e->host + PAGE_OF(e->read) != (uintptr_t)host)
				*e = (struct cpu_tlb_entry){.read = TLB_NONE, .write = TLB_NONE};
		}
	for (unsigned i = 0; i < EXEC_ENTRIES; i++) {
		struct cpu_exec_entry *e = &cpu->tlb->exec[i];

		if (PAGE_OF(e->gpa) == gpa && e->host != host)
			e->tag = 2;
	}
}

void cpu_tlb_take_view(struct cpu *cpu, u64 gpa, bool private, const u8 *host)
{
	u64 bit = (u64)1 << (gpa >> 12) % 64;

	if (private && !(cpu->tlb->shared & bit))
		return;
	if (!private)
		cpu->tlb->shared |= bit;
	forget_others(cpu, gpa, host);
}

void cpu_tlb_protect(struct cpu *cpu, u64 gpa)
{
	for (unsigned set = 0; set < TLB_SETS; set++)
		for (unsigned i = 0; cpu->tlb->used[set] && i < TLB_ENTRIES; i++) {
			struct cpu_tlb_entry *e = &cpu->tlb->set[set][i];

			if (PAGE_OF(e->gpa) == gpa && !(e->write & TLB_NONE))
				e->write |= TLB_SLOW;
		}
}
