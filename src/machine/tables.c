/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: the small files by which firmware learns the memory map and the sleep states. Any thread; no state.
 * ACPI 6.5, 15.1 (E820); OVMF's PlatformInitLib and S3 support are their readers.
 */
#include "vmm/machine.h"

#define E820_RAM 1

size_t machine_e820_make(const struct page_layout *layout, uint8_t ret_table[static MACHINE_E820_MAX_BYTES])
{
	size_t used = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		if (region->kind != PAGE_RAM || used == MACHINE_E820_MAX_BYTES)
			continue;
		store_le(ret_table + used, 8, region->gpa.raw);
		store_le(ret_table + used + 8, 8, region->size_bytes);
		store_le(ret_table + used + 16, 4, E820_RAM);
		used += MACHINE_E820_ENTRY_BYTES;
	}
	return used;
}

/* Byte n: bit 7 says that Sn exists, the low bits are its SLP_TYP. S0 and S5 always exist. */
const uint8_t machine_system_states[MACHINE_SYSTEM_STATES_SIZE] = {[0] = 0x80, [5] = 0x80};
