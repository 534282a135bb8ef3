/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the configuration space of each function of a board with virtio devices, as lspci -xxx does, for
 * test_lspci.py.
 */
#include "support/virtio_guest.h"

#define FUNCTIONS 256

static void print_function(struct virtio_guest *guest, unsigned devfn)
{
	uint64_t address = UINT64_C(1) << 31 | devfn << 8;

	device_bus_write(guest->board.bus, DEVICE_PIO, 0xcf8, 4, address);
	if (device_bus_read(guest->board.bus, DEVICE_PIO, 0xcfc, 2) == 0xffff)
		return;
	printf("00:%02x.%x function", devfn >> 3, devfn & 7);
	for (unsigned i = 0; i < 256; i++) {
		device_bus_write(guest->board.bus, DEVICE_PIO, 0xcf8, 4, address | (i & ~3u));
		if (i % 16 == 0)
			printf("\n%02x:", i);
		printf(" %02x", (unsigned)device_bus_read(guest->board.bus, DEVICE_PIO, 0xcfc + i % 4, 1));
	}
	printf("\n\n");
}

int main(void)
{
	static struct virtio_guest guest;
	struct config_device rng = {.driver = CONFIG_RNG, .id = (char[]){"rng0"}};
	struct virtio_function function;

	virtio_guest_init(&guest);
	virtio_guest_add(&guest, virtio_rng_add, &rng);
	virtio_guest_add(&guest, virtio_rng_add, &rng);
	virtio_guest_start(&guest);
	VIRTIO_GUEST_NEEDS(virtio_function_find(&function, &guest, 0, true));
	for (unsigned i = 0; i < FUNCTIONS; i++)
		print_function(&guest, i);
	virtio_guest_finish(&guest);
	return 0;
}
