/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate: far transfers and returns: direct, by call gates with and without privilege change, IRET; and what
 * interrupt and trap gates check.
 */
#include "chapters.h"

#ifdef __x86_64__
#define LRET "lretq"
#define IRET "iretq"
#else
#define LRET "lretl"
#define IRET "iretl"
#endif
#define GATE 0x8c /* of 32 bits, or 64 in long mode */
#define A    "%" TEXT(REG(ax))
#define B    "%" TEXT(REG(bx))
#define C    "%" TEXT(REG(cx))

/* A far pointer in memory, since 64-bit mode has no others. */
CODE(gate_jump, "movw $" TEXT(SEL_GATE) ", 0x86004\n ljmpl *0x86000");
CODE(gate_call, "movw $" TEXT(SEL_GATE) "+3, 0x86004\n push $1\n push $2\n push $3\n lcall *0x86000");
CODE(gate_call_0, "movw $" TEXT(SEL_GATE) ", 0x86004\n lcall *0x86000");
CODE(arrive, "nop");
CODE(arrive_return, LRET);
CODE(far_return, "push " B "\n push $0x87000\n push " A "\n push $1f\n " LRET "\n 1:");
CODE(far_return_same, "push $5\n push " A "\n push $1f\n " LRET "\n 1:");
CODE(far_return_release,
        "push " B "\n push $0x87000\n push $1\n push " A "\n push $1f\n " LRET " $" TEXT(WORD) "\n 1:");
CODE(iret_outer, "push " B "\n push $0x87000\n push " C "\n push " A "\n push $1f\n " IRET "\n 1:");
CODE(interrupt, "int $0x30");
CODE(breakpoint, "int3");
CODE(undefined, "ud2");

static void stack_clear(void)
{
	for (u32 at = STACK_IN - 64; at < STACK_IN; at += 4)
		put32((void *)(word)at, 0);
}

/* arg: access; arg2: selector; bx: parameters. */
static void gate_make(const struct probe *probe)
{
	stack_clear();
	gdt_set(SEL_GATE, gate_low((word)probe->target, (u16)probe->arg2, probe->arg, (u32)probe->bx), 0);
}

static void idt_make(const struct probe *probe)
{
	stack_clear();
	idt_set(0x30, (word)probe->target, (u16)probe->arg2, probe->arg, 0);
	idt_set(6, (word)probe->target, (u16)probe->arg2, probe->arg, 0);
}

static void idt_cut(const struct probe *probe)
{
	table_load_idt(0x30 * 2 * WORD - 1);
}

/* The inner stack as it was found, from the top. */
static void print_frame(const struct probe *probe)
{
	print(" stack");
	for (word at = STACK_IN - WORD; at >= probe_seen.sp && at > STACK_IN - 64; at -= WORD) {
		word value = *(const volatile word *)at;

		print(" ");
		if (value - (word)probe->code < 64) {
			print("+");
			value -= (word)probe->code;
		}
		print_hex(value);
	}
}

#define VIA(access, selector) .before = gate_make, .arg = access, .arg2 = selector, .target = arrive

#ifndef __x86_64__
/* Gates of 16 bits: frames of 2 bytes, on which the way in of the runner does not count. */
CODE(arrive_16, CODE_16 "pop %ax\n pop %bx\n pop %cx\n pop %dx\n pop %si\n pop %di\n sub $6, %sp");
CODE(call_16, "movw $" TEXT(SEL_GATE) "+3, 0x86004\n pushw $1\n pushw $2\n lcall *0x86000");

static void gate_make_16(const struct probe *probe)
{
	stack_clear();
	gdt_set(SEL_GATE, gate_low((u16)(word)probe->target, SEL_CODE16, probe->arg, probe->arg2), 0);
}

static void idt_make_16(const struct probe *probe)
{
	idt_set(0x30, (u16)(word)probe->target, SEL_CODE16, probe->arg, 0);
}
#endif

static const struct probe probes[] = {
        {"JMP by a gate", gate_jump, VIA(GATE, SEL_CODE)},
        {"JMP by a gate to conforming code in ring 3", gate_jump, VIA(GATE | 0x60, SEL_CONFORM), .ring = 3},
        {"JMP by a gate inwards", gate_jump, VIA(GATE | 0x60, SEL_CODE), .ring = 3},
        {"JMP by a gate of level 0 in ring 3", gate_jump, VIA(GATE, SEL_CODE), .ring = 3},
        {"CALL by a gate", gate_call_0, VIA(GATE, SEL_CODE), .after = print_frame},
        {"CALL by a gate with RPL 3 of level 0", gate_call, VIA(GATE, SEL_CODE)},
        {"CALL inwards", gate_call, VIA(GATE | 0x60, SEL_CODE), .ring = 3, .after = print_frame},
        {"CALL inwards and back", gate_call, .before = gate_make, .arg = GATE | 0x60, .arg2 = SEL_CODE,
                .target = arrive_return, .ring = 3, .stack = true},
        {"CALL inwards with parameters", gate_call, VIA(GATE | 0x60, SEL_CODE), .bx = 2, .ring = 3,
                .after = print_frame},
        {"CALL conforming code in ring 3", gate_call, VIA(GATE | 0x60, SEL_CONFORM), .ring = 3,
                .stack = true},
        {"CALL to level 3 in ring 0", gate_call_0, VIA(GATE, SEL_CODE3)},
        {"CALL by a gate, not present", gate_call, VIA((GATE & 0x7f) | 0x60, SEL_CODE), .ring = 3},
        {"CALL by a gate, code not present", gate_call, VIA(GATE | 0x60, SEL_CODE_NP), .ring = 3},
        {"CALL by a gate, code null", gate_call, VIA(GATE | 0x60, 3), .ring = 3},
        {"CALL by a gate to data", gate_call, VIA(GATE | 0x60, SEL_DATA), .ring = 3},
        {"CALL by a gate to beyond the GDT", gate_call, VIA(GATE | 0x60, SEL_BEYOND), .ring = 3},

        {"RET outwards", far_return, .ax = SEL_CODE3, .bx = SEL_DATA3, .stack = true},
        {"RET outwards, releasing", far_return_release, .ax = SEL_CODE3, .bx = SEL_DATA3, .stack = true},
        {"RET outwards, SS null", far_return, .ax = SEL_CODE3, .bx = 0},
        {"RET outwards, SS RPL 0", far_return, .ax = SEL_CODE3, .bx = SEL_DATA},
        {"RET outwards, SS level 0", far_return, .ax = SEL_CODE3, .bx = SEL_DATA | 3},
        {"RET outwards, SS not present", far_return, .ax = SEL_CODE3, .bx = SEL_ODD | 3},
        {"RET outwards to conforming code", far_return, .ax = SEL_CONFORM | 3, .bx = SEL_DATA3},
        {"RET outwards to level 0", far_return, .ax = SEL_CODE | 3, .bx = SEL_DATA3},
        {"RET to the same level", far_return_same, .ax = SEL_CODE, .stack = true},
        {"RET to null", far_return_same, .ax = 0},
        {"RET to data", far_return_same, .ax = SEL_DATA},
        {"RET to not present", far_return_same, .ax = SEL_CODE_NP},
        {"RET to execute only", far_return_same, .ax = SEL_XONLY},
        {"RET beyond the GDT", far_return_same, .ax = SEL_BEYOND},
        {"RET inwards", far_return_same, .ax = SEL_CODE, .ring = 3},
        {"RET in ring 3", far_return_same, .ax = SEL_CODE3, .ring = 3},

        {"IRET outwards", iret_outer, .ax = SEL_CODE3, .bx = SEL_DATA3, .cx = 0x202, .stack = true},
        {"IRET outwards with IOPL, AC, ID", iret_outer, .ax = SEL_CODE3, .bx = SEL_DATA3, .cx = 0x243002},
        {"IRET to conforming code", iret_outer, .ax = SEL_CONFORM | 3, .bx = SEL_DATA3, .cx = 2},
        {"IRET outwards, SS null", iret_outer, .ax = SEL_CODE3, .bx = 3, .cx = 2},
        {"IRET outwards, SS of code", iret_outer, .ax = SEL_CODE3, .bx = SEL_CODE3, .cx = 2},
        {"IRET to ring 1", iret_outer, .ax = SEL_CODE1, .bx = SEL_DATA1, .cx = 2, .stack = true},
        {"IRET to data", iret_outer, .ax = SEL_DATA, .bx = SEL_DATA, .cx = 2},
        {"IRET to not present", iret_outer, .ax = SEL_CODE_NP, .bx = SEL_DATA, .cx = 2},
        {"IRET inwards", iret_outer, .ax = SEL_CODE, .bx = SEL_DATA, .cx = 2, .ring = 3},
        {"IRET in ring 3 keeps IF and IOPL", iret_outer, .ax = SEL_CODE3, .bx = SEL_DATA3, .cx = 0x3202,
                .ring = 3},
        {"IRET in ring 3 with IOPL 3 sets IF", iret_outer, .ax = SEL_CODE3, .bx = SEL_DATA3, .cx = 0x202,
                .ring = 3, .flags = FLAG_IOPL},

        {"INT by an interrupt gate", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = SEL_CODE,
                .target = arrive, .flags = FLAG_IF},
        {"INT by a trap gate", interrupt, .before = idt_make, .arg = 0x8f, .arg2 = SEL_CODE, .target = arrive,
                .flags = FLAG_IF},
        {"INT inwards", interrupt, .before = idt_make, .arg = 0xee, .arg2 = SEL_CODE, .target = arrive,
                .ring = 3, .after = print_frame},
        {"INT by a gate of level 0 in ring 3", interrupt, .ring = 3},
        {"INT3 by a gate of level 0 in ring 3", breakpoint, .ring = 3},
        {"INT3", breakpoint},
        {"INT, gate not present", interrupt, .before = idt_make, .arg = 0x0e, .arg2 = SEL_CODE},
        {"INT, gate of a wrong type", interrupt, .before = idt_make, .arg = 0x8c, .arg2 = SEL_CODE},
        {"INT, code not present", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = SEL_CODE_NP},
        {"INT, code null", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = 0},
        {"INT, code is data", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = SEL_DATA},
        {"INT, code of level 3", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = SEL_CODE3},
        {"INT, code beyond the GDT", interrupt, .before = idt_make, .arg = 0x8e, .arg2 = SEL_BEYOND},
        {"INT in ring 3 to conforming code", interrupt, .before = idt_make, .arg = 0xee, .arg2 = SEL_CONFORM,
                .target = arrive, .ring = 3},
        {"INT beyond the IDT", interrupt, .before = idt_cut},
        {"#UD, gate not present", undefined, .before = idt_make, .arg = 0x0e, .arg2 = SEL_CODE},
        {"#UD, code null", undefined, .before = idt_make, .arg = 0x8e, .arg2 = 0},
        {"#UD, code is data", undefined, .before = idt_make, .arg = 0x8e, .arg2 = SEL_DATA},
        {"#UD, code not present", undefined, .before = idt_make, .arg = 0x8e, .arg2 = SEL_CODE_NP},
};

#ifndef __x86_64__
static const struct probe narrow[] = {
        {"CALL by a gate of 16 bits", call_16, .before = gate_make_16, .arg = 0xe4, .target = arrive_16},
        {"CALL inwards by a gate of 16 bits", call_16, .ring = 3, .before = gate_make_16, .arg = 0xe4,
                .arg2 = 2, .target = arrive_16},
        {"INT by a gate of 16 bits", interrupt, .before = idt_make_16, .arg = 0x86, .target = arrive_16,
                .flags = FLAG_IF},
        {"INT by a trap gate of 16 bits", interrupt, .before = idt_make_16, .arg = 0x87, .target = arrive_16,
                .flags = FLAG_IF},
        {"INT inwards by a gate of 16 bits", interrupt, .ring = 3, .before = idt_make_16, .arg = 0xe6,
                .target = arrive_16},
};

const struct chapter chapter_narrow = {"gates of 16 bits", narrow, COUNT(narrow), NULL};
#endif

const struct chapter chapter_gate = {"gates and returns", probes, COUNT(probes), NULL};
