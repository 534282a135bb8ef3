/*
 * mmu: what the software TLB does not serve at once: misses, page crossings, devices, pages with code, and
 * the repetition of device accesses after an exit. The vCPU's thread.
 */
#include <pthread.h>

#include "debug.h"
#include "walk.h"

#define PORT_7E 0x7e /* see KVM_X86_QUIRK_OUT_7E_INC_RIP */

/* LOCK on what the host cannot do atomically: devices, misaligned and page-crossing operands. */
static pthread_mutex_t bus_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- translations ---- */

bool cpu_alignment_checked(const struct cpu *cpu)
{
	return cpu->tlb_now == cpu->tlb->set[TLB_USER_ALIGNED];
}

/* #AC at CPL 3, if CR0.AM and RFLAGS.AC ask for it; 10 bytes count as 8 (APM 2, 8.2.18). */
static void check_alignment(struct cpu *cpu, u64 linear, unsigned size)
{
	unsigned unit = size == 10 ? 8 : size;

	if (cpu_alignment_checked(cpu) && unit <= 16 && !(unit & (unit - 1)) && linear & (unit - 1))
		cpu_raise_error(cpu, EXC_AC, 0);
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

static struct walk translate(struct cpu *cpu, u64 linear, enum access access)
{
	struct walk_query query = {.access = access,
	        .user = access == ACCESS_EXEC
	                        ? cpu->cpl == 3
	                        : cpu->tlb_now == cpu->tlb->set[TLB_USER] || cpu_alignment_checked(cpu),
	        .smap = cpu->cr4 & CR4_SMAP && cpu->tlb_now == cpu->tlb->set[TLB_SUPERVISOR]};
	struct walk walk;

	if (!cpu_walk(cpu, linear, &query, &walk)) {
		if (walk.table == CPU_VIEW_MISSING)
			cpu_leave(cpu, CPU_EXIT_MISSING);
		if (walk.table == CPU_VIEW_WRONG_KIND)
			leave_fault(cpu, walk.gpa, true);
		cpu_raise_page_fault(cpu, linear, walk.error);
	}
	return walk;
}

/* The page that the walk led to; NULL: no memory. */
static u8 *page_host(
        struct cpu *cpu, const struct cpu_slot *slot, const struct walk *walk, enum access access)
{
	u8 *host;

	if (likely(!cpu->bus->c_bit))
		return slot ? slot->host + (walk->gpa - slot->gpa) : NULL;
	switch (cpu->bus->view(cpu->ctx, slot, walk->gpa, walk->private, access == ACCESS_WRITE, &host)) {
	case CPU_VIEW_GOOD: return host;
	case CPU_VIEW_MISSING: cpu_leave(cpu, CPU_EXIT_MISSING);
	default: leave_fault(cpu, walk->gpa, walk->private);
	}
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
	} else if (walk.writable && !slot->dirty && !(slot->flags & CPU_SLOT_READONLY) && !cpu->bus->c_bit) {
		e->write = page | (cpu_code_in_page(cpu, walk.gpa) ? TLB_SLOW : 0);
	}
	return e;
}

/* Looks the page up, in the tables if need be; raises #PF. The entry says whether it may be used directly. */
static struct cpu_tlb_entry *tlb_fill(struct cpu *cpu, u64 linear, enum access access)
{
	struct cpu_tlb_entry *e = &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
	u64 tag = access == ACCESS_WRITE ? e->write : e->read;

	/* A slow write is walked again: the page may have lost its code. */
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
		e->gpa = walk.gpa | GPA_SHIFT(walk.shift);
		e->tag = tag;
	}
	*ret_gpa = PAGE_OF(e->gpa) | (linear & 0xfff);
	return e->host ? e->host + (linear & 0xfff) : NULL;
}

/* ---- devices ---- */

void cpu_access_forget(struct cpu *cpu)
{
	cpu->accesses = cpu->accesses_used = 0;
	cpu->access_waits = false;
	cpu->ins_ready = cpu->ins_taken = 0;
}

/* The next access of the instruction; true if it was made before an exit already: data is its result. */
bool cpu_access_repeated(struct cpu *cpu, struct cpu_access **ret)
{
	u64 id = cpu_icount(cpu);

	if (cpu->access_id != id) {
		cpu_access_forget(cpu);
		cpu->access_id = id;
	}
	if (cpu->accesses_used < cpu->accesses) {
		*ret = &cpu->access[cpu->accesses_used++];
		return true;
	}
	if (cpu->accesses == CPU_ACCESS_MAX)
		cpu_leave_failed(cpu, "an instruction with too many device accesses", 0);
	*ret = &cpu->access[cpu->accesses++];
	cpu->accesses_used++;
	return false;
}

/* What a device raised is taken behind the instruction, not at the block's end. */
static void device_raised(struct cpu *cpu)
{
	if (cpu->op && atomic_load_explicit(&cpu->pending, memory_order_relaxed) & cpu->accept)
		cpu->op_end = cpu->op + 1;
}

static u64 device_access(struct cpu *cpu, bool write, u64 gpa, unsigned size, u64 value)
{
	struct cpu_access *access;

	/* KVM cannot emulate an access that the processor makes to deliver an event. */
	if (cpu->event.kind != CPU_EVENT_NONE) {
		cpu->exit_info.delivery.write = write;
		cpu->exit_info.delivery.gpa = gpa;
		cpu_leave(cpu, CPU_EXIT_DELIVERY);
	}
	if (cpu_access_repeated(cpu, &access))
		return access->data;
	access->data = write ? value : 0;
	if (cpu->bus->mmio && cpu->bus->mmio(cpu->ctx, write, gpa, size, &access->data)) {
		device_raised(cpu);
		return access->data;
	}
	cpu->exit_info.mmio.write = write;
	cpu->exit_info.mmio.gpa = gpa;
	cpu->exit_info.mmio.size = (u8)size;
	memset(cpu->exit_info.mmio.data, 0, 8);
	store_le(cpu->exit_info.mmio.data, size, access->data);
	cpu->access_waits = true;
	cpu_leave(cpu, CPU_EXIT_MMIO);
}

void cpu_port_access(struct cpu *cpu, bool write, u16 port, unsigned size, u64 *value)
{
	struct cpu_access *access;

	if (cpu_access_repeated(cpu, &access)) {
		*value = access->data;
		return;
	}
	access->data = write ? *value : 0;
	if (cpu->bus->io && cpu->bus->io(cpu->ctx, write, port, size, &access->data)) {
		device_raised(cpu);
		*value = access->data;
		return;
	}
	cpu->exit_info.io.write = write;
	cpu->exit_info.io.port = port;
	cpu->exit_info.io.size = (u8)size;
	cpu->exit_info.io.count = 1;
	store_le(cpu->exit_info.io.data, size, access->data);
	if (write && port == PORT_7E && cpu_bus_has_quirk(cpu->bus, KVM_X86_QUIRK_OUT_7E_INC_RIP)) {
		/* KVM is done with this instruction before its exit. */
		cpu->op_end = cpu->op + 1;
		cpu_exit_after(cpu, CPU_EXIT_IO);
		return;
	}
	cpu->access_waits = true;
	cpu_leave(cpu, CPU_EXIT_IO);
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
		u64 value = device_access(cpu, false, PAGE_OF(e->gpa) + (linear & 0xfff) + done, part, 0);

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
		device_access(cpu, true, gpa + done, part, value);
	}
}

/* Meets all that keeps the page from being accessed, before anything is changed. */
static void page_touch(struct cpu *cpu, u64 linear, enum access access)
{
	const struct cpu_tlb_entry *e = tlb_fill(cpu, linear, access);

	if (!(e->gpa & GPA_NO_RAM) && !(access == ACCESS_WRITE && e->gpa & GPA_READONLY))
		ram_touch((void *)(e->host + (uintptr_t)linear), access == ACCESS_WRITE);
}

/* ---- of any alignment ---- */

static unsigned in_first_page(u64 linear, unsigned size)
{
	unsigned left = 4096 - (unsigned)(linear & 0xfff);

	return size < left ? size : left;
}

/* The second page's address: outside 64-bit mode addresses wrap at 4 GiB. */
static u64 second_page(const struct cpu *cpu, u64 linear)
{
	u64 next = PAGE_OF(linear) + 4096;

	return mode_is(cpu, MODE_LONG) ? next : (u32)next;
}

/*
 * Checks the address of an access. Returns how many of its bytes are in the first page; if these are not all,
 * *ret_next is where the others are.
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

/* Both pages must be there before the first is read: a device's register may change when it is read. */
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

/* Both pages must be there, and writable, before the first is written. */
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

/* ---- as supervisor ---- */

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
