/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_bench: a guest of 1 MiB for the tests of the software processor: real mode code at 0x1000, or long mode
 * with the tables below; the bench records its accesses on the bus.
 */
#ifndef CPU_BENCH_H
#define CPU_BENCH_H

#include "support/test.h"

#include "cpu/cpu.h"
#include "jit/jit.h"

#define RAM_BYTES 0x100000u
#define CODE      0x1000u
#define GDT       0x4000u
#define IDT       0x5000u
#define TSS       0x6000u
#define PML4      0x8000u /* PDPT, PD, PT behind it: the first 2 MiB map to themselves */
#define STACK     0x20000u
#define IST       0x24000u
#define DEVICE    0xd0000000u

/* Guest code: GUEST(name, width, "instructions") gives name and name_end. */
#define GUEST(name, width, text) \
	extern const uint8_t name[], name##_end[]; \
	__asm__(".pushsection .rodata\n\t.code" #width "\n" #name ":\n\t" text "\n" #name \
	        "_end:\n\t.code64\n\t.popsection\n")

struct bench {
	struct {
		struct cpu_map map;
		struct cpu_slot slots[2];
	} memory;
	struct cpu_bus bus;
	struct cpu *cpu;
	uint8_t *ram;
	uint8_t rom[4096];
	int vector; /* of a waiting interrupt, -1: none */
};

static inline int bench_ack(void *ctx)
{
	struct bench *b = ctx;
	int vector = b->vector;

	b->vector = -1;
	cpu_unpost(b->cpu, CPU_PENDING_INTR);
	return vector;
}

static inline void bench_put(struct bench *b, uint32_t at, uint64_t value)
{
	memcpy(b->ram + at, &value, 8);
}

static inline uint64_t bench_get(const struct bench *b, uint32_t at)
{
	return load_le(b->ram + at, 8);
}

/*
 * With SIM_CPU=translator in the environment each block is translated before it runs the first time, and with
 * SIM_CPU=both it is interpreted, too, and compared.
 */
static inline void bench_translate(struct cpu *cpu)
{
	static struct jit_pool *pool;
	const char *kind = getenv("SIM_CPU");
	struct err err;

	if (!kind)
		return;
	if (!pool)
		pool = jit_pool_create(4, &err);
	assert_non_null(pool);
	assert_true(jit_attach(pool, cpu, 0));
	if (strcmp(kind, "both") == 0)
		assert_true(jit_compare(cpu));
}

static inline struct cpu *bench_cpu(struct bench *b)
{
	struct kvm_cpuid_entry2 entries[64];
	uint32_t count = ARRAY_LEN(entries);
	struct cpu *cpu = NULL;
	struct err err;

	assert_ok(cpu_create(&b->bus, b, &cpu, &err));
	bench_translate(cpu);
	cpu_supported_cpuid(entries, &count);
	assert_true(count <= ARRAY_LEN(entries));
	assert_ok(cpu_set_cpuid(cpu, entries, count, &err));
	return cpu;
}

static inline int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->ram = calloc(1, RAM_BYTES);
	b->vector = -1;
	b->memory.map.count = 2;
	b->memory.map.slots[0] = (struct cpu_slot){.size = RAM_BYTES, .host = b->ram};
	b->memory.map.slots[1] = (struct cpu_slot){
	        .gpa = RAM_BYTES, .size = sizeof(b->rom), .host = b->rom, .flags = CPU_SLOT_READONLY};
	atomic_store(&b->bus.map, &b->memory.map);
	b->bus.phys_mask = ((uint64_t)1 << 40) - 1;
	b->bus.interrupt_ack = bench_ack;
	b->cpu = bench_cpu(b);
	*state = b;
	return 0;
}

static inline int bench_teardown(void **state)
{
	struct bench *b = *state;

	cpu_destroy(b->cpu);
	free(b->ram);
	free(b);
	return 0;
}

/* Real mode, CS:IP = 0:CODE, SS:SP = 0:0xf000. */
static inline void bench_real(struct bench *b, const uint8_t *code, const uint8_t *end)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = CODE, .rsp = 0xf000, .rflags = 2};

	memcpy(b->ram + CODE, code, (size_t)(end - code));
	cpu_get_sregs(b->cpu, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	assert_int_equal(cpu_set_sregs(b->cpu, &sregs), 0);
	cpu_set_regs(b->cpu, &regs);
}

static inline void bench_gate(struct bench *b, unsigned vector, uint64_t handler, unsigned type, unsigned ist)
{
	bench_put(b, IDT + vector * 16,
	        (handler & 0xffff) | 0x08 << 16 | (uint64_t)ist << 32 | (uint64_t)type << 40 |
	                (handler >> 16 & 0xffff) << 48);
	bench_put(b, IDT + vector * 16 + 8, handler >> 32);
}

/* The handler of vector v is a HLT at 0x3000 + v, so that the address at which it stops gives the vector. */
#define HANDLERS 0x3000u

static inline void bench_tables(struct bench *b)
{
	bench_put(b, PML4, (PML4 + 0x1000) | 7);
	bench_put(b, PML4 + 0x1000, (PML4 + 0x2000) | 7);
	bench_put(b, PML4 + 0x1000 + 3 * 8, (PML4 + 0x4000) | 7); /* devices, as 2 MiB pages */
	bench_put(b, PML4 + 0x4000 + (DEVICE >> 21 & 511) * 8, DEVICE | 0x87);
	bench_put(b, PML4 + 0x2000, (PML4 + 0x3000) | 7);
	for (uint64_t i = 0; i < 512; i++)
		bench_put(b, PML4 + 0x3000 + (uint32_t)i * 8, i << 12 | 7);
	bench_put(b, GDT + 0x08, 0x00af9b000000ffff); /* code, 64 bits */
	bench_put(b, GDT + 0x10, 0x00cf93000000ffff); /* data */
	bench_put(b, GDT + 0x18, 0x00cffb000000ffff); /* user code, 32 bits */
	bench_put(b, GDT + 0x20, 0x00cff3000000ffff); /* user data */
	bench_put(b, GDT + 0x28, 0x00affb000000ffff); /* user code, 64 bits */
	bench_put(b, GDT + 0x30, 0x0000890060000067 | (uint64_t)TSS << 16);
	for (unsigned v = 0; v < 32; v++)
		bench_gate(b, v, HANDLERS + v, 0x8e, 0);
	memset(b->ram + HANDLERS, 0xf4, 256);
	bench_put(b, TSS + 4, STACK);
	bench_put(b, TSS + 36, IST);
}

static inline struct kvm_segment bench_segment(uint16_t selector, uint8_t type, bool wide)
{
	return (struct kvm_segment){.limit = 0xffffffff,
	        .selector = selector,
	        .type = type,
	        .present = 1,
	        .dpl = selector & 3,
	        .db = !wide,
	        .s = 1,
	        .l = wide,
	        .g = 1};
}

/* Long mode at CODE, at CPL 0 or 3. */
static inline void bench_long(struct bench *b, const uint8_t *code, const uint8_t *end, unsigned cpl)
{
	struct kvm_sregs s;
	struct kvm_regs regs = {.rip = CODE, .rsp = STACK - 0x2000, .rflags = 2};

	memcpy(b->ram + CODE, code, (size_t)(end - code));
	bench_tables(b);
	cpu_get_sregs(b->cpu, &s);
	s.cs = bench_segment(cpl ? 0x2b : 0x08, 11, true);
	s.ss = s.ds = s.es = bench_segment(cpl ? 0x23 : 0x10, 3, false);
	s.tr = (struct kvm_segment){.base = TSS, .limit = 0x67, .type = 11, .present = 1, .selector = 0x30};
	s.gdt = (struct kvm_dtable){.base = GDT, .limit = 0x3f};
	s.idt = (struct kvm_dtable){.base = IDT, .limit = 0xfff};
	s.cr0 = 0x80010033;
	s.cr3 = PML4;
	s.cr4 = 0x620;
	s.efer = 0xd01;
	assert_int_equal(cpu_set_sregs(b->cpu, &s), 0);
	cpu_set_regs(b->cpu, &regs);
}

static inline enum cpu_exit bench_run(struct bench *b)
{
	return cpu_run(b->cpu, cpu_icount(b->cpu) + 1000000);
}

static inline struct kvm_regs bench_regs(struct bench *b)
{
	struct kvm_regs regs;

	cpu_get_regs(b->cpu, &regs);
	return regs;
}

/* Runs to the HLT of a handler and returns its vector; -1: something else happened. */
static inline int bench_vector(struct bench *b)
{
	uint64_t rip;

	if (bench_run(b) != CPU_EXIT_HLT)
		return -1;
	rip = bench_regs(b).rip - 1;
	return rip >= HANDLERS && rip < HANDLERS + 256 ? (int)(rip - HANDLERS) : -1;
}

#endif
