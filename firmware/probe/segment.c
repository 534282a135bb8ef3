/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment: segment registers and their descriptors, limits, the stack, and what may be asked about them.
 */
#include "chapters.h"

CODE(load_ds, "mov %eax, %ds");
CODE(load_es, "mov %eax, %es");
CODE(load_ss, "mov %eax, %ss");
CODE(load_fs, "mov %eax, %fs");
CODE(load_cs_ud, ".byte 0x8e, 0xc8");
CODE(lss, "movl $0x87000, 0x86000; mov %ax, 0x86004; lss 0x86000, %esp");
CODE(lfs, "movl $0x1234, 0x86000; mov %ax, 0x86004; lfs 0x86000, %ebx");
CODE(lldt, "lldt %ax; sldt %bx");
CODE(ltr, "ltr %ax; str %bx");
CODE(lar, "lar %eax, %ebx");
CODE(lar16, "lar %ax, %bx");
CODE(lsl, "lsl %eax, %ebx");
CODE(verr, "verr %ax");
CODE(verw, "verw %ax");
CODE(read_ds, "mov %eax, %ds; mov (%ebx), %ecx");
CODE(write_ds, "mov %eax, %ds; mov %cl, (%ebx)");

static void ldt_none(const struct probe *probe)
{
	asm volatile("lldt %w0" : : "r"(0));
}

static void odd_descriptor(const struct probe *probe)
{
	gdt_set(SEL_ODD, (u64)probe->arg << 32 | probe->arg2, 0);
}

static void gdt_cut(const struct probe *probe)
{
	table_load_gdt(SEL_DATA_NP + 6);
}

static void print_accessed(const struct probe *probe)
{
	print_named("type", (u64)(probe_gdt[SEL_ODD / 8] >> 40 & 31));
}

#define ODD_UNUSED 0x00cf9200, 0x0000ffff /* data, not yet accessed */

static const struct probe probes[] = {
        {"DS null", load_ds, .ax = 0},
        {"DS null with RPL", load_ds, .ax = 3},
        {"DS beyond the GDT", load_ds, .ax = SEL_BEYOND},
        {"DS beyond the GDT with RPL", load_ds, .ax = SEL_BEYOND | 3},
        {"DS half in the GDT", load_ds, .ax = SEL_DATA_NP, .before = gdt_cut},
        {"DS in the LDT", load_ds, .ax = LDT_DATA},
        {"DS in the LDT, not present", load_ds, .ax = LDT_NP},
        {"DS beyond the LDT", load_ds, .ax = 0x24},
        {"DS in no LDT", load_ds, .ax = LDT_DATA, .before = ldt_none},
        {"DS not present", load_ds, .ax = SEL_DATA_NP},
        {"DS execute only", load_ds, .ax = SEL_XONLY},
        {"DS readable code", load_ds, .ax = SEL_CODE},
        {"DS a TSS", load_ds, .ax = SEL_TSS},
        {"DS type 0", load_ds, .ax = SEL_ODD},
        {"DS read only", load_ds, .ax = SEL_RONLY},
        {"DS RPL 3 of level 0", load_ds, .ax = SEL_DATA | 3},
        {"DS of level 0 in ring 3", load_ds, .ax = SEL_DATA, .ring = 3},
        {"DS of level 3 with RPL 0 in ring 3", load_ds, .ax = SEL_DATA3 & ~3, .ring = 3},
        {"DS conforming code in ring 3", load_ds, .ax = SEL_CONFORM, .ring = 3},
        {"DS not present and of level 0 in ring 3", load_ds, .ax = SEL_DATA_NP, .ring = 3},
        {"ES not present", load_es, .ax = SEL_DATA_NP},
        {"FS beyond the GDT", load_fs, .ax = SEL_BEYOND},
        {"CS by MOV", load_cs_ud, .ax = SEL_CODE},
        {"DS marks accessed", load_ds, .ax = SEL_ODD, .before = odd_descriptor, .arg = 0x00cf9200,
                .arg2 = 0xffff, .after = print_accessed},
        {"DS refused marks nothing", load_ds, .ax = SEL_ODD, .ring = 3, .before = odd_descriptor,
                .arg = 0x00cf9200, .arg2 = 0xffff, .after = print_accessed},
        {"SS null", load_ss, .ax = 0},
        {"SS null in ring 3", load_ss, .ax = 3, .ring = 3},
        {"SS beyond the GDT", load_ss, .ax = SEL_BEYOND},
        {"SS not present", load_ss, .ax = SEL_DATA_NP},
        {"SS read only", load_ss, .ax = SEL_RONLY},
        {"SS code", load_ss, .ax = SEL_CODE},
        {"SS RPL 3", load_ss, .ax = SEL_DATA | 3},
        {"SS of level 3", load_ss, .ax = SEL_DATA3},
        {"SS of level 3 with RPL 0", load_ss, .ax = SEL_DATA3 & ~3},
        {"SS of level 0 in ring 3", load_ss, .ax = SEL_DATA, .ring = 3},
        {"LFS not present", lfs, .ax = SEL_DATA_NP},
        {"LFS of level 3", lfs, .ax = SEL_DATA3},
        {"LSS not present", lss, .ax = SEL_DATA_NP},
        {"LSS", lss, .ax = SEL_DATA, .stack = true},
        {"LLDT null", lldt, .ax = 0},
        {"LLDT null with RPL", lldt, .ax = 2},
        {"LLDT a TSS", lldt, .ax = SEL_TSS_B},
        {"LLDT data", lldt, .ax = SEL_DATA},
        {"LLDT in the LDT", lldt, .ax = LDT_DATA},
        {"LLDT beyond the GDT", lldt, .ax = SEL_BEYOND},
        {"LLDT not present", lldt, .ax = SEL_ODD, .before = odd_descriptor, .arg = 0x0200, .arg2 = 0xffff},
        {"LLDT", lldt, .ax = SEL_LDT},
        {"LLDT in ring 3", lldt, .ax = SEL_LDT, .ring = 3},
        {"LTR null", ltr, .ax = 0},
        {"LTR busy", ltr, .ax = SEL_TSS},
        {"LTR not present", ltr, .ax = SEL_TSS_NP},
        {"LTR an LDT", ltr, .ax = SEL_LDT},
        {"LTR in the LDT", ltr, .ax = LDT_DATA},
        {"LTR beyond the GDT", ltr, .ax = SEL_BEYOND},
        {"LTR of 32 bits", ltr, .ax = SEL_TSS_B},
        {"LTR of 16 bits", ltr, .ax = SEL_TSS_16},
        {"LTR in ring 3", ltr, .ax = SEL_TSS_B, .ring = 3},
        {"LAR null", lar, .ax = 0, .bx = 0x5555, .zf = true},
        {"LAR code", lar, .ax = SEL_CODE, .zf = true},
        {"LAR of 16 bits", lar16, .ax = SEL_DATA, .bx = 0x55555555, .zf = true},
        {"LAR not present", lar, .ax = SEL_DATA_NP, .zf = true},
        {"LAR TSS busy", lar, .ax = SEL_TSS, .zf = true},
        {"LAR TSS of 32 bits", lar, .ax = SEL_TSS_B, .zf = true},
        {"LAR TSS of 16 bits", lar, .ax = SEL_TSS_16, .zf = true},
        {"LAR LDT", lar, .ax = SEL_LDT, .zf = true},
        {"LAR call gate", lar, .ax = SEL_ODD, .zf = true, .before = odd_descriptor, .arg = 0x8c00},
        {"LAR call gate of 16 bits", lar, .ax = SEL_ODD, .zf = true, .before = odd_descriptor, .arg = 0x8400},
        {"LAR task gate", lar, .ax = SEL_ODD, .zf = true, .before = odd_descriptor, .arg = 0x8500},
        {"LAR interrupt gate", lar, .ax = SEL_ODD, .zf = true, .before = odd_descriptor, .arg = 0x8e00},
        {"LAR type 0", lar, .ax = SEL_ODD, .zf = true},
        {"LAR level 0 in ring 3", lar, .ax = SEL_DATA, .ring = 3, .zf = true},
        {"LAR level 3 in ring 3", lar, .ax = SEL_DATA3, .ring = 3, .zf = true},
        {"LAR RPL 3 of level 0", lar, .ax = SEL_DATA | 3, .zf = true},
        {"LAR conforming in ring 3", lar, .ax = SEL_CONFORM, .ring = 3, .zf = true},
        {"LSL flat", lsl, .ax = SEL_DATA, .zf = true},
        {"LSL small", lsl, .ax = SEL_SMALL, .zf = true},
        {"LSL TSS", lsl, .ax = SEL_TSS_B, .zf = true},
        {"LSL TSS of 16 bits", lsl, .ax = SEL_TSS_16, .zf = true},
        {"LSL LDT", lsl, .ax = SEL_LDT, .zf = true},
        {"LSL call gate", lsl, .ax = SEL_ODD, .zf = true, .before = odd_descriptor, .arg = 0x8c00},
        {"LSL beyond the GDT", lsl, .ax = SEL_BEYOND, .zf = true},
        {"VERR null", verr, .ax = 0, .zf = true},
        {"VERR data", verr, .ax = SEL_DATA, .zf = true},
        {"VERR execute only", verr, .ax = SEL_XONLY, .zf = true},
        {"VERR conforming in ring 3", verr, .ax = SEL_CONFORM, .ring = 3, .zf = true},
        {"VERR level 0 in ring 3", verr, .ax = SEL_DATA, .ring = 3, .zf = true},
        {"VERR a TSS", verr, .ax = SEL_TSS, .zf = true},
        {"VERW data", verw, .ax = SEL_DATA, .zf = true},
        {"VERW read only", verw, .ax = SEL_RONLY, .zf = true},
        {"VERW code", verw, .ax = SEL_CODE, .zf = true},
        {"VERW level 3 in ring 3", verw, .ax = SEL_DATA3, .ring = 3, .zf = true},
};

const struct chapter chapter_segment = {"segments", probes, COUNT(probes), NULL};

#ifndef __x86_64__
CODE(arpl, "arpl %bx, %ax");
CODE(push_limit, "mov %eax, %ss; mov %ebx, %esp; push %ecx; mov $" TEXT(
                         SEL_DATA) ", %ecx; mov %ecx, %ss; mov $" TEXT(STACK_0) ", %esp");

/* #SS needs a stack that works, so it has a task of its own, whose first instruction ends the test. */
CODE(in_task, "pop %ebx\n str %ax");

static void stack_task(const struct probe *probe)
{
	u8 *tss = probe_tss_df;

	put32(tss + 0x20, (u32)(word)in_task);
	put32(tss + 0x24, 2);
	put32(tss + 0x38, 0x87000);
	for (unsigned at = 0x48; at < 0x60; at += 4)
		put16(tss + at, at == 0x4c ? SEL_CODE : SEL_DATA);
	idt_set(12, 0, SEL_TSS_DF, 0x85, 0);
}

static const struct probe limits[] = {
        {"ARPL raises", arpl, .ax = 0x10, .bx = 3, .zf = true},
        {"ARPL keeps", arpl, .ax = 0x13, .bx = 1, .zf = true},
        {"last doubleword", read_ds, .ax = SEL_SMALL, .bx = 12},
        {"a byte beyond", read_ds, .ax = SEL_SMALL, .bx = 13},
        {"last byte", write_ds, .ax = SEL_SMALL, .bx = 15},
        {"byte beyond", write_ds, .ax = SEL_SMALL, .bx = 16},
        {"wraps at 4 GiB", read_ds, .ax = SEL_SMALL, .bx = 0xfffffffe},
        {"write to read only", write_ds, .ax = SEL_RONLY, .bx = 0x86000},
        {"write to code", write_ds, .ax = SEL_CODE, .bx = 0x86000},
        {"read by null", read_ds, .ax = 0, .bx = 0x86000},
        {"write by null", write_ds, .ax = 0, .bx = 0x86000},
        {"expand-down, below", write_ds, .ax = SEL_DOWN, .bx = 0xfff},
        {"expand-down, first", write_ds, .ax = SEL_DOWN, .bx = 0x1000},
        {"expand-down, last", read_ds, .ax = SEL_DOWN, .bx = 0xfffffffc},
        {"push below an expand-down limit", push_limit, .ax = SEL_DOWN, .bx = 0x1000, .before = stack_task},
        {"push at an expand-down limit", push_limit, .ax = SEL_DOWN, .bx = 0x1004},
        {"push in a stack of 16 bits", push_limit, .ax = SEL_DATA16, .bx = 0x12347000},
};

const struct chapter chapter_limit = {"limits", limits, COUNT(limits), NULL};
#endif
