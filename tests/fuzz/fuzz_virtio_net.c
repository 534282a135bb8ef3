/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_net: any driver against a network device, whose back end is a stream socket. The other end of
 * the socket keeps the rules: it gets nothing but whole frames of a possible length, and sends some itself.
 */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "../../src/back/stream.h"
#include "fuzz_virtio.h"

/* ---- the back end, with the other end of its socket ---- */

static int peer = -1;
static uint8_t received[1 << 20]; /* bytes of frames that are not whole yet */
static size_t received_bytes;

static void destroy(struct back_net *net)
{
	back_stream_finish((struct back_stream *)net);
	free(net);
}

static const struct back_net_ops ops = {
        .start = back_stream_start,
        .stop = back_stream_stop,
        .watch = back_stream_watch,
        .send = back_stream_send,
        .receive = back_stream_receive,
        .destroy = destroy,
};

int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err);
int __wrap_back_net_open(const struct config_device *config, const uint8_t mac[static BACK_NET_MAC_BYTES],
        struct back_net **ret_net, struct err *err)
{
	struct back_stream *stream = calloc(1, sizeof(*stream));
	int ends[2];

	fuzz_assert(stream && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	fuzz_assert(back_stream_init(stream, "socket", ends[0], err) == 0);
	stream->net.ops = &ops;
	peer = ends[1];
	*ret_net = &stream->net;
	return 0;
}

/* ---- the peer ---- */

/* Takes whole frames off the front of what was received. */
static void check_frames(void)
{
	size_t at = 0;

	while (received_bytes - at >= 4) {
		uint32_t prefix, bytes;

		memcpy(&prefix, received + at, 4);
		bytes = ntohl(prefix);
		fuzz_assert(bytes >= BACK_NET_FRAME_MIN && bytes <= BACK_STREAM_FRAME_MAX);
		if (received_bytes - at - 4 < bytes)
			break;
		at += 4 + bytes;
	}
	memmove(received, received + at, received_bytes - at);
	received_bytes -= at;
}

static void take_frames(void)
{
	ssize_t n;

	while ((n = recv(peer, received + received_bytes, sizeof(received) - received_bytes, MSG_DONTWAIT)) >
	        0) {
		received_bytes += (size_t)n;
		check_frames();
	}
	fuzz_assert(n < 0); /* the device has not hung up */
}

static uint8_t frame[4 + BACK_STREAM_FRAME_MAX];
static size_t frame_start, frame_end; /* what the socket has not taken of it */

static void send_frame(struct cursor *input)
{
	uint32_t bytes = BACK_NET_FRAME_MIN + cursor_u16(input), prefix;
	ssize_t n;

	if (bytes > BACK_STREAM_FRAME_MAX)
		bytes = BACK_STREAM_FRAME_MAX;
	prefix = htonl(bytes);
	if (frame_start == frame_end) {
		memcpy(frame, &prefix, sizeof(prefix));
		frame_start = 0;
		frame_end = sizeof(prefix) + bytes;
	}
	n = send(peer, frame + frame_start, frame_end - frame_start, MSG_DONTWAIT | MSG_NOSIGNAL);
	frame_start += n > 0 ? (size_t)n : 0;
}

static void act(struct virtio_guest *guest, struct cursor *input)
{
	if (cursor_u8(input) & 1)
		take_frames();
	else
		send_frame(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {
	        .add = virtio_net_add, .config = {.driver = CONFIG_NET, .tap_fd = -1}, .act = act};
	int result = fuzz_virtio_run(&target, data, size);

	take_frames();
	return result;
}
