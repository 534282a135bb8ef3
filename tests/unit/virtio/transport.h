/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport: a board with a device that only remembers what it was told, and a driver that keeps the rules.
 * One queue of the device is served outside vmm.
 */
#ifndef TEST_VIRTIO_TRANSPORT_H
#define TEST_VIRTIO_TRANSPORT_H

#include <sys/eventfd.h>

#include "support/test.h"
#include "support/virtio_guest.h"
#include "support/wires.h"
#include "vmm/device/pci.h"

#include "../../../src/virtio/queue.h"

#define QUEUES           3
#define OUTSIDE          2 /* the queue that is served outside; the kernel sends the interrupts of its vector */
#define RINGS            0x10000u
#define SIZE             8
#define BELL(bar, queue) ((bar) + 0x3000 + 4 * (queue))
#define READY \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	        VIRTIO_CONFIG_S_DRIVER_OK)

static struct virtio_guest guest;
static struct fake_wires wires;
static struct virtio_function function;

/* ---- the device ---- */

static struct fake {
	struct virtio_device *device;
	uint64_t features;
	struct virtio_queue *queues[QUEUES]; /* while it runs */
	unsigned starts, stops, finished, kicks[QUEUES];
	bool fail;     /* the start */
	bool break_it; /* in the next kick */
	uint8_t config[6];
} fake;

static inline void fake_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	memcpy(data, &fake.config[offset], size);
}

static inline void fake_config_write(void *ctx, unsigned offset, const void *data, unsigned size)
{
	memcpy(&fake.config[offset], data, size);
}

static inline int fake_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	if (fake.fail)
		return err_set(err, ERR_HOST, "there is no back end");
	fake.starts++;
	fake.features = start->features;
	memcpy(fake.queues, start->queues, sizeof(fake.queues));
	return 0;
}

static inline void fake_kick(void *ctx, struct virtio_queue *queue)
{
	fake.kicks[virtio_queue_index(queue)]++;
	if (fake.break_it)
		virtio_device_break(fake.device, "%s", "the driver asks for the impossible");
	assert_int_equal(fake.stops, 0);
}

static inline void fake_stop(void *ctx)
{
	fake.stops++;
	memset(fake.queues, 0, sizeof(fake.queues));
	virtio_device_stopped(fake.device);
}

static inline void fake_finish(void *ctx)
{
	fake.finished++;
}

static const struct virtio_kind kind = {.name = "virtio-fake",
        .id = 30,
        .pci_class = 0xff0000,
        .config_read = fake_config_read,
        .config_write = fake_config_write,
        .start = fake_start,
        .kick = fake_kick,
        .stop = fake_stop,
        .finish = fake_finish};

static inline struct virtio_setup make_setup(void)
{
	return (struct virtio_setup){.kind = &kind,
	        .ctx = &fake,
	        .id = "fake0",
	        .features = UINT64_C(1) << 5 | UINT64_C(1) << 40 | UINT64_C(1) << 29,
	        .queues = QUEUES,
	        .queue_size = SIZE,
	        .config_bytes = sizeof(fake.config),
	        .loop = guest.loop,
	        .outside = {1 << OUTSIDE}};
}

static inline int setup(void **state)
{
	struct virtio_setup one;
	struct err err;

	fake = (struct fake){.config = {1, 2, 3, 4, 5, 6}};
	virtio_guest_init(&guest);
	guest.board.wires = fake_wires(&wires);
	one = make_setup();
	assert_ok(virtio_pci_add(&guest.board, &one, &fake.device, &err));
	virtio_guest_start(&guest);
	return 0;
}

static inline int teardown(void **state)
{
	virtio_guest_finish(&guest);
	assert_int_equal(fake.finished, 1);
	assert_int_equal(fake.starts, fake.stops);
	assert_false(wires.wrong);
	assert_int_equal(wires.bound_count, 0);
	assert_int_equal(wires.bell_count, 0);
	return 0;
}

/* ---- the driver ---- */

/* Finds the device and makes it ready with these queues; bit i is queue i. */
static inline void make_ready(bool msix, unsigned queues)
{
	struct driver driver;

	assert_true(virtio_function_find(&function, &guest, 0, msix));
	if (msix)
		virtio_function_unmask(&function);
	virtio_function_negotiate(&function, UINT64_MAX);
	virtio_function_set(&function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		if (queues >> i & 1)
			virtio_function_queue(&function, i, &driver, RINGS + 0x1000 * i, SIZE, false);
	virtio_function_add_status(&function, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline uint64_t isr(void)
{
	return device_bus_read(guest.board.bus, DEVICE_MMIO, function.isr, 1);
}

static inline uint64_t config_get(unsigned offset, unsigned size)
{
	return device_bus_read(guest.board.bus, DEVICE_MMIO, function.config + offset, size);
}

static inline bool line(void)
{
	return guest.lines[device_pci_gsi(function.slot, 1)];
}

/* What virtio_queue_flush() does when the driver wants an interrupt. */
static inline void call_driver(unsigned queue)
{
	const struct virtio_queue_owner *owner = fake.queues[queue]->setup.owner;

	owner->call(owner->ctx, queue);
}

#endif
