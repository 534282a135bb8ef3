/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: gives the guest away: agrees with the target, sends memory while the guest runs, stops the guest,
 * sends the rest, and hands it over. Up to DECIDED every failure leaves the guest here, as if nothing had
 * been. From there on the guest runs here again only by an order of the operator, whatever happens.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "late.h"
#include "plan.h"

#define SECOND_NS UINT64_C(1000000000)
/* The state of a guest's parts, and what the target does until it runs the guest: about so long. */
#define HANDOVER_MS 20
/* The target looks through all of it before it says that it is ready. */
#define READY_TIMES 4
#define FILE_PASSES 4 /* while the guest runs */

static void set(_Atomic uint64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

/* ---- AGREE ---- */

static int send_plan(struct migrate_side *side, struct err *err)
{
	size_t size = strlen(side->guest->plan);

	if (size > MIGRATE_PLAN_MAX_BYTES)
		return err_set(err, ERR_FAILED, "the guest has so many parts that its plan is too long");
	memcpy(migrate_wire_payload(&side->wire), side->guest->plan, size);
	return migrate_wire_send(&side->wire, MIGRATE_PLAN, size, err);
}

static int agree(struct migrate_side *side, struct err *err)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	enum migrate_standing standing;
	struct migrate_frame frame;
	enum migrate_standing ours = side->hands       ? MIGRATE_HANDS
	                             : side->may_split ? MIGRATE_SPLITS
	                                               : MIGRATE_NEW;

	if (side->wire.file)
		return migrate_file_begin(side->wire.file, side->guest, err);
	if (migrate_hello_send(side, ours, err) < 0 ||
	        migrate_hello_receive(side, false, &standing, err) < 0 || send_plan(side, err) < 0 ||
	        migrate_wire_expect(&side->wire, MIGRATE_PLAN, 0, 1, &frame, err) < 0)
		return -1;
	set(&side->progress->setup_ms, (clock_ns(CLOCK_MONOTONIC) - begin) / 1000000);
	if (migrate_plan_compare(side->guest->plan, frame.payload, frame.size, true, err) < 0)
		return -1;
	return migrate_seal_agree(side, HELPER_SOURCE, err);
}

/* ---- passes over memory ---- */

static uint64_t sent_bytes(const struct migrate_side *side)
{
	return atomic_load_explicit(&side->wire.sent_bytes, memory_order_relaxed);
}

/* Since when a limit is kept, and how many bytes had been sent then. */
struct pace {
	uint64_t limit, begin_ns, begin_bytes;
};

/* Is the guest to go over with memory missing? */
static bool is_late(const struct migrate_side *side)
{
	return side->may_split && atomic_load_explicit(&side->limits->late, memory_order_acquire);
}

/* Waits until as many bytes may have been sent as were. A limit that is changed begins anew. */
static void keep_limit(struct migrate_side *side, struct pace *pace)
{
	uint64_t limit = atomic_load_explicit(&side->limits->bytes_per_s, memory_order_relaxed);

	while (limit && !is_late(side) && !atomic_load_explicit(side->wire.cancelled, memory_order_acquire)) {
		uint64_t due_ns, since_ns;
		struct timespec nap = {0};

		if (limit != pace->limit)
			*pace = (struct pace){limit, clock_ns(CLOCK_MONOTONIC), sent_bytes(side)};
		due_ns = (uint64_t)((double)(sent_bytes(side) - pace->begin_bytes) / (double)limit *
		                    (double)SECOND_NS);
		since_ns = clock_ns(CLOCK_MONOTONIC) - pace->begin_ns;

		if (since_ns >= due_ns)
			return;
		nap.tv_nsec = (long)(due_ns - since_ns < SECOND_NS / 20 ? due_ns - since_ns : SECOND_NS / 20);
		nanosleep(&nap, NULL);
		limit = atomic_load_explicit(&side->limits->bytes_per_s, memory_order_relaxed);
	}
}

static int end_pass(struct migrate_side *side, uint64_t pass, uint64_t pages, bool last, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);

	store_le(payload, 4, pass);
	store_le(payload + 4, 4, last);
	store_le(payload + 8, 8, pages);
	return migrate_wire_send(&side->wire, MIGRATE_PASS, 16, err);
}

static uint64_t per_second(uint64_t number, uint64_t ns)
{
	return (uint64_t)((double)number * (double)SECOND_NS / (double)ns);
}

/* A pass over a few pages, or over zeros, says nothing about the connection. */
static void note_speed(struct migrate_side *side, uint64_t pages, uint64_t bytes, uint64_t ns)
{
	bool first = !atomic_load_explicit(&side->progress->pages_per_s, memory_order_relaxed);

	if (bytes < MIB(1) && !first)
		return;
	set(&side->progress->pages_per_s, per_second(bytes < MIB(1) ? pages : bytes / PAGE_SIZE_BYTES, ns));
	set(&side->progress->bytes_per_s, per_second(bytes, ns));
}

/* Sends some of what is dirty; what is sealed comes last. Returns how many pages, 0 at the end. */
static int send_some(struct migrate_side *side, struct page_dirty *dirty, uint64_t *from, struct err *err)
{
	int pages = migrate_pages_send(side, dirty, from, err);

	return pages ? pages : migrate_seal_send(side, err);
}

/* Sends all that is dirty. What is written meanwhile is for the next pass. */
static int send_pass(struct migrate_side *side, struct page_dirty *dirty, bool last, struct err *err)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), begin_bytes = sent_bytes(side), from = 0, pages = 0;
	uint64_t pass = atomic_fetch_add_explicit(&side->progress->pass, 1, memory_order_relaxed) + 1;
	struct pace pace = {
	        atomic_load_explicit(&side->limits->bytes_per_s, memory_order_relaxed), begin, begin_bytes};
	int more = 0;

	side->on_progress(side->ctx);
	migrate_seal_split(side, dirty);
	while ((last || !is_late(side)) && (more = send_some(side, dirty, &from, err)) > 0) {
		pages += (unsigned)more;
		set(&side->progress->left_pages, page_dirty_count(dirty) + migrate_seal_left(side));
		if (!last)
			keep_limit(side, &pace);
	}
	/* What the target lacks then is listed for it. */
	if (more >= 0 && !last && is_late(side))
		return 0;
	if (more < 0 || (last && migrate_seal_finish(side, err) < 0) ||
	        end_pass(side, pass, pages, last, err) < 0)
		return -1;
	note_speed(side, pages, sent_bytes(side) - begin_bytes, clock_ns(CLOCK_MONOTONIC) - begin + 1);
	return 0;
}

static int collect(struct migrate_side *side, struct page_dirty *dirty, uint64_t since_ns, struct err *err)
{
	uint64_t ns, rate = atomic_load_explicit(&side->progress->pages_per_s, memory_order_relaxed);

	if (side->guest->collect(side->guest->ctx, dirty, err) < 0)
		return -1;
	ns = clock_ns(CLOCK_MONOTONIC) - since_ns + 1;
	set(&side->progress->left_pages, page_dirty_count(dirty));
	set(&side->progress->written_per_s, per_second(page_dirty_count(dirty), ns));
	set(&side->progress->expected_ms,
	        HANDOVER_MS + (rate ? page_dirty_count(dirty) * 1000 / rate : UINT32_MAX));
	return 0;
}

/* Who saves a guest wants it to stop, and waits for a guest that writes faster than a disk no longer than
 * this. */
static bool is_saved_enough(const struct migrate_side *side)
{
	return side->wire.file &&
	       atomic_load_explicit(&side->progress->pass, memory_order_relaxed) >= FILE_PASSES;
}

/* Memory travels while the guest runs, until the rest takes no longer than the guest may be stopped. */
static int live(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	uint64_t limit_ms, begin;

	migrate_enter(side, MIGRATE_LIVE);
	if (side->hands)
		return migrate_hand_offer(side, err);
	/* A log may begin with every page in it, and the first pass brings every page anyway. */
	if (side->guest->log(side->guest->ctx, true, err) < 0 ||
	        side->guest->collect(side->guest->ctx, dirty, err) < 0)
		return -1;
	page_dirty_set_all(dirty);
	do {
		begin = clock_ns(CLOCK_MONOTONIC);
		if (send_pass(side, dirty, false, err) < 0 || collect(side, dirty, begin, err) < 0)
			return -1;
		side->split = is_late(side);
		limit_ms = atomic_load_explicit(&side->limits->stop_ms, memory_order_relaxed);
	} while (!side->split && !is_saved_enough(side) &&
	         atomic_load_explicit(&side->progress->expected_ms, memory_order_relaxed) >
	                 (limit_ms > HANDOVER_MS ? limit_ms : HANDOVER_MS));
	return 0;
}

/* ---- STOPPED ---- */

static const enum migrate_type part_types[MIGRATE_PARTS] = {
        [MIGRATE_PART_TIME] = MIGRATE_TIME,
        [MIGRATE_PART_VCPU] = MIGRATE_VCPU,
        [MIGRATE_PART_CHIPS] = MIGRATE_CHIPS,
        [MIGRATE_PART_DEVICE] = MIGRATE_DEVICE,
};

static int send_part(struct migrate_side *side, enum migrate_part part, unsigned i, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);
	struct vmstate state = {0};
	int result = side->guest->save(side->guest->ctx, part, i, &state, err);

	if (result == 0 && state.size > MIGRATE_PAYLOAD_MAX_BYTES - 64 - 8)
		result = err_set(err, ERR_FAILED, "state of the %s: %zu bytes are too many to travel",
		        state.part, state.size);
	if (result == 0) {
		store_le(payload, 4, i);
		store_le(payload + 4, 4, 0);
		if (state.size)
			memcpy(payload + 8, state.data, state.size);
		result = migrate_wire_send(&side->wire, part_types[part], 8 + state.size, err);
	}
	vmstate_finish(&state);
	return result;
}

static int send_parts(struct migrate_side *side, struct err *err)
{
	for (unsigned part = 0; part < MIGRATE_PARTS; part++) {
		for (unsigned i = 0; i < side->guest->counts[part]; i++)
			if (send_part(side, part, i, err) < 0)
				return -1;
	}
	store_le(migrate_wire_payload(&side->wire), 4, side->paused);
	return migrate_wire_send(&side->wire, MIGRATE_STATE, 4, err);
}

/* What the guest has written since the last pass. */
static int send_rest(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	if (side->hands)
		return 0;
	if (side->guest->collect(side->guest->ctx, dirty, err) < 0)
		return -1;
	if (side->split)
		return migrate_push_list(side, dirty, err);
	if (migrate_seal_settle(side, dirty, err) < 0 || send_pass(side, dirty, true, err) < 0)
		return -1;
	return migrate_map_send(side, err);
}

static int hand_over(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	struct migrate_frame frame;

	if (side->guest->stop(side->guest->ctx, err) < 0)
		return -1;
	migrate_enter(side, MIGRATE_STOPPED);
	if (send_rest(side, dirty, err) < 0 || send_parts(side, err) < 0)
		return -1;
	if (side->wire.file)
		return migrate_file_end(side->wire.file, err);
	return migrate_push_expect(side, side->split ? dirty : NULL, MIGRATE_READY, READY_TIMES, &frame, err);
}

/* ---- DECIDED ---- */

/* A target that gives up instead of taking the guest has said that it will not run it. */
static enum migrate_result commit(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	struct migrate_frame frame;

	/* After an error the file is removed, and if it cannot be, nobody knows what is on the disk. */
	if (side->wire.file)
		return migrate_file_write_head(side->wire.file, MIGRATE_FILE_COMPLETE, err) < 0
		               ? MIGRATE_DOUBT
		               : MIGRATE_GONE;
	memcpy(migrate_wire_payload(&side->wire), side->id, MIGRATE_ID_BYTES);
	if (migrate_wire_send(&side->wire, MIGRATE_COMMIT, MIGRATE_ID_BYTES, err) == 0 &&
	        migrate_push_expect(side, side->split ? dirty : NULL, MIGRATE_DONE, 1, &frame, err) == 0)
		return side->split ? migrate_push(side, dirty, err) : MIGRATE_GONE;
	if (side->hands)
		return migrate_hand_settle(side, true);
	return side->wire.given_up ? MIGRATE_STAYS : MIGRATE_DOUBT;
}

/* What is known at the end. A guest in doubt is neither taken back nor let go of. */
static enum migrate_result leave(struct migrate_side *side, enum migrate_result result)
{
	struct err err;

	if (result == MIGRATE_STAYS && side->guest->log(side->guest->ctx, false, &err) < 0)
		log_warn("%s", err.text);
	if (result != MIGRATE_DOUBT)
		migrate_seal_leave(side, result == MIGRATE_GONE);
	return result;
}

enum migrate_result migrate_source(struct migrate_side *side, struct err *err)
{
	enum migrate_result result = MIGRATE_STAYS;
	struct page_dirty *dirty = NULL;
	bool sent;

	migrate_enter(side, MIGRATE_AGREE);
	sent = migrate_seal_begin(side, err) == 0 && agree(side, err) == 0 &&
	       page_dirty_create(side->guest->memory, &dirty, err) == 0 && live(side, dirty, err) == 0 &&
	       hand_over(side, dirty, err) == 0;
	migrate_seal_end(side);
	if (sent && side->guest->give(side->guest->ctx, side->id, err) == 0) {
		migrate_enter(side, MIGRATE_DECIDED);
		result = commit(side, dirty, err);
	}
	if (result == MIGRATE_STAYS && !side->wire.given_up)
		migrate_wire_abort(&side->wire, err->text);
	page_dirty_destroy(dirty);
	return leave(side, result);
}

/* The target may want any page: this side has forgotten which ones it lacks. */
static enum migrate_result commit_again(struct migrate_side *side, struct err *err)
{
	enum migrate_result result = MIGRATE_DOUBT;
	struct page_dirty *dirty = NULL;

	if (!side->split)
		return commit(side, NULL, err);
	if (page_dirty_create(side->guest->memory, &dirty, err) == 0) {
		page_dirty_set_all(dirty);
		result = commit(side, dirty, err);
	}
	page_dirty_destroy(dirty);
	return result;
}

/* The target has said so, so the guest never runs here again, whatever anybody says now. */
static bool has_run_there(const struct migrate_side *side)
{
	return atomic_load_explicit(&side->progress->phase, memory_order_acquire) >= MIGRATE_LATE;
}

static enum migrate_result unknown(const struct migrate_side *side)
{
	return has_run_there(side) ? MIGRATE_SPLIT : MIGRATE_DOUBT;
}

enum migrate_result migrate_source_again(struct migrate_side *side, struct err *err)
{
	enum migrate_standing standing;

	if (migrate_hello_send(side, MIGRATE_GAVE, err) < 0 ||
	        migrate_hello_receive(side, false, &standing, err) < 0)
		return side->hands ? leave(side, migrate_hand_settle(side, true)) : unknown(side);
	if (standing == MIGRATE_OWNS)
		return leave(side, MIGRATE_GONE);
	if (standing == MIGRATE_LACKS)
		return leave(side, migrate_push(side, NULL, err));
	if (has_run_there(side)) {
		err_set(err, ERR_FAILED,
		        "the vmm at this address has not got the guest, which ran on the other side; if that "
		        "vmm "
		        "was started anew, the guest is lost");
		return MIGRATE_SPLIT;
	}
	if (standing == MIGRATE_IS_READY)
		return leave(side, commit_again(side, err));
	err_set(err, ERR_FAILED,
	        "the vmm at this address knows nothing of the guest; if that vmm was started anew, the guest "
	        "is nowhere but here");
	return MIGRATE_DOUBT;
}
