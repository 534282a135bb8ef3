/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper's first instructions, and where exceptions arrive. vmm enters in 64-bit mode with the helper's
 * page tables; all else is made here. Nothing here or in the rest of the image asks the host for anything
 * but by halting: no CPUID, no ports, no model-specific registers.
 */
	.section .note.GNU-stack, "", @progbits

#define CODE 0x08
#define DATA 0x10

	.section .text.entry, "ax"
	.globl helper_entry
helper_entry:
	/*
	 * A second vCPU would share stack, keys and counters with the first, and seal two pages with one number.
	 * It does nothing.
	 */
	lock btsl $0, entered(%rip)
	jc 2f
	cld
	lea helper_stack_end(%rip), %rsp
	lgdt gdt_place(%rip)
	lea 1f(%rip), %rax
	push $CODE
	push %rax
	lretq
1:	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	xor %ebp, %ebp
	call helper_main
2:	hlt
	jmp 2b

	/*
	 * The host sees the registers of a vCPU that has halted, and AES leaves keys in them. Those that the caller
	 * keeps hold addresses and counts.
	 */
	.globl helper_halt
helper_halt:
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	pxor %xmm\number, %xmm\number
	.endr
	.irp name, eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
	xor %\name, %\name
	.endr
	hlt
	ret

	/* A stub of 16 bytes for each exception; of some the processor pushes an error code itself. */
	.globl helper_stubs
	.balign 16
helper_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp crash
	.set vector, vector + 1
	.endr

	/* Nothing that was on the stack is needed any more, and keys may be. */
crash:	cld
	pop %rbx
	pop %r12
	lea helper_stack_end(%rip), %rsp
	lea -4096(%rsp), %rdi
	mov $4096, %ecx
	xor %eax, %eax
	rep stosb
	mov %rbx, %rdi
	mov %r12, %rsi
	call helper_crash

	.section .rodata
	.balign 16
	/* Flat, of privilege level 0, and marked as accessed: the processor writes nothing here. */
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_place:
	.word gdt_place - gdt - 1
	.quad gdt

	.section .bss
	.balign 64
entered:
	.skip 64

	.section .own.stack, "aw", @nobits
	.skip 4096
	.globl helper_stack_end
helper_stack_end:

	.section .own.secret, "aw", @nobits
	.globl helper_secret
helper_secret:
	.skip 4096
