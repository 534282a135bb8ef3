/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_common: the registers that all devices have. Runs on vCPU threads with the transport's lock held. An
 * access may have any width and lie across registers: each register gets the bytes that are its own, once.
 * VIRTIO 1.2, sections 2.1, 4.1.4.3.
 */
#include "device.h"

#define FEATURE_WORDS 2 /* those from 64 on do not exist, and read as 0 */

/* ---- features and status ---- */

static uint64_t get_feature_select(const struct virtio_device *device)
{
	return device->device_feature_select;
}

static void set_feature_select(struct virtio_device *device, uint64_t value)
{
	device->device_feature_select = (uint32_t)value;
}

static uint64_t get_features(const struct virtio_device *device)
{
	uint32_t word = device->device_feature_select;

	return word < FEATURE_WORDS ? device->offered >> (32 * word) & UINT32_MAX : 0;
}

static uint64_t get_driver_select(const struct virtio_device *device)
{
	return device->driver_feature_select;
}

static void set_driver_select(struct virtio_device *device, uint64_t value)
{
	device->driver_feature_select = (uint32_t)value;
}

static uint64_t get_driver_features(const struct virtio_device *device)
{
	uint32_t word = device->driver_feature_select;

	return word < FEATURE_WORDS ? device->driver_features >> (32 * word) & UINT32_MAX : 0;
}

static void set_driver_features(struct virtio_device *device, uint64_t value)
{
	uint32_t word = device->driver_feature_select;

	if (word < FEATURE_WORDS && !(device->status & VIRTIO_FEATURES_OK))
		store_le((uint8_t *)&device->driver_features + 4 * (size_t)word, 4, value);
}

static uint64_t get_status(const struct virtio_device *device)
{
	return device->status;
}

/* A driver that does not know VERSION_1 speaks another protocol (VIRTIO 6.1). */
bool virtio_common_agrees(const struct virtio_device *device)
{
	return !(device->driver_features & ~device->offered) && device->driver_features & VIRTIO_F_VERSION_1;
}

/* Bits are only added until the driver writes 0. */
static void set_status(struct virtio_device *device, uint64_t value)
{
	uint8_t old = device->status, new;

	if (value == 0) {
		virtio_life_reset(device);
		return;
	}
	new = (uint8_t)value &(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK | VIRTIO_FEATURES_OK |
	                       VIRTIO_FAILED) &
	      (uint8_t)~old;
	if (new &VIRTIO_FEATURES_OK && !virtio_common_agrees(device))
		new &= (uint8_t)~VIRTIO_FEATURES_OK;
	if (new &VIRTIO_DRIVER_OK && !((old | new) & VIRTIO_FEATURES_OK))
		new &= (uint8_t)~VIRTIO_DRIVER_OK;
	atomic_fetch_or(&device->status, new);
	if (new &VIRTIO_DRIVER_OK && !(old & VIRTIO_NEEDS_RESET))
		virtio_life_start(device);
}

static uint64_t get_generation(const struct virtio_device *device)
{
	return device->generation;
}

/* ---- vectors ---- */

static uint16_t possible_vector(const struct virtio_device *device, uint64_t value)
{
	return value < device_msix_vectors(device->msix) ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static uint64_t get_config_vector(const struct virtio_device *device)
{
	return device->config_vector;
}

static void set_config_vector(struct virtio_device *device, uint64_t value)
{
	device->config_vector = possible_vector(device, value);
}

/* ---- queues ---- */

static uint64_t get_queues(const struct virtio_device *device)
{
	return device->setup.queues;
}

static uint64_t get_queue_select(const struct virtio_device *device)
{
	return device->queue_select;
}

static void set_queue_select(struct virtio_device *device, uint64_t value)
{
	device->queue_select = (uint16_t)value;
}

/* NULL: there is no such queue. Its registers read as 0. */
static struct virtio_slot *selected(const struct virtio_device *device)
{
	return device->queue_select < device->setup.queues ? &device->slots[device->queue_select] : NULL;
}

/* The same, if the driver may still change it: an enabled queue stays as it is until a reset. */
static struct virtio_slot *changeable(const struct virtio_device *device)
{
	struct virtio_slot *slot = selected(device);

	return slot && !slot->enabled ? slot : NULL;
}

static uint64_t get_size(const struct virtio_device *device)
{
	const struct virtio_slot *slot = selected(device);

	return slot ? slot->size : 0;
}

/* A size that is not possible changes nothing. The driver sees that when it reads the size back. */
static void set_size(struct virtio_device *device, uint64_t value)
{
	struct virtio_slot *slot = changeable(device);

	if (slot && value && value <= device->setup.queue_size && is_aligned(value, value))
		slot->size = (uint16_t)value;
}

static uint64_t get_vector(const struct virtio_device *device)
{
	const struct virtio_slot *slot = selected(device);

	return slot ? slot->vector : VIRTIO_NO_VECTOR;
}

static void set_vector(struct virtio_device *device, uint64_t value)
{
	struct virtio_slot *slot = selected(device);

	if (!slot)
		return;
	slot->vector = possible_vector(device, value);
	virtio_life_rewire(slot);
}

static uint64_t get_enable(const struct virtio_device *device)
{
	const struct virtio_slot *slot = selected(device);

	return slot && slot->enabled;
}

/* Queues are enabled before the device runs (VIRTIO 4.1.5.1.3). */
static void set_enable(struct virtio_device *device, uint64_t value)
{
	struct virtio_slot *slot = changeable(device);

	if (slot && value == 1 && !(device->status & VIRTIO_DRIVER_OK))
		slot->enabled = true;
}

static uint64_t get_notify_off(const struct virtio_device *device)
{
	return selected(device) ? device->queue_select : 0;
}

#define ADDRESS(name, member) \
	static uint64_t get_##name(const struct virtio_device *device) \
	{ \
		const struct virtio_slot *slot = selected(device); \
\
		return slot ? slot->member : 0; \
	} \
	static void set_##name(struct virtio_device *device, uint64_t value) \
	{ \
		struct virtio_slot *slot = changeable(device); \
\
		if (slot) \
			slot->member = value; \
	}
ADDRESS(desc, desc_gpa)
ADDRESS(avail, avail_gpa)
ADDRESS(used, used_gpa)
#undef ADDRESS

/* ---- the table ---- */

static const struct {
	uint8_t at, size;
	uint64_t (*get)(const struct virtio_device *device);
	void (*set)(struct virtio_device *device, uint64_t value); /* NULL: read-only */
} registers[] = {
        {0x00, 4, get_feature_select, set_feature_select},
        {0x04, 4, get_features, NULL},
        {0x08, 4, get_driver_select, set_driver_select},
        {0x0c, 4, get_driver_features, set_driver_features},
        {0x10, 2, get_config_vector, set_config_vector},
        {0x12, 2, get_queues, NULL},
        {0x14, 1, get_status, set_status},
        {0x15, 1, get_generation, NULL},
        {0x16, 2, get_queue_select, set_queue_select},
        {0x18, 2, get_size, set_size},
        {0x1a, 2, get_vector, set_vector},
        {0x1c, 2, get_enable, set_enable},
        {0x1e, 2, get_notify_off, NULL},
        {0x20, 8, get_desc, set_desc},
        {0x28, 8, get_avail, set_avail},
        {0x30, 8, get_used, set_used},
};

static bool meets(size_t i, unsigned offset, unsigned size)
{
	return offset < registers[i].at + registers[i].size && registers[i].at < offset + size;
}

uint64_t virtio_common_read(struct virtio_device *device, unsigned offset, unsigned size)
{
	uint8_t bytes[VIRTIO_COMMON_BYTES + 8] = {0};

	for (size_t i = 0; i < ARRAY_LEN(registers); i++)
		if (meets(i, offset, size))
			store_le(&bytes[registers[i].at], registers[i].size, registers[i].get(device));
	return load_le(&bytes[offset], size);
}

void virtio_common_write(struct virtio_device *device, unsigned offset, unsigned size, uint64_t value)
{
	uint8_t bytes[VIRTIO_COMMON_BYTES + 8];

	for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
		if (!registers[i].set || !meets(i, offset, size))
			continue;
		store_le(&bytes[registers[i].at], registers[i].size, registers[i].get(device));
		store_le(&bytes[offset], size, value);
		registers[i].set(device, load_le(&bytes[registers[i].at], registers[i].size));
	}
}

void virtio_common_reset(struct virtio_device *device)
{
	device->device_feature_select = device->driver_feature_select = 0;
	device->driver_features = 0;
	device->queue_select = 0;
	device->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < device->setup.queues; i++) {
		struct virtio_slot *slot = &device->slots[i];

		slot->size = device->setup.queue_size;
		slot->vector = VIRTIO_NO_VECTOR;
		slot->enabled = false;
		slot->desc_gpa = slot->avail_gpa = slot->used_gpa = 0;
	}
	device->status = 0;
}
