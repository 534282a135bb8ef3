/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: the record of a guest's shared pages, range by range, as `vmm map` draws it. Main thread.
 */
#include "control.h"

#define RANGES_AT_ONCE 4096u /* of an answer, which then has some 200 KiB */

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
		uint64_t size_bytes =
		        region->kind == PAGE_PLUGGED ? page_memory_plugged(memory) : region->size_bytes;

		if (size_bytes)
			json_doc_append(&regions, piece(kinds[region->kind], region->gpa.raw, size_bytes));
	}
	return regions;
}

static json_t *devices_of(struct page_memory *memory, bool *ret_complete)
{
	struct page_range found[PAGE_DEVICES_SHOWN];
	size_t count = page_devices_get(memory, found, ret_complete);
	json_t *devices = json_array();

	for (size_t i = 0; i < count; i++)
		json_doc_append(&devices, piece(NULL, found[i].first * PAGE_SIZE_BYTES,
		                                  (found[i].end - found[i].first) * PAGE_SIZE_BYTES));
	return devices;
}

/* What each answer says beside its ranges. Takes them over. */
static json_t *answer(
        struct page_memory *memory, const struct page_record *record, json_t *ranges, json_t *next)
{
	bool devices_complete;
	json_t *devices = devices_of(memory, &devices_complete);

	return json_pack("{s:o,s:o,s:o,s:b,s:o,s:I,s:o}", "regions", regions_of(memory), "ranges", ranges,
	        "devices", devices, "devices-complete", devices_complete, "next", next, "generation",
	        (json_int_t)record->generation, "record", control_record_facts(record));
}

json_t *control_own_map(struct control_call *call, struct err *err)
{
	const struct machine_vm *vm = run_vm(call->control->place.run);
	struct page_memory *memory = vm ? machine_vm_memory(vm) : NULL;
	json_int_t start = json_integer_value(json_object_get(call->arguments, "start"));
	struct page_range found[64];
	struct page_record record;
	uint64_t next = start < 0 ? 0 : (uint64_t)start / PAGE_SIZE_BYTES;
	json_t *ranges;
	size_t count, sum = 0;
	uint64_t more;

	if (!memory || !page_memory_has_record(memory)) {
		err_set(err, ERR_FAILED,
		        "there is no record of shared pages: the guest is a plain one, or a SEV or SEV-ES "
		        "guest without sev.page-status, or not launched yet");
		return NULL;
	}
	page_record_count(memory, &record);
	ranges = json_array();
	do {
		count = page_record_get(memory, next, found, ARRAY_LEN(found));
		for (size_t i = 0; i < count; i++)
			json_doc_append(&ranges, piece(NULL, found[i].first * PAGE_SIZE_BYTES,
			                                 (found[i].end - found[i].first) * PAGE_SIZE_BYTES));
		next = count ? found[count - 1].end + 1 : next;
		sum += count;
	} while (count == ARRAY_LEN(found) && sum < RANGES_AT_ONCE);
	more = next * PAGE_SIZE_BYTES;
	return answer(memory, &record, ranges,
	        count == ARRAY_LEN(found) ? json_integer((json_int_t)more) : json_null());
}
