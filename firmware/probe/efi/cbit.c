/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cbit: whether the C-bit stands in firmware's page tables where it should, and whether it works. A page of
 * the program's is mapped a second time without the bit, in page tables of the program's own: firmware's may
 * be write-protected. They are in use for a few instructions at a time, with interrupts off.
 *
 * A SEV-SNP guest must not do that: an access without the bit to a page that is not shared ends it, or
 * silently makes the page shared.
 *
 * Law: AMD APM 24593, 15.34.5 and 15.34.6 (C-bit in page tables), 5.3 (page tables).
 */
#include "facts.h"

#define PRESENT_WRITE 0x3u
#define LARGE         0x80u
#define ADDRESS       0x000ffffffffff000ull
#define ENTRIES       512u
#define HALF          256u /* entries of the top table for lower addresses */
#define CR4_LA57      (1u << 12)
#define LINE_BYTES    16u /* no cache line is shorter; CLFLUSH of one twice does no harm */
#define LEVELS_MAX    5u
#define WORDS         (EFI_SIZE_MINIMUM / sizeof(uint64_t))
#define APIC_ENABLED  0x800u
#define APIC_EXTENDED 0x400u /* x2APIC: no page */

struct pages {
	uint64_t *tables[LEVELS_MAX]; /* the program's own, from the top */
	uint64_t *own, *copy;         /* own is mapped twice */
	volatile uint64_t *without;   /* own, without the C-bit, while the tables are in use */
	uint64_t cr3;
};

static unsigned levels(void)
{
	return read_cr4() & CR4_LA57 ? 5 : 4;
}

static uint64_t *table_at(const struct guest *guest, uint64_t entry)
{
	return (uint64_t *)(entry & ADDRESS & ~(1ull << guest->c_bit));
}

/* The entry that maps an address; 0: none. */
static uint64_t leaf(const struct guest *guest, uint64_t address)
{
	uint64_t entry = read_cr3();

	for (unsigned level = levels(); level; level--) {
		entry = table_at(guest, entry)[address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
		if (!(entry & 1))
			return 0;
		if (level < 4 && (entry & LARGE))
			return entry;
	}
	return entry;
}

static bool has_c_bit(const struct guest *guest, uint64_t address)
{
	return leaf(guest, address) >> guest->c_bit & 1;
}

static void flush(const volatile uint64_t *page)
{
	for (size_t at = 0; at < EFI_SIZE_MINIMUM; at += LINE_BYTES)
		__asm__ volatile("clflush %0" : : "m"(((const volatile uint8_t *)page)[at]) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

static uint64_t *page(const struct guest *guest)
{
	uint64_t address;

	if (guest->system->BootServices->AllocatePages(AllocateAnyPages, EfiBootServicesData, 1, &address))
		return NULL;
	for (size_t i = 0; i < WORDS; i++)
		((uint64_t *)address)[i] = 0;
	return (uint64_t *)address;
}

/* Firmware's top table and, at a place that is free there, a chain of tables to the page. */
static bool map_twice(const struct guest *guest, struct pages *pages)
{
	uint64_t c_bit = 1ull << guest->c_bit, *top;
	unsigned count = levels(), free = HALF;

	for (unsigned i = 0; i < count; i++)
		if (!(pages->tables[i] = page(guest)))
			return false;
	if (!(pages->own = page(guest)) || !(pages->copy = page(guest)))
		return false;
	top = table_at(guest, read_cr3());
	for (unsigned i = 0; i < ENTRIES; i++) {
		pages->tables[0][i] = top[i];
		if (i && i < HALF && !(top[i] & 1))
			free = i;
	}
	if (free == HALF)
		return false;
	pages->tables[0][free] = (uint64_t)pages->tables[1] | c_bit | PRESENT_WRITE;
	for (unsigned i = 1; i + 1 < count; i++)
		pages->tables[i][0] = (uint64_t)pages->tables[i + 1] | c_bit | PRESENT_WRITE;
	pages->tables[count - 1][0] = (uint64_t)pages->own | PRESENT_WRITE;
	pages->without = (volatile uint64_t *)((uint64_t)free << (12 + 9 * (count - 1)));
	pages->cr3 = (uint64_t)pages->tables[0] | (read_cr3() & c_bit);
	return true;
}

/* Copies the page as it is without the C-bit to copy, or the other way. */
static void move(const struct pages *pages, bool to_copy)
{
	uint64_t flags = interrupts_off(), cr3 = read_cr3();

	flush(pages->own);
	write_cr3(pages->cr3);
	for (size_t i = 0; i < WORDS; i++)
		if (to_copy)
			pages->copy[i] = pages->without[i];
		else
			pages->without[i] = pages->copy[i];
	flush(pages->without);
	write_cr3(cr3);
	interrupts_back(flags);
}

static uint64_t pattern(size_t word)
{
	return 0x9e3779b97f4a7c15ull * (word + 1);
}

static void fill(uint64_t *words)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = pattern(i);
}

static size_t count_equal(const uint64_t *words)
{
	size_t equal = 0;

	for (size_t i = 0; i < WORDS; i++)
		equal += ((const volatile uint64_t *)words)[i] == pattern(i);
	return equal;
}

/* What is written through one mapping is looked for through the other. */
static void try_both(struct pages *pages)
{
	size_t hidden, foreign;

	fill(pages->own);
	move(pages, true);
	hidden = count_equal(pages->copy);
	fill(pages->copy);
	move(pages, false);
	foreign = count_equal(pages->own);
	move(pages, true);
	print_bool("hides", !hidden);
	print_bool("shares", !foreign && count_equal(pages->copy) == WORDS);
}

static void facts_apic(const struct guest *guest)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if ((base & (APIC_ENABLED | APIC_EXTENDED)) == APIC_ENABLED)
		print_bool("apic-page", has_c_bit(guest, base & ADDRESS));
	else
		print_null("apic-page");
}

void facts_c_bit(const struct guest *guest)
{
	struct pages pages;

	if (!guest->sev_status) {
		print_null("c-bit");
		return;
	}
	print_open("c-bit", '{');
	print_number("position", guest->c_bit);
	print_number("paging-levels", levels());
	print_bool("own-page", has_c_bit(guest, (uint64_t)guest->system)); /* RAM of firmware */
	facts_apic(guest);
	if (!(guest->sev_status & SEV_STATUS_SNP) && map_twice(guest, &pages)) {
		try_both(&pages);
	} else {
		print_null("hides");
		print_null("shares");
	}
	print_close('}');
}
