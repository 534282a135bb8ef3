/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtual: virtual 8086 mode: entered by IRET, what it may do by IOPL, and the way out.
 */
#include "chapters.h"

#define VM  (FLAG_VM)
#define VM3 (FLAG_VM | FLAG_IOPL)

CODE(nothing, CODE_16 "nop");
CODE(segments, CODE_16 "mov %ax, %ds\n mov %ax, %es\n mov %ax, %fs\n mov %ax, %gs");
CODE(address, CODE_16 "mov $0x1234, %cx\n mov %cx, (0x100)\n mov (0x100), %dx");
CODE(cli, CODE_16 "cli");
CODE(sti, CODE_16 "sti");
CODE(pushf_pop, CODE_16 "pushf\n pop %ax");
CODE(pushfl_pop, CODE_16 "pushfl\n pop %eax");
CODE(popf_all, CODE_16 "push $-1\n popf\n pushf\n pop %ax\n push $0x3002\n popf");
CODE(popfl_all, CODE_16 "pushl $0x277ed7\n popfl\n pushfl\n pop %eax\n pushl $0x3002\n popfl");
CODE(interrupt, CODE_16 "int $0x30");
CODE(breakpoint, CODE_16 "int3");
CODE(overflow, CODE_16 "mov $0x7f, %al\n inc %al\n into");
CODE(hlt, CODE_16 "hlt");
CODE(cr0, CODE_16 "mov %cr0, %eax");
CODE(smsw, CODE_16 "xor %eax, %eax\n smsw %ax");
CODE(lgdt, CODE_16 "lgdt 0x100");
CODE(str, CODE_16 "str %ax");
CODE(lar, CODE_16 "lar %ax, %bx");
CODE(verr, CODE_16 "verr %ax");
CODE(arpl, CODE_16 "arpl %ax, %bx");
CODE(lldt, CODE_16 "lldt %ax");
CODE(in, CODE_16 "in $0x80, %al");
CODE(iretl, CODE_16 "pushl $0x243202\n pushl $0x1000\n pushl $(1f - 0x10000)\n iretl\n nop\n 1: nop");
CODE(far_call, CODE_16 "lcalll $0x1001, $(1f - 0x10010)\n nop\n 1: mov %cs, %ax\n pop %ebx\n pop %ecx\n sub "
                       "$(1b - 1 - 0x10000), %ebx");
CODE(far_return, CODE_16 "pushl $0x1002\n pushl $(1f - 0x10020)\n lretl\n nop\n 1: mov %cs, %ax");
CODE(beyond, CODE_16 "mov %ax, (0xffff)");

static void gate_conforming(const struct probe *probe)
{
	idt_set(6, vector_entry(6), SEL_CONFORM, 0x8e, 0);
}

CODE(undefined, CODE_16 "ud2");

static void gate_level1(const struct probe *probe)
{
	idt_set(6, vector_entry(6), SEL_CODE1 & ~3, 0x8e, 0);
}

static void gate_level3(const struct probe *probe)
{
	idt_set(0x30, vector_entry(0x30), SEL_CODE, 0xee, 0);
	idt_set(3, vector_entry(3), SEL_CODE, 0xee, 0);
	idt_set(4, vector_entry(4), SEL_CODE, 0xee, 0);
}

static void port_allowed(const struct probe *probe)
{
	put16(probe_tss + 102, 0x68);
	probe_tss[0x68 + 0x80 / 8] = (u8)probe->arg;
}

static const struct probe probes[] = {
        {"IRET to it and back", nothing, .flags = VM3},
        {"INT 20 without IOPL 3", nothing, .flags = VM},
        {"segment registers", segments, .flags = VM3, .ax = 0x4321},
        {"addresses", address, .flags = VM3},
        {"CLI", cli, .flags = VM | FLAG_IF},
        {"CLI, IOPL 3", cli, .flags = VM3 | FLAG_IF},
        {"STI", sti, .flags = VM},
        {"PUSHF", pushf_pop, .flags = VM},
        {"PUSHF, IOPL 3", pushf_pop, .flags = VM3},
        {"PUSHFD, IOPL 3", pushfl_pop, .flags = VM3},
        {"POPF", popf_all, .flags = VM},
        {"POPFD, IOPL 3", popfl_all, .flags = VM3},
        {"INT n", interrupt, .flags = VM, .before = gate_level3},
        {"INT n, IOPL 3", interrupt, .flags = VM3, .before = gate_level3},
        {"INT n, IOPL 3, gate of level 0", interrupt, .flags = VM3},
        {"INT3", breakpoint, .flags = VM, .before = gate_level3},
        {"INT3, gate of level 0", breakpoint, .flags = VM},
        {"INTO", overflow, .flags = VM, .before = gate_level3},
        {"#UD to conforming code", undefined, .flags = VM3, .before = gate_conforming},
        {"#UD to level 1", undefined, .flags = VM3, .before = gate_level1},
        {"HLT", hlt, .flags = VM3},
        {"MOV from CR0", cr0, .flags = VM3},
        {"SMSW", smsw, .flags = VM3},
        {"LGDT", lgdt, .flags = VM3},
        {"STR", str, .flags = VM3},
        {"LAR", lar, .flags = VM3},
        {"VERR", verr, .flags = VM3},
        {"ARPL", arpl, .flags = VM3},
        {"LLDT", lldt, .flags = VM3},
        {"IN, no bitmap", in, .flags = VM3},
        {"IN, allowed", in, .flags = VM3, .ax = 0xff, .before = port_allowed, .arg = 0xfe},
        {"IN, forbidden", in, .flags = VM3, .before = port_allowed, .arg = 1},
        {"IRETD", iretl, .flags = VM},
        {"IRETD, IOPL 3", iretl, .flags = VM3},
        {"far CALL", far_call, .flags = VM3},
        {"far RET", far_return, .flags = VM3},
        {"word at the limit", beyond, .flags = VM3},
};

const struct chapter chapter_virtual = {"virtual 8086 mode", probes, COUNT(probes), NULL};
