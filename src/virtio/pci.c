/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci: a virtio device as a PCI function: its BAR, its capabilities, and its life on the board. Registers run
 * on vCPU threads, the rest on the main thread. VIRTIO 1.2, sections 4.1.2 to 4.1.4.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"

#define VENDOR_ID       0x1af4
#define DEVICE_ID_FIRST 0x1040 /* plus the device's id of VIRTIO 5 */
#define REVISION        1
#define PIN_INTA        1

/*
 * What a device may offer. Of the bits between those of devices (VIRTIO 2.2) only those that the transport
 * and the ring walker know.
 */
#define DEVICE_FEATURES \
	(UINT64_C(0xffffff) | ~UINT64_C(0) << 50 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* ---- the device's own configuration. Bytes behind it are 0 ---- */

static unsigned config_part(const struct virtio_device *device, uint64_t offset, unsigned size)
{
	unsigned bytes = device->setup.config_bytes;

	if (offset >= bytes)
		return 0;
	return size < bytes - (unsigned)offset ? size : bytes - (unsigned)offset;
}

static uint64_t config_read(struct virtio_device *device, uint64_t offset, unsigned size)
{
	unsigned part = config_part(device, offset, size);
	uint64_t value = 0;

	if (part)
		device->setup.kind->config_read(device->setup.ctx, (unsigned)offset, &value, part);
	return value;
}

static void config_write(struct virtio_device *device, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned part = config_part(device, offset, size);

	if (part && device->setup.kind->config_write)
		device->setup.kind->config_write(device->setup.ctx, (unsigned)offset, &value, part);
}

/* ---- the BAR ---- */

static uint64_t locked_read(struct virtio_device *device, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	pthread_mutex_lock(&device->device.lock);
	if (offset < VIRTIO_COMMON_AT + VIRTIO_COMMON_BYTES)
		value = virtio_common_read(device, (unsigned)offset, size);
	else if (offset >= VIRTIO_CONFIG_AT)
		value = config_read(device, offset - VIRTIO_CONFIG_AT, size);
	pthread_mutex_unlock(&device->device.lock);
	return value;
}

static uint64_t bar_read(void *ctx, uint64_t offset, unsigned size)
{
	struct virtio_device *device = ctx;

	if (offset == VIRTIO_ISR_AT)
		return virtio_interrupt_status(device);
	if (offset >= VIRTIO_NOTIFY_AT)
		return 0;
	return locked_read(device, offset, size);
}

/* The value says nothing that the address does not say. */
static void notify(const struct virtio_device *device, uint64_t offset)
{
	uint64_t queue = (offset - VIRTIO_NOTIFY_AT) / VIRTIO_NOTIFY_STRIDE;

	if (queue < device->setup.queues)
		virtio_bell_ring(&device->slots[queue]);
}

static enum device_verdict bar_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_device *device = ctx;

	if (offset >= VIRTIO_NOTIFY_AT) {
		notify(device, offset);
		return DEVICE_RESUME;
	}
	pthread_mutex_lock(&device->device.lock);
	if (offset < VIRTIO_COMMON_AT + VIRTIO_COMMON_BYTES)
		virtio_common_write(device, (unsigned)offset, size, value);
	else if (offset >= VIRTIO_CONFIG_AT)
		config_write(device, offset - VIRTIO_CONFIG_AT, size, value);
	pthread_mutex_unlock(&device->device.lock);
	return DEVICE_RESUME;
}

/* ---- capabilities: where in which BAR the structures lie (VIRTIO 4.1.4) ---- */

enum structure { COMMON = 1, NOTIFY = 2, ISR = 3, CONFIG = 4, WINDOW = 5 };

/* Offsets in such a capability. */
enum {
	CAP_BYTES = 2,
	CAP_TYPE = 3,
	CAP_BAR = 4,
	CAP_OFFSET = 8,
	CAP_LENGTH = 12,
	CAP_SIZE = 16,
	CAP_MULTIPLIER = 16, /* of the notify structure */
	CAP_DATA = 16,       /* of the window */
	CAP_SIZE_MAX = 20,
};

static int add_structure(
        struct virtio_device *device, enum structure type, uint32_t offset, uint32_t length, struct err *err)
{
	uint8_t body[CAP_SIZE_MAX] = {PCI_CAP_ID_VNDR}, at;
	unsigned size = type == NOTIFY ? CAP_SIZE_MAX : CAP_SIZE;

	body[CAP_BYTES] = (uint8_t)size;
	body[CAP_TYPE] = (uint8_t)type;
	body[CAP_BAR] = VIRTIO_BAR;
	store_le(&body[CAP_OFFSET], 4, offset);
	store_le(&body[CAP_LENGTH], 4, length);
	if (type == NOTIFY)
		store_le(&body[CAP_MULTIPLIER], 4, VIRTIO_NOTIFY_STRIDE);
	return device_pci_add_capability(device->function, body, NULL, size, &at, err);
}

/* The driver writes BAR, offset and length of a register; the data that follows is then that register. */
static int add_window(struct virtio_device *device, struct err *err)
{
	static const uint8_t body[CAP_SIZE_MAX] = {
	        PCI_CAP_ID_VNDR, [CAP_BYTES] = CAP_SIZE_MAX, [CAP_TYPE] = WINDOW};
	static const uint8_t mask[CAP_SIZE_MAX] = {[CAP_BAR] = 0xff,
	        [CAP_OFFSET] = 0xff,
	        0xff,
	        0xff,
	        0xff,
	        [CAP_LENGTH] = 0xff,
	        0xff,
	        0xff,
	        0xff,
	        [CAP_DATA] = 0xff,
	        0xff,
	        0xff,
	        0xff};

	return device_pci_add_capability(device->function, body, mask, sizeof(body), &device->window_at, err);
}

/* Returns the length of the register that the window shows; 0: there is none. */
static unsigned window_length(
        const struct virtio_device *device, const uint8_t config[256], uint32_t *ret_offset)
{
	const uint8_t *cap = config + device->window_at;
	uint64_t offset = load_le(&cap[CAP_OFFSET], 4), length = load_le(&cap[CAP_LENGTH], 4);

	if (cap[CAP_BAR] != VIRTIO_BAR || (length != 1 && length != 2 && length != 4) ||
	        !is_aligned(offset, length) || !range_fits(offset, length, VIRTIO_BAR_BYTES))
		return 0;
	*ret_offset = (uint32_t)offset;
	return (unsigned)length;
}

static uint32_t window_read(void *ctx, const uint8_t config[256])
{
	struct virtio_device *device = ctx;
	uint32_t offset;
	unsigned length = window_length(device, config, &offset);

	return length ? (uint32_t)bar_read(device, offset, length) : UINT32_MAX;
}

static void window_write(void *ctx, const uint8_t config[256])
{
	struct virtio_device *device = ctx;
	uint32_t offset;
	unsigned length = window_length(device, config, &offset);

	if (length)
		bar_write(device, offset, length, load_le(&config[device->window_at + CAP_DATA], length));
}

static int add_capabilities(struct virtio_device *device, struct err *err)
{
	const struct virtio_setup *setup = &device->setup;
	struct device_pci_window window = {.read = window_read, .write = window_write};

	if (add_structure(device, COMMON, VIRTIO_COMMON_AT, VIRTIO_COMMON_BYTES, err) < 0 ||
	        add_structure(device, NOTIFY, VIRTIO_NOTIFY_AT, setup->queues * VIRTIO_NOTIFY_STRIDE, err) <
	                0 ||
	        add_structure(device, ISR, VIRTIO_ISR_AT, VIRTIO_ISR_BYTES, err) < 0)
		return -1;
	if (setup->config_bytes &&
	        add_structure(device, CONFIG, VIRTIO_CONFIG_AT, setup->config_bytes, err) < 0)
		return -1;
	if (add_window(device, err) < 0)
		return -1;
	window.at = device->window_at + CAP_DATA;
	device_pci_set_window(device->function, &window);
	return 0;
}

static int add_function(struct virtio_device *device, struct err *err)
{
	const struct virtio_kind *kind = device->setup.kind;
	const struct device_pci_setup setup = {
	        .device = DEVICE_PCI_ANY,
	        .vendor_id = VENDOR_ID,
	        .device_id = (uint16_t)(DEVICE_ID_FIRST + kind->id),
	        .class_code = kind->pci_class,
	        .revision = REVISION,
	        .subsystem_vendor_id = VENDOR_ID,
	        .subsystem_id = (uint16_t)(DEVICE_ID_FIRST + kind->id),
	        .interrupt_pin = PIN_INTA,
	        .bars = {[VIRTIO_BAR] = {.name = kind->name,
	                         .size = VIRTIO_BAR_BYTES,
	                         .read = bar_read,
	                         .write = bar_write,
	                         .on_move = virtio_bell_move}},
	        .msix_vectors = device->setup.queues + 1, /* one for changes of the configuration */
	        .msix_bar = VIRTIO_MSIX_BAR,
	        .ctx = device,
	};

	if (device_pci_add(device_pci_of(device->board), &setup, &device->function, err) < 0)
		return -1;
	device->msix = device_pci_msix(device->function);
	return add_capabilities(device, err);
}

/* ---- life on the board ---- */

static int open_slot(struct virtio_slot *slot, struct err *err)
{
	slot->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slot->kick_fd >= 0 && virtio_is_outside(slot))
		slot->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slot->kick_fd < 0 || (virtio_is_outside(slot) && slot->call_fd < 0))
		return err_sys(
		        err, ERR_HOST, errno, "%s: an eventfd for queue %u", slot->device->id, slot->index);
	return 0;
}

static int open_slots(struct virtio_device *device, struct err *err)
{
	device->slots = calloc(device->setup.queues, sizeof(device->slots[0]));
	if (!device->slots)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for %u queues", device->setup.queues);
	for (unsigned i = 0; i < device->setup.queues; i++) {
		struct virtio_slot *slot = &device->slots[i];

		slot->device = device;
		slot->index = i;
		slot->kick_fd = slot->call_fd = -1;
	}
	for (unsigned i = 0; i < device->setup.queues; i++)
		if (open_slot(&device->slots[i], err) < 0)
			return -1;
	return 0;
}

static uint64_t offered_features(const struct virtio_setup *setup, bool serves_itself)
{
	uint64_t features =
	        (setup->features & DEVICE_FEATURES) | VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM;

	if (serves_itself)
		features |= VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
	return features;
}

/* What virtio_pci_add() asks for. */
struct ask {
	const struct virtio_setup *setup;
	struct virtio_device *device; /* NULL: it was not made */
};

static int init(struct device *base, struct device_board *board, const void *arg, struct err *err)
{
	struct virtio_device *device = (struct virtio_device *)base;
	struct ask *ask = (struct ask *)(uintptr_t)arg;

	ask->device = device;
	device->board = board;
	device->setup = *ask->setup;
	device->offered = offered_features(&device->setup, virtio_serves_itself(device));
	device->owner = (struct virtio_queue_owner){virtio_interrupt_queue, virtio_life_broken, device};
	pthread_mutex_init(&device->interrupt_lock, NULL);
	pthread_mutex_init(&device->bell_lock, NULL);
	pthread_mutex_init(&device->run_lock, NULL);
	pthread_cond_init(&device->run_changed, NULL);
	device->id = strdup(device->setup.id);
	if (!device->id)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the device's name");
	device->setup.id = device->id;
	if (open_slots(device, err) < 0 || add_function(device, err) < 0)
		return -1;
	virtio_common_reset(device);
	return 0;
}

static void finish(struct device *base)
{
	struct virtio_device *device = (struct virtio_device *)base;

	device->setup.kind->finish(device->setup.ctx);
	for (unsigned i = 0; device->slots && i < device->setup.queues; i++) {
		if (device->slots[i].kick_fd >= 0)
			close(device->slots[i].kick_fd);
		if (device->slots[i].call_fd >= 0)
			close(device->slots[i].call_fd);
	}
	free(device->slots);
	free(device->id);
	pthread_cond_destroy(&device->run_changed);
	pthread_mutex_destroy(&device->run_lock);
	pthread_mutex_destroy(&device->bell_lock);
	pthread_mutex_destroy(&device->interrupt_lock);
}

static void reset(struct device *base)
{
	struct virtio_device *device = (struct virtio_device *)base;

	pthread_mutex_lock(&device->device.lock);
	virtio_life_reset(device);
	device->generation = 0;
	pthread_mutex_unlock(&device->device.lock);
}

/* A guest that ends takes its memory along: the device stops before that. */
static void attach(struct device *base, struct page_memory *memory)
{
	struct virtio_device *device = (struct virtio_device *)base;

	pthread_mutex_lock(&device->device.lock);
	if (!memory)
		virtio_life_reset(device);
	virtio_interrupt_live(device, memory != NULL);
	device->memory = memory;
	pthread_mutex_unlock(&device->device.lock);
}

static void visit(struct device *base, struct vmstate *s)
{
	struct virtio_device *device = (struct virtio_device *)base;

	pthread_mutex_lock(&device->device.lock);
	virtio_visit(device, s);
	pthread_mutex_unlock(&device->device.lock);
}

static const char *unmovable(struct device *base)
{
	return virtio_unmovable((const struct virtio_device *)base);
}

static const struct device_kind pci_kind = {
        .name = "virtio device",
        .size = sizeof(struct virtio_device),
        .init = init,
        .reset = reset,
        .attach = attach,
        .visit = visit,
        .unmovable = unmovable,
        .finish = finish,
};

struct virtio_device *virtio_pci_device(const struct device_board *board, unsigned i)
{
	struct device *device = board->devices[i];

	return device->kind == &pci_kind ? (struct virtio_device *)device : NULL;
}

void *virtio_device_at(const struct device_board *board, const struct virtio_kind *kind, unsigned i)
{
	const struct virtio_device *device = virtio_pci_device(board, i);

	return device && device->setup.kind == kind ? device->setup.ctx : NULL;
}

void *virtio_device_find(const struct device_board *board, const struct virtio_kind *kind, const char *id)
{
	for (unsigned i = 0; i < board->count; i++) {
		const struct virtio_device *device = virtio_pci_device(board, i);

		if (device && device->setup.kind == kind && (!id || strcmp(device->id, id) == 0))
			return device->setup.ctx;
	}
	return NULL;
}

pid_t virtio_device_thread(const struct device_board *board, const char *id)
{
	for (unsigned i = 0; i < board->count; i++) {
		const struct virtio_device *device = virtio_pci_device(board, i);

		if (device && strcmp(device->id, id) == 0)
			return loop_thread_id(device->setup.loop);
	}
	return 0;
}

int virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err)
{
	struct ask ask = {.setup = setup};

	if (device_board_add(board, &pci_kind, &ask, err) < 0) {
		/* A device that was made has freed its ctx. */
		if (!ask.device)
			setup->kind->finish(setup->ctx);
		return -1;
	}
	*ret_device = ask.device;
	return 0;
}
