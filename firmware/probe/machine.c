/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: descriptor tables and control registers as each test finds them.
 */
#include "probe.h"

u64 probe_gdt[GDT_SIZE / 8] __attribute__((aligned(16)));
u64 probe_idt[VECTOR_LAST * (WORD / 4)] __attribute__((aligned(16)));
u8 probe_tss[256] __attribute__((aligned(256)));
u8 probe_tss_b[128] __attribute__((aligned(128)));
u8 probe_tss_df[128] __attribute__((aligned(128)));
static u64 ldt[4];

struct table {
	u16 limit;
	word base;
} __attribute__((packed));

void put16(void *at, u16 value)
{
	*(volatile u16 *)at = value;
}

void put32(void *at, u32 value)
{
	*(volatile u32 *)at = value;
}

u32 get32(const void *at)
{
	return *(const volatile u32 *)at;
}

u64 descriptor(u32 base, u32 limit, u32 access, u32 flags)
{
	u32 low = (limit & 0xffff) | base << 16;
	u32 high = (base >> 16 & 0xff) | access << 8 | (limit & 0xf0000) | flags << 20 | (base & 0xff000000);

	return (u64)high << 32 | low;
}

u64 gate_low(word offset, u16 selector, u32 access, u32 count)
{
	return (u64)(((u32)offset & 0xffff0000) | access << 8 | count) << 32 | (u32)selector << 16 |
	       (u16)offset;
}

void gdt_set(u16 selector, u64 low, u64 high)
{
	probe_gdt[selector / 8] = low;
	probe_gdt[selector / 8 + 1] = high;
}

void idt_set(unsigned vector, word offset, u16 selector, u32 access, unsigned ist)
{
	u64 *gate = &probe_idt[vector * (WORD / 4)];

	gate[0] = gate_low(offset, selector, access, ist);
#ifdef __x86_64__
	gate[1] = offset >> 32;
#endif
}

word vector_entry(unsigned vector)
{
	return (word)probe_vectors + vector * 16;
}

void table_load_gdt(u16 limit)
{
	struct table table = {limit, (word)probe_gdt};

	asm volatile("lgdt %0" : : "m"(table) : "memory");
}

void table_load_idt(u16 limit)
{
	struct table table = {limit, (word)probe_idt};

	asm volatile("lidt %0" : : "m"(table) : "memory");
}

#define FLAT(access, flags) descriptor(0, 0xfffff, access, flags)
#ifdef __x86_64__
#define CODE_FLAGS 0xa
#else
#define CODE_FLAGS 0xc
#endif

static const struct {
	u16 selector;
	u32 base, limit;
	u8 access, flags;
} segments[] = {
        {SEL_CODE, 0, 0xfffff, 0x9b, CODE_FLAGS},
        {SEL_DATA, 0, 0xfffff, 0x93, 0xc},
        {SEL_CODE3, 0, 0xfffff, 0xfb, CODE_FLAGS},
        {SEL_DATA3, 0, 0xfffff, 0xf3, 0xc},
        {SEL_CODE1, 0, 0xfffff, 0xbb, CODE_FLAGS},
        {SEL_DATA1, 0, 0xfffff, 0xb3, 0xc},
        {SEL_CONFORM, 0, 0xfffff, 0x9f, CODE_FLAGS},
        {SEL_CONFORM3, 0, 0xfffff, 0xff, CODE_FLAGS},
        {SEL_XONLY, 0, 0xfffff, 0x99, CODE_FLAGS},
        {SEL_CODE_NP, 0, 0xfffff, 0x1b, CODE_FLAGS},
        {SEL_DATA_NP, 0, 0xfffff, 0x13, 0xc},
        {SEL_RONLY, 0, 0xfffff, 0x91, 0xc},
        {SEL_DOWN, 0, 0, 0x97, 0xc},
        {SEL_SMALL, 0x80000, 15, 0x93, 0x4},
        {SEL_CODE16, 0x10000, 0xffff, 0x9b, 0},
        {SEL_DATA16, 0x80000, 0xffff, 0x93, 0},
        {SEL_CODE_CUT, 0x10000, 0xfff, 0x9b, CODE_FLAGS & 7},
        {SEL_CODE64, 0, 0xfffff, 0x9b, 0xa},
        {SEL_CODE32, 0, 0xfffff, 0x9b, 0xc},
        {SEL_CODE32_3, 0, 0xfffff, 0xfb, 0xc},
        {SEL_LONG_D, 0, 0xfffff, 0x9b, 0xe},
        {SEL_DATA_C3, 0, 0xfffff, 0xf3, 0xc},
        {SEL_CODE64_3, 0, 0xfffff, 0xfb, 0xa},
};

static void gdt_reset(void)
{
	for (size_t i = 0; i < COUNT(probe_gdt); i++)
		probe_gdt[i] = 0;
	for (size_t i = 0; i < COUNT(segments); i++)
		probe_gdt[segments[i].selector / 8] = descriptor(
		        segments[i].base, segments[i].limit, segments[i].access, segments[i].flags);
	gdt_set(SEL_TSS, descriptor((u32)(word)probe_tss, sizeof(probe_tss) - 1, 0x89, 0), 0);
	gdt_set(SEL_TSS_B, descriptor((u32)(word)probe_tss_b, 0x67, 0x89, 0), 0);
	gdt_set(SEL_TSS_16, descriptor((u32)(word)probe_tss_b, 0x2b, 0x81, 0), 0);
	gdt_set(SEL_TSS_DF, descriptor((u32)(word)probe_tss_df, 0x67, 0x89, 0), 0);
	gdt_set(SEL_TSS_NP, descriptor((u32)(word)probe_tss_b, 0x67, 0x09, 0), 0);
	gdt_set(SEL_TSS_CUT, descriptor((u32)(word)probe_tss_b, 0x66, 0x89, 0), 0);
	gdt_set(SEL_LDT, descriptor((u32)(word)ldt, sizeof(ldt) - 1, 0x82, 0), 0);
	ldt[1] = FLAT(0x93, 0xc);
	ldt[2] = FLAT(0x13, 0xc);
}

static void tss_reset(void)
{
	for (size_t i = 0; i < sizeof(probe_tss); i++)
		probe_tss[i] = 0;
#ifdef __x86_64__
	put32(probe_tss + 4, STACK_IN);
	for (unsigned i = 0; i < 7; i++)
		put32(probe_tss + 36 + 8 * i, STACK_IST);
#else
	put32(probe_tss + 4, STACK_IN);
	put32(probe_tss + 8, SEL_DATA);
	put32(probe_tss + 12, STACK_IST);
	put32(probe_tss + 16, SEL_DATA1);
#endif
	put16(probe_tss + 102, sizeof(probe_tss)); /* no bitmap of ports */
}

void machine_reset(void)
{
	dr7_write(0x400);
	cr0_write(CR0_START);
	cr4_write(CR4_START);
#ifdef __x86_64__
	cr3_write(PAGES_LONG);
	msr_write(0xc0000080, 0xd01);
#else
	msr_write(0xc0000080, 0);
#endif
	gdt_reset();
	tss_reset();
	for (unsigned i = 0; i < VECTOR_LAST; i++)
		idt_set(i, vector_entry(i), SEL_CODE, i == VECTOR_DONE ? 0xee : 0x8e, 0);
	table_load_gdt(GDT_SIZE - 1);
	table_load_idt(sizeof(probe_idt) - 1);
	asm volatile("lldt %w0; ltr %w1" : : "r"(SEL_LDT), "r"(SEL_TSS));
	for (u32 at = SCRATCH; at < SCRATCH + 32; at += 4)
		put32((void *)(word)at, 0);
	dr6_write(0xffff0ff0);
}
