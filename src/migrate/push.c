/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push: a source whose guest runs on the target already sends the rest of its memory. Nothing of it changes
 * any more. The target may be hostile: what it wants costs no more than what would be sent anyway, a page
 * that was sent over this connection is not sent again, and each wait ends.
 */
#include <time.h>

#include "late.h"

#define SECOND_NS    UINT64_C(1000000000)
#define DOZE_MS      20
#define SLOWEST_NS   (5 * SECOND_NS) /* the target hears of this side so often, whatever the limit is */
#define WANTS_IN_ROW 64              /* frames; then something is sent that is not wanted */

/* ---- the guest is stopped ---- */

/* The firmware and its variables are read by vmm itself, which must not wait then. */
static void take_firmware(const struct migrate_side *side, struct page_dirty *dirty, struct page_dirty *now)
{
	const struct page_layout *layout = page_memory_layout(side->guest->memory);

	for (unsigned i = 0; i < layout->count; i++) {
		const struct page_region *region = &layout->regions[i];

		if (region->kind != PAGE_RAM && region->kind != PAGE_PLUGGED)
			page_dirty_set(
			        now, region->gpa.raw / PAGE_SIZE_BYTES, region->size_bytes / PAGE_SIZE_BYTES);
	}
	page_dirty_combine(now, PAGE_DIRTY_AND, dirty);
	page_dirty_combine(dirty, PAGE_DIRTY_AND_NOT, now);
}

int migrate_push_list(struct migrate_side *side, struct page_dirty *dirty, struct err *err)
{
	struct page_dirty *now = NULL;
	uint64_t from = 0;
	int more = page_dirty_create(side->guest->memory, &now, err);

	if (more < 0)
		return -1;
	take_firmware(side, dirty, now);
	do {
		more = migrate_pages_send(side, now, &from, err);
	} while (more > 0);
	page_dirty_destroy(now);
	return more < 0 ? -1 : migrate_runs_send(side, dirty, err);
}

/* ---- what the target wants ---- */

/* Returns the frame behind the last one that is wanted, or 0; -1 with *err. */
static int serve_want(struct migrate_side *side, struct page_dirty *left, const struct migrate_frame *frame,
        uint64_t *ret_from, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t count = cursor_u32(&in), zero = cursor_u32(&in);
	uint64_t frames[MIGRATE_WANTS_MAX];

	if (in.bad || zero || !count || count > MIGRATE_WANTS_MAX || in.left != count * sizeof(uint64_t))
		return err_set(err, ERR_FAILED, "what the other vmm wants is no list of pages");
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = cursor_u64(&in);

		if (at % PAGE_SIZE_BYTES || page_memory_bytes_in(side->guest->memory, gpa(at),
		                                    PAGE_SIZE_BYTES) != PAGE_SIZE_BYTES)
			return err_set(err, ERR_FAILED, "the other vmm wants pages that the guest has not");
		frames[i] = at / PAGE_SIZE_BYTES;
	}
	atomic_fetch_add_explicit(&side->progress->wants, count, memory_order_relaxed);
	*ret_from = frames[count - 1] + 1;
	return migrate_pages_send_these(side, left, frames, count, err) < 0 ? -1 : 0;
}

int migrate_push_expect(struct migrate_side *side, struct page_dirty *left, enum migrate_type type,
        unsigned times, struct migrate_frame *ret_frame, struct err *err)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)times * side->wire.patience_ms * 1000000,
	         from;

	if (!left)
		return migrate_wire_expect(&side->wire, type, 0, times, ret_frame, err);
	while (clock_ns(CLOCK_MONOTONIC) <= end_ns) {
		if (migrate_wire_receive(&side->wire, times, ret_frame, err) < 0)
			return -1;
		if (ret_frame->type == type)
			return 0;
		if (ret_frame->type != MIGRATE_WANT)
			return err_set(err, ERR_FAILED, "the other vmm sent %s where %s comes next",
			        migrate_type_name(ret_frame->type), migrate_type_name(type));
		if (serve_want(side, left, ret_frame, &from, err) < 0)
			return -1;
	}
	return err_set(err, ERR_FAILED, "the other vmm wants pages without end");
}

/* ---- the guest runs there ---- */

struct push {
	struct migrate_side *side;
	struct page_dirty *left;
	uint64_t from; /* what is sent next, if nothing is wanted */
};

static int on_run(void *ctx, uint64_t first, uint64_t pages, struct err *err)
{
	page_dirty_set(((struct push *)ctx)->left, first, pages);
	return 0;
}

static int receive_list(struct push *push, struct err *err)
{
	struct migrate_runs runs = {.on_run = on_run, .ctx = push};
	struct migrate_frame frame;
	int last = 0;

	while (last == 0) {
		last = migrate_wire_expect(&push->side->wire, MIGRATE_LATER, 0, 1, &frame, err);
		if (last == 0)
			last = migrate_runs_load(push->side, &frame, &runs, err);
	}
	return last < 0 ? -1 : 0;
}

/* Serves what has come by now. When all has been sent, something else than WANT may come. */
static int serve_wants(struct push *push, struct err *err)
{
	struct migrate_frame frame;

	for (unsigned i = 0; i < WANTS_IN_ROW && page_dirty_count(push->left); i++) {
		int begun = migrate_wire_has_begun(&push->side->wire, err);

		if (begun <= 0)
			return begun;
		if (migrate_wire_expect(&push->side->wire, MIGRATE_WANT, 0, 1, &frame, err) < 0 ||
		        serve_want(push->side, push->left, &frame, &push->from, err) < 0)
			return -1;
	}
	return 0;
}

/* Behind a page that was wanted are those that will be wanted next. */
static int push_some(struct push *push, struct err *err)
{
	int pages = migrate_pages_send(push->side, push->left, &push->from, err);

	if (pages == 0)
		push->from = 0;
	atomic_store_explicit(
	        &push->side->progress->left_pages, page_dirty_count(push->left), memory_order_relaxed);
	return pages < 0 ? -1 : 0;
}

/* Waits until the limit allows more, if there is more. Pages that the target wants are sent meanwhile. */
static int keep_limit(struct push *push, uint64_t begin_ns, uint64_t bytes, struct err *err)
{
	while (page_dirty_count(push->left)) {
		uint64_t limit =
		        atomic_load_explicit(&push->side->limits->late_bytes_per_s, memory_order_relaxed);
		uint64_t ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;

		if (!limit || ns >= SLOWEST_NS || (double)ns * (double)limit >= (double)bytes * SECOND_NS)
			return 0;
		if (migrate_wire_doze(&push->side->wire, DOZE_MS, err) < 0 || serve_wants(push, err) < 0)
			return -1;
	}
	return 0;
}

static int push_all(struct push *push, const struct page_dirty *unsent, struct err *err)
{
	struct migrate_side *side = push->side;
	struct migrate_frame frame;

	if (receive_list(push, err) < 0)
		return -1;
	/* The target lists pages that were sent on this connection and have not reached it yet. */
	if (unsent)
		page_dirty_combine(push->left, PAGE_DIRTY_AND, unsent);
	while (page_dirty_count(push->left)) {
		uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC), bytes = atomic_load(&side->wire.sent_bytes);

		if (serve_wants(push, err) < 0 || push_some(push, err) < 0 ||
		        keep_limit(push, begin_ns, atomic_load(&side->wire.sent_bytes) - bytes, err) < 0)
			return -1;
	}
	return migrate_push_expect(side, push->left, MIGRATE_WHOLE, 1, &frame, err);
}

/* A target that gives up needs no more: its guest has ended, or was reset. */
enum migrate_result migrate_push(struct migrate_side *side, const struct page_dirty *unsent, struct err *err)
{
	struct push push = {.side = side};
	int result;

	migrate_enter(side, MIGRATE_LATE);
	result = page_dirty_create(side->guest->memory, &push.left, err);
	if (result == 0)
		result = push_all(&push, unsent, err);
	page_dirty_destroy(push.left);
	if (result == 0 || side->wire.given_up)
		return MIGRATE_GONE;
	if (atomic_load_explicit(side->wire.cancelled, memory_order_acquire))
		migrate_wire_abort(
		        &side->wire, "it ends, and memory that the guest lacks with it: the guest is lost");
	migrate_enter(side, MIGRATE_CUT);
	return MIGRATE_SPLIT;
}
