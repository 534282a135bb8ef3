/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cbit: whether the C-bit stands in firmware's page tables where it should, and whether it works. A page of
 * the program's is mapped a second time without the bit, in page tables of the program's own.
 *
 * A SEV-SNP guest must not do that: an access without the bit to a page that is not shared ends it, or
 * silently makes the page shared.
 *
 * Law: AMD APM 24593, 15.34.5 and 15.34.6 (C-bit in page tables), 5.3 (page tables).
 */
#include "facts.h"

#define LINE_BYTES    16u /* no cache line is shorter; CLFLUSH of one twice does no harm */
#define WORDS         (EFI_SIZE_MINIMUM / sizeof(uint64_t))
#define APIC_ENABLED  0x800u
#define APIC_EXTENDED 0x400u /* x2APIC: no page */

struct pages {
	struct tables tables; /* own, without the C-bit, is in their window */
	uint64_t *own, *copy; /* own is mapped twice */
};

/* The entry that maps an address; 0: none. */
static uint64_t leaf(const struct guest *guest, uint64_t address)
{
	uint64_t entry = read_cr3();

	for (unsigned level = tables_levels(); level; level--) {
		entry = tables_at(guest, entry)[address >> (12 + 9 * (level - 1)) & (TABLE_ENTRIES - 1)];
		if (!(entry & 1))
			return 0;
		if (level < 4 && (entry & TABLE_LARGE))
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

static bool map_twice(const struct guest *guest, struct pages *pages)
{
	if (!tables_make(guest, tables_levels(), &pages->tables) || !(pages->own = tables_page(guest)) ||
	        !(pages->copy = tables_page(guest)))
		return false;
	pages->tables.last[0] = (uint64_t)pages->own | TABLE_WRITE;
	return true;
}

/* Copies the page as it is without the C-bit to copy, or the other way. */
static void move(const struct pages *pages, bool to_copy)
{
	uint64_t flags = interrupts_off(), cr3 = read_cr3();

	flush(pages->own);
	write_cr3(pages->tables.cr3);
	for (size_t i = 0; i < WORDS; i++)
		if (to_copy)
			pages->copy[i] = pages->tables.window[i];
		else
			pages->tables.window[i] = pages->copy[i];
	flush(pages->tables.window);
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
		print_bool("apic-page", has_c_bit(guest, base & TABLE_ADDRESS));
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
	print_number("paging-levels", tables_levels());
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
