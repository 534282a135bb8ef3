/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: takes a guest. Nothing of it runs before all of it is here, checked and complete, and the source
 * has said that it is given away.
 */
#include <string.h>
#include <time.h>

#include "file.h"
#include "late.h"
#include "plan.h"

/* The source may think, or wait for its guest's disks, also between READY and COMMIT. */
#define LIVE_TIMES 10
/* A disk of a process that was killed is locked for a while: ten seconds. */
#define RETRIES  200
#define RETRY_NS 50000000

/* ---- AGREE ---- */

/* What is added is not taken away again. */
static int adopt(struct migrate_side *side, const struct migrate_frame *plan, struct err *err)
{
	int added = side->guest->adopt(side->guest->ctx, (const char *)plan->payload, plan->size, err);

	side->touched = added != 0;
	return added;
}

/* The source ends the move then, and can begin another one without it. */
static int may_be_late(const struct migrate_side *side, struct err *err)
{
	const char *why = page_missing_refusal(page_memory_backing(side->guest->memory));

	if (!why && side->missing_fd <= 0)
		why = "this host gives vmm no userfaultfd (let vmm's user open /dev/userfaultfd, or set "
		      "sysctl "
		      "vm.unprivileged_userfaultfd=1)";
	if (!why && (side->guest->helper || side->guest->firmware))
		why = "it is a SEV guest, whose memory vmm cannot place";
	return why ? err_set(err, ERR_FAILED, "the guest's memory cannot come late (post-copy) here: %s", why)
	           : 0;
}

static int greet(struct migrate_side *side, struct err *err)
{
	enum migrate_standing standing;

	if (side->wire.file)
		return 0;
	if (migrate_hello_receive(side, true, &standing, err) < 0 ||
	        migrate_hello_send(side, MIGRATE_NEW, err) < 0)
		return -1;
	if (standing != MIGRATE_NEW && standing != MIGRATE_HANDS && standing != MIGRATE_SPLITS)
		return err_set(err, ERR_FAILED, "the other vmm asks for a guest that never came here");
	side->hands = standing == MIGRATE_HANDS;
	side->may_split = standing == MIGRATE_SPLITS;
	return side->may_split ? may_be_late(side, err) : 0;
}

static int agree(struct migrate_side *side, struct err *err)
{
	const struct migrate_guest *guest = side->guest;
	struct migrate_frame frame;
	size_t size;

	if (greet(side, err) < 0 || migrate_wire_expect(&side->wire, MIGRATE_PLAN, 0, 1, &frame, err) < 0)
		return -1;
	if (migrate_plan_compare(guest->plan, frame.payload, frame.size, !guest->adopt, err) < 0)
		return -1;
	if (guest->adopt && (adopt(side, &frame, err) < 0 || migrate_plan_compare(guest->plan, frame.payload,
	                                                             frame.size, true, err) < 0))
		return -1;
	if (side->wire.file)
		return migrate_file_place(side->wire.file, guest->memory, err);
	size = strlen(guest->plan);
	memcpy(migrate_wire_payload(&side->wire), guest->plan, size);
	if (migrate_wire_send(&side->wire, MIGRATE_PLAN, size, err) < 0)
		return -1;
	return migrate_seal_agree(side, HELPER_TARGET, err);
}

/* ---- LOAD ---- */

struct load {
	struct migrate_side *side;
	struct page_dirty *written; /* pages here that hold anything */
	uint64_t all;               /* how many pages the guest has */
	uint64_t pass, pages;       /* of the pass that comes: its number, how many pages have come */
	bool last;                  /* the last pass is over */
	unsigned part, next;        /* the part that comes next */
};

static int out_of_turn(const struct migrate_frame *frame, struct err *err)
{
	return err_set(err, ERR_FAILED, "the other vmm sent %s out of turn", migrate_type_name(frame->type));
}

static int on_pages(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	struct migrate_progress *progress = load->side->progress;
	int pages;

	if (load->side->late)
		return migrate_late_pages(load->side, frame, err);
	if (load->last)
		return out_of_turn(frame, err);
	pages = migrate_pages_load(load->side, frame, load->written, err);
	if (pages < 0)
		return -1;
	load->pages += (unsigned)pages;
	atomic_fetch_add_explicit(&progress->data_pages, (unsigned)pages, memory_order_relaxed);
	return 0;
}

static int on_sealed(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	const struct migrate_guest *guest = load->side->guest;
	bool packets = frame->type == MIGRATE_SENT;
	int pages;

	if (load->last || (packets ? !guest->firmware : !guest->helper))
		return out_of_turn(frame, err);
	pages = packets ? migrate_packets_load(load->side, frame, load->written, err)
	                : migrate_seal_load(load->side, frame, load->pass + 1, load->written, err);
	if (pages < 0)
		return -1;
	load->pages += (unsigned)pages;
	atomic_fetch_add_explicit(&load->side->progress->data_pages, (unsigned)pages, memory_order_relaxed);
	return 0;
}

static int on_ends(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	if (load->last || !load->side->guest->helper)
		return out_of_turn(frame, err);
	return migrate_seal_load_ends(load->side, frame, load->pass + 1, err);
}

static int on_map(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	if (!load->last || !load->side->seal)
		return out_of_turn(frame, err);
	return migrate_map_load(load->side, frame, err);
}

static int on_pass(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t pass = cursor_u32(&in), last = cursor_u32(&in);
	uint64_t pages = cursor_u64(&in);

	if (load->last || (last && !migrate_seal_has_ended(load->side)))
		return out_of_turn(frame, err);
	if (in.bad || in.left || last > 1 || pass != load->pass + 1)
		return err_set(err, ERR_FAILED, "the other vmm ended a pass that did not begin");
	if (pages != load->pages)
		return err_set(err, ERR_FAILED, "%llu pages of pass %u were sent, and %llu came",
		        (unsigned long long)pages, pass, (unsigned long long)load->pages);
	/* The first pass brings every page. */
	if (pass == 1 && pages < load->all)
		return err_set(err, ERR_FAILED, "only %llu of the guest's %llu pages came",
		        (unsigned long long)pages, (unsigned long long)load->all);
	if (last && migrate_pages_check(load->side, err) < 0)
		return -1;
	load->pass = pass;
	load->pages = 0;
	load->last = last;
	atomic_store_explicit(&load->side->progress->pass, pass, memory_order_relaxed);
	if (last)
		migrate_enter(load->side, MIGRATE_STOPPED);
	return 0;
}

/* In place of the end of the last pass: the rest comes when the guest runs here. */
static int on_later(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	struct migrate_side *side = load->side;
	uint64_t missing;
	int last;

	if (load->last || !side->may_split)
		return out_of_turn(frame, err);
	last = migrate_late_list(side, frame, err);
	if (last <= 0)
		return last;
	missing = page_dirty_count(page_missing_frames(side->missing));
	page_dirty_combine(side->torn, PAGE_DIRTY_AND_NOT, page_missing_frames(side->missing));
	if (migrate_pages_check(side, err) < 0)
		return -1;
	if (!load->pass && load->pages + missing < load->all)
		return err_set(err, ERR_FAILED, "only %llu of the guest's %llu pages came, or are to come",
		        (unsigned long long)(load->pages + missing), (unsigned long long)load->all);
	load->last = true;
	migrate_enter(side, MIGRATE_STOPPED);
	return 0;
}

static int on_part(
        struct load *load, const struct migrate_frame *frame, enum migrate_part part, struct err *err)
{
	const struct migrate_guest *guest = load->side->guest;
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t i = cursor_u32(&in), zero = cursor_u32(&in);

	while (load->part < MIGRATE_PARTS && load->next == guest->counts[load->part]) {
		load->part++;
		load->next = 0;
	}
	if (!load->last || !migrate_map_is_here(load->side) || in.bad || zero || load->part != part ||
	        load->next != i)
		return out_of_turn(frame, err);
	load->next++;
	if (load->side->late)
		return migrate_late_keep(load->side, part, i, in.at, in.left, err);
	return guest->load(guest->ctx, part, i, in.at, in.left, err);
}

static bool has_all_parts(const struct load *load)
{
	unsigned part = load->part, next = load->next;

	while (part < MIGRATE_PARTS && next == load->side->guest->counts[part]) {
		part++;
		next = 0;
	}
	return part == MIGRATE_PARTS;
}

/* Returns 1: all is here. */
static int on_state(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t paused = cursor_u32(&in);

	if (!load->last || !has_all_parts(load) || in.bad || in.left || paused > 1)
		return out_of_turn(frame, err);
	load->side->paused = paused;
	return 1;
}

/* Returns 1 when all is here. */
static int on_frame(struct load *load, const struct migrate_frame *frame, struct err *err)
{
	switch (frame->type) {
	case MIGRATE_PAGES: return on_pages(load, frame, err);
	case MIGRATE_SEALED:
	case MIGRATE_SENT: return on_sealed(load, frame, err);
	case MIGRATE_ENDS: return on_ends(load, frame, err);
	case MIGRATE_PASS: return on_pass(load, frame, err);
	case MIGRATE_MAP: return on_map(load, frame, err);
	case MIGRATE_LATER: return on_later(load, frame, err);
	case MIGRATE_TIME: return on_part(load, frame, MIGRATE_PART_TIME, err);
	case MIGRATE_VCPU: return on_part(load, frame, MIGRATE_PART_VCPU, err);
	case MIGRATE_CHIPS: return on_part(load, frame, MIGRATE_PART_CHIPS, err);
	case MIGRATE_DEVICE: return on_part(load, frame, MIGRATE_PART_DEVICE, err);
	case MIGRATE_STATE: return on_state(load, frame, err);
	default: return out_of_turn(frame, err);
	}
}

/*
 * A guest that has not begun has its firmware in memory, of which the end is also below 1 MiB. Of a SEV guest
 * nothing counts as untouched: what was sealed into it is no zeros for the host.
 */
static void set_untouched(struct load *load)
{
	const struct page_layout *layout = page_memory_layout(load->side->guest->memory);
	struct page_range run;

	page_dirty_set_all(load->written);
	load->all = page_dirty_count(load->written);
	for (unsigned i = 0; i < layout->count && !load->side->seal; i++) {
		const struct page_region *region = &layout->regions[i];
		uint64_t from = region->gpa.raw / PAGE_SIZE_BYTES;
		uint64_t end = from + region->size_bytes / PAGE_SIZE_BYTES;

		if (region->kind != PAGE_RAM && region->kind != PAGE_PLUGGED)
			continue;
		from = from < MIB(1) / PAGE_SIZE_BYTES ? MIB(1) / PAGE_SIZE_BYTES : from;
		while (from < end && page_dirty_take(load->written, from, end - from, &run) && run.end <= end)
			from = run.end;
	}
}

static int load_guest(struct migrate_side *side, struct err *err)
{
	struct load load = {.side = side, .last = side->hands};
	struct migrate_frame frame;
	int result = page_dirty_create(side->guest->memory, &load.written, err);

	if (result == 0)
		result = page_dirty_create(side->guest->memory, &side->torn, err);
	if (result == 0)
		set_untouched(&load);
	while (result == 0) {
		result = migrate_wire_receive(&side->wire, LIVE_TIMES, &frame, err);
		if (result == 0)
			result = on_frame(&load, &frame, err);
	}
	page_dirty_destroy(load.written);
	page_dirty_destroy(take_ptr(&side->torn));
	return result < 0 ? -1 : side->late ? migrate_late_load(side, err) : 0;
}

/* ---- READY ---- */

static enum migrate_result take(struct migrate_side *side, struct err *err)
{
	if (side->guest->take(side->guest->ctx, side->id, err) < 0) {
		migrate_wire_abort(&side->wire, err->text);
		return MIGRATE_STAYS;
	}
	if (!side->late)
		migrate_enter(side, MIGRATE_OVER);
	return MIGRATE_GONE;
}

/*
 * Without COMMIT: a guest that was handed over and that nobody has any more is taken all the same. The kernel
 * takes the locks of a dead process's files one after the other, so those of the guest's disks may come later
 * than the lease. This is the only copy of the guest: if it cannot be taken, it stays in doubt.
 */
static enum migrate_result own_unasked(struct migrate_side *side, struct err *err)
{
	const struct timespec nap = {.tv_nsec = RETRY_NS};
	enum migrate_result result = side->hands ? migrate_hand_settle(side, false) : MIGRATE_DOUBT;

	if (result != MIGRATE_GONE)
		return result;
	for (unsigned i = 0; side->guest->take(side->guest->ctx, side->id, err) < 0; i++) {
		if (i == RETRIES || atomic_load_explicit(side->wire.cancelled, memory_order_acquire))
			return MIGRATE_DOUBT;
		nanosleep(&nap, NULL);
	}
	migrate_enter(side, MIGRATE_OVER);
	return MIGRATE_GONE;
}

/* Also if the guest has ended already: a source that heard of something else might take it back. */
static int say_done(struct migrate_side *side, struct err *err)
{
	_Atomic bool never = false, *cancelled = side->wire.cancelled;
	int result;

	side->wire.cancelled = &never;
	result = migrate_wire_send(&side->wire, MIGRATE_DONE, 0, err);
	side->wire.cancelled = cancelled;
	side->told = result == 0;
	return result;
}

/* Whatever happens from here on, the source may have given the guest away. */
static enum migrate_result own(struct migrate_side *side, struct err *err)
{
	struct migrate_frame frame;

	if (migrate_late_expect(side, MIGRATE_COMMIT, MIGRATE_ID_BYTES, LIVE_TIMES, &frame, err) < 0)
		return side->wire.given_up ? MIGRATE_STAYS : own_unasked(side, err);
	if (memcmp(frame.payload, side->id, MIGRATE_ID_BYTES) != 0) {
		err_set(err, ERR_FAILED, "the other vmm gave away another guest");
		return MIGRATE_DOUBT;
	}
	if (take(side, err) != MIGRATE_GONE)
		return MIGRATE_STAYS;
	/* The source learns it by asking, if this does not come. */
	if (say_done(side, err) < 0)
		log_warn("the guest runs here, but the other vmm may not know: %s", err->text);
	return side->late ? migrate_late_serve(side, err) : MIGRATE_GONE;
}

enum migrate_result migrate_target(struct migrate_side *side, struct err *err)
{
	enum migrate_result result = MIGRATE_STAYS;
	bool loaded = false;

	migrate_enter(side, MIGRATE_AGREE);
	if (migrate_seal_begin(side, err) == 0 && agree(side, err) == 0) {
		migrate_enter(side, MIGRATE_LIVE);
		loaded = (!side->hands || migrate_hand_accept(side, err) == 0) &&
		         load_guest(side, err) == 0 && migrate_seal_complete(side, err) == 0;
	}
	migrate_seal_end(side);
	if (loaded) {
		migrate_enter(side, MIGRATE_DECIDED);
		/* Without READY the source gives nothing away. */
		if (side->wire.file)
			result = take(side, err);
		else if (migrate_wire_send(&side->wire, MIGRATE_READY, 0, err) == 0)
			result = own(side, err);
		else if (side->hands) /* the source may have died since its last frame */
			result = own_unasked(side, err);
	}
	if (result == MIGRATE_STAYS && !side->wire.given_up)
		migrate_wire_abort(&side->wire, err->text);
	if (result == MIGRATE_STAYS)
		migrate_late_end(side);
	return result;
}

enum migrate_result migrate_target_again(struct migrate_side *side, bool owned, struct err *err)
{
	enum migrate_result result = owned ? MIGRATE_GONE : MIGRATE_DOUBT;
	enum migrate_standing standing;

	if (migrate_hello_receive(side, false, &standing, err) < 0)
		return result;
	if (standing != MIGRATE_GAVE) {
		err_set(err, ERR_FAILED,
		        "the other vmm wants to send a guest, and there is one here already");
		migrate_wire_abort(&side->wire, err->text);
		return result;
	}
	if (migrate_hello_send(side, owned ? MIGRATE_OWNS : MIGRATE_IS_READY, err) < 0 || owned)
		return result;
	return own(side, err);
}
