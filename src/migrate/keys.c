/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: both helpers get their keys from what the two sides tell each other.
 *
 *     KEYS    0 version u32   4 form u32   8 nonce[32]   40 digest of the launch[32]
 *     PROOF   0 number u64   8 tag[16]   a trailer of the first stream, sealed by the target
 *
 * What is told here is no secret, and nobody trusts it: with other nonces, digests or another policy the
 * helpers have keys that do not fit. The target seals no pages, so the trailer takes nothing from a stream.
 */
#include <string.h>

#include "side.h"

#define AT_FORM    4
#define AT_NONCE   8
#define AT_DIGEST  (AT_NONCE + HELPER_NONCE_BYTES)
#define KEYS_BYTES (AT_DIGEST + HELPER_DIGEST_BYTES)

#define PROOF_BYTES (8 + HELPER_TAG_BYTES)

static int send_keys(struct migrate_side *side, const struct helper_hello *hello, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);

	store_le(payload, 4, hello->version);
	store_le(payload + AT_FORM, 4, hello->form);
	memcpy(payload + AT_NONCE, hello->nonce, HELPER_NONCE_BYTES);
	memcpy(payload + AT_DIGEST, side->guest->helper->digest, HELPER_DIGEST_BYTES);
	return migrate_wire_send(&side->wire, MIGRATE_KEYS, KEYS_BYTES, err);
}

/* The keys of this side follow from what the other one says. */
static int take_keys(struct migrate_side *side, enum helper_role role, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct helper_terms terms = {.policy = helper->policy, .role = role};
	uint8_t *ours = role == HELPER_SOURCE ? terms.source_digest : terms.target_digest;
	uint8_t *theirs = role == HELPER_SOURCE ? terms.target_digest : terms.source_digest;
	struct migrate_frame frame;
	uint32_t version;

	if (migrate_wire_expect(&side->wire, MIGRATE_KEYS, KEYS_BYTES, 1, &frame, err) < 0)
		return -1;
	version = (uint32_t)load_le(frame.payload, 4);
	if (frame.size != KEYS_BYTES || version != HELPER_VERSION)
		return err_set(err, ERR_FAILED,
		        "the helper of the other side's guest has version %u, and this one's %u", version,
		        HELPER_VERSION);
	memcpy(terms.peer_nonce, frame.payload + AT_NONCE, HELPER_NONCE_BYTES);
	memcpy(ours, helper->digest, HELPER_DIGEST_BYTES);
	memcpy(theirs, frame.payload + AT_DIGEST, HELPER_DIGEST_BYTES);
	memcpy(terms.move, side->id, HELPER_MOVE_BYTES);
	return helper->agree(helper->ctx, &terms, err);
}

static int send_proof(struct migrate_side *side, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct mirror_record proof = {.trailer = true};
	uint8_t *payload = migrate_wire_payload(&side->wire);

	if (helper->seal(helper->ctx, &proof, 1, err) < 0)
		return -1;
	store_le(payload, 8, proof.number);
	memcpy(payload + 8, proof.tag, HELPER_TAG_BYTES);
	return migrate_wire_send(&side->wire, MIGRATE_PROOF, PROOF_BYTES, err);
}

static int take_proof(struct migrate_side *side, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct mirror_record proof = {.trailer = true};
	struct migrate_frame frame;

	if (migrate_wire_expect(&side->wire, MIGRATE_PROOF, PROOF_BYTES, 1, &frame, err) < 0)
		return -1;
	proof.number = load_le(frame.payload, 8);
	memcpy(proof.tag, frame.payload + 8, HELPER_TAG_BYTES);
	if (frame.size == PROOF_BYTES && helper->open(helper->ctx, &proof, 1, err) == 0)
		return 0;
	return err_set(err, ERR_FAILED,
	        "the helper of the other side's guest has other keys: was it given another root key?");
}

int migrate_keys_make(struct migrate_side *side, enum helper_role role, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct helper_hello hello;

	if (helper->check(helper->ctx, err) < 0 || helper->hello(helper->ctx, &hello, err) < 0 ||
	        send_keys(side, &hello, err) < 0 || take_keys(side, role, err) < 0)
		return -1;
	return role == HELPER_SOURCE ? take_proof(side, err) : send_proof(side, err);
}
