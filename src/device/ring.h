/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: a bounded queue of bytes between a guest and the loop. The lock of the device that owns the ring
 * guards it.
 */
#ifndef DEVICE_RING_H
#define DEVICE_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data;
	size_t size;
	size_t head, count; /* the oldest byte; how many wait */
};

static inline size_t ring_room(const struct ring *ring)
{
	return ring->size - ring->count;
}

/* Returns how many fitted. */
static inline size_t ring_put(struct ring *ring, const uint8_t *data, size_t size)
{
	size_t n = size < ring_room(ring) ? size : ring_room(ring);

	for (size_t i = 0; i < n; i++)
		ring->data[(ring->head + ring->count++) % ring->size] = data[i];
	return n;
}

/* Returns how many there were, oldest first. */
static inline size_t ring_take(struct ring *ring, uint8_t *data, size_t max)
{
	size_t n = max < ring->count ? max : ring->count;

	for (size_t i = 0; i < n; i++) {
		data[i] = ring->data[ring->head];
		ring->head = (ring->head + 1) % ring->size;
	}
	ring->count -= n;
	return n;
}

static inline void ring_clear(struct ring *ring)
{
	ring->head = ring->count = 0;
}

#endif
