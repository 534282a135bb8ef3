/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts: an EFI program that says from inside what a guest is, as a line of JSON on the first serial port.
 * firmware/README.md describes the line, key by key.
 *
 * The program has no relocations: a table of pointers that is filled in before it runs would hold wrong
 * addresses.
 */
#ifndef FACTS_H
#define FACTS_H

#include "uefi.h"

#define CPUID_SEV      0x8000001fu
#define MSR_EFER       0xc0000080u
#define MSR_APIC_BASE  0x0000001bu
#define MSR_GHCB       0xc0010130u
#define MSR_SEV_STATUS 0xc0010131u
#define SEV_STATUS_SEV 1u
#define SEV_STATUS_ES  2u
#define SEV_STATUS_SNP 4u

/* What the guest is, as far as it decides what may be asked. */
struct guest {
	EFI_SYSTEM_TABLE *system;
	EFI_HANDLE image; /* the program's own */
	bool has_sev_leaf;
	bool has_sev;        /* CPUID says so, and SEV_STATUS exists */
	uint64_t sev_status; /* 0 without SEV */
	unsigned c_bit;      /* its number, only with SEV */
};

/* The four registers of a leaf, subleaf 0. */
struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf)
{
	struct cpuid c;

	__asm__ volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx) : "a"(leaf), "c"(0));
	return c;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t interrupts_off(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void interrupts_back(uint64_t flags)
{
	__asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

static inline uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr3, %0" : "=r"(value));
	return value;
}

static inline void write_cr3(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

/* ---- tables.c: page tables of the program's own ---- */

#define TABLE_ENTRIES    512u
#define TABLE_LEVELS_MAX 5u
#define TABLE_WRITE      0x3u  /* present and writable */
#define TABLE_LARGE      0x80u /* a page of 2 MiB */
#define TABLE_ADDRESS    0x000ffffffffff000ull

struct tables {
	uint64_t *table[TABLE_LEVELS_MAX]; /* firmware's top table, and those for the window */
	uint64_t *last;                    /* which the program fills; its first entry maps ... */
	volatile uint64_t *window;         /* ... this address, while cr3 is in use */
	uint64_t cr3;
};

unsigned tables_levels(void);
/* The table to which an entry, or CR3, leads. */
uint64_t *tables_at(const struct guest *guest, uint64_t entry);
/* A page of zeros; NULL: firmware has none. It is never freed. */
uint64_t *tables_page(const struct guest *guest);
/* Makes tables of that many levels, from the top. false: firmware has no page, or no free entry. */
bool tables_make(const struct guest *guest, unsigned count, struct tables *tables);

/* ---- walk.c: what firmware's page tables map ---- */

/*
 * Calls on_run for each run of pages with the C-bit (encrypted), or without it, by their addresses in memory.
 * Returns how many bytes have another virtual address.
 */
uint64_t walk(const struct guest *guest, bool encrypted,
        void (*on_run)(void *ctx, uint64_t at, uint64_t bytes), void *ctx);

/* ---- memory.c ---- */

/* Finds the first RAM in [at, end) of which firmware tells. Called after facts_memory_map(). */
bool memory_next_ram(uint64_t at, uint64_t end, uint64_t *ret_from, uint64_t *ret_to);

/* ---- report.c: what a SEV or SEV-ES guest tells its hypervisor of its pages ---- */

/* Tells what is shared now. */
void report_begin(const struct guest *guest);
/* Tells of a change, if the hypervisor wants to know. */
void report_pages(const struct guest *guest, uint64_t at, uint64_t bytes, bool shared);
void report_end(void); /* prints how much was told */

/* ---- print.c: JSON. key is NULL in a list. ---- */

void print_begin(void); /* of the line */
void await_key(void);   /* a byte from the port that it is printed on */
void print_end(void);
void print_open(const char *key, char bracket); /* '{' or '[' */
void print_close(char bracket);
void print_null(const char *key);
void print_bool(const char *key, bool value);
void print_number(const char *key, uint64_t value);
void print_mask(const char *key, uint64_t value);
void print_text(const char *key, const char *text, size_t length);
void print_text16(const char *key, const CHAR16 *text);
void print_cpuid(const char *key, uint32_t leaf); /* its four registers */
/* A time of the UTC clock of firmware, as ISO 8601 writes it. */
void print_time(const char *key, const EFI_TIME *time);

/* ---- one file a subject; each prints its own key ---- */

void facts_memory_map(const struct guest *guest); /* memory.c */
void facts_added(const struct guest *guest);      /* added.c */
void facts_c_bit(const struct guest *guest);      /* cbit.c */
void facts_ghcb(const struct guest *guest);       /* ghcb.c */
void facts_processors(const struct guest *guest); /* processors.c */
void facts_time(const struct guest *guest);       /* time.c */
/* Shares some pages with the hypervisor, and takes some of them back. */
void facts_conversions(const struct guest *guest); /* conversions.c */
/* What firmware's page tables map. Firmware must not change them meanwhile. */
void facts_page_tables(const struct guest *guest); /* walk.c */

#endif
