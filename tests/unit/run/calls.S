/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls: a guest for the reset vector that makes hypercalls in 64-bit mode: one for each row of a table, which
 * whoever runs it writes into the image. Each answer goes into memory, one behind the other, and a byte to a
 * port tells that all are there. The loop runs in RAM, where KVM may patch its instruction.
 */
#define TABLES  0x10000 /* PML4, PDPT, the first GiB, the fourth GiB */
#define LOOP    0x8000
#define ANSWERS 0x20000
#define DONE    0xf4

	.text
	.code16
image:
	cli
	cld
	addr32 lgdtl %cs:(table - image)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $start32
	.balign	8
table:	.word	31
	.long	gdt
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff

	.code32
start32:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	$TABLES, %edi
	mov	$0x1000, %ecx
	rep stosl
	mov	$TABLES, %ebx
	movl	$(TABLES + 0x1003), (%ebx)
	movl	$(TABLES + 0x2003), 0x1000(%ebx)
	movl	$(TABLES + 0x3003), 0x1018(%ebx)
	movl	$0x83, 0x2000(%ebx)
	movl	$0xffe00083, 0x3000 + 8 * 511(%ebx)
	mov	$loop, %esi
	mov	$LOOP, %edi
	mov	$(loop_end - loop), %ecx
	rep movsb
	mov	%ebx, %cr3
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	ljmp	$24, $LOOP

	.code64
loop:
	mov	$rows, %esi
	mov	$ANSWERS, %edi
	mov	(%rsi), %r8
	add	$8, %rsi
1:	mov	(%rsi), %rax
	mov	8(%rsi), %rbx
	mov	16(%rsi), %rcx
	mov	24(%rsi), %rdx
	vmmcall
	stosq
	add	$32, %rsi
	dec	%r8
	jnz	1b
	out	%al, $DONE
	hlt
loop_end:

	.org	0x1000
rows:	.quad	0 /* how many; behind it: RAX, RBX, RCX, RDX of each */

	.org	0xfff0
	.code16
	jmp	image
	.org	0x10000
