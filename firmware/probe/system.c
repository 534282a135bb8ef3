/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system: control registers, MSRs, ports, and instructions that privilege guards.
 */
#include "chapters.h"

#define AX "%" TEXT(REG(ax))
#define BX "%" TEXT(REG(bx))
#ifdef __x86_64__
#define DATA_16 ""
#else
#define DATA_16 ".byte 0x66\n" /* the base has 24 bits */
#endif

CODE(to_cr0, "mov " AX ", %cr0");
CODE(to_cr4, "mov " AX ", %cr4");
CODE(to_cr5, ".byte 0x0f, 0x22, 0xc0 + 5 * 8");
CODE(from_cr1, ".byte 0x0f, 0x20, 0xc8");
CODE(from_cr0, "mov %cr0, " BX);
CODE(from_cr2, "mov " AX ", %cr2\n mov %cr2, " BX);
CODE(clts, "mov %cr0, " AX "\n or $8, " AX "\n mov " AX ", %cr0\n clts\n mov %cr0, " AX);
CODE(lmsw, "lmsw %ax\n mov %cr0, " BX);
CODE(lmsw_clear, "lmsw %ax\n smsw %bx");
CODE(smsw, "smsw %bx");
CODE(wrmsr, "wrmsr");
CODE(rdmsr, "rdmsr");
CODE(wrmsr_rdmsr, "wrmsr\n rdmsr");
CODE(hlt, "hlt");
CODE(cli, "cli");
CODE(sti, "sti");
CODE(invlpg, "invlpg (" BX ")");
CODE(wbinvd, "wbinvd");
CODE(lidt, "lidt 0x86000");
CODE(lgdt, "lgdt 0x86000");
CODE(sidt, "sidt 0x86000\n mov 0x86000, %bx");
CODE(lgdt_forms, "sgdt 0x86010\n movw $0x1234, 0x86000\n movl $0x56789abc, 0x86002\n" DATA_16 "lgdt 0x86000\n"
                 "sgdt 0x86000\n lgdt 0x86010\n mov 0x86000, %ax\n mov 0x86002, %ebx");
CODE(lidt_limit,
        "sidt 0x86010\n movw $0x1234, 0x86000\n movl $0x56789abc, 0x86002\n movl $0, 0x86006\n lidt 0x86000\n"
        "sidt 0x86000\n lidt 0x86010\n mov 0x86000, %ax\n mov 0x86002, %ebx");
CODE(sldt, "sldt " BX);
CODE(str, "str %bx");
CODE(rdtsc, "rdtsc\n xor %eax, %eax\n xor %edx, %edx");
CODE(popf_all, "push $-1\n popf\n pushf\n pop " AX "\n push $0x3002\n popf");
CODE(popf_ring, "push $0x3202\n popf\n pushf\n pop " AX);
CODE(outsb, "cld\n mov $0x80, %edx\n rep outsb");
CODE(in8_, "inb $0x80, %al\n xor %eax, %eax");
CODE(in16_, "mov $0x87, %edx\n inw %dx, %ax\n xor %eax, %eax");
CODE(in32_, "mov $0x84, %edx\n inl %dx, %eax\n xor %eax, %eax");
CODE(insb, "cld\n mov $0x80, %edx\n rep insb\n ");
CODE(rsm, "rsm");
CODE(vmrun, ".byte 0x0f, 0x01, 0xd8");
CODE(ud2, "ud2");
CODE(lock_mov, ".byte 0xf0, 0x89, 0x03");
CODE(lock_register, ".byte 0xf0, 0x01, 0xc3");
CODE(too_long, ".fill 15, 1, 0x66\n nop");
CODE(longest, ".fill 14, 1, 0x66\n nop");
CODE(divide, "xor %ecx, %ecx\n div %ecx");
CODE(task_switched, "mov %cr0, " AX "\n or $8, " AX "\n mov " AX ", %cr0\n fnop");
CODE(emulated, "mov %cr0, " AX "\n or $4, " AX "\n mov " AX ", %cr0\n fnop");
CODE(monitored_wait, "mov %cr0, " AX "\n or $0xa, " AX "\n mov " AX ", %cr0\n fwait");
CODE(sse_emulated, "mov %cr0, " AX "\n or $4, " AX "\n mov " AX ", %cr0\n movups %xmm0, %xmm1");
CODE(sse_off, "mov $(" TEXT(CR4_START) " - 0x200), %eax\n mov " AX ", %cr4\n movups %xmm0, %xmm1");
CODE(x87_pending, "fninit\n push $0x37b\n fldcw (%" TEXT(REG(sp)) ")\n fldz\n fld1\n fdivp\n 1: fwait");
CODE(sse_pending, "push $0x1f00\n ldmxcsr (%" TEXT(REG(sp)) ")\n xorps %xmm0, %xmm0\n divss %xmm0, %xmm0");
CODE(aligned, "push $0x40\n pop " AX "\n mov (" BX "), %ecx");
CODE(moved_16, "movaps (" BX "), %xmm0");
CODE(access_word, "mov (" BX "), %ax");
CODE(access_qword, "fninit\n fildq (" BX ")");
CODE(write_dword, "mov %eax, (" BX ")");

static void align_mask(const struct probe *probe)
{
	cr0_write(CR0_START | 0x40000);
}

/* A bitmap of ports 80 to 8f, arg, in a TSS whose limit is arg2. */
static void ports(const struct probe *probe)
{
	put16(probe_tss + 102, 0x68);
	put16(probe_tss + 0x68 + 0x10, (u16)probe->arg);
	if (probe->arg2) {
		probe_gdt[SEL_TSS / 8] = descriptor((u32)(word)probe_tss, probe->arg2, 0x89, 0);
		asm volatile("ltr %w0" : : "r"(SEL_TSS));
	}
}

static void ports_beyond(const struct probe *probe)
{
	put16(probe_tss + 102, 0xf0);
}

static void no_tsc(const struct probe *probe)
{
	cr4_write(CR4_START | 4);
}

static const struct probe probes[] = {
        {"CR0 in ring 3", to_cr0, .ax = CR0_START, .ring = 3},
        {"CR0 read in ring 3", from_cr0, .ring = 3},
        {"CR1", from_cr1},
        {"CR5", to_cr5},
        {"CR2", from_cr2, .ax = 0x12345678},
        {"CR4 in ring 3", to_cr4, .ax = CR4_START, .ring = 3},
        {"CLTS", clts},
        {"CLTS in ring 3", clts, .ring = 3},
        {"LMSW sets", lmsw, .ax = 0xe},
        {"LMSW cannot clear PE", lmsw_clear, .ax = 0},
        {"LMSW in ring 3", lmsw, .ax = 1, .ring = 3},
        {"SMSW in ring 3", smsw, .ring = 3},
        {"WRMSR in ring 3", wrmsr, .cx = 0xc0000080, .ring = 3},
        {"RDMSR in ring 3", rdmsr, .cx = 0xc0000080, .ring = 3},
        {"SYSENTER_CS", wrmsr_rdmsr, .cx = 0x174, .ax = 0x18},
        {"HLT in ring 3", hlt, .ring = 3},
        {"CLI in ring 3", cli, .ring = 3},
        {"STI in ring 3", sti, .ring = 3},
        {"CLI in ring 3 with IOPL 3", cli, .ring = 3, .flags = FLAG_IOPL | FLAG_IF},
        {"INVLPG in ring 3", invlpg, .ring = 3},
        {"WBINVD in ring 3", wbinvd, .ring = 3},
        {"LIDT in ring 3", lidt, .ring = 3},
        {"LGDT in ring 3", lgdt, .ring = 3},
        {"LGDT of 16 bits", lgdt_forms},
        {"LIDT", lidt_limit},
        {"SIDT in ring 3", sidt, .ring = 3},
        {"SLDT in ring 3", sldt, .ring = 3},
        {"STR in ring 3", str, .ring = 3},
        {"RDTSC in ring 3", rdtsc, .ring = 3},
        {"RDTSC in ring 3 with TSD", rdtsc, .ring = 3, .before = no_tsc},
        {"RDTSC with TSD", rdtsc, .before = no_tsc},
        {"POPF, all bits", popf_all},
        {"POPF in ring 3", popf_ring, .ring = 3},
        {"POPF in ring 3 with IOPL 3", popf_ring, .ring = 3, .flags = FLAG_IOPL},
        {"RSM", rsm},
        {"VMRUN without SVME", vmrun},
        {"UD2", ud2},
        {"LOCK MOV", lock_mov, .bx = 0x86000},
        {"LOCK ADD to a register", lock_register},
        {"instruction of 16 bytes", too_long},
        {"instruction of 15 bytes", longest},
        {"DIV by 0", divide},
        {"x87 with TS", task_switched},
        {"x87 with EM", emulated},
        {"FWAIT with TS and MP", monitored_wait},
        {"SSE with EM", sse_emulated},
        {"SSE without OSFXSR", sse_off},
        {"x87 exception", x87_pending},
        {"SSE exception", sse_pending},
        {"MOVAPS misaligned", moved_16, .bx = 0x86008},
        {"AC in ring 3, aligned", access_word, .bx = 0x86000, .ring = 3, .flags = FLAG_AC,
                .before = align_mask},
        {"AC in ring 3, word", access_word, .bx = 0x86001, .ring = 3, .flags = FLAG_AC, .before = align_mask},
        {"AC in ring 3, doubleword", aligned, .bx = 0x86002, .ring = 3, .flags = FLAG_AC,
                .before = align_mask},
        {"AC in ring 3, write", write_dword, .bx = 0x86002, .ring = 3, .flags = FLAG_AC,
                .before = align_mask},
        {"AC in ring 3, quadword", access_qword, .bx = 0x86004, .ring = 3, .flags = FLAG_AC,
                .before = align_mask},
        {"AC in ring 3 without AM", aligned, .bx = 0x86002, .ring = 3, .flags = FLAG_AC},
        {"AM in ring 3 without AC", aligned, .bx = 0x86002, .ring = 3, .before = align_mask},
        {"AC in ring 0", aligned, .bx = 0x86002, .flags = FLAG_AC, .before = align_mask},
        {"IN in ring 3 without a bitmap", in8_, .ring = 3},
        {"IN in ring 3 with IOPL 3", in8_, .ring = 3, .flags = FLAG_IOPL},
        {"IN in ring 3, allowed", in8_, .ring = 3, .before = ports, .arg = 0xfffe},
        {"IN in ring 3, forbidden", in8_, .ring = 3, .before = ports, .arg = 1},
        {"IN of a word across bytes, allowed", in16_, .ring = 3, .before = ports, .arg = 0xfe7f},
        {"IN of a word across bytes, second forbidden", in16_, .ring = 3, .before = ports, .arg = 0x100},
        {"IN of a doubleword, last forbidden", in32_, .ring = 3, .before = ports, .arg = 0x80},
        {"IN, bitmap ends before", in8_, .ring = 3, .before = ports, .arg2 = 0x68 + 0xf},
        {"IN, bitmap ends with its byte", in8_, .ring = 3, .before = ports, .arg2 = 0x68 + 0x10},
        {"IN, bitmap has another byte", in8_, .ring = 3, .before = ports, .arg2 = 0x68 + 0x11},
        {"IN, bitmap beyond", in8_, .ring = 3, .before = ports_beyond},
        {"OUTS", outsb, .si = 0x86000, .cx = 3},
        {"INS with a count of 0, forbidden", insb, .ring = 3, .di = 0x86000},
};

/* Tests that an emulation with too few checks does not survive, so they have an image of their own. */
static const struct probe refused[] = {
        {"WRMSR of none", wrmsr, .cx = 0x12345},
        {"RDMSR of none", rdmsr, .cx = 0x12345},
        {"CR0, PG without PE", to_cr0, .ax = 0x80000030},
        {"CR0, NW without CD", to_cr0, .ax = CR0_START | 0x20000000},
        {"CR4, reserved bit", to_cr4, .ax = CR4_START | 0x80000000},
        {"EFER, reserved bit", wrmsr, .cx = 0xc0000080, .ax = 0x80000, .dx = 0},
        {"EFER, reserved high bit", wrmsr, .cx = 0xc0000080, .dx = 1},
        {"PAT, reserved type", wrmsr, .cx = 0x277, .ax = 2},
};

const struct chapter chapter_refused = {"refused values", refused, COUNT(refused), NULL};

const struct chapter chapter_system = {"system", probes, COUNT(probes), NULL};
