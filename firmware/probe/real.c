/* SPDX-License-Identifier: Apache-2.0 */
/*
 * real: real mode: its interrupts, its limits, and the instructions that it lacks.
 */
#include "chapters.h"

extern u16 real_ip, real_idt;
extern const u8 real_vectors[];
void real_enter(void);

CODE(real_nothing, CODE_16 "nop");
CODE(real_int, CODE_16 "int $0x30");
CODE(real_int3, CODE_16 "int3");
CODE(real_into, CODE_16 "mov $0x7f, %al\n inc %al\n into");
CODE(real_flags, CODE_16 "push $0x7202\n popf\n pushf\n pop %ax\n push $2\n popf");
CODE(real_flags32, CODE_16 "pushl $0x247202\n popfl\n pushfl\n pop %eax\n push $2\n popf");
CODE(real_frame, CODE_16 "push $0x6002\n popf\n int $0x31");
CODE(real_handler, CODE_16 "pop %ax\n pop %bx\n pop %cx\n pushf\n pop %dx\n sub $6, %sp\n push $2\n popf");
CODE(real_ud, CODE_16 "ud2");
CODE(real_div, CODE_16 "div %cl");
CODE(real_bound, CODE_16 "movl $0x50001, 0x100\n bound %ax, 0x100");
CODE(real_lldt, CODE_16 "lldt %ax");
CODE(real_lar, CODE_16 "lar %ax, %bx");
CODE(real_arpl, CODE_16 "arpl %ax, %bx");
CODE(real_str, CODE_16 "str %ax");
CODE(real_sysenter, CODE_16 "sysenter");
CODE(real_syscall, CODE_16 "syscall");
CODE(real_smsw, CODE_16 "smsw %ax");
CODE(real_segment, CODE_16 "mov $0x1234, %ax\n mov %ax, %es\n mov $0x2345, %ax\n push %ax\n pop %ds");
CODE(real_last, CODE_16 "mov 0xfffe, %ax\n xor %ax, %ax");
CODE(real_word, CODE_16 "mov 0xffff, %ax");
CODE(real_word_ss, CODE_16 "mov $0xffff, %bx\n mov %ss:(%bx), %ax");
CODE(real_beyond, CODE_16 "mov $0x10000, %ebx\n mov (%ebx), %al");
CODE(real_far, CODE_16 "lcalll $0x1001, $(1f - 0x10010)\n jmp 2f\n 1: mov %cs, %ax\n lretl\n 2:");
CODE(real_iret, CODE_16 "pushl $0x247002\n pushl $0x1000\n pushl $(1f - 0x10000)\n iretl\n nop\n 1: pushfl\n "
                        "pop %eax\n push $2\n popf");
CODE(real_protected, CODE_16 "mov %cr0, %eax\n or $1, %al\n mov %eax, %cr0\n jmp 1f\n 1: mov $" TEXT(
                             SEL_TSS_B) ", %bx\n ltr %bx\n str %cx\n and $0xfe, %al\n mov %eax, %cr0");
CODE(real_big, CODE_16 "mov %cr0, %eax\n inc %ax\n mov %eax, %cr0\n mov $" TEXT(
                       SEL_DATA) ", %bx\n mov %bx, %ds\n dec %ax\n mov %eax, %cr0\n mov $0x100000, %ebx\n"
                                 "movl $0x5a5a5a5a, (%ebx)\n mov (%ebx), %edx");

static const struct {
	const char *name;
	const u8 *code;
	u16 idt_limit; /* 0: of all vectors */
} tests[] = {
        {"nothing", real_nothing, 0},
        {"INT n", real_int, 0},
        {"INT3", real_int3, 0},
        {"INTO", real_into, 0},
        {"INT beyond the table", real_int, 0x30 * 4 + 2},
        {"INT at its end", real_int, 0x30 * 4 + 3},
        {"frame", real_frame, 0},
        {"POPF", real_flags, 0},
        {"POPFD", real_flags32, 0},
        {"#UD", real_ud, 0},
        {"#DE", real_div, 0},
        {"#BR", real_bound, 0},
        {"LLDT", real_lldt, 0},
        {"LAR", real_lar, 0},
        {"ARPL", real_arpl, 0},
        {"STR", real_str, 0},
        {"SYSENTER", real_sysenter, 0},
        {"SYSCALL without SCE", real_syscall, 0},
        {"SMSW", real_smsw, 0},
        {"segment registers", real_segment, 0},
        {"last word of a segment", real_last, 0},
        {"word at the limit", real_word, 0},
        {"word at the limit of SS", real_word_ss, 0},
        {"byte beyond the limit", real_beyond, 0},
        {"far CALL and RET of 32 bits", real_far, 0},
        {"IRETD", real_iret, 0},
        {"into protected mode and back", real_protected, 0},
        {"limits kept from protected mode", real_big, 0},
};

static void vectors_make(void)
{
	for (u32 i = 0; i < VECTOR_LAST; i++)
		put32((void *)(i * 4), 0x10000000 | (u16)((word)real_vectors + i * 8));
	put32((void *)(0x31 * 4), 0x10000000 | (u16)(word)real_handler);
}

static void run(void)
{
	static const struct state zero,
	        start = {.flags = 2, .cs = 0x1000, .ss = 0x8000, .ds = 0x8000, .es = 0x8000, .vector = 0};

	print("[real mode]\n");
	for (size_t i = 0; i < COUNT(tests); i++) {
		const struct probe probe = {.code = tests[i].code, .target = real_handler};

		print(tests[i].name);
		print(":");
		machine_reset();
		vectors_make();
		real_ip = (u16)(word)tests[i].code;
		real_idt = tests[i].idt_limit ? tests[i].idt_limit : 0x3ff;
		probe_seen = zero;
		real_enter();
		probe_print_event(&probe, &probe_seen);
		probe_print_changes(&probe, &start, &probe_seen);
		print("\n");
	}
}

const struct chapter chapter_real = {"real mode", NULL, 0, run};
