/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_interrupt: how the driver is interrupted: by a vector of MSI-X, or by the pin with the interrupt status
 * register. Any thread. VIRTIO 1.2, sections 4.1.4.5, 4.1.5.3, 4.1.5.4.
 */
#include "device.h"

/* The lock keeps status and pin together, and lets no interrupt start after the guest has gone. */
static void interrupt(struct virtio_device *device, uint8_t isr, uint16_t vector)
{
	pthread_mutex_lock(&device->interrupt_lock);
	if (device->live && device_msix_is_on(device->msix)) {
		device_msix_notify(device->msix, vector);
	} else if (device->live) {
		device->isr |= isr;
		device_pci_interrupt(device->function, true);
	}
	pthread_mutex_unlock(&device->interrupt_lock);
}

void virtio_interrupt_queue(void *ctx, unsigned index)
{
	struct virtio_device *device = ctx;

	interrupt(device, VIRTIO_ISR_QUEUE, device->slots[index].vector);
}

/* Is the driver to be told later? */
static bool is_late(struct virtio_device *device)
{
	bool held;

	pthread_mutex_lock(&device->interrupt_lock);
	held = device->held;
	device->late |= held;
	pthread_mutex_unlock(&device->interrupt_lock);
	return held;
}

void virtio_interrupt_config(struct virtio_device *device)
{
	if (device->status & VIRTIO_DRIVER_OK && !is_late(device))
		interrupt(device, VIRTIO_ISR_CONFIG, device->config_vector);
}

void virtio_interrupt_hold(struct virtio_device *device, bool held)
{
	bool late;

	pthread_mutex_lock(&device->interrupt_lock);
	device->held = held;
	late = !held && device->late;
	device->late = held && device->late;
	pthread_mutex_unlock(&device->interrupt_lock);
	if (late)
		virtio_interrupt_config(device);
}

/* The interrupt lock is held. */
static uint8_t take_status(struct virtio_device *device)
{
	uint8_t isr = device->isr;

	device->isr = 0;
	if (isr)
		device_pci_interrupt(device->function, false);
	return isr;
}

uint8_t virtio_interrupt_status(struct virtio_device *device)
{
	uint8_t isr;

	pthread_mutex_lock(&device->interrupt_lock);
	isr = take_status(device);
	pthread_mutex_unlock(&device->interrupt_lock);
	return isr;
}

void virtio_interrupt_live(struct virtio_device *device, bool live)
{
	pthread_mutex_lock(&device->interrupt_lock);
	device->live = live;
	device->held = device->late = false;
	take_status(device);
	pthread_mutex_unlock(&device->interrupt_lock);
}

void virtio_device_config_changed(struct virtio_device *device)
{
	atomic_fetch_add(&device->generation, 1);
	virtio_interrupt_config(device);
}
