/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: a test is a piece of code, the state in which it starts, and a choice of what to print of its end.
 * It ends at the first exception, interrupt or INT VECTOR_DONE, in whatever mode and level it is then.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long word;

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

/* A piece of code. Its end is appended; labels in it are numbers (1: ... 1b). */
#define CODE(name, text) \
	asm(".pushsection .text.code, \"ax\"\n" #name ":\n" text \
	    "\nint $" TEXT(VECTOR_DONE) "\n" CODE_BITS "\n.popsection"); \
	extern const u8 name[]
#define CODE_16 ".code16\n"
#define CODE_32 ".code32\n"
#ifdef __x86_64__
#define CODE_BITS ".code64"
#else
#define CODE_BITS ".code32"
#endif

struct state { /* STATE_* of layout.h */
	word ax, cx, dx, bx, sp, bp, si, di, r8, r11, ip, flags, cs, ss, ds, es, fs, gs, vector, error;
};

struct probe {
	const char *name;
	const u8 *code;
	word ax, cx, dx, bx, si, di;
	u8 ring;
	u16 cs, ss, ds;   /* 0: the flat ones of the ring */
	word flags;       /* beside bit 1 and, at outer rings, nothing */
	word sp;          /* 0: a stack of its own */
	const u8 *target; /* where the code may jump to; addresses are printed relative to it */
	void (*before)(const struct probe *probe);
	void (*after)(const struct probe *probe); /* prints more */
	u32 arg, arg2;                            /* for before() */
	u8 resume[3];   /* vectors after which it goes on: they are printed and returned from */
	bool zf, stack; /* print ZF; the stack pointer */
	bool quiet;     /* print no registers: they depend on time */
};

#define FLAG_ZF   0x40
#define FLAG_TF   0x100
#define FLAG_IF   0x200
#define FLAG_NT   0x4000
#define FLAG_RF   0x10000
#define FLAG_VM   0x20000
#define FLAG_AC   0x40000
#define FLAG_IOPL 0x3000

extern struct state probe_seen;
extern const u8 probe_vectors[];
void probe_enter(const struct state *state);
_Noreturn void probe_leave(void);

/* ---- print.c: the serial port ---- */

void print(const char *text);
void print_hex(u64 value);
void print_named(const char *name, u64 value); /* " name=value" */
_Noreturn void power_off(void);

/* ---- machine.c: tables, as each test finds them ---- */

extern u64 probe_gdt[GDT_SIZE / 8];
extern u8 probe_tss[256], probe_tss_b[128], probe_tss_df[128];
extern u64 probe_idt[(VECTOR_LAST) * (WORD / 4)];

/* base, limit as in the descriptor, access: bits 8-15 of the upper half, flags: G D L AVL */
u64 descriptor(u32 base, u32 limit, u32 access, u32 flags);
u64 gate_low(word offset, u16 selector, u32 access, u32 count);
void gdt_set(u16 selector, u64 low, u64 high);
/* access 0x8e interrupt gate, 0x8f trap gate; | 0x60 for level 3 */
void idt_set(unsigned vector, word offset, u16 selector, u32 access, unsigned ist);
word vector_entry(unsigned vector); /* the address that catches it */
void machine_reset(void);
void table_load_gdt(u16 limit);
void table_load_idt(u16 limit);
void put16(void *at, u16 value);
void put32(void *at, u32 value);
u32 get32(const void *at);

/* ---- run.c ---- */

void probe_run(const struct probe *probe);
void probe_print_event(const struct probe *probe, const struct state *state);
void probe_print_changes(const struct probe *probe, const struct state *start, const struct state *state);

struct chapter {
	const char *name;
	const struct probe *probes;
	size_t count;
	void (*run)(void); /* NULL, or a function that prints lines of its own */
};

/* ---- the processor ---- */

static inline void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline u8 in8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline void out16(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline void msr_write(u32 index, u64 value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}
static inline u64 msr_read(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

#define DEFINE_REGISTER(name) \
	static inline word name##_read(void) \
	{ \
		word value; \
		asm volatile("mov %%" #name ", %0" : "=r"(value)); \
		return value; \
	} \
	static inline void name##_write(word value) \
	{ \
		asm volatile("mov %0, %%" #name : : "r"(value) : "memory"); \
	}
DEFINE_REGISTER(cr0)
DEFINE_REGISTER(cr2)
DEFINE_REGISTER(cr3)
DEFINE_REGISTER(cr4)
DEFINE_REGISTER(dr0)
DEFINE_REGISTER(dr1)
DEFINE_REGISTER(dr6)
DEFINE_REGISTER(dr7)

#endif
