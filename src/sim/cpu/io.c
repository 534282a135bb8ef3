/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io: IN, OUT, INS and OUTS, and the check whether a program may use a port (APM 2, 12.2.4; APM 3).
 */
#include "debug.h"
#include "str.h"
#include "vc.h"

/*
 * Raises #GP if the program may not use the port. Beyond IOPL the bitmap of the task state segment decides.
 */
static void check_port(struct cpu *cpu, u16 port, unsigned size)
{
	const struct cpu_seg *tr = &cpu->seg[CPU_TR];
	u16 map, bits;

	if (unlikely(cpu->watch_port))
		cpu_debug_port(cpu, port, size);
	if (!(cpu->mode & MODE_PE))
		return;
	if (!(cpu->mode & MODE_VM) && cpu->cpl <= (cpu->rflags_rest & FLAG_IOPL) >> 12)
		return;
	/* A 16-bit TSS has no bitmap. */
	if (!(tr->attr & SEG_P) || !(tr->attr & 8) || tr->limit < 103)
		cpu_raise_error(cpu, EXC_GP, 0);
	map = (u16)cpu_sys_read(cpu, tr->base + 102, 2);
	if ((u32)map + port / 8 + 1 > tr->limit)
		cpu_raise_error(cpu, EXC_GP, 0);
	bits = (u16)cpu_sys_read(cpu, tr->base + map + port / 8, 2);
	if ((bits >> (port % 8)) & ((1u << size) - 1))
		cpu_raise_error(cpu, EXC_GP, 0);
}

/* Returns the size in bytes: 1, 2 or 4, because REX.W has no effect. */
static unsigned port_size(const struct cpu_op *op)
{
	return op->size == 8 ? 4 : op->size;
}

static u16 port_of(const struct cpu *cpu, const struct cpu_op *op)
{
	return op->opcode < 0xe8 ? (u8)op->imm : (u16)REG_RDX;
}

void op_in(struct cpu *cpu, const struct cpu_op *op)
{
	u16 port = port_of(cpu, op);
	unsigned size = port_size(op);
	u64 value = 0;

	check_port(cpu, port, size);
	vc_intercept(cpu, VC_IOIO);
	cpu_port_access(cpu, false, port, size, &value);
	reg_set(cpu, 0, size, value);
}

void op_out(struct cpu *cpu, const struct cpu_op *op)
{
	u16 port = port_of(cpu, op);
	unsigned size = port_size(op);
	u64 value = reg_get(cpu, 0, size);

	check_port(cpu, port, size);
	vc_intercept(cpu, VC_IOIO);
	cpu_port_access(cpu, true, port, size, &value);
}

/* Returns how many elements one exit may carry: only forward, within the page and the buffer. */
static u32 batch(const struct cpu *cpu, const struct cpu_op *op, u64 linear, u64 left)
{
	u64 fit = (4096 - (linear & 0xfff)) / op->size;

	if (!(op->flags & (OP_REP | OP_REPNE)) || cpu->rflags_rest & FLAG_DF || fit < 1 ||
	        cpu_debug_active(cpu))
		return 1;
	fit = fit < left ? fit : left;
	return (u32)(fit < CPU_IO_BYTES_MAX / op->size ? fit : CPU_IO_BYTES_MAX / op->size);
}

static _Noreturn void leave_for_port(struct cpu *cpu, bool write, u16 port, unsigned size, u32 count)
{
	cpu->exit_info.io.write = write;
	cpu->exit_info.io.port = port;
	cpu->exit_info.io.size = (u8)size;
	cpu->exit_info.io.count = count;
	cpu->access_waits = true;
	cpu_leave(cpu, CPU_EXIT_IO);
}

/*
 * Takes one element of INS: from an earlier exit, from a device inside the platform, or by an exit that
 * brings several elements.
 */
static u64 ins_element(struct cpu *cpu, const struct cpu_op *op, u64 linear, u64 left)
{
	struct cpu_access *access;

	if (cpu->access_id == cpu_icount(cpu) && cpu->ins_taken < cpu->ins_ready) {
		u64 value = load_le(cpu->exit_info.io.data + cpu->ins_taken, op->size);

		cpu->ins_taken += op->size;
		return value;
	}
	if (cpu_access_repeated(cpu, &access))
		return access->data;
	access->data = 0;
	if (cpu->bus->io && cpu->bus->io(cpu->ctx, false, (u16)REG_RDX, op->size, &access->data))
		return access->data;
	cpu->accesses--;
	cpu->ins_taken = 0;
	cpu->ins_ready = batch(cpu, op, linear, left) * op->size;
	memset(cpu->exit_info.io.data, 0, cpu->ins_ready);
	leave_for_port(cpu, false, (u16)REG_RDX, op->size, cpu->ins_ready / op->size);
}

void op_ins(struct cpu *cpu, const struct cpu_op *op)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);

	check_port(cpu, (u16)REG_RDX, op->size);
	if (left)
		vc_intercept(cpu, VC_IOIO); /* before the accesses to memory (APM 2, 15.10.2) */
	for (; left && budget; left--, budget--) {
		u64 linear = seg_linear(
		        cpu, string_es(cpu), string_pointer(cpu, op, CPU_RDI), op->size, ACCESS_WRITE);

		cpu_mem_probe(cpu, linear, op->size, ACCESS_WRITE, string_es(cpu));
		cpu_mem_write_slow(cpu, linear, op->size, ins_element(cpu, op, linear, left), string_es(cpu));
		string_advance(cpu, op, CPU_RDI, op->size);
		string_done(cpu, op, 1);
	}
	string_leave(cpu, op, left == 0, budget);
}

/*
 * Writes one element of OUTS. As in KVM, each element is an exit of its own, so that no element is read
 * before the device has the one before.
 */
static void outs_element(struct cpu *cpu, const struct cpu_op *op, u64 linear)
{
	/*
	 * The element is read first, also when the instruction is repeated after an exit. If a device
	 * answered that read, the access is in cpu.access[], too.
	 */
	u64 value = cpu_mem_read_slow(cpu, linear, op->size, op->seg);
	struct cpu_access *access;

	if (cpu_access_repeated(cpu, &access) ||
	        (cpu->bus->io && cpu->bus->io(cpu->ctx, true, (u16)REG_RDX, op->size, &value)))
		return;
	store_le(cpu->exit_info.io.data, op->size, value);
	leave_for_port(cpu, true, (u16)REG_RDX, op->size, 1);
}

void op_outs(struct cpu *cpu, const struct cpu_op *op)
{
	u64 left = string_count(cpu, op), budget = string_budget(cpu);

	check_port(cpu, (u16)REG_RDX, op->size);
	if (left)
		vc_intercept(cpu, VC_IOIO); /* before the accesses to memory (APM 2, 15.10.2) */
	for (; left && budget; left--, budget--) {
		u64 linear =
		        seg_linear(cpu, op->seg, string_pointer(cpu, op, CPU_RSI), op->size, ACCESS_READ);

		outs_element(cpu, op, linear);
		string_advance(cpu, op, CPU_RSI, op->size);
		string_done(cpu, op, 1);
	}
	string_leave(cpu, op, left == 0, budget);
}
