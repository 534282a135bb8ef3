/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper's page tables, a set for each position of the C-bit that processors have. Guest physical
 * addresses lie at HELPER_WINDOW, 512 GiB of them, private and never executed. In the 2 MiB around the helper
 * only its own pages are there: code, data, secret and tables private, the ring shared. So no page is reached
 * in two ways. include/vmm/abi/helper.h has the same numbers. Law: APM vol. 2, 5.3, 15.34.5.
 */
	.section .note.GNU-stack, "", @progbits

	.set gpa, 0xfef00000
	.set gap, 0xfee00000
	.set page, 0x1000
	.set gib, 1 << 30
	.set large, 1 << 21

	/* Present and accessed; writable and dirty; large; never executed: all that the processor would set. */
	.set read, 0x21
	.set write, 0x63
	.set huge, 0x80
	.set nx, 1 << 63

	.macro entries from, count, step, flags
	.set address, \from
	.rept \count
	.quad address + (\flags)
	.set address, address + \step
	.endr
	.endm

	.macro tables own, c
	/* Level 4: the window is its second entry. */
	.quad 0
	entries "\own + page", 1, page, "write + \c"
	.skip 8 * 510

	/* Level 3: all but the fourth GiB in pages of 1 GiB. */
	entries 0, 3, gib, "write + huge + nx + \c"
	entries "\own + 2 * page", 1, page, "write + \c"
	entries "4 * gib", 508, gib, "write + huge + nx + \c"

	/* Level 2: the fourth GiB, but for the 2 MiB around the helper. */
	entries "3 * gib", 503, large, "write + huge + nx + \c"
	entries "\own + 3 * page", 1, page, "write + \c"
	entries "3 * gib + 504 * large", 8, large, "write + huge + nx + \c"

	/* Level 1: code; stack and data; secret and tables; ring. */
	.skip 8 * ((gpa - gap) / page)
	entries "gpa", 4, page, "read + \c"
	entries "gpa + 4 * page", 3, page, "write + nx + \c"
	entries "gpa + 7 * page", 9, page, "read + nx + \c"
	entries "gpa + 16 * page", 66, page, "write + nx"
	.skip 8 * (512 - (gpa - gap) / page - 82)
	.endm

	.section .tables, "a"
	tables "(gpa + 8 * page)", "(1 << 47)"
	tables "(gpa + 12 * page)", "(1 << 51)"
