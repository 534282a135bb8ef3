/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moved_guest: a program in 64-bit mode, for one to four vCPUs, whose results do not depend on when it is
 * stopped and moved: integers, x87, SSE and AVX registers, a debug register, and what it reads from a port.
 * In between it waits for interrupts of the APIC's timer, and the first vCPU for the PIT's, with HLT; and it
 * looks whether the TSC, and kvmclock, ever go back.
 *
 * RDI: this vCPU's data (struct moved_data); RSI: what it can do (MOVED_...).
 */
#ifndef VMM_TEST_MOVED_GUEST_H
#define VMM_TEST_MOVED_GUEST_H

#include <stdint.h>

#define MOVED_AVX      1u
#define MOVED_KVMCLOCK 2u
#define MOVED_PIT      4u
#define MOVED_DEADLINE 8u /* the APIC's timer is one of the TSC; else it repeats */
#define MOVED_PORT     0x510u
#define MOVED_DONE     0x511u

/* What the program does not do in every run alike. */
#define MOVED_TSC_WENT_BACK   1u
#define MOVED_DR0_CHANGED     2u
#define MOVED_CLOCK_WENT_BACK 4u

struct moved_data {
	uint64_t sum, mxcsr;   /* 0x00 */
	uint8_t x87[16];       /* 0x10: ten of them */
	uint8_t xmm[16];       /* 0x20 */
	uint64_t wrong, ticks; /* 0x30: MOVED_..._BACK; interrupts of the APIC's timer */
	uint8_t ymm[32];       /* 0x40 */
	uint64_t pit_ticks;    /* 0x60 */
	uint64_t clock;        /* 0x68: the latest kvmclock */
	uint8_t unused[0x90];
	uint8_t kvmclock[32]; /* 0x100 */
};

extern const uint8_t moved_start[], moved_timer[], moved_pit[], moved_end[];

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl moved_start, moved_timer, moved_pit, moved_end\n"
        "moved_start:\n"
        "	movb $0xff, %al\n" /* the PICs, which get the PIT's interrupts, too, pass none on */
        "	outb %al, $0x21\n"
        "	outb %al, $0xa1\n"
        "	movl $0xfee000f0, %eax\n" /* the APIC is on; its timer counts every tick of its bus */
        "	movl $0x1ff, (%rax)\n"
        "	movl $0xfee003e0, %eax\n"
        "	movl $0xb, (%rax)\n"
        "	movl $0xfee00320, %eax\n"
        "	testl $8, %esi\n"
        "	jnz 1f\n"
        "	movl $0x20040, (%rax)\n"
        "	movl $0xfee00380, %eax\n"
        "	movl $1000000, (%rax)\n"
        "	jmp 2f\n"
        "1:	movl $0x40040, (%rax)\n"
        "	mfence\n"
        "	call moved_arm\n"
        "2:	testl $4, %esi\n"
        "	jz 3f\n"
        "	movl $0xfec00000, %eax\n" /* line 2 of the IOAPIC is vector 41h; the PIT repeats */
        "	movl $0x15, (%rax)\n"
        "	movl $0, 0x10(%rax)\n"
        "	movl $0x14, (%rax)\n"
        "	movl $0x41, 0x10(%rax)\n"
        "	movb $0x34, %al\n"
        "	outb %al, $0x43\n"
        "	movb $0, %al\n"
        "	outb %al, $0x40\n"
        "	movb $0x10, %al\n"
        "	outb %al, $0x40\n"
        "3:	testl $1, %esi\n"
        "	jz 4f\n"
        "	xorl %ecx, %ecx\n" /* XCR0: x87, SSE, AVX */
        "	xorl %edx, %edx\n"
        "	movl $7, %eax\n"
        "	xsetbv\n"
        "	vmovups moved_numbers(%rip), %ymm2\n"
        "	vmovaps %ymm2, %ymm3\n"
        "4:	testl $2, %esi\n"
        "	jz 5f\n"
        "	movl $0x4b564d01, %ecx\n"
        "	leaq 0x101(%rdi), %rax\n"
        "	xorl %edx, %edx\n"
        "	wrmsr\n"
        "5:	movabsq $0x123456789a, %rax\n"
        "	movq %rax, %dr0\n"
        "	fninit\n"
        "	fldpi\n"
        "	fld1\n"
        "	ldmxcsr moved_mxcsr(%rip)\n"
        "	movups moved_numbers(%rip), %xmm0\n"
        "	movaps %xmm0, %xmm1\n"
        "	leaq 1(%rdi), %r12\n"
        "	xorl %r13d, %r13d\n"
        "	xorl %r14d, %r14d\n"
        "round:\n"
        "	testl $1, %r13d\n"
        "	jz 1f\n"
        "	cli\n" /* what comes now waits in the APIC */
        "1:	movl $2000, %ecx\n"
        "	movabsq $6364136223846793005, %rbx\n"
        "2:	imulq %rbx, %r12\n"
        "	addq $12345, %r12\n"
        "	fadd %st(1), %st(0)\n"
        "	paddq %xmm1, %xmm0\n"
        "	testl $1, %esi\n"
        "	jz 3f\n"
        "	vaddps %ymm3, %ymm2, %ymm2\n"
        "3:	decl %ecx\n"
        "	jnz 2b\n"
        "	movl $0x510, %edx\n"
        "	inl %dx, %eax\n"
        "	addq %rax, %r12\n"
        "	movq %dr0, %rax\n"
        "	movabsq $0x123456789a, %rbx\n"
        "	cmpq %rbx, %rax\n"
        "	je 4f\n"
        "	orq $2, 0x30(%rdi)\n"
        "4:	rdtsc\n"
        "	shlq $32, %rdx\n"
        "	orq %rdx, %rax\n"
        "	cmpq %r14, %rax\n"
        "	jae 5f\n"
        "	orq $1, 0x30(%rdi)\n"
        "5:	movq %rax, %r14\n"
        "	testl $2, %esi\n"
        "	jz 6f\n"
        "	call moved_clock\n"
        "6:	movq 0x38(%rdi), %rbx\n" /* every eighth round waits for a tick */
        "	testl $7, %r13d\n"
        "	jnz 8f\n"
        "7:	sti\n"
        "	hlt\n"
        "	cmpq 0x38(%rdi), %rbx\n"
        "	je 7b\n"
        "	testl $4, %esi\n"
        "	jz 8f\n"
        "	movq 0x60(%rdi), %rbx\n"
        "7:	sti\n"
        "	hlt\n"
        "	cmpq 0x60(%rdi), %rbx\n"
        "	je 7b\n"
        "8:	sti\n"
        "	incl %r13d\n"
        "	cmpl $96, %r13d\n"
        "	jb round\n"
        "	movq %r12, 0x00(%rdi)\n"
        "	stmxcsr 0x08(%rdi)\n"
        "	fstpt 0x10(%rdi)\n"
        "	movups %xmm0, 0x20(%rdi)\n"
        "	testl $1, %esi\n"
        "	jz 9f\n"
        "	vmovups %ymm2, 0x40(%rdi)\n"
        "9:	movl $0x511, %edx\n"
        "	outb %al, %dx\n"
        "	cli\n"
        "	hlt\n"
        "	jmp 9b\n"

        "moved_arm:\n" /* the deadline is a million ticks from now */
        "	rdtsc\n"
        "	addl $1000000, %eax\n"
        "	adcl $0, %edx\n"
        "	movl $0x6e0, %ecx\n"
        "	wrmsr\n"
        "	ret\n"

        "moved_clock:\n" /* Linux: the time is system_time + ((TSC - timestamp) << shift) * mul >> 32
                          */
        "1:	movl 0x100(%rdi), %ebx\n"
        "	testl $1, %ebx\n"
        "	jnz 1b\n"
        "	lfence\n"
        "	rdtsc\n"
        "	shlq $32, %rdx\n"
        "	orq %rdx, %rax\n"
        "	subq 0x108(%rdi), %rax\n"
        "	movsbl 0x11c(%rdi), %ecx\n"
        "	testl %ecx, %ecx\n"
        "	js 2f\n"
        "	shlq %cl, %rax\n"
        "	jmp 3f\n"
        "2:	negl %ecx\n"
        "	shrq %cl, %rax\n"
        "3:	movl 0x118(%rdi), %ecx\n"
        "	mulq %rcx\n"
        "	shrdq $32, %rdx, %rax\n"
        "	addq 0x110(%rdi), %rax\n"
        "	cmpl 0x100(%rdi), %ebx\n"
        "	jne 1b\n"
        "	cmpq 0x68(%rdi), %rax\n"
        "	jae 4f\n"
        "	orq $4, 0x30(%rdi)\n"
        "4:	movq %rax, 0x68(%rdi)\n"
        "	ret\n"

        "moved_timer:\n"
        "	pushq %rax\n"
        "	pushq %rcx\n"
        "	pushq %rdx\n"
        "	incq 0x38(%rdi)\n"
        "	testl $8, %esi\n"
        "	jz 1f\n"
        "	call moved_arm\n"
        "1:	movl $0xfee000b0, %eax\n"
        "	movl $0, (%rax)\n"
        "	popq %rdx\n"
        "	popq %rcx\n"
        "	popq %rax\n"
        "	iretq\n"

        "moved_pit:\n"
        "	pushq %rax\n"
        "	incq 0x60(%rdi)\n"
        "	movl $0xfee000b0, %eax\n"
        "	movl $0, (%rax)\n"
        "	popq %rax\n"
        "	iretq\n"

        ".balign 16\n"
        "moved_numbers: .float 1.5, 2.25, 3.125, 1.0625, 7.5, 6.25, 5.125, 4.0625\n"
        "moved_mxcsr: .long 0x5f80\n" /* rounds up */
        "moved_end:\n"
        ".popsection\n");

#endif
