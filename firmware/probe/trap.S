/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap: enters a piece of code with all registers set as wanted, and leaves it at its first exception or
 * interrupt with all registers saved.
 */
#include "layout.h"

	.macro	save name, offset
	mov	%REG(\name), probe_seen + \offset
	.endm

	.text
	.globl	probe_vectors, probe_enter, probe_leave

	.set	vector, 0
probe_vectors:
	.rept	VECTOR_LAST
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	push	$0
	.endif
	push	$vector
	jmp	caught
	.set	vector, vector + 1
	.endr

#ifdef __x86_64__
caught:
	save	ax, STATE_AX
	save	cx, STATE_CX
	save	dx, STATE_DX
	save	bx, STATE_BX
	save	bp, STATE_BP
	save	si, STATE_SI
	save	di, STATE_DI
	mov	%r8, probe_seen + STATE_R8
	mov	%r11, probe_seen + STATE_R11
	popq	probe_seen + STATE_VEC
	popq	probe_seen + STATE_ERR
	popq	probe_seen + STATE_IP
	popq	probe_seen + STATE_CS
	popq	probe_seen + STATE_FLAGS
	popq	probe_seen + STATE_SP
	popq	probe_seen + STATE_SS
	mov	%ds, %eax
	mov	%eax, probe_seen + STATE_DS
	jmp	probe_leave

	/* void probe_enter(const struct state *): to the state, and back when something was caught. */
probe_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, stack
	push	STATE_SS(%rdi)
	push	STATE_SP(%rdi)
	push	STATE_FLAGS(%rdi)
	push	STATE_CS(%rdi)
	push	STATE_IP(%rdi)
	mov	STATE_DS(%rdi), %ds
	mov	STATE_ES(%rdi), %es
	mov	STATE_FS(%rdi), %fs
	mov	STATE_GS(%rdi), %gs
	mov	STATE_AX(%rdi), %rax
	mov	STATE_CX(%rdi), %rcx
	mov	STATE_DX(%rdi), %rdx
	mov	STATE_BX(%rdi), %rbx
	mov	STATE_BP(%rdi), %rbp
	mov	STATE_SI(%rdi), %rsi
	mov	STATE_R8(%rdi), %r8
	mov	STATE_R11(%rdi), %r11
	mov	STATE_DI(%rdi), %rdi
	iretq

probe_leave:
	mov	%es, %eax
	mov	%eax, probe_seen + STATE_ES
	mov	%fs, %eax
	mov	%eax, probe_seen + STATE_FS
	mov	%gs, %eax
	mov	%eax, probe_seen + STATE_GS
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	stack, %rsp
	cld
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
#else
caught:
	push	%ds
	push	%eax
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	save	cx, STATE_CX
	save	dx, STATE_DX
	save	bx, STATE_BX
	save	bp, STATE_BP
	save	si, STATE_SI
	save	di, STATE_DI
	popl	probe_seen + STATE_AX
	popl	probe_seen + STATE_DS
	popl	probe_seen + STATE_VEC
	popl	probe_seen + STATE_ERR
	popl	probe_seen + STATE_IP
	popl	probe_seen + STATE_CS
	popl	probe_seen + STATE_FLAGS
	mov	%es, probe_seen + STATE_ES
	mov	%fs, probe_seen + STATE_FS
	mov	%gs, probe_seen + STATE_GS
	testl	$0x20000, probe_seen + STATE_FLAGS
	jnz	1f
	mov	%cs, %eax
	xor	probe_seen + STATE_CS, %eax
	test	$3, %al
	jnz	2f
	save	sp, STATE_SP
	mov	%ss, probe_seen + STATE_SS
	jmp	probe_leave
1:	popl	probe_seen + STATE_SP
	popl	probe_seen + STATE_SS
	popl	probe_seen + STATE_ES
	popl	probe_seen + STATE_DS
	popl	probe_seen + STATE_FS
	popl	probe_seen + STATE_GS
	jmp	probe_leave
2:	popl	probe_seen + STATE_SP
	popl	probe_seen + STATE_SS
probe_leave:
	mov	$SEL_DATA, %eax
	mov	%eax, %es
	mov	%eax, %ss
	mov	stack, %esp
	cld
	popa
	ret

	/* void probe_enter(const struct state *): to the state, and back when something was caught. */
probe_enter:
	pusha
	mov	%esp, stack
	mov	36(%esp), %esi
	testl	$0x20000, STATE_FLAGS(%esi)
	jnz	1f
	testl	$3, STATE_CS(%esi)
	jnz	2f
	mov	STATE_SS(%esi), %ss
	mov	STATE_SP(%esi), %esp
	jmp	3f
1:	pushl	STATE_GS(%esi)
	pushl	STATE_FS(%esi)
	pushl	STATE_DS(%esi)
	pushl	STATE_ES(%esi)
	pushl	STATE_SS(%esi)
	pushl	STATE_SP(%esi)
	jmp	4f
2:	pushl	STATE_SS(%esi)
	pushl	STATE_SP(%esi)
3:	mov	STATE_ES(%esi), %es
	mov	STATE_FS(%esi), %fs
	mov	STATE_GS(%esi), %gs
4:	pushl	STATE_FLAGS(%esi)
	pushl	STATE_CS(%esi)
	pushl	STATE_IP(%esi)
	mov	STATE_AX(%esi), %eax
	mov	STATE_CX(%esi), %ecx
	mov	STATE_DX(%esi), %edx
	mov	STATE_BX(%esi), %ebx
	mov	STATE_BP(%esi), %ebp
	mov	STATE_DI(%esi), %edi
	pushl	STATE_SI(%esi)
	testl	$0x20000, STATE_FLAGS(%esi)
	jnz	5f
	mov	STATE_DS(%esi), %ds
5:	pop	%esi
	iret
#endif

	.bss
	.balign	8
stack:	.space	8
	.globl	probe_seen
probe_seen:
	.space	20 * WORD

	.section .note.GNU-stack, "", @progbits
