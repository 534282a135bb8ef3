/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_stream: any bytes from the peer of a network back end, cut anywhere. The frames that come out are
 * those that a plain reader of the format finds, until the first that no network has, which ends the
 * connection.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "../../src/back/stream.h"
#include "fuzz.h"

static const struct back_net_ops ops = {
        .start = back_stream_start,
        .stop = back_stream_stop,
        .watch = back_stream_watch,
        .send = back_stream_send,
        .receive = back_stream_receive,
};

/* What the peer has said so far, and how much of it was read as frames. */
struct said {
	uint8_t bytes[4096];
	size_t count, read;
	bool wrong;
};

/* The next whole frame; 0: there is none. */
static size_t next(struct said *said, const uint8_t **ret_frame)
{
	uint32_t length;

	if (said->wrong || said->count - said->read < 4)
		return 0;
	memcpy(&length, said->bytes + said->read, 4);
	length = ntohl(length);
	said->wrong = length < 14 || length > 65535;
	if (said->wrong || said->count - said->read - 4 < length)
		return 0;
	*ret_frame = said->bytes + said->read + 4;
	said->read += 4 + length;
	return length;
}

static void compare(struct back_stream *stream, struct said *said)
{
	uint8_t buffer[BACK_NET_HEADER_BYTES + sizeof(said->bytes)];
	struct iovec iov[] = {{buffer, 3}, {buffer + 3, sizeof(buffer) - 3}};
	const uint8_t *frame = NULL;
	size_t got, wanted;

	do {
		got = back_net_receive(&stream->net, 0, iov, 2);
		wanted = next(said, &frame);
		fuzz_assert(got == (wanted ? wanted + BACK_NET_HEADER_BYTES : 0));
		fuzz_assert(!wanted || memcmp(buffer + BACK_NET_HEADER_BYTES, frame, wanted) == 0);
	} while (got);
	fuzz_assert(stream->net.down == said->wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct back_stream stream = {.net.ops = &ops};
	static struct said said;
	struct err err;
	int fds[2];

	memset(&said, 0, sizeof(said));
	log_set_level(LOG_ERROR);
	fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	fuzz_assert(back_stream_init(&stream, "peer", fds[0], &err) == 0);
	while (input.left && !input.bad && !said.wrong) {
		size_t n = cursor_u8(&input);

		n = n < input.left ? n : input.left;
		n = n < sizeof(said.bytes) - said.count ? n : sizeof(said.bytes) - said.count;
		cursor_copy(&input, said.bytes + said.count, n);
		fuzz_assert(send(fds[1], said.bytes + said.count, n, MSG_NOSIGNAL) == (ssize_t)n);
		said.count += n;
		compare(&stream, &said);
		if (said.count == sizeof(said.bytes))
			break;
	}
	back_stream_finish(&stream);
	close(fds[1]);
	return 0;
}
