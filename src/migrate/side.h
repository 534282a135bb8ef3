/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side: the two sides of a move as states, each on a thread of its own that may block. docs/migration.md has
 * the states.
 */
#ifndef MIGRATE_SIDE_H
#define MIGRATE_SIDE_H

#include "guest.h"
#include "vmm/page/missing.h"
#include "wire.h"

enum migrate_phase {
	MIGRATE_AGREE, /* both compare what guest they have */
	MIGRATE_LIVE,  /* memory travels while the guest runs */
	MIGRATE_STOPPED,
	MIGRATE_DECIDED, /* source: the guest is given away. Target: it has all of it, or knows what comes
	                    later */
	MIGRATE_LATE,    /* the guest runs on the target, and the rest of its memory follows */
	MIGRATE_CUT,     /* the same, and there is no connection */
	MIGRATE_MENDED,  /* there is a new one */
	MIGRATE_OVER,
};

/* What became of the guest. */
enum migrate_result {
	MIGRATE_STAYS, /* source: it is still here, and nowhere else. Target: it never came */
	MIGRATE_GONE,  /* source: it runs there. Target: it runs here */
	MIGRATE_DOUBT, /* the connection broke where this side cannot know which of them has it */
	MIGRATE_SPLIT, /* it runs there, or here, and pages that it lacks are with the source alone */
};

/* How far it is; any thread may read it. Numbers of one moment do not belong together exactly. */
struct migrate_progress {
	_Atomic unsigned phase;
	_Atomic uint64_t pass;                   /* from 1 */
	_Atomic uint64_t data_pages, zero_pages; /* that travelled */
	_Atomic uint64_t left_pages;             /* known to be still to be sent */
	_Atomic uint64_t written_per_s;          /* pages that the guest wrote anew, over the last pass */
	_Atomic uint64_t pages_per_s,
	        bytes_per_s;                    /* that the connection takes, by the last pass that tells */
	_Atomic uint64_t setup_ms, expected_ms; /* the time to agree; the stop, if it came now */
	_Atomic uint64_t wants;                 /* pages that a guest waited for */
};

/* What a user may change while a guest moves. */
struct migrate_limits {
	_Atomic uint64_t bytes_per_s; /* 0: no limit; the last pass has none */
	_Atomic uint64_t stop_ms;     /* the guest is stopped when the rest will take no longer */
	_Atomic uint64_t
	        late_bytes_per_s; /* when the guest runs on the target, and does not wait; 0: no limit */
	_Atomic bool late;        /* the guest goes over now, and the rest of its memory later */
};

struct migrate_side {
	const struct migrate_guest *guest;
	struct migrate_wire wire;
	struct migrate_progress *progress;
	const struct migrate_limits *limits; /* source */
	uint8_t id[MIGRATE_ID_BYTES];        /* of this move: the source's choice */
	struct page_touched *unused; /* source: tells which pages were never used; NULL: nobody knows */
	bool paused;                 /* the guest was, before it was stopped for the move */
	struct migrate_seal *seal;   /* during the move of a SEV guest */
	bool hands;                  /* the guest is handed over, with its memory (hand.c) */
	struct page_dirty *torn; /* target: pages that were written on their way, and have to come again */
	bool touched;            /* target: the machine has got what this source's guest has */
	bool may_split;          /* memory may come late (late.h) */
	bool told;               /* target: the source knows that the guest runs here */
	bool split;              /* source: it does */
	int missing_fd;          /* target: of page_missing_open(); 0: there is none */
	struct page_missing *missing; /* target: not all memory is here */
	struct migrate_late *late;    /* target: while that is so */
	/*
	 * Target: gets the wire over a new connection, as soon as somebody connects. NULL: nobody can. -1
	 * with *err: nobody will.
	 */
	int (*reconnect)(void *ctx, struct err *err);
	/* Called when phase or pass have changed. */
	void (*on_progress)(void *ctx);
	void *ctx;
};

/* Says how far the move is. */
static inline void migrate_enter(struct migrate_side *side, enum migrate_phase phase)
{
	atomic_store_explicit(&side->progress->phase, phase, memory_order_release);
	side->on_progress(side->ctx);
}

/* Moves the guest to the other side. *err says why it stays, or what the doubt is. */
enum migrate_result migrate_source(struct migrate_side *side, struct err *err);
/* Asks the other side, over a new connection, what became of a guest in doubt, and ends the doubt. */
enum migrate_result migrate_source_again(struct migrate_side *side, struct err *err);
/*
 * Takes a guest from the other side. After MIGRATE_DOUBT all of it is here, and migrate_target_again() may
 * bring the order to run it over a new connection.
 */
enum migrate_result migrate_target(struct migrate_side *side, struct err *err);
/* owned: the guest was taken, and the source asks whether it was. */
enum migrate_result migrate_target_again(struct migrate_side *side, bool owned, struct err *err);

/* ---- what both sides say (hello.c) ---- */

/* Where a side is that speaks over a new connection of an old move. HANDS: as NEW, and memory is not sent. */
enum migrate_standing {
	MIGRATE_NEW,
	MIGRATE_GAVE,
	MIGRATE_IS_READY,
	MIGRATE_OWNS,
	MIGRATE_HANDS,
	MIGRATE_SPLITS, /* as NEW, and memory may come late */
	MIGRATE_LACKS,  /* as OWNS, and memory is missing */
	MIGRATE_STANDINGS
};
int migrate_hello_send(struct migrate_side *side, enum migrate_standing standing, struct err *err) MUST_CHECK;
/* Refuses another version, and an id other than side->id unless take_id. */
int migrate_hello_receive(struct migrate_side *side, bool take_id, enum migrate_standing *ret_standing,
        struct err *err) MUST_CHECK;

/* ---- a guest that is handed over on the same host (hand.c) ---- */

/* Source: passes the guest's memory, and waits until the target has mapped it. */
int migrate_hand_offer(struct migrate_side *side, struct err *err) MUST_CHECK;
/* Target: waits for it, and maps it. */
int migrate_hand_accept(struct migrate_side *side, struct err *err) MUST_CHECK;
/*
 * The connection broke between READY and DONE: waits until the lease of the memory says who has the guest, at
 * most as long as a peer may do nothing. MIGRATE_GONE of a target: it holds the lease, and may take the
 * guest. MIGRATE_DOUBT, with *err as it was: the other process does nothing.
 */
enum migrate_result migrate_hand_settle(struct migrate_side *side, bool is_source);

/* ---- pages (pages.c) ---- */

/*
 * Takes pages out of dirty, from *from (a frame) on, into a frame of the wire, and sends it. Returns how many
 * pages that were, 0 if there are none, -1 with *err.
 */
int migrate_pages_send(
        struct migrate_side *side, struct page_dirty *dirty, uint64_t *from, struct err *err) MUST_CHECK;
/* The same with those of at most 64 frames, any numbers, that are dirty. */
int migrate_pages_send_these(struct migrate_side *side, struct page_dirty *dirty, const uint64_t *frames,
        unsigned count, struct err *err) MUST_CHECK;
/*
 * Writes what came into memory, or places it if side->missing. written: which pages of this side hold
 * anything; side->torn is brought up to date. Returns how many pages.
 */
int migrate_pages_load(struct migrate_side *side, const struct migrate_frame *frame,
        struct page_dirty *written, struct err *err) MUST_CHECK;

/* At the end: -1 with *err if a page was written on its way, and did not come again. */
int migrate_pages_check(struct migrate_side *side, struct err *err) MUST_CHECK;

#endif
