/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors travel with their frame alone, are bounded, and none of a hostile peer's stays open. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../src/migrate/wire.h"
#include "support/test.h"

static struct migrate_wire ours, theirs;
static _Atomic bool cancelled;
static struct err err;
static int fds[2], sent[32];
static unsigned open_before;

static unsigned count_open(void)
{
	unsigned count = 0;
	DIR *folder = opendir("/proc/self/fd");

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static int setup(void **state)
{
	open_before = count_open();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(migrate_wire_init(&ours, fds[0], &cancelled, &err));
	assert_ok(migrate_wire_init(&theirs, fds[1], &cancelled, &err));
	ours.patience_ms = theirs.patience_ms = 200;
	ours.takes_fds = true;
	for (unsigned i = 0; i < ARRAY_LEN(sent); i++)
		sent[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < ARRAY_LEN(sent); i++)
		close(sent[i]);
	migrate_wire_finish(&ours);
	migrate_wire_finish(&theirs);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(count_open(), open_before);
	return 0;
}

/* As a hostile peer sends bytes: with any number of descriptors, of which 253 are the kernel's most. */
static void send_raw(const void *data, size_t size, unsigned count)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(sent))];
	} room = {.head = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		memcpy(CMSG_DATA(&room.head), sent, count * sizeof(int));
		message.msg_control = &room;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	assert_int_equal(sendmsg(fds[1], &message, 0), size);
}

static void make_frame(uint8_t *frame, enum migrate_type type, size_t size, uint64_t sequence)
{
	memset(frame, 0, MIGRATE_HEADER_BYTES + size);
	store_le(frame, 4, MIGRATE_MAGIC);
	store_le(frame + 4, 2, type);
	store_le(frame + 6, 2, MIGRATE_FLAG_UNDERSTAND);
	store_le(frame + 8, 4, size);
	store_le(frame + 16, 8, sequence);
	store_le(frame + 24, 4, migrate_crc32c(frame, MIGRATE_HEADER_BYTES + size));
}

static bool is_same_file(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
	       first.st_dev == second.st_dev;
}

static void test_fds_come_with_their_frame(void **state)
{
	struct migrate_frame frame;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (unsigned count = 1; count <= MIGRATE_FDS_MAX; count++) {
		sent[count - 1] = (close(sent[count - 1]), dup(ends[count % 2]));
		store_le(migrate_wire_payload(&theirs), 8, count);
		assert_ok(migrate_wire_send_fds(&theirs, MIGRATE_MEMORY, 8, sent, count, &err));
		assert_ok(migrate_wire_send(&theirs, MIGRATE_READY, 0, &err));
		assert_ok(migrate_wire_expect(&ours, MIGRATE_MEMORY, 8, 1, &frame, &err));
		assert_int_equal(load_le(frame.payload, 8), count);
		assert_int_equal(ours.in_fds.count, count);
		for (unsigned i = 0; i < count; i++) {
			assert_true(is_same_file(ours.in_fds.fds[i], sent[i]));
			assert_int_equal(fcntl(ours.in_fds.fds[i], F_GETFD), FD_CLOEXEC);
		}
		assert_ok(migrate_wire_expect(&ours, MIGRATE_READY, 0, 1, &frame, &err));
		assert_int_equal(ours.in_fds.count, 0);
	}
	close(ends[0]);
	close(ends[1]);
}

static void test_fds_are_not_sent_where_they_cannot_go(void **state)
{
	assert_fails(migrate_wire_send_fds(&theirs, MIGRATE_MEMORY, 0, sent, MIGRATE_FDS_MAX + 1, &err),
	        ERR_FAILED, "do not go over this connection");
}

/* The frame is right but for what it brings. */
static void refused(enum migrate_type type, unsigned count, const char *words)
{
	uint8_t bytes[MIGRATE_HEADER_BYTES + 16];
	struct migrate_frame frame;

	make_frame(bytes, type, 16, 0);
	send_raw(bytes, sizeof(bytes), count);
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, words);
}

static void test_fds_of_another_frame_are_refused(void **state)
{
	refused(MIGRATE_READY, 1, "it brings descriptors");
}

static void test_fds_of_a_frame_that_is_skipped_are_refused(void **state)
{
	uint8_t bytes[MIGRATE_HEADER_BYTES];
	struct migrate_frame frame;

	make_frame(bytes, MIGRATE_PING, 0, 0);
	send_raw(bytes, sizeof(bytes), 1);
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "it brings descriptors");
}

static void test_fds_that_are_too_many_are_refused(void **state)
{
	refused(MIGRATE_MEMORY, MIGRATE_FDS_MAX + 1, "too many descriptors");
}

static void test_fds_that_are_far_too_many_are_refused(void **state)
{
	refused(MIGRATE_MEMORY, ARRAY_LEN(sent), "too many descriptors");
}

/* Some with each byte: never more than some are here. */
static void test_fds_that_drip_are_bounded(void **state)
{
	uint8_t bytes[MIGRATE_HEADER_BYTES + 16];
	struct migrate_frame frame;

	make_frame(bytes, MIGRATE_MEMORY, 16, 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		send_raw(bytes + i, 1, 5);
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "too many descriptors");
	assert_int_equal(ours.in_fds.count, MIGRATE_FDS_MAX);
}

/* Those in the middle of a frame are its own, too; those of the next one are not. */
static void test_fds_never_change_frames(void **state)
{
	uint8_t bytes[2 * MIGRATE_HEADER_BYTES + 16];
	const size_t first = MIGRATE_HEADER_BYTES + 16;
	struct migrate_frame frame;

	make_frame(bytes, MIGRATE_MEMORY, 16, 0);
	make_frame(bytes + first, MIGRATE_MEMORY, 0, 1);
	send_raw(bytes, first - 4, 2);
	send_raw(bytes + first - 4, 4, 1);
	send_raw(bytes + first, MIGRATE_HEADER_BYTES, 4);
	assert_ok(migrate_wire_receive(&ours, 1, &frame, &err));
	assert_int_equal(ours.in_fds.count, 3);
	assert_ok(migrate_wire_receive(&ours, 1, &frame, &err));
	assert_int_equal(ours.in_fds.count, 4);
}

static void test_fds_that_nobody_wants_are_closed(void **state)
{
	uint8_t bytes[MIGRATE_HEADER_BYTES];
	struct migrate_frame frame;
	unsigned before = count_open();

	ours.takes_fds = false;
	make_frame(bytes, MIGRATE_READY, 0, 0);
	send_raw(bytes, sizeof(bytes), 9);
	assert_ok(migrate_wire_receive(&ours, 1, &frame, &err));
	assert_int_equal(ours.in_fds.count, 0);
	assert_int_equal(count_open(), before);
}

static void test_fds_of_a_damaged_frame_are_closed(void **state)
{
	uint8_t bytes[MIGRATE_HEADER_BYTES];
	struct migrate_frame frame;

	make_frame(bytes, MIGRATE_MEMORY, 0, 0);
	bytes[24] ^= 1;
	send_raw(bytes, sizeof(bytes), 3);
	assert_fails(migrate_wire_receive(&ours, 1, &frame, &err), ERR_FAILED, "its checksum");
	/* teardown() counts. */
}

int main(void)
{
#define FDS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        FDS_TEST(test_fds_come_with_their_frame),
	        FDS_TEST(test_fds_are_not_sent_where_they_cannot_go),
	        FDS_TEST(test_fds_of_another_frame_are_refused),
	        FDS_TEST(test_fds_of_a_frame_that_is_skipped_are_refused),
	        FDS_TEST(test_fds_that_are_too_many_are_refused),
	        FDS_TEST(test_fds_that_are_far_too_many_are_refused),
	        FDS_TEST(test_fds_that_drip_are_bounded),
	        FDS_TEST(test_fds_never_change_frames),
	        FDS_TEST(test_fds_that_nobody_wants_are_closed),
	        FDS_TEST(test_fds_of_a_damaged_frame_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
