/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold: all devices of a board do nothing while the guest does not run. Main thread, while no vCPU runs.
 */
#include "device.h"

static void for_all(const struct device_board *board, void (*act)(struct virtio_device *device))
{
	for (unsigned i = 0; i < board->count; i++) {
		struct virtio_device *device = virtio_pci_device(board, i);

		if (!device)
			continue;
		pthread_mutex_lock(&device->device.lock);
		act(device);
		pthread_mutex_unlock(&device->device.lock);
	}
}

void virtio_hold(const struct device_board *board)
{
	for_all(board, virtio_life_hold);
}

void virtio_wake(const struct device_board *board)
{
	for_all(board, virtio_life_wake);
}
