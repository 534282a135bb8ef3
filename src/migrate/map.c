/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map: what a SEV guest shares when it is stopped: its pages, then what is no memory. A part is sent in
 * pieces.
 *
 *     0 part u32 (enum page_record_part)   4 bytes of the part u32   8 where this piece begins u32
 *     12 zero u32   16 the piece, of a form as vmm/page/range_map.h describes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "side.h"

#define HEAD_BYTES  16
#define PIECE_BYTES MIB(1)
_Static_assert(HEAD_BYTES + PIECE_BYTES <= MIGRATE_PAYLOAD_MAX_BYTES, "a piece fits into a frame");

static int send_part(
        struct migrate_side *side, unsigned part, const uint8_t *data, size_t size, struct err *err)
{
	uint8_t *payload = migrate_wire_payload(&side->wire);

	for (size_t at = 0, piece; at < size; at += piece) {
		piece = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
		store_le(payload, 4, part);
		store_le(payload + 4, 4, size);
		store_le(payload + 8, 4, at);
		store_le(payload + 12, 4, 0);
		memcpy(payload + HEAD_BYTES, data + at, piece);
		if (migrate_wire_send(&side->wire, MIGRATE_MAP, HEAD_BYTES + piece, err) < 0)
			return -1;
	}
	return 0;
}

int migrate_map_send(struct migrate_side *side, struct err *err)
{
	for (unsigned part = 0; side->seal && part < PAGE_RECORD_PARTS; part++) {
		auto_free uint8_t *data = NULL;
		size_t size;

		if (page_record_make_form(
		            side->guest->memory, (enum page_record_part)part, &data, &size, err) < 0 ||
		        send_part(side, part, data, size, err) < 0)
			return -1;
	}
	return 0;
}

static int bad_map(struct err *err)
{
	return err_set(err, ERR_FAILED, "the other vmm does not tell what the guest shares piece by piece");
}

/* The first piece says how long the part is. */
static int begin_part(struct migrate_side *side, size_t all, struct err *err)
{
	struct migrate_seal *seal = side->seal;
	enum page_record_part part = (enum page_record_part)seal->map.part;

	if (seal->map.data)
		return all == seal->map.all ? 0 : bad_map(err);
	if (!all || all > page_record_form_max_bytes(side->guest->memory, part))
		return bad_map(err);
	seal->map.data = malloc(all);
	if (!seal->map.data)
		return err_sys(err, ERR_FAILED, ENOMEM, "the record of what the guest shares");
	seal->map.all = all;
	seal->map.size = 0;
	return 0;
}

static int end_part(struct migrate_side *side, struct err *err)
{
	struct migrate_seal *seal = side->seal;
	auto_free uint8_t *data = take_ptr(&seal->map.data);

	if (page_record_read_form(
	            side->guest->memory, (enum page_record_part)seal->map.part, data, seal->map.all, err) < 0)
		return -1;
	seal->map.part++;
	return migrate_map_is_here(side) ? migrate_seal_verify(side, err) : 0;
}

int migrate_map_load(struct migrate_side *side, const struct migrate_frame *frame, struct err *err)
{
	struct cursor in = cursor_over(frame->payload, frame->size);
	uint32_t part = cursor_u32(&in), all = cursor_u32(&in), at = cursor_u32(&in), zero = cursor_u32(&in);
	struct migrate_seal *seal = side->seal;
	size_t piece = in.left;

	if (in.bad || zero || migrate_map_is_here(side) || part != seal->map.part || !piece)
		return bad_map(err);
	if (begin_part(side, all, err) < 0)
		return -1;
	if (at != seal->map.size || piece > seal->map.all - seal->map.size)
		return bad_map(err);
	cursor_copy(&in, seal->map.data + at, piece);
	seal->map.size += piece;
	return seal->map.size == seal->map.all ? end_part(side, err) : 0;
}

bool migrate_map_is_here(const struct migrate_side *side)
{
	return !side->seal || side->seal->map.part == PAGE_RECORD_PARTS;
}
