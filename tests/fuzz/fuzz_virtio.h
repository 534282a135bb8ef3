/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio: any driver against one virtio device on a board, through the transport's registers alone.
 * Beside it stands an entropy device with a driver that keeps the rules. It must notice nothing: its
 * registers stay as they are, and after each input it still works. The device may stop (NEEDS_RESET), and
 * must run again after a reset.
 */
#ifndef FUZZ_VIRTIO_H
#define FUZZ_VIRTIO_H

#include "fuzz.h"
#include "support/virtio_guest.h"

#define FUZZ_VIRTIO_RINGS   0x10000u /* of queue 0; each queue has FUZZ_VIRTIO_RING bytes */
#define FUZZ_VIRTIO_RING    0x4000u
#define FUZZ_VIRTIO_QUEUES  4 /* that inputs reach easily */
#define FUZZ_VIRTIO_SIZE    16
#define FUZZ_VIRTIO_TABLES  0x80000u
#define FUZZ_VIRTIO_BUFFERS 0x100000u
#define FUZZ_VIRTIO_WITNESS 0x200000u /* of the other device: its ring and its buffer */

/* What a target is about. */
struct fuzz_virtio_target {
	virtio_adder *add;
	struct config_device config;
	/* Does with the device what only this kind knows. NULL: nothing. */
	void (*act)(struct virtio_guest *guest, struct cursor *input);
};

struct fuzz_virtio {
	const struct fuzz_virtio_target *target;
	struct virtio_guest guest;
	struct virtio_function device, witness;
	struct driver queues[FUZZ_VIRTIO_QUEUES], witness_queue;
};

/* ---- the witness ---- */

static inline void fuzz_virtio_start_witness(struct fuzz_virtio *f)
{
	virtio_function_negotiate(&f->witness, UINT64_MAX);
	virtio_function_queue(&f->witness, 0, &f->witness_queue, FUZZ_VIRTIO_WITNESS, 8, true);
	virtio_function_unmask(&f->witness);
	virtio_function_add_status(&f->witness, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void fuzz_virtio_ask_witness(struct fuzz_virtio *f)
{
	struct driver *driver = &f->witness_queue;
	uint16_t before = driver->ring.used->idx;
	struct vring_used_elem elem;

	driver_desc(driver, 0, FUZZ_VIRTIO_WITNESS + 0x2000, 8, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, 0);
	virtio_function_kick(&f->witness, 0);
	VIRTIO_GUEST_UNTIL(&f->guest, driver->ring.used->idx != before);
	fuzz_assert(driver_take(driver, &elem) && elem.id == 0 && elem.len == 8);
	fuzz_assert(!(virtio_function_status(&f->witness) & VIRTIO_CONFIG_S_NEEDS_RESET));
}

/* ---- what the driver does ---- */

static inline struct driver *fuzz_virtio_queue(
        struct fuzz_virtio *f, struct cursor *input, unsigned *ret_index)
{
	*ret_index = cursor_u8(input) % FUZZ_VIRTIO_QUEUES;
	return &f->queues[*ret_index];
}

static inline void fuzz_virtio_reset(struct fuzz_virtio *f)
{
	/* The input may have moved the registers, or switched them off. */
	for (unsigned i = 0; i < ARRAY_LEN(f->device.bars); i++)
		virtio_guest_pci_write(
		        &f->guest, f->device.slot, PCI_BASE_ADDRESS_0 + 4 * i, 4, f->device.bars[i]);
	virtio_guest_pci_write(
	        &f->guest, f->device.slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	virtio_function_reset(&f->device);
}

/* Starts the device as the specification wants it, with the features that the input likes. */
static inline void fuzz_virtio_start(struct fuzz_virtio *f, struct cursor *input)
{
	uint64_t features;
	uint8_t queues = cursor_u8(input);

	fuzz_virtio_reset(f);
	features = virtio_function_negotiate(&f->device, cursor_u64(input));

	for (unsigned i = 0; i < FUZZ_VIRTIO_QUEUES; i++)
		if (queues >> i & 1)
			virtio_function_queue(&f->device, i, &f->queues[i],
			        FUZZ_VIRTIO_RINGS + FUZZ_VIRTIO_RING * i, FUZZ_VIRTIO_SIZE,
			        features >> VIRTIO_RING_F_EVENT_IDX & 1);
	virtio_function_add_status(&f->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline uint64_t fuzz_virtio_address(struct cursor *input, bool wild)
{
	return wild ? cursor_u64(input) : FUZZ_VIRTIO_BUFFERS + cursor_u16(input) * UINT64_C(8);
}

static inline void fuzz_virtio_desc(struct fuzz_virtio *f, struct cursor *input)
{
	unsigned index, i;
	struct driver *driver = fuzz_virtio_queue(f, input, &index);
	uint8_t shape;

	i = cursor_u8(input) % FUZZ_VIRTIO_SIZE;
	shape = cursor_u8(input);
	driver_desc(driver, i, fuzz_virtio_address(input, shape & 0x80),
	        shape & 0x40 ? cursor_u32(input) : cursor_u16(input), shape & 7,
	        (uint16_t)((i + 1) % FUZZ_VIRTIO_SIZE));
}

/*
 * Makes a request of the usual form available: bytes of the input to read, a buffer for data unless it is
 * empty, and room for a status. Most devices know nothing else.
 */
static inline void fuzz_virtio_request(struct fuzz_virtio *f, struct cursor *input)
{
	unsigned index, head;
	struct driver *driver = fuzz_virtio_queue(f, input, &index);
	uint8_t shape = cursor_u8(input), size = cursor_u8(input);
	uint32_t room = cursor_u16(input);
	uint8_t *at = f->guest.ram + FUZZ_VIRTIO_BUFFERS;

	head = shape % FUZZ_VIRTIO_SIZE & ~3u;
	cursor_copy(input, at + 0x400 * head, size);
	driver_desc(driver, head, FUZZ_VIRTIO_BUFFERS + 0x400 * head, size, VRING_DESC_F_NEXT,
	        (uint16_t)(room ? head + 1 : head + 2));
	driver_desc(driver, head + 1, FUZZ_VIRTIO_BUFFERS + 0x10000, room,
	        VRING_DESC_F_NEXT | (shape & 0x80 ? VRING_DESC_F_WRITE : 0), (uint16_t)(head + 2));
	driver_desc(driver, head + 2, FUZZ_VIRTIO_BUFFERS + 0x400 * head + 0x200, 1, VRING_DESC_F_WRITE, 0);
	driver_offer(driver, (uint16_t)(shape & 0x40 ? head + 1 : head));
	virtio_function_kick(&f->device, index);
}

static inline void fuzz_virtio_offer(struct fuzz_virtio *f, struct cursor *input)
{
	unsigned index;
	struct driver *driver = fuzz_virtio_queue(f, input, &index);

	driver_offer(driver, cursor_u8(input) % (FUZZ_VIRTIO_SIZE + 2));
	virtio_function_kick(&f->device, index);
}

/* Any bytes anywhere in the memory that the hostile driver uses. */
static inline void fuzz_virtio_scribble(struct fuzz_virtio *f, struct cursor *input)
{
	uint32_t at = FUZZ_VIRTIO_RINGS + cursor_u32(input) % (FUZZ_VIRTIO_WITNESS - FUZZ_VIRTIO_RINGS - 64);

	cursor_copy(input, f->guest.ram + at, cursor_u8(input) % 64);
}

static inline void fuzz_virtio_register(struct fuzz_virtio *f, struct cursor *input)
{
	uint8_t shape = cursor_u8(input);
	unsigned size = (shape & 7) + 1;
	uint64_t at = f->device.common + (shape & 8 ? cursor_u16(input) % 0x4000 : cursor_u8(input) % 0x38);

	if (shape & 16)
		at = f->device.config + cursor_u8(input);
	if (shape & 32)
		at = f->device.table + cursor_u16(input) % 0x1000;
	if (shape & 64)
		device_bus_read(f->guest.board.bus, DEVICE_MMIO, at, size);
	else
		device_bus_write(f->guest.board.bus, DEVICE_MMIO, at, size, cursor_u64(input));
}

/* Configuration space, with the window into the BAR. BARs stay where they are. */
static inline void fuzz_virtio_pci(struct fuzz_virtio *f, struct cursor *input)
{
	unsigned at = cursor_u8(input), size = 1u << cursor_u8(input) % 3;

	if (at >= PCI_BASE_ADDRESS_0 && at < PCI_CARDBUS_CIS)
		at = f->device.window + at % 20;
	virtio_guest_pci_read(&f->guest, f->device.slot, at, size);
	virtio_guest_pci_write(&f->guest, f->device.slot, at, size, cursor_u32(input));
}

static inline void fuzz_virtio_step(struct fuzz_virtio *f, struct cursor *input)
{
	switch (cursor_u8(input) % 12) {
	case 0: fuzz_virtio_start(f, input); break;
	case 1: fuzz_virtio_desc(f, input); break;
	case 2:
	case 3: fuzz_virtio_request(f, input); break;
	case 4: fuzz_virtio_offer(f, input); break;
	case 5: fuzz_virtio_scribble(f, input); break;
	case 6:
	case 7: fuzz_virtio_register(f, input); break;
	case 8: fuzz_virtio_pci(f, input); break;
	case 9: virtio_guest_turn(&f->guest, 1 + cursor_u8(input) % 4); break;
	case 10: virtio_function_kick(&f->device, cursor_u8(input)); break;
	default:
		if (f->target->act)
			f->target->act(&f->guest, input);
		break;
	}
}

/* ---- the board, which is made once ---- */

/* Strings that are not given are empty, as in a configuration that was read. */
static inline void fuzz_virtio_fill(struct config_device *config)
{
	static char none[] = "";
	char **const strings[] = {&config->file, &config->serial, &config->tap, &config->mac,
	        &config->forward_tcp, &config->forward_udp, &config->output, &config->tag, &config->socket,
	        &config->folder};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (!*strings[i])
			*strings[i] = none;
}

static inline struct fuzz_virtio *fuzz_virtio_make(const struct fuzz_virtio_target *target)
{
	static struct fuzz_virtio f;
	static char device[] = "fuzzed", witness[] = "witness";
	struct config_device config = target->config, rng = {.driver = CONFIG_RNG, .id = witness};

	if (f.target)
		return &f;
	log_set_level(LOG_ERROR);
	f.target = target;
	config.id = device;
	fuzz_virtio_fill(&config);
	virtio_guest_init(&f.guest);
	virtio_guest_add(&f.guest, target->add, &config);
	virtio_guest_add(&f.guest, virtio_rng_add, &rng);
	virtio_guest_start(&f.guest);
	fuzz_assert(virtio_function_find(&f.device, &f.guest, 0, true));
	fuzz_assert(virtio_function_find(&f.witness, &f.guest, 1, true));
	for (unsigned i = 0; i < FUZZ_VIRTIO_QUEUES; i++)
		driver_init(&f.queues[i], f.guest.ram, FUZZ_VIRTIO_RINGS + FUZZ_VIRTIO_RING * i,
		        FUZZ_VIRTIO_SIZE, false);
	fuzz_virtio_start_witness(&f);
	return &f;
}

static inline void fuzz_virtio_registers(const struct virtio_function *function, uint64_t ret[7])
{
	for (unsigned i = 0; i < 7; i++)
		ret[i] = virtio_function_get(function, 8 * i, 8);
}

/* Each input begins with a device after a reset, and with empty rings. */
static inline int fuzz_virtio_run(const struct fuzz_virtio_target *target, const uint8_t *data, size_t size)
{
	struct cursor input = cursor_over(data, size);
	struct fuzz_virtio *f = fuzz_virtio_make(target);
	uint64_t before[7], after[7];

	fuzz_virtio_registers(&f->witness, before);
	memset(f->guest.ram + FUZZ_VIRTIO_RINGS, 0, FUZZ_VIRTIO_RING * FUZZ_VIRTIO_QUEUES);
	memset(f->guest.ram + FUZZ_VIRTIO_BUFFERS, 0, 0x20000);
	while (input.left && !input.bad)
		fuzz_virtio_step(f, &input);
	virtio_guest_turn(&f->guest, 2);
	fuzz_virtio_reset(f);
	fuzz_virtio_ask_witness(f);
	fuzz_virtio_registers(&f->witness, after);
	fuzz_assert(memcmp(before, after, sizeof(before)) == 0);
	return 0;
}

#endif
