/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer is the other end of a socket pair: it cuts frames anywhere, floods, lies and hangs up.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "../../../src/back/stream.h"
#include "support/test.h"

#define HEADER BACK_NET_HEADER_BYTES

static const struct back_net_ops ops = {
        .start = back_stream_start,
        .stop = back_stream_stop,
        .watch = back_stream_watch,
        .send = back_stream_send,
        .receive = back_stream_receive,
};

struct link {
	struct back_stream stream;
	struct loop *loop;
	int peer;
	unsigned downs;
	uint8_t buffer[HEADER + 70000];
};

static void on_down(void *ctx)
{
	((struct link *)ctx)->downs++;
}

static int setup(void **state)
{
	struct link *link = calloc(1, sizeof(*link));
	const struct back_net_events events = {.on_down = on_down, .ctx = link};
	struct err err;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	link->peer = fds[1];
	link->stream.net.ops = &ops;
	assert_ok(loop_create(&link->loop, &err));
	assert_ok(back_stream_init(&link->stream, "peer", fds[0], &err));
	assert_ok(back_net_start(&link->stream.net, link->loop, &events, &err));
	*state = link;
	return 0;
}

static int teardown(void **state)
{
	struct link *link = *state;

	back_net_stop(&link->stream.net);
	back_stream_finish(&link->stream);
	loop_destroy(link->loop);
	if (link->peer >= 0)
		close(link->peer);
	free(link);
	return 0;
}

/* ---- from the peer ---- */

static void say(struct link *link, const void *data, size_t size)
{
	assert_int_equal(send(link->peer, data, size, MSG_NOSIGNAL), size);
}

static void say_length(struct link *link, uint32_t length)
{
	uint32_t prefix = htonl(length);

	say(link, &prefix, sizeof(prefix));
}

static size_t hear(struct link *link)
{
	struct iovec iov = {link->buffer, sizeof(link->buffer)};

	memset(link->buffer, 0xff, sizeof(link->buffer));
	return back_net_receive(&link->stream.net, 0, &iov, 1);
}

static void test_stream_receives_frames_however_they_are_cut(void **state)
{
	struct link *link = *state;
	uint8_t frame[4 + 60] = {0, 0, 0, 60};

	for (unsigned i = 0; i < 60; i++)
		frame[4 + i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_int_equal(hear(link), 0);
		say(link, frame + i, 1);
	}
	assert_int_equal(hear(link), HEADER + 60);
	assert_memory_equal(link->buffer + HEADER, frame + 4, 60);
	for (unsigned i = 0; i < HEADER; i++)
		assert_int_equal(link->buffer[i], 0);
	say(link, frame, sizeof(frame));
	say(link, frame, sizeof(frame));
	say(link, frame, 30);
	assert_int_equal(hear(link), HEADER + 60);
	assert_int_equal(hear(link), HEADER + 60);
	assert_int_equal(hear(link), 0);
	assert_int_equal(link->downs, 0);
}

/* The header and the frame may lie in buffers of any size. */
static void test_stream_receives_into_odd_buffers(void **state)
{
	struct link *link = *state;
	struct iovec iov[] = {
	        {link->buffer, 5}, {link->buffer + 5, 10}, {link->buffer + 15, 0}, {link->buffer + 15, 30}};
	uint8_t frame[100];

	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i + 1);
	say_length(link, sizeof(frame));
	say(link, frame, sizeof(frame));
	memset(link->buffer, 0xff, sizeof(link->buffer));
	assert_int_equal(back_net_receive(&link->stream.net, 0, iov, 4), HEADER + sizeof(frame));
	assert_memory_equal(link->buffer + HEADER, frame, 45 - HEADER);
	assert_int_equal(link->buffer[45], 0xff);
}

static void test_stream_receives_the_longest_frame(void **state)
{
	struct link *link = *state;
	uint8_t *frame = calloc(1, 65535);

	frame[65534] = 0x42;
	for (unsigned i = 0; i < 20; i++) {
		say_length(link, 65535);
		say(link, frame, 40000);
		assert_int_equal(hear(link), 0);
		say(link, frame + 40000, 25535);
		assert_int_equal(hear(link), HEADER + 65535);
		assert_int_equal(link->buffer[HEADER + 65534], 0x42);
	}
	free(frame);
}

static void is_ended_by(struct link *link, uint32_t length)
{
	say_length(link, length);
	assert_int_equal(hear(link), 0);
	assert_int_equal(link->downs, 1);
	assert_true(link->stream.net.down);
	assert_int_equal(hear(link), 0);
	assert_int_equal(link->downs, 1);
}

static void test_stream_is_ended_by_an_empty_frame(void **state)
{
	is_ended_by(*state, 0);
}

static void test_stream_is_ended_by_a_short_frame(void **state)
{
	is_ended_by(*state, 13);
}

static void test_stream_is_ended_by_a_long_frame(void **state)
{
	is_ended_by(*state, 65536);
}

static void test_stream_is_ended_by_a_frame_of_4_gib(void **state)
{
	is_ended_by(*state, UINT32_MAX);
}

static void test_stream_hands_on_what_came_before_the_end(void **state)
{
	struct link *link = *state;
	uint8_t frame[14] = {0};

	say_length(link, 14);
	say(link, frame, 14);
	close(link->peer);
	link->peer = -1;
	assert_int_equal(hear(link), HEADER + 14);
	assert_int_equal(link->downs, 0);
	assert_int_equal(hear(link), 0);
	assert_int_equal(link->downs, 1);
}

/* ---- to the peer ---- */

static void test_stream_sends_prefix_and_frame(void **state)
{
	struct link *link = *state;
	uint8_t data[HEADER + 60], got[200];
	struct iovec iov[] = {{data, 7}, {data + 7, 20}, {data + 27, HEADER + 60 - 27}};
	struct back_net_frame frames[2] = {{iov, 3, 60}, {iov, 3, 60}};

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	assert_int_equal(back_net_send(&link->stream.net, 0, frames, 2), 2);
	assert_int_equal(recv(link->peer, got, sizeof(got), MSG_DONTWAIT), 128);
	for (unsigned i = 0; i < 2; i++) {
		assert_memory_equal(got + 64 * i, "\0\0\0\x3c", 4);
		assert_memory_equal(got + 64 * i + 4, data + HEADER, 60);
	}
}

/* Reads whole frames as a slow peer does, and checks that each has its number in all bytes. */
static unsigned read_frames(struct link *link, unsigned next, size_t bytes)
{
	static uint8_t text[4 + 65535];
	static size_t have;
	ssize_t got;

	if (next == 0)
		have = 0;
	while ((got = recv(link->peer, text + have, 4 + bytes - have, MSG_DONTWAIT)) > 0) {
		have += (size_t)got;
		if (have < 4 + bytes)
			continue;
		assert_int_equal(ntohl(*(uint32_t *)text), bytes);
		assert_int_equal(text[4], (uint8_t)next);
		assert_int_equal(text[3 + bytes], (uint8_t)next);
		have = 0;
		next++;
	}
	return next;
}

/* The buffers are used again as soon as frames were taken, so what is kept of one is a copy. */
static void test_stream_finishes_frames_that_went_in_part(void **state)
{
	struct link *link = *state;
	static uint8_t data[4][HEADER + 30001];
	unsigned sent = 0, heard = 0, refused = 0;

	while (heard < 1000) {
		struct iovec iov[4];
		struct back_net_frame frames[4];
		unsigned taken;

		for (unsigned i = 0; i < 4; i++) {
			memset(data[i], (int)(sent + i), sizeof(data[i]));
			iov[i] = (struct iovec){data[i], sizeof(data[i])};
			frames[i] = (struct back_net_frame){&iov[i], 1, 30001};
		}
		taken = back_net_send(&link->stream.net, 0, frames, 4);
		sent += taken;
		if (taken == 4)
			continue;
		refused++;
		heard = read_frames(link, heard, 30001);
	}
	assert_true(refused > 1);
	assert_int_equal(link->downs, 0);
}

static void test_stream_tells_once_that_the_peer_is_gone(void **state)
{
	struct link *link = *state;
	uint8_t data[HEADER + 60] = {0};
	struct iovec iov = {data, sizeof(data)};
	struct back_net_frame frame = {&iov, 1, 60};

	close(link->peer);
	link->peer = -1;
	assert_int_equal(back_net_send(&link->stream.net, 0, &frame, 1), 1);
	assert_int_equal(back_net_send(&link->stream.net, 0, &frame, 1), 1);
	assert_int_equal(link->downs, 1);
}

#define ON_LINK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        ON_LINK(test_stream_receives_frames_however_they_are_cut),
	        ON_LINK(test_stream_receives_into_odd_buffers),
	        ON_LINK(test_stream_receives_the_longest_frame),
	        ON_LINK(test_stream_is_ended_by_an_empty_frame),
	        ON_LINK(test_stream_is_ended_by_a_short_frame),
	        ON_LINK(test_stream_is_ended_by_a_long_frame),
	        ON_LINK(test_stream_is_ended_by_a_frame_of_4_gib),
	        ON_LINK(test_stream_hands_on_what_came_before_the_end),
	        ON_LINK(test_stream_sends_prefix_and_frame),
	        ON_LINK(test_stream_finishes_frames_that_went_in_part),
	        ON_LINK(test_stream_tells_once_that_the_peer_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
