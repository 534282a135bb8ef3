/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modes: changes from protected mode into long mode and back, and changes that the processor refuses.
 */
#include "chapters.h"

#define EFER     0xc0000080
#define PAE      0x20
#define PG       0x80000000
#define POINTERS (PAGES_TEST + 0x7000)

CODE(into_long, "mov %eax, %cr4\n mov %ebx, %cr3\n mov $" TEXT(
                        EFER) ", %ecx\n xor %edx, %edx\n mov $0x100, %eax\n wrmsr\n"
                              "mov $0x80010033, %eax\n mov %eax, %cr0\n rdmsr\n mov %eax, %esi\n mov "
                              "$0x00010033, %eax\n mov %eax, %cr0\n"
                              "rdmsr");
CODE(long_code,
        "mov %eax, %cr4\n mov %ebx, %cr3\n mov $" TEXT(
                EFER) ", %ecx\n xor %edx, %edx\n mov $0x100, %eax\n wrmsr\n"
                      "mov $0x80010033, %eax\n mov %eax, %cr0\n ljmp $" TEXT(
                              SEL_CODE64) ", $1f\n .code64\n"
                                          "1: mov $0x123456789, %rdi\n shr $32, %rdi\n movl $2f, 0x86000\n "
                                          "movw $" TEXT(
                                                  SEL_CODE) ", 0x86004\n"
                                                            "ljmpl *0x86000\n .code32\n 2: mov $0x00010033, "
                                                            "%eax\n mov %eax, %cr0\n rdmsr");
CODE(paging_on, "mov %eax, %cr4\n mov %ebx, %cr3\n mov %ecx, %cr0");
CODE(paging_lme,
        "mov %eax, %cr4\n mov %ebx, %cr3\n mov %ecx, %cr0\n mov $" TEXT(EFER) ", %ecx\n xor %edx, %edx\n"
                                                                              "mov $0x100, %eax\n wrmsr");

/* One to one, in pages of 2 MiB: four levels, and the same without the highest. */
static void tables(const struct probe *probe)
{
	for (u32 at = PAGES_TEST; at < PAGES_TEST + 0x8000; at += 4)
		put32((void *)(word)at, 0);
	put32((void *)PAGES_TEST, (PAGES_TEST + 0x1000) | PAGE_ALL);
	for (u32 i = 0; i < 4; i++) {
		put32((void *)(word)(PAGES_TEST + 0x1000 + i * 8),
		        (PAGES_TEST + 0x2000 + i * 0x1000) | PAGE_ALL);
		put32((void *)(word)(POINTERS + i * 8),
		        (PAGES_TEST + 0x2000 + i * 0x1000) | 1 | (i ? 0 : probe->arg));
	}
	for (u32 i = 0; i < 2048; i++)
		put32((void *)(word)(PAGES_TEST + 0x2000 + i * 8), i << 21 | PAGE_LARGE | PAGE_ALL);
}

static const struct probe probes[] = {
        {"into long mode and back", into_long, .ax = CR4_START | PAE, .bx = PAGES_TEST, .before = tables},
        {"into 64-bit mode and back", long_code, .ax = CR4_START | PAE, .bx = PAGES_TEST, .before = tables},
        {"PAE", paging_on, .ax = CR4_START | PAE, .bx = POINTERS, .cx = CR0_START | PG, .before = tables},
};

static const struct probe refused[] = {
        {"PAE, reserved bit in an entry of the highest level", paging_on, .ax = CR4_START | PAE,
                .bx = POINTERS, .cx = CR0_START | PG, .before = tables, .arg = 2},
        {"LME while paging", paging_lme, .ax = CR4_START | PAE, .bx = POINTERS, .cx = CR0_START | PG,
                .before = tables},
};

const struct chapter chapter_modes = {"modes", probes, COUNT(probes), NULL};
const struct chapter chapter_modes_refused = {"refused modes", refused, COUNT(refused), NULL};
