/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late: a target that runs a guest of which not all memory is here. The thread of the move waits for pages,
 * and for those who wait for pages; it never touches the guest's memory itself meanwhile. The source may be
 * hostile: it places pages that miss, each once, and nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "late.h"

#define ASKED_MAX      512 /* pages that were asked for and have not come: what the connection surely holds */
#define KEPT_MAX_BYTES MIB(64)
#define SLICE_MS       100
#define WAITING_IN_ROW 64

/* A part of the guest, as it came. */
struct kept {
	struct kept *next;
	enum migrate_part part;
	unsigned i;
	size_t size;
	uint8_t data[];
};

struct migrate_late {
	struct migrate_side *side;
	struct migrate_runs runs;
	/* Frames that somebody waits for: not asked for yet, and asked for over this connection. */
	struct page_dirty *wanted, *asked;
	struct kept *kept, **kept_end;
	size_t kept_bytes;
	/* The thread that loads what was kept. */
	int done_fd;
	int loaded;
	struct err load_err;
};

/* ---- who waits for a page ---- */

static int ask(struct migrate_late *late, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&late->side->wire);
	struct page_range run = {0};
	unsigned count = 0;

	while (count < MIGRATE_WANTS_MAX && page_dirty_count(late->asked) < ASKED_MAX &&
	        page_dirty_count(late->wanted) && page_dirty_take(late->wanted, run.end, 1, &run)) {
		store_le(payload + 8 + 8 * (size_t)count++, 8, run.first * PAGE_SIZE_BYTES);
		page_dirty_set(late->asked, run.first, 1);
	}
	if (!count)
		return 0;
	store_le(payload, 4, count);
	store_le(payload + 4, 4, 0);
	atomic_fetch_add_explicit(&late->side->progress->wants, count, memory_order_relaxed);
	return migrate_wire_send(&late->side->wire, MIGRATE_WANT, 8 + 8 * (size_t)count, err);
}

static int note_waiting(struct migrate_late *late, struct err *err)
{
	uint64_t frame;
	int found;

	/* The descriptor can still be read if there are more, and what came is looked at in between. */
	for (unsigned i = 0; i < WAITING_IN_ROW; i++) {
		found = page_missing_next(late->side->missing, &frame, err);
		if (found <= 0)
			return found;
		if (!page_dirty_has(late->asked, frame, 1))
			page_dirty_set(late->wanted, frame, 1);
	}
	return 0;
}

static int on_waiting(void *ctx, struct err *err)
{
	return note_waiting(ctx, err) < 0 ? -1 : ask(ctx, err);
}

static void watch(struct migrate_late *late)
{
	late->side->wire.watch = (struct migrate_watch){late->side->missing_fd, on_waiting, late};
}

/* Takes the pages that have come out of the lists of those that are wanted. */
static void forget_placed(struct migrate_late *late)
{
	const struct page_dirty *missing = page_missing_frames(late->side->missing);

	if (page_dirty_count(late->asked))
		page_dirty_combine(late->asked, PAGE_DIRTY_AND, missing);
	if (page_dirty_count(late->wanted))
		page_dirty_combine(late->wanted, PAGE_DIRTY_AND, missing);
}

/* ---- pages ---- */

int migrate_late_pages(struct migrate_side *side, const struct migrate_frame *frame, struct err *err)
{
	int pages = migrate_pages_load(side, frame, NULL, err);

	if (pages < 0)
		return -1;
	atomic_fetch_add_explicit(&side->progress->data_pages, (unsigned)pages, memory_order_relaxed);
	atomic_store_explicit(&side->progress->left_pages,
	        page_dirty_count(page_missing_frames(side->missing)), memory_order_relaxed);
	forget_placed(side->late);
	return on_waiting(side->late, err);
}

int migrate_late_expect(struct migrate_side *side, enum migrate_type type, size_t size_min, unsigned times,
        struct migrate_frame *ret_frame, struct err *err)
{
	if (!side->late)
		return migrate_wire_expect(&side->wire, type, size_min, times, ret_frame, err);
	watch(side->late);
	for (;;) {
		if (migrate_wire_receive(&side->wire, times, ret_frame, err) < 0)
			return -1;
		if (ret_frame->type == type && ret_frame->size >= size_min)
			return 0;
		if (ret_frame->type != MIGRATE_PAGES)
			return err_set(err, ERR_FAILED, "the other vmm sent %s where %s comes next",
			        migrate_type_name(ret_frame->type), migrate_type_name(type));
		if (migrate_late_pages(side, ret_frame, err) < 0)
			return -1;
	}
}

/* ---- the list ---- */

static int on_run(void *ctx, uint64_t first, uint64_t pages, struct err *err)
{
	return page_missing_expect(((struct migrate_late *)ctx)->side->missing, first, pages, err);
}

static int begin(struct migrate_side *side, struct err *err)
{
	struct migrate_late *late = calloc(1, sizeof(*late));

	if (!late)
		return err_sys(err, ERR_FAILED, ENOMEM, "pages that come late");
	side->late = late;
	late->side = side;
	late->runs = (struct migrate_runs){.on_run = on_run, .ctx = late};
	late->kept_end = &late->kept;
	late->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (late->done_fd < 0)
		return err_sys(err, ERR_FAILED, errno, "pages that come late");
	if (page_dirty_create(side->guest->memory, &late->wanted, err) < 0 ||
	        page_dirty_create(side->guest->memory, &late->asked, err) < 0)
		return -1;
	return page_missing_create(side->guest->memory, side->missing_fd, &side->missing, err);
}

int migrate_late_list(struct migrate_side *side, const struct migrate_frame *frame, struct err *err)
{
	int last;

	if (!side->late && begin(side, err) < 0)
		return -1;
	last = migrate_runs_load(side, frame, &side->late->runs, err);
	if (last > 0)
		watch(side->late);
	return last;
}

void migrate_late_end(struct migrate_side *side)
{
	struct migrate_late *late = take_ptr(&side->late);

	page_missing_destroy(take_ptr(&side->missing));
	if (!late)
		return;
	side->wire.watch.fd = -1;
	for (struct kept *kept; (kept = late->kept);) {
		late->kept = kept->next;
		free(kept);
	}
	page_dirty_destroy(late->wanted);
	page_dirty_destroy(late->asked);
	if (late->done_fd >= 0)
		close(late->done_fd);
	free(late);
}

/* ---- parts of the guest ---- */

int migrate_late_keep(struct migrate_side *side, enum migrate_part part, unsigned i, const void *data,
        size_t size, struct err *err)
{
	struct migrate_late *late = side->late;
	struct kept *kept;

	if (size > KEPT_MAX_BYTES - late->kept_bytes)
		return err_set(err, ERR_FAILED, "the states of the guest's parts are too many bytes");
	kept = malloc(sizeof(*kept) + size);
	if (!kept)
		return err_sys(err, ERR_FAILED, ENOMEM, "the state of a part of the guest");
	*kept = (struct kept){.part = part, .i = i, .size = size};
	memcpy(kept->data, data, size);
	*late->kept_end = kept;
	late->kept_end = &kept->next;
	late->kept_bytes += size;
	return 0;
}

static void *load(void *ctx)
{
	struct migrate_late *late = ctx;
	const struct migrate_guest *guest = late->side->guest;
	const uint64_t one = 1;

	pthread_setname_np(pthread_self(), "migrate-load");
	for (struct kept *kept = late->kept; kept && late->loaded == 0; kept = kept->next)
		late->loaded =
		        guest->load(guest->ctx, kept->part, kept->i, kept->data, kept->size, &late->load_err);
	(void)!write(late->done_fd, &one, sizeof(one));
	return NULL;
}

/* Serves until the thread is done. */
static int serve_load(struct migrate_late *late, struct err *err)
{
	struct migrate_side *side = late->side;
	struct pollfd fds[3] = {{.fd = late->done_fd, .events = POLLIN},
	        {.fd = side->missing_fd, .events = POLLIN}, {.fd = side->wire.fd, .events = POLLIN}};
	struct migrate_frame frame;
	uint64_t heard_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;

	while (!fds[0].revents) {
		int begun = migrate_wire_has_begun(&side->wire, err);

		if (begun < 0 || on_waiting(late, err) < 0 ||
		        (begun && (migrate_wire_expect(&side->wire, MIGRATE_PAGES, 0, 1, &frame, err) < 0 ||
		                          migrate_late_pages(side, &frame, err) < 0)))
			return -1;
		if (migrate_wire_doze(&side->wire, 0, err) < 0)
			return -1;
		/* The main thread may wait for a page, so nobody could cancel this. */
		if (begun || !page_dirty_count(late->asked))
			heard_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
		else if (clock_ns(CLOCK_MONOTONIC) / 1000000 - heard_ms > side->wire.patience_ms)
			return err_set(err, ERR_FAILED, "the other vmm sent nothing for too long");
		if (!begun && poll(fds, 3, SLICE_MS) < 0 && errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "the state of the guest");
	}
	return 0;
}

int migrate_late_load(struct migrate_side *side, struct err *err)
{
	struct migrate_late *late = side->late;
	pthread_t thread;
	int sys = pthread_create(&thread, NULL, load, late), served;

	if (sys)
		return err_sys(err, ERR_FAILED, sys, "the thread that loads the guest's state");
	served = serve_load(late, err);
	/* Of a guest that never comes nobody minds what the thread reads. */
	if (served < 0)
		page_missing_destroy(take_ptr(&side->missing));
	pthread_join(thread, NULL);
	if (served == 0 && late->loaded < 0)
		*err = late->load_err;
	return served < 0 ? -1 : late->loaded;
}

/* ---- the guest runs ---- */

/* Over a new connection everything is asked for anew. */
static int serve_connection(struct migrate_late *late, struct err *err)
{
	struct migrate_side *side = late->side;
	const struct page_dirty *missing = page_missing_frames(side->missing);
	struct migrate_frame frame;

	watch(late);
	page_dirty_combine(late->wanted, PAGE_DIRTY_OR, late->asked);
	page_dirty_combine(late->asked, PAGE_DIRTY_AND_NOT, late->asked);
	migrate_enter(side, MIGRATE_LATE);
	if (migrate_runs_send(side, missing, err) < 0 || on_waiting(late, err) < 0)
		return -1;
	while (page_dirty_count(missing)) {
		if (migrate_wire_expect(&side->wire, MIGRATE_PAGES, 0, 1, &frame, err) < 0 ||
		        migrate_late_pages(side, &frame, err) < 0)
			return -1;
	}
	/* The source learns it by asking, if this does not come. */
	if (migrate_wire_send(&side->wire, MIGRATE_WHOLE, 0, err) < 0)
		log_warn("all of the guest is here, but the other vmm may not know: %s", err->text);
	return 0;
}

static bool is_cancelled(const struct migrate_side *side)
{
	return atomic_load_explicit(side->wire.cancelled, memory_order_acquire);
}

/*
 * The guest has ended here, or is reset, and nobody waits for its memory. A source that does not know that
 * the guest ran here would take that for a guest that never came.
 */
static void say_enough(struct migrate_side *side)
{
	if (side->told)
		migrate_wire_abort(
		        &side->wire, "the guest ended, or was reset, and needs no more of its memory");
}

/* Strangers are turned away. */
static int mend(struct migrate_side *side, struct err *err)
{
	enum migrate_standing standing;
	struct err why;

	side->wire.watch.fd = -1;
	migrate_enter(side, MIGRATE_CUT);
	log_guest(LOG_ERROR,
	        "%llu pages of the guest are missing, and the connection to the vmm that has them broke: %s. "
	        "The guest goes on until it needs one of them. Let the source connect again (migrate with "
	        "resume)",
	        (unsigned long long)page_dirty_count(page_missing_frames(side->missing)), err->text);
	while (side->reconnect && side->reconnect(side->ctx, err) == 0) {
		if (migrate_hello_receive(side, false, &standing, &why) == 0 && standing == MIGRATE_GAVE &&
		        migrate_hello_send(side, MIGRATE_LACKS, &why) == 0) {
			side->told = true;
			migrate_enter(side, MIGRATE_MENDED);
			return 0;
		}
		migrate_wire_abort(&side->wire, "this vmm waits for the rest of a guest's memory");
	}
	return -1;
}

enum migrate_result migrate_late_serve(struct migrate_side *side, struct err *err)
{
	int result;

	while ((result = serve_connection(side->late, err)) < 0) {
		if (is_cancelled(side)) {
			say_enough(side);
			break;
		}
		if (mend(side, err) < 0)
			break;
	}
	if (result < 0 && !is_cancelled(side))
		return MIGRATE_SPLIT;
	migrate_late_end(side);
	return MIGRATE_GONE;
}
