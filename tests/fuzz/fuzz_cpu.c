/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_cpu: random bytes as code with random state: the software processor must neither crash nor hang nor
 * touch host memory outside the guest's. Input: 64 bytes of state, then code.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "fuzz.h"

#define RAM_BYTES  0x10000u
#define CODE       0x2000u
#define TABLES     0x8000u
#define STATE_SIZE 64u
/* Each run ends: by an exit, a triple fault, or this many instructions. */
#define BUDGET 3000u
#define EXITS  64u
/* DE, UMIP, FSGSBASE, SMAP */
#define CR4_MORE (1u << 3 | 1u << 11 | 1u << 16 | 1u << 21)

static struct {
	struct cpu_map map;
	struct cpu_slot slots[2];
} memory;
static struct cpu_bus bus;
static struct cpu *cpu;
static uint8_t *ram, *rom;

static bool on_msr(void *ctx, bool write, uint32_t index, uint64_t *value)
{
	if (!write)
		*value = index;
	return index & 1;
}

static int on_ack(void *ctx)
{
	cpu_unpost(cpu, CPU_PENDING_INTR);
	return 0x21;
}

static void create(void)
{
	struct kvm_cpuid_entry2 entries[64];
	uint32_t count = 64;
	struct err err;

	ram = malloc(RAM_BYTES);
	rom = malloc(4096);
	memory.map.count = 2;
	memory.map.slots[0] = (struct cpu_slot){.gpa = 0, .size = RAM_BYTES, .host = ram};
	memory.map.slots[1] =
	        (struct cpu_slot){.gpa = 0x40000, .size = 4096, .host = rom, .flags = CPU_SLOT_READONLY};
	atomic_store(&bus.map, &memory.map);
	bus.phys_mask = ((uint64_t)1 << 40) - 1;
	bus.msr = on_msr;
	bus.interrupt_ack = on_ack;
	if (!ram || !rom || cpu_create(&bus, NULL, &cpu, &err))
		abort();
	cpu_supported_cpuid(entries, &count);
	if (cpu_set_cpuid(cpu, entries, count, &err))
		abort();
}

static void put64(uint32_t at, uint64_t value)
{
	memcpy(ram + at, &value, 8);
}

/* The first 2 MiB map to themselves, the next to devices, the last of the table to itself, writable by all.
 */
static void build_tables(void)
{
	put64(TABLES, (TABLES + 0x1000) | 7);
	put64(TABLES + 0x1000, (TABLES + 0x2000) | 7);
	put64(TABLES + 0x2000, 0x87);
	put64(TABLES + 0x2008, 0xfee00000 | 0x87);
	/* A descriptor table and an interrupt table with some contents. */
	put64(0x508, 0x00af9b000000ffff);
	put64(0x510, 0x00cf93000000ffff);
	put64(0x518, 0x00cf9b000000ffff);
	put64(0x520, 0x00affb000000ffff);
	put64(0x528, 0x00cff3000000ffff);
	put64(0x530, 0x0000890004000067);
	for (uint32_t i = 0; i < 48; i++) {
		put64(0x600 + i * 16, (CODE + 64 + i) | 8 << 16 | (uint64_t)(i & 4 ? 0xee00 : 0x8f00) << 32);
		put64(0x600 + i * 16 + 8, 0);
	}
}

static struct kvm_segment segment(uint8_t mode, bool code, uint8_t dpl)
{
	return (struct kvm_segment){.limit = mode ? 0xffffffff : 0xffff,
	        .selector = code ? (mode == 2 ? 0x08 : 0x18) : 0x10,
	        .type = code ? 11 : 3,
	        .present = 1,
	        .dpl = dpl,
	        .db = mode == 1 || (mode == 2 && !code),
	        .s = 1,
	        .l = mode == 2 && code,
	        .g = mode != 0};
}

/* Fills x87 and SSE with bytes of the input, exceptions unmasked as it comes; XCR0 has SSE or not. */
static void set_fpu(const uint8_t state[static STATE_SIZE])
{
	uint8_t area[512];
	uint32_t mxcsr = (state[24] | (uint32_t)state[25] << 8 | (uint32_t)state[31] << 15) & cpu->mxcsr_mask;

	for (unsigned i = 0; i < sizeof(area); i++)
		area[i] = (uint8_t)(state[i % STATE_SIZE] ^ i);
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	if (cpu_set_fxsave(cpu, area))
		abort();
	cpu->xcr0 = state[0] & 0x40 ? 3 : 1;
}

/* state[0]: mode 0 real, 1 protected, 2 long; paging; privilege. */
static void set_state(const uint8_t state[static STATE_SIZE])
{
	uint8_t mode = state[0] % 3, dpl = mode && state[0] & 4 ? 3 : 0;
	struct kvm_sregs s;
	struct kvm_regs r = {
	        .rip = CODE, .rsp = 0x7000, .rflags = 2 | (state[1] << 4 & 0xff0) | (state[1] & 1) << 9};

	cpu_get_sregs(cpu, &s);
	s.cs = segment(mode, true, dpl);
	s.ds = s.es = s.ss = s.fs = s.gs = segment(mode, false, dpl);
	s.cs.base = 0;
	s.tr = (struct kvm_segment){.base = 0x400, .limit = 0x67, .type = 11, .present = 1, .selector = 0x30};
	s.gdt = (struct kvm_dtable){.base = 0x500, .limit = 0x3f};
	s.idt = (struct kvm_dtable){.base = 0x600, .limit = 0x2ff};
	s.cr3 = TABLES;
	s.cr0 = 0x10 | (mode ? 1 : 0) | (mode == 2 || (mode && state[0] & 8) ? 0x80000000 : 0) |
	        (state[0] & 0x10 ? 2 : 0);
	s.cr4 = 0x600 | (mode == 2 ? 0x20 : 0) | (state[0] & 0x20 ? 0x40000 : 0) |
	        (state[0] & 0x80 ? CR4_MORE : 0);
	s.efer = mode == 2 ? 0xd01 : 0;
	s.cr8 = 0;
	if (cpu_set_sregs(cpu, &s))
		return;
	memcpy(&r.rax, state + 2, 24);
	r.rsi = (uint64_t)state[26] << 8 | state[27];
	r.rdi = (uint64_t)state[28] << 8 | state[29];
	r.rcx = state[30];
	memcpy(&r.r8, state + 32, 32);
	cpu_set_regs(cpu, &r);
}

/* Does what KVM may do to such a guest: lets an NMI in, posts another, changes what lies in memory. */
static void answer_vmgexit(unsigned i)
{
	if (i % 2)
		cpu_end_nmi_blocking(cpu);
	else
		cpu_post_nmi(cpu);
	ram[0x1000 + i] = (uint8_t)i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t state[STATE_SIZE] = {0};
	uint64_t end;

	if (!cpu)
		create();
	memset(ram, 0, RAM_BYTES);
	memset(rom, 0x90, 4096);
	build_tables();
	memcpy(state, data, size < STATE_SIZE ? size : STATE_SIZE);
	if (size > STATE_SIZE)
		memcpy(ram + CODE, data + STATE_SIZE,
		        size - STATE_SIZE < TABLES - CODE ? size - STATE_SIZE : TABLES - CODE);
	cpu_init(cpu);
	cpu_set_vc(cpu, state[31] & 4 ? CPU_VC_ON | (state[31] & 8 ? CPU_VC_DR7 : 0) : 0);
	set_state(state);
	set_fpu(state);
	atomic_store(&cpu->pending, state[31] & 1 ? CPU_PENDING_INTR : 0);
	cpu_set_nmis(cpu, state[31] & 1 ? 0 : state[31] >> 1 & 1);
	end = cpu_icount(cpu) + BUDGET;
	for (unsigned i = 0; i < EXITS && cpu_icount(cpu) < end; i++) {
		enum cpu_exit exit = cpu_run(cpu, end);

		if (exit == CPU_EXIT_SHUTDOWN || exit == CPU_EXIT_FAILED || exit == CPU_EXIT_DEADLINE)
			break;
		fuzz_assert(!cpu->vc || (exit != CPU_EXIT_IO && exit != CPU_EXIT_MMIO &&
		                                exit != CPU_EXIT_MSR && exit != CPU_EXIT_HYPERCALL));
		fuzz_assert(cpu->vc || exit != CPU_EXIT_VMGEXIT);
		if (exit == CPU_EXIT_VMGEXIT)
			answer_vmgexit(i);
		if (exit == CPU_EXIT_IO && !cpu->exit_info.io.write)
			memset(cpu->exit_info.io.data, (int)i,
			        (size_t)cpu->exit_info.io.size * cpu->exit_info.io.count);
		if (exit == CPU_EXIT_MMIO && !cpu->exit_info.mmio.write)
			memset(cpu->exit_info.mmio.data, (int)i, cpu->exit_info.mmio.size);
	}
	return 0;
}
