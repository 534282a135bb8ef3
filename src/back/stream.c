/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: frames over a stream socket: each is a length of 32 bits, big-endian, and so many bytes. The peer
 * is hostile: a length that no frame has ends the connection, and there are never more bytes of it here than
 * the buffer holds. There is no header of virtio-net, so there are no offloads.
 * Law: passt(1); QEMU, "-netdev stream".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "stream.h"

/* So many frames of 1,500 bytes come with one call; the last of them may be cut. */
#define IN_BYTES     (256 * 1024)
#define OUT_BYTES    (BACK_STREAM_PREFIX_BYTES + BACK_STREAM_FRAME_MAX)
#define SOCKET_BYTES (1024 * 1024) /* that may be on their way to the peer, if the system allows so many */

static struct back_stream *stream_of(struct back_net *net)
{
	return (struct back_stream *)net;
}

static void end_on_error(struct back_stream *stream)
{
	if (errno == EPIPE || errno == ECONNRESET)
		back_net_end(&stream->net, "it ended the connection");
	else
		back_net_end(&stream->net, "its socket: %s", err_sys_name(errno));
}

/* ---- to the peer ---- */

/* Sends the rest of the last frame. Returns false if some of it is left, or the connection is over. */
static bool send_rest(struct back_stream *stream)
{
	while (stream->out_start < stream->out_end) {
		ssize_t sent = send(stream->port.fd, stream->out + stream->out_start,
		        stream->out_end - stream->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0) {
			if (errno != EAGAIN)
				end_on_error(stream);
			return false;
		}
		stream->out_start += (size_t)sent;
	}
	return true;
}

/* Appends a frame's buffers, without the header in front of it, to iov. Returns how many it needed. */
static unsigned add_frame(struct iovec *iov, const struct back_net_frame *frame)
{
	size_t skip = BACK_NET_HEADER_BYTES;
	unsigned n = 0;

	for (unsigned i = 0; i < frame->iov_count; i++) {
		const struct iovec *from = &frame->iov[i];
		size_t cut = from->iov_len < skip ? from->iov_len : skip;

		skip -= cut;
		if (from->iov_len > cut)
			iov[n++] = (struct iovec){(uint8_t *)from->iov_base + cut, from->iov_len - cut};
	}
	return n;
}

/* Keeps what the socket did not take of a frame: all but its first sent bytes, which count the prefix. */
static void keep_rest(
        struct back_stream *stream, uint32_t prefix, const struct back_net_frame *frame, size_t sent)
{
	struct iovec iov[IOV_MAX];
	unsigned count = add_frame(iov, frame);
	size_t at = BACK_STREAM_PREFIX_BYTES;

	memcpy(stream->out, &prefix, BACK_STREAM_PREFIX_BYTES);
	for (unsigned i = 0; i < count; i++) {
		memcpy(stream->out + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	stream->out_start = sent;
	stream->out_end = at;
}

/* How many of the frames went out with these bytes; of one that went in part the rest is kept. */
static unsigned count_sent(struct back_stream *stream, const uint32_t *prefixes,
        const struct back_net_frame *frames, unsigned count, size_t sent)
{
	for (unsigned i = 0; i < count; i++) {
		size_t whole = BACK_STREAM_PREFIX_BYTES + frames[i].bytes;

		if (sent == 0)
			return i;
		if (sent < whole) {
			keep_rest(stream, prefixes[i], &frames[i], sent);
			return i + 1;
		}
		sent -= whole;
	}
	return count;
}

/* Sends as many frames as one call takes. Returns how many that were; 0: the socket is full. */
static unsigned send_some(struct back_stream *stream, const struct back_net_frame *frames, unsigned count)
{
	uint32_t prefixes[BACK_NET_BATCH];
	struct iovec iov[IOV_MAX];
	unsigned used = 0, n = 0;
	struct msghdr message = {.msg_iov = iov};
	ssize_t sent;

	/* Each frame's prefix goes out in the same call: Debian 12's passt loses frames whose prefix is cut.
	 */
	for (; n < count && n < BACK_NET_BATCH && used + 1 + frames[n].iov_count <= IOV_MAX; n++) {
		prefixes[n] = htonl((uint32_t)frames[n].bytes);
		iov[used++] = (struct iovec){&prefixes[n], BACK_STREAM_PREFIX_BYTES};
		used += add_frame(iov + used, &frames[n]);
	}
	message.msg_iovlen = used;
	sent = sendmsg(stream->port.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		end_on_error(stream);
	return sent < 0 ? 0 : count_sent(stream, prefixes, frames, n, (size_t)sent);
}

unsigned back_stream_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	struct back_stream *stream = stream_of(net);
	unsigned taken = 0, n = 1;

	while (taken < count && n && send_rest(stream)) {
		n = send_some(stream, frames + taken, count - taken);
		taken += n;
	}
	return taken;
}

/* ---- from the peer ---- */

/* Receives more bytes. Returns false if there are none now, or never again. */
static bool receive_more(struct back_stream *stream)
{
	ssize_t got;

	memmove(stream->in, stream->in + stream->in_start, stream->in_end - stream->in_start);
	stream->in_end -= stream->in_start;
	stream->in_start = 0;
	got = recv(stream->port.fd, stream->in + stream->in_end, IN_BYTES - stream->in_end, MSG_DONTWAIT);
	if (got == 0)
		back_net_end(&stream->net, "it ended the connection");
	if (got < 0 && errno != EAGAIN)
		end_on_error(stream);
	if (got <= 0)
		return false;
	stream->in_end += (size_t)got;
	return true;
}

/* Is there a whole frame, or something that is none? Returns its bytes; 0: there is not. */
static size_t next_frame(struct back_stream *stream)
{
	size_t there = stream->in_end - stream->in_start;
	uint32_t prefix, bytes;

	if (there < BACK_STREAM_PREFIX_BYTES)
		return 0;
	memcpy(&prefix, stream->in + stream->in_start, BACK_STREAM_PREFIX_BYTES);
	bytes = ntohl(prefix);
	if (bytes < BACK_NET_FRAME_MIN || bytes > BACK_STREAM_FRAME_MAX) {
		back_net_end(&stream->net, "it sent a frame of %u bytes, which no Ethernet has", bytes);
		return 0;
	}
	return there - BACK_STREAM_PREFIX_BYTES < bytes ? 0 : bytes;
}

/* Copies behind the header's place. */
static void copy_out(const uint8_t *from, size_t size, const struct iovec *iov, unsigned count)
{
	size_t skip = BACK_NET_HEADER_BYTES;

	for (unsigned i = 0; i < count && size; i++) {
		size_t cut = iov[i].iov_len < skip ? iov[i].iov_len : skip;
		size_t room = iov[i].iov_len - cut, n = room < size ? room : size;

		memcpy((uint8_t *)iov[i].iov_base + cut, from, n);
		skip -= cut;
		from += n;
		size -= n;
	}
}

size_t back_stream_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct back_stream *stream = stream_of(net);
	size_t bytes;

	while ((bytes = next_frame(stream)) == 0) {
		if (net->down || !receive_more(stream))
			return 0;
	}
	back_net_clear_header(iov, iov_count);
	copy_out(stream->in + stream->in_start + BACK_STREAM_PREFIX_BYTES, bytes, iov, iov_count);
	stream->in_start += BACK_STREAM_PREFIX_BYTES + bytes;
	return BACK_NET_HEADER_BYTES + bytes;
}

/* ---- life ---- */

int back_stream_start(struct back_net *net, struct err *err)
{
	return 0;
}

void back_stream_stop(struct back_net *net)
{
	back_net_port_watch(&stream_of(net)->port, 0);
}

void back_stream_watch(struct back_net *net, unsigned queue, int events)
{
	back_net_port_watch(&stream_of(net)->port, events);
}

int back_stream_init(struct back_stream *stream, const char *name, int fd, struct err *err)
{
	int bytes = SOCKET_BYTES;

	stream->net.name = strdup(name);
	stream->net.queues = 1;
	stream->net.frame_max = BACK_STREAM_FRAME_MAX;
	stream->port = (struct back_net_port){.net = &stream->net, .fd = fd};
	stream->in = malloc(IN_BYTES);
	stream->out = malloc(OUT_BYTES);
	/* A socket with less room is slower, and as right. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (!stream->net.name || !stream->in || !stream->out)
		return err_sys(err, ERR_FAILED, ENOMEM, "%s", name);
	return 0;
}

void back_stream_finish(struct back_stream *stream)
{
	if (stream->port.fd >= 0)
		close(stream->port.fd);
	free(stream->in);
	free(stream->out);
	free(stream->net.name);
}
