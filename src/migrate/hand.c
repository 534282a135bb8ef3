/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand: a guest goes on in another process of this host, with the same memory. The thread of the move.
 *
 *     MEMORY of the source: 0 backing u32   4 zero u32   8 turn u64, with the descriptors (vmm/page/hand.h)
 *     MEMORY of the target: nothing; it has mapped them
 */
#include <time.h>

#include "side.h"

#define MEMORY_BYTES 16
#define NAP_NS       1000000

int migrate_hand_offer(struct migrate_side *side, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);
	struct page_hand hand = {0};
	struct migrate_frame frame;
	int result;

	if (side->guest->offer(side->guest->ctx, &hand, err) < 0)
		return -1;
	store_le(payload, 4, hand.backing);
	store_le(payload + 4, 4, 0);
	store_le(payload + 8, 8, hand.turn);
	result = migrate_wire_send_fds(&side->wire, MIGRATE_MEMORY, MEMORY_BYTES, hand.fds, hand.count, err);
	page_hand_close(&hand);
	return result < 0 ? -1 : migrate_wire_expect(&side->wire, MIGRATE_MEMORY, 0, 1, &frame, err);
}

_Static_assert(PAGE_HAND_FDS_MAX <= MIGRATE_FDS_MAX, "a frame has room for them");

int migrate_hand_accept(struct migrate_side *side, struct err *err)
{
	const struct migrate_fds *fds = &side->wire.in_fds;
	struct page_hand hand = {0};
	struct migrate_frame frame;
	uint64_t backing;

	if (!side->guest->accept)
		return err_set(err, ERR_FAILED, "this vmm takes no guest with its memory");
	side->wire.takes_fds = true;
	if (migrate_wire_expect(&side->wire, MIGRATE_MEMORY, MEMORY_BYTES, 1, &frame, err) < 0)
		return -1;
	backing = load_le(frame.payload, 4);
	if (frame.size != MEMORY_BYTES || load_le(frame.payload + 4, 4) || fds->count > PAGE_HAND_FDS_MAX ||
	        (backing != PAGE_SHARED && backing != PAGE_POOL))
		return err_set(err, ERR_FAILED, "what the other vmm says of its guest's memory cannot be");
	hand.backing = (enum page_backing)backing;
	hand.turn = load_le(frame.payload + 8, 8);
	for (; hand.count < fds->count; hand.count++)
		hand.fds[hand.count] = fds->fds[hand.count];
	if (side->guest->accept(side->guest->ctx, &hand, err) < 0)
		return -1;
	side->wire.takes_fds = false;
	migrate_fds_close(&side->wire.in_fds);
	return migrate_wire_send(&side->wire, MIGRATE_MEMORY, 0, err);
}

/* Who holds the lease without a turn of its own is about to begin one, to give up, or to die. */
enum migrate_result migrate_hand_settle(struct migrate_side *side, bool is_source)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t end_ms = clock_ns(CLOCK_MONOTONIC) / 1000000 + side->wire.patience_ms;
	enum page_lease lease;
	struct err ignored;

	while (side->guest->lease(side->guest->ctx, &lease, &ignored) == 0) {
		if (lease == PAGE_LEASE_MINE)
			return is_source ? MIGRATE_STAYS : MIGRATE_GONE;
		if (lease == PAGE_LEASE_PAST)
			return is_source ? MIGRATE_GONE : MIGRATE_STAYS;
		if (clock_ns(CLOCK_MONOTONIC) / 1000000 > end_ms ||
		        atomic_load_explicit(side->wire.cancelled, memory_order_acquire))
			break;
		nanosleep(&nap, NULL);
	}
	return MIGRATE_DOUBT;
}
