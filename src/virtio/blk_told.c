/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_told: what controllers are told of disks, and what they change. The device's thread counts, and others
 * read the counters without a lock.
 */
#include <errno.h>

#include "blk.h"
#include "count.h"

void virtio_blk_count(struct blk_told *told, const struct back_disk_request *request, int result)
{
	const struct device_events *events = &told->board->events;

	if (result >= 0) {
		count_add(&told->requests[request->kind], 1);
		count_add(&told->bytes[request->kind], request->bytes);
		return;
	}
	told->failed_kind = request->kind;
	told->failed_sys = -result;
	count_add(&told->failed, 1);
	if (events->on_disk_error)
		events->on_disk_error(events->ctx);
}

static struct blk_told *find(const struct device_board *board, const char *id)
{
	return virtio_device_find(board, &virtio_blk_kind, id);
}

bool virtio_blk_facts(const struct device_board *board, const char *id, struct virtio_blk_facts *ret_facts)
{
	const struct blk_told *told = find(board, id);

	if (!told)
		return false;
	*ret_facts = (struct virtio_blk_facts){
	        .size_bytes = told->sectors * BLK_SECTOR,
	        .block_bytes = back_disk_facts(told->disk)->block_bytes,
	        .read_only = back_disk_facts(told->disk)->read_only,
	        .failed = count_of(&told->failed),
	        .failed_kind = (enum back_disk_kind)told->failed_kind,
	        .failed_sys = told->failed_sys,
	};
	for (unsigned kind = 0; kind < BACK_DISK_KINDS; kind++) {
		ret_facts->requests[kind] = count_of(&told->requests[kind]);
		ret_facts->bytes[kind] = count_of(&told->bytes[kind]);
	}
	return true;
}

/* ---- quiet ---- */

bool virtio_blk_quieten(const struct device_board *board, const char *id)
{
	struct blk_told *told = find(board, id);

	if (!told)
		return false;
	told->quiet_asked++;
	loop_post(told->loop, &told->quieten);
	return true;
}

bool virtio_blk_is_quiet(const struct device_board *board, const char *id)
{
	const struct blk_told *told = find(board, id);

	return told && !virtio_blk_is_quietening(told);
}

void virtio_blk_tell_quiet(struct blk_told *told, unsigned asked)
{
	const struct device_events *events = &told->board->events;

	told->quiet_done = asked;
	if (events->on_disk_quiet)
		events->on_disk_quiet(events->ctx);
}

/* ---- another size ---- */

struct resize {
	struct blk_told *told;
	uint64_t bytes;
	struct err *err;
	int result;
};

static void resize_on_loop(void *ctx)
{
	struct resize *resize = ctx;
	struct blk_told *told = resize->told;

	resize->result = back_disk_resize(told->disk, resize->bytes, resize->err);
	if (resize->result == 0)
		told->sectors = back_disk_facts(told->disk)->size_bytes / BLK_SECTOR;
}

int virtio_blk_resize(const struct device_board *board, const char *id, uint64_t bytes, struct err *err)
{
	struct resize resize = {.told = find(board, id), .bytes = bytes, .err = err};

	if (!resize.told)
		return err_set(err, ERR_USAGE, "there is no disk \"%s\"", id);
	loop_call(resize.told->loop, resize_on_loop, &resize);
	if (resize.result < 0)
		return err_wrap(err, "%s", id);
	virtio_device_config_changed(resize.told->device);
	return 0;
}
