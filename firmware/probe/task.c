/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: hardware task switches of 32 and 16 bits, by JMP, CALL, IRET and task gates, and faults on the way.
 */
#include "chapters.h"

#define TASK_IP   0x20
#define TASK_ESP  0x38
#define TASK_ES   0x48
#define TASK_CS   0x4c
#define TASK_SS   0x50
#define TASK_DS   0x54
#define TASK_LDT  0x60
#define TASK_TRAP 0x64

CODE(jump, "ljmp $" TEXT(SEL_TSS_B) ", $0");
CODE(call, "lcall $" TEXT(SEL_TSS_B) ", $0\n str %cx");
CODE(jump_16, "ljmp $" TEXT(SEL_TSS_16) ", $0");
CODE(call_16, "mov $0x55667788, %ecx\n lcall $" TEXT(SEL_TSS_16) ", $0\n str %cx");
CODE(jump_self, "ljmp $" TEXT(SEL_TSS) ", $0");
CODE(jump_absent, "ljmp $" TEXT(SEL_TSS_NP) ", $0");
CODE(jump_cut, "ljmp $" TEXT(SEL_TSS_CUT) ", $0");
CODE(jump_gate, "ljmp $" TEXT(SEL_ODD) ", $0");
CODE(call_gate, "lcall $" TEXT(SEL_ODD) ", $0");
CODE(interrupt, "int $0x30\n str %cx");
CODE(undefined, "ud2");
CODE(fault, "mov %eax, %ds");
CODE(return_nested, "pushf\n pop %eax\n or $0x4000, %eax\n push %eax\n popf\n iret");
CODE(in_task, "str %ax");
CODE(in_task_return, "iret");
CODE(in_task_error, "pop %ebx\n str %ax");
CODE(in_task_16, CODE_16 "str %ax");
CODE(in_task_16_return, CODE_16 "iret");

static void task_make(const struct probe *probe)
{
	u8 *tss = probe_tss_b;

	for (unsigned i = 0; i < 0x68; i++)
		tss[i] = 0;
	put32(tss + TASK_IP, (u32)(word)probe->target);
	put32(tss + TASK_IP + 4, 0x802);
	for (unsigned i = 0; i < 8; i++)
		put32(tss + 0x28 + 4 * i, 0x1010101 * i);
	put32(tss + TASK_ESP, 0x87000);
	for (unsigned at = TASK_ES; at < TASK_LDT; at += 4)
		put16(tss + at, at == TASK_CS ? SEL_CODE : SEL_DATA);
	put16(tss + TASK_LDT, SEL_LDT);
	if (probe->arg)
		put16(tss + probe->arg, (u16)probe->arg2);
}

static void task_make_16(const struct probe *probe)
{
	u8 *tss = probe_tss_b;

	for (unsigned i = 0; i < 0x68; i++)
		tss[i] = 0;
	put16(tss + 0x0e, (u16)(word)probe->target);
	put16(tss + 0x10, 0x802);
	for (unsigned i = 0; i < 8; i++)
		put16(tss + 0x12 + 2 * i, (u16)(0x101 * i));
	put16(tss + 0x1a, 0x7000);
	put16(tss + 0x22, SEL_DATA);
	put16(tss + 0x24, SEL_CODE16);
	put16(tss + 0x26, SEL_DATA16);
	put16(tss + 0x28, SEL_DATA);
}

/* A task gate in the GDT: arg its access byte, arg2 the selector in it. */
static void task_gate(const struct probe *probe)
{
	static const struct probe plain;
	struct probe task = plain;

	task.target = probe->target;
	task_make(&task);
	gdt_set(SEL_ODD, gate_low(0, (u16)probe->arg2, probe->arg, 0), 0);
}

/* The same in the IDT, for every vector that is not the end. */
static void task_gate_idt(const struct probe *probe)
{
	static const struct probe plain;
	struct probe task = plain;

	task.target = probe->target;
	task_make(&task);
	idt_set(0x30, 0, (u16)probe->arg2, probe->arg, 0);
	idt_set(6, 0, (u16)probe->arg2, probe->arg, 0);
	if (!probe->ax)
		return;
	idt_set(13, 0, (u16)probe->arg2, probe->arg, 0);
}

/* Makes the task to which an IRET with NT goes. arg is the link to it. */
static void task_link(const struct probe *probe)
{
	static const struct probe plain;
	struct probe task = plain;

	task.target = probe->target;
	task_make(&task);
	if (probe->arg2)
		gdt_set(SEL_TSS_B, probe_gdt[SEL_TSS_B / 8] | (u64)2 << 40, 0);
	put16(probe_tss, (u16)probe->arg);
}

static void print_tasks(const struct probe *probe)
{
	u16 tr;

	asm("str %0" : "=r"(tr));
	print_named("tr", tr);
	print_named("old", probe_gdt[SEL_TSS / 8] >> 40 & 15);
	print_named("new", probe_gdt[SEL_TSS_B / 8] >> 40 & 15);
	print_named("link", *(const u16 *)(const void *)probe_tss_b);
	if (get32(probe_tss + TASK_IP)) {
		print_named("saved", get32(probe_tss + TASK_IP) - (u32)(word)probe->code);
		print_named("flags", get32(probe_tss + TASK_IP + 4) & 0x3f7700);
		print_named("esp", get32(probe_tss + TASK_ESP));
	}
	print_named("TS", cr0_read() >> 3 & 1);
}

#define TASK .before = task_make, .after = print_tasks, .target = in_task

static const struct probe probes[] = {
        {"JMP", jump, TASK},
        {"CALL", call, TASK},
        {"CALL and IRET", call, .before = task_make, .after = print_tasks, .target = in_task_return},
        {"JMP in ring 3", jump, TASK, .ring = 3},
        {"CALL busy", call, .before = task_link, .arg2 = 1, .target = in_task},
        {"JMP to itself", jump_self, TASK},
        {"JMP not present", jump_absent, TASK},
        {"JMP too short", jump_cut, TASK},
        {"CALL, LDT beyond the GDT", call, TASK, .arg = TASK_LDT, .arg2 = SEL_BEYOND},
        {"CALL, LDT a TSS", call, TASK, .arg = TASK_LDT, .arg2 = SEL_TSS_16},
        {"CALL, LDT in an LDT", call, TASK, .arg = TASK_LDT, .arg2 = LDT_DATA},
        {"CALL, no LDT", call, TASK, .arg = TASK_LDT, .arg2 = 0},
        {"CALL, CS null", call, TASK, .arg = TASK_CS, .arg2 = 0},
        {"CALL, CS data", call, TASK, .arg = TASK_CS, .arg2 = SEL_DATA},
        {"CALL, CS beyond the GDT", call, TASK, .arg = TASK_CS, .arg2 = SEL_BEYOND},
        {"CALL, CS not present", call, TASK, .arg = TASK_CS, .arg2 = SEL_CODE_NP},
        {"CALL, CS conforming", call, TASK, .arg = TASK_CS, .arg2 = SEL_CONFORM},
        {"CALL, IP beyond CS", call, TASK, .arg = TASK_CS, .arg2 = SEL_CODE_CUT},
        {"CALL, SS null", call, TASK, .arg = TASK_SS, .arg2 = 0},
        {"CALL, SS RPL 3", call, TASK, .arg = TASK_SS, .arg2 = SEL_DATA3},
        {"CALL, SS read only", call, TASK, .arg = TASK_SS, .arg2 = SEL_RONLY},
        {"CALL, DS null", call, TASK, .arg = TASK_DS, .arg2 = 0},
        {"CALL, DS execute only", call, TASK, .arg = TASK_DS, .arg2 = SEL_XONLY},
        {"CALL, DS beyond the GDT", call, TASK, .arg = TASK_DS, .arg2 = SEL_BEYOND},
        {"CALL, DS not present", call, TASK, .arg = TASK_DS, .arg2 = SEL_DATA_NP},
        {"CALL with the trap bit", call, TASK, .arg = TASK_TRAP, .arg2 = 1},
        {"JMP to 16 bits", jump_16, .before = task_make_16, .after = print_tasks, .target = in_task_16},
        {"CALL to 16 bits and IRET", call_16, .before = task_make_16, .after = print_tasks,
                .target = in_task_16_return},
        {"JMP by a task gate", jump_gate, .before = task_gate, .after = print_tasks, .arg = 0x85,
                .arg2 = SEL_TSS_B, .target = in_task},
        {"CALL by a task gate", call_gate, .before = task_gate, .after = print_tasks, .arg = 0x85,
                .arg2 = SEL_TSS_B, .target = in_task_return},
        {"CALL by a task gate of level 0 in ring 3", call_gate, .ring = 3, .before = task_gate, .arg = 0x85,
                .arg2 = SEL_TSS_B},
        {"CALL by a task gate of level 3 in ring 3", call_gate, .ring = 3, .before = task_gate,
                .after = print_tasks, .arg = 0xe5, .arg2 = SEL_TSS_B, .target = in_task},
        {"JMP by a task gate, not present", jump_gate, .before = task_gate, .arg = 0x05, .arg2 = SEL_TSS_B},
        {"JMP by a task gate, to itself", jump_gate, .before = task_gate, .arg = 0x85, .arg2 = SEL_TSS},
        {"JMP by a task gate, to data", jump_gate, .before = task_gate, .arg = 0x85, .arg2 = SEL_DATA},
        {"JMP by a task gate, TSS not present", jump_gate, .before = task_gate, .arg = 0x85,
                .arg2 = SEL_TSS_NP},
        {"INT by a task gate", interrupt, .before = task_gate_idt, .after = print_tasks, .arg = 0x85,
                .arg2 = SEL_TSS_B, .target = in_task},
        {"INT by a task gate and IRET", interrupt, .before = task_gate_idt, .after = print_tasks, .arg = 0x85,
                .arg2 = SEL_TSS_B, .target = in_task_return},
        {"INT by a task gate of level 0 in ring 3", interrupt, .ring = 3, .before = task_gate_idt,
                .arg = 0x85, .arg2 = SEL_TSS_B},
        {"INT by a task gate, TSS busy", interrupt, .before = task_gate_idt, .arg = 0x85, .arg2 = SEL_TSS},
        {"INT by a task gate, TSS not present", interrupt, .before = task_gate_idt, .arg = 0x85,
                .arg2 = SEL_TSS_NP},
        {"#UD by a task gate", undefined, .before = task_gate_idt, .after = print_tasks, .arg = 0x85,
                .arg2 = SEL_TSS_B, .target = in_task},
        {"#UD by a task gate in ring 3", undefined, .ring = 3, .before = task_gate_idt, .after = print_tasks,
                .arg = 0x85, .arg2 = SEL_TSS_B, .target = in_task},
        {"#UD by a task gate, TSS busy", undefined, .before = task_gate_idt, .arg = 0x85, .arg2 = SEL_TSS},
        {"#GP by a task gate, with its error code", fault, .ax = SEL_XONLY, .before = task_gate_idt,
                .after = print_tasks, .arg = 0x85, .arg2 = SEL_TSS_B, .target = in_task_error},
        {"IRET with NT", return_nested, .before = task_link, .after = print_tasks, .arg = SEL_TSS_B,
                .arg2 = 1, .target = in_task},
        {"IRET with NT, not busy", return_nested, .before = task_link, .arg = SEL_TSS_B, .target = in_task},
        {"IRET with NT, to data", return_nested, .before = task_link, .arg = SEL_DATA, .target = in_task},
        {"IRET with NT, to null", return_nested, .before = task_link, .arg = 0, .target = in_task},
        {"IRET with NT, to the LDT", return_nested, .before = task_link, .arg = LDT_DATA, .target = in_task},
};

const struct chapter chapter_task = {"task switches", probes, COUNT(probes), NULL};
