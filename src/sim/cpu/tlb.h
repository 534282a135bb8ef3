/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlb: the software TLB (tlb.c). mmu.c fills it, and shows how an entry is used.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "cpu.h"
#include "types.h"

#define TLB_ENTRIES       512u
#define TLB_NONE          1u /* in a tag: it matches no address of a page */
#define GPA_NO_RAM        1u
#define GPA_READONLY      2u
#define GPA_SHIFT(n)      ((u64)(n) << 2) /* log2 of the size of the page in the guest's tables */
#define GPA_SHIFT_OF(gpa) ((gpa) >> 2 & 31)
#define TLB_SLOW          2u /* in a tag: translated, but not accessed directly (mmu.c says why) */

/* TLB_USER_ALIGNED is for CPL 3 with alignment checks: no page in it is accessed directly. */
enum tlb_set { TLB_SUPERVISOR, TLB_USER, TLB_SUPERVISOR_AC, TLB_USER_ALIGNED, TLB_SETS };

struct cpu_tlb_entry {
	u64 read, write;
	uintptr_t host; /* plus the linear address: the host address */
	u64 gpa; /* of the page; its low bits say what is there (GPA_NO_RAM, GPA_READONLY, GPA_SHIFT) */
};

enum access { ACCESS_READ = 0, ACCESS_WRITE = 2, ACCESS_EXEC = 16 }; /* bits as in #PF's error code */

#define EXEC_ENTRIES 128u

struct cpu_exec_entry {
	u64 tag;        /* page, bit 0: user, bit 1: empty */
	u64 gpa;        /* of the page; its low bits: GPA_SHIFT */
	const u8 *host; /* NULL: no RAM */
};

struct cpu_tlb {
	struct cpu_tlb_entry set[TLB_SETS][TLB_ENTRIES];
	struct cpu_exec_entry exec[EXEC_ENTRIES];
	bool used[TLB_SETS];
	bool large[TLB_SETS]; /* entries may be pieces of large pages */
	u64 shared; /* with memory encryption: a bit for each 64th page; pages used without the C-bit have it
	             */
};

/* Forgets all translations. */
void cpu_tlb_flush(struct cpu *cpu);
/* Forgets the page of linear, and all of it if it is a large page (INVLPG). */
void cpu_tlb_flush_page(struct cpu *cpu, u64 linear);
/* Chooses the set of entries by CPL, CR0.AM, CR4.SMAP and RFLAGS.AC. */
void cpu_tlb_select(struct cpu *cpu);
/* Makes writes to the page slow wherever it is cached, because code was decoded from it. */
void cpu_tlb_protect(struct cpu *cpu, u64 gpa);
/*
 * Says that the page at gpa is now at host for one of its views, with the C-bit (private) or without it. The
 * translations for the other view are forgotten, so that the next access by it asks the bus again.
 */
void cpu_tlb_take_view(struct cpu *cpu, u64 gpa, bool private, const u8 *host);
/*
 * Returns the host address of code at linear, or NULL if no RAM is there, and sets *ret_gpa. Raises #PF and
 * #GP as the fetch would.
 */
const u8 *cpu_exec_translate(struct cpu *cpu, u64 linear, u64 *ret_gpa);

#endif
