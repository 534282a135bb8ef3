/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: how the host has the migration helper seal and open pages of a guest. The ring is the only memory
 * that helper and host share, and the host is hostile: the helper copies a descriptor once and looks at the
 * copy alone, copies what it opens before it looks at it, and keeps its place in the ring for itself.
 *
 * A record is a page of the guest, or the trailer that ends a stream and has no data, sealed with
 * AES-256-GCM. Its nonce is the stream and a number that rises by one with each record of the stream. What it
 * is stands beside it under the same tag. So nobody can leave a record out, move, repeat or exchange it
 * unnoticed.
 *
 * Numbers are little-endian. This is a part of the helper, and a function of the host for tests and fuzzers.
 */
#ifndef VMM_HELPER_RING_H
#define VMM_HELPER_RING_H

#include "gcm.h"

#define HELPER_PAGE_BYTES 4096u
#define HELPER_SLOTS      64u
#define HELPER_STREAMS    8u

/* What the host asks for. */
enum helper_command {
	HELPER_SEAL = 1, /* a page of the guest into the slot's page */
	HELPER_OPEN,     /* the slot's page into a page of the guest */
	HELPER_END_SEAL, /* seals a trailer: the stream is at its end */
	HELPER_END_OPEN, /* opens a trailer: all records of the stream have come */
};

/* The answers. After one that is not HELPER_DONE nothing has changed: no page, no number. */
enum helper_status {
	HELPER_WAITS,
	HELPER_DONE,
	HELPER_BAD_COMMAND, /* unknown, or reserved fields are not zero */
	HELPER_BAD_STREAM,  /* there is no such stream, or it is at its end */
	HELPER_BAD_ADDRESS, /* not a page that the helper may touch */
	HELPER_BAD_NUMBER,  /* not the record that comes next; or there are no more numbers */
	HELPER_BAD_TAG,     /* not what a helper with these keys has sealed */
};

/* One request and its answer. */
struct helper_slot {
	uint16_t command, status, stream, reserved;
	uint32_t pass; /* over the guest's memory, from 0 on */
	uint32_t reserved_too;
	uint64_t gpa;    /* of a page; 0 for a trailer */
	uint64_t number; /* of the record: the answer of sealing, and asked for by opening */
	uint8_t tag[GCM_TAG_BYTES];
	uint8_t padding[16];
};
_Static_assert(sizeof(struct helper_slot) == 64, "a line of the cache");

/*
 * Requests wait at produced - 1, ... down to consumed, each modulo HELPER_SLOTS. Each index has one writer:
 * the host produces, the helper consumes.
 */
struct helper_ring {
	_Alignas(64) uint32_t produced;
	_Alignas(64) uint32_t consumed;
	_Alignas(4096) struct helper_slot slots[HELPER_SLOTS];
	_Alignas(4096) uint8_t pages[HELPER_SLOTS][HELPER_PAGE_BYTES];
};
_Static_assert(sizeof(struct helper_ring) == (2 + HELPER_SLOTS) * HELPER_PAGE_BYTES, "66 pages");

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
	struct gcm_key seal, open; /* one for each direction, never the same key in two helpers */
	uint8_t id[8];             /* of the move */

	uint32_t consumed;
	bool broken; /* the host has produced more than fits: it is served no more */
	uint64_t sealed[HELPER_STREAMS], opened[HELPER_STREAMS]; /* records so far */
	bool seal_ended[HELPER_STREAMS], open_ended[HELPER_STREAMS];
	_Alignas(64) uint8_t page[HELPER_PAGE_BYTES];
};

/*
 * Answers the requests that wait in the ring, HELPER_SLOTS at most. Returns how many these were: after 0 the
 * helper can halt until the host enters it again.
 */
unsigned helper_serve(struct helper *helper);

#endif
