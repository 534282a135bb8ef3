/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_migrate_sev: each side of the move of a SEV guest, by helpers and by secure processors, and a hostile
 * other side. The first byte chooses the side (bit 0: the source) and the way (bit 1: secure processors), the
 * second how often the source's guest writes meanwhile. Then follow frames (fuzz_migrate_peer.h).
 *
 * Whatever comes, a helper and a processor are asked for nothing but pages of the guest, the source gives its
 * guest only to who is ready, and the target takes none that is not whole.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz_migrate_peer.h"
#include "support/fake_kernel.h"

#define SOCKET       (512 * 1024)
#define RANGES_MAX   64
#define ADDRESS_BITS 40

static struct fake_kernel kernel;
static struct page_memory *memory;
static int side_fd = -1;

enum state { IDLE, SENDS, RECEIVES, FINISHED };

/* What this side of the move has done, and its helper or secure processor. */
static struct {
	bool is_source, by_processors;
	bool gave, took;
	bool has_keys, has_proof; /* the helper */
	enum state state;         /* the processor */
	unsigned rounds, loaded, forgot;
	uint64_t sealed[HELPER_STREAMS], next[HELPER_STREAMS]; /* records; those that were opened */
	bool ended[HELPER_STREAMS];
	bool came[OWN + OWN_MAX]; /* as one of the guest's own */
} own;

/* Nobody reads what this side sends. */
ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	return fd == side_fd ? (ssize_t)size : __real_send(fd, data, size, flags);
}

/* ---- the helper of this side ---- */

static int on_hello(void *ctx, struct helper_hello *ret_hello, struct err *err)
{
	memset(ret_hello, 0, sizeof(*ret_hello));
	ret_hello->version = HELPER_VERSION;
	return 0;
}

static int on_agree(void *ctx, const struct helper_terms *terms, struct err *err)
{
	fuzz_assert(!own.has_keys && peer.sent[MIGRATE_KEYS]);
	fuzz_assert(terms->role == (own.is_source ? HELPER_SOURCE : HELPER_TARGET));
	own.has_keys = true;
	return 0;
}

static bool is_place(uint64_t at)
{
	return at % PAGE_SIZE_BYTES == 0 && (at < RAM || (at >= FIRMWARE_AT && at < PAGE_HOLE_END));
}

/* What is promised of a record before a helper sees it. */
static void check_record(const struct mirror_record *record)
{
	fuzz_assert(own.has_keys && record->stream < HELPER_STREAMS);
	if (record->trailer) {
		fuzz_assert(!record->gpa.raw);
		return;
	}
	fuzz_assert(is_place(record->gpa.raw));
	fuzz_assert(record->stream == HELPER_STREAM_OF(record->gpa.raw));
}

static int on_seal(void *ctx, struct mirror_record *records, unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		struct mirror_record *record = &records[i];

		check_record(record);
		/* The proof of a target is all that it seals. */
		fuzz_assert(own.is_source ? own.has_proof : record->trailer && !own.sealed[0]);
		if (!record->trailer)
			fuzz_assert(page_is_already(memory, record->gpa, PAGE_SIZE_BYTES, true));
		record->number = own.sealed[record->stream]++;
		memset(record->page, 0x99, sizeof(record->page));
		make_tag(record, record->tag);
	}
	return 0;
}

static void note_opened(const struct mirror_record *record)
{
	uint64_t frame = record->gpa.raw / PAGE_SIZE_BYTES;

	own.next[record->stream]++;
	if (record->trailer)
		own.ended[record->stream] = true;
	else if (frame < ARRAY_LEN(own.came))
		own.came[frame] = true;
}

static int on_open(void *ctx, const struct mirror_record *records, unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		const struct mirror_record *record = &records[i];
		uint8_t tag[HELPER_TAG_BYTES];

		check_record(record);
		if (own.is_source) {
			fuzz_assert(record->trailer && !own.has_proof && !record->stream);
		} else {
			fuzz_assert(record->number == own.next[record->stream]);
			fuzz_assert(!own.ended[record->stream]);
		}
		make_tag(record, tag);
		if (memcmp(tag, record->tag, sizeof(tag)) != 0)
			return err_set(err, ERR_USAGE, "the helper refuses: TAG");
		own.has_proof = true;
		if (!own.is_source)
			note_opened(record);
	}
	return 0;
}

static int on_forget(void *ctx, struct err *err)
{
	own.has_keys = false;
	own.forgot++;
	return 0;
}

static int on_check(void *ctx, struct err *err)
{
	return 0;
}

/* ---- the secure processor of this side ---- */

/* No certificates of an input lead to AMD. */
static int on_send_start(
        void *ctx, const struct migrate_chain *to, struct abi_sev_session *ret_session, struct err *err)
{
	static const struct migrate_root amds;

	fuzz_assert(own.state == IDLE && to->amd_bytes <= sizeof(to->amd));
	if (*(const uint8_t *)&to->pdh != GOOD_PDH) {
		fuzz_assert(migrate_chain_verify(to, &amds, POLICY, err) < 0);
		return -1;
	}
	own.state = SENDS;
	memset(ret_session, 0, sizeof(*ret_session));
	return 0;
}

static int on_send(
        void *ctx, struct gpa at, struct abi_sev_secret_header *ret_header, void *ret_packet, struct err *err)
{
	fuzz_assert(own.state == SENDS && peer.sent[MIGRATE_PROOF] && is_place(at.raw));
	fuzz_assert(page_is_already(memory, at, PAGE_SIZE_BYTES, true));
	memset(ret_packet, 0x99, PAGE_SIZE_BYTES);
	memset(ret_header, 0, sizeof(*ret_header));
	return 0;
}

static int on_send_end(void *ctx, bool given, struct err *err)
{
	if (own.state == SENDS)
		own.state = given ? FINISHED : IDLE;
	return 0;
}

static int on_receive_start(
        void *ctx, const struct abi_sev_cert *pdh, const struct abi_sev_session *session, struct err *err)
{
	fuzz_assert(own.state == IDLE);
	if (*(const uint8_t *)pdh != GOOD_PDH)
		return err_set(err, ERR_HOST, "BAD_MEASUREMENT");
	own.state = RECEIVES;
	return 0;
}

static int on_receive(void *ctx, struct gpa at, const struct abi_sev_secret_header *header,
        const void *packet, struct err *err)
{
	fuzz_assert(own.state == RECEIVES && is_place(at.raw));
	if (load_le(header->mac, 4) != mac_of(packet))
		return err_set(err, ERR_HOST, "BAD_MEASUREMENT");
	if (at.raw / PAGE_SIZE_BYTES < ARRAY_LEN(own.came))
		own.came[at.raw / PAGE_SIZE_BYTES] = true;
	return 0;
}

static int on_receive_finish(void *ctx, struct err *err)
{
	fuzz_assert(own.state == RECEIVES);
	own.state = FINISHED;
	return 0;
}

/* ---- the guest of this side ---- */

static void convert(uint64_t first, uint64_t count, bool private)
{
	struct err err;

	fuzz_assert(page_convert(memory, gpa(first * PAGE_SIZE_BYTES), count * PAGE_SIZE_BYTES, private,
	                    &err) == 0);
}

static int on_log(void *ctx, bool on, struct err *err)
{
	return 0;
}

/* Pages change hands, and one is written that stays the guest's. */
static int on_collect(void *ctx, struct page_dirty *into, struct err *err)
{
	uint64_t frame = OWN + own.rounds % OWN_MAX;

	if (!own.rounds)
		return 0;
	convert(frame, 1, own.rounds & 1);
	page_dirty_set(into, frame, 1);
	page_dirty_set(into, OWN + OWN_MAX, 1);
	own.rounds--;
	return 0;
}

static int on_stop(void *ctx, struct err *err)
{
	own.rounds = 0;
	convert(OWN + 1, 1, false);
	convert(OWN + 2, 1, true);
	return 0;
}

static int on_save(void *ctx, enum migrate_part part, unsigned i, struct vmstate *ret_state, struct err *err)
{
	return save_value(ret_state, err);
}

static int on_load(
        void *ctx, enum migrate_part part, unsigned i, const void *data, size_t size, struct err *err)
{
	struct vmstate s = vmstate_load("part", data, size);
	uint8_t value;

	visit(&s, &value);
	own.loaded += !s.bad;
	return vmstate_end(&s, err);
}

static int on_give(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	fuzz_assert(!own.gave && peer.sent[MIGRATE_READY] && own.forgot == !own.by_processors);
	own.gave = true;
	return 0;
}

static int on_take(void *ctx, const uint8_t id[static MIGRATE_ID_BYTES], struct err *err)
{
	fuzz_assert(own.forgot == !own.by_processors && own.loaded == 3 + PARTS);
	for (unsigned i = 0; i < HELPER_STREAMS && !own.by_processors; i++)
		fuzz_assert(own.ended[i]);
	fuzz_assert(!own.by_processors || own.state == FINISHED);
	for (uint64_t i = 0; i < ARRAY_LEN(own.came); i++)
		fuzz_assert(own.came[i] ||
		            page_is_already(memory, gpa(i * PAGE_SIZE_BYTES), PAGE_SIZE_BYTES, false));
	own.took = true;
	return 0;
}

static void on_progress(void *ctx)
{
}

/* ---- the move ---- */

static void make_memory(void)
{
	struct page_layout layout;
	struct err err;

	fuzz_assert(page_layout_make(RAM, FIRMWARE, &layout, &err) == 0);
	fuzz_assert(page_memory_create(&kernel.host, &layout, PAGE_OWN, &memory, &err) == 0);
	fuzz_assert(page_memory_keep_record(memory, RANGES_MAX, &err) == 0);
	fuzz_assert(page_memory_keep_devices(memory, ADDRESS_BITS, &err) == 0);
	if (!own.is_source)
		return;
	convert(0, OWN, false);
	convert(OWN + OWN_MAX, RAM / PAGE_SIZE_BYTES - OWN - OWN_MAX, false);
}

/* Whatever has come. */
static void check_end(enum migrate_result result)
{
	fuzz_assert(own.forgot == !own.by_processors);
	if (own.is_source) {
		fuzz_assert(own.gave || result == MIGRATE_STAYS);
		fuzz_assert(result != MIGRATE_GONE || peer.sent[MIGRATE_DONE]);
		fuzz_assert(!own.gave || result != MIGRATE_STAYS || peer.sent[MIGRATE_ABORT]);
		fuzz_assert(own.state != SENDS || result == MIGRATE_DOUBT);
		fuzz_assert(own.state != FINISHED || result == MIGRATE_GONE);
	} else {
		fuzz_assert(own.took == (result == MIGRATE_GONE));
	}
}

static void move(int fd)
{
	static const struct migrate_chain chain;
	static const struct migrate_limits limits = {.stop_ms = 300};
	const struct migrate_helper helper = {.hello = on_hello,
	        .agree = on_agree,
	        .seal = on_seal,
	        .open = on_open,
	        .forget = on_forget,
	        .check = on_check};
	const struct migrate_firmware firmware = {.check = on_check,
	        .send_start = on_send_start,
	        .send = on_send,
	        .send_end = on_send_end,
	        .receive_start = on_receive_start,
	        .receive = on_receive,
	        .receive_finish = on_receive_finish,
	        .chain = &chain,
	        .policy = POLICY};
	const struct migrate_guest guest = {.memory = memory,
	        .plan = "a = 1\n",
	        .helper = own.by_processors ? NULL : &helper,
	        .firmware = own.by_processors ? &firmware : NULL,
	        .counts = {1, 1, 1, PARTS},
	        .save = on_save,
	        .load = on_load,
	        .log = on_log,
	        .collect = on_collect,
	        .stop = on_stop,
	        .give = on_give,
	        .take = on_take};
	struct migrate_progress progress = {0};
	struct migrate_side side = {
	        .guest = &guest, .progress = &progress, .limits = &limits, .on_progress = on_progress};
	_Atomic bool cancelled = false;
	enum migrate_result result;
	struct err err = {0};

	fuzz_assert(migrate_wire_init(&side.wire, fd, &cancelled, &err) == 0);
	result = own.is_source ? migrate_source(&side, &err) : migrate_target(&side, &err);
	fuzz_assert(result == MIGRATE_GONE || *err.text);
	check_end(result);
	migrate_wire_finish(&side.wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	int fds[2], bytes = SOCKET;
	uint8_t mode;

	if (!kernel.host.ops) {
		fake_start(&kernel);
		log_set_level(LOG_ERROR);
	}
	memset(&own, 0, sizeof(own));
	memset(&peer, 0, sizeof(peer));
	mode = cursor_u8(&in);
	own.is_source = mode & 1;
	own.by_processors = peer.by_processors = mode & 2;
	own.rounds = cursor_u8(&in) % 8;
	make_memory();
	fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	side_fd = -1;
	put_frames(fds[0], &in);
	shutdown(fds[0], SHUT_WR);
	side_fd = fds[1];
	move(fds[1]);
	close(fds[0]);
	close(fds[1]);
	page_memory_destroy(take_ptr(&memory));
	return 0;
}
