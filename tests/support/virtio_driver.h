/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_driver: the guest's half of a virtqueue, written from VIRTIO 1.2, 2.7 with the structures and the
 * arithmetic of the kernel's header linux/virtio_ring.h. It shares no code with the walker. Where a test is
 * about a hostile driver, it writes to the ring's words itself.
 */
#ifndef TEST_SUPPORT_VIRTIO_DRIVER_H
#define TEST_SUPPORT_VIRTIO_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/base.h"

struct driver {
	uint8_t *ram; /* guest physical address 0 */
	struct vring ring;
	bool event_idx;
	uint16_t avail_idx, used_seen; /* the next entry to fill, and the next one to look at */
};

/* A queue of this size, whose areas lie together at a guest physical address, all zero. */
static inline void driver_init(struct driver *driver, void *ram, uint64_t at, uint16_t size, bool event_idx)
{
	*driver = (struct driver){.ram = ram, .event_idx = event_idx};
	memset(driver->ram + at, 0, vring_size(size, 4));
	vring_init(&driver->ring, size, driver->ram + at, 4);
}

static inline uint64_t driver_gpa(const struct driver *driver, const void *at)
{
	return (uint64_t)((const uint8_t *)at - driver->ram);
}

static inline void driver_desc(
        const struct driver *driver, unsigned i, uint64_t gpa, uint32_t size, uint16_t flags, uint16_t next)
{
	driver->ring.desc[i] = (struct vring_desc){.addr = gpa, .len = size, .flags = flags, .next = next};
}

/*
 * 2.7.13: makes a chain available and moves the index. Returns true if the device wants to be kicked
 * (2.7.10).
 */
static inline bool driver_offer(struct driver *driver, uint16_t head)
{
	struct vring *ring = &driver->ring;
	uint16_t old = driver->avail_idx, new = (uint16_t)(old + 1);

	ring->avail->ring[old % ring->num] = head;
	__atomic_store_n(&ring->avail->idx, new, __ATOMIC_SEQ_CST);
	driver->avail_idx = new;
	if (driver->event_idx)
		return vring_need_event(
		        __atomic_load_n(&vring_avail_event(ring), __ATOMIC_SEQ_CST), new, old);
	return !(__atomic_load_n(&ring->used->flags, __ATOMIC_SEQ_CST) & VRING_USED_F_NO_NOTIFY);
}

/* 2.7.14: takes a chain that the device gave back. */
static inline bool driver_take(struct driver *driver, struct vring_used_elem *ret_elem)
{
	if (__atomic_load_n(&driver->ring.used->idx, __ATOMIC_ACQUIRE) == driver->used_seen)
		return false;
	*ret_elem = driver->ring.used->ring[driver->used_seen++ % driver->ring.num];
	return true;
}

/*
 * Asks for an interrupt with the next chain that is given back. Returns true if there is one already
 * (2.7.7).
 */
static inline bool driver_listen(struct driver *driver)
{
	if (driver->event_idx)
		__atomic_store_n(&vring_used_event(&driver->ring), driver->used_seen, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&driver->ring.avail->flags, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&driver->ring.used->idx, __ATOMIC_SEQ_CST) != driver->used_seen;
}

#endif
