/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: where RAM and the firmware image lie. RAM starts at 0, leaves the hole that the 32-bit PCI window,
 * the APICs and the firmware need, and goes on at 4 GiB. Above it is the place of RAM that is added while the
 * guest runs. Any thread; no state.
 */
#include <string.h>

#include "vmm/page.h"

static void add(struct page_layout *layout, enum page_region_kind kind, uint64_t start, uint64_t size_bytes)
{
	if (!size_bytes)
		return;
	layout->regions[layout->count++] = (struct page_region){
	        .kind = kind,
	        .gpa = gpa(start),
	        .size_bytes = size_bytes,
	};
}

int page_layout_make(
        uint64_t ram_bytes, uint64_t firmware_bytes, struct page_layout *ret_layout, struct err *err)
{
	struct page_layout layout = {0};

	if (!ram_bytes || !is_aligned(ram_bytes, MIB(1)) || ram_bytes > PAGE_RAM_MAX_BYTES)
		return err_set(err, ERR_USAGE, "memory of %llu bytes: it must be whole MiB, from 1M to %lluT",
		        (unsigned long long)ram_bytes, (unsigned long long)(PAGE_RAM_MAX_BYTES >> 40));
	if (!firmware_bytes || !is_aligned(firmware_bytes, PAGE_SIZE_BYTES) ||
	        firmware_bytes > PAGE_FIRMWARE_MAX_BYTES)
		return err_set(err, ERR_USAGE,
		        "has %llu bytes: a firmware image has whole pages of 4 KiB and at most %llu MiB",
		        (unsigned long long)firmware_bytes,
		        (unsigned long long)(PAGE_FIRMWARE_MAX_BYTES >> 20));
	layout.low_bytes = ram_bytes < PAGE_HOLE_START ? ram_bytes : PAGE_HOLE_START;
	layout.high_bytes = ram_bytes - layout.low_bytes;
	add(&layout, PAGE_RAM, 0, layout.low_bytes);
	add(&layout, PAGE_FIRMWARE, PAGE_HOLE_END - firmware_bytes, firmware_bytes);
	add(&layout, PAGE_RAM, PAGE_HOLE_END, layout.high_bytes);
	*ret_layout = layout;
	return 0;
}

/* There is always RAM below it. */
static struct page_region *find_firmware(struct page_layout *layout)
{
	struct page_region *region = &layout->regions[1];

	while (region->kind != PAGE_FIRMWARE)
		region++;
	return region;
}

static void insert(struct page_layout *layout, struct page_region *before, struct page_region region)
{
	size_t behind = layout->count - (size_t)(before - layout->regions);

	memmove(before + 1, before, behind * sizeof(*before));
	*before = region;
	layout->count++;
}

int page_layout_add_store(struct page_layout *layout, uint64_t size_bytes, struct err *err)
{
	struct page_region *firmware = find_firmware(layout);
	const struct page_region store = {PAGE_STORE, gpa(firmware->gpa.raw - size_bytes), size_bytes};

	if (!size_bytes || !is_aligned(size_bytes, PAGE_SIZE_BYTES) ||
	        size_bytes > PAGE_FIRMWARE_MAX_BYTES - firmware->size_bytes)
		return err_set(err, ERR_USAGE,
		        "has %llu bytes: a store of variables has whole pages of 4 KiB, and at most %llu MiB "
		        "together with its image",
		        (unsigned long long)size_bytes, (unsigned long long)(PAGE_FIRMWARE_MAX_BYTES >> 20));
	insert(layout, firmware, store);
	return 0;
}

int page_layout_add_helper(struct page_layout *layout, struct gpa start, uint64_t size_bytes, struct err *err)
{
	struct page_region *next = &layout->regions[1];

	if (!size_bytes || !is_aligned(start.raw | size_bytes, PAGE_SIZE_BYTES) ||
	        start.raw < layout->low_bytes || !range_fits(start.raw, size_bytes, next->gpa.raw))
		return err_set(err, ERR_USAGE,
		        "the %llu KiB of a helper at 0x%llx must be whole pages between RAM and firmware",
		        (unsigned long long)(size_bytes >> 10), (unsigned long long)start.raw);
	insert(layout, next, (struct page_region){PAGE_HELPER, start, size_bytes});
	return 0;
}

#define PLUGGED_ALIGNMENT GIB(2) /* Linux's largest block of memory on x86 */

int page_layout_add_plugged(struct page_layout *layout, uint64_t size_bytes, struct err *err)
{
	uint64_t end = PAGE_HOLE_END + layout->high_bytes, ram_bytes = layout->low_bytes + layout->high_bytes;

	if (!size_bytes || !is_aligned(size_bytes, PAGE_PLUG_BYTES) ||
	        size_bytes > PAGE_RAM_MAX_BYTES - ram_bytes)
		return err_set(err, ERR_USAGE,
		        "%llu MiB cannot be added to %llu MiB of memory: it must be a multiple of %llu MiB, "
		        "and there can be %llu TiB in all",
		        (unsigned long long)(size_bytes >> 20), (unsigned long long)(ram_bytes >> 20),
		        (unsigned long long)(PAGE_PLUG_BYTES >> 20),
		        (unsigned long long)(PAGE_RAM_MAX_BYTES >> 40));
	add(layout, PAGE_PLUGGED, (end + PLUGGED_ALIGNMENT - 1) & ~(PLUGGED_ALIGNMENT - 1), size_bytes);
	return 0;
}

const struct page_region *page_layout_plugged(const struct page_layout *layout)
{
	const struct page_region *last = &layout->regions[layout->count - 1];

	return last->kind == PAGE_PLUGGED ? last : NULL;
}

#define LARGE_BLOCKS_FROM GIB(64)

uint64_t page_layout_block_bytes(const struct page_layout *layout)
{
	uint64_t end = PAGE_HOLE_END + layout->high_bytes, block = PAGE_PLUG_BYTES;

	if (!layout->high_bytes || end < LARGE_BLOCKS_FROM)
		return block;
	while (block < PLUGGED_ALIGNMENT && is_aligned(end, 2 * block))
		block *= 2;
	return block;
}

const struct page_region *page_layout_find(const struct page_layout *layout, uint64_t address)
{
	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		if (address >= region->gpa.raw && address - region->gpa.raw < region->size_bytes)
			return region;
	}
	return NULL;
}
