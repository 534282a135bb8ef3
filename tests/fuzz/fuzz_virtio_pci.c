/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_virtio_pci: any accesses to the transport of a device with as many queues as there can be, some of
 * them served outside. Its BARs move. The device checks that it is called in the right order with ranges that
 * exist, and that rings for others lie in memory that they are lent, and the kernel's half checks that
 * eventfds are bound and doorbells hung once, and come down again.
 */
#include "fuzz_virtio.h"
#include "vmm/device/pci.h"

#define QUEUES       VIRTIO_QUEUES_MAX
#define OUTSIDE      UINT64_C(0x8000000000000006) /* queues 1, 2, 63 */
#define CONFIG_SPACE 37
#define FDS_MAX      1024

/* ---- the device ---- */

static struct {
	struct virtio_device *device;
	bool running;
	struct virtio_queue *queues[QUEUES];
	struct virtio_chain chain;
} own;

static bool is_outside(unsigned i)
{
	return i < 64 && OUTSIDE >> i & 1;
}

static void config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	fuzz_assert(size && size <= 8 && offset < CONFIG_SPACE && size <= CONFIG_SPACE - offset);
	memset(data, 0x11, size);
}

static void config_write(void *ctx, unsigned offset, const void *data, unsigned size)
{
	fuzz_assert(size && size <= 8 && offset < CONFIG_SPACE && size <= CONFIG_SPACE - offset);
}

/* Is a ring in memory that a back end outside vmm is lent, at the same place for both? */
static bool is_lent(
        const struct page_memory *memory, uint64_t at_gpa, const void *at, uint64_t bytes, uint64_t alignment)
{
	struct page_lent lent[PAGE_REGIONS_MAX];
	unsigned count = page_memory_lend(memory, lent);

	for (unsigned i = 0; i < count; i++) {
		uint64_t offset = at_gpa - lent[i].gpa.raw;

		if (at_gpa >= lent[i].gpa.raw && offset < lent[i].size_bytes &&
		        bytes <= lent[i].size_bytes - offset)
			return at == (const uint8_t *)lent[i].at + offset && at_gpa % alignment == 0;
	}
	return false;
}

static void check_outside(const struct page_memory *memory, const struct virtio_queue *queue)
{
	const struct virtio_queue_place place = virtio_queue_place(queue);
	uint64_t size = place.size;

	fuzz_assert(size && size <= 256 && !(size & (size - 1)));
	fuzz_assert(is_lent(memory, place.desc_gpa, place.desc, 16 * size, 16));
	fuzz_assert(is_lent(memory, place.avail_gpa, place.avail, 6 + 2 * size, 2));
	fuzz_assert(is_lent(memory, place.used_gpa, place.used, 6 + 8 * size, 4));
}

static int start(void *ctx, const struct virtio_start *start, struct err *err)
{
	fuzz_assert(!own.running && start->memory);
	fuzz_assert(!(start->features & ~(UINT64_C(3) << 32 | 0x5)));
	fuzz_assert(start->features >> VIRTIO_F_VERSION_1 & 1);
	for (unsigned i = 0; i < QUEUES; i++)
		if (start->queues[i] && is_outside(i))
			check_outside(start->memory, start->queues[i]);
	memcpy(own.queues, start->queues, sizeof(own.queues));
	own.running = true;
	return 0;
}

static void kick(void *ctx, struct virtio_queue *queue)
{
	unsigned index = virtio_queue_index(queue);

	fuzz_assert(own.running && index < QUEUES && own.queues[index] == queue && !is_outside(index));
	while (virtio_queue_pop(queue, &own.chain) > 0)
		virtio_queue_push(queue, &own.chain, 0);
	virtio_queue_flush(queue);
}

static void stop(void *ctx)
{
	fuzz_assert(own.running);
	own.running = false;
	virtio_device_stopped(own.device);
}

static void finish(void *ctx)
{
	fuzz_assert(!own.running);
}

static const struct virtio_kind kind = {.name = "fuzzed",
        .id = 42,
        .pci_class = 0xff0000,
        .config_read = config_read,
        .config_write = config_write,
        .start = start,
        .kick = kick,
        .stop = stop,
        .finish = finish};

/* ---- the kernel's half ---- */

static bool bound[FDS_MAX];
static uint64_t bells[FDS_MAX]; /* 0: none hangs */

static int on_bind(void *ctx, int fd, const struct device_msi *msi)
{
	fuzz_assert(fd >= 0 && fd < FDS_MAX && !bound[fd]);
	if (msi->data & 1)
		return -1; /* this kernel cannot */
	bound[fd] = true;
	return 0;
}

static void on_unbind(void *ctx, int fd)
{
	fuzz_assert(fd >= 0 && fd < FDS_MAX && bound[fd]);
	bound[fd] = false;
}

static int on_doorbell(void *ctx, int fd, uint64_t address, bool on)
{
	fuzz_assert(fd >= 0 && fd < FDS_MAX);
	fuzz_assert(on ? !bells[fd] : bells[fd] == address + 1);
	if (on && address & 0x10000)
		return -1; /* this kernel cannot */
	bells[fd] = on ? address + 1 : 0;
	return 0;
}

static int add(const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	const struct virtio_setup setup = {.kind = &kind,
	        .id = config->id,
	        .features = 0x5,
	        .queues = QUEUES,
	        .queue_size = 256,
	        .config_bytes = CONFIG_SPACE,
	        .loop = place->main_loop,
	        .outside = {OUTSIDE}};

	place->board->wires.bind = on_bind;
	place->board->wires.unbind = on_unbind;
	place->board->wires.doorbell = on_doorbell;
	return virtio_pci_add(place->board, &setup, &own.device, err);
}

/* ---- what only this target does ---- */

static void act(struct virtio_guest *guest, struct cursor *input)
{
	uint8_t what = cursor_u8(input);
	unsigned slot = DEVICE_PCI_FIRST, register_ = PCI_BASE_ADDRESS_0 + 4 * (cursor_u8(input) % 6);

	switch (what % 4) {
	case 0: virtio_guest_pci_write(guest, slot, register_, 4, cursor_u32(input)); break;
	case 1: virtio_guest_pci_write(guest, slot, PCI_COMMAND, 2, cursor_u16(input)); break;
	case 2: virtio_device_config_changed(own.device); break;
	default:
		if (own.running)
			virtio_device_break(own.device, "the input wants it");
		break;
	}
}

/* Only the witness runs now. It has one queue. */
static void check_end(void)
{
	unsigned hung = 0;

	fuzz_assert(!own.running);
	for (unsigned fd = 0; fd < FDS_MAX; fd++) {
		fuzz_assert(!bound[fd]);
		hung += bells[fd] != 0;
	}
	fuzz_assert(hung <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_virtio_target target = {.add = add, .act = act};
	int result = fuzz_virtio_run(&target, data, size);

	check_end();
	return result;
}
