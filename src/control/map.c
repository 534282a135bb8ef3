/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: the record of a guest's shared pages, range by range, as `vmm map` draws it. Main thread.
 */
#include <stdlib.h>

#include "control.h"

#define RANGES_AT_ONCE 4096u /* of an answer, which then has some 200 KiB */

static json_t *bytes_of(uint64_t frames)
{
	uint64_t bytes = frames * PAGE_SIZE_BYTES;

	return json_integer((json_int_t)bytes);
}

static json_t *piece(const char *kind, uint64_t gpa, uint64_t size_bytes)
{
	json_t *piece =
	        json_pack("{s:o,s:I}", "gpa", json_doc_mask(gpa), "size-bytes", (json_int_t)size_bytes);

	if (kind)
		json_doc_set(&piece, "kind", json_string(kind));
	return piece;
}

static json_t *regions_of(const struct page_memory *memory)
{
	static const char *const kinds[] = {[PAGE_RAM] = "ram",
	        [PAGE_FIRMWARE] = "firmware",
	        [PAGE_STORE] = "store",
	        [PAGE_PLUGGED] = "added"};
	const struct page_layout *layout = page_memory_layout(memory);
	json_t *regions = json_array();

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];
		uint64_t size_bytes = region->kind == PAGE_HELPER    ? 0
		                      : region->kind == PAGE_PLUGGED ? page_memory_plugged(memory)
		                                                     : region->size_bytes;

		if (size_bytes)
			json_doc_append(&regions, piece(kinds[region->kind], region->gpa.raw, size_bytes));
	}
	return regions;
}

json_t *control_flip(const struct page_flip *flip)
{
	return json_pack("{s:o,s:o,s:I,s:I}", "gpa", json_doc_mask(flip->first * PAGE_SIZE_BYTES),
	        "size-bytes", bytes_of(flip->pages), "flips", (json_int_t)flip->count, "last-ns",
	        (json_int_t)flip->last_ns);
}

/* ---- what was converted often ---- */

#define FLIPPERS 10u

struct flips {
	struct page_flip rows[PAGE_FLIPS_MAX]; /* in the order of their addresses */
	size_t count;
	json_t *top;
};

static int by_address(const void *a, const void *b)
{
	const struct page_flip *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void read_flips(struct page_memory *memory, struct flips *ret_flips)
{
	struct page_flips *table = page_memory_flips(memory);

	ret_flips->count = table ? page_flips_get(table, ret_flips->rows) : 0;
	ret_flips->top = json_array();
	for (size_t i = 0; i < ret_flips->count && i < FLIPPERS && ret_flips->rows[i].count > 1; i++)
		json_doc_append(&ret_flips->top, control_flip(&ret_flips->rows[i]));
	qsort(ret_flips->rows, ret_flips->count, sizeof(ret_flips->rows[0]), by_address);
}

static size_t first_at(const struct flips *flips, uint64_t frame)
{
	size_t low = 0, high = flips->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (flips->rows[middle].first < frame)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static json_t *shared_piece(const struct flips *flips, const struct page_range *range)
{
	json_t *shared =
	        piece(NULL, range->first * PAGE_SIZE_BYTES, (range->end - range->first) * PAGE_SIZE_BYTES);
	uint64_t count = 0, last_ns = 0;

	for (size_t i = first_at(flips, range->first); i < flips->count; i++) {
		const struct page_flip *row = &flips->rows[i];

		if (row->first >= range->end)
			break;
		count += row->count;
		last_ns = row->last_ns > last_ns ? row->last_ns : last_ns;
	}
	json_doc_set(&shared, "flips", json_integer((json_int_t)count));
	json_doc_set(&shared, "last-ns", count ? json_integer((json_int_t)last_ns) : json_null());
	return shared;
}

/* ---- the answer ---- */

static json_t *pieces_of(const struct page_range *ranges, size_t count)
{
	json_t *pieces = json_array();

	for (size_t i = 0; i < count; i++)
		json_doc_append(&pieces, piece(NULL, ranges[i].first * PAGE_SIZE_BYTES,
		                                 (ranges[i].end - ranges[i].first) * PAGE_SIZE_BYTES));
	return pieces;
}

static json_t *devices_of(struct page_memory *memory, bool *ret_complete)
{
	struct page_range found[PAGE_DEVICES_SHOWN];
	size_t count = page_devices_get(memory, found, ret_complete);

	return pieces_of(found, count);
}

static json_t *twice_of(const struct page_memory *memory)
{
	struct page_twice twice;

	page_memory_twice(memory, &twice);
	if (!twice.known)
		return json_null();
	return json_pack("{s:o,s:o}", "size-bytes", bytes_of(twice.pages), "ranges",
	        pieces_of(twice.ranges, twice.count));
}

/* Takes over what it is given. */
static json_t *answer(struct page_memory *memory, const struct page_record *record, json_t *ranges,
        json_t *flippers, json_t *next)
{
	bool devices_complete;
	json_t *devices = devices_of(memory, &devices_complete);

	return json_pack("{s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:I,s:o}", "regions", regions_of(memory), "ranges",
	        ranges, "devices", devices, "devices-complete", devices_complete, "flippers", flippers,
	        "held-twice", twice_of(memory), "next", next, "generation", (json_int_t)record->generation,
	        "record", control_record_facts(record));
}

/* Appends ranges from *next on. Returns whether there may be more, and from where. */
static bool append_ranges(
        struct page_memory *memory, const struct flips *flips, uint64_t *next, json_t **ranges)
{
	struct page_record_walk walk = {.memory = memory, .next = *next, .end = PAGE_RANGE_MAP_PAGES_MAX};
	struct page_range range;
	size_t count = 0;

	while (count < RANGES_AT_ONCE && page_record_next(&walk, &range)) {
		json_doc_append(ranges, shared_piece(flips, &range));
		count++;
	}
	*next = walk.next;
	return count == RANGES_AT_ONCE;
}

json_t *control_own_map(struct control_call *call, struct err *err)
{
	const struct machine_vm *vm = run_vm(call->control->place.run);
	struct page_memory *memory = vm ? machine_vm_memory(vm) : NULL;
	json_int_t start = json_integer_value(json_object_get(call->arguments, "start"));
	uint64_t next = start < 0 ? 0 : (uint64_t)start / PAGE_SIZE_BYTES;
	struct page_record record;
	struct flips flips;
	json_t *ranges;
	bool more;

	if (!memory || !page_memory_has_record(memory)) {
		err_set(err, ERR_FAILED,
		        "there is no record of shared pages: the guest is a plain one, or a SEV or SEV-ES "
		        "guest without sev.page-status, or not launched yet");
		return NULL;
	}
	page_record_count(memory, &record);
	read_flips(memory, &flips);
	ranges = json_array();
	more = append_ranges(memory, &flips, &next, &ranges);
	return answer(memory, &record, ranges, flips.top, more ? bytes_of(next) : json_null());
}
