/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: what a move does with the guest of its side. The states of the two sides (source.c, target.c) know
 * nothing else of it, so tests let them move guests of their own.
 */
#ifndef MIGRATE_GUEST_H
#define MIGRATE_GUEST_H

#include "seal.h"
#include "vmm/base/vmstate.h"
#include "vmm/page.h"
#include "vmm/page/dirty.h"
#include "vmm/page/hand.h"

#define MIGRATE_ID_BYTES  16
#define MIGRATE_PARTS_MAX 256

/* The parts of a guest beside its memory, in the order in which they travel. */
enum migrate_part {
	MIGRATE_PART_TIME, /* the guest's clocks */
	MIGRATE_PART_VCPU,
	MIGRATE_PART_CHIPS, /* interrupt controllers */
	MIGRATE_PART_DEVICE,
	MIGRATE_PARTS
};

/* Called on the thread of the move. Each returns 0, or -1 with *err. */
struct migrate_guest {
	struct page_memory *memory;
	const char *plan; /* plan.h */
	/* A SEV guest has one of these: by whom its private memory is sealed. A plain guest has none. */
	const struct migrate_helper *helper;
	const struct migrate_firmware *firmware;
	unsigned counts[MIGRATE_PARTS]; /* how many there are of each part */
	/* Saves part number i; the caller calls vmstate_finish(), also after an error. Or loads it. */
	int (*save)(
	        void *ctx, enum migrate_part part, unsigned i, struct vmstate *ret_state, struct err *err);
	int (*load)(void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size,
	        struct err *err);
	/*
	 * Target: gives the machine what the guest has got since it began, by the other side's plan, which
	 * may be any bytes. plan is another one afterwards. NULL: there is no such thing. Returns 1 if
	 * something was added, 0 if the machine is as before; -1 if it may not be.
	 */
	int (*adopt)(void *ctx, const char *plan, size_t size, struct err *err);
	/* Source: from now on collect() tells which pages were written since it was last called. */
	int (*log)(void *ctx, bool on, struct err *err);
	int (*collect)(void *ctx, struct page_dirty *into, struct err *err);
	/*
	 * On the same host, a guest whose memory passes to the other process; NULL: there are none. offer():
	 * source, as page_hand_offer(). accept(): target, as page_hand_accept(). lease(): both, as
	 * page_lease_try().
	 */
	int (*offer)(void *ctx, struct page_hand *ret_hand, struct err *err);
	int (*accept)(void *ctx, const struct page_hand *hand, struct err *err);
	int (*lease)(void *ctx, enum page_lease *ret_lease, struct err *err);
	/* Source: returns when the guest does nothing any more: vCPUs wait, devices are quiet. */
	int (*stop)(void *ctx, struct err *err);
	/*
	 * Source: records that the guest was given away, and lets go of what the target needs. When it
	 * returns 0, the guest never runs here again, unless the operator says so.
	 */
	int (*give)(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err);
	/* Target: records that the guest was taken, takes what it needs, and lets it run. */
	int (*take)(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err);
	void *ctx;
};

#endif
