/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: sends and receives frames. The thread of the move.
 *
 *     0 magic u32   4 type u16   6 flags u16   8 length u32   12 stream u16 = 0   14 zero u16
 *     16 sequence u64, from 0   24 CRC-32C u32 of header and payload, taken as 0
 *     28 u32: so many bytes at the end of the payload are not in the checksum
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "file.h"
#include "wire.h"

#define SLICE_MS    100 /* a wait looks so often whether it was cancelled */
#define ABORT_MAX   500 /* bytes of a peer's words that are shown */
#define SKIPPED_MAX 64  /* frames in a row that need not be understood */
#define AT_TYPE     4
#define AT_FLAGS    6
#define AT_LENGTH   8
#define AT_STREAM   12
#define AT_ZERO     14
#define AT_SEQUENCE 16
#define AT_CRC      24
#define AT_UNSUMMED 28

int migrate_wire_init(struct migrate_wire *wire, int fd, _Atomic bool *cancelled, struct err *err)
{
	*wire = (struct migrate_wire){
	        .fd = fd, .cancelled = cancelled, .patience_ms = MIGRATE_PATIENCE_MS, .watch = {.fd = -1}};
	wire->in = malloc(MIGRATE_HEADER_BYTES + MIGRATE_PAYLOAD_MAX_BYTES);
	wire->out = malloc(MIGRATE_HEADER_BYTES + MIGRATE_PAYLOAD_MAX_BYTES);
	if (wire->in && wire->out)
		return 0;
	migrate_wire_finish(wire);
	return err_sys(err, ERR_FAILED, ENOMEM, "frames of a move");
}

void migrate_wire_finish(struct migrate_wire *wire)
{
	migrate_fds_close(&wire->in_fds);
	migrate_lend_end(&wire->lender);
	migrate_session_end(take_ptr(&wire->session));
	free(take_ptr(&wire->in));
	free(take_ptr(&wire->out));
}

uint8_t *migrate_wire_payload(struct migrate_wire *wire)
{
	return wire->out + MIGRATE_HEADER_BYTES;
}

/* ---- waits ---- */

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

static int check_cancelled(struct migrate_wire *wire, struct err *err)
{
	return atomic_load_explicit(wire->cancelled, memory_order_acquire)
	               ? err_sys(err, ERR_FAILED, ECANCELED, "the move")
	               : 0;
}

/* What is watched may send, and is not watched meanwhile. */
static int look_at_watched(struct migrate_wire *wire, struct err *err)
{
	struct migrate_watch watch = wire->watch;
	int result;

	wire->watch.fd = -1;
	result = watch.on_ready(watch.ctx, err);
	wire->watch.fd = watch.fd;
	return result;
}

/* Waits until the socket can be read or written, or shows an error to whoever tries. */
static int wait_for(struct migrate_wire *wire, short events, int64_t end_ms, struct err *err)
{
	do {
		struct pollfd fds[2] = {{.fd = wire->fd, .events = events},
		        {.fd = events & POLLIN ? wire->watch.fd : -1, .events = POLLIN}};

		if (check_cancelled(wire, err) < 0)
			return -1;
		if (poll(fds, 2, SLICE_MS) < 0 && errno != EINTR)
			return err_sys(err, ERR_FAILED, errno, "the connection to the other vmm");
		if (fds[1].revents && look_at_watched(wire, err) < 0)
			return -1;
		/* A peer that does something now and then gains no time by that. */
		if (fds[0].revents && now_ms() < end_ms + SLICE_MS)
			return 0;
	} while (now_ms() < end_ms);
	return err_set(err, ERR_FAILED, "the other vmm %s for too long",
	        events & POLLOUT ? "took nothing" : "sent nothing whole");
}

/* The end of a wait that may take so many times the patience, from now on. */
static int64_t end_of_wait(const struct migrate_wire *wire, unsigned times)
{
	return now_ms() + (int64_t)times * wire->patience_ms;
}

static int connection_over(struct err *err)
{
	return err_set(err, ERR_FAILED, "the connection to the other vmm is over");
}

/* ---- the connection ---- */

int migrate_wire_secure(
        struct migrate_wire *wire, struct migrate_tls *tls, bool accepts, const char *name, struct err *err)
{
	const struct migrate_peer peer = {
	        .fd = wire->fd, .accepts = accepts, .name = name, .cancelled = wire->cancelled};
	int64_t end_ms = end_of_wait(wire, 1);
	int event;

	if (migrate_session_begin(tls, &peer, &wire->session, err) < 0)
		return -1;
	while ((event = migrate_session_agree(wire->session, err)) > 0) {
		if (wait_for(wire, (short)event, end_ms, err) < 0)
			return -1;
	}
	return event;
}

static ssize_t take(struct migrate_wire *wire, void *data, size_t size)
{
	if (wire->session)
		return migrate_session_receive(wire->session, data, size);
	/* Of what is not asked for the kernel closes the descriptors. */
	return wire->takes_fds ? migrate_fds_receive(wire->fd, data, size, &wire->in_fds)
	                       : recv(wire->fd, data, size, MSG_DONTWAIT);
}

static ssize_t give(struct migrate_wire *wire, const void *data, size_t size, const struct migrate_fds *with)
{
	if (with && with->count)
		return migrate_fds_send(wire->fd, data, size, with);
	return wire->session ? migrate_session_send(wire->session, data, size)
	                     : send(wire->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* By errno. */
static int broken(struct migrate_wire *wire, struct err *err)
{
	if (errno == ECONNRESET)
		return connection_over(err);
	if (errno == EPROTO && wire->session) {
		wire->faulted = true;
		return migrate_session_fault(wire->session, err);
	}
	return err_sys(err, ERR_FAILED, errno, "the connection to the other vmm");
}

/* ---- receiving ---- */

static int receive_bytes(struct migrate_wire *wire, uint8_t *at, size_t size, int64_t end_ms, struct err *err)
{
	while (size) {
		ssize_t got = take(wire, at, size);

		if (got == 0)
			return connection_over(err);
		if (got > 0) {
			at += got;
			size -= (size_t)got;
		} else if (errno == EAGAIN) {
			if (wait_for(wire, POLLIN, end_ms, err) < 0)
				return -1;
		} else if (errno != EINTR) {
			return broken(wire, err);
		}
	}
	return 0;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "a frame from the other vmm is damaged: %s", what);
}

/* The header is in wire->in. */
static int check_header(struct migrate_wire *wire, struct migrate_frame *frame, struct err *err)
{
	const uint8_t *header = wire->in;
	unsigned flags = (unsigned)load_le(header + AT_FLAGS, 2);

	frame->type = (unsigned)load_le(header + AT_TYPE, 2);
	frame->size = load_le(header + AT_LENGTH, 4);
	frame->payload = header + MIGRATE_HEADER_BYTES;
	frame->unsummed = load_le(header + AT_UNSUMMED, 4);
	if (load_le(header, 4) != MIGRATE_MAGIC)
		return damaged(err, "it begins with no frame of vmm's; is the other side a vmm?");
	if (flags & ~MIGRATE_FLAG_UNDERSTAND || load_le(header + AT_STREAM, 2) ||
	        load_le(header + AT_ZERO, 2))
		return damaged(err, "flags or zeros");
	if (!migrate_type_name(frame->type) && flags & MIGRATE_FLAG_UNDERSTAND)
		return err_set(err, ERR_FAILED,
		        "the other vmm is newer, and sends what this one does not know (frames of type %u)",
		        frame->type);
	if (frame->size > migrate_type_max_bytes(frame->type) ||
	        frame->unsummed > (frame->type == MIGRATE_PAGES ? frame->size : 0))
		return damaged(err, "its length");
	if (load_le(header + AT_SEQUENCE, 8) != wire->in_sequence)
		return damaged(err, "it is not the next one");
	return 0;
}

static int check_fds(const struct migrate_wire *wire, const struct migrate_frame *frame, struct err *err)
{
	if (wire->in_fds.too_many)
		return damaged(err, "it brings too many descriptors");
	if (wire->in_fds.count && frame->type != MIGRATE_MEMORY)
		return damaged(err, "it brings descriptors");
	return 0;
}

/*
 * A frame has to begin before end_ms, and is whole soon after that: a peer that sends a byte now and then
 * gains nothing.
 */
static int receive_any(
        struct migrate_wire *wire, int64_t end_ms, struct migrate_frame *frame, struct err *err)
{
	uint32_t crc;

	/* A source that is faster than this side leaves nothing to wait for. */
	if (check_cancelled(wire, err) < 0)
		return -1;
	migrate_fds_close(&wire->in_fds);
	if (receive_bytes(
	            wire, wire->in + wire->in_begun, MIGRATE_HEADER_BYTES - wire->in_begun, end_ms, err) < 0)
		return -1;
	wire->in_begun = 0;
	if (check_header(wire, frame, err) < 0 || receive_bytes(wire, wire->in + MIGRATE_HEADER_BYTES,
	                                                  frame->size, end_of_wait(wire, 1), err) < 0)
		return -1;
	crc = (uint32_t)load_le(wire->in + AT_CRC, 4);
	store_le(wire->in + AT_CRC, 4, 0);
	if (crc != migrate_crc32c(wire->in, MIGRATE_HEADER_BYTES + frame->size - frame->unsummed))
		return damaged(err, "its checksum");
	wire->in_sequence++;
	return check_fds(wire, frame, err);
}

int migrate_wire_has_begun(struct migrate_wire *wire, struct err *err)
{
	ssize_t got;

	if (wire->in_begun)
		return 1;
	got = take(wire, wire->in, 1);
	if (got > 0)
		wire->in_begun = 1;
	else if (got == 0)
		return connection_over(err);
	else if (errno != EAGAIN && errno != EINTR)
		return broken(wire, err);
	return got > 0;
}

int migrate_wire_doze(struct migrate_wire *wire, unsigned ms, struct err *err)
{
	struct pollfd fd = {.fd = wire->fd, .events = POLLIN};

	if (check_cancelled(wire, err) < 0)
		return -1;
	if (!wire->in_begun && poll(&fd, 1, (int)ms) < 0 && errno != EINTR)
		return err_sys(err, ERR_FAILED, errno, "the connection to the other vmm");
	return 0;
}

static int on_abort(struct migrate_wire *wire, const struct migrate_frame *frame, struct err *err)
{
	int size = (int)(frame->size < ABORT_MAX ? frame->size : ABORT_MAX);

	wire->given_up = true;
	return err_set(err, ERR_FAILED, "the other vmm gave up: %.*s", size, (const char *)frame->payload);
}

int migrate_wire_receive(
        struct migrate_wire *wire, unsigned times, struct migrate_frame *ret_frame, struct err *err)
{
	int64_t end_ms = end_of_wait(wire, times);

	if (wire->file && check_cancelled(wire, err) < 0)
		return -1;
	if (wire->file)
		return migrate_file_next(wire->file, wire->in, ret_frame, err);
	for (unsigned i = 0; i < SKIPPED_MAX; i++) {
		if (receive_any(wire, end_ms, ret_frame, err) < 0)
			return -1;
		if (ret_frame->type == MIGRATE_ABORT)
			return on_abort(wire, ret_frame, err);
		if (migrate_type_name(ret_frame->type) && ret_frame->type != MIGRATE_PING)
			return 0;
	}
	return err_set(err, ERR_FAILED, "the other vmm sent %u frames without meaning in a row", SKIPPED_MAX);
}

int migrate_wire_expect(struct migrate_wire *wire, enum migrate_type type, size_t size_min, unsigned times,
        struct migrate_frame *ret_frame, struct err *err)
{
	if (migrate_wire_receive(wire, times, ret_frame, err) < 0)
		return -1;
	if (ret_frame->type != type)
		return err_set(err, ERR_FAILED, "the other vmm sent %s where %s comes next",
		        migrate_type_name(ret_frame->type), migrate_type_name(type));
	return ret_frame->size >= size_min ? 0 : damaged(err, "it is too short");
}

/* ---- sending ---- */

/* What the peer said before it went is more than that it went. */
static int explain_loss(struct migrate_wire *wire, struct err *err)
{
	struct migrate_frame frame;
	struct err said;

	if (migrate_wire_receive(wire, 0, &frame, &said) < 0 && (wire->given_up || wire->faulted)) {
		if (err)
			*err = said;
		return -1;
	}
	return connection_over(err);
}

/* What the connection took, or waits until it takes something after an errno that says that it took nothing.
 */
static int note_sent(struct migrate_wire *wire, ssize_t sent, struct err *err)
{
	if (sent > 0) {
		atomic_fetch_add_explicit(&wire->sent_bytes, (uint64_t)sent, memory_order_relaxed);
		return 0;
	}
	if (errno == EAGAIN)
		return wait_for(wire, POLLOUT, end_of_wait(wire, 1), err);
	return errno == EINTR ? 0 : explain_loss(wire, err);
}

static int send_bytes(struct migrate_wire *wire, const uint8_t *at, size_t size,
        const struct migrate_fds *with, struct err *err)
{
	while (size) {
		ssize_t sent = give(wire, at, size, with);

		if (note_sent(wire, sent, err) < 0)
			return -1;
		if (sent > 0) {
			with = NULL;
			at += sent;
			size -= (size_t)sent;
		}
	}
	return 0;
}

static int lend_bytes(struct migrate_wire *wire, struct iovec *iov, unsigned count, struct err *err)
{
	while (count || wire->lender.in_pipe) {
		if (note_sent(wire, migrate_lend(&wire->lender, wire->fd, &iov, &count), err) < 0)
			return -1;
	}
	return 0;
}

/* Writes the header right before the payload, which lent bytes follow, and returns it. */
static uint8_t *make_header(
        struct migrate_wire *wire, enum migrate_type type, uint8_t *payload, size_t size, size_t lent)
{
	uint8_t *header = payload - MIGRATE_HEADER_BYTES;

	memset(header, 0, MIGRATE_HEADER_BYTES);
	store_le(header, 4, MIGRATE_MAGIC);
	store_le(header + AT_TYPE, 2, type);
	store_le(header + AT_FLAGS, 2, type == MIGRATE_PING ? 0 : MIGRATE_FLAG_UNDERSTAND);
	store_le(header + AT_LENGTH, 4, size + lent);
	store_le(header + AT_SEQUENCE, 8, wire->out_sequence++);
	store_le(header + AT_UNSUMMED, 4, lent);
	store_le(header + AT_CRC, 4, migrate_crc32c(header, MIGRATE_HEADER_BYTES + size));
	return header;
}

int migrate_wire_send(struct migrate_wire *wire, enum migrate_type type, size_t size, struct err *err)
{
	return migrate_wire_send_at(wire, type, migrate_wire_payload(wire), size, err);
}

static int send_frame(struct migrate_wire *wire, enum migrate_type type, uint8_t *payload, size_t size,
        const struct migrate_fds *with, struct err *err)
{
	if (check_cancelled(wire, err) < 0)
		return -1;
	if (wire->file) {
		atomic_fetch_add_explicit(&wire->sent_bytes, size, memory_order_relaxed);
		return migrate_file_put(wire->file, type, payload, size, err);
	}
	return send_bytes(
	        wire, make_header(wire, type, payload, size, 0), MIGRATE_HEADER_BYTES + size, with, err);
}

int migrate_wire_send_at(
        struct migrate_wire *wire, enum migrate_type type, uint8_t *payload, size_t size, struct err *err)
{
	return send_frame(wire, type, payload, size, NULL, err);
}

bool migrate_wire_lends(struct migrate_wire *wire)
{
	return !wire->session && !wire->file && migrate_lend_works(&wire->lender, wire->fd);
}

int migrate_wire_send_lent(struct migrate_wire *wire, enum migrate_type type, size_t size, struct iovec *iov,
        unsigned count, struct err *err)
{
	size_t lent = 0;

	for (unsigned i = 0; i < count; i++)
		lent += iov[i].iov_len;
	if (check_cancelled(wire, err) < 0 ||
	        send_bytes(wire, make_header(wire, type, migrate_wire_payload(wire), size, lent),
	                MIGRATE_HEADER_BYTES + size, NULL, err) < 0)
		return -1;
	return lend_bytes(wire, iov, count, err);
}

int migrate_wire_send_fds(struct migrate_wire *wire, enum migrate_type type, size_t size, const int *fds,
        unsigned count, struct err *err)
{
	struct migrate_fds with = {.count = count};

	if (count > MIGRATE_FDS_MAX || (count && wire->session))
		return err_set(err, ERR_FAILED, "%u descriptors do not go over this connection", count);
	for (unsigned i = 0; i < count; i++)
		with.fds[i] = fds[i];
	return send_frame(wire, type, migrate_wire_payload(wire), size, &with, err);
}

void migrate_wire_abort(struct migrate_wire *wire, const char *why)
{
	size_t size = strnlen(why, migrate_type_max_bytes(MIGRATE_ABORT));

	if (wire->faulted || wire->file)
		return;
	memcpy(migrate_wire_payload(wire), why, size);
	/* The peer also notices that the connection ends. */
	if (give(wire, make_header(wire, MIGRATE_ABORT, migrate_wire_payload(wire), size, 0),
	            MIGRATE_HEADER_BYTES + size, NULL) < 0)
		log_debug("the other vmm is not told why: %s", err_sys_name(errno));
}
