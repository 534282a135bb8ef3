/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: memory in frames of the wire.
 *
 *     0 records u32   4 zero u32   then for each record: gpa u64   bytes u32   kind u32
 *     then the contents of the records that have some, in their order
 *
 * A page is copied out of the guest's memory once, and what is sent is the copy: the guest may write
 * meanwhile, and the page is then sent again.
 */
#include <string.h>

#include "side.h"

#define RECORDS_MAX  256
#define RECORD_BYTES 16
#define HEAD_BYTES   8
#define FRAME_PAGES  64   /* contents of one frame: as much as a processor's cache holds while it is summed */
#define SCAN_PAGES   1024 /* pages that one frame tells of, most of them zeros */
#define AT_CONTENTS  (HEAD_BYTES + RECORDS_MAX * RECORD_BYTES)

enum { KIND_DATA = 1, KIND_ZERO = 2 };

/* ---- source ---- */

struct batch {
	uint8_t *payload;
	unsigned records, data_pages, zero_pages;
};

static bool is_zero(const uint8_t *page)
{
	uint64_t any = 0;

	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += 256) {
		for (size_t j = 0; j < 256; j += 8)
			any |= load_le(page + i + j, 8);
		if (any)
			return false;
	}
	return true;
}

/* Adds a page to the last record if it goes on with it. */
static void add(struct batch *batch, uint64_t gpa, unsigned kind)
{
	uint8_t *last = batch->payload + HEAD_BYTES + ((size_t)batch->records - 1) * RECORD_BYTES;

	if (batch->records && load_le(last + 12, 4) == kind &&
	        load_le(last, 8) + load_le(last + 8, 4) == gpa) {
		store_le(last + 8, 4, load_le(last + 8, 4) + PAGE_SIZE_BYTES);
		return;
	}
	last += RECORD_BYTES;
	store_le(last, 8, gpa);
	store_le(last + 8, 4, PAGE_SIZE_BYTES);
	store_le(last + 12, 4, kind);
	batch->records++;
}

static bool is_full(const struct batch *batch)
{
	return batch->records == RECORDS_MAX || batch->data_pages == FRAME_PAGES ||
	       batch->data_pages + batch->zero_pages >= SCAN_PAGES;
}

static int add_page(struct migrate_side *side, struct batch *batch, uint64_t frame, struct err *err)
{
	uint8_t *to = batch->payload + AT_CONTENTS + (size_t)batch->data_pages * PAGE_SIZE_BYTES;
	uint64_t at = frame * PAGE_SIZE_BYTES;

	if (page_read(side->guest->memory, gpa(at), to, PAGE_SIZE_BYTES) < 0)
		return err_set(err, ERR_FAILED, "the page at 0x%llx cannot be read", (unsigned long long)at);
	if (is_zero(to)) {
		batch->zero_pages++;
		add(batch, at, KIND_ZERO);
	} else {
		batch->data_pages++;
		add(batch, at, KIND_DATA);
	}
	return 0;
}

/* Moves the records, of which there are seldom as many as possible, to the contents, and sends both. */
static int send_batch(struct migrate_side *side, const struct batch *batch, struct err *err)
{
	size_t head = HEAD_BYTES + (size_t)batch->records * RECORD_BYTES;
	uint8_t *payload = batch->payload + AT_CONTENTS - head;

	store_le(batch->payload, 4, batch->records);
	store_le(batch->payload + 4, 4, 0);
	memmove(payload, batch->payload, head);
	return migrate_wire_send_at(
	        &side->wire, MIGRATE_PAGES, payload, head + (size_t)batch->data_pages * PAGE_SIZE_BYTES, err);
}

int migrate_pages_send(struct migrate_side *side, struct page_dirty *dirty, uint64_t *from, struct err *err)
{
	struct batch batch = {.payload = migrate_wire_payload(&side->wire)};
	struct page_range run;

	while (!is_full(&batch) && page_dirty_take(dirty, *from, 1, &run)) {
		if (add_page(side, &batch, run.first, err) < 0)
			return -1;
		*from = run.end;
	}
	if (!batch.records)
		return 0;
	atomic_fetch_add_explicit(&side->progress->data_pages, batch.data_pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&side->progress->zero_pages, batch.zero_pages, memory_order_relaxed);
	if (send_batch(side, &batch, err) < 0)
		return -1;
	return (int)(batch.data_pages + batch.zero_pages);
}

/* ---- target ---- */

static int bad_pages(struct err *err)
{
	return err_set(
	        err, ERR_FAILED, "a frame from the other vmm has pages that no guest of this plan has");
}

static int load_zeros(struct migrate_side *side, uint64_t at, uint64_t size, struct page_dirty *written)
{
	static const uint8_t zeros[PAGE_SIZE_BYTES];
	uint64_t from = at / PAGE_SIZE_BYTES, end = from + size / PAGE_SIZE_BYTES;
	struct page_range run;

	/* Memory that holds nothing is zeros, and stays untouched. */
	while (from < end && page_dirty_take(written, from, 1, &run)) {
		if (run.first >= end) {
			page_dirty_set(written, run.first, 1);
			return 0;
		}
		if (page_load(side->guest->memory, gpa(run.first * PAGE_SIZE_BYTES), zeros, sizeof(zeros)) <
		        0)
			return -1;
		from = run.end;
	}
	return 0;
}

static int load_record(struct migrate_side *side, struct cursor *records, struct cursor *contents,
        struct page_dirty *written, struct err *err)
{
	uint64_t at = cursor_u64(records);
	uint64_t size = cursor_u32(records), last;
	unsigned kind = cursor_u32(records);
	const void *data = NULL;

	if (!size || at % PAGE_SIZE_BYTES || size % PAGE_SIZE_BYTES || !add_ok(at, size, &last) ||
	        page_memory_bytes_in(side->guest->memory, gpa(at), size) != size)
		return bad_pages(err);
	migrate_seal_note_plain(side, at / PAGE_SIZE_BYTES, size / PAGE_SIZE_BYTES);
	if (kind == KIND_ZERO)
		return load_zeros(side, at, size, written) < 0 ? bad_pages(err)
		                                               : (int)(size / PAGE_SIZE_BYTES);
	if (kind == KIND_DATA)
		data = cursor_take(contents, size);
	if (!data || page_load(side->guest->memory, gpa(at), data, size) < 0)
		return bad_pages(err);
	page_dirty_set(written, at / PAGE_SIZE_BYTES, size / PAGE_SIZE_BYTES);
	return (int)(size / PAGE_SIZE_BYTES);
}

int migrate_pages_load(struct migrate_side *side, const struct migrate_frame *frame,
        struct page_dirty *written, struct err *err)
{
	struct cursor contents = cursor_over(frame->payload, frame->size), records;
	uint32_t count = cursor_u32(&contents), zero = cursor_u32(&contents);
	uint64_t pages = 0;

	if (contents.bad || zero || !count || count > RECORDS_MAX)
		return bad_pages(err);
	records = contents;
	if (!cursor_take(&contents, (size_t)count * RECORD_BYTES))
		return bad_pages(err);
	for (uint32_t i = 0; i < count; i++) {
		int more = load_record(side, &records, &contents, written, err);

		if (more < 0)
			return -1;
		pages += (unsigned)more;
	}
	if (contents.left || pages > SCAN_PAGES)
		return bad_pages(err);
	return (int)pages;
}
