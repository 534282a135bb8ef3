/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit: the state of a device as bytes, for a guest that goes on in another vmm: registers, the places of
 * its queues, its interrupts, and what the kind knows. Main thread, with the transport's lock held; no vCPU
 * runs and the device is held, before and after. VIRTIO 1.2, 2.1, 2.7, 4.1.4.
 *
 * What is loaded gets the checks that a driver's own writes get. A device whose driver had set DRIVER_OK is
 * then as if it had been held here: virtio_wake() lets it go on. All chains that were popped were also pushed
 * (virtio_queue_settle()), so one index says where a queue is: of both rings.
 */
#include <inttypes.h>

#include "device.h"

/* The driver is ready, and has not broken the rules: the device serves its queues. */
static bool works(const struct virtio_device *device)
{
	return (device->status & VIRTIO_DRIVER_OK) && !(device->status & VIRTIO_NEEDS_RESET);
}

/* ---- registers ---- */

/* A status that no driver can reach: features that cannot be agreed to, a device ready without any. */
static void check_status(const struct virtio_device *device, struct vmstate *s)
{
	uint8_t status = device->status;

	if (status & VIRTIO_FEATURES_OK && !virtio_common_agrees(device))
		vmstate_fail(s,
		        "its driver agreed to the features 0x%" PRIx64 ", and here 0x%" PRIx64 " are offered",
		        device->driver_features, device->offered);
	else if (status & VIRTIO_DRIVER_OK && !(status & VIRTIO_FEATURES_OK))
		vmstate_fail(s, "its driver is ready without having agreed to features");
}

static void visit_status(struct virtio_device *device, struct vmstate *s)
{
	uint8_t status = device->status, generation = device->generation;

	vmstate_u8(s, "status", &status,
	        VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK |
	                VIRTIO_NEEDS_RESET | VIRTIO_FAILED);
	vmstate_u8(s, "generation", &generation, UINT8_MAX);
	vmstate_u64(s, "driver features", &device->driver_features, UINT64_MAX);
	device->status = status;
	device->generation = generation;
	if (s->loads && !s->bad)
		check_status(device, s);
}

/* The other register that holds a vector's number; a driver reads back NO_VECTOR for one that does not exist.
 */
static void visit_vector(const struct virtio_device *device, _Atomic uint16_t *vector, struct vmstate *s)
{
	uint16_t value = *vector;

	vmstate_u16(s, "vector", &value, UINT16_MAX);
	if (value != VIRTIO_NO_VECTOR && value >= device_msix_vectors(device->msix))
		vmstate_fail(s, "vector %u of %u", value, device_msix_vectors(device->msix));
	else
		*vector = value;
}

static void visit_registers(struct virtio_device *device, struct vmstate *s)
{
	vmstate_same(s, "the kind of device", device->setup.kind->id);
	vmstate_same(s, "the number of queues", device->setup.queues);
	vmstate_same(s, "the largest queue", device->setup.queue_size);
	visit_status(device, s);
	vmstate_u32(s, "device feature select", &device->device_feature_select, UINT32_MAX);
	vmstate_u32(s, "driver feature select", &device->driver_feature_select, UINT32_MAX);
	vmstate_u16(s, "queue select", &device->queue_select, UINT16_MAX);
	visit_vector(device, &device->config_vector, s);
}

/* ---- queues ---- */

static void visit_slot(struct virtio_slot *slot, struct vmstate *s)
{
	const struct virtio_device *device = slot->device;
	uint16_t size = slot->size;

	slot->from = slot->queue.used_next;
	vmstate_u16(s, "queue size", &size, UINT16_MAX);
	if (!size || size > device->setup.queue_size || !is_aligned(size, size))
		vmstate_fail(s, "queue %u has %u entries, and a power of two up to %u is possible",
		        slot->index, size, device->setup.queue_size);
	else
		slot->size = size;
	vmstate_bool(s, "queue enabled", &slot->enabled);
	vmstate_u64(s, "descriptor table", &slot->desc_gpa, UINT64_MAX);
	vmstate_u64(s, "available ring", &slot->avail_gpa, UINT64_MAX);
	vmstate_u64(s, "used ring", &slot->used_gpa, UINT64_MAX);
	visit_vector(device, &slot->vector, s);
	if (slot->enabled && works(device))
		vmstate_u16(s, "queue index", &slot->from, UINT16_MAX);
}

/* ---- interrupts ---- */

/* The pin follows from the status. */
static void visit_interrupt(struct virtio_device *device, struct vmstate *s)
{
	pthread_mutex_lock(&device->interrupt_lock);
	vmstate_u8(s, "interrupt status", &device->isr, VIRTIO_ISR_BITS);
	vmstate_bool(s, "late interrupt", &device->late);
	if (s->loads)
		device_pci_interrupt(device->function, device->isr != 0);
	pthread_mutex_unlock(&device->interrupt_lock);
}

/* ---- the kind's own ---- */

struct kind_visit {
	struct virtio_device *device;
	struct vmstate *s;
};

static void visit_on_loop(void *ctx)
{
	const struct kind_visit *visit = ctx;
	const struct virtio_device *device = visit->device;

	device->setup.kind->visit(
	        device->setup.ctx, works(device), works(device) ? device->driver_features : 0, visit->s);
}

static void visit_kind(struct virtio_device *device, struct vmstate *s)
{
	struct kind_visit visit = {device, s};

	if (device->setup.kind->visit)
		loop_call(device->setup.loop, visit_on_loop, &visit);
}

/* ---- the device ---- */

static bool may_be_visited(struct virtio_device *device, struct vmstate *s)
{
	const char *why = virtio_unmovable(device);

	if (why)
		vmstate_fail(s, "%s", why);
	else if (!s->loads && works(device) && !virtio_life_is_held(device))
		vmstate_fail(s, "it is not held");
	return !s->bad;
}

void virtio_visit(struct virtio_device *device, struct vmstate *s)
{
	s->part = device->id;
	if (!may_be_visited(device, s))
		return;
	if (s->loads) {
		virtio_life_reset(device);
		virtio_life_hold(device);
	}
	visit_registers(device, s);
	for (unsigned i = 0; i < device->setup.queues; i++)
		visit_slot(&device->slots[i], s);
	visit_interrupt(device, s);
	visit_kind(device, s);
	if (s->loads && !s->bad && works(device))
		virtio_life_arrive(device, s);
	/* What is left of a bad one is what a reset leaves: nothing can start it. */
	if (s->loads && s->bad)
		virtio_life_reset(device);
}

const char *virtio_unmovable(const struct virtio_device *device)
{
	const char *why = device->setup.kind->unmovable;

	if (virtio_serves_itself(device))
		return NULL;
	return why ? why : "another program serves the queues of one of its devices";
}
