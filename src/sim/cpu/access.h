/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: reads and writes guest memory for an instruction (mmu.c, device.c). The inline functions are the
 * fast path. seg is the segment of the address; it decides between #GP and #SS. Every function here may
 * raise #PF, #GP, #SS and #AC, and may leave with an exit.
 */
#ifndef CPU_ACCESS_H
#define CPU_ACCESS_H

#include "leave.h"
#include "mode.h"
#include "tlb.h"

/* Serve the accesses that the fast path below cannot. size is up to 64 bytes, and 1 to 8 for a value. */
u64 cpu_mem_read_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg);
void cpu_mem_write_slow(struct cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg);
void cpu_mem_read_bytes(struct cpu *cpu, u64 linear, void *data, unsigned size, unsigned seg);
void cpu_mem_write_bytes(struct cpu *cpu, u64 linear, const void *data, unsigned size, unsigned seg);
/* Raises what an access of size bytes would raise, for REP INS, and for what must not fault halfway. */
void cpu_mem_probe(struct cpu *cpu, u64 linear, unsigned size, enum access access, unsigned seg);
/* Returns the host address of linear if RAM is there and may be accessed directly; else NULL. */
u8 *cpu_mem_direct(struct cpu *cpu, u64 linear, bool write, unsigned seg);
/* Has the bus execute the call on the page at linear, whose address and kind this fills in. */
void cpu_mem_rmp(struct cpu *cpu, u64 linear, unsigned seg, struct cpu_rmp_call *call);
/* Returns whether accesses are checked for alignment: at CPL 3 with CR0.AM and RFLAGS.AC. */
bool cpu_alignment_checked(const struct cpu *cpu);

/*
 * Returns a host address at which size bytes may be read, modified and written; the caller then calls
 * rmw_end(). With locked, the modification is atomic even where the host has no atomic operation for the
 * address.
 */
void *cpu_rmw_slow(struct cpu *cpu, u64 linear, unsigned size, unsigned seg, bool locked);
/* Writes the modified bytes of the bounce buffer to guest memory. */
void cpu_rmw_commit(struct cpu *cpu);
/* Gives up the bounce buffer and the bus lock, after a fault or an exit during a read-modify-write. */
void cpu_rmw_abandon(struct cpu *cpu);

/* Access memory as supervisor, whatever the CPL is: descriptor tables, the TSS, the stacks of handlers. */
u64 cpu_sys_read(struct cpu *cpu, u64 linear, unsigned size);
void cpu_sys_write(struct cpu *cpu, u64 linear, unsigned size, u64 value);

/* ---- devices (device.c) ---- */

/* Accesses up to 8 bytes at an address where there is no memory. Returns the value that was read. */
u64 cpu_device_access(struct cpu *cpu, bool write, u64 gpa, unsigned size, u64 value);
/*
 * Takes the next device access of the instruction. The accesses are kept, so that the instruction can run
 * again from its start after an exit. Returns true if an earlier run made this access; (*ret)->data is then
 * its result.
 */
bool cpu_access_repeated(struct cpu *cpu, struct cpu_access **ret);
/* Forgets the accesses, because their instruction is done or given up for good. */
void cpu_access_forget(struct cpu *cpu);
/* Makes one access of 1, 2 or 4 bytes to a port: writes *value, or sets it. */
void cpu_port_access(struct cpu *cpu, bool write, u16 port, unsigned size, u64 *value);

/* ---- the fast path: one comparison shows that the page is cached and that the access ends in it ---- */

ALWAYS const struct cpu_tlb_entry *tlb_entry(const struct cpu *cpu, u64 linear)
{
	return &cpu->tlb_now[(linear >> 12) % TLB_ENTRIES];
}

ALWAYS u64 mem_read(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->read == PAGE_OF(linear + size - 1)))
		return ram_load((const void *)(e->host + (uintptr_t)linear), size);
	return cpu_mem_read_slow(cpu, linear, size, seg);
}

ALWAYS void mem_write(struct cpu *cpu, u64 linear, unsigned size, u64 value, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		ram_store((void *)(e->host + (uintptr_t)linear), size, value);
	else
		cpu_mem_write_slow(cpu, linear, size, value, seg);
}

/* Returns a host address of any alignment for a read-modify-write; the caller then calls rmw_end(). */
ALWAYS void *rmw_begin(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1)))
		return (void *)(e->host + (uintptr_t)linear);
	return cpu_rmw_slow(cpu, linear, size, seg, false);
}

/* Does the same for LOCK; the address is aligned, for the atomic operations of ram.h. */
ALWAYS void *rmw_begin_locked(struct cpu *cpu, u64 linear, unsigned size, unsigned seg)
{
	const struct cpu_tlb_entry *e = tlb_entry(cpu, linear);

	if (likely(e->write == PAGE_OF(linear + size - 1) && linear % size == 0))
		return (void *)(e->host + (uintptr_t)linear);
	return cpu_rmw_slow(cpu, linear, size, seg, true);
}

ALWAYS void rmw_end(struct cpu *cpu, const void *p)
{
	if (unlikely(p == cpu->bounce))
		cpu_rmw_commit(cpu);
}

/* ---- operands in memory ---- */

/* Checks type and limit of the segment (#GP or #SS) and adds its base; for use outside 64-bit mode. */
u64 cpu_seg_linear(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access);

ALWAYS u64 op_offset(const struct cpu *cpu, const struct cpu_op *op)
{
	return (cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) + (u64)op->disp)
	               << op->address_shift >>
	       op->address_shift;
}

ALWAYS u64 seg_linear(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, enum access access)
{
	if (unlikely(!(cpu->mode & MODE_64)))
		return cpu_seg_linear(cpu, seg, offset, size, access);
	return offset + cpu->seg[seg].base;
}

/* Returns the linear address of a memory operand of size bytes. */
ALWAYS u64 op_linear(struct cpu *cpu, const struct cpu_op *op, unsigned size, enum access access)
{
	u64 offset = op_offset(cpu, op);

	if (unlikely(op->flags & OP_LEGACY))
		return cpu_seg_linear(cpu, op->seg, offset, size, access);
	return offset + cpu->seg[op->seg].base;
}

ALWAYS u64 rm_mem_read(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return mem_read(cpu, op_linear(cpu, op, size, ACCESS_READ), size, op->seg);
}

ALWAYS void rm_mem_write(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 value)
{
	mem_write(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, value, op->seg);
}

/* Begins a read-modify-write of the memory operand; the caller then calls rmw_end(). */
ALWAYS void *rm_begin(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return rmw_begin(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

ALWAYS void *rm_begin_locked(struct cpu *cpu, const struct cpu_op *op, unsigned size)
{
	return rmw_begin_locked(cpu, op_linear(cpu, op, size, ACCESS_WRITE), size, op->seg);
}

/* Read and write the register or memory operand, of any size, where speed does not matter. */
u64 cpu_rm_read(struct cpu *cpu, const struct cpu_op *op, unsigned size);
void cpu_rm_write(struct cpu *cpu, const struct cpu_op *op, unsigned size, u64 value);

#endif
