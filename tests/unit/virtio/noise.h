/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noise: all registers of a device, read and written at every width with numbers that look random.
 */
#ifndef TEST_VIRTIO_NOISE_H
#define TEST_VIRTIO_NOISE_H

#include "support/virtio_guest.h"

/* A number that looks random and is the same in each run. */
static inline uint64_t noise(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline void sweep(const struct virtio_function *function)
{
	static const unsigned sizes[] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint64_t end = function->common + 0x4000;

	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		for (uint64_t at = function->common; at < end;
		        at += (at - function->common) % 4096 < 64 ? 1 : 4) {
			uint64_t value =
			        device_bus_read(function->guest->board.bus, DEVICE_MMIO, at, sizes[s]);

			device_bus_write(function->guest->board.bus, DEVICE_MMIO, at, sizes[s],
			        noise() & 1 ? noise() : value ^ (noise() & 3));
		}
	}
}

#endif
