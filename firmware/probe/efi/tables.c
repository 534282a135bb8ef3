/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: page tables of the program's own, because firmware's may be write-protected: a copy of firmware's
 * top table that has one more entry. They are in use for a few instructions at a time, with interrupts off.
 *
 * Law: AMD APM 24593, 5.3 (page tables), 15.34.5 (C-bit in page tables).
 */
#include "facts.h"

#define HALF     256u /* entries of the top table for lower addresses */
#define CR4_LA57 (1u << 12)

unsigned tables_levels(void)
{
	return read_cr4() & CR4_LA57 ? 5 : 4;
}

uint64_t *tables_at(const struct guest *guest, uint64_t entry)
{
	return (uint64_t *)(entry & TABLE_ADDRESS & ~(1ull << guest->c_bit));
}

uint64_t *tables_page(const struct guest *guest)
{
	uint64_t address;

	if (guest->system->BootServices->AllocatePages(AllocateAnyPages, EfiBootServicesData, 1, &address))
		return NULL;
	for (size_t i = 0; i < TABLE_ENTRIES; i++)
		((uint64_t *)address)[i] = 0;
	return (uint64_t *)address;
}

bool tables_make(const struct guest *guest, unsigned count, struct tables *tables)
{
	uint64_t c_bit = 1ull << guest->c_bit, *top = tables_at(guest, read_cr3());
	unsigned free = HALF;

	for (unsigned i = 0; i < count; i++)
		if (!(tables->table[i] = tables_page(guest)))
			return false;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		tables->table[0][i] = top[i];
		if (i && i < HALF && !(top[i] & 1))
			free = i;
	}
	if (free == HALF)
		return false;
	tables->table[0][free] = (uint64_t)tables->table[1] | c_bit | TABLE_WRITE;
	for (unsigned i = 1; i + 1 < count; i++)
		tables->table[i][0] = (uint64_t)tables->table[i + 1] | c_bit | TABLE_WRITE;
	tables->last = tables->table[count - 1];
	tables->window = (volatile uint64_t *)((uint64_t)free << (12 + 9 * (tables_levels() - 1)));
	tables->cr3 = (uint64_t)tables->table[0] | (read_cr3() & c_bit);
	return true;
}
