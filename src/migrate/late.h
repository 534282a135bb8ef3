/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late: memory that travels when the guest runs on the target already (post-copy). The source (push.c) sends
 * what is left; what the guest waits for comes first. The target (late.c) places each page once.
 */
#ifndef MIGRATE_LATE_H
#define MIGRATE_LATE_H

#include "side.h"

#define MIGRATE_WANTS_MAX 64 /* of one frame */

/* ---- which pages (runs.c) ---- */

int migrate_runs_send(struct migrate_side *side, const struct page_dirty *frames, struct err *err) MUST_CHECK;

/* The reader of a list: on_run(ctx, ...) is called for each run. The other fields are zero before the first
 * frame. */
struct migrate_runs {
	int (*on_run)(void *ctx, uint64_t first, uint64_t pages, struct err *err);
	void *ctx;
	uint64_t next;
};
/* Reads a frame of the list. Returns 1: it was the last one; 0; -1 with *err. */
int migrate_runs_load(struct migrate_side *side, const struct migrate_frame *frame, struct migrate_runs *runs,
        struct err *err) MUST_CHECK;

/* ---- the source (push.c) ---- */

/*
 * The guest is stopped, and dirty is what the target lacks: sends what vmm itself may need there at once, and
 * the list of the rest.
 */
int migrate_push_list(struct migrate_side *side, struct page_dirty *dirty, struct err *err) MUST_CHECK;
/*
 * As migrate_wire_expect(), and sends pages of left that the target wants meanwhile. NULL: it may want none.
 */
int migrate_push_expect(struct migrate_side *side, struct page_dirty *left, enum migrate_type type,
        unsigned times, struct migrate_frame *ret_frame, struct err *err) MUST_CHECK;
/*
 * The guest runs there. Sends what the target says that it lacks. unsent: only that, because the rest was
 * sent over this connection; NULL: it is a new one. MIGRATE_GONE, or MIGRATE_SPLIT with *err.
 */
enum migrate_result migrate_push(struct migrate_side *side, const struct page_dirty *unsent, struct err *err);

/* ---- the target (late.c) ---- */

/* Takes a frame of the source's list. Returns 1: it was the last one, and side->missing is complete. */
int migrate_late_list(
        struct migrate_side *side, const struct migrate_frame *frame, struct err *err) MUST_CHECK;
/* Places pages that came. */
int migrate_late_pages(
        struct migrate_side *side, const struct migrate_frame *frame, struct err *err) MUST_CHECK;
/* Keeps a part of the guest until its memory can be waited for. */
int migrate_late_keep(struct migrate_side *side, enum migrate_part part, unsigned i, const void *data,
        size_t size, struct err *err) MUST_CHECK;
/* Loads what was kept; pages that this touches come meanwhile. */
int migrate_late_load(struct migrate_side *side, struct err *err) MUST_CHECK;
/* As migrate_wire_expect(), and places pages that come meanwhile. */
int migrate_late_expect(struct migrate_side *side, enum migrate_type type, size_t size_min, unsigned times,
        struct migrate_frame *ret_frame, struct err *err) MUST_CHECK;
/*
 * The guest runs here. Returns when all of its memory is here, over as many connections as that needs, or
 * when the move is cancelled because the guest has ended. MIGRATE_SPLIT with *err: there will be no other
 * connection.
 */
enum migrate_result migrate_late_serve(struct migrate_side *side, struct err *err);
/* Ends the wait for pages: whoever still waits for one reads zeros. Does nothing if none were missing. */
void migrate_late_end(struct migrate_side *side);

#endif
