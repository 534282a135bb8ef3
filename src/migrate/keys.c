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

/* What the other side has told. */
struct told {
	uint8_t nonce[HELPER_NONCE_BYTES], digest[HELPER_DIGEST_BYTES];
};

static int receive_keys(struct migrate_side *side, struct told *ret_told, struct err *err)
{
	struct migrate_frame frame;
	uint32_t version;

	if (migrate_wire_expect(&side->wire, MIGRATE_KEYS, KEYS_BYTES, 1, &frame, err) < 0)
		return -1;
	if (frame.size != KEYS_BYTES)
		return err_set(err, ERR_FAILED, "the other vmm tells %zu bytes of its helper", frame.size);
	version = (uint32_t)load_le(frame.payload, 4);
	if (version != HELPER_VERSION)
		return err_set(err, ERR_FAILED,
		        "the helper of the other side's guest has version %u, and this one's %u", version,
		        HELPER_VERSION);
	memcpy(ret_told->nonce, frame.payload + AT_NONCE, HELPER_NONCE_BYTES);
	memcpy(ret_told->digest, frame.payload + AT_DIGEST, HELPER_DIGEST_BYTES);
	return 0;
}

static int make(struct migrate_side *side, enum helper_role role, const struct told *told, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;
	struct helper_terms terms = {.policy = helper->policy, .role = role};
	bool is_source = role == HELPER_SOURCE;

	memcpy(terms.peer_nonce, told->nonce, HELPER_NONCE_BYTES);
	memcpy(is_source ? terms.source_digest : terms.target_digest, helper->digest, HELPER_DIGEST_BYTES);
	memcpy(is_source ? terms.target_digest : terms.source_digest, told->digest, HELPER_DIGEST_BYTES);
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

static int begin(struct migrate_side *side, struct helper_hello *ret_hello, struct err *err)
{
	const struct migrate_helper *helper = side->guest->helper;

	if (helper->check(helper->ctx, err) < 0)
		return -1;
	return helper->hello(helper->ctx, ret_hello, err);
}

/* A target that gives up has read what the source has sent, so that the source reads why. */
static int make_as_target(struct migrate_side *side, struct err *err)
{
	struct helper_hello hello;
	struct told told;

	if (receive_keys(side, &told, err) < 0 || begin(side, &hello, err) < 0 ||
	        make(side, HELPER_TARGET, &told, err) < 0 || send_keys(side, &hello, err) < 0)
		return -1;
	return send_proof(side, err);
}

int migrate_keys_make(struct migrate_side *side, enum helper_role role, struct err *err)
{
	struct helper_hello hello;
	struct told told;

	if (role == HELPER_TARGET)
		return make_as_target(side, err);
	if (begin(side, &hello, err) < 0 || send_keys(side, &hello, err) < 0 ||
	        receive_keys(side, &told, err) < 0 || make(side, HELPER_SOURCE, &told, err) < 0)
		return -1;
	return take_proof(side, err);
}
