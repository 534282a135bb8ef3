/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: accesses, in memory or at a port, that a device answers. Runs on the vCPU's thread.
 *
 * Devices make an instruction run in pieces. If no device in the process answers an access, the instruction
 * is given up with an exit, and runs again from its start when the answer is there. The accesses that it has
 * made are kept in cpu.access[] and answered from there, so that a device sees each of them once.
 */
#include "ops.h"

#define PORT_7E 0x7e /* see KVM_X86_QUIRK_OUT_7E_INC_RIP */

void cpu_access_forget(struct cpu *cpu)
{
	cpu->accesses = cpu->accesses_used = 0;
	cpu->access_waits = false;
	cpu->ins_ready = cpu->ins_taken = 0;
}

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

/* Ends the block after this instruction if a device raised an interrupt, so that it is taken at once. */
static void device_raised(struct cpu *cpu)
{
	if (cpu->op && atomic_load_explicit(&cpu->pending, memory_order_relaxed) & cpu->accept)
		cpu->op_end = cpu->op + 1;
}

/* FNSTCW and FNSTSW are the only instructions of the x87 that KVM emulates. */
static bool is_emulated(const struct cpu_op *op)
{
	return op->fn != op_x87 || ((op->opcode == 0xd9 || op->opcode == 0xdd) && (op->modrm >> 3 & 7) == 7);
}

/* As with KVM, an instruction that it cannot emulate is an exit, but #UD in an application. */
static void check_emulated(struct cpu *cpu, u64 gpa)
{
	if (!cpu->op || is_emulated(cpu->op))
		return;
	if (cpu->cpl && !atomic_load(&cpu->bus->fails_to_vmm))
		cpu_raise(cpu, EXC_UD);
	cpu_leave_failed(cpu, "an instruction that KVM cannot emulate at a device", gpa);
}

u64 cpu_device_access(struct cpu *cpu, bool write, u64 gpa, unsigned size, u64 value)
{
	struct cpu_access *access;

	/* KVM cannot emulate an access that the processor makes to deliver an event. */
	if (cpu->event.kind != CPU_EVENT_NONE) {
		cpu->exit_info.delivery.write = write;
		cpu->exit_info.delivery.gpa = gpa;
		cpu_leave(cpu, CPU_EXIT_DELIVERY);
	}
	check_emulated(cpu, gpa);
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
		/* KVM completes this instruction before its exit. */
		cpu->op_end = cpu->op + 1;
		cpu_exit_after(cpu, CPU_EXIT_IO);
		return;
	}
	cpu->access_waits = true;
	cpu_leave(cpu, CPU_EXIT_IO);
}
