/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_request: the device with its queues, and the requests that are under way. All belong to the device's
 * thread.
 */
#ifndef VIRTIO_BLK_REQUEST_H
#define VIRTIO_BLK_REQUEST_H

#include "blk.h"

#define BLK_REQUESTS 128
#define BLK_ID_BYTES 20

struct blk_request {
	struct back_disk_request disk; /* the first member */
	struct blk_queue *queue;
	uint8_t *status; /* a loan: the last byte that the device writes */
	struct virtio_chain chain;
	struct iovec into[VIRTIO_SEGMENTS_MAX]; /* of a read: the disk changes it, and the chain stays */
	struct blk_request *next;               /* while it is free */
};

struct blk_queue {
	struct blk *blk;
	struct virtio_queue *queue;   /* NULL: stopped, or broken */
	struct blk_request *requests; /* BLK_REQUESTS, made with the device */
	struct blk_request *free;
	unsigned under_way;
	unsigned fresh;  /* the requests before this one were used once */
	bool more;       /* chains may wait that were not looked at, since the driver does not ring */
	unsigned pushed; /* answers since the driver was last shown some */
};

struct blk {
	struct blk_told told; /* the first member */
	struct virtio_device *device;
	struct loop_thread *thread;
	struct loop *loop;
	struct back_disk *disk;
	const struct back_disk_facts *facts;
	struct virtio_blk_config config;
	char serial[BLK_ID_BYTES];
	uint64_t features;
	unsigned in_flight;
	bool stopping;
	struct loop_task turn_end; /* posted when a queue has `more` or `pushed` */
	unsigned queues_count;
	struct blk_queue queues[];
};

/* Returns a request that is not under way; NULL: all BLK_REQUESTS of the queue are. */
struct blk_request *virtio_blk_take(struct blk_queue *queue);
/* Takes back a request that did not begin. */
void virtio_blk_give(struct blk_request *request);
/*
 * Begins the request in request->chain, which ends by itself. Returns false if it has no header or no room
 * for a status: then nobody can answer it.
 */
bool virtio_blk_begin(struct blk_request *request);

#endif
