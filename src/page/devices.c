/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices: what a SEV or SEV-ES guest shares that is no memory: addresses of devices, and holes. KVM takes
 * such a report, so it is no mistake of the guest. It is kept in a map of its own, apart from the record of
 * memory: it counts towards no memory, opens no door, and RAM that is added at such an address begins as the
 * guest's own. The map is cut where memory is when it is read. Any thread. Law: api.rst, KVM_EXIT_HYPERCALL
 * (KVM_HC_MAP_GPA_RANGE).
 */
#include "memory.h"

#define FRAME_OF(address) ((address) / PAGE_SIZE_BYTES)

static const struct page_region *last_region(const struct page_memory *memory)
{
	return &memory->layout.regions[memory->layout.count - 1];
}

int page_memory_keep_devices(struct page_memory *memory, unsigned address_bits, struct err *err)
{
	const struct page_region *last = last_region(memory);
	uint64_t end = last->gpa.raw + last->size_bytes, all = UINT64_C(1) << address_bits;

	/* The guest may have more memory than it can address. The bound cuts none of it off. */
	memory->address_end = end > all ? end : all;
	return page_range_map_create(FRAME_OF(memory->address_end), PAGE_DEVICES_MAX, &memory->devices, err);
}

bool page_is_reportable(const struct page_memory *memory, struct gpa start, uint64_t size_bytes)
{
	uint64_t end;

	if (!memory->devices)
		return page_is_backed(memory, start, size_bytes);
	return add_ok(start.raw, size_bytes, &end) && end <= memory->address_end;
}

/*
 * The frames of [*first, end) up to the next memory, or false: there are none. *first becomes the end of that
 * memory.
 */
static bool next_gap(
        const struct page_memory *memory, uint64_t *first, uint64_t end, struct page_range *ret_gap)
{
	for (unsigned i = 0; i < memory->layout.count; i++) {
		uint64_t region = FRAME_OF(memory->layout.regions[i].gpa.raw);
		uint64_t region_end = region + FRAME_OF(page_region_bytes(memory, i));

		if (region_end <= *first || region == region_end)
			continue;
		*ret_gap = (struct page_range){*first, region < end ? region : end};
		*first = region_end;
		if (ret_gap->first < ret_gap->end)
			return true;
	}
	*ret_gap = (struct page_range){*first, end};
	*first = end;
	return ret_gap->first < ret_gap->end;
}

void page_devices_mark(struct page_memory *memory, struct gpa start, uint64_t size_bytes, bool private)
{
	uint64_t first = FRAME_OF(start.raw), end;
	struct page_range gap;

	if (!memory->devices || !add_ok(start.raw, size_bytes, &end))
		return;
	end = FRAME_OF(end < memory->address_end ? end : memory->address_end);
	while (next_gap(memory, &first, end, &gap)) {
		if (page_range_map_set(memory->devices, gap.first, gap.end, !private) > PAGE_RANGE_SAME)
			page_range_map_doubt(memory->devices, gap.first, gap.end);
	}
}

size_t page_devices_get(struct page_memory *memory, struct page_range ret_ranges[static PAGE_DEVICES_SHOWN],
        bool *ret_complete)
{
	uint64_t first = 0, end = FRAME_OF(memory->address_end);
	struct page_range gap;
	size_t count = 0;

	*ret_complete = !memory->devices || page_range_map_is_complete(memory->devices, NULL);
	while (memory->devices && next_gap(memory, &first, end, &gap))
		count += page_range_map_get(
		        memory->devices, gap.first, gap.end, &ret_ranges[count], PAGE_DEVICES_SHOWN - count);
	return count;
}
