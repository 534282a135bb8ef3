/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmu: reads and writes the bytes at a linear address of the guest when the fast path of the software TLB
 * (access.h) cannot. Runs on the vCPU's thread.
 *
 *              entry = tlb_now[bits 12 to 20 of the linear address]
 *
 *    linear ---> entry.read or entry.write, the tag: 63             12 11        2  1  0
 *                                                   | linear page    |    0     | S  N |
 *      |          is the tag the page of the access's last byte?
 *      |
 *      +-- yes ---> entry.host + linear: one load or store of the host. This is the fast path.
 *      +-- no ----> the functions of this file, for one of these reasons:
 *
 *    N, or another page    translate() walks the page tables, and the entry is filled: "a miss"
 *    S (TLB_SLOW)          the page is translated, but each access must come here, because ...
 *                            no memory is there, or it is read-only: a device answers, or an exit
 *                            it holds code: a write must drop its blocks (code.c)
 *                            alignment is checked, or a breakpoint is armed
 *    two pages             each part by itself, after both pages were found to be there
 *
 * A miss for reading does not fill the part of an entry that is for writing where the first write must be
 * noticed: with a dirty log, and with memory encryption. There is a set of entries for each way in which
 * privilege is checked (enum tlb_set), so that a change of CPL costs nothing; cpu.tlb_now is the set in use.
 */
#include <pthread.h>

#include "debug.h"
#include "vc.h"
#include "walk.h"

/*
 * The mutex that LOCK holds where the host has no atomic operation: for devices, and for operands that are
 * misaligned or cross pages.
 */
static pthread_mutex_t bus_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- translations ---- */

bool cpu_alignment_checked(const struct cpu *cpu)
{
	return cpu->tlb_now == cpu->tlb->set[TLB_USER_ALIGNED];
}

/* Raises #AC at CPL 3 if CR0.AM and RFLAGS.AC ask for it; 10 bytes count as 8 (APM 2, 8.2.18). */
static void check_alignment(struct cpu *cpu, u64 linear, unsigned size)
{
	unsigned unit = size == 10 ? 8 : size;

	if (cpu_alignment_checked(cpu) && !cpu->any_alignment && unit <= 32 && !(unit & (unit - 1)) &&
	        linear & (unit - 1) & 15) {
		vc_intercept(cpu, VC_AC);
		cpu_raise_error(cpu, EXC_AC, 0);
	}
}

static void check_canonical(struct cpu *cpu, u64 linear, unsigned seg)
{
	if (!is_canonical(linear))
		cpu_raise_error(cpu, seg == CPU_SEG_FLAT_SS || seg == CPU_SS ? EXC_SS : EXC_GP, 0);
}

static _Noreturn void leave_fault(struct cpu *cpu, u64 gpa, bool private)
{
	cpu->exit_info.fault.gpa = gpa;
	cpu->exit_info.fault.private = private;
	cpu_leave(cpu, CPU_EXIT_FAULT);
}

/* Gives the instruction up unless the bus's answer about the page at gpa is good. */
static void check_view(struct cpu *cpu, enum cpu_view view, u64 gpa, bool private)
{
	switch (view) {
	case CPU_VIEW_GOOD: return;
	case CPU_VIEW_MISSING: cpu_leave(cpu, CPU_EXIT_MISSING);
	case CPU_VIEW_REFUSED: cpu_leave(cpu, CPU_EXIT_STOPPED);
	case CPU_VIEW_NOT_VALIDATED: cpu_raise_error(cpu, EXC_VC, VC_NOT_VALIDATED);
	default: leave_fault(cpu, gpa, private);
	}
}

static struct walk translate(struct cpu *cpu, u64 linear, enum access access)
{
	struct walk_query query = {.access = access,
	        .user = access == ACCESS_EXEC
	                        ? cpu->cpl == 3
	                        : cpu->tlb_now == cpu->tlb->set[TLB_USER] || cpu_alignment_checked(cpu),
	        .smap = cpu->cr4 & CR4_SMAP && cpu->tlb_now == cpu->tlb->set[TLB_SUPERVISOR]};
	struct walk walk;

	if (!cpu_walk(cpu, linear, &query, &walk)) {
		check_view(cpu, walk.table, walk.gpa, true);
		if (walk.no_table)
			vc_intercept(cpu, VC_MMIO);
		cpu_raise_page_fault(cpu, linear, walk.error);
	}
	return walk;
}

/* Returns the host address of the page that the walk led to; NULL: there is no memory. */
static u8 *page_host(
        struct cpu *cpu, const struct cpu_slot *slot, const struct walk *walk, enum access access)
{
	u8 *host;

	if (likely(!cpu->bus->viewed))
		return slot ? slot->host + (walk->gpa - slot->gpa) : NULL;
	check_view(cpu,
	        cpu->bus->view(cpu->ctx, slot, walk->gpa, walk->private, access == ACCESS_WRITE, &host),
	        walk->gpa, walk->private);
	cpu_tlb_take_view(cpu, walk->gpa, walk->private, host);
	return host;
}

/*
 * A SEV-ES guest gets #VC where there is no memory, whatever the C-bit says, before anything of the
 * instruction is done: KVM marks such pages in its page tables (Linux's svm_adjust_mmio_mask()), and that
 * fault is no automatic exit (APM 2, 15.35.4). KVM cannot decode a write to read-only memory, and runs the
 * guest again, which tries for ever (Linux's svm_check_emulate_instruction()).
 */
static void check_backing(struct cpu *cpu, const struct cpu_slot *slot, enum access access)
{
	if (!slot)
		vc_intercept(cpu, VC_MMIO);
	else if (cpu->vc && access == ACCESS_WRITE && slot->flags & CPU_SLOT_READONLY)
		cpu_leave(cpu, CPU_EXIT_STOPPED);
}

static void mark_dirty(struct cpu *cpu, const struct cpu_slot *slot, u64 gpa)
{
	u64 page = (gpa - slot->gpa) >> 12, bit = (u64)1 << (page % 64);

	if (cpu->bus->dirtied && !(atomic_load(&slot->dirty[page / 64]) & bit) &&
	        !cpu->bus->dirtied(cpu->ctx, slot, page))
		cpu_leave(cpu, CPU_EXIT_STOPPED);
	atomic_fetch_or_explicit(&slot->dirty[page / 64], bit, memory_order_relaxed);
}

static struct cpu_tlb_entry *tlb_walk(struct cpu *cpu, u64 linear, enum access access)
{
	struct cpu_tlb_entry *e = &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
	u64 page = PAGE_OF(linear);
	const struct cpu_slot *slot;
	struct walk walk;
	unsigned set;
	u8 *host;

	walk = translate(cpu, linear, access);
	slot = cpu_slot_find(cpu->map, walk.gpa);
	host = page_host(cpu, slot, &walk, access);
	check_backing(cpu, slot, access);
	*e = (struct cpu_tlb_entry){.read = page, .write = TLB_NONE, .gpa = walk.gpa | GPA_SHIFT(walk.shift)};
	set = (unsigned)(cpu->tlb_now - cpu->tlb->set[0]) / TLB_ENTRIES;
	cpu->tlb->used[set] = true;
	cpu->tlb->large[set] |= walk.shift > 12;
	if (!slot) {
		e->gpa |= GPA_NO_RAM;
		e->read |= TLB_SLOW;
		e->write = access == ACCESS_WRITE ? page | TLB_SLOW : TLB_NONE;
		return e;
	}
	e->host = (uintptr_t)host - (uintptr_t)page;
	if (slot->flags & CPU_SLOT_READONLY)
		e->gpa |= GPA_READONLY;
	if (access == ACCESS_WRITE) {
		if (slot->dirty && !(slot->flags & CPU_SLOT_READONLY))
			mark_dirty(cpu, slot, walk.gpa);
		e->write = page;
		if (slot->flags & CPU_SLOT_READONLY || cpu_code_in_page(cpu, walk.gpa))
			e->write |= TLB_SLOW;
	} else if (walk.writable && !slot->dirty && !(slot->flags & CPU_SLOT_READONLY) && !cpu->bus->viewed) {
		e->write = page | (cpu_code_in_page(cpu, walk.gpa) ? TLB_SLOW : 0);
	}
	return e;
}

/*
 * Returns the entry of the page, and walks the page tables for it if necessary; raises #PF. The tags of the
 * entry say whether the page may be accessed directly.
 */
static struct cpu_tlb_entry *tlb_fill(struct cpu *cpu, u64 linear, enum access access)
{
	struct cpu_tlb_entry *e = &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
	u64 tag = access == ACCESS_WRITE ? e->write : e->read;

	/* A write to a slow page walks again, because the page may no longer have code. */
	if ((tag & ~(u64)TLB_SLOW) == PAGE_OF(linear) &&
	        !(tag & TLB_SLOW && access == ACCESS_WRITE && !(e->gpa & GPA_NO_RAM)))
		return e;
	e = tlb_walk(cpu, linear, access);
	if (cpu_alignment_checked(cpu) || cpu->watch_data) {
		e->read |= TLB_SLOW;
		e->write |= TLB_SLOW;
	}
	return e;
}

const u8 *cpu_exec_translate(struct cpu *cpu, u64 linear, u64 *ret_gpa)
{
	u64 tag = PAGE_OF(linear) | (cpu->cpl == 3);
	struct cpu_exec_entry *e = &cpu->tlb->exec[(linear >> 12) % EXEC_ENTRIES];

	if (e->tag != tag) {
		const struct cpu_slot *slot;
		struct walk walk;

		check_canonical(cpu, linear, CPU_CS);
		e->tag = 2;
		walk = translate(cpu, linear, ACCESS_EXEC);
		slot = cpu_slot_find(cpu->map, walk.gpa);
		e->host = page_host(cpu, slot, &walk, ACCESS_EXEC);
		check_backing(cpu, slot, ACCESS_EXEC);
		e->gpa = walk.gpa | GPA_SHIFT(walk.shift);
		e->tag = tag;
	}
	*ret_gpa = PAGE_OF(e->gpa) | (linear & 0xfff);
	return e->host ? e->host + (linear & 0xfff) : NULL;
}

/* ---- reading and writing within a page ---- */

static void page_read(struct cpu *cpu, u64 linear, void *data, unsigned size)
{
	const struct cpu_tlb_entry *e = tlb_fill(cpu, linear, ACCESS_READ);

	if (unlikely(cpu->watch_data))
		cpu_debug_data(cpu, linear, size, false);
	if (!(e->gpa & GPA_NO_RAM)) {
		ram_copy(data, (const void *)(e->host + (uintptr_t)linear), size);
		return;
	}
	for (unsigned done = 0; done < size; done += 8) {
		unsigned part = size - done < 8 ? size - done : 8;
		u64 value = cpu_device_access(cpu, false, PAGE_OF(e->gpa) + (linear & 0xfff) + done, part, 0);

		memcpy((u8 *)data + done, &value, part);
	}
}

static void page_write(struct cpu *cpu, u64 linear, const void *data, unsigned size)
{
	const struct cpu_tlb_entry *e = tlb_fill(cpu, linear, ACCESS_WRITE);
	u64 gpa = PAGE_OF(e->gpa) + (linear & 0xfff);

	if (unlikely(cpu->watch_data))
		cpu_debug_data(cpu, linear, size, true);
	if (!(e->gpa & (GPA_NO_RAM | GPA_READONLY))) {
		if (e->write & TLB_SLOW)
			cpu_code_written(cpu, gpa, size);
		ram_copy((void *)(e->host + (uintptr_t)linear), data, size);
		return;
	}
	for (unsigned done = 0; done < size; done += 8) {
		unsigned part = size - done < 8 ? size - done : 8;
		u64 value = 0;

		memcpy(&value, (const u8 *)data + done, part);
		cpu_device_access(cpu, true, gpa + done, part, value);
	}
}

/* Raises an exception, or leaves, if something prevents access to the page, before anything is changed. */
static void page_touch(struct cpu *cpu, u64 linear, enum access access)
{
	const struct cpu_tlb_entry *e = tlb_fill(cpu, linear, access);

	if (!(e->gpa & GPA_NO_RAM) && !(access == ACCESS_WRITE && e->gpa & GPA_READONLY))
		ram_touch((void *)(e->host + (uintptr_t)linear), access == ACCESS_WRITE);
}

/* ---- accesses of any alignment ---- */

static unsigned in_first_page(u64 linear, unsigned size)
{
	unsigned left = 4096 - (unsigned)(linear & 0xfff);

	return size < left ? size : left;
}

/* Returns the address of the second page. Outside 64-bit mode addresses wrap at 4 GiB. */
static u64 second_page(const struct cpu *cpu, u64 linear)
{
	u64 next = PAGE_OF(linear) + 4096;

	return mode_is(cpu, MODE_LONG) ? next : (u32)next;
}

/*
 * Checks the address of an access. Returns how many of its bytes are in the first page; if there are more,
 * *ret_next is the address of the others.
 */
static unsigned check_access(struct cpu *cpu, u64 linear, unsigned size, unsigned seg, u64 *ret_next)
{
	unsigned first = in_first_page(linear, size);

	check_canonical(cpu, linear, seg);
	check_alignment(cpu, linear, size);
	*ret_next = second_page(cpu, linear);
	if (first < size)
		check_canonical(cpu, *ret_next, seg);
	return first;
}

/*
 * Both pages must be there before the first is read, because a device's register may change when it is read.
 */
void cpu_mem_read_bytes(struct cpu *cpu, u64 linear, void *data, unsigned size, unsigned seg)
{
	u64 next;
	unsigned first = check_access(cpu, linear, size, seg, &next);

	if (first < size) {
		tlb_fill(cpu, linear, ACCESS_READ);
		tlb_fill(cpu, next, ACCESS_READ);
	}
	page_read(cpu, linear, data, first);
	if (first < size)
		page_read(cpu, next, (u8 *)data + first, size - first);
}

/* Both pages must be there and be writable before the first is written. */
void cpu_mem_write_bytes(struct cpu *cpu, u64 linear, const void *data, unsigned size, unsigned seg)
{
	u64 next;
	unsigned first = check_access(cpu, linear, size, seg, &next);

	if (first < size) {
		page_touch(cpu, linear, ACCESS_WRITE);
		page_touch(cpu, next, ACCESS_WRITE);
	}
	page_write(cpu, linear, data, first);
	if (first < size)
		page_write(cpu, next, (const u8 *)data + first, size - first);
}

u64 cpu_mem_read_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	u64 value = 0;

	cpu_mem_read_bytes(cpu, linear, &value, size, seg);
	return value;
}

void cpu_mem_write_slow(struct cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg)
{
	cpu_mem_write_bytes(cpu, linear, &value, size, seg);
}

void cpu_mem_probe(struct cpu *cpu, u64 linear, unsigned size, enum access access, unsigned seg)
{
	check_canonical(cpu, linear, seg);
	check_alignment(cpu, linear, size);
	page_touch(cpu, linear, access);
	if (in_first_page(linear, size) < size)
		page_touch(cpu, second_page(cpu, linear), access);
}

u8 *cpu_mem_direct(struct cpu *cpu, u64 linear, bool write, unsigned seg)
{
	const struct cpu_tlb_entry *e;

	if (cpu_alignment_checked(cpu) || cpu->watch_data)
		return NULL;
	check_canonical(cpu, linear, seg);
	e = tlb_fill(cpu, linear, write ? ACCESS_WRITE : ACCESS_READ);
	if (e->gpa & GPA_NO_RAM || (write ? e->write : e->read) & TLB_SLOW)
		return NULL;
	ram_touch((void *)(e->host + (uintptr_t)linear), write);
	return (u8 *)(e->host + (uintptr_t)linear);
}

void cpu_mem_rmp(struct cpu *cpu, u64 linear, unsigned seg, struct cpu_rmp_call *call)
{
	struct walk walk;

	check_canonical(cpu, linear, seg);
	walk = translate(cpu, linear, ACCESS_READ);
	call->gpa = walk.gpa;
	call->private = walk.private;
	check_view(cpu, cpu->bus->rmp(cpu->ctx, cpu_slot_find(cpu->map, walk.gpa), call), walk.gpa,
	        walk.private);
}

/* ---- read-modify-write ---- */

void *cpu_rmw_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg, bool locked)
{
	check_canonical(cpu, linear, seg);
	check_alignment(cpu, linear, size);
	if (in_first_page(linear, size) == size) {
		const struct cpu_tlb_entry *e = tlb_fill(cpu, linear, ACCESS_WRITE);

		if (!(e->gpa & (GPA_NO_RAM | GPA_READONLY)) && (!locked || linear % size == 0)) {
			if (unlikely(cpu->watch_data))
				cpu_debug_data(cpu, linear, size, true);
			if (e->write & TLB_SLOW)
				cpu_code_written(cpu, PAGE_OF(e->gpa) + (linear & 0xfff), size);
			return (void *)(e->host + (uintptr_t)linear);
		}
	}
	cpu_mem_probe(cpu, linear, size, ACCESS_WRITE, seg);
	if (locked && !cpu->bus_locked) {
		pthread_mutex_lock(&bus_lock);
		cpu->bus_locked = true;
	}
	cpu->bounce_linear = linear;
	cpu->bounce_seg = seg;
	cpu_mem_read_bytes(cpu, linear, cpu->bounce, size, seg);
	cpu->bounce_size = size;
	return cpu->bounce;
}

static void bus_unlock(struct cpu *cpu)
{
	if (cpu->bus_locked)
		pthread_mutex_unlock(&bus_lock);
	cpu->bus_locked = false;
}

void cpu_rmw_commit(struct cpu *cpu)
{
	cpu_mem_write_bytes(cpu, cpu->bounce_linear, cpu->bounce, cpu->bounce_size, cpu->bounce_seg);
	cpu->bounce_size = 0;
	bus_unlock(cpu);
}

void cpu_rmw_abandon(struct cpu *cpu)
{
	cpu->bounce_size = 0;
	bus_unlock(cpu);
}

/* ---- accesses as supervisor ---- */

u64 cpu_sys_read(struct cpu *cpu, u64 linear, unsigned size)
{
	struct cpu_tlb_entry *now = cpu->tlb_now;
	u64 value;

	cpu->tlb_now = cpu->tlb->set[TLB_SUPERVISOR];
	value = cpu_mem_read_slow(cpu, linear, size, CPU_SEG_FLAT);
	cpu->tlb_now = now;
	return value;
}

void cpu_sys_write(struct cpu *cpu, u64 linear, unsigned size, u64 value)
{
	struct cpu_tlb_entry *now = cpu->tlb_now;

	cpu->tlb_now = cpu->tlb->set[TLB_SUPERVISOR];
	cpu_mem_write_slow(cpu, linear, size, value, CPU_SEG_FLAT);
	cpu->tlb_now = now;
}
