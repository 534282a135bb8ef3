/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_move: the disks of a guest that goes on elsewhere. Only one side has an image open for writing, and its
 * lock, at any time: the source lets go of it before it gives the guest away, and the target takes it when
 * the guest is its own. Main thread, except where it says otherwise; all devices are held.
 */
#include <stddef.h>
#include <string.h>

#include "blk_request.h"

/* ---- the state: on the device's loop ---- */

static void visit_serial(struct blk *blk, struct vmstate *s)
{
	char serial[BLK_ID_BYTES];

	memcpy(serial, blk->serial, sizeof(serial));
	vmstate_bytes(s, "serial", serial, sizeof(serial));
	if (memcmp(serial, blk->serial, sizeof(serial)) != 0)
		vmstate_fail(s, "its serial is \"%.*s\" there and \"%.*s\" here", BLK_ID_BYTES, serial,
		        BLK_ID_BYTES, blk->serial);
}

/* The image may have grown since it was looked at here. */
static void visit_size(struct blk *blk, struct vmstate *s)
{
	uint64_t sectors = blk->told.sectors, found = blk->facts->size_bytes / BLK_SECTOR;

	vmstate_u64(s, "sectors", &sectors, UINT64_MAX / BLK_SECTOR);
	if (s->bad)
		return;
	if (sectors < found || sectors % (blk->facts->block_bytes / BLK_SECTOR))
		vmstate_fail(s,
		        "it has %llu sectors there, and the image here has %llu: is it the same image?",
		        (unsigned long long)sectors, (unsigned long long)found);
	else
		blk->told.sectors = sectors;
}

void virtio_blk_visit(void *ctx, bool works, uint64_t features, struct vmstate *s)
{
	struct blk *blk = ctx;

	if (blk->in_flight)
		vmstate_fail(s, "it has requests under way");
	vmstate_same(s, "bytes of a block", blk->facts->block_bytes);
	vmstate_same(s, "read-only", blk->facts->read_only);
	visit_serial(blk, s);
	visit_size(blk, s);
}

/* ---- the source lets go: on the device's loop ---- */

static void tell(struct blk_told *told, int result)
{
	const struct device_events *events = &told->board->events;

	told->released = result;
	if (events->on_disk_quiet)
		events->on_disk_quiet(events->ctx);
}

static void on_flushed(struct back_disk_request *request, int result)
{
	struct blk_told *told = (struct blk_told *)((char *)request - offsetof(struct blk_told, last_flush));

	told->flushing = false;
	if (told->released != BLK_RELEASING)
		return; /* it was taken back meanwhile */
	if (told->again) {
		virtio_blk_release_on_loop(told);
		return;
	}
	if (result == 0)
		back_disk_release(told->disk);
	tell(told, result < 0 ? result : BLK_RELEASED);
}

void virtio_blk_release_on_loop(void *ctx)
{
	struct blk_told *told = ctx;

	/* A flush of an earlier release knows nothing of what was written after it began. */
	told->again = told->flushing;
	if (told->flushing || told->released != BLK_RELEASING)
		return;
	told->flushing = true;
	told->last_flush = (struct back_disk_request){.kind = BACK_DISK_FLUSH, .on_done = on_flushed};
	if (back_disk_facts(told->disk)->read_only)
		on_flushed(&told->last_flush, 0);
	else
		back_disk_start(told->disk, &told->last_flush);
}

static void keep_on_loop(void *ctx)
{
	struct blk_told *told = ctx;

	if (!back_disk_is_released(told->disk))
		told->released = BLK_OURS;
}

/* ---- what whoever moves the guest calls ---- */

static struct blk_told *disk_at(const struct device_board *board, unsigned i)
{
	return virtio_device_at(board, &virtio_blk_kind, i);
}

void virtio_disks_release(const struct device_board *board)
{
	for (unsigned i = 0; i < board->count; i++) {
		struct blk_told *told = disk_at(board, i);

		if (!told || told->released == BLK_RELEASED)
			continue;
		told->released = BLK_RELEASING;
		loop_post(told->loop, &told->release);
	}
}

int virtio_disks_released(const struct device_board *board, struct err *err)
{
	int all = 1;

	for (unsigned i = 0; i < board->count; i++) {
		const struct blk_told *told = disk_at(board, i);
		int released = told ? told->released : BLK_RELEASED;

		if (released < 0)
			return err_sys(
			        err, ERR_HOST, -released, "%s: what it has written may be lost", told->id);
		if (released != BLK_RELEASED)
			all = 0;
	}
	return all;
}

int virtio_disks_take(const struct device_board *board, struct err *err)
{
	for (unsigned i = 0; i < board->count; i++) {
		struct blk_told *told = disk_at(board, i);

		if (!told)
			continue;
		loop_call(told->loop, keep_on_loop, told);
		if (told->released == BLK_OURS)
			continue;
		if (back_disk_take(told->disk, told->sectors * BLK_SECTOR, err) < 0)
			return err_wrap(err, "%s", told->id);
		told->released = BLK_OURS;
	}
	return 0;
}
