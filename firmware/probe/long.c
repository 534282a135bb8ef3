/* SPDX-License-Identifier: Apache-2.0 */
/*
 * long: tests that only long mode has: SYSCALL and SYSRET, SWAPGS, addresses that are not canonical,
 * compatibility mode, IST, and entering and leaving long mode.
 */
#include "chapters.h"

#define EFER   0xc0000080
#define STAR   0xc0000081
#define LSTAR  0xc0000082
#define CSTAR  0xc0000083
#define SFMASK 0xc0000084

#define BAD     0x8000000000000000
#define BAD_LOW 0x0000800000000000

CODE(syscall, "syscall");
CODE(syscall_32, CODE_32 "syscall");
CODE(sysret, "sysretq");
CODE(sysret_32, "sysretl");
CODE(arrive, "nop");
CODE(arrive_32, CODE_32 "nop");
CODE(swapgs, "swapgs\n rdmsr");
CODE(wrmsr, "wrmsr");
CODE(read, "mov (%rbx), %al");
CODE(read_stack, "mov %rbx, %rbp\n mov (%rbp), %al");
CODE(push_bad, "mov %rsp, %rdx\n mov %rbx, %rsp\n push %rax");
CODE(jump, "jmp *%rbx");
CODE(ret, "push %rbx\n ret");
CODE(iret_bad, "push $" TEXT(SEL_DATA) "\n push $0x83000\n push $2\n push %rax\n push %rbx\n iretq");
CODE(far_32, CODE_32 "mov $0x12345678, %eax\n mov %ds:(%ebx), %cl");
CODE(opcodes_32, CODE_32 "push %es\n pop %eax\n inc %ebx\n daa\n mov $0, %eax");
CODE(undefined_64, ".byte 0x06");
CODE(undefined_daa, ".byte 0x27");
CODE(undefined_far, ".byte 0x9a, 0, 0, 0, 0, 8, 0");
CODE(undefined_into, ".byte 0xce");
CODE(undefined_lds, ".byte 0xc5, 0x03");
CODE(to_cr0, "mov %rax, %cr0");
CODE(to_cr3, "mov %rax, %cr3");
CODE(to_cr4, "mov %rax, %cr4");
CODE(to_cr8, "mov %rax, %cr8\n mov %cr8, %rbx\n xor %eax, %eax\n mov %rax, %cr8");
CODE(to_dr7, "mov %rax, %dr7");
CODE(ud2, "ud2");
CODE(iret_nt, "iretq");
CODE(fs_base, "wrmsr\n mov %fs:8, %al");
CODE(null_ds, "xor %eax, %eax\n mov %eax, %ds\n mov 0x86000, %al\n mov $0, %eax");
CODE(ltr, "ltr %ax");
CODE(lldt, "lldt %ax");
CODE(far_pointer, "movl $1f, 0x86000\n mov %ax, 0x86004\n ljmpl *0x86000\n 1:");
CODE(interrupt, "int $0x30");

static void calls(const struct probe *probe)
{
	u32 user = probe->arg2 ? probe->arg2 : SEL_CODE32_3 & ~3u;

	msr_write(STAR, (u64)(user << 16 | SEL_CODE) << 32);
	msr_write(LSTAR, (word)probe->target);
	msr_write(CSTAR, (word)probe->target);
	msr_write(SFMASK, 0x40200);
}

static void no_calls(const struct probe *probe)
{
	msr_write(EFER, 0xd00);
}

static void stack_misaligned(const struct probe *probe)
{
	put32(probe_tss + 4, STACK_IN - 5);
}

/* The first thing pushed, below the next multiple of 16. */
static void print_aligned(const struct probe *probe)
{
	print_named("pushed", *(const volatile word *)(STACK_IN - 24));
}

/* arg: the IST of #UD, #SS and #GP. */
static void stack_table(const struct probe *probe)
{
	idt_set(12, vector_entry(12), SEL_CODE, 0x8e, probe->arg);
	idt_set(13, vector_entry(13), SEL_CODE, 0x8e, probe->arg);
	idt_set(6, vector_entry(6), SEL_CODE, 0x8e, probe->arg);
}

static void idt_selector(const struct probe *probe)
{
	idt_set(0x30, vector_entry(0x30), (u16)probe->arg, 0xee, 0);
}

static void idt_not_canonical(const struct probe *probe)
{
	idt_set(0x30, BAD_LOW, SEL_CODE, 0x8e, 0);
}

static void system_upper(const struct probe *probe)
{
	gdt_set(SEL_TSS_B, probe_gdt[SEL_TSS_B / 8], probe->arg);
}

static void print_gs(const struct probe *probe)
{
	print_named("gs", msr_read(0xc0000101));
	print_named("kernel", msr_read(0xc0000102));
	msr_write(0xc0000101, 0);
	msr_write(0xc0000102, 0);
	msr_write(0xc0000100, 0);
}

static void gs_set(const struct probe *probe)
{
	msr_write(0xc0000101, 0x1111);
	msr_write(0xc0000102, 0x2222);
}

#define CALLS .before = calls, .target = arrive

static void print_syscall(const struct probe *probe)
{
	print_named("r11", probe_seen.r11);
}

static const struct probe probes[] = {
        {"SYSCALL without SCE", syscall, .before = no_calls},
        {"SYSRET without SCE", sysret, .before = no_calls},
        {"SYSRET in ring 3", sysret, CALLS, .ring = 3},
        {"SYSRET to an address that is not canonical", sysret, CALLS, .cx = BAD_LOW},
        {"SWAPGS", swapgs, .cx = 0x174, .before = gs_set, .after = print_gs},
        {"SWAPGS in ring 3", swapgs, .ring = 3, .before = gs_set, .after = print_gs},
        {"LSTAR not canonical", wrmsr, .cx = LSTAR, .dx = 0x8000},
        {"FS base not canonical", wrmsr, .cx = 0xc0000100, .dx = 0x8000},
        {"read, not canonical", read, .bx = BAD_LOW},
        {"read, not canonical, by RBP", read_stack, .bx = BAD_LOW},
        {"read across the canonical end", read, .bx = BAD},
        {"PUSH, not canonical", push_bad, .bx = BAD_LOW + 0x100, .before = stack_table, .arg = 1},
        {"JMP, not canonical", jump, .bx = BAD_LOW},
        {"RET, not canonical", ret, .bx = BAD_LOW},
        {"IRET, not canonical", iret_bad, .ax = SEL_CODE, .bx = BAD_LOW},
        {"IRET with NT", iret_nt, .flags = FLAG_NT},
        {"compatibility mode", opcodes_32, .cs = SEL_CODE32},
        {"compatibility mode, ring 3", opcodes_32, .cs = SEL_CODE32_3, .ring = 3},
        {"compatibility mode, read by null", far_32, .cs = SEL_CODE32, .ds = 0x3},
        {"JMP to compatibility mode", far_pointer, .ax = SEL_CODE32},
        {"PUSH ES", undefined_64},
        {"DAA", undefined_daa},
        {"far CALL, direct", undefined_far},
        {"INTO", undefined_into},
        {"LDS", undefined_lds},
        {"CR8", to_cr8, .ax = 5},
        {"CR8, reserved bit", to_cr8, .ax = 0x10},
        {"DR7, upper half", to_dr7, .ax = (word)1 << 32},
        {"null DS", null_ds},
        {"IST", ud2, .before = stack_table, .arg = 2, .stack = true},
        {"IST in ring 3", ud2, .before = stack_table, .arg = 3, .ring = 3, .stack = true},
        {"#UD in ring 3, stack misaligned", ud2, .before = stack_misaligned, .after = print_aligned,
                .ring = 3},
        {"INT to code of 32 bits", interrupt, .before = idt_selector, .arg = SEL_CODE32},
        {"INT, handler not canonical", interrupt, .before = idt_not_canonical},
        {"LTR, upper half", ltr, .ax = SEL_TSS_B, .before = system_upper, .arg = 1},
        {"INT in compatibility mode", interrupt, .before = idt_selector, .arg = SEL_CODE, .cs = SEL_CODE32_3,
                .ring = 3},
};

/* Tests that an emulation with too few checks does not survive, so they have an image of their own. */
static const struct probe refused[] = {
        {"CR0, paging off", to_cr0, .ax = CR0_START & 0x7fffffff},
        {"CR4, PAE off", to_cr4, .ax = CR4_START & ~(word)0x20},
        {"CR4, upper half", to_cr4, .ax = CR4_START | (word)1 << 32},
        {"EFER, LME off while paging", wrmsr, .cx = EFER, .ax = 0x801},
};

const struct chapter chapter_long_refused = {"refused values of long mode", refused, COUNT(refused), NULL};

const struct chapter chapter_long = {"long mode", probes, COUNT(probes), NULL};

static const struct probe fast[] = {
        {"SYSCALL", syscall, CALLS, .flags = FLAG_IF | FLAG_AC, .after = print_syscall},
        {"SYSCALL in ring 3", syscall, CALLS, .ring = 3, .flags = FLAG_IF, .after = print_syscall},
        {"SYSCALL in compatibility mode", syscall_32, CALLS, .cs = SEL_CODE32_3, .ring = 3,
                .after = print_syscall},
        {"SYSRET", sysret, CALLS, .cx = (word)arrive, .after = print_syscall},
        {"SYSRET of 32 bits", sysret_32, .before = calls, .target = arrive_32, .cx = (word)arrive_32,
                .after = print_syscall},
};

const struct chapter chapter_fast = {"fast system calls", fast, COUNT(fast), NULL};
