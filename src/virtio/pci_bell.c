/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_bell: doorbells. While a device runs, the kernel signals a queue's eventfd when the guest writes to the
 * queue's address, wherever the guest has put the BAR. A write that arrives as an exit signals the same
 * eventfd. Any thread. VIRTIO 1.2, section 4.1.5.2.
 */
#include <poll.h>
#include <unistd.h>

#include "device.h"

/*
 * A counter that is full has been signalled anyway. A back end outside vmm has the eventfd, too, and may have
 * made it blocking, so that a write would wait for that back end.
 */
static bool is_full(const struct virtio_slot *slot)
{
	struct pollfd kick = {.fd = slot->kick_fd, .events = POLLOUT};

	return virtio_is_outside(slot) && poll(&kick, 1, 0) == 0;
}

void virtio_bell_ring(const struct virtio_slot *slot)
{
	const uint64_t one = 1;

	if (is_full(slot) || write(slot->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static void take_down(struct virtio_device *device, struct virtio_slot *slot)
{
	const struct device_wires *wires = &device->board->wires;

	if (slot->hung && wires->doorbell(wires->ctx, slot->kick_fd, slot->bell, false) < 0)
		log_debug("%s: a doorbell had gone already", device->id);
	slot->hung = false;
}

static void hang_up(struct virtio_device *device, struct virtio_slot *slot)
{
	const struct device_wires *wires = &device->board->wires;

	slot->bell = device->bar + VIRTIO_NOTIFY_AT + (uint64_t)slot->index * VIRTIO_NOTIFY_STRIDE;
	slot->hung = wires->doorbell && wires->doorbell(wires->ctx, slot->kick_fd, slot->bell, true) == 0;
}

/* Puts the bells where they belong now. The lock is held. */
static void update(struct virtio_device *device)
{
	for (unsigned i = 0; i < device->setup.queues; i++) {
		struct virtio_slot *slot = &device->slots[i];

		take_down(device, slot);
		if (device->bar_on && device->ringing && device->started[i])
			hang_up(device, slot);
	}
}

void virtio_bell_move(void *ctx, bool on, uint64_t base)
{
	struct virtio_device *device = ctx;

	pthread_mutex_lock(&device->bell_lock);
	device->bar_on = on;
	device->bar = base;
	update(device);
	pthread_mutex_unlock(&device->bell_lock);
}

void virtio_bell_hang(struct virtio_device *device, bool ringing)
{
	pthread_mutex_lock(&device->bell_lock);
	device->ringing = ringing;
	update(device);
	pthread_mutex_unlock(&device->bell_lock);
}
