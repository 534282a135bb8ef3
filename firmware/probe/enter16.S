/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter16: enters a piece of code in real mode, at 1000:real_ip with the interrupt table that real_idt names,
 * and comes back to protected mode when an exception or interrupt was caught.
 */
#include "layout.h"

#define SEEN(offset) probe_seen + offset - 0x20000 /* in segment 2000 */

	.text
	.globl	real_enter, real_ip, real_idt, real_vectors

	.code16
	.set	vector, 0
real_vectors:
	.rept	VECTOR_LAST
	.balign	8
	pushw	$vector
	jmp	caught16
	.set	vector, vector + 1
	.endr

caught16:
	pushw	%ds
	pushl	%eax
	mov	$0x2000, %ax
	mov	%ax, %ds
	addr32 popl SEEN(STATE_AX)
	addr32 popw SEEN(STATE_DS)
	addr32 popw SEEN(STATE_VEC)
	addr32 popw SEEN(STATE_IP)
	addr32 popw SEEN(STATE_CS)
	addr32 popw SEEN(STATE_FLAGS)
	addr32 mov %ecx, SEEN(STATE_CX)
	addr32 mov %edx, SEEN(STATE_DX)
	addr32 mov %ebx, SEEN(STATE_BX)
	addr32 mov %esp, SEEN(STATE_SP)
	addr32 mov %ss, SEEN(STATE_SS)
	addr32 mov %es, SEEN(STATE_ES)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$SEL_CODE, $1f
	.code32
1:	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	stack16, %esp
	cld
	popa
	ret

	/* void real_enter(void) */
real_enter:
	pusha
	mov	%esp, stack16
	ljmp	$SEL_CODE16, $(1f - 0x10000)
	.code16
1:	mov	$SEL_DATA16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	%cr0, %eax
	and	$0xfe, %al
	mov	%eax, %cr0
	ljmpl	$0x1000, $(1f - 0x10000)
1:	addr32 lidtl %cs:(real_idt - 0x10000)
	mov	$0x8000, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0x7000, %esp
	pushw	$2
	pushw	%cs
	addr32 pushw %cs:(real_ip - 0x10000)
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	xor	%edx, %edx
	iret
	.code32

	.data
real_ip:
	.word	0
real_idt:
	.word	0x3ff
	.long	0
	.bss
	.balign	4
stack16:
	.space	4

	.section .note.GNU-stack, "", @progbits
