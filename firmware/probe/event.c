/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: interrupts at every boundary, NMI and its blocking, breakpoints and single steps, faults in the
 * delivery of faults. The local APIC interrupts itself.
 */
#include "chapters.h"

#define APIC        0xfee00000
#define APIC_EOI    0xb0
#define APIC_SPIV   0xf0
#define APIC_LVTT   0x320
#define APIC_LVT0   0x350
#define APIC_COUNT  0x380
#define APIC_DIVIDE 0x3e0

#define VECTOR      0x50
#define VECTOR_HIGH 0x58 /* of a higher class only in its lower bits */
#define VECTOR_PIC  0x40
#define ICR_NMI     0x400

#define AX "%" TEXT(REG(ax))
#define CX "%" TEXT(REG(cx))
#define SP "%" TEXT(REG(sp))

/* EDI holds the APIC's address, ESI what goes into its interrupt command register. */
#define SEND "movl %esi, 0x300(%" TEXT(REG(di)) ")\n"

CODE(send, SEND "nop\n nop");
CODE(send_sti, SEND "nop\n sti\n 1: nop\n nop\n nop");
CODE(sti_cli, SEND "sti\n cli\n nop\n nop");
CODE(ss_shadow, SEND "mov %ss, %ecx\n sti\n nop\n mov %ax, %ss\n nop\n nop");
CODE(pop_flags, SEND "push $0x202\n popf\n nop\n nop");
CODE(sti_hlt, SEND "sti\n hlt\n nop");
CODE(sti_jump, SEND "sti\n jmp 1f\n nop\n 1: nop\n nop");
CODE(two, SEND "movl $0x44058, 0x300(%" TEXT(REG(di)) ")\n sti\n nop\n nop\n nop");
CODE(iret_if, SEND "mov " SP ", " CX "\n"
#ifdef __x86_64__
                   "push %rax\n push %rcx\n"
#endif
                   "push $0x202\n push $" TEXT(SEL_CODE) "\n push $1f\n"
#ifdef __x86_64__
                                                         "iretq\n 1:"
#else
                                                         "iret\n 1:"
#endif
                                                         "nop\n nop\n mov $0, %ecx");
CODE(string, "cld\n sti\n rep lodsb\n nop");
CODE(wait, "1: jmp 1b");
CODE(halt_wait, "sti\n hlt\n nop");
CODE(mmio_string, "cld\n rep movsl");
CODE(nmi_ss, "mov %ax, %ss\n" SEND "nop\n nop");

/* Sends another NMI when it comes first, and notes how often it has come by then. */
CODE(nmi_handler, "inc %ebx\n cmp $1, %ebx\n jne 1f\n" SEND "nop\n nop\n mov %ebx, %edx\n 1:"
#ifdef __x86_64__
                  "iretq"
#else
                  "iret"
#endif
);

CODE(steps, "nop\n nop\n nop");
CODE(step_ss, "nop\n mov %ax, %ss\n nop\n nop");
CODE(step_sti, "sti\n nop\n cli");
CODE(step_iret, "mov " SP ", " CX "\n"
#ifdef __x86_64__
                "push $" TEXT(SEL_DATA) "\n push %rcx\n"
#endif
                                        "push $0x102\n push $" TEXT(
                                                SEL_CODE) "\n push $1f\n"
#ifdef __x86_64__
                                                          "iretq\n"
#else
                                  "iret\n"
#endif
                                                          "1: nop\n push $2\n popf\n mov $0, %ecx");
CODE(step_popf, "push $0x102\n popf\n nop\n push $2\n popf\n nop");
CODE(step_pushf, "pushf\n pop " AX);
CODE(step_rep, "cld\n rep stosb\n nop");
CODE(step_int, "int $0x30\n nop");
CODE(step_fault, "nop\n ud2");
CODE(step_into_clear, "push $2\n popf\n nop\n nop");
CODE(step_branch, "jmp 1f\n nop\n 1: nop");
CODE(int1, ".byte 0xf1");
CODE(break_code, "nop\n nop\n nop");
CODE(break_data, "mov %al, (%" TEXT(REG(bx)) ")\n mov (%" TEXT(REG(bx)) "), %al\n nop");
CODE(break_wide, "mov %eax, (%" TEXT(REG(bx)) ")\n nop");
CODE(break_string, "cld\n rep stosb\n nop");
CODE(break_io, "in $0x80, %al\n mov $0, %eax\n nop");
CODE(dr7_detect, "mov %dr0, " AX);
CODE(dr4, "mov %dr4, " AX "\n mov $0, %eax");
CODE(dr_ring3, "mov %dr0, " AX);
CODE(dr_read, "mov %dr6, " AX "\n mov %dr7, " CX);

CODE(undefined, "ud2");
CODE(bad_selector, "mov %ax, %ds");
CODE(divide, "xor %ecx, %ecx\n div %ecx");

static void apic_write(u32 reg, u32 value)
{
	*(volatile u32 *)(word)(APIC + reg) = value;
}

static void apic_on(const struct probe *probe)
{
	apic_write(APIC_SPIV, 0x15f);
	apic_write(APIC_LVTT, 0x10000);
}

CODE(drain, "sti\n nop\n nop");

/* Ends what is in service and takes what still waits. */
static void eoi(const struct probe *probe)
{
	const struct state open = {
	        .ip = (word)drain, .cs = SEL_CODE, .ss = SEL_DATA, .ds = SEL_DATA, .sp = STACK_0, .flags = 2};

	apic_write(APIC_LVTT, 0x10000);
	for (unsigned i = 0; i < 8; i++) {
		apic_write(APIC_EOI, 0);
		probe_enter(&open);
		if (probe_seen.vector == VECTOR_DONE)
			break;
	}
}

/* arg: ticks of the APIC's timer from now. */
static void timer(const struct probe *probe)
{
	apic_on(probe);
	apic_write(APIC_DIVIDE, 0xb);
	apic_write(APIC_LVTT, VECTOR);
	apic_write(APIC_COUNT, probe->arg);
}

/* The PIT's only tick, by the PICs and the APIC's pin 0. */
static void pit(const struct probe *probe)
{
	static const u8 init[] = {0x11, VECTOR_PIC, 4, 1};

	apic_on(probe);
	apic_write(APIC_LVT0, 0x700);
	out8(0x20, init[0]);
	for (unsigned i = 1; i < COUNT(init); i++)
		out8(0x21, init[i]);
	out8(0x21, 0xfe);
	out8(0x43, 0x30);
	out8(0x40, 0x00);
	out8(0x40, 0x01);
}

static void pit_done(const struct probe *probe)
{
	out8(0x20, 0x20);
	out8(0x21, 0xff);
	apic_write(APIC_LVT0, 0x10700);
}

/* Prints only that a string was interrupted and can go on, because the place depends on time. */
static void string_done(const struct probe *probe)
{
	word done = probe_seen.si - probe->si, left = probe_seen.cx;

	print(done + left == probe->cx ? " adds up" : " lost count");
	eoi(probe);
}

static void dr_set(word dr0, word dr7)
{
	dr0_write(dr0);
	dr7_write(dr7 | 0x400);
}

static void nmi_nested(const struct probe *probe)
{
	apic_on(probe);
	idt_set(2, (word)nmi_handler, SEL_CODE, 0x8e, 0);
}

/* arg: offset in the code. */
static void watch_code(const struct probe *probe)
{
	dr_set((word)probe->code + probe->arg, 0x2);
}

/* arg: the control bits of DR7; arg2: the address. */
static void watch(const struct probe *probe)
{
	if (probe->arg2 < 0x1000)
		cr4_write(CR4_START | 8);
	dr_set(probe->arg2, probe->arg);
}

static void detect(const struct probe *probe)
{
	dr7_write(0x2400);
}

static void debug_extensions(const struct probe *probe)
{
	cr4_write(CR4_START | 8);
}

#ifdef __x86_64__
CODE(push_nowhere, "mov %rbx, %rsp\n push %rax");

static void stack_apart(const struct probe *probe)
{
	idt_set(8, vector_entry(8), SEL_CODE, 0x8e, 1);
}

static void print_cr2(const struct probe *probe)
{
	print_named("cr2", cr2_read());
}
#endif

static void idt_missing(const struct probe *probe)
{
	idt_set(probe->arg, 0, SEL_CODE, 0x0e, 0);
	if (probe->arg2)
		idt_set(probe->arg2, 0, SEL_CODE, 0x0e, 0);
}

#define NMI_TO_SELF .si = 0x4000 | ICR_NMI, .di = APIC
#define TO_SELF     .si = 0x44000 | VECTOR, .di = APIC, .ax = SEL_DATA, .before = apic_on, .after = eoi

static const struct probe probes[] = {
        {"interrupt with IF clear", send, TO_SELF},
        {"interrupt with IF set", send, TO_SELF, .flags = FLAG_IF, .resume = {VECTOR}},
        {"STI lets one instruction pass", send_sti, TO_SELF},
        {"STI, CLI", sti_cli, TO_SELF},
        {"MOV SS with IF set", ss_shadow, TO_SELF},
        {"POPF sets IF", pop_flags, TO_SELF},
        {"STI, HLT", sti_hlt, TO_SELF},
        {"STI, JMP", sti_jump, TO_SELF},
        {"IRET sets IF", iret_if, TO_SELF},
        {"two waiting, the higher first", two, TO_SELF},
        {"LODS interrupted", string, .cx = 0x1000000, .si = 0x100000, .before = timer, .arg = 1000,
                .after = string_done, .quiet = true},
        {"timer in HLT", halt_wait, .before = timer, .arg = 1000, .after = eoi},
        {"timer in a loop", wait, .flags = FLAG_IF, .before = timer, .arg = 1000, .after = eoi},
        {"timer in ring 3", wait, .ring = 3, .flags = FLAG_IF, .before = timer, .arg = 1000, .after = eoi},
        {"PIT in HLT", halt_wait, .before = pit, .after = pit_done},

        {"NMI", send, NMI_TO_SELF, .before = apic_on},
        {"NMI and on", send, NMI_TO_SELF, .before = apic_on, .resume = {2}},
        {"NMI behind MOV SS", nmi_ss, NMI_TO_SELF, .ax = SEL_DATA, .before = apic_on},
        {"NMI in ring 3", send, NMI_TO_SELF, .before = apic_on, .ring = 3},

        {"NMI in an NMI waits for IRET", send, NMI_TO_SELF, .before = nmi_nested},

        {"TF", steps, .flags = FLAG_TF, .resume = {1}},
        {"TF in ring 3", steps, .ring = 3, .flags = FLAG_TF, .resume = {1}},
        {"TF and MOV SS", step_ss, .ax = SEL_DATA, .flags = FLAG_TF, .resume = {1}},
        {"TF by POPF", step_popf, .resume = {1}},
        {"TF and STI", step_sti, .flags = FLAG_TF, .resume = {1}},
        {"TF by IRET", step_iret, .resume = {1}},
        {"TF is pushed", step_pushf, .flags = FLAG_TF, .resume = {1}},
        {"TF in REP", step_rep, .cx = 2, .di = SCRATCH, .flags = FLAG_TF, .resume = {1}},
        {"TF and INT", step_int, .flags = FLAG_TF, .resume = {1, 0x30}},
        {"TF and a fault", step_fault, .flags = FLAG_TF, .resume = {1}},
        {"TF and a jump", step_branch, .flags = FLAG_TF, .resume = {1}},
        {"TF cleared by POPF", step_into_clear, .flags = FLAG_TF, .resume = {1}},
        {"INT1", int1},
        {"breakpoint", break_code, .before = watch_code, .arg = 1},
        {"breakpoint passed by RF", break_code, .before = watch_code, .arg = 1, .resume = {1}},
        {"breakpoint at the first instruction with RF", break_code, .before = watch_code, .flags = FLAG_RF},
        {"breakpoint at the first instruction", break_code, .before = watch_code},
        {"watch writes", break_data, .bx = SCRATCH, .before = watch, .arg = 0x10002, .arg2 = SCRATCH,
                .resume = {1}},
        {"watch reads and writes", break_data, .bx = SCRATCH, .before = watch, .arg = 0x30002,
                .arg2 = SCRATCH, .resume = {1}},
        {"watch another byte", break_data, .bx = SCRATCH, .before = watch, .arg = 0x10002,
                .arg2 = SCRATCH + 1, .resume = {1}},
        {"watch a part of a write", break_wide, .bx = SCRATCH, .before = watch, .arg = 0x10002,
                .arg2 = SCRATCH + 3, .resume = {1}},
        {"watch four bytes", break_data, .bx = SCRATCH + 2, .before = watch, .arg = 0xd0002, .arg2 = SCRATCH,
                .resume = {1}},
        {"watch in REP", break_string, .cx = 3, .di = SCRATCH, .before = watch, .arg = 0x10002,
                .arg2 = SCRATCH + 1, .resume = {1}},
        {"watch a port", break_io, .before = watch, .arg = 0x20002, .arg2 = 0x80, .resume = {1}},
        {"general detect", dr7_detect, .before = detect},
        {"DR4 is DR6", dr4},
        {"DR4 with DE", dr4, .before = debug_extensions},
        {"DR0 in ring 3", dr_ring3, .ring = 3},
        {"DR6, DR7", dr_read},

#ifdef __x86_64__
        {"#DF by #PF in #PF", push_nowhere, .bx = 0x400001000, .before = stack_apart, .after = print_cr2},
#endif
        {"#NP in #UD", undefined, .before = idt_missing, .arg = 6},
        {"#DF by #NP in #GP", bad_selector, .ax = SEL_XONLY, .before = idt_missing, .arg = 13},
        {"#DF by #NP in #DE", divide, .before = idt_missing, .arg = 0},
        {"#DF by #NP in #NP in #UD", undefined, .before = idt_missing, .arg = 6, .arg2 = 11},
};

const struct chapter chapter_event = {"events", probes, COUNT(probes), NULL};

/* The last test of the image: the machine shuts down, or starts again. */
static void idt_none(const struct probe *probe)
{
	table_load_idt(0);
}

static const struct probe shutdown[] = {
        {"triple fault", undefined, .before = idt_none},
};

const struct chapter chapter_shutdown = {"shutdown", shutdown, COUNT(shutdown), NULL};
