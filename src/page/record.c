/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: the record of what a SEV or SEV-ES guest shares, when the guest goes to another vmm. The guest is
 * stopped at the one, and has not run at the other.
 */
#include <errno.h>

#include "memory.h"

static struct page_range_map *map_of(const struct page_memory *memory, enum page_record_part part)
{
	return part == PAGE_RECORD_MEMORY ? memory->shared : memory->devices;
}

static uint32_t ranges_of(const struct page_memory *memory, enum page_record_part part)
{
	return part == PAGE_RECORD_MEMORY ? memory->ranges_max : PAGE_DEVICES_MAX;
}

/* As many as the map was made for: page_memory_keep_record(), page_memory_keep_devices(). */
static uint64_t pages_of(const struct page_memory *memory, enum page_record_part part)
{
	const struct page_region *last = &memory->layout.regions[memory->layout.count - 1];

	if (part == PAGE_RECORD_DEVICES)
		return memory->address_end / PAGE_SIZE_BYTES;
	return (last->gpa.raw + last->size_bytes) / PAGE_SIZE_BYTES;
}

size_t page_record_form_max_bytes(const struct page_memory *memory, enum page_record_part part)
{
	return PAGE_RANGE_FORM_MAX_BYTES(ranges_of(memory, part));
}

int page_record_make_form(const struct page_memory *memory, enum page_record_part part, uint8_t **ret_data,
        size_t *ret_size, struct err *err)
{
	struct page_range_snapshot snapshot = {0};
	int result;

	if (!map_of(memory, part))
		return err_set(err, ERR_FAILED, "there is no record of what the guest shares");
	if (page_range_map_snapshot(map_of(memory, part), &snapshot, err) < 0)
		return -1;
	if (!snapshot.exact)
		result = err_set(err, ERR_FAILED, "the guest shares other pages while it is stopped");
	else if (part == PAGE_RECORD_MEMORY && !snapshot.complete)
		result = err_set(err, ERR_FAILED, "the record of what the guest shares is not complete");
	else
		result = page_range_form_make(&snapshot, ret_data, ret_size, err);
	page_range_snapshot_finish(&snapshot);
	return result;
}

/* Shared memory is memory. What is no memory may be whatever the guest can address. */
static bool is_possible(
        const struct page_memory *memory, enum page_record_part part, const struct page_range *range)
{
	uint64_t size_bytes = (range->end - range->first) * PAGE_SIZE_BYTES;

	return part == PAGE_RECORD_DEVICES ||
	       page_memory_bytes_in(memory, gpa(range->first * PAGE_SIZE_BYTES), size_bytes) == size_bytes;
}

static int take(struct page_memory *memory, enum page_record_part part,
        const struct page_range_snapshot *snapshot, struct err *err)
{
	struct page_range_map *into = map_of(memory, part);

	if (part == PAGE_RECORD_MEMORY && !snapshot->complete)
		return err_set(
		        err, ERR_FAILED, "the other vmm's record of what the guest shares is not complete");
	if (page_range_map_set(into, 0, pages_of(memory, part), false) > PAGE_RANGE_SAME)
		return err_set(err, ERR_FAILED, "the record of what the guest shares cannot be emptied");
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct page_range *range = &snapshot->ranges[i];

		if (!is_possible(memory, part, range) ||
		        page_range_map_set(into, range->first, range->end, true) > PAGE_RANGE_SAME)
			return err_set(err, ERR_FAILED, "the guest shares pages that it does not have");
	}
	if (!snapshot->complete)
		page_range_map_doubt(into, snapshot->doubt.first, snapshot->doubt.end);
	return 0;
}

int page_record_read_form(struct page_memory *memory, enum page_record_part part, const uint8_t *data,
        size_t size, struct err *err)
{
	struct page_range_snapshot snapshot = {0};
	struct page_range_map *read;
	int result;

	if (!map_of(memory, part))
		return err_set(err, ERR_FAILED, "there is no record of what the guest shares");
	if (page_range_form_read(data, size, pages_of(memory, part), ranges_of(memory, part), &read, err) < 0)
		return -1;
	result = page_range_map_snapshot(read, &snapshot, err);
	if (result == 0)
		result = take(memory, part, &snapshot, err);
	page_range_snapshot_finish(&snapshot);
	page_range_map_destroy(read);
	return result;
}
