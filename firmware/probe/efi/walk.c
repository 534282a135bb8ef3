/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: what firmware's page tables map with the C-bit, which the guest keeps to itself, and without it,
 * which it shares with the hypervisor. Pages side by side are printed as one run, so devices and RAM that
 * touch are one.
 *
 * Law: AMD APM 24593, 5.3 (page tables), 15.34.5 (C-bit in page tables).
 */
#include "facts.h"

#define LARGEST_LEVEL 3u /* whose entries may map pages: of 1 GiB */

struct walk {
	const struct guest *guest;
	bool encrypted;      /* what is looked for */
	uint64_t start, end; /* a run that nobody was told of yet */
	uint64_t moved;      /* bytes whose virtual address is another one */
	void (*on_run)(void *ctx, uint64_t at, uint64_t bytes);
	void *ctx;
};

static void tell(const struct walk *walk)
{
	if (walk->start != walk->end)
		walk->on_run(walk->ctx, walk->start, walk->end - walk->start);
}

static void on_page(struct walk *walk, uint64_t virtual, uint64_t entry, uint64_t size)
{
	uint64_t c_bit = 1ull << walk->guest->c_bit, at = entry & TABLE_ADDRESS & ~c_bit & ~(size - 1);

	if (!!(entry & c_bit) != walk->encrypted)
		return;
	if (at != virtual)
		walk->moved += size;
	if (at != walk->end) {
		tell(walk);
		walk->start = at;
	}
	walk->end = at + size;
}

static void walk_table(struct walk *walk, uint64_t leads_to_it, unsigned level, uint64_t virtual)
{
	const uint64_t *table = tables_at(walk->guest, leads_to_it), size = 1ull << (12 + 9 * (level - 1));

	for (unsigned i = 0; i < TABLE_ENTRIES; i++, virtual += size) {
		if (!(table[i] & 1))
			continue;
		if (level == 1 || (level <= LARGEST_LEVEL && table[i] & TABLE_LARGE))
			on_page(walk, virtual, table[i], size);
		else
			walk_table(walk, table[i], level - 1, virtual);
	}
}

uint64_t walk(const struct guest *guest, bool encrypted,
        void (*on_run)(void *ctx, uint64_t at, uint64_t bytes), void *ctx)
{
	struct walk walk = {.guest = guest, .encrypted = encrypted, .on_run = on_run, .ctx = ctx};

	walk_table(&walk, read_cr3(), tables_levels(), 0);
	tell(&walk);
	return walk.moved;
}

static void put_run(void *ctx, uint64_t at, uint64_t bytes)
{
	print_open(NULL, '{');
	print_mask("gpa", at);
	print_number("size-bytes", bytes);
	print_close('}');
}

static uint64_t put_runs(const struct guest *guest, const char *key, bool encrypted)
{
	uint64_t moved;

	print_open(key, '[');
	moved = walk(guest, encrypted, put_run, NULL);
	print_close(']');
	return moved;
}

void facts_page_tables(const struct guest *guest)
{
	uint64_t moved;

	if (!guest->sev_status) {
		print_null("page-tables");
		return;
	}
	print_open("page-tables", '{');
	moved = put_runs(guest, "encrypted", true);
	moved += put_runs(guest, "shared", false);
	print_number("moved-bytes", moved);
	print_close('}');
}
