/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver: a queue under test, and the driver on its other side.
 */
#ifndef TEST_VIRTIO_DRIVER_H
#define TEST_VIRTIO_DRIVER_H

#include "../../../src/virtio/queue.h"
#include "support/test.h"
#include "support/virtio_driver.h"

/* Where the driver puts what in the guest's memory. */
#define DRIVER_RINGS   0x10000u
#define DRIVER_TABLES  0x80000u /* indirect tables */
#define DRIVER_BUFFERS 0x100000u
#define DRIVER_MEMORY  MIB(4)
#define DRIVER_ROM     MIB(1) /* ends at 4 GiB */

/* The addresses that the driver writes to the transport. */
static inline void driver_place(const struct driver *driver, struct virtio_queue_setup *setup)
{
	setup->size = (uint16_t)driver->ring.num;
	setup->desc_gpa = driver_gpa(driver, driver->ring.desc);
	setup->avail_gpa = driver_gpa(driver, driver->ring.avail);
	setup->used_gpa = driver_gpa(driver, driver->ring.used);
}

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
	       page_memory_create(bench.host, &layout, PAGE_SHARED, &bench.memory, &bench.err);
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

	driver_init(&bench->driver, page_memory_slot_address(bench->memory, 0), DRIVER_RINGS, size,
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
