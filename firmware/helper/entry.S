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

crash:	cld
	pop %rdi
	pop %rsi
	and $-16, %rsp
	call helper_crash

	.section .rodata
	.balign 16
	/* Flat, of privilege level 0, and marked as accessed: the processor writes nothing here. */
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_place:
	.word gdt_place - gdt - 1
	.quad gdt

	.section .own.stack, "aw", @nobits
	.skip 4096
	.globl helper_stack_end
helper_stack_end:

	.section .own.secret, "aw", @nobits
	.globl helper_secret
helper_secret:
	.skip 4096
