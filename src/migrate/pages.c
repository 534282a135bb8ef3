/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: memory in frames of the wire.
 *
 *     0 records u32   4 sums u32   then for each record: gpa u64   bytes u32   kind u32
 *     then the sums: the CRC-32C u32 of each page of the contents, if the frame's checksum leaves these out
 *     then the contents of the records that have some, in their order
 *
 * The guest may write to a page meanwhile; it is then sent again. Where the kernel can lend pages to the
 * connection (lend.h) nothing is copied, and each page has a sum of its own: one that was written on its way
 * has another, and has to come again. Otherwise what is sent is a copy.
 */
#include <string.h>

#include "side.h"

#define RECORDS_MAX  256
#define RECORD_BYTES 16
#define HEAD_BYTES   8
#define AT_SUMS      4
#define SUM_BYTES    4
#define FRAME_PAGES  64   /* contents of one frame: as much as a processor's cache holds while it is summed */
#define SCAN_PAGES   1024 /* pages that one frame tells of, most of them zeros */
#define AT_CONTENTS  (HEAD_BYTES + RECORDS_MAX * RECORD_BYTES)

enum { KIND_DATA = 1, KIND_ZERO = 2 };

/* ---- source ---- */

struct batch {
	uint8_t *payload;
	unsigned records, data_pages, zero_pages;
	bool lends;
	unsigned pieces;
	struct iovec lent[FRAME_PAGES];
	uint8_t sums[FRAME_PAGES * SUM_BYTES];
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
	uint8_t *next = batch->payload + HEAD_BYTES + (size_t)batch->records * RECORD_BYTES;
	uint8_t *last = batch->records ? next - RECORD_BYTES : NULL;

	if (last && load_le(last + 12, 4) == kind && load_le(last, 8) + load_le(last + 8, 4) == gpa) {
		store_le(last + 8, 4, load_le(last + 8, 4) + PAGE_SIZE_BYTES);
		return;
	}
	store_le(next, 8, gpa);
	store_le(next + 8, 4, PAGE_SIZE_BYTES);
	store_le(next + 12, 4, kind);
	batch->records++;
}

/* For so many pages more there is room in the frame, whatever they hold. */
static unsigned room(const struct batch *batch)
{
	unsigned records = RECORDS_MAX - batch->records, data = FRAME_PAGES - batch->data_pages,
	         all = SCAN_PAGES - batch->data_pages - batch->zero_pages;

	if (records < data)
		data = records;
	return all < data ? all : data;
}

static void add_zeros(struct batch *batch, uint64_t at)
{
	batch->zero_pages++;
	add(batch, at, KIND_ZERO);
}

/* The page where it is, or a copy of it behind those that are in the frame. NULL: it cannot be read. */
static const uint8_t *fetch(struct migrate_side *side, const struct batch *batch, uint64_t at)
{
	const struct page_memory *memory = side->guest->memory;
	uint8_t *copy = batch->payload + AT_CONTENTS + (size_t)batch->data_pages * PAGE_SIZE_BYTES;

	if (!batch->lends)
		return page_read(memory, gpa(at), copy, PAGE_SIZE_BYTES) == 0 ? copy : NULL;
	return page_is_memory(memory, gpa(at), PAGE_SIZE_BYTES, false)
	               ? page_kernel_address(memory, gpa(at), PAGE_SIZE_BYTES)
	               : NULL;
}

static void lend(struct batch *batch, const uint8_t *page)
{
	struct iovec *last = batch->lent + batch->pieces;

	store_le(batch->sums + (size_t)batch->data_pages * SUM_BYTES, SUM_BYTES,
	        migrate_crc32c(page, PAGE_SIZE_BYTES));
	if (batch->pieces && (const uint8_t *)last[-1].iov_base + last[-1].iov_len == page) {
		last[-1].iov_len += PAGE_SIZE_BYTES;
		return;
	}
	*last = (struct iovec){(void *)(uintptr_t)page, PAGE_SIZE_BYTES};
	batch->pieces++;
}

static int add_page(struct migrate_side *side, struct batch *batch, uint64_t frame, struct err *err)
{
	uint64_t at = frame * PAGE_SIZE_BYTES;
	const uint8_t *page = fetch(side, batch, at);

	if (!page)
		return err_set(err, ERR_FAILED, "the page at 0x%llx cannot be read", (unsigned long long)at);
	if (is_zero(page)) {
		add_zeros(batch, at);
		return 0;
	}
	if (batch->lends)
		lend(batch, page);
	batch->data_pages++;
	add(batch, at, KIND_DATA);
	return 0;
}

/* Takes a run of pages out of dirty, as many as the frame has room for. Returns 0: there are none. */
static int add_run(struct migrate_side *side, struct batch *batch, struct page_dirty *dirty, uint64_t *from,
        struct err *err)
{
	struct page_range run;
	uint64_t untouched = 0;

	if (!page_dirty_take(dirty, *from, room(batch), &run))
		return 0;
	*from = run.end;
	/* Of a SEV guest such a page holds what its key makes of zeros. */
	if (!side->seal)
		untouched = page_untouched(
		        side->unused, gpa(run.first * PAGE_SIZE_BYTES), (unsigned)(run.end - run.first));
	for (uint64_t frame = run.first; frame < run.end; frame++, untouched >>= 1) {
		if (untouched & 1)
			add_zeros(batch, frame * PAGE_SIZE_BYTES);
		else if (add_page(side, batch, frame, err) < 0)
			return -1;
	}
	return 1;
}

static int send_lent(struct migrate_side *side, struct batch *batch, struct err *err)
{
	size_t head = HEAD_BYTES + (size_t)batch->records * RECORD_BYTES;
	size_t sums = (size_t)batch->data_pages * SUM_BYTES;

	memcpy(batch->payload + head, batch->sums, sums);
	return migrate_wire_send_lent(
	        &side->wire, MIGRATE_PAGES, head + sums, batch->lent, batch->pieces, err);
}

/* Moves the records, of which there are seldom as many as possible, to the copies, and sends both. */
static int send_copies(struct migrate_side *side, const struct batch *batch, struct err *err)
{
	size_t head = HEAD_BYTES + (size_t)batch->records * RECORD_BYTES;
	uint8_t *payload = batch->payload + AT_CONTENTS - head;

	memmove(payload, batch->payload, head);
	return migrate_wire_send_at(
	        &side->wire, MIGRATE_PAGES, payload, head + (size_t)batch->data_pages * PAGE_SIZE_BYTES, err);
}

/* Its arrays are filled as pages come. */
static void begin(struct migrate_side *side, struct batch *batch)
{
	batch->payload = migrate_wire_payload(&side->wire);
	batch->lends = migrate_wire_lends(&side->wire);
	batch->records = batch->data_pages = batch->zero_pages = batch->pieces = 0;
}

/* Returns how many pages were sent. */
static int finish(struct migrate_side *side, struct batch *batch, struct err *err)
{
	if (!batch->records)
		return 0;
	atomic_fetch_add_explicit(&side->progress->data_pages, batch->data_pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&side->progress->zero_pages, batch->zero_pages, memory_order_relaxed);
	store_le(batch->payload, 4, batch->records);
	store_le(batch->payload + AT_SUMS, 4, batch->lends ? batch->data_pages : 0);
	if ((batch->lends ? send_lent(side, batch, err) : send_copies(side, batch, err)) < 0)
		return -1;
	return (int)(batch->data_pages + batch->zero_pages);
}

int migrate_pages_send(struct migrate_side *side, struct page_dirty *dirty, uint64_t *from, struct err *err)
{
	struct batch batch;
	int more = 1;

	begin(side, &batch);
	while (more > 0 && room(&batch))
		more = add_run(side, &batch, dirty, from, err);
	return more < 0 ? -1 : finish(side, &batch, err);
}

int migrate_pages_send_these(struct migrate_side *side, struct page_dirty *dirty, const uint64_t *frames,
        unsigned count, struct err *err)
{
	struct batch batch;

	begin(side, &batch);
	for (unsigned i = 0; i < count && i < FRAME_PAGES; i++) {
		if (!page_dirty_has(dirty, frames[i], 1))
			continue;
		page_dirty_clear(dirty, frames[i], 1);
		if (add_page(side, &batch, frames[i], err) < 0)
			return -1;
	}
	return finish(side, &batch, err);
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

/* The parts of a frame that are still to be read. */
struct left {
	struct cursor records, sums, contents;
};

static bool is_as_summed(struct cursor *sums, const uint8_t *page)
{
	return cursor_u32(sums) == migrate_crc32c(page, PAGE_SIZE_BYTES);
}

static int torn_page(uint64_t frame, struct err *err)
{
	return err_set(err, ERR_FAILED, "the page at 0x%llx came damaged: its checksum",
	        (unsigned long long)frame * PAGE_SIZE_BYTES);
}

int migrate_pages_check(struct migrate_side *side, struct err *err)
{
	struct page_range torn;

	return page_dirty_take(side->torn, 0, 1, &torn) ? torn_page(torn.first, err) : 0;
}

static int load_data(
        struct migrate_side *side, struct left *left, uint64_t at, uint64_t size, struct page_dirty *written)
{
	const uint8_t *data = cursor_take(&left->contents, size);
	uint64_t first = at / PAGE_SIZE_BYTES, pages = size / PAGE_SIZE_BYTES;

	if (!data || page_load(side->guest->memory, gpa(at), data, size) < 0)
		return -1;
	/* A page that was written on its way is not what the guest had, or has. */
	for (uint64_t i = 0; left->sums.left && i < pages; i++) {
		if (!is_as_summed(&left->sums, data + i * PAGE_SIZE_BYTES))
			page_dirty_set(side->torn, first + i, 1);
	}
	page_dirty_set(written, first, pages);
	return 0;
}

/* A page that comes late is placed for whoever waits for it. Nobody writes to it at the source any more. */
static int place_record(struct migrate_side *side, struct left *left, uint64_t at, uint64_t size,
        unsigned kind, struct err *err)
{
	uint64_t first = at / PAGE_SIZE_BYTES, pages = size / PAGE_SIZE_BYTES;
	const uint8_t *data = kind == KIND_DATA ? cursor_take(&left->contents, size) : NULL;

	if (!data && kind != KIND_ZERO)
		return bad_pages(err);
	for (uint64_t i = 0; data && left->sums.left && i < pages; i++) {
		if (!is_as_summed(&left->sums, data + i * PAGE_SIZE_BYTES))
			return torn_page(first + i, err);
	}
	return page_missing_place(side->missing, first, pages, data, err) < 0 ? -1 : (int)pages;
}

static int load_record(
        struct migrate_side *side, struct left *left, struct page_dirty *written, struct err *err)
{
	uint64_t at = cursor_u64(&left->records);
	uint64_t size = cursor_u32(&left->records), last;
	unsigned kind = cursor_u32(&left->records);
	int result = -1;

	if (!size || at % PAGE_SIZE_BYTES || size % PAGE_SIZE_BYTES || !add_ok(at, size, &last) ||
	        page_memory_bytes_in(side->guest->memory, gpa(at), size) != size)
		return bad_pages(err);
	if (side->missing)
		return place_record(side, left, at, size, kind, err);
	migrate_seal_note_plain(side, at / PAGE_SIZE_BYTES, size / PAGE_SIZE_BYTES);
	page_dirty_clear(side->torn, at / PAGE_SIZE_BYTES, size / PAGE_SIZE_BYTES);
	if (kind == KIND_ZERO)
		result = load_zeros(side, at, size, written);
	else if (kind == KIND_DATA)
		result = load_data(side, left, at, size, written);
	return result < 0 ? bad_pages(err) : (int)(size / PAGE_SIZE_BYTES);
}

int migrate_pages_load(struct migrate_side *side, const struct migrate_frame *frame,
        struct page_dirty *written, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t count = cursor_u32(&in), sums = cursor_u32(&in);
	struct left left = {.records = in};
	uint64_t pages = 0;

	if (in.bad || !count || count > RECORDS_MAX || frame->unsummed != (uint64_t)sums * PAGE_SIZE_BYTES ||
	        !cursor_take(&in, (size_t)count * RECORD_BYTES))
		return bad_pages(err);
	left.sums = cursor_over(in.at, (size_t)sums * SUM_BYTES);
	if (!cursor_take(&in, left.sums.left) || (sums && in.left != frame->unsummed))
		return bad_pages(err);
	left.contents = in;
	for (uint32_t i = 0; i < count; i++) {
		int more = load_record(side, &left, written, err);

		if (more < 0)
			return -1;
		pages += (unsigned)more;
	}
	if (left.contents.left || pages > SCAN_PAGES)
		return bad_pages(err);
	return (int)pages;
}
