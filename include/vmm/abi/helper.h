/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: the ring between the host and the migration helper, which runs inside a guest's encryption context,
 * and where both lie in the guest's address space. The ring is the only memory that the two share, and
 * neither trusts the other. Numbers are little-endian. Layouts and numbers only; any room may include this.
 */
#ifndef VMM_ABI_HELPER_H
#define VMM_ABI_HELPER_H

#include <stdint.h>

#include "vmm/abi/guid.h"

/* ---- where it lies: between the APICs and the firmware image, where no guest has RAM ---- */

#define HELPER_PAGE_BYTES  4096u
#define HELPER_GPA         0xfef00000u
#define HELPER_IMAGE_PAGES 16u /* private and measured */
#define HELPER_IMAGE_BYTES (HELPER_IMAGE_PAGES * HELPER_PAGE_BYTES)
#define HELPER_RING_GPA    (HELPER_GPA + HELPER_IMAGE_BYTES) /* shared with the host */
#define HELPER_BYTES       (HELPER_IMAGE_BYTES + sizeof(struct helper_ring))

/*
 * Pages of the image: code, stack, data, the page that takes the owner's launch secret, and for each position
 * of the C-bit that processors have (47, 51) four pages of tables, of which the first goes into CR3.
 */
#define HELPER_STACK_PAGE  4u
#define HELPER_DATA_PAGE   5u
#define HELPER_SECRET_PAGE 7u
#define HELPER_TABLES_PAGE 8u
#define HELPER_TABLES      4u
#define HELPER_SECRET_GPA  (HELPER_GPA + HELPER_SECRET_PAGE * HELPER_PAGE_BYTES)
#define HELPER_CR3_47      (HELPER_GPA + HELPER_TABLES_PAGE * HELPER_PAGE_BYTES)
#define HELPER_CR3_51      (HELPER_CR3_47 + HELPER_TABLES * HELPER_PAGE_BYTES)

/*
 * The helper reaches guest physical addresses at HELPER_WINDOW plus the address, up to HELPER_REACH_BYTES: of
 * the 2 MiB around itself its own pages alone, which are no business of any command.
 */
#define HELPER_WINDOW      0x8000000000u
#define HELPER_REACH_BYTES 0x8000000000u
#define HELPER_GAP_FIRST   0xfee00000u
#define HELPER_GAP_END     0xff000000u

/*
 * The owner's root key in the table of a launch secret: 32 random bytes, the same for both guests of a move
 * (6cde44fe-0c86-40aa-8a8d-eb9926f7486b).
 */
#define HELPER_ROOT_GUID  ABI_EFI_GUID(0x6cde44fe, 0x0c86, 0x40aa, 0x8a8d, 0xeb9926f7486b)
#define HELPER_ROOT_BYTES 32u

/* ---- the ring ---- */

#define HELPER_VERSION   1u
#define HELPER_SLOTS     64u
#define HELPER_STREAMS   8u
#define HELPER_TAG_BYTES 16u

/*
 * The stream of a page follows from its address. So all records of a page are in one stream, which gives them
 * their order, and the helper refuses a page in any other.
 */
#define HELPER_STREAM_OF(gpa) ((uint16_t)((gpa) / HELPER_PAGE_BYTES % HELPER_STREAMS))

/* What the host asks for. */
enum helper_command {
	HELPER_SEAL = 1, /* a page of the guest into the slot's page */
	HELPER_OPEN,     /* the slot's page into a page of the guest */
	HELPER_END_SEAL, /* seals a trailer: the stream is at its end */
	HELPER_END_OPEN, /* opens a trailer: all records of the stream have come */
	HELPER_HELLO,    /* forgets the keys, begins a move: struct helper_hello into the slot's page */
	HELPER_KEYS,     /* makes the keys by struct helper_terms in the slot's page */
	HELPER_FORGET,   /* forgets the keys: the move is over */
};

/* The answers. After one that is not HELPER_DONE nothing has changed, but that a HELLO forgets in any case.
 */
enum helper_status {
	HELPER_WAITS,
	HELPER_DONE,
	HELPER_BAD_COMMAND, /* unknown, or fields that it does not use are not zero */
	HELPER_BAD_STREAM,  /* there is no such stream, it is at its end, or the page has another */
	HELPER_BAD_ADDRESS, /* not a page that the helper may touch */
	HELPER_BAD_NUMBER,  /* not the record that comes next; or there are no more numbers */
	HELPER_BAD_TAG,     /* not what a helper with these keys has sealed */
	HELPER_BAD_TERMS,   /* of KEYS: no such role, or the peer's nonce is the helper's own or all zeros */
	HELPER_NO_HELLO,    /* KEYS wants a HELLO before it, and each HELLO gives keys once */
	HELPER_NO_ROOT,     /* the owner has injected no root key */
	HELPER_NO_RANDOM,   /* the processor gives no random numbers, or the same as before */
	HELPER_NO_KEYS,     /* there are none, so nothing is sealed or opened */
	HELPER_STATUSES
};

/* One request and its answer. HELLO, KEYS and FORGET use the command and the status alone. */
struct helper_slot {
	uint16_t command, status, stream, reserved;
	uint32_t pass; /* over the guest's memory, from 0 on */
	uint32_t reserved_too;
	uint64_t gpa;    /* of a page; 0 for a trailer */
	uint64_t number; /* of the record: the answer of sealing, and asked for by opening */
	uint8_t tag[HELPER_TAG_BYTES];
	uint8_t padding[16];
};
_Static_assert(sizeof(struct helper_slot) == 64, "a line of the cache");

/*
 * Requests wait at produced - 1, ... down to consumed, each modulo HELPER_SLOTS. Each index has one writer:
 * the host produces, the helper consumes. A helper that met an exception writes its vector plus 1 and its
 * error code, and halts for good.
 */
struct helper_ring {
	_Alignas(64) uint32_t produced;
	_Alignas(64) uint32_t consumed;
	uint32_t crashed, error;
	_Alignas(4096) struct helper_slot slots[HELPER_SLOTS];
	_Alignas(4096) uint8_t pages[HELPER_SLOTS][HELPER_PAGE_BYTES];
};
_Static_assert(sizeof(struct helper_ring) == (2 + HELPER_SLOTS) * HELPER_PAGE_BYTES, "66 pages");

/* ---- keys ---- */

#define HELPER_NONCE_BYTES  32u
#define HELPER_DIGEST_BYTES 32u
#define HELPER_MOVE_BYTES   8u

struct helper_hello {
	uint8_t nonce[HELPER_NONCE_BYTES];
	uint32_t version; /* HELPER_VERSION */
	uint32_t form;    /* of AES-256-GCM, as gcm.h counts them */
};
_Static_assert(sizeof(struct helper_hello) == 40, "no holes");

enum helper_role { HELPER_SOURCE, HELPER_TARGET };

/* What both helpers must be told alike, but for role and peer_nonce. */
struct helper_terms {
	uint8_t peer_nonce[HELPER_NONCE_BYTES];
	uint8_t source_digest[HELPER_DIGEST_BYTES], target_digest[HELPER_DIGEST_BYTES]; /* of the launches */
	uint64_t policy;                                                                /* of both guests */
	uint32_t role, reserved;                                                        /* enum helper_role */
	uint8_t move[HELPER_MOVE_BYTES];                                                /* its id */
};
_Static_assert(sizeof(struct helper_terms) == 120, "no holes");

/*
 * The key of a direction: HKDF-SHA256 (RFC 5869) with HELPER_SALT, the root key, and struct helper_info. 32
 * bytes come out.
 */
#define HELPER_SALT "vmm migration helper, version 1" /* with its NUL: 32 bytes */

struct helper_info {
	uint8_t source_nonce[HELPER_NONCE_BYTES], target_nonce[HELPER_NONCE_BYTES];
	uint8_t source_digest[HELPER_DIGEST_BYTES], target_digest[HELPER_DIGEST_BYTES];
	uint64_t policy;
	uint8_t move[HELPER_MOVE_BYTES];
	uint32_t direction, reserved; /* who seals: enum helper_role */
};
_Static_assert(sizeof(struct helper_info) == 152, "no holes");

#endif
