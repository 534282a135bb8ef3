/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: how the host has the migration helper seal and open pages of a guest. The ring is the only memory
 * that helper and host share, and the host is hostile: the helper copies a descriptor once and looks at the
 * copy alone, copies what it opens before it looks at it, and keeps its place in the ring for itself.
 *
 * A record is a page of the guest, or the trailer that ends a stream and has no data, sealed with
 * AES-256-GCM. Its nonce is the stream and a number that rises by one with each record of the stream. What it
 * is stands beside it under the same tag. So nobody can leave a record out, move, repeat or exchange it
 * unnoticed. A page has one stream, by its address, so an older record of it cannot come after a newer one.
 *
 * Keys are made anew for each move: HELLO gives a new nonce, KEYS takes the peer's and makes both keys, once.
 *
 * This is a part of the helper, and a function of the host for tests and fuzzers. include/vmm/abi/helper.h
 * has the layout of the ring.
 */
#ifndef VMM_HELPER_RING_H
#define VMM_HELPER_RING_H

#include "gcm.h"
#include "key.h"
#include "vmm/abi/helper.h"

_Static_assert(HELPER_TAG_BYTES == GCM_TAG_BYTES, "a slot has room for the tag");

/* Pages [first, end) by guest physical address, which the helper may read and write. */
struct helper_range {
	uint64_t first, end;
};

/*
 * The helper's own memory, which is private. The page at a guest physical address is at private_base plus the
 * address. ranges hold neither the helper nor its ring, and no page twice.
 */
struct helper {
	struct helper_ring *ring;
	uint8_t *private_base;
	const struct helper_range *ranges;
	unsigned range_count;
	enum gcm_form form;    /* what the processor can do */
	key_random *random;    /* where nonces come from */
	const uint8_t *secret; /* the page that takes the owner's launch secret */

	bool greeted;  /* nonce is of a HELLO whose keys were not made yet */
	bool has_keys; /* so that pages can be sealed and opened */
	uint8_t nonce[HELPER_NONCE_BYTES];
	uint8_t last_nonce[HELPER_NONCE_BYTES]; /* of the HELLO before; no secret, so it is never forgotten */
	struct gcm_key seal, open;     /* one for each direction, never the same key in two helpers */
	uint8_t id[HELPER_MOVE_BYTES]; /* of the move */

	uint32_t consumed;
	bool broken; /* the host has produced more than fits: it is served no more, and the keys are gone */
	uint64_t sealed[HELPER_STREAMS], opened[HELPER_STREAMS]; /* records so far */
	bool seal_ended[HELPER_STREAMS], open_ended[HELPER_STREAMS];
	_Alignas(64) uint8_t page[HELPER_PAGE_BYTES];
};

/*
 * Answers the requests that wait in the ring, HELPER_SLOTS at most. Returns how many these were: after 0 the
 * helper can halt until the host enters it again.
 */
unsigned helper_serve(struct helper *helper);
/* Wipes keys and nonce, and begins to count anew: nothing is sealed or opened until there are other keys. */
void helper_forget(struct helper *helper);

#endif
