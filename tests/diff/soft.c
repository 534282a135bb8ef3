/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soft: runs cases on the software processor: a guest with page tables that map the same addresses, user
 * segments as Linux has them, and an IDT whose 32 handlers are a HLT each: where it halts says which vector
 * it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "diff.h"
#include "jit/jit.h"

#define TABLES  0x1000u /* PML4, PDPT, PD, two page tables */
#define GDT     0x8000u
#define IDT     0x9000u
#define TSS     0xa000u
#define STACK   0xc000u /* of CPL 0 */
#define HANDLER 0xd000u
#define CODE    0x10000u
#define DATA    0x14000u
#define RAM     0x20000u

#define CS64 0x33u
#define CS32 0x23u
#define SS   0x2bu

struct diff_soft {
	struct cpu_bus bus;
	struct cpu *cpu;
	uint8_t *ram;
	struct kvm_sregs sregs64, sregs32;
	uint64_t last;         /* where code was put */
	struct jit_pool *pool; /* NULL: the processor interprets */
	struct {
		struct cpu_map map;
		struct cpu_slot slot;
	} map;
};

static void put64(struct diff_soft *s, uint32_t at, uint64_t value)
{
	memcpy(s->ram + at, &value, 8);
}

static void map_page(struct diff_soft *s, uint64_t linear, uint64_t entry)
{
	uint32_t pml4 = TABLES, pdpt = TABLES + 0x1000, pd = TABLES + 0x2000;
	uint32_t pt = linear < 0x10000000 ? TABLES + 0x3000 : TABLES + 0x4000;

	put64(s, pml4 + (linear >> 39 & 511) * 8, pdpt | 7);
	put64(s, pdpt + (linear >> 30 & 511) * 8, pd | 7);
	put64(s, pd + (linear >> 21 & 511) * 8, pt | 7);
	put64(s, pt + (linear >> 12 & 511) * 8, entry);
}

static void build_tables(struct diff_soft *s)
{
	for (uint32_t page = 0; page < CODE; page += 4096)
		map_page(s, page, page | 3);
	/* Pages of user mode: code to read and execute, data to read and write. */
	map_page(s, DIFF_CODE, CODE | 5);
	map_page(s, DIFF_CODE + 4096, (CODE + 4096) | 5);
	map_page(s, DIFF_DATA, DATA | (uint64_t)1 << 63 | 7);
	put64(s, GDT + 0x10, 0x00af9b000000ffff);
	put64(s, GDT + 0x18, 0x00cf93000000ffff);
	put64(s, GDT + 0x20, 0x00cffb000000ffff);
	put64(s, GDT + 0x28, 0x00cff3000000ffff);
	put64(s, GDT + 0x30, 0x00affb000000ffff);
	put64(s, TSS + 4, STACK + 0x1000);
	s->ram[TSS + 102] = 0x68; /* no I/O bitmap */
	for (uint32_t i = 0; i < 32; i++) {
		uint64_t handler = HANDLER + i * 16;
		uint64_t type = i == 3 || i == 4 ? 0xee00 : 0x8e00;

		put64(s, IDT + i * 16, (handler & 0xffff) | 0x10 << 16 | type << 32 | (handler >> 16) << 48);
		s->ram[handler] = 0xf4;
	}
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code64, uint8_t dpl)
{
	return (struct kvm_segment){.limit = 0xffffffff,
	        .selector = selector,
	        .type = type,
	        .present = 1,
	        .dpl = dpl,
	        .db = !code64,
	        .s = 1,
	        .l = code64,
	        .g = 1};
}

static void build_sregs(struct diff_soft *s)
{
	struct kvm_sregs *r = &s->sregs64;

	cpu_get_sregs(s->cpu, r);
	r->cs = segment(CS64, 11, true, 3);
	r->ss = segment(SS, 3, false, 3);
	r->ds = r->es = r->fs = r->gs = (struct kvm_segment){.unusable = 1};
	r->gdt = (struct kvm_dtable){.base = GDT, .limit = 0x3f};
	r->idt = (struct kvm_dtable){.base = IDT, .limit = 0x1ff};
	r->tr = (struct kvm_segment){.base = TSS, .limit = 0x67, .type = 11, .present = 1, .selector = 0x38};
	r->cr0 = 0x80050033;
	r->cr3 = TABLES;
	r->cr4 = 0x620 | 1 << 18;
	r->efer = 0xd01;
	s->sregs32 = *r;
	r->gs.base = DIFF_GS;
	s->sregs32.cs = segment(CS32, 11, false, 3);
	s->sregs32.ds = s->sregs32.es = segment(SS, 3, false, 3);
}

/* Looks at MXCSR_MASK, which a hypervisor that hides the bit of CPUID cannot change. */
static bool host_misaligned(void)
{
	uint8_t area[512] __attribute__((aligned(16)));

	__builtin_ia32_fxsave(area);
	return area[30] & 2;
}

/* Has the processor translate each block the first time that it runs. */
static void translate(struct diff_soft *s)
{
	struct err err = {0};

	s->pool = jit_pool_create(1, &err);
	if (!s->pool || !jit_attach(s->pool, s->cpu, 0)) {
		fprintf(stderr, "no translator: %s\n", err.text);
		abort();
	}
}

struct diff_soft *diff_soft_start(bool translated)
{
	struct diff_soft *s = calloc(1, sizeof(*s));
	struct kvm_cpuid_entry2 entries[64];
	uint32_t count = 64;
	struct err err = {0};

	if (!s || !(s->ram = aligned_alloc(4096, RAM)))
		abort();
	memset(s->ram, 0, RAM);
	s->map.map.count = 1;
	s->map.map.slots[0] = (struct cpu_slot){.gpa = 0, .size = RAM, .host = s->ram};
	atomic_store(&s->bus.map, &s->map.map);
	s->bus.phys_mask = ((uint64_t)1 << 40) - 1;
	if (cpu_create(&s->bus, s, &s->cpu, &err))
		abort();
	cpu_supported_cpuid(entries, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i].function == 1)
			entries[i].ecx |= 3u << 28 | 1u << 12;
		if (entries[i].function == 7) {
			entries[i].ebx |= 1u << 5;
			entries[i].ecx |= 3u << 9;
		}
	}
	/* MXCSR_MASK, which the images of FXSAVE hold, follows from misaligned SSE. */
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].function == 0x80000001 && !host_misaligned())
			entries[i].ecx &= ~(1u << 7);
	if (cpu_set_cpuid(s->cpu, entries, count, &err))
		abort();
	if (translated)
		translate(s);
	build_tables(s);
	build_sregs(s);
	s->cpu->xcr0 = 7;
	memset(s->ram + CODE, 0xcc, DIFF_CODE_BYTES);
	s->last = DIFF_CODE;
	return s;
}

static void start_case(struct diff_soft *s, const struct diff_case *c)
{
	struct kvm_regs regs = {.rip = c->start.rip, .rflags = c->start.rflags};
	__u64 *const order[16] = {&regs.rax, &regs.rcx, &regs.rdx, &regs.rbx, &regs.rsp, &regs.rbp, &regs.rsi,
	        &regs.rdi, &regs.r8, &regs.r9, &regs.r10, &regs.r11, &regs.r12, &regs.r13, &regs.r14,
	        &regs.r15};

	for (unsigned i = 0; i < 16; i++)
		*order[i] = c->start.gpr[i];
	memset(s->ram + CODE + (s->last - DIFF_CODE), 0xcc, sizeof(c->code));
	s->last = c->start.rip;
	for (const struct diff_poke *p = c->pokes; p < c->pokes + 2; p++)
		memcpy(s->ram + DATA + p->at, p->bytes, p->size);
	memcpy(s->ram + CODE + (c->start.rip - DIFF_CODE), c->code, c->code_size);
	if (cpu_set_sregs(s->cpu, c->mode32 ? &s->sregs32 : &s->sregs64) ||
	        cpu_set_fxsave(s->cpu, c->start.fxsave)) {
		fprintf(stderr, "the start state is refused\n");
		abort();
	}
	cpu_set_ymm(s->cpu, c->start.ymm);
	cpu_set_regs(s->cpu, &regs);
}

static void take_result(struct diff_soft *s, struct diff_result *ret)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	const uint64_t *frame;

	cpu_get_regs(s->cpu, &regs);
	cpu_get_sregs(s->cpu, &sregs);
	const uint64_t values[16] = {regs.rax, regs.rcx, regs.rdx, regs.rbx, 0, regs.rbp, regs.rsi, regs.rdi,
	        regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15};
	memcpy(ret->end.gpr, values, sizeof(values));
	ret->vector = (uint32_t)((regs.rip - 1 - HANDLER) / 16);
	ret->error = 0;
	frame = (const uint64_t *)(const void *)(s->ram + regs.rsp);
	if (STACK + 0x1000 - regs.rsp == 48)
		ret->error = (uint32_t)*frame++;
	ret->end.rip = frame[0];
	ret->end.rflags = frame[2];
	ret->end.gpr[4] = frame[3];
	ret->cr2 = ret->vector == 14 ? sregs.cr2 : 0;
	cpu_get_fxsave(s->cpu, ret->end.fxsave);
	cpu_get_ymm(s->cpu, ret->end.ymm);
}

/*
 * Runs the case and takes all back, so that the next run finds the page of the data in the TLB: only then
 * does native code access it.
 */
static void warm_up(struct diff_soft *s)
{
	static _Thread_local struct cpu before;
	static _Thread_local uint8_t data[DIFF_DATA_BYTES];

	before = *s->cpu;
	memcpy(data, s->ram + DATA, sizeof(data));
	(void)cpu_run(s->cpu, cpu_icount(s->cpu) + 10000);
	*s->cpu = before;
	memcpy(s->ram + DATA, data, sizeof(data));
}

static void run_case(struct diff_soft *s, const struct diff_case *c, struct diff_result *ret_result)
{
	enum cpu_exit exit;
	uint64_t icount;

	start_case(s, c);
	if (s->pool)
		warm_up(s);
	icount = cpu_icount(s->cpu);
	exit = cpu_run(s->cpu, icount + 10000);
	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->instructions = cpu_icount(s->cpu) - icount;
	if (exit == CPU_EXIT_HLT)
		take_result(s, ret_result);
	else
		ret_result->vector = 1000 + (uint32_t)exit;
}

void diff_soft_run(struct diff_soft *s, const struct diff_case *cases, unsigned count,
        uint8_t data[DIFF_DATA_BYTES], struct diff_result *ret_results)
{
	memcpy(s->ram + DATA, data, DIFF_DATA_BYTES);
	for (unsigned i = 0; i < count; i++)
		run_case(s, &cases[i], &ret_results[i]);
	memcpy(data, s->ram + DATA, DIFF_DATA_BYTES);
}

void diff_soft_stop(struct diff_soft *s)
{
	char text[32];

	for (uint32_t i = 0; i < s->cpu->unknown_count; i++)
		printf("not implemented: %s, %llu times\n", cpu_unknown_name(s->cpu->unknown[i].key, text),
		        (unsigned long long)s->cpu->unknown[i].count);
	cpu_destroy(s->cpu);
	jit_pool_destroy(s->pool);
	free(s->ram);
	free(s);
}
