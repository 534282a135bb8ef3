/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what all disks have in common: requests are checked, failures are said once, and memory that the
 * storage cannot take is bounced. It runs on the loop's thread.
 */
#include <errno.h>
#include <string.h>

#include "disk.h"

#define BUFFER_BYTES MIB(1)
#define BUFFER_ALIGN 4096

/* ---- the end of a request ---- */

static const char *const words[BACK_DISK_KINDS] = {
        [BACK_DISK_READ] = "reading",
        [BACK_DISK_WRITE] = "writing",
        [BACK_DISK_FLUSH] = "flushing",
        [BACK_DISK_DISCARD] = "discarding",
        [BACK_DISK_ZERO] = "writing zeroes",
};

static const char *remedy(int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT: return "; make room";
	case EFBIG:
		return "; raise RLIMIT_FSIZE, or move the image to a file system that allows larger files";
	default: return "";
	}
}

/* Was this failure said? It counts as said from now on. */
static bool was_said(struct back_disk *disk, enum back_disk_kind kind, int sys)
{
	unsigned i = (unsigned)sys / 64 % ARRAY_LEN(disk->said[kind]);
	uint64_t bit = UINT64_C(1) << (unsigned)sys % 64;
	bool said = disk->said[kind][i] & bit;

	disk->said[kind][i] |= bit;
	return said;
}

static void say(struct back_disk *disk, const struct back_disk_request *request, int sys)
{
	struct err err;

	if (was_said(disk, request->kind, sys))
		return;
	err_sys(&err, ERR_FAILED, sys, "%s: %s %s at byte %llu", disk->id, words[request->kind], disk->file,
	        (unsigned long long)request->offset);
	log_guest(LOG_WARN, "%s%s. The guest gets an I/O error; this is said once", err.text, remedy(sys));
}

void back_disk_hurry(struct back_disk *disk, bool hurry)
{
	if (disk->ops->hurry)
		disk->ops->hurry(disk, hurry);
}

void back_disk_hush(struct back_disk *disk, int sys)
{
	for (unsigned kind = 0; kind < BACK_DISK_KINDS; kind++)
		was_said(disk, (enum back_disk_kind)kind, sys);
}

/*
 * A flush that failed may have lost writes that were answered before, and the kernel reports such a loss only
 * once (fsync(2)). So no later flush of this disk succeeds.
 */
void back_disk_done(struct back_disk_request *request, int result)
{
	struct back_disk *disk = request->disk;
	bool flushes = request->kind == BACK_DISK_FLUSH || request->through;

	if (request != &disk->own) {
		if (flushes && disk->unflushed && result >= 0)
			result = -EIO;
		if (request->kind == BACK_DISK_FLUSH && result < 0)
			disk->unflushed = true;
		if (result < 0)
			say(disk, request, -result);
	}
	request->on_done(request, result);
}

/* ---- the bounce buffer ---- */

void back_iov_advance(struct iovec **iov, unsigned *count, uint64_t n)
{
	while (*count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (!*count)
		return;
	(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
	(*iov)->iov_len -= n;
}

/* Copies between the buffer and the first bytes of the request's memory. */
static void copy(struct back_disk *disk, const struct back_disk_request *request, uint64_t bytes)
{
	uint8_t *buffer = disk->buffer;

	for (const struct iovec *iov = request->iov; bytes; iov++) {
		uint64_t n = bytes < iov->iov_len ? bytes : iov->iov_len;

		if (request->kind == BACK_DISK_READ)
			memcpy(iov->iov_base, buffer, n);
		else
			memcpy(buffer, iov->iov_base, n);
		buffer += n;
		bytes -= n;
	}
}

static void on_piece_done(struct back_disk_request *own, int result);

/* Starts the next piece of the request that has the buffer. */
static void start_piece(struct back_disk *disk)
{
	struct back_disk_request *request = disk->first;
	uint64_t left = request->bytes - request->done_bytes,
	         bytes = left < BUFFER_BYTES ? left : BUFFER_BYTES;

	if (request->kind == BACK_DISK_WRITE)
		copy(disk, request, bytes);
	else if (request->kind == BACK_DISK_ZERO && !request->done_bytes)
		memset(disk->buffer, 0, bytes);
	disk->own_iov = (struct iovec){disk->buffer, bytes};
	disk->own = (struct back_disk_request){
	        .kind = request->kind == BACK_DISK_READ ? BACK_DISK_READ : BACK_DISK_WRITE,
	        .through = request->through,
	        .offset = request->offset + request->done_bytes,
	        .bytes = bytes,
	        .iov = &disk->own_iov,
	        .iov_count = 1,
	        .on_done = on_piece_done,
	        .disk = disk,
	};
	disk->ops->start(disk, &disk->own);
}

static void on_piece_done(struct back_disk_request *own, int result)
{
	struct back_disk *disk = own->disk;
	struct back_disk_request *request = disk->first;

	if (result >= 0) {
		if (request->kind == BACK_DISK_READ)
			copy(disk, request, own->bytes);
		back_iov_advance(&request->iov, &request->iov_count, own->bytes);
		request->done_bytes += own->bytes;
		if (request->done_bytes < request->bytes) {
			start_piece(disk);
			return;
		}
	}
	disk->first = request->next;
	back_disk_done(request, result < 0 ? result : 0);
	if (disk->first)
		start_piece(disk);
}

void back_disk_bounce(struct back_disk_request *request)
{
	struct back_disk *disk = request->disk;
	bool idle = !disk->first;

	if (!disk->buffer)
		disk->buffer = aligned_alloc(BUFFER_ALIGN, BUFFER_BYTES);
	if (!disk->buffer) {
		back_disk_done(request, -ENOMEM);
		return;
	}
	request->next = NULL;
	if (idle)
		disk->first = request;
	else
		disk->last->next = request;
	disk->last = request;
	if (idle)
		start_piece(disk);
}

/* ---- the start of a request ---- */

static int check(const struct back_disk *disk, const struct back_disk_request *request)
{
	const struct back_disk_facts *facts = &disk->facts;

	if (disk->released)
		return -EIO;
	if (request->kind != BACK_DISK_FLUSH &&
	        (!request->bytes || !is_aligned(request->offset | request->bytes, facts->block_bytes) ||
	                !range_fits(request->offset, request->bytes, facts->size_bytes)))
		return -EINVAL;
	if (request->kind != BACK_DISK_FLUSH && request->kind != BACK_DISK_READ && facts->read_only)
		return -EROFS;
	return 0;
}

void back_disk_start(struct back_disk *disk, struct back_disk_request *request)
{
	int result = check(disk, request);

	request->disk = disk;
	request->done_bytes = 0;
	if (result < 0)
		request->on_done(request, result);
	else
		disk->ops->start(disk, request);
}

int back_disk_resize(struct back_disk *disk, uint64_t bytes, struct err *err)
{
	struct back_disk_facts *facts = &disk->facts;

	if (!bytes || !is_aligned(bytes, facts->block_bytes))
		return err_set(err, ERR_USAGE, "%llu bytes are not whole blocks of %u bytes",
		        (unsigned long long)bytes, facts->block_bytes);
	if (bytes < facts->size_bytes)
		return err_set(err, ERR_USAGE,
		        "the disk has %llu bytes, and would lose what lies behind %llu; only larger sizes "
		        "are taken",
		        (unsigned long long)facts->size_bytes, (unsigned long long)bytes);
	if (bytes == facts->size_bytes)
		return 0;
	if (disk->released)
		return err_set(err, ERR_USAGE, "the disk is another vmm's while the guest moves");
	if (!disk->ops->grow)
		return err_set(err, ERR_USAGE, "a disk behind a server keeps its size while vmm runs");
	if (disk->ops->grow(disk, bytes, err) < 0)
		return -1;
	facts->size_bytes = bytes;
	return 0;
}

/* ---- life ---- */

int back_disk_init(struct back_disk *disk, const struct back_disk_ops *ops,
        const struct config_device *config, struct loop *loop, struct err *err)
{
	disk->ops = ops;
	disk->loop = loop;
	disk->id = strdup(config->id);
	disk->file = strdup(config->file);
	return disk->id && disk->file ? 0 : err_sys(err, ERR_FAILED, ENOMEM, "a disk");
}

void back_disk_finish(struct back_disk *disk)
{
	free(disk->id);
	free(disk->file);
	free(disk->buffer);
}

int back_disk_open(
        const struct config_device *config, struct loop *loop, struct back_disk **ret_disk, struct err *err)
{
	if (config_is_nbd(config->file))
		return back_nbd_open(config, loop, ret_disk, err);
	return back_raw_open(config, false, loop, ret_disk, err);
}

int back_disk_look(
        const struct config_device *config, struct loop *loop, struct back_disk **ret_disk, struct err *err)
{
	int result = config_is_nbd(config->file) ? back_nbd_open(config, loop, ret_disk, err)
	                                         : back_raw_open(config, true, loop, ret_disk, err);

	if (result == 0)
		(*ret_disk)->released = true;
	return result;
}

void back_disk_release(struct back_disk *disk)
{
	disk->released = true;
	if (disk->ops->release)
		disk->ops->release(disk);
}

bool back_disk_is_released(const struct back_disk *disk)
{
	return disk->released;
}

int back_disk_take(struct back_disk *disk, uint64_t bytes, struct err *err)
{
	if (disk->ops->take && disk->ops->take(disk, bytes, err) < 0)
		return -1;
	if (!disk->ops->take && bytes != disk->facts.size_bytes)
		return err_set(err, ERR_USAGE, "%s has %llu bytes, and the guest's disk has %llu", disk->file,
		        (unsigned long long)disk->facts.size_bytes, (unsigned long long)bytes);
	disk->facts.size_bytes = bytes;
	disk->released = false;
	return 0;
}

void back_disk_destroy(struct back_disk *disk)
{
	if (disk)
		disk->ops->destroy(disk);
}

const struct back_disk_facts *back_disk_facts(const struct back_disk *disk)
{
	return &disk->facts;
}
