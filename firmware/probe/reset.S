/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset: goes from the reset vector to C: enters protected mode, copies the image into RAM and, in the image
 * of 64 bits, enters long mode with the first 4 GiB mapped one to one.
 */
#include "layout.h"

	.section .vector, "ax"
	.code16
	.globl probe_reset
probe_reset:
	jmp	start16
	.balign	16, 0xf4

	.section .reset, "ax"
start16:
	cli
	cld
	addr32 lgdtl %cs:(table - 0x10000)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $(start32 + 0xfffe0000)

	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
table:	.word	31
	.long	gdt + 0xfffe0000

	.code32
start32:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0xffff0000, %esi
	mov	$0x10000, %edi
	mov	$0x4000, %ecx
	rep movsl
	mov	$probe_bss, %edi
	mov	$probe_bss_end, %ecx
	sub	%edi, %ecx
	xor	%eax, %eax
	rep stosb
	mov	$STACK_TOP, %esp
#ifdef __x86_64__
	/* Four tables of 512 pages of 2 MiB. */
	movl	$(PAGES_LONG + 0x1000 + PAGE_ALL), PAGES_LONG
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	add	$(PAGES_LONG + 0x2000 + PAGE_ALL), %eax
	mov	%eax, PAGES_LONG + 0x1000(, %ecx, 8)
	inc	%ecx
	cmp	$4, %ecx
	jne	1b
	xor	%ecx, %ecx
2:	mov	%ecx, %eax
	shl	$21, %eax
	or	$(PAGE_ALL + PAGE_LARGE), %eax
	mov	%eax, PAGES_LONG + 0x2000(, %ecx, 8)
	inc	%ecx
	cmp	$2048, %ecx
	jne	2b
	mov	$PAGES_LONG, %eax
	mov	%eax, %cr3
	mov	$CR4_START, %eax
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	mov	$0x901, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_START, %eax
	mov	%eax, %cr0
	ljmp	$24, $1f
	.code64
1:
#endif
	mov	$probe_main, %eax
	jmp	*%REG(ax)

	.section .note.GNU-stack, "", @progbits
