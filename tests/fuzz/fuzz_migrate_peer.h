/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_migrate_peer: the frames of the other side of a move, from an input. Those whose first byte is above
 * 0x7f are what an honest side sends, made here, with changes of some bytes and of the length; the others are
 * the input's own: type, length of the payload (two bytes) and payload, and before them the header, if bit 6
 * is set.
 */
#ifndef VMM_FUZZ_MIGRATE_PEER_H
#define VMM_FUZZ_MIGRATE_PEER_H

#include <string.h>
#include <sys/socket.h>

#include "../../src/migrate/side.h"
#include "fuzz.h"
#include "vmm/abi/policy.h"

#define RAM         MIB(2)
#define FIRMWARE    KIB(16)
#define FIRMWARE_AT (PAGE_HOLE_END - FIRMWARE)
#define PAGES       ((RAM + FIRMWARE) / PAGE_SIZE_BYTES)
#define FRAMES_MAX  64
#define FRAME_MAX   65536
#define PARTS       2
#define OWN         3 /* the first frame that is the guest's own, of a source */
#define OWN_MAX     4
#define POLICY      ABI_SEV_POLICY_NODBG
#define KEYS_BYTES  (8 + HELPER_NONCE_BYTES + HELPER_DIGEST_BYTES)
#define GOOD_PDH    0x71

/* What the other side has sent. */
static struct {
	bool by_processors; /* it moves the guest by them, not by helpers */
	uint64_t sequence, pages, next[HELPER_STREAMS];
	unsigned pass, own;
	bool sent[MIGRATE_TYPES];
} peer;

/* ---- what proves a page; no input guesses it ---- */

static void make_tag(const struct mirror_record *record, uint8_t ret_tag[static HELPER_TAG_BYTES])
{
	uint8_t head[24];

	store_le(head, 8, record->gpa.raw);
	store_le(head + 8, 8, record->number);
	store_le(head + 16, 4, record->pass);
	store_le(head + 20, 2, record->stream);
	store_le(head + 22, 2, record->trailer);
	memset(ret_tag, 0x7a, HELPER_TAG_BYTES);
	store_le(ret_tag, 4, migrate_crc32c(head, sizeof(head)));
	store_le(ret_tag + 4, 4, record->trailer ? 0 : migrate_crc32c(record->page, PAGE_SIZE_BYTES));
}

static uint32_t mac_of(const void *packet)
{
	return migrate_crc32c(packet, PAGE_SIZE_BYTES) ^ 0x91;
}

/* ---- frames of an honest side ---- */

static size_t make_hello(uint8_t *to, struct cursor *in)
{
	memset(to, 0, 28);
	store_le(to, 2, 1);
	memcpy(to + 24, "fuzz", 4);
	return 28;
}

static size_t make_plan(uint8_t *to, struct cursor *in)
{
	memcpy(to, "a = 1\n", 6);
	return 6;
}

static size_t make_keys(uint8_t *to, struct cursor *in)
{
	memset(to, 0, KEYS_BYTES);
	store_le(to, 4, HELPER_VERSION);
	return KEYS_BYTES;
}

static size_t make_proof(uint8_t *to, struct cursor *in)
{
	struct mirror_record proof = {.trailer = true};

	if (peer.by_processors)
		return 0;
	store_le(to, 8, 0);
	make_tag(&proof, to + 8);
	return 8 + HELPER_TAG_BYTES;
}

static size_t make_chain(uint8_t *to, struct cursor *in)
{
	size_t size = 8 + sizeof(struct abi_sev_cert) + sizeof(struct abi_sev_cert_chain);
	uint8_t amd = cursor_u8(in);

	memset(to, 0, size + amd);
	store_le(to, 4, amd);
	to[8] = GOOD_PDH;
	return size + amd;
}

static size_t make_session(uint8_t *to, struct cursor *in)
{
	size_t at = 8 + sizeof(struct abi_sev_session);

	memset(to, 0, at + sizeof(struct abi_sev_cert));
	store_le(to, 4, POLICY);
	to[at] = GOOD_PDH;
	return at + sizeof(struct abi_sev_cert);
}

/* All pages, as zeros. */
static size_t make_pages(uint8_t *to, struct cursor *in)
{
	store_le(to, 8, 2);
	store_le(to + 8, 8, 0);
	store_le(to + 16, 4, RAM);
	store_le(to + 20, 4, 2);
	store_le(to + 24, 8, FIRMWARE_AT);
	store_le(to + 32, 4, FIRMWARE);
	store_le(to + 36, 4, 2);
	peer.pages += PAGES;
	return 40;
}

static void put_record(uint8_t *to, struct mirror_record *record)
{
	record->pass = peer.pass + 1;
	record->number = peer.next[record->stream % HELPER_STREAMS]++;
	store_le(to, 8, record->gpa.raw);
	store_le(to + 8, 8, record->number);
	store_le(to + 16, 4, record->pass);
	store_le(to + 20, 4, record->stream);
	make_tag(record, to + 24);
}

/* Some of the guest's own pages, sealed or packed. */
static size_t make_own(uint8_t *to, struct cursor *in)
{
	unsigned count = cursor_u8(in) % OWN_MAX + 1, bytes = peer.by_processors ? 60 : 40;
	struct mirror_record record = {0};
	uint8_t *page = to + 8 + (size_t)count * bytes;

	store_le(to, 8, count);
	for (unsigned i = 0; i < count; i++, to += bytes, page += PAGE_SIZE_BYTES) {
		record.gpa = gpa((OWN + i) * (uint64_t)PAGE_SIZE_BYTES);
		record.stream = HELPER_STREAM_OF(record.gpa.raw);
		memset(record.page, (int)i, sizeof(record.page));
		memcpy(page, record.page, sizeof(record.page));
		memset(to + 8, 0, bytes);
		if (!peer.by_processors) {
			put_record(to + 8, &record);
			continue;
		}
		store_le(to + 8, 8, record.gpa.raw);
		store_le(to + 16 + offsetof(struct abi_sev_secret_header, mac), 4, mac_of(page));
	}
	peer.pages += count;
	peer.own = count > peer.own ? count : peer.own;
	return 8 + count * (bytes + (size_t)PAGE_SIZE_BYTES);
}

static size_t make_ends(uint8_t *to, struct cursor *in)
{
	store_le(to, 8, HELPER_STREAMS);
	for (unsigned i = 0; i < HELPER_STREAMS; i++) {
		struct mirror_record record = {.trailer = true, .stream = (uint16_t)i};

		put_record(to + 8 + (size_t)i * 40, &record);
	}
	return 8 + HELPER_STREAMS * (size_t)40;
}

static size_t make_pass(uint8_t *to, struct cursor *in)
{
	store_le(to, 4, ++peer.pass);
	store_le(to + 4, 4, cursor_u8(in) & 1);
	store_le(to + 8, 8, peer.pages);
	peer.pages = 0;
	return 16;
}

/* All that did not come as the guest's own is shared; nothing is that is no memory. */
static size_t make_map(uint8_t *to, struct cursor *in)
{
	struct page_range ranges[] = {{0, OWN}, {OWN + peer.own, RAM / PAGE_SIZE_BYTES},
	        {FIRMWARE_AT / PAGE_SIZE_BYTES, PAGE_HOLE_END / PAGE_SIZE_BYTES}};
	unsigned part = cursor_u8(in) & 1;
	const struct page_range_snapshot snapshot = {
	        .ranges = ranges, .count = part ? 0 : ARRAY_LEN(ranges), .exact = true, .complete = true};
	auto_free uint8_t *form = NULL;
	size_t size;
	struct err err;

	if (!part && !peer.own) {
		ranges[0].end = ranges[1].end;
		ranges[1] = ranges[2];
	}
	fuzz_assert(page_range_form_make(&snapshot, &form, &size, &err) == 0);
	store_le(to, 4, part);
	store_le(to + 4, 4, size);
	store_le(to + 8, 8, 0);
	memcpy(to + 16, form, size);
	return 16 + size;
}

static void visit(struct vmstate *s, uint8_t *value)
{
	vmstate_u8(s, "value", value, 0x0f);
}

static int save_value(struct vmstate *ret_state, struct err *err)
{
	uint8_t value = 5;

	*ret_state = vmstate_save("part");
	visit(ret_state, &value);
	return vmstate_end(ret_state, err);
}

static size_t make_part(uint8_t *to, struct cursor *in)
{
	struct vmstate state;
	struct err err;
	size_t size;

	store_le(to, 8, cursor_u8(in) % PARTS);
	fuzz_assert(save_value(&state, &err) == 0);
	size = state.size;
	memcpy(to + 8, state.data, size);
	vmstate_finish(&state);
	return 8 + size;
}

static size_t make_zeros(uint8_t *to, struct cursor *in)
{
	memset(to, 0, MIGRATE_ID_BYTES);
	return MIGRATE_ID_BYTES;
}

static size_t make_state(uint8_t *to, struct cursor *in)
{
	store_le(to, 4, 0);
	return 4;
}

static size_t make_nothing(uint8_t *to, struct cursor *in)
{
	return 0;
}

static size_t (*const makers[MIGRATE_TYPES])(uint8_t *to, struct cursor *in) = {
        [MIGRATE_HELLO] = make_hello,
        [MIGRATE_PLAN] = make_plan,
        [MIGRATE_PAGES] = make_pages,
        [MIGRATE_PASS] = make_pass,
        [MIGRATE_TIME] = make_part,
        [MIGRATE_VCPU] = make_part,
        [MIGRATE_CHIPS] = make_part,
        [MIGRATE_DEVICE] = make_part,
        [MIGRATE_STATE] = make_state,
        [MIGRATE_READY] = make_nothing,
        [MIGRATE_COMMIT] = make_zeros,
        [MIGRATE_DONE] = make_nothing,
        [MIGRATE_ABORT] = make_plan,
        [MIGRATE_PING] = make_nothing,
        [MIGRATE_KEYS] = make_keys,
        [MIGRATE_PROOF] = make_proof,
        [MIGRATE_SEALED] = make_own,
        [MIGRATE_ENDS] = make_ends,
        [MIGRATE_MAP] = make_map,
        [MIGRATE_CHAIN] = make_chain,
        [MIGRATE_SESSION] = make_session,
        [MIGRATE_SENT] = make_own,
};

/* ---- frames on their way ---- */

static uint8_t outgoing[MIGRATE_HEADER_BYTES + FRAME_MAX];

/* Sends it with a header that is right, or with this one. */
static bool put(int fd, const uint8_t *header, unsigned type, size_t size)
{
	if (header) {
		memcpy(outgoing, header, MIGRATE_HEADER_BYTES);
	} else {
		memset(outgoing, 0, MIGRATE_HEADER_BYTES);
		store_le(outgoing, 4, MIGRATE_MAGIC);
		store_le(outgoing + 4, 2, type);
		store_le(outgoing + 6, 2, MIGRATE_FLAG_UNDERSTAND);
		store_le(outgoing + 8, 4, size);
		store_le(outgoing + 16, 8, peer.sequence++);
		store_le(outgoing + 24, 4, migrate_crc32c(outgoing, MIGRATE_HEADER_BYTES + size));
	}
	type = (unsigned)load_le(outgoing + 4, 2);
	if (type < MIGRATE_TYPES)
		peer.sent[type] = true;
	size += MIGRATE_HEADER_BYTES;
	return send(fd, outgoing, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* How many bytes are changed (bits 0 to 2); the frame is longer (bit 6) or shorter (bit 7) by so many. */
static bool put_honest(int fd, unsigned type, struct cursor *in)
{
	uint8_t *payload = outgoing + MIGRATE_HEADER_BYTES, changes;
	size_t size = makers[type](payload, in), more;

	changes = cursor_u8(in);
	for (unsigned i = 0; i < (changes & 7) && size; i++) {
		size_t at = cursor_u16(in) % size;

		payload[at] = cursor_u8(in);
	}
	more = changes & 0xc0 ? cursor_u8(in) : 0;
	if (changes & 0x80)
		size = more < size ? size - more : 0;
	else
		memset(payload + size, 0x33, more);
	return put(fd, NULL, type, changes & 0x80 ? size : size + more);
}

static bool put_input(int fd, unsigned type, struct cursor *in)
{
	const uint8_t *header = type & 0x40 ? cursor_take(in, MIGRATE_HEADER_BYTES) : NULL;
	size_t size = cursor_u16(in);

	size = size < in->left ? size : in->left;
	cursor_copy(in, outgoing + MIGRATE_HEADER_BYTES, size);
	return put(fd, header, type & 0x3f, size);
}

/* As much as the socket takes is sent before this side reads: it never waits for more. */
static void put_frames(int fd, struct cursor *in)
{
	bool room = true;

	for (unsigned i = 0; i < FRAMES_MAX && in->left && !in->bad && room; i++) {
		unsigned type = cursor_u8(in);

		if (type <= 0x7f)
			room = put_input(fd, type, in);
		else if (type - 0x80 < MIGRATE_TYPES && makers[type - 0x80])
			room = put_honest(fd, type - 0x80, in);
	}
}

#endif
