/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal: pages that are the guest's own, in frames of the wire.
 *
 *     SEALED  0 records u32   4 zero u32
 *             then for each record: gpa u64   number u64   pass u32   stream u16   zero u16   tag[16]
 *             then a page for each, sealed
 *     ENDS    the same without pages: the trailer of each stream, in their order; gpa is zero
 *
 * Which pages hold nothing cannot be seen. One that the guest has never used is sent as well: it reads as
 * what its key makes of the host's zeros, which is something else at the other place, and a guest that has
 * read it once may count on it.
 *
 * A processor that does not keep both views of a page coherent (CPUID 0x8000001f, EAX bit 10) writes back
 * what a helper has written whenever it likes, also after the page was shared and came again plain. So no
 * guest comes to such a host (check() of struct migrate_helper). As a source it does no harm: each page is
 * read as the guest writes it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "side.h"

#define HEAD_BYTES   8
#define RECORD_BYTES 40
#define AT_NUMBER    8
#define AT_PASS      16
#define AT_STREAM    20
#define AT_ZERO      22
#define AT_TAG       24
_Static_assert(AT_TAG + HELPER_TAG_BYTES == RECORD_BYTES, "the tag is the end");
_Static_assert(HEAD_BYTES + MIGRATE_SEAL_MAX * (RECORD_BYTES + PAGE_SIZE_BYTES) <= MIGRATE_PAYLOAD_MAX_BYTES,
        "they fit into a frame");

/* ---- life ---- */

int migrate_seal_begin(struct migrate_side *side, struct err *err)
{
	const struct page_memory *memory = side->guest->memory;
	struct migrate_seal *seal;

	if (!side->guest->helper && !side->guest->firmware)
		return 0;
	seal = side->seal = calloc(1, sizeof(*seal));
	if (seal && side->guest->helper)
		seal->records = calloc(MIGRATE_SEAL_MAX, sizeof(*seal->records));
	if (!seal || (side->guest->helper && !seal->records))
		return err_sys(err, ERR_FAILED, ENOMEM, "pages that are sealed");
	if (page_dirty_create(memory, &seal->sealed, err) < 0 ||
	        page_dirty_create(memory, &seal->left, err) < 0 ||
	        page_dirty_create(memory, &seal->own, err) < 0 ||
	        page_dirty_create(memory, &seal->came, err) < 0)
		return -1;
	return 0;
}

void migrate_seal_end(struct migrate_side *side)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct migrate_seal *seal = take_ptr(&side->seal);
	struct err err;

	/* One that has failed is asked for nothing any more, and makes no other keys. */
	if (helper && helper->forget(helper->ctx, &err) < 0)
		log_debug("%s", err.text);
	if (!seal)
		return;
	page_dirty_destroy(seal->sealed);
	page_dirty_destroy(seal->left);
	page_dirty_destroy(seal->own);
	page_dirty_destroy(seal->came);
	free(seal->records);
	free(seal->map.data);
	free(seal);
}

int migrate_seal_agree(struct migrate_side *side, enum helper_role role, struct err *err)
{
	if (side->guest->helper)
		return migrate_keys_make(side, role, err);
	return side->guest->firmware ? migrate_packets_begin(side, role, err) : 0;
}

void migrate_seal_leave(struct migrate_side *side, bool given)
{
	const struct migrate_firmware *firmware = side->guest->firmware;
	struct err err;

	if (firmware && firmware->send_end(firmware->ctx, given, &err) < 0)
		log_warn("%s", err.text);
}

int migrate_seal_complete(struct migrate_side *side, struct err *err)
{
	const struct migrate_firmware *firmware = side->guest->firmware;

	return firmware ? firmware->receive_finish(firmware->ctx, err) : 0;
}

/* ---- whose a page is ---- */

#define FRAME_OF(address) ((address) / PAGE_SIZE_BYTES)

/* The firmware's variables are never encrypted, whatever the guest says of them. */
static void take_stores_out(const struct page_layout *layout, struct page_dirty *own)
{
	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		if (region->kind == PAGE_STORE)
			page_dirty_clear(own, FRAME_OF(region->gpa.raw), FRAME_OF(region->size_bytes));
	}
}

static void find_own(struct migrate_side *side)
{
	const struct page_memory *memory = side->guest->memory;
	struct page_record_walk walk = {.memory = memory, .end = PAGE_RANGE_MAP_PAGES_MAX};
	struct page_dirty *own = side->seal->own;
	struct page_range range;

	page_dirty_set_all(own);
	while (page_record_next(&walk, &range))
		page_dirty_clear(own, range.first, range.end - range.first);
	take_stores_out(page_memory_layout(memory), own);
}

/* ---- source ---- */

/*
 * A page that changes hands after this is marked as written (page_convert()), and travels again in the next
 * pass as what it is then.
 */
void migrate_seal_split(struct migrate_side *side, struct page_dirty *dirty)
{
	struct migrate_seal *seal = side->seal;

	if (!seal)
		return;
	find_own(side);
	page_dirty_combine(seal->left, PAGE_DIRTY_OR, dirty);
	page_dirty_combine(seal->left, PAGE_DIRTY_AND, seal->own);
	page_dirty_combine(dirty, PAGE_DIRTY_AND_NOT, seal->own);
	page_dirty_combine(seal->sealed, PAGE_DIRTY_OR, seal->left);
	page_dirty_combine(seal->sealed, PAGE_DIRTY_AND_NOT, dirty);
	seal->from = 0;
}

uint64_t migrate_seal_left(const struct migrate_side *side)
{
	return side->seal ? page_dirty_count(side->seal->left) : 0;
}

static int check(const struct migrate_guest *guest, struct err *err)
{
	return guest->helper ? guest->helper->check(guest->helper->ctx, err)
	                     : guest->firmware->check(guest->firmware->ctx, err);
}

int migrate_seal_settle(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	struct migrate_seal *seal = side->seal;

	if (!seal)
		return 0;
	if (check(side->guest, err) < 0)
		return -1;
	find_own(side);
	page_dirty_combine(seal->own, PAGE_DIRTY_XOR, seal->sealed);
	page_dirty_combine(dirty, PAGE_DIRTY_OR, seal->own);
	return 0;
}

static void put_record(uint8_t *at, const struct mirror_record *record)
{
	store_le(at, 8, record->gpa.raw);
	store_le(at + AT_NUMBER, 8, record->number);
	store_le(at + AT_PASS, 4, record->pass);
	store_le(at + AT_STREAM, 2, record->stream);
	store_le(at + AT_ZERO, 2, 0);
	memcpy(at + AT_TAG, record->tag, HELPER_TAG_BYTES);
}

static int send_records(struct migrate_side *side, enum migrate_type type, unsigned count, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct mirror_record *records = side->seal->records;
	uint8_t *payload = migrate_wire_payload(&side->wire);
	size_t size = HEAD_BYTES + (size_t)count * RECORD_BYTES;

	if (helper->seal(helper->ctx, records, count, err) < 0)
		return -1;
	store_le(payload, 4, count);
	store_le(payload + 4, 4, 0);
	for (unsigned i = 0; i < count; i++) {
		put_record(payload + HEAD_BYTES + (size_t)i * RECORD_BYTES, &records[i]);
		if (type == MIGRATE_ENDS)
			continue;
		memcpy(payload + size, records[i].page, PAGE_SIZE_BYTES);
		size += PAGE_SIZE_BYTES;
	}
	return migrate_wire_send(&side->wire, type, size, err);
}

static uint32_t pass_of(const struct migrate_side *side)
{
	return (uint32_t)atomic_load_explicit(&side->progress->pass, memory_order_relaxed);
}

/* Takes the next frames out of those that are left. Returns how many. */
static unsigned take_left(struct migrate_seal *seal)
{
	struct page_range run;
	unsigned count = 0;

	while (count < MIGRATE_SEAL_MAX &&
	        page_dirty_take(seal->left, seal->from, MIGRATE_SEAL_MAX - count, &run)) {
		for (uint64_t frame = run.first; frame < run.end; frame++)
			seal->frames[count++] = frame;
		seal->from = run.end;
	}
	return count;
}

static int send_sealed(struct migrate_side *side, unsigned count, struct err *err)
{
	struct migrate_seal *seal = side->seal;

	for (unsigned i = 0; i < count; i++) {
		uint64_t at = seal->frames[i] * PAGE_SIZE_BYTES;

		seal->records[i] = (struct mirror_record){
		        .stream = HELPER_STREAM_OF(at), .pass = pass_of(side), .gpa = gpa(at)};
	}
	return send_records(side, MIGRATE_SEALED, count, err);
}

int migrate_seal_send(struct migrate_side *side, struct err *err)
{
	struct migrate_seal *seal = side->seal;
	unsigned count = seal ? take_left(seal) : 0;
	int result;

	if (!count)
		return 0;
	atomic_fetch_add_explicit(&side->progress->data_pages, count, memory_order_relaxed);
	result = side->guest->helper ? send_sealed(side, count, err)
	                             : migrate_packets_send(side, seal->frames, count, err);
	return result < 0 ? -1 : (int)count;
}

int migrate_seal_finish(struct migrate_side *side, struct err *err)
{
	if (!side->guest->helper)
		return 0;
	for (unsigned i = 0; i < HELPER_STREAMS; i++)
		side->seal->records[i] =
		        (struct mirror_record){.trailer = true, .stream = (uint16_t)i, .pass = pass_of(side)};
	return send_records(side, MIGRATE_ENDS, HELPER_STREAMS, err);
}

/* ---- target ---- */

static int bad_records(struct err *err)
{
	return err_set(err, ERR_FAILED,
	        "a frame from the other vmm has sealed pages that no guest of this plan has, or not in their "
	        "order");
}

static void take_record(struct cursor *in, struct mirror_record *record, bool *ret_zero)
{
	record->gpa = gpa(cursor_u64(in));
	record->number = cursor_u64(in);
	record->pass = cursor_u32(in);
	record->stream = cursor_u16(in);
	*ret_zero = cursor_u16(in) == 0;
	cursor_copy(in, record->tag, HELPER_TAG_BYTES);
}

/* RAM, that which was added, too, and the firmware image: the helper sees no more. */
bool migrate_seal_is_place(const struct page_memory *memory, uint64_t at)
{
	const struct page_region *region = page_layout_find(page_memory_layout(memory), at);

	return at % PAGE_SIZE_BYTES == 0 && region &&
	       (region->kind == PAGE_RAM || region->kind == PAGE_PLUGGED || region->kind == PAGE_FIRMWARE) &&
	       page_memory_bytes_in(memory, gpa(at), PAGE_SIZE_BYTES) == PAGE_SIZE_BYTES;
}

static bool is_next(struct migrate_seal *seal, const struct mirror_record *record, uint64_t pass)
{
	return record->pass == pass && record->stream < HELPER_STREAMS &&
	       record->number == seal->next[record->stream]++;
}

/* Reads the head of a frame and its records. All are checked before the helper gets one. */
static int take_records(struct migrate_side *side, const struct migrate_frame *frame, uint64_t pass,
        bool trailers, struct cursor *in, struct err *err)
{
	struct migrate_seal *seal = side->seal;
	uint32_t count = cursor_u32(in), zero = cursor_u32(in);
	bool good;

	if (in->bad || zero || !count || count > MIGRATE_SEAL_MAX || (trailers && count != HELPER_STREAMS) ||
	        frame->size != HEAD_BYTES + count * (RECORD_BYTES + (trailers ? 0 : (size_t)PAGE_SIZE_BYTES)))
		return bad_records(err);
	for (uint32_t i = 0; i < count; i++) {
		struct mirror_record *record = &seal->records[i];

		record->trailer = trailers;
		take_record(in, record, &good);
		if (trailers)
			good = good && record->stream == i && !record->gpa.raw;
		else
			good = good && migrate_seal_is_place(side->guest->memory, record->gpa.raw) &&
			       record->stream == HELPER_STREAM_OF(record->gpa.raw);
		if (!good || !is_next(seal, record, pass))
			return bad_records(err);
	}
	return (int)count;
}

void migrate_seal_note(struct migrate_side *side, uint64_t frame, struct page_dirty *written)
{
	page_dirty_set(side->seal->sealed, frame, 1);
	page_dirty_set(side->seal->came, frame, 1);
	page_dirty_set(written, frame, 1);
	page_dirty_clear(side->torn, frame, 1);
}

int migrate_seal_load(struct migrate_side *side, const struct migrate_frame *frame, uint64_t pass,
        struct page_dirty *written, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct cursor in = cursor_over(frame->payload, frame->size);
	struct migrate_seal *seal = side->seal;
	int count = seal->ended ? bad_records(err) : take_records(side, frame, pass, false, &in, err);

	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++)
		cursor_copy(&in, seal->records[i].page, PAGE_SIZE_BYTES);
	if (in.bad || in.left)
		return bad_records(err);
	if (helper->open(helper->ctx, seal->records, (unsigned)count, err) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		migrate_seal_note(side, FRAME_OF(seal->records[i].gpa.raw), written);
	return count;
}

int migrate_seal_load_ends(
        struct migrate_side *side, const struct migrate_frame *frame, uint64_t pass, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct cursor in = cursor_over(frame->payload, frame->size);
	struct migrate_seal *seal = side->seal;
	int count = seal->ended ? bad_records(err) : take_records(side, frame, pass, true, &in, err);

	if (count < 0 || helper->open(helper->ctx, seal->records, (unsigned)count, err) < 0)
		return -1;
	seal->ended = true;
	return 0;
}

bool migrate_seal_has_ended(const struct migrate_side *side)
{
	return !side->guest->helper || side->seal->ended;
}

void migrate_seal_note_plain(struct migrate_side *side, uint64_t first, uint64_t pages)
{
	if (!side->seal)
		return;
	page_dirty_clear(side->seal->sealed, first, pages);
	page_dirty_set(side->seal->came, first, pages);
}

int migrate_seal_verify(struct migrate_side *side, struct err *err)
{
	struct migrate_seal *seal = side->seal;
	struct page_range wrong;

	page_dirty_set_all(seal->left);
	page_dirty_combine(seal->left, PAGE_DIRTY_AND_NOT, seal->came);
	if (page_dirty_take(seal->left, 0, 1, &wrong))
		return err_set(err, ERR_FAILED, "the page at 0x%llx never came",
		        (unsigned long long)wrong.first * PAGE_SIZE_BYTES);
	find_own(side);
	page_dirty_combine(seal->own, PAGE_DIRTY_XOR, seal->sealed);
	if (page_dirty_take(seal->own, 0, 1, &wrong))
		return err_set(err, ERR_FAILED,
		        "the page at 0x%llx came as if it were somebody else's than the guest's record says",
		        (unsigned long long)wrong.first * PAGE_SIZE_BYTES);
	return 0;
}
