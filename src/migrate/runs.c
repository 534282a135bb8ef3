/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs: which pages of a guest come late, in frames of the wire.
 *
 *     0 records u32   4 is it the last frame u32   then for each record: gpa u64   bytes u64
 *
 * Records are in the order of their addresses, so there are never more of them than the guest has pages.
 */
#include "late.h"

#define RECORDS_MAX  4096
#define RECORD_BYTES 16
#define HEAD_BYTES   8

static int send_frame(struct migrate_side *side, unsigned records, bool last, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);

	store_le(payload, 4, records);
	store_le(payload + 4, 4, last);
	return migrate_wire_send(
	        &side->wire, MIGRATE_LATER, HEAD_BYTES + (size_t)records * RECORD_BYTES, err);
}

/* Takes all frames out of the map. */
static int send_all(struct migrate_side *side, struct page_dirty *frames, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);
	struct page_range run = {0};
	unsigned records = 0;

	while (page_dirty_take(frames, run.end, UINT64_MAX, &run)) {
		uint8_t *record = payload + HEAD_BYTES + (size_t)records * RECORD_BYTES;

		store_le(record, 8, run.first * PAGE_SIZE_BYTES);
		store_le(record + 8, 8, (run.end - run.first) * PAGE_SIZE_BYTES);
		if (++records < RECORDS_MAX)
			continue;
		if (send_frame(side, records, false, err) < 0)
			return -1;
		records = 0;
	}
	return send_frame(side, records, true, err);
}

int migrate_runs_send(struct migrate_side *side, const struct page_dirty *frames, struct err *err)
{
	struct page_dirty *copy = NULL;
	int result = page_dirty_create(side->guest->memory, &copy, err);

	if (result == 0) {
		page_dirty_combine(copy, PAGE_DIRTY_OR, frames);
		result = send_all(side, copy, err);
	}
	page_dirty_destroy(copy);
	return result;
}

int migrate_runs_load(struct migrate_side *side, const struct migrate_frame *frame, struct migrate_runs *runs,
        struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t count = cursor_u32(&in), last = cursor_u32(&in);

	if (in.bad || last > 1 || count > RECORDS_MAX || (!count && !last) ||
	        in.left != (size_t)count * RECORD_BYTES)
		return err_set(
		        err, ERR_FAILED, "the other vmm sent a malformed list of the pages that come late");
	while (count--) {
		uint64_t at = cursor_u64(&in), size = cursor_u64(&in), end;

		if (!size || at % PAGE_SIZE_BYTES || size % PAGE_SIZE_BYTES || at < runs->next ||
		        !add_ok(at, size, &end) ||
		        page_memory_bytes_in(side->guest->memory, gpa(at), size) != size)
			return err_set(err, ERR_FAILED,
			        "the other vmm lists pages to come late that no guest of this plan has");
		runs->next = end;
		if (runs->on_run(runs->ctx, at / PAGE_SIZE_BYTES, size / PAGE_SIZE_BYTES, err) < 0)
			return -1;
	}
	return (int)last;
}
