/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: addresses in memory and selectors, for C and assembly. There is an image whose word has 32 bits and
 * one whose word has 64.
 */
#ifndef PROBE_LAYOUT_H
#define PROBE_LAYOUT_H

#ifdef __x86_64__
#define REG(name) r##name
#define WORD      8
#define CR0_START 0x80010033 /* PG WP NE ET MP PE */
#define CR4_START 0x620      /* PAE OSFXSR OSXMMEXCPT */
#else
#define REG(name) e##name
#define WORD      4
#define CR0_START 0x00010033
#define CR4_START 0x600
#endif

#define STACK_TOP  0x80000 /* of the program itself */
#define STACK_0    0x84000 /* of the code under test in ring 0 */
#define SCRATCH    0x86000 /* what code may write to */
#define STACK_3    0x88000 /* in rings 1 to 3 */
#define STACK_IN   0x8c000 /* of the way in from outer rings */
#define STACK_IST  0x90000
#define PAGES_TEST 0x400000 /* tables that tests make */
#define PAGES_LONG 0x500000 /* the image's own, of 64 bits */
#define TEST_PAGE  0x800000 /* what those tables map */

#define PAGE_ALL   7 /* present, writable, user */
#define PAGE_LARGE 0x80

#define VECTOR_DONE 0x20 /* ends a piece of code */
#define VECTOR_LAST 0x60

/* Offsets in struct state (probe.h), in words. */
#define STATE_AX    (0 * WORD)
#define STATE_CX    (1 * WORD)
#define STATE_DX    (2 * WORD)
#define STATE_BX    (3 * WORD)
#define STATE_SP    (4 * WORD)
#define STATE_BP    (5 * WORD)
#define STATE_SI    (6 * WORD)
#define STATE_DI    (7 * WORD)
#define STATE_R8    (8 * WORD)
#define STATE_R11   (9 * WORD)
#define STATE_IP    (10 * WORD)
#define STATE_FLAGS (11 * WORD)
#define STATE_CS    (12 * WORD)
#define STATE_SS    (13 * WORD)
#define STATE_DS    (14 * WORD)
#define STATE_ES    (15 * WORD)
#define STATE_FS    (16 * WORD)
#define STATE_GS    (17 * WORD)
#define STATE_VEC   (18 * WORD)
#define STATE_ERR   (19 * WORD)

/* Selectors; the descriptors are in machine.c. */
#define SEL_CODE     0x08
#define SEL_DATA     0x10
#define SEL_CODE3    0x1b
#define SEL_DATA3    0x23
#define SEL_TSS      0x28 /* two slots, here and below: in 64 bits system descriptors have 16 bytes */
#define SEL_TSS_B    0x38 /* another task, of 32 bits */
#define SEL_TSS_16   0x48 /* another, of 16 bits */
#define SEL_LDT      0x58
#define SEL_GATE     0x68
#define SEL_ODD      0x78 /* for a descriptor of the test's own */
#define SEL_CODE1    0x89
#define SEL_DATA1    0x91
#define SEL_CONFORM  0x98 /* conforming code of level 0 */
#define SEL_CONFORM3 0xa3
#define SEL_XONLY    0xa8
#define SEL_CODE_NP  0xb0
#define SEL_DATA_NP  0xb8
#define SEL_RONLY    0xc0
#define SEL_DOWN     0xc8 /* expand-down, offsets above 0xfff */
#define SEL_SMALL    0xd0 /* data, 16 bytes */
#define SEL_CODE16   0xd8 /* base 0x10000 */
#define SEL_DATA16   0xe0
#define SEL_TSS_NP   0xe8
#define SEL_TSS_CUT  0xf8 /* a byte too short */
#define SEL_TSS_DF   0x108
#define SEL_CODE_CUT 0x118 /* code, limit 0xfff */
#define SEL_CODE64   0x120
#define SEL_CODE32   0x128 /* in 64 bits: compatibility mode */
#define SEL_CODE32_3 0x133
#define SEL_LONG_D   0x138 /* L and D both set */
#define SEL_DATA_C3  0x143 /* behind SEL_CODE32_3, for SYSRET */
#define SEL_CODE64_3 0x14b
#define SEL_BEYOND   0x200
#define GDT_SIZE     0x200
#define LDT_DATA     0x0c /* in the LDT: data, then not present */
#define LDT_NP       0x14

#endif
