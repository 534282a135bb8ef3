/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: frames over a stream socket, as passt and QEMU's "-netdev stream" speak them.
 */
#ifndef BACK_STREAM_H
#define BACK_STREAM_H

#include "net.h"

#define BACK_STREAM_PREFIX_BYTES 4
#define BACK_STREAM_FRAME_MAX    65535 /* passt hangs up on a longer one */

/* A back end of one queue. It is the first member of the struct of a back end that knows more of its peer. */
struct back_stream {
	struct back_net net;
	struct back_net_port port;
	/* Bytes that were received and not yet handed on, from in_start to in_end. */
	uint8_t *in;
	size_t in_start, in_end;
	/* The rest of a frame of which the socket took a part, from out_start to out_end. */
	uint8_t *out;
	size_t out_start, out_end;
};

/* fd: a connected stream socket, owned from now on, also after an error. The caller finishes the stream. */
int back_stream_init(struct back_stream *stream, const char *name, int fd, struct err *err) MUST_CHECK;
void back_stream_finish(struct back_stream *stream);

/* The functions of struct back_net_ops. */
int back_stream_start(struct back_net *net, struct err *err);
void back_stream_stop(struct back_net *net);
void back_stream_watch(struct back_net *net, unsigned queue, int events);
unsigned back_stream_send(
        struct back_net *net, unsigned queue, const struct back_net_frame *frames, unsigned count);
size_t back_stream_receive(struct back_net *net, unsigned queue, const struct iovec *iov, unsigned iov_count);

#endif
