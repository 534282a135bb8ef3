/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration helper's image, as firmware/helper/meson.build makes it, for mirror/helper.c.
 */
	.section .note.GNU-stack, "", @progbits
	.section .rodata
	.globl mirror_helper_image
	.hidden mirror_helper_image
	.balign 64
mirror_helper_image:
	.incbin IMAGE
