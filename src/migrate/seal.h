/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal: the memory of a SEV guest on its way. What the guest shares travels as that of a plain guest. What is
 * its own is sealed by its helper and opened by the other guest's helper; or packed by the secure processor
 * and unpacked by that of the other host. Which is which the record of shared pages says, and the one of the
 * moment at which the guest was stopped counts. The thread of the move.
 */
#ifndef MIGRATE_SEAL_H
#define MIGRATE_SEAL_H

#include "chain.h"
#include "vmm/abi/sev_launch.h"
#include "vmm/mirror/helper.h"
#include "vmm/page/dirty.h"

struct migrate_side;
struct migrate_frame;

/*
 * What a move wants of the guest's helper. The functions are those of vmm/mirror/helper.h; tests have helpers
 * of their own. Each returns 0, or -1 with *err.
 */
struct migrate_helper {
	int (*hello)(void *ctx, struct helper_hello *ret_hello, struct err *err);
	int (*agree)(void *ctx, const struct helper_terms *terms, struct err *err);
	int (*seal)(void *ctx, struct mirror_record *records, unsigned count, struct err *err);
	int (*open)(void *ctx, const struct mirror_record *records, unsigned count, struct err *err);
	int (*forget)(void *ctx, struct err *err);
	/* Source: may the guest be moved now? Target: can one come? */
	int (*check)(void *ctx, struct err *err);
	uint8_t digest[HELPER_DIGEST_BYTES]; /* of this side's launch */
	uint64_t policy;
	void *ctx;
};

/*
 * What a move wants of the secure processor, if the guest has no helper. The functions are those of
 * vmm/launch.h; tests have others. Each returns 0, or -1 with *err.
 */
struct migrate_firmware {
	/* As that of the helper. */
	int (*check)(void *ctx, struct err *err);
	/* Source: judges the certificates of the host that the guest goes to, and begins to send to it. */
	int (*send_start)(void *ctx, const struct migrate_chain *to, struct abi_sev_session *ret_session,
	        struct err *err);
	int (*send)(void *ctx, struct gpa gpa, struct abi_sev_secret_header *ret_header, void *ret_packet,
	        struct err *err);
	/* Source: the guest was given away, or stays. Also if send_start() has failed or was not called. */
	int (*send_end)(void *ctx, bool given, struct err *err);
	/* Target. */
	int (*receive_start)(void *ctx, const struct abi_sev_cert *pdh, const struct abi_sev_session *session,
	        struct err *err);
	int (*receive)(void *ctx, struct gpa gpa, const struct abi_sev_secret_header *header,
	        const void *packet, struct err *err);
	int (*receive_finish)(void *ctx, struct err *err);
	const struct migrate_chain *chain; /* of this host */
	uint32_t policy;
	void *ctx;
};

/* ---- keys (keys.c) ---- */

/*
 * Exchanges nonces with the other side and has both helpers make their keys. At the source it is known
 * afterwards that the target's helper has the same ones.
 */
int migrate_keys_make(struct migrate_side *side, enum helper_role role, struct err *err) MUST_CHECK;

/* ---- packets of the secure processor (packets.c) ---- */

/* The target tells its host's certificates, and both secure processors get keys for the move. */
int migrate_packets_begin(struct migrate_side *side, enum helper_role role, struct err *err) MUST_CHECK;
/* Sends these frames, MIGRATE_SEAL_MAX at most. */
int migrate_packets_send(
        struct migrate_side *side, const uint64_t *frames, unsigned count, struct err *err) MUST_CHECK;
/* The rest as migrate_seal_load(). */
int migrate_packets_load(struct migrate_side *side, const struct migrate_frame *frame,
        struct page_dirty *written, struct err *err) MUST_CHECK;

/* ---- a move's part with private memory (seal.c) ---- */

/* Before and after a move. Nothing of a plain guest. The keys are forgotten at the end, in any case. */
int migrate_seal_begin(struct migrate_side *side, struct err *err) MUST_CHECK;
void migrate_seal_end(struct migrate_side *side);
/* Both sides: gets keys for the move, if both guests and hosts belong together. */
int migrate_seal_agree(struct migrate_side *side, enum helper_role role, struct err *err) MUST_CHECK;
/* Source, last of all: it is known whether the guest was given away or stays. */
void migrate_seal_leave(struct migrate_side *side, bool given);
/* Target: all of the guest is here. */
int migrate_seal_complete(struct migrate_side *side, struct err *err) MUST_CHECK;

/*
 * Source: takes out of dirty, at the beginning of a pass, the pages that are the guest's own by the record.
 * migrate_seal_send() sends them.
 */
void migrate_seal_split(struct migrate_side *side, struct page_dirty *dirty);
/* Sends some of them. Returns how many, 0 if there are none left, -1 with *err. */
int migrate_seal_send(struct migrate_side *side, struct err *err) MUST_CHECK;
/* How many of them are left. */
uint64_t migrate_seal_left(const struct migrate_side *side);
/*
 * Source, when the guest is stopped: may it still be moved? Adds to dirty the pages whose last contents
 * travelled as if they were somebody else's.
 */
int migrate_seal_settle(struct migrate_side *side, struct page_dirty *dirty, struct err *err) MUST_CHECK;
/* Source: ends the streams, behind all pages. */
int migrate_seal_finish(struct migrate_side *side, struct err *err) MUST_CHECK;

/* Target: notes that the contents of these frames came plain. */
void migrate_seal_note_plain(struct migrate_side *side, uint64_t first, uint64_t pages);
/*
 * Target: opens what came into the guest, in a pass of this number. written: which pages of this side hold
 * anything. Returns how many pages.
 */
int migrate_seal_load(struct migrate_side *side, const struct migrate_frame *frame, uint64_t pass,
        struct page_dirty *written, struct err *err) MUST_CHECK;
/* Target: the ends of all streams. */
int migrate_seal_load_ends(struct migrate_side *side, const struct migrate_frame *frame, uint64_t pass,
        struct err *err) MUST_CHECK;
bool migrate_seal_has_ended(const struct migrate_side *side);
/* Target: did each page come, the last time as the record says? */
int migrate_seal_verify(struct migrate_side *side, struct err *err) MUST_CHECK;

/* ---- the record of shared pages (map.c) ---- */

int migrate_map_send(struct migrate_side *side, struct err *err) MUST_CHECK;
/* Takes the next piece. When all of it is here, it is this side's record. */
int migrate_map_load(
        struct migrate_side *side, const struct migrate_frame *frame, struct err *err) MUST_CHECK;
bool migrate_map_is_here(const struct migrate_side *side);

/* ---- what these files share ---- */

/* Can a page that is the guest's own lie there? Any number. */
bool migrate_seal_is_place(const struct page_memory *memory, uint64_t at);
/* Target: this frame came as one of the guest's own. */
void migrate_seal_note(struct migrate_side *side, uint64_t frame, struct page_dirty *written);

#define MIGRATE_SEAL_MAX 128 /* pages of a frame */

struct migrate_seal {
	/* Frames of which the last contents travelled sealed, and of a source those that are to be sent so.
	 */
	struct page_dirty *sealed, *left;
	struct page_dirty *own;        /* room to find out which pages are the guest's own */
	struct page_dirty *came;       /* target: frames of which anything came */
	uint64_t from;                 /* source: where the next frame is looked for in `left` */
	uint64_t next[HELPER_STREAMS]; /* target: the number of each stream's next record */
	bool ended;
	struct mirror_record *records; /* MIGRATE_SEAL_MAX, with a helper */
	uint64_t frames[MIGRATE_SEAL_MAX];
	struct {
		uint8_t *data;
		size_t size, all;
		unsigned part;
	} map; /* target: the part of the record that comes */
};

#endif
