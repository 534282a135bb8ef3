/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver: the guest's half of a virtqueue, written from VIRTIO 1.2, 2.7 with the structures and the
 * arithmetic of the kernel's header linux/virtio_ring.h. It shares no code with the walker. Where a test is
 * about a hostile driver, it writes to the ring's words itself.
 */
#ifndef TEST_VIRTIO_DRIVER_H
#define TEST_VIRTIO_DRIVER_H

#include <linux/virtio_ring.h>

#include "../../../src/virtio/queue.h"
#include "support/test.h"

/* Where a driver puts what in the guest's memory. Each queue's areas lie together. */
#define DRIVER_RINGS   0x10000u
#define DRIVER_TABLES  0x80000u /* indirect tables */
#define DRIVER_BUFFERS 0x100000u
#define DRIVER_MEMORY  MIB(4)
#define DRIVER_ROM     MIB(1) /* ends at 4 GiB */

struct driver {
	uint8_t *ram; /* guest physical address 0 */
	struct vring ring;
	uint64_t rings_gpa;
	bool event_idx;
	uint16_t avail_idx, used_seen; /* the next entry to fill, and the next one to look at */
};

/* A queue of this size at DRIVER_RINGS, all zero. */
static inline void driver_init(struct driver *driver, void *ram, uint16_t size, bool event_idx)
{
	*driver = (struct driver){.ram = ram, .rings_gpa = DRIVER_RINGS, .event_idx = event_idx};
	memset(driver->ram + DRIVER_RINGS, 0, vring_size(size, 4));
	vring_init(&driver->ring, size, driver->ram + DRIVER_RINGS, 4);
}

static inline uint64_t driver_gpa(const struct driver *driver, const void *at)
{
	return (uint64_t)((const uint8_t *)at - driver->ram);
}

/* The addresses that the driver writes to the transport. */
static inline void driver_place(const struct driver *driver, struct virtio_queue_setup *setup)
{
	setup->size = (uint16_t)driver->ring.num;
	setup->desc_gpa = driver_gpa(driver, driver->ring.desc);
	setup->avail_gpa = driver_gpa(driver, driver->ring.avail);
	setup->used_gpa = driver_gpa(driver, driver->ring.used);
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

/* ---- a queue under test, whose driver this is ---- */

struct bench {
	struct err err;
	struct host *host;
	struct page_memory *memory;
	struct driver driver;
	struct virtio_queue_owner owner;
	struct virtio_queue queue;
	unsigned calls, breaks;
	char broken[200];
};

static inline void bench_on_call(void *ctx, unsigned index)
{
	((struct bench *)ctx)->calls++;
}

static inline void bench_on_broken(void *ctx, const char *text)
{
	struct bench *bench = ctx;

	bench->breaks++;
	snprintf(bench->broken, sizeof(bench->broken), "%s", text);
}

static inline int bench_setup(void **state)
{
	static struct bench bench;
	struct page_layout layout;

	bench = (struct bench){0};
	*state = &bench;
	bench.owner = (struct virtio_queue_owner){bench_on_call, bench_on_broken, &bench};
	return host_kernel_create(&bench.host, &bench.err) ||
	       page_layout_make(DRIVER_MEMORY, DRIVER_ROM, &layout, &bench.err) ||
	       page_memory_create(bench.host, &layout, false, &bench.memory, &bench.err);
}

static inline int bench_teardown(void **state)
{
	struct bench *bench = *state;

	page_memory_destroy(bench->memory);
	host_destroy(bench->host);
	return 0;
}

static inline struct virtio_queue_setup bench_queue(struct bench *bench, uint16_t size, uint64_t features)
{
	struct virtio_queue_setup setup = {
	        .owner = &bench->owner, .memory = bench->memory, .features = features, .index = 5};

	driver_init(&bench->driver, page_memory_slot_address(bench->memory, 0), size,
	        features & VIRTIO_F_EVENT_IDX);
	driver_place(&bench->driver, &setup);
	return setup;
}

static inline void bench_start(struct bench *bench, uint16_t size, uint64_t features)
{
	struct virtio_queue_setup setup = bench_queue(bench, size, features);

	bench->calls = bench->breaks = 0;
	if (virtio_queue_start(&bench->queue, &setup, &bench->err) < 0)
		fail_msg("%s", bench->err.text);
}

#endif
