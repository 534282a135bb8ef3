/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marker: a guest for the reset vector that writes a word of its own into private memory, says so on the
 * serial port, and after a key shares the word. A second processor does the same with another word. For SEV
 * and SEV-ES guests, without a handler of #VC: each access to a device asks by the GHCB. The words are nowhere
 * in the image, only their complements are. Law: APM 2, 15.34, 15.35; the GHCB specification (AMD 56421).
 */
#define STACK      0x4000
#define SHARED     0x5000 /* without the C-bit, as the GHCB */
#define GHCB       0x6000
#define TRAMPOLINE 0x8000
#define STATE      0x9000
#define TABLES     0x10000 /* PML4, PDPT, the first GiB, the fourth GiB, the first 2 MiB */
#define PAGES      0x20000 /* of each processor: its words, */
#define OTHERS     0x30000 /* and what takes their place in the platform's own memory */

#define READY   (STATE + 0x00) /* MAGIC once processors may come */
#define IS_ES   (STATE + 0x08)
#define C_BIT   (STATE + 0x0c) /* the upper half of an entry of page tables */
#define WROTE   (STATE + 0x10) /* other processors that did what they were to do */
#define GO      (STATE + 0x14) /* 1: share the word */
#define MAGIC_0 0x72616d6b
#define MAGIC_1 0x65722120

#define MSR_GHCB       0xc0010130
#define MSR_SEV_STATUS 0xc0010131
#define ICR            0xfee00300

	.text
	.code16
/* The reset vector jumps here, and with SEV a copy of this starts the second processor. */
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
image_end:
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff

	.code32
start32:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$1, %esi
	cmpl	$MAGIC_0, READY
	jne	first
	cmpl	$MAGIC_1, READY + 4
	je	enter

/* Memory that nobody wrote is noise. Without paging every access is a private one. */
first:
	xor	%eax, %eax
	mov	$STATE, %edi
	mov	$0x400, %ecx
	rep stosl
	mov	$TABLES, %edi
	mov	$0x1400, %ecx
	rep stosl
	mov	$MSR_SEV_STATUS, %ecx
	rdmsr
	shr	%eax
	and	$1, %eax
	mov	%eax, IS_ES
	jz	1f
	mov	$MSR_GHCB, %ecx /* the answer to a request for SEV information, after a reset */
	rdmsr
	shr	$24, %eax
	mov	%eax, %ecx
	jmp	2f
1:	mov	$0x8000001f, %eax
	cpuid
	mov	%ebx, %ecx
2:	and	$31, %ecx /* all of AMD's are in the upper half */
	mov	$1, %ebp
	shl	%cl, %ebp
	mov	%ebp, C_BIT
	mov	$TABLES, %ebx
	movl	$(TABLES + 0x1003), (%ebx)
	mov	%ebp, 4(%ebx)
	movl	$(TABLES + 0x2003), 0x1000(%ebx)
	mov	%ebp, 0x1004(%ebx)
	movl	$(TABLES + 0x3003), 0x1018(%ebx)
	mov	%ebp, 0x101c(%ebx)
	movl	$(TABLES + 0x4003), 0x2000(%ebx)
	mov	%ebp, 0x2004(%ebx)
	movl	$0xfee00083, 0x3000 + 8 * 503(%ebx)
	movl	$0xffe00083, 0x3000 + 8 * 511(%ebx)
	mov	%ebp, 0x3004 + 8 * 511(%ebx)
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$12, %eax
	or	$3, %eax
	mov	%eax, 0x4000(%ebx, %ecx, 8)
	mov	%ebp, 0x4004(%ebx, %ecx, 8)
	inc	%ecx
	cmp	$512, %ecx
	jne	1b
	movl	$0, 0x4004 + 8 * (SHARED >> 12)(%ebx)
	movl	$0, 0x4004 + 8 * (GHCB >> 12)(%ebx)
	xor	%esi, %esi

/* ESI: which processor this is. */
enter:
	mov	$TABLES, %eax
	mov	%eax, %cr3
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
	ljmp	$24, $start64

	.code64
start64:
	mov	%esi, %ebx
	shl	$12, %ebx
	lea	complements(%rip), %rdx
	mov	(%rdx, %rsi, 8), %rax
	not	%rax
	lea	PAGES(%rbx), %edi
	mov	$512, %ecx
	rep stosq
	xor	%eax, %eax
	lea	OTHERS(%rbx), %edi
	mov	$512, %ecx
	rep stosq
	test	%esi, %esi
	jz	boot_processor

	lock incl WROTE
1:	pause
	cmpl	$0, GO
	je	1b
	mov	PAGES(%rbx), %rax
	mov	%rax, SHARED(, %rsi, 8)
	xor	%eax, %eax
	lock incl WROTE
2:	hlt
	jmp	2b

boot_processor:
	mov	$STACK, %esp
	cmpl	$0, IS_ES
	je	1f
	mov	$MSR_GHCB, %ecx
	mov	$GHCB, %eax
	xor	%edx, %edx
	wrmsr
1:	lea	image(%rip), %rsi
	mov	$TRAMPOLINE, %edi
	mov	$(image_end - image), %ecx
	rep movsb
	movl	$MAGIC_1, READY + 4
	movl	$MAGIC_0, READY
	cmpb	$1, vcpus(%rip)
	je	1f
	mov	$0xc4500, %eax /* INIT to all others, then SIPI */
	call	write_icr
	mov	$(0xc4600 + (TRAMPOLINE >> 12)), %eax
	call	write_icr
1:	mov	$1, %r12d
	call	wait_for_others
	lea	private_text(%rip), %rbx
	call	print
	call	wait_for_key
	movl	$1, GO
	mov	PAGES, %rax
	mov	%rax, SHARED
	xor	%eax, %eax
	mov	$2, %r12d
	call	wait_for_others
	lea	shared_text(%rip), %rbx
	call	print
	call	wait_for_key
	lea	power_off(%rip), %rbx
2:	mov	(%rbx), %edx
	mov	4(%rbx), %eax
	mov	8(%rbx), %ecx
	call	write_port
	add	$12, %rbx
	jmp	2b

/* Until WROTE is R12D, if there is another processor. */
wait_for_others:
	cmpb	$1, vcpus(%rip)
	je	2f
1:	pause
	cmp	%r12d, WROTE
	jne	1b
2:	ret

print:
	movzbl	(%rbx), %eax
	test	%eax, %eax
	je	1f
	mov	$0x3f8, %edx
	mov	$1, %ecx
	call	write_port
	inc	%rbx
	jmp	print
1:	ret

wait_for_key:
	mov	$0x3fd, %edx
	call	read_port
	test	$1, %al
	je	wait_for_key
	mov	$0x3f8, %edx

/* AL = port DX */
read_port:
	cmpl	$0, IS_ES
	jne	1f
	in	%dx, %al
	ret
1:	mov	%edx, %esi
	shl	$16, %esi
	or	$0x11, %esi
	xor	%eax, %eax
	jmp	ask_for_port

/* Port DX = EAX, ECX bytes */
write_port:
	cmpl	$0, IS_ES
	jne	3f
	cmp	$2, %ecx
	je	1f
	ja	2f
	out	%al, %dx
	ret
1:	out	%ax, %dx
	ret
2:	out	%eax, %dx
	ret
3:	mov	%edx, %esi
	shl	$16, %esi
	shl	$4, %ecx
	or	%ecx, %esi
ask_for_port:
	mov	$0x7b, %edi
	xor	%edx, %edx

/* RDI: the event, RSI and RDX: what it is about, RAX: goes and comes */
ask:
	mov	%rdi, GHCB + 0x390
	mov	%rsi, GHCB + 0x398
	mov	%rdx, GHCB + 0x3a0
	mov	%rax, GHCB + 0x1f8
	movq	$(GHCB + 0x800), GHCB + 0x3a8
	movb	$0x80, GHCB + 0x3f7 /* these are valid */
	movb	$0x3c, GHCB + 0x3fe
	movw	$1, GHCB + 0xffa /* the version */
	rep; vmmcall
	mov	GHCB + 0x1f8, %rax
	ret

write_icr:
	mov	$ICR, %esi
	cmpl	$0, IS_ES
	jne	1f
	mov	%eax, (%rsi)
	ret
1:	mov	%eax, GHCB + 0x800
	mov	$0x80000002, %edi
	mov	$4, %edx
	jmp	ask

	.balign	8
complements:
	.quad	0x5c37e1946b0da2f8, 0x2e91c458fd7316ab
/* By the power management block at B000: port, value, bytes. */
power_off:
	.long	0xcf8, 0x80000b40, 4, 0xcfc, 0xb001, 4, 0xcf8, 0x80000b80, 4, 0xcfc, 1, 1, 0xb004, 0x2000, 2
private_text:
	.asciz	"private\n"
shared_text:
	.asciz	"shared\n"

/* OVMF's table: the SEV-ES reset block says where other processors start; then the table's length and name. */
	.org	0xffb8, 0xf4
	.long	image
	.word	22
	.byte	0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e
	.word	40
	.byte	0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d
	.org	0xffe0, 0xf4
vcpus:	.byte	1 /* marker.py writes another number here */
	.org	0xfff0, 0xf4
	.byte	0xe9 /* JMP image */
	.word	0x10000 - 0xfff3
	.org	0x10000, 0xf4

	.section .note.GNU-stack, "", @progbits
