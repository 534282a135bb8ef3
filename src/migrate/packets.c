/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets: private memory of a guest without a helper, which the source's secure processor packs for that of
 * the target, page by page.
 *
 *     CHAIN    0 bytes of AMD's certificates u32   4 zero u32   8 PDH   PEK   OCA   CEK   ASK and ARK
 *     SESSION  0 policy u32   4 zero u32   8 session[128]   the source's PDH
 *     PROOF    nothing: the target's secure processor has taken the session
 *     SENT     0 records u32   4 zero u32   then for each record: gpa u64   header[52]
 *              then a packet of a page for each
 *
 * A packet does not say where it belongs, how old it is, or whether it is the last one. Both hosts could
 * exchange the guest's pages, as they could without a move. Nobody else must be able to: the stream needs
 * TLS, or a way that both hosts trust.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "side.h"

#define HEAD_BYTES    8
#define RECORD_BYTES  (8 + sizeof(struct abi_sev_secret_header))
#define CHAIN_BYTES   (HEAD_BYTES + sizeof(struct abi_sev_cert) + sizeof(struct abi_sev_cert_chain))
#define SESSION_BYTES (HEAD_BYTES + sizeof(struct abi_sev_session) + sizeof(struct abi_sev_cert))
_Static_assert(HEAD_BYTES + MIGRATE_SEAL_MAX * (RECORD_BYTES + PAGE_SIZE_BYTES) <= MIGRATE_PAYLOAD_MAX_BYTES,
        "they fit into a frame");

static int check_cancelled(const struct migrate_side *side, struct err *err)
{
	return atomic_load_explicit(side->wire.cancelled, memory_order_acquire)
	               ? err_sys(err, ERR_FAILED, ECANCELED, "the move")
	               : 0;
}

/* ---- whom it is sent to ---- */

static int tell_chain(struct migrate_side *side, struct err *err)
{
	const struct migrate_chain *chain = side->guest->firmware->chain;
	uint8_t *payload = migrate_wire_payload(&side->wire), *at = payload + HEAD_BYTES;

	store_le(payload, 4, chain->amd_bytes);
	store_le(payload + 4, 4, 0);
	memcpy(at, &chain->pdh, sizeof(chain->pdh));
	memcpy(at + sizeof(chain->pdh), &chain->platform, sizeof(chain->platform));
	memcpy(payload + CHAIN_BYTES, chain->amd, chain->amd_bytes);
	return migrate_wire_send(&side->wire, MIGRATE_CHAIN, CHAIN_BYTES + chain->amd_bytes, err);
}

static int take_chain(struct migrate_side *side, struct migrate_chain *ret_chain, struct err *err)
{
	struct migrate_frame frame;
	struct cursor in;
	uint32_t zero;

	if (migrate_wire_expect(&side->wire, MIGRATE_CHAIN, CHAIN_BYTES, 1, &frame, err) < 0)
		return -1;
	in = cursor_over(frame.payload, frame.size);
	ret_chain->amd_bytes = cursor_u32(&in);
	zero = cursor_u32(&in);
	cursor_copy(&in, &ret_chain->pdh, sizeof(ret_chain->pdh));
	cursor_copy(&in, &ret_chain->platform, sizeof(ret_chain->platform));
	if (in.bad || zero || ret_chain->amd_bytes > sizeof(ret_chain->amd) ||
	        ret_chain->amd_bytes != in.left)
		return err_set(err, ERR_FAILED, "the other vmm tells %zu bytes of its host's certificates",
		        frame.size);
	cursor_copy(&in, ret_chain->amd, ret_chain->amd_bytes);
	return 0;
}

static int begin_as_source(struct migrate_side *side, struct err *err)
{
	const struct migrate_firmware *firmware = side->guest->firmware;
	auto_free struct migrate_chain *chain = calloc(1, sizeof(*chain));
	uint8_t *payload = migrate_wire_payload(&side->wire);
	struct abi_sev_session session;
	struct migrate_frame frame;

	if (!chain)
		return err_sys(err, ERR_FAILED, ENOMEM, "the certificates of the other host");
	if (firmware->check(firmware->ctx, err) < 0 || take_chain(side, chain, err) < 0 ||
	        firmware->send_start(firmware->ctx, chain, &session, err) < 0)
		return -1;
	store_le(payload, 4, firmware->policy);
	store_le(payload + 4, 4, 0);
	memcpy(payload + HEAD_BYTES, &session, sizeof(session));
	memcpy(payload + HEAD_BYTES + sizeof(session), &firmware->chain->pdh, sizeof(firmware->chain->pdh));
	if (migrate_wire_send(&side->wire, MIGRATE_SESSION, SESSION_BYTES, err) < 0)
		return -1;
	return migrate_wire_expect(&side->wire, MIGRATE_PROOF, 0, 1, &frame, err);
}

/*
 * A context that was begun is of no use for another session. A target that gives up has read what the source
 * has sent, so that the source reads why.
 */
static int begin_as_target(struct migrate_side *side, struct err *err)
{
	const struct migrate_firmware *firmware = side->guest->firmware;
	struct abi_sev_session session;
	struct migrate_frame frame;
	struct abi_sev_cert pdh;
	struct cursor in;
	uint32_t policy, zero;

	if (firmware->check(firmware->ctx, err) < 0 || tell_chain(side, err) < 0 ||
	        migrate_wire_expect(&side->wire, MIGRATE_SESSION, SESSION_BYTES, 1, &frame, err) < 0)
		return -1;
	in = cursor_over(frame.payload, frame.size);
	policy = cursor_u32(&in);
	zero = cursor_u32(&in);
	cursor_copy(&in, &session, sizeof(session));
	cursor_copy(&in, &pdh, sizeof(pdh));
	if (in.bad || in.left || zero || policy != firmware->policy)
		return err_set(err, ERR_FAILED, "the other vmm sends no session for a guest of this policy");
	if (firmware->receive_start(firmware->ctx, &pdh, &session, err) < 0)
		return -1;
	side->touched = true;
	return migrate_wire_send(&side->wire, MIGRATE_PROOF, 0, err);
}

int migrate_packets_begin(struct migrate_side *side, enum helper_role role, struct err *err)
{
	return role == HELPER_SOURCE ? begin_as_source(side, err) : begin_as_target(side, err);
}

/* ---- pages ---- */

int migrate_packets_send(struct migrate_side *side, const uint64_t *frames, unsigned count, struct err *err)
{
	const struct migrate_firmware *firmware = side->guest->firmware;
	uint8_t *payload = migrate_wire_payload(&side->wire), *at = payload + HEAD_BYTES;
	size_t size = HEAD_BYTES + count * RECORD_BYTES;

	store_le(payload, 4, count);
	store_le(payload + 4, 4, 0);
	for (unsigned i = 0; i < count; i++) {
		uint64_t gpa_of_page = frames[i] * PAGE_SIZE_BYTES;
		struct abi_sev_secret_header header;

		/* Each takes the secure processor a while. */
		if (check_cancelled(side, err) < 0 ||
		        firmware->send(firmware->ctx, gpa(gpa_of_page), &header, payload + size, err) < 0)
			return -1;
		store_le(at, 8, gpa_of_page);
		memcpy(at + 8, &header, sizeof(header));
		at += RECORD_BYTES;
		size += PAGE_SIZE_BYTES;
	}
	return migrate_wire_send(&side->wire, MIGRATE_SENT, size, err);
}

static int bad_packets(struct err *err)
{
	return err_set(err, ERR_FAILED,
	        "a frame from the other vmm has packets of pages that no guest of this plan has");
}

/* Returns how many packets there are, whose places were checked. */
static int check_packets(struct migrate_side *side, const struct migrate_frame *frame, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t count = cursor_u32(&in), zero = cursor_u32(&in);

	if (in.bad || zero || !count || count > MIGRATE_SEAL_MAX ||
	        in.left != count * (RECORD_BYTES + PAGE_SIZE_BYTES))
		return bad_packets(err);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = cursor_u64(&in);

		if (!cursor_take(&in, sizeof(struct abi_sev_secret_header)) ||
		        !migrate_seal_is_place(side->guest->memory, at))
			return bad_packets(err);
	}
	return (int)count;
}

int migrate_packets_load(struct migrate_side *side, const struct migrate_frame *frame,
        struct page_dirty *written, struct err *err)
{
	const struct migrate_firmware *firmware = side->guest->firmware;
	int count = check_packets(side, frame, err);
	const uint8_t *record = frame->payload + HEAD_BYTES;
	const uint8_t *packet = record + (count > 0 ? (size_t)count : 0) * RECORD_BYTES;

	for (int i = 0; i < count; i++) {
		uint64_t at = load_le(record, 8);
		struct abi_sev_secret_header header;

		memcpy(&header, record + 8, sizeof(header));
		if (check_cancelled(side, err) < 0)
			return -1;
		if (firmware->receive(firmware->ctx, gpa(at), &header, packet, err) < 0)
			return err_wrap(err, "the page at 0x%llx", (unsigned long long)at);
		migrate_seal_note(side, at / PAGE_SIZE_BYTES, written);
		record += RECORD_BYTES;
		packet += PAGE_SIZE_BYTES;
	}
	return count;
}
