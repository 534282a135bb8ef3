/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd: a disk that a server of the NBD protocol has, by libnbd. It is opened on the main thread and runs on
 * the loop's. Law: the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md); libnbd(3).
 *
 * A guest's flush is a FLUSH of the protocol and never a write with FUA, since qemu-nbd 10 and 11 answer the
 * first such write before it is on the storage. When the server is gone, the guest gets an I/O error for
 * every request from then on: a server that comes back may not have what was written and not flushed.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "disk.h"
#include "nbd_library.h"

#define CONNECT_MS     10000
#define BLOCK_BYTES    512u
#define BLOCK_MAX      65536u
#define PAYLOAD_BYTES  MIB(32) /* what a server takes at once if it does not say */
#define PHYSICAL_BYTES 4096u

struct nbd {
	struct back_disk disk;
	struct nbd_handle *handle;
	uint64_t payload_bytes;
	bool can_flush, can_trim, can_zero;
	bool gone;
	struct loop_op *watch, *hurry;
	int direction; /* what the watch waits for */
	struct back_disk_request *done_first, *done_last;
};

static struct nbd *nbd_of(struct back_disk *disk)
{
	return (struct nbd *)disk;
}

/* ---- the connection ---- */

static void on_ready(void *ctx, int events);

/* Waits for what the connection waits for. After a failure the server counts as gone. */
static int update_watch(struct nbd *nbd)
{
	int direction = (int)back_nbd_library.aio_get_direction(nbd->handle);
	short events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
	                       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	struct err err;

	if (nbd->watch && direction == nbd->direction)
		return 0;
	loop_op_stop(take_ptr(&nbd->watch));
	nbd->direction = direction;
	return loop_watch_start(nbd->disk.loop, back_nbd_library.aio_get_fd(nbd->handle), events, on_ready,
	        nbd, &nbd->watch, &err);
}

static void lose(struct nbd *nbd)
{
	if (nbd->gone)
		return;
	nbd->gone = true;
	log_warn("%s: the NBD server of %s has ended the connection, or answers no more. The guest gets an "
	         "I/O error for every "
	         "request "
	         "until vmm is started again",
	        nbd->disk.id, nbd->disk.file);
	back_disk_hush(&nbd->disk, EIO);
	loop_op_stop(take_ptr(&nbd->watch));
}

static void start_flush(struct back_disk_request *request);

/*
 * Ends the requests whose last piece is done: libnbd's callbacks may not call libnbd. A write that must last
 * is done when a flush after it is.
 */
static void end_done(struct nbd *nbd)
{
	struct back_disk_request *request;

	while ((request = nbd->done_first)) {
		nbd->done_first = request->next;
		if (request->kind != BACK_DISK_FLUSH && request->through && !request->failed) {
			request->through = false;
			start_flush(request);
		} else {
			back_disk_done(request, request->failed);
		}
	}
}

/* Ends what is done, and notices when the connection has ended. */
static void after_work(struct nbd *nbd, int result)
{
	bool over = result < 0 || back_nbd_library.aio_is_dead(nbd->handle) > 0 ||
	            back_nbd_library.aio_is_closed(nbd->handle) > 0;

	if (over || (!nbd->gone && update_watch(nbd) < 0))
		lose(nbd);
	end_done(nbd);
}

static void on_ready(void *ctx, int events)
{
	struct nbd *nbd = ctx;
	int result = 0;

	if ((events & POLLOUT) && (nbd->direction & LIBNBD_AIO_DIRECTION_WRITE))
		result = back_nbd_library.aio_notify_write(nbd->handle);
	else if (events & (POLLIN | POLLHUP | POLLERR))
		result = back_nbd_library.aio_notify_read(nbd->handle);
	after_work(nbd, result);
}

/* ---- requests ---- */

static void request_done(struct back_disk_request *request)
{
	struct nbd *nbd = nbd_of(request->disk);

	if (nbd->gone && !request->failed)
		request->failed = -EIO;
	request->next = NULL;
	if (nbd->done_first)
		nbd->done_last->next = request;
	else
		nbd->done_first = request;
	nbd->done_last = request;
}

/*
 * libnbd tells the result of a command by a callback. A call that fails may have called it or not, since the
 * call may have noticed that the connection is dead. So the end of a command is the call of its callback's
 * free function, which libnbd makes exactly once in any case (libnbd(3), callback lifetimes).
 */
static int on_result(void *ctx, int *error)
{
	struct back_disk_request *request = ctx;

	if (*error)
		request->failed = -*error;
	return 1;
}

static void on_flush_end(void *ctx)
{
	request_done(ctx);
}

static void start_flush(struct back_disk_request *request)
{
	struct nbd *nbd = nbd_of(request->disk);
	const nbd_completion_callback done = {
	        .callback = on_result, .free = on_flush_end, .user_data = request};

	if (!nbd->can_flush || nbd->gone)
		request_done(request);
	else if (back_nbd_library.aio_flush(nbd->handle, done, 0) < 0)
		request->failed = -EIO;
}

static void on_piece_end(void *ctx)
{
	struct back_disk_request *request = ctx;

	if (--request->pieces == 0)
		request_done(request);
}

static int64_t start_piece(struct nbd *nbd, struct back_disk_request *request, void *at, uint64_t bytes)
{
	const nbd_completion_callback done = {
	        .callback = on_result, .free = on_piece_end, .user_data = request};
	uint64_t offset = request->offset + request->done_bytes;

	switch (request->kind) {
	case BACK_DISK_READ: return back_nbd_library.aio_pread(nbd->handle, at, bytes, offset, done, 0);
	case BACK_DISK_WRITE: return back_nbd_library.aio_pwrite(nbd->handle, at, bytes, offset, done, 0);
	case BACK_DISK_DISCARD: return back_nbd_library.aio_trim(nbd->handle, bytes, offset, done, 0);
	default:
		return back_nbd_library.aio_zero(
		        nbd->handle, bytes, offset, done, request->keep ? LIBNBD_CMD_FLAG_NO_HOLE : 0);
	}
}

static void add_piece(struct nbd *nbd, struct back_disk_request *request, void *at, uint64_t bytes)
{
	request->pieces++;
	if (start_piece(nbd, request, at, bytes) < 0)
		request->failed = -EIO;
	request->done_bytes += bytes;
}

/* The protocol moves one piece of memory a request, up to a size. */
static void start_pieces(struct nbd *nbd, struct back_disk_request *request)
{
	uint8_t none = 0; /* of a request without memory */

	request->pieces = 1; /* so that no piece ends the request before all have started */
	request->failed = 0;
	if (!request->iov_count)
		add_piece(nbd, request, &none, request->bytes);
	for (unsigned i = 0; i < request->iov_count; i++) {
		uint8_t *at = request->iov[i].iov_base;

		for (uint64_t left = request->iov[i].iov_len, n; left; at += n, left -= n) {
			n = left < nbd->payload_bytes ? left : nbd->payload_bytes;
			add_piece(nbd, request, at, n);
		}
	}
	on_piece_end(request);
}

/* Are all pieces of memory whole blocks of the server? */
static bool is_whole(const struct back_disk *disk, const struct back_disk_request *request)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < request->iov_count; i++)
		bits |= request->iov[i].iov_len;
	return is_aligned(bits, disk->facts.block_bytes);
}

static void start_on_server(struct nbd *nbd, struct back_disk_request *request)
{
	if (request->kind == BACK_DISK_FLUSH)
		start_flush(request);
	else if (!is_whole(&nbd->disk, request) || (request->kind == BACK_DISK_ZERO && !nbd->can_zero))
		back_disk_bounce(request);
	else if (request->kind == BACK_DISK_DISCARD && !nbd->can_trim)
		request_done(request);
	else
		start_pieces(nbd, request);
}

static void nbd_start(struct back_disk *disk, struct back_disk_request *request)
{
	struct nbd *nbd = nbd_of(disk);

	request->failed = 0;
	if (nbd->gone) {
		back_disk_done(request, -EIO);
		return;
	}
	start_on_server(nbd, request);
	after_work(nbd, 0);
}

/* Closing the connection ends what is under way: libnbd frees its callbacks. */
static void on_hurry_over(void *ctx)
{
	struct nbd *nbd = ctx;

	nbd->hurry = NULL;
	lose(nbd);
	back_nbd_library.close(take_ptr(&nbd->handle));
	end_done(nbd);
}

static void nbd_hurry(struct back_disk *disk, bool hurry)
{
	struct nbd *nbd = nbd_of(disk);
	struct err err;

	loop_op_stop(take_ptr(&nbd->hurry));
	if (hurry && !nbd->gone &&
	        loop_timer_start(nbd->disk.loop, BACK_DISK_HURRY_MS * UINT64_C(1000000), on_hurry_over, nbd,
	                &nbd->hurry, &err) < 0)
		on_hurry_over(nbd);
}

/* ---- opening ---- */

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static int refused(struct err *err, const char *what)
{
	const char *why = back_nbd_library.get_error();

	return err_set(err, ERR_HOST, "%s: %s", what, why ? why : "libnbd does not say why");
}

/* A server that serves one client answers a second one only when the first has gone. */
static int connect_in_time(struct nbd *nbd, const char *uri, struct err *err)
{
	uint64_t end = now_ms() + CONNECT_MS, now;

	if (back_nbd_library.set_uri_allow_local_file(nbd->handle, true) < 0 ||
	        back_nbd_library.aio_connect_uri(nbd->handle, uri) < 0)
		return refused(err, "the NBD server cannot be reached");
	while (back_nbd_library.aio_is_connecting(nbd->handle) > 0) {
		now = now_ms();
		if (now >= end)
			return err_set(err, ERR_HOST,
			        "the NBD server has not answered for %u s: does it serve another client "
			        "(qemu-nbd -e)?",
			        CONNECT_MS / 1000);
		if (back_nbd_library.poll(nbd->handle, (int)(end - now)) < 0)
			return refused(err, "the NBD server refuses");
	}
	return back_nbd_library.aio_is_ready(nbd->handle) > 0 ? 0 : refused(err, "the NBD server refuses");
}

static int find_block(struct nbd *nbd, struct err *err)
{
	int64_t least = back_nbd_library.get_block_size(nbd->handle, LIBNBD_SIZE_MINIMUM),
	        best = back_nbd_library.get_block_size(nbd->handle, LIBNBD_SIZE_PREFERRED),
	        most = back_nbd_library.get_block_size(nbd->handle, LIBNBD_SIZE_MAXIMUM);
	struct back_disk_facts *facts = &nbd->disk.facts;

	if (least > BLOCK_MAX || (least > 0 && (least & (least - 1))))
		return err_set(err, ERR_HOST,
		        "the NBD server wants blocks of %lld bytes, which no guest knows", (long long)least);
	facts->block_bytes = least > (int64_t)BLOCK_BYTES ? (uint32_t)least : BLOCK_BYTES;
	facts->physical_bytes = best > facts->block_bytes && best <= BLOCK_MAX && !(best & (best - 1))
	                                ? (uint32_t)best
	                                : facts->block_bytes;
	facts->discard_bytes = facts->physical_bytes;
	nbd->payload_bytes = most > 0 && (uint64_t)most < PAYLOAD_BYTES ? (uint64_t)most : PAYLOAD_BYTES;
	nbd->payload_bytes -= nbd->payload_bytes % facts->block_bytes;
	return nbd->payload_bytes ? 0 : err_set(err, ERR_HOST, "the NBD server takes no whole block at once");
}

static int find_size(struct nbd *nbd, struct err *err)
{
	int64_t size = back_nbd_library.get_size(nbd->handle);
	struct back_disk_facts *facts = &nbd->disk.facts;
	uint64_t rest;

	if (size < 0)
		return refused(err, "the size of the NBD export");
	rest = (uint64_t)size % facts->block_bytes;
	facts->size_bytes = (uint64_t)size - rest;
	if (!facts->size_bytes)
		return err_set(
		        err, ERR_USAGE, "the NBD export has no whole block of %u bytes", facts->block_bytes);
	if (rest)
		log_info("%s: the last %llu bytes of %s are no whole block of %u bytes; the guest does not "
		         "see them",
		        nbd->disk.id, (unsigned long long)rest, nbd->disk.file, facts->block_bytes);
	return 0;
}

static int find_facts(struct nbd *nbd, const struct config_device *config, struct err *err)
{
	struct back_disk_facts *facts = &nbd->disk.facts;

	if (find_block(nbd, err) < 0 || find_size(nbd, err) < 0)
		return -1;
	if (!config->read_only && back_nbd_library.is_read_only(nbd->handle))
		return err_set(err, ERR_USAGE, "the NBD server exports it for reading only; set read-only");
	nbd->can_flush = back_nbd_library.can_flush(nbd->handle) > 0;
	nbd->can_trim = back_nbd_library.can_trim(nbd->handle) > 0;
	nbd->can_zero = back_nbd_library.can_zero(nbd->handle) > 0;
	facts->read_only = config->read_only;
	facts->can_discard = !config->read_only && nbd->can_trim;
	facts->can_zero = !config->read_only;
	if (!config->read_only && !nbd->can_flush)
		log_warn("%s: the NBD server of %s knows no flush: what the guest flushes may be lost with "
		         "the server",
		        nbd->disk.id, nbd->disk.file);
	return 0;
}

static void stop_watching(void *ctx)
{
	struct nbd *nbd = ctx;

	loop_op_stop(take_ptr(&nbd->watch));
	loop_op_stop(take_ptr(&nbd->hurry));
}

static void nbd_destroy(struct back_disk *disk)
{
	struct nbd *nbd = nbd_of(disk);

	loop_call(disk->loop, stop_watching, nbd);
	if (nbd->handle) {
		back_nbd_library.aio_disconnect(nbd->handle, 0);
		back_nbd_library.close(nbd->handle);
	}
	back_disk_finish(disk);
	free(nbd);
}

static const struct back_disk_ops nbd_ops = {.start = nbd_start, .hurry = nbd_hurry, .destroy = nbd_destroy};

static int open_export(struct nbd *nbd, const struct config_device *config, struct err *err)
{
	if (back_nbd_load(err) < 0)
		return -1;
	nbd->handle = back_nbd_library.create();
	if (!nbd->handle)
		return refused(err, "libnbd");
	return connect_in_time(nbd, config->file, err) < 0 ? -1 : find_facts(nbd, config, err);
}

static void watch_on_loop(void *ctx)
{
	after_work(ctx, 0);
}

int back_nbd_open(
        const struct config_device *config, struct loop *loop, struct back_disk **ret_disk, struct err *err)
{
	struct nbd *nbd = calloc(1, sizeof(*nbd));

	if (!nbd)
		return err_sys(err, ERR_FAILED, ENOMEM, "a disk");
	if (back_disk_init(&nbd->disk, &nbd_ops, config, loop, err) < 0 ||
	        open_export(nbd, config, err) < 0) {
		nbd_destroy(&nbd->disk);
		return err_wrap(err, "%s", config->file);
	}
	loop_call(loop, watch_on_loop, nbd);
	*ret_disk = &nbd->disk;
	return 0;
}
