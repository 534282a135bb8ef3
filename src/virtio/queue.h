/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: the ring walker as the transport and the tests see it. Devices use vmm/virtio.h.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include "vmm/virtio.h"

/* Features of VIRTIO 6 that change how a ring is walked. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)

/* Whom a queue tells what happens. Both run on the thread of the device's loop, inside a queue's function. */
struct virtio_queue_owner {
	void (*call)(void *ctx, unsigned index); /* interrupt the driver */
	/*
	 * The driver broke the rules; text says how. The device is in the middle of its work with the queue:
	 * it must not be stopped from within this call.
	 */
	void (*broken)(void *ctx, const char *text);
	void *ctx;
};

/* What the driver wrote to the transport's registers, unchecked. */
struct virtio_queue_setup {
	const struct virtio_queue_owner *owner; /* outlives the queue */
	struct page_memory *memory;             /* as long as the queue is used */
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t size;
	uint64_t features; /* agreed */
	unsigned index;
	int kick_fd, call_fd; /* borrowed, for virtio_queue_place() */
};

struct virtio_queue {
	struct virtio_queue_setup setup;
	uint8_t *desc, *avail, *used; /* loans of guest memory: the driver writes there at any time */
	bool event_idx, indirect;
	bool hushed; /* the driver was asked not to ring */
	bool broken;
	uint16_t popped;     /* the head of the chain popped last */
	uint16_t avail_next; /* the next entry of the available ring to take */
	uint16_t avail_idx;  /* the driver's index as it was last read: the entries before it can be taken */
	uint16_t used_next;  /* the next entry of the used ring to fill */
	uint16_t used_shown; /* the index that the driver was shown */
	uint64_t in_flight[VIRTIO_QUEUE_SIZE_MAX / 64]; /* bit h: the chain with head h was popped */
};

/*
 * Starts a queue from nothing: its rings are checked and borrowed. The queue owns nothing, so nothing ends
 * it. ERR_GUEST, and the queue is as it was: the driver's values are impossible.
 */
int virtio_queue_start(
        struct virtio_queue *queue, const struct virtio_queue_setup *setup, struct err *err) MUST_CHECK;
/* Lets a queue that was started go on where another one was that had settled with this index. */
void virtio_queue_go_on(struct virtio_queue *queue, uint16_t index);
/*
 * Shows the driver all that was pushed, and puts all chains that are in flight back, so that the next pop
 * returns the first of them again: they are those that were popped last. The device has stopped.
 */
void virtio_queue_settle(struct virtio_queue *queue);

#endif
