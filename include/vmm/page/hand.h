/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand: the memory of a guest passes from one process of this host to another, without a copy. Both map the
 * same files. Beside them is the lease: a file with a lock, which the process that runs the guest holds, and
 * a number, the turn, which grows whenever a process begins to run it. So the kernel says who has the guest,
 * also when a process has died, and nobody runs it who knows it from an earlier turn. Main thread.
 */
#ifndef VMM_PAGE_HAND_H
#define VMM_PAGE_HAND_H

#include "vmm/page.h"

#define PAGE_HAND_FDS_MAX (PAGE_REGIONS_MAX + 1)

/* What one process passes to the other: a file for each region of the layout, in their order, and the lease.
 */
struct page_hand {
	int fds[PAGE_HAND_FDS_MAX];
	unsigned count;
	enum page_backing backing;
	uint64_t turn;
};

/* Why the memory of such a backing cannot pass to another process; NULL: it can. */
const char *page_hand_refusal(enum page_backing backing);
/*
 * Writes what the other process needs; the caller ends it by page_hand_close() as soon as it was sent,
 * because whoever has the descriptor of the lease keeps the lock for the other process. From now on this
 * process holds the lease. ERR_USAGE: page_hand_refusal(). ERR_HOST: the lease cannot be made. ERR_FAILED:
 * another process holds it.
 */
int page_hand_offer(struct page_memory *memory, struct page_hand *ret_hand, struct err *err) MUST_CHECK;
void page_hand_close(struct page_hand *hand); /* of page_hand_offer(); a zeroed one is allowed */
/*
 * Shows the memory of the other process in place of this one's, at the same addresses, so KVM's memory slots
 * hold. Nothing that is written here reaches the other process before page_hand_own(), and what was written
 * until then is forgotten. The peer may be hostile. The descriptors stay the caller's. ERR_FAILED: they are
 * not those of such a memory; this memory is as before, unless the host refused a mapping, and must not be
 * used then.
 */
int page_hand_accept(struct page_memory *memory, const struct page_hand *hand, struct err *err) MUST_CHECK;

enum page_lease {
	PAGE_LEASE_MINE, /* this process holds it, and the guest has not run since its turn here */
	PAGE_LEASE_HELD, /* another one does, and has not begun a turn yet */
	PAGE_LEASE_PAST, /* another process has begun a turn, and perhaps ended */
};
/* Tries to get the lease, of a memory that was offered or accepted. */
enum page_lease page_lease_try(struct page_memory *memory);
/* Lets another process have it. Nothing if it is not held. */
void page_lease_release(struct page_memory *memory);
/*
 * Begins the next turn here. To be called with PAGE_LEASE_MINE, before the guest runs. Memory that was
 * accepted is written from now on. Nothing for memory that was never offered or accepted. ERR_HOST: the host
 * refused a mapping; the guest must not run.
 */
int page_hand_own(struct page_memory *memory, struct err *err) MUST_CHECK;

#endif
