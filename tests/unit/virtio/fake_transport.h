/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_transport: stands in for the transport, so that a test can start, kick and stop one device on queues
 * of its own. Link with the arguments that meson.build calls fake_transport.
 */
#ifndef TEST_VIRTIO_FAKE_TRANSPORT_H
#define TEST_VIRTIO_FAKE_TRANSPORT_H

#include <stdarg.h>

#include "driver.h"

struct virtio_device {
	struct virtio_setup setup;
	_Atomic unsigned stops, breaks;
	char broken[200];
};

static struct virtio_device fake;

int __wrap_virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err);
int __wrap_virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err)
{
	fake.setup = *setup;
	fake.stops = fake.breaks = 0;
	*ret_device = &fake;
	return 0;
}

void *__wrap_virtio_device_find(
        const struct device_board *board, const struct virtio_kind *kind, const char *id);
void *__wrap_virtio_device_find(
        const struct device_board *board, const struct virtio_kind *kind, const char *id)
{
	return kind == fake.setup.kind ? fake.setup.ctx : NULL;
}

void __wrap_virtio_device_stopped(struct virtio_device *device);
void __wrap_virtio_device_stopped(struct virtio_device *device)
{
	device->stops++;
}

void __wrap_virtio_device_break(struct virtio_device *device, const char *fmt, ...) PRINTF(2, 3);
void __wrap_virtio_device_break(struct virtio_device *device, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(device->broken, sizeof(device->broken), fmt, args);
	va_end(args);
	device->breaks++; /* last: who sees it may read the text */
}

/* Starts the device on these queues, as a driver that sets DRIVER_OK does. */
static inline void fake_start(struct bench *bench, struct virtio_queue *const *queues, unsigned count)
{
	struct virtio_queue *own[VIRTIO_QUEUES_MAX] = {0};
	struct virtio_start start = {.queues = own, .memory = bench->memory};

	assert_int_equal(count, fake.setup.queues);
	memcpy(own, queues, count * sizeof(*own));
	if (fake.setup.kind->start(fake.setup.ctx, &start, &bench->err) < 0)
		fail_msg("%s", bench->err.text);
}

static inline void fake_kick(struct virtio_queue *queue)
{
	fake.setup.kind->kick(fake.setup.ctx, queue);
}

static inline void fake_stop_now(void *unused)
{
	fake.setup.kind->stop(fake.setup.ctx);
}

/* A device on the main loop has none here. */
static inline void fake_stop(void)
{
	if (fake.setup.loop)
		loop_call(fake.setup.loop, fake_stop_now, NULL);
	else
		fake_stop_now(NULL);
}

#endif
