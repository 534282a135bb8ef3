/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: the host's half of the ring. Requests are written, the mirror's vCPU runs until the helper halts,
 * and the answers are copied once. Law: include/vmm/abi/helper.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "helper.h"

struct mirror_helper {
	struct page_memory *memory;
	struct mirror *mirror;
	struct mirror_watch *watch;
	uint32_t produced;
	uint64_t limit_ns;
	bool failed;
	_Atomic bool cancelled; /* the move; by any thread, until the next hello */
};

/* ---- life ---- */

int mirror_helper_check(unsigned c_bit, struct err *err)
{
	if (c_bit == 47 || c_bit == 51)
		return 0;
	return err_set(err, ERR_HOST,
	        "the helper has page tables for the C-bits 47 and 51, which AMD's processors have; this "
	        "host's "
	        "is %u",
	        c_bit);
}

static unsigned find_views(
        const struct page_memory *memory, struct mirror_view views[static PAGE_REGIONS_MAX])
{
	const struct page_layout *layout = page_memory_layout(memory);
	unsigned count = 0;

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];
		uint64_t size_bytes =
		        region->kind == PAGE_PLUGGED ? page_memory_plugged(memory) : region->size_bytes;

		if (size_bytes && region->kind != PAGE_STORE)
			views[count++] = (struct mirror_view){region->gpa, size_bytes};
	}
	return count;
}

struct mirror_entry mirror_helper_entry(unsigned c_bit)
{
	return (struct mirror_entry){
	        .cr3 = (c_bit == 47 ? HELPER_CR3_47 : HELPER_CR3_51) | UINT64_C(1) << c_bit,
	        .rip = HELPER_WINDOW + HELPER_GPA,
	};
}

static int make_mirror(
        struct mirror_helper *helper, const struct mirror_guest *guest, unsigned c_bit, struct err *err)
{
	const struct mirror_entry entry = mirror_helper_entry(c_bit);
	struct mirror_view views[PAGE_REGIONS_MAX];
	static const uint8_t empty[offsetof(struct helper_ring, slots)];

	/* A helper begins to count with 0, whoever was there before. */
	if (page_helper_write(helper->memory, gpa(HELPER_RING_GPA), empty, sizeof(empty)) < 0)
		return err_set(err, ERR_USAGE, "the guest has no place for a helper");
	return mirror_create(guest, views, find_views(helper->memory, views), &entry, &helper->mirror, err);
}

int mirror_helper_create(
        const struct mirror_guest *guest, unsigned c_bit, struct mirror_helper **ret_helper, struct err *err)
{
	struct mirror_helper *helper;

	if (mirror_helper_check(c_bit, err) < 0)
		return -1;
	helper = calloc(1, sizeof(*helper));
	if (!helper)
		return err_sys(err, ERR_FAILED, ENOMEM, "the migration helper");
	helper->memory = guest->memory;
	helper->limit_ns = MIRROR_HELPER_LIMIT_NS;
	if (make_mirror(helper, guest, c_bit, err) < 0 ||
	        mirror_watch_create(helper->mirror, &helper->watch, err) < 0) {
		mirror_helper_destroy(helper);
		return err_wrap(err, "the migration helper");
	}
	*ret_helper = helper;
	return 0;
}

void mirror_helper_destroy(struct mirror_helper *helper)
{
	if (!helper)
		return;
	mirror_watch_destroy(helper->watch);
	mirror_destroy(helper->mirror);
	free(helper);
}

void mirror_helper_set_limit(struct mirror_helper *helper, uint64_t limit_ns)
{
	helper->limit_ns = limit_ns;
}

void mirror_helper_cancel(struct mirror_helper *helper)
{
	atomic_store(&helper->cancelled, true);
	mirror_kick(helper->mirror);
}

int mirror_helper_plug(struct mirror_helper *helper, const struct page_plug *piece, struct err *err)
{
	const struct mirror_view view = {piece->gpa, piece->size_bytes};

	return mirror_add_view(helper->mirror, &view, piece->at, err) < 0
	               ? err_wrap(err, "the migration helper")
	               : 0;
}

int mirror_helper_unplug(struct mirror_helper *helper, struct err *err)
{
	return mirror_take_view(helper->mirror, err);
}

/* ---- the ring ---- */

static struct gpa slot_gpa(uint32_t at)
{
	return gpa(HELPER_RING_GPA + offsetof(struct helper_ring, slots) +
	           at % HELPER_SLOTS * sizeof(struct helper_slot));
}

static struct gpa page_gpa(uint32_t at)
{
	return gpa(HELPER_RING_GPA + offsetof(struct helper_ring, pages) +
	           (uint64_t)(at % HELPER_SLOTS) * HELPER_PAGE_BYTES);
}

/* The ring was there when the helper was made, and stays. */
static void put(struct mirror_helper *helper, struct gpa to, const void *from, uint64_t size_bytes)
{
	if (page_helper_write(helper->memory, to, from, size_bytes) < 0)
		helper->failed = true;
}

static void get(struct mirror_helper *helper, struct gpa from, void *to, uint64_t size_bytes)
{
	if (page_helper_read(helper->memory, from, to, size_bytes) < 0)
		helper->failed = true;
}

/*
 * Nobody wants the answers of a batch any more, and the vCPU stands still. The helper answers the request
 * that it has begun, and refuses the others without work, because they become none. So it halts soon.
 */
static void stop_batch(struct mirror_helper *helper)
{
	static const struct helper_slot none[HELPER_SLOTS];

	put(helper, slot_gpa(0), none, sizeof(none));
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* The helper halts when the ring is empty; until then signals and kicks of others are no reason to stop. */
static int run_until_halt(struct mirror_helper *helper, bool can_stop, struct err *err)
{
	uint64_t limit_ns = helper->limit_ns;
	enum mirror_exit exit;

	mirror_watch_begin(helper->watch, limit_ns);
	for (;;) {
		if (mirror_run(helper->mirror, &exit, err) < 0)
			return -1;
		if (exit == MIRROR_HALTED)
			return 0;
		if (mirror_watch_is_over(helper->watch))
			return err_set(err, ERR_FAILED,
			        "the migration helper does not answer: it has run for %llu ms",
			        (unsigned long long)(limit_ns / 1000000));
		if (can_stop && atomic_load(&helper->cancelled)) {
			can_stop = false;
			stop_batch(helper);
			limit_ns = least(limit_ns, MIRROR_HELPER_STOP_NS);
			mirror_watch_begin(helper->watch, limit_ns);
		}
	}
}

static int check_answered(struct mirror_helper *helper, struct err *err)
{
	struct {
		uint32_t consumed, crashed, error;
	} state = {0};

	get(helper, gpa(HELPER_RING_GPA + offsetof(struct helper_ring, consumed)), &state, sizeof(state));
	if (state.crashed)
		return err_set(err, ERR_FAILED, "the migration helper met exception %u, error code 0x%x",
		        state.crashed - 1, state.error);
	if (state.consumed != helper->produced)
		return err_set(err, ERR_FAILED, "the migration helper halted before it answered");
	return 0;
}

/* Has the requests answered that were written behind produced; at most HELPER_SLOTS. */
static int run_batch(struct mirror_helper *helper, unsigned count, bool can_stop, struct err *err)
{
	int result;

	if (helper->failed)
		return err_set(err, ERR_FAILED, "the migration helper has failed before");
	/* The helper runs on this thread, so it sees all that was written before. */
	helper->produced += count;
	put(helper, gpa(HELPER_RING_GPA), &helper->produced, sizeof(helper->produced));
	result = run_until_halt(helper, can_stop, err);
	mirror_watch_end(helper->watch);
	if (result < 0 || check_answered(helper, err) < 0)
		helper->failed = true;
	return helper->failed ? -1 : 0;
}

/* Has the helper forget its keys, also if the move was cancelled. What it answers to that does not matter. */
static int end_move(struct mirror_helper *helper, struct err *err)
{
	static const struct helper_slot forget = {.command = HELPER_FORGET};

	put(helper, slot_gpa(helper->produced), &forget, sizeof(forget));
	return run_batch(helper, 1, false, err);
}

/* The move is over; err says why. A helper that does not even forget has failed. */
static int give_up(struct mirror_helper *helper)
{
	struct err ignored;

	if (end_move(helper, &ignored) < 0)
		log_warn("%s", ignored.text);
	return -1;
}

static int ask(struct mirror_helper *helper, unsigned count, struct err *err)
{
	if (!atomic_load(&helper->cancelled) && run_batch(helper, count, true, err) < 0)
		return -1;
	if (!atomic_load(&helper->cancelled))
		return 0;
	err_set(err, ERR_USAGE, "the move was cancelled");
	return give_up(helper);
}

#define NO_ROOT \
	"the guest's owner has injected no root key for it (sev.secret at sev.secret-address fef07000)"

static int judge(struct mirror_helper *helper, const struct helper_slot *slot, struct err *err)
{
	static const char *const why[HELPER_STATUSES] = {
	        [HELPER_BAD_COMMAND] = "it does not know the request",
	        [HELPER_BAD_STREAM] = "there is no such stream, it has ended, or it is not the page's",
	        [HELPER_BAD_ADDRESS] = "it may not touch that address",
	        [HELPER_BAD_NUMBER] = "it is not the record that comes next in its stream",
	        [HELPER_BAD_TAG] = "it was changed, or sealed with other keys",
	        [HELPER_BAD_TERMS] = "the role is unknown, or the peer's nonce is no other one",
	        [HELPER_NO_HELLO] = "a hello must come before the keys, and gives them once",
	        [HELPER_NO_ROOT] = NO_ROOT,
	        [HELPER_NO_RANDOM] = "the processor gives no random numbers, or the same as before",
	        [HELPER_NO_KEYS] = "it has no keys",
	};

	if (slot->status == HELPER_DONE)
		return 0;
	if (slot->status < HELPER_STATUSES && why[slot->status]) {
		err_set(err, ERR_USAGE, "the migration helper refuses: %s", why[slot->status]);
		return give_up(helper);
	}
	helper->failed = true;
	return err_set(err, ERR_FAILED, "the migration helper gave no answer (status %u)", slot->status);
}

/* ---- keys ---- */

/* page: size_bytes of it go to the helper, and come back. */
static int talk(struct mirror_helper *helper, enum helper_command command, void *page, size_t size_bytes,
        struct err *err)
{
	struct helper_slot slot = {.command = (uint16_t)command};
	uint32_t at = helper->produced;

	put(helper, slot_gpa(at), &slot, sizeof(slot));
	if (size_bytes)
		put(helper, page_gpa(at), page, size_bytes);
	if (ask(helper, 1, err) < 0)
		return -1;
	get(helper, slot_gpa(at), &slot, sizeof(slot));
	if (size_bytes)
		get(helper, page_gpa(at), page, size_bytes);
	return judge(helper, &slot, err);
}

int mirror_helper_hello(struct mirror_helper *helper, struct helper_hello *ret_hello, struct err *err)
{
	struct helper_hello hello = {0};

	atomic_store(&helper->cancelled, false);
	if (talk(helper, HELPER_HELLO, &hello, sizeof(hello), err) < 0)
		return -1;
	if (hello.version != HELPER_VERSION) {
		helper->failed = true;
		return err_set(err, ERR_FAILED, "the migration helper has version %u, not %u", hello.version,
		        HELPER_VERSION);
	}
	*ret_hello = hello;
	return 0;
}

int mirror_helper_agree(struct mirror_helper *helper, const struct helper_terms *terms, struct err *err)
{
	struct helper_terms copy = *terms;

	return talk(helper, HELPER_KEYS, &copy, sizeof(copy), err);
}

int mirror_helper_forget(struct mirror_helper *helper, struct err *err)
{
	return end_move(helper, err);
}

/* ---- records ---- */

static void put_record(
        struct mirror_helper *helper, uint32_t at, const struct mirror_record *record, bool seals)
{
	struct helper_slot slot = {.stream = record->stream,
	        .pass = record->pass,
	        .gpa = record->gpa.raw,
	        .number = seals ? 0 : record->number};

	if (record->trailer)
		slot.command = seals ? HELPER_END_SEAL : HELPER_END_OPEN;
	else
		slot.command = seals ? HELPER_SEAL : HELPER_OPEN;
	if (!seals)
		memcpy(slot.tag, record->tag, sizeof(slot.tag));
	put(helper, slot_gpa(at), &slot, sizeof(slot));
	if (!seals && !record->trailer)
		put(helper, page_gpa(at), record->page, sizeof(record->page));
}

static int take_answer(struct mirror_helper *helper, uint32_t at, const struct mirror_record *record,
        struct helper_slot *ret_slot, struct err *err)
{
	get(helper, slot_gpa(at), ret_slot, sizeof(*ret_slot));
	if (judge(helper, ret_slot, err) == 0)
		return 0;
	if (record->trailer)
		return err_wrap(err, "the end of stream %u", record->stream);
	return err_wrap(err, "the page at 0x%llx", (unsigned long long)record->gpa.raw);
}

/*
 * How many records go through the ring at once. A page that the mirror has no memory for does not: its helper
 * would crash.
 */
static unsigned batch_of(
        const struct mirror_helper *helper, const struct mirror_record *records, unsigned left)
{
	unsigned count = 0;

	while (count < left && count < HELPER_SLOTS &&
	        (records[count].trailer ||
	                mirror_sees(helper->mirror, records[count].gpa, HELPER_PAGE_BYTES)))
		count++;
	return count;
}

static int refuse_page(struct mirror_helper *helper, const struct mirror_record *record, struct err *err)
{
	err_set(err, ERR_USAGE, "the page at 0x%llx: the guest has no memory there",
	        (unsigned long long)record->gpa.raw);
	return give_up(helper);
}

/* Keeps what the helper has answered to a record that it sealed. */
static void keep_sealed(struct mirror_helper *helper, uint32_t at, const struct helper_slot *slot,
        struct mirror_record *record)
{
	record->number = slot->number;
	memcpy(record->tag, slot->tag, sizeof(slot->tag));
	if (!record->trailer)
		get(helper, page_gpa(at), record->page, sizeof(record->page));
}

/* sealed: the same records, which are to be sealed; NULL: they are to be opened. */
static int serve(struct mirror_helper *helper, const struct mirror_record *records,
        struct mirror_record *sealed, unsigned count, unsigned *ret_done, struct err *err)
{
	for (*ret_done = 0; *ret_done < count;) {
		unsigned first = *ret_done, batch = batch_of(helper, &records[first], count - first);
		uint32_t at = helper->produced;

		if (!batch)
			return refuse_page(helper, &records[first], err);
		for (unsigned i = 0; i < batch; i++)
			put_record(helper, at + i, &records[first + i], sealed);
		if (ask(helper, batch, err) < 0)
			return -1;
		for (unsigned i = 0; i < batch; i++, (*ret_done)++) {
			struct helper_slot slot;

			if (take_answer(helper, at + i, &records[first + i], &slot, err) < 0)
				return -1;
			if (sealed)
				keep_sealed(helper, at + i, &slot, &sealed[first + i]);
		}
	}
	return 0;
}

int mirror_helper_seal(struct mirror_helper *helper, struct mirror_record *records, unsigned count,
        unsigned *ret_done, struct err *err)
{
	return serve(helper, records, records, count, ret_done, err);
}

int mirror_helper_open(struct mirror_helper *helper, const struct mirror_record *records, unsigned count,
        unsigned *ret_done, struct err *err)
{
	return serve(helper, records, NULL, count, ret_done, err);
}
