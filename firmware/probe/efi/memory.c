/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: how much RAM firmware tells of, and where it is.
 */
#include "facts.h"

#define MAP_BYTES (64u << 10)

static uint8_t map[MAP_BYTES] __attribute__((aligned(8)));
static size_t map_bytes, map_step; /* of it, and of a descriptor */

/* Firmware keeps some RAM for itself as reserved; that may be no RAM at all, too. */
static bool is_ram(uint32_t type)
{
	return type != EfiReservedMemoryType && type != EfiUnusableMemory && type != EfiMemoryMappedIO &&
	       type != EfiMemoryMappedIOPortSpace;
}

bool memory_next_ram(uint64_t at, uint64_t end, uint64_t *ret_from, uint64_t *ret_to)
{
	*ret_from = end;
	for (size_t i = 0; i + sizeof(EFI_MEMORY_DESCRIPTOR) <= map_bytes; i += map_step) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map + i);
		uint64_t start = d->PhysicalStart, limit = start + d->NumberOfPages * EFI_SIZE_MINIMUM;

		if (!is_ram(d->Type) || limit <= at || start >= *ret_from)
			continue;
		*ret_from = start > at ? start : at;
		*ret_to = limit < end ? limit : end;
	}
	return *ret_from < end;
}

void facts_memory_map(const struct guest *guest)
{
	size_t size = sizeof(map), key, step;
	uint32_t version;
	uint64_t ram = 0, usable = 0, reserved = 0;

	if (guest->system->BootServices->GetMemoryMap(&size, map, &key, &step, &version)) {
		print_null("memory");
		return;
	}
	map_bytes = size;
	map_step = step;
	for (size_t at = 0; at + sizeof(EFI_MEMORY_DESCRIPTOR) <= size; at += step) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map + at);
		uint64_t bytes = d->NumberOfPages * EFI_SIZE_MINIMUM;

		ram += is_ram(d->Type) ? bytes : 0;
		usable += d->Type == EfiConventionalMemory ? bytes : 0;
		reserved += d->Type == EfiReservedMemoryType ? bytes : 0;
	}
	print_open("memory", '{');
	print_number("ram-bytes", ram);
	print_number("conventional-bytes", usable);
	print_number("reserved-bytes", reserved);
	print_number("descriptors", size / step);
	print_close('}');
}
