/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: their checksum, and what of a peer's bytes is refused. */
#include <signal.h>

#include "guest.h"

static struct migrate_wire ours, theirs;
static _Atomic bool cancelled;
static struct err err;
static int fds[2];

static int setup(void **state)
{
	cancelled = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(migrate_wire_init(&ours, fds[0], &cancelled, &err));
	assert_ok(migrate_wire_init(&theirs, fds[1], &cancelled, &err));
	ours.patience_ms = theirs.patience_ms = 200;
	return 0;
}

static int teardown(void **state)
{
	migrate_wire_finish(&ours);
	migrate_wire_finish(&theirs);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* RFC 3720, appendix B.4. */
static void test_wire_checksums_of_the_rfc(void **state)
{
	uint8_t bytes[32];

	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(migrate_crc32c(bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(migrate_crc32c(bytes, sizeof(bytes)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(migrate_crc32c(bytes, sizeof(bytes)), 0x46dd794e);
	assert_int_equal(migrate_crc32c_plain(bytes, sizeof(bytes)), 0x46dd794e);
	assert_int_equal(migrate_crc32c("123456789", 9), 0xe3069283);
}

static void test_wire_checksums_of_all_lengths(void **state)
{
	static uint8_t bytes[10000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i * 31 + i);
	for (size_t size = 0; size <= sizeof(bytes); size += size < 64 ? 1 : 37)
		assert_int_equal(migrate_crc32c(bytes + size % 8, size - size % 8),
		        migrate_crc32c_plain(bytes + size % 8, size - size % 8));
}

static void test_wire_sends_what_is_received(void **state)
{
	struct migrate_frame frame;

	for (unsigned i = 0; i < 3; i++) {
		memset(migrate_wire_payload(&theirs), (int)i, 100 * i);
		assert_ok(migrate_wire_send(&theirs, MIGRATE_PLAN, 100 * i, &err));
		assert_ok(migrate_wire_receive(&ours, 1, &frame, &err));
		assert_int_equal(frame.type, MIGRATE_PLAN);
		assert_int_equal(frame.size, 100 * i);
		for (size_t at = 0; at < frame.size; at++)
			assert_int_equal(frame.payload[at], i);
	}
}

static void test_wire_skips_what_need_not_be_understood(void **state)
{
	struct migrate_frame frame;

	assert_ok(migrate_wire_send(&theirs, MIGRATE_PING, 0, &err));
	assert_ok(migrate_wire_send(&theirs, MIGRATE_READY, 0, &err));
	assert_ok(migrate_wire_expect(&ours, MIGRATE_READY, 0, 1, &frame, &err));
	for (unsigned i = 0; i < 100; i++)
		assert_ok(migrate_wire_send(&theirs, MIGRATE_PING, 0, &err));
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "without meaning in a row");
}

static void test_wire_tells_why_the_peer_gave_up(void **state)
{
	struct migrate_frame frame;

	migrate_wire_abort(&theirs, "no room");
	assert_fails(
	        migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "the other vmm gave up: no room");
	assert_true(ours.given_up);
}

/* A peer that gives up while this side sends: its words count, not that the connection is over. */
static void test_wire_tells_it_also_to_a_sender(void **state)
{
	int result = 0;

	migrate_wire_abort(&theirs, "no room");
	shutdown(fds[1], SHUT_RDWR);
	for (unsigned i = 0; i < 10 && result == 0; i++)
		result = migrate_wire_send(&ours, MIGRATE_READY, 0, &err);
	assert_int_equal(result, -1);
	assert_string_equal(err.text, "the other vmm gave up: no room");
}

static void test_wire_waits_end(void **state)
{
	struct migrate_frame frame;
	int result = 0;

	assert_fails(
	        migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "sent nothing whole for too long");
	/* Nobody reads. */
	for (unsigned i = 0; i < 10000 && result == 0; i++)
		result = migrate_wire_send(&ours, MIGRATE_PLAN, MIB(1), &err);
	assert_int_equal(result, -1);
	assert_non_null(strstr(err.text, "took nothing for too long"));
	cancelled = true;
	assert_fails(migrate_wire_receive(&ours, 1000, &frame, &err), ERR_FAILED, "the move");
	assert_int_equal(err.sys, ECANCELED);
	assert_fails(migrate_wire_send(&ours, MIGRATE_PING, 0, &err), ERR_FAILED, "the move");
}

static void test_wire_end_of_connection(void **state)
{
	struct migrate_frame frame;

	shutdown(fds[1], SHUT_RDWR);
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "is over");
}

/* A peer that is gone must not end the process, which takes SIGPIPE here. */
static void test_wire_trap_sigpipe(void **state)
{
	int result = 0;

	signal(SIGPIPE, SIG_DFL);
	shutdown(fds[1], SHUT_RDWR);
	for (unsigned i = 0; i < 10 && result == 0; i++)
		result = migrate_wire_send(&ours, MIGRATE_READY, 0, &err);
	assert_int_equal(result, -1);
	assert_non_null(strstr(err.text, "is over"));
	migrate_wire_abort(&ours, "nobody hears it");
}

/* ---- memory that is lent ---- */

#define LENT_PAGES 300 /* more than the pipe has places for, and than the socket takes at once */
static uint8_t lent[2][LENT_PAGES * 4096] __attribute__((aligned(4096)));

static void *lend(void *ctx)
{
	struct iovec iov[LENT_PAGES];
	int result = 0;

	/* In an order in which no page follows the one before. */
	for (unsigned i = 0; i < LENT_PAGES / 2; i++)
		iov[i] = (struct iovec){lent[0] + (size_t)(i * 7 % 150) * 8192, 4096};
	memcpy(migrate_wire_payload(&theirs), "head", 4);
	for (unsigned i = 0; i < 2 && result == 0; i++)
		result = migrate_wire_send_lent(&theirs, MIGRATE_PAGES, 4, iov + (size_t)i * 75, 75, &err);
	return result == 0 ? &theirs : NULL;
}

static void test_wire_lends_memory(void **state)
{
	struct migrate_frame frame;
	pthread_t thread;
	void *sent;

	for (size_t i = 0; i < sizeof(lent[0]); i++)
		lent[0][i] = (uint8_t)(i * 31 + i / 4096);
	assert_true(migrate_wire_lends(&theirs));
	ours.patience_ms = theirs.patience_ms = MIGRATE_PATIENCE_MS;
	assert_int_equal(pthread_create(&thread, NULL, lend, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(migrate_wire_receive(&ours, 1, &frame, &err));
		assert_int_equal(frame.type, MIGRATE_PAGES);
		assert_int_equal(frame.size, 4 + 75 * 4096);
		assert_int_equal(frame.unsummed, 75 * 4096);
		assert_memory_equal(frame.payload, "head", 4);
		for (unsigned page = 0; page < 75; page++)
			assert_memory_equal(frame.payload + 4 + (size_t)page * 4096,
			        lent[0] + (size_t)((i * 75 + page) * 7 % 150) * 8192, 4096);
	}
	pthread_join(thread, &sent);
	assert_ptr_equal(sent, &theirs);
	assert_int_equal(theirs.sent_bytes, 2 * (MIGRATE_HEADER_BYTES + 4 + 75 * 4096));
	/* What came is a copy. */
	memset(lent[0], 0, sizeof(lent[0]));
	assert_int_equal(frame.payload[5], (uint8_t)(75 * 7 % 150 * 8192 * 31 + 75 * 7 % 150 * 2 + 31));
}

static void test_wire_lends_to_nobody_for_long(void **state)
{
	struct iovec iov[LENT_PAGES];

	assert_true(migrate_wire_lends(&ours));
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < LENT_PAGES; i++)
			iov[i] = (struct iovec){lent[0] + (size_t)i * 4096, 4096};
		assert_fails(migrate_wire_send_lent(&ours, MIGRATE_PAGES, 4, iov, 200, &err), ERR_FAILED,
		        turn ? "is over" : "took nothing for too long");
		/* Without the process's care a peer that is gone would end it, as splice(2) has no flag
		 * against that. */
		signal(SIGPIPE, SIG_IGN);
		shutdown(fds[1], SHUT_RDWR);
	}
}

/* ---- bytes of a hostile peer ---- */

static void make_header(uint8_t header[static MIGRATE_HEADER_BYTES], uint64_t sequence)
{
	memset(header, 0, MIGRATE_HEADER_BYTES);
	store_le(header, 4, MIGRATE_MAGIC);
	store_le(header + 4, 2, MIGRATE_READY);
	store_le(header + 6, 2, MIGRATE_FLAG_UNDERSTAND);
	store_le(header + 16, 8, sequence);
}

static void put_crc(uint8_t header[static MIGRATE_HEADER_BYTES])
{
	store_le(header + 24, 4, 0);
	store_le(header + 24, 4, migrate_crc32c(header, MIGRATE_HEADER_BYTES));
}

static void test_wire_refuses_bad_headers(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t value;
		const char *text;
	} rows[] = {
	        {0, 4, 0x47455420, "is the other side a vmm?"}, /* " TEG": a web browser */
	        {4, 2, 0, "is newer, and sends what this one does not know (frames of type 0)"},
	        {4, 2, 999, "frames of type 999"},
	        {6, 2, 3, "flags or zeros"},
	        {8, 4, 33, "its length"}, /* of a READY */
	        {8, 4, UINT32_MAX, "its length"},
	        {12, 2, 1, "flags or zeros"},
	        {14, 2, 1, "flags or zeros"},
	        {16, 8, 1, "it is not the next one"},
	        {16, 8, UINT64_MAX, "it is not the next one"},
	        {28, 4, 1, "its length"}, /* a READY lends nothing */
	        {28, 4, UINT32_MAX, "its length"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t header[MIGRATE_HEADER_BYTES];
		struct migrate_frame frame;

		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		make_header(header, 0);
		store_le(header + rows[i].at, rows[i].size, rows[i].value);
		put_crc(header);
		assert_int_equal(send(fds[1], header, sizeof(header), 0), sizeof(header));
		assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, rows[i].text);
	}
}

static void test_wire_refuses_a_bad_checksum(void **state)
{
	uint8_t header[MIGRATE_HEADER_BYTES];
	struct migrate_frame frame;

	make_header(header, 0);
	put_crc(header);
	header[24] ^= 1;
	assert_int_equal(send(fds[1], header, sizeof(header), 0), sizeof(header));
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "its checksum");
}

static _Atomic bool drips;

static void *drip(void *ctx)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	while (drips && send(fds[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		nanosleep(&pause, NULL);
	return NULL;
}

/* A frame that nobody needs to understand, of which a byte comes now and then. */
static void test_wire_dripping_gains_no_time(void **state)
{
	uint8_t header[MIGRATE_HEADER_BYTES];
	struct migrate_frame frame;
	pthread_t thread;

	make_header(header, 0);
	store_le(header + 4, 2, 999);
	store_le(header + 6, 2, 0);
	store_le(header + 8, 4, MIGRATE_PAYLOAD_MAX_BYTES);
	assert_int_equal(send(fds[1], header, sizeof(header), 0), sizeof(header));
	drips = true;
	assert_int_equal(pthread_create(&thread, NULL, drip, NULL), 0);
	assert_fails(
	        migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "sent nothing whole for too long");
	drips = false;
	pthread_join(thread, NULL);
}

static void test_wire_sees_a_cancel_whatever_comes(void **state)
{
	struct migrate_frame frame;

	assert_ok(migrate_wire_send(&theirs, MIGRATE_READY, 0, &err));
	cancelled = true;
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "the move: ");
}

int main(void)
{
#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        WIRE_TEST(test_wire_checksums_of_the_rfc),
	        WIRE_TEST(test_wire_checksums_of_all_lengths),
	        WIRE_TEST(test_wire_sends_what_is_received),
	        WIRE_TEST(test_wire_skips_what_need_not_be_understood),
	        WIRE_TEST(test_wire_tells_why_the_peer_gave_up),
	        WIRE_TEST(test_wire_tells_it_also_to_a_sender),
	        WIRE_TEST(test_wire_waits_end),
	        WIRE_TEST(test_wire_end_of_connection),
	        WIRE_TEST(test_wire_trap_sigpipe),
	        WIRE_TEST(test_wire_lends_memory),
	        WIRE_TEST(test_wire_lends_to_nobody_for_long),
	        WIRE_TEST(test_wire_refuses_bad_headers),
	        WIRE_TEST(test_wire_refuses_a_bad_checksum),
	        WIRE_TEST(test_wire_dripping_gains_no_time),
	        WIRE_TEST(test_wire_sees_a_cancel_whatever_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
