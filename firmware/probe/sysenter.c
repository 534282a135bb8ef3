/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysenter: SYSENTER and SYSEXIT, which AMD's processors have in legacy mode alone; SYSCALL and SYSRET there.
 */
#include "chapters.h"

CODE(sysenter, "sysenter");
CODE(sysexit, ".byte 0x0f, 0x35"); /* 32 bits: the assembler would warn of a choice */
CODE(arrive, "nop");
#ifdef __x86_64__
CODE(sysenter_32, CODE_32 "sysenter");
#endif

/* arg: the selector. Four segments follow each other: code and data of level 0, then of level 3. */
static void entry_make(const struct probe *probe)
{
	msr_write(0x174, probe->arg);
	msr_write(0x175, STACK_IN);
	msr_write(0x176, (word)probe->target);
}

#define ENTRY .before = entry_make, .target = arrive, .arg = SEL_CODE

static const struct probe probes[] = {
        {"SYSENTER in ring 3", sysenter, ENTRY, .ring = 3, .flags = FLAG_IF, .stack = true},
        {"SYSENTER in ring 0", sysenter, ENTRY, .stack = true},
        {"SYSENTER, selector null", sysenter, .before = entry_make, .target = arrive, .arg = 3},
        {"SYSEXIT", sysexit, ENTRY, .dx = (word)arrive, .cx = STACK_3, .stack = true},
        {"SYSEXIT in ring 3", sysexit, ENTRY, .ring = 3},
        {"SYSEXIT, selector null", sysexit, .before = entry_make, .arg = 0},
#ifdef __x86_64__
        {"SYSENTER in compatibility mode", sysenter_32, ENTRY, .cs = SEL_CODE32_3, .ring = 3},
#endif
};

const struct chapter chapter_sysenter = {"SYSENTER", probes, COUNT(probes), NULL};

#ifndef __x86_64__
CODE(syscall, "syscall");
CODE(sysret, "sysret");

/* arg: the first of the four segments that SYSRET goes to. */
static void star_make(const struct probe *probe)
{
	msr_write(0xc0000080, 1);
	msr_write(0xc0000081, (u64)(probe->arg << 16 | SEL_CODE) << 32 | (word)probe->target);
}

static const struct probe legacy[] = {
        {"SYSCALL without SCE", syscall},
        {"SYSCALL in ring 3", syscall, .before = star_make, .target = arrive, .ring = 3, .flags = FLAG_IF,
                .stack = true},
        {"SYSCALL in ring 0", syscall, .before = star_make, .target = arrive},
        {"SYSRET", sysret, .before = star_make, .target = arrive, .cx = (word)arrive, .arg = SEL_CODE3},
        {"SYSRET in ring 3", sysret, .before = star_make, .ring = 3},
};

const struct chapter chapter_syscall = {"SYSCALL", legacy, COUNT(legacy), NULL};
#endif
