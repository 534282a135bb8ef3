/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk: the parts of virtio-blk (VIRTIO 5.2). blk.c has the device and its queues, blk_request.c moves
 * requests, blk_config.c says what the device offers, blk_told.c answers controllers, blk_move.c lets the
 * guest go on elsewhere.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <linux/virtio_blk.h>
#include <stdatomic.h>

#include "vmm/back/disk.h"
#include "vmm/virtio.h"

#define BLK_SEGMENTS   (VIRTIO_SEGMENTS_MAX - 2) /* without the header and the status */
#define BLK_SECTOR     512u
#define BLK_CHANGE_MAX MIB(64) /* the most that a request discards or zeroes */

#define BLK_FEATURE(bit) (UINT64_C(1) << (bit))

extern const struct virtio_kind virtio_blk_kind;

/* What others are told of a disk, and what they change. */
struct blk_told {
	struct virtio_device *device; /* NULL until it was added */
	struct device_board *board;
	const char *id; /* borrowed from the configuration */
	struct loop *loop;
	struct back_disk *disk;
	_Atomic uint64_t sectors; /* the capacity that the driver reads */
	/* Written by the device's thread alone. */
	_Atomic uint64_t requests[BACK_DISK_KINDS], bytes[BACK_DISK_KINDS], failed;
	_Atomic int failed_kind, failed_sys; /* of the last request that failed */
	/* The disk was asked to become quiet so many times, and the last of these that it did. */
	_Atomic unsigned quiet_asked, quiet_done;
	struct loop_task quieten;
	/* blk_move.c: one of the values below, or the negated errno of the flush that failed. */
	_Atomic int released;
	struct loop_task release;
	struct back_disk_request last_flush;
	bool flushing, again; /* last_flush is under way; another one must follow it */
};
/* The guest's image is open here; it is being let go of; it is not open. */
enum { BLK_OURS, BLK_RELEASING, BLK_RELEASED };

/* blk_told.c: a request has ended. On the device's thread. */
void virtio_blk_count(struct blk_told *told, const struct back_disk_request *request, int result);
/* The disk was asked to become quiet, and has not said yet that it is. On the device's thread. */
static inline bool virtio_blk_is_quietening(const struct blk_told *told)
{
	return told->quiet_asked != told->quiet_done;
}
/* The disk is quiet: tells whoever asked up to the time asked. On the device's thread. */
void virtio_blk_tell_quiet(struct blk_told *told, unsigned asked);

/* blk_move.c: struct virtio_kind's visit, and the task `release`. On the device's thread. */
void virtio_blk_visit(void *blk, bool works, uint64_t features, struct vmstate *s);
void virtio_blk_release_on_loop(void *told);

/* blk_config.c */
uint64_t virtio_blk_offer(const struct back_disk_facts *facts);
struct virtio_blk_config virtio_blk_configure(const struct back_disk_facts *facts, unsigned queues);

#endif
