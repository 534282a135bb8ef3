/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_vhost: stands in for the kernel's vhost-vsock, also where there is none. It refuses what the kernel
 * refuses, and also rings that do not lie in the memory that it was given. Written from linux/vhost.h and
 * drivers/vhost. Link with the arguments that meson.build calls fake_vhost.
 */
#ifndef TEST_VIRTIO_FAKE_VHOST_H
#define TEST_VIRTIO_FAKE_VHOST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "support/test.h"

#define FAKE_VHOST_FEATURES UINT64_MAX
#define FAKE_VHOST_RINGS    2
#define FAKE_VHOST_REGIONS  8

static struct fake_vhost {
	bool owned, running;
	uint64_t features, cid;
	struct vhost_memory_region regions[FAKE_VHOST_REGIONS];
	unsigned region_count, tables;
	struct fake_vhost_ring {
		uint32_t size, base;
		uint64_t desc, avail, used;
		int kick_fd, call_fd, error_fd;
	} rings[FAKE_VHOST_RINGS];
	unsigned refused;     /* calls */
	unsigned fails_after; /* 1: the next call fails, and so on; 0: none does */
	unsigned failed;
} kernel;

static inline bool fake_vhost_has(uint64_t at, uint64_t bytes)
{
	for (unsigned i = 0; i < kernel.region_count; i++) {
		const struct vhost_memory_region *region = &kernel.regions[i];
		uint64_t offset = at - region->userspace_addr;

		if (at >= region->userspace_addr && offset <= region->memory_size &&
		        bytes <= region->memory_size - offset)
			return true;
	}
	return false;
}

static inline int fake_vhost_run(int running)
{
	for (unsigned i = 0; running && i < FAKE_VHOST_RINGS; i++) {
		const struct fake_vhost_ring *ring = &kernel.rings[i];

		if (!ring->size || !fake_vhost_has(ring->desc, 16 * (uint64_t)ring->size) ||
		        !fake_vhost_has(ring->avail, 6 + 2 * (uint64_t)ring->size) ||
		        !fake_vhost_has(ring->used, 6 + 8 * (uint64_t)ring->size))
			return EFAULT;
	}
	kernel.running = running;
	return 0;
}

static inline int fake_vhost_take_memory(const struct vhost_memory *memory)
{
	if (memory->padding || memory->nregions > FAKE_VHOST_REGIONS)
		return EINVAL;
	kernel.region_count = memory->nregions;
	memcpy(kernel.regions, memory->regions, memory->nregions * sizeof(memory->regions[0]));
	kernel.tables++;
	return 0;
}

static inline int fake_vhost_address(struct fake_vhost_ring *ring, const struct vhost_vring_addr *address)
{
	if (address->flags || address->desc_user_addr % 16 || address->avail_user_addr % 2 ||
	        address->used_user_addr % 4)
		return EINVAL;
	ring->desc = address->desc_user_addr;
	ring->avail = address->avail_user_addr;
	ring->used = address->used_user_addr;
	return 0;
}

static inline int fake_vhost_ring_call(unsigned long request, void *arg)
{
	uint32_t index = *(uint32_t *)arg;
	struct vhost_vring_state *state = arg;
	struct fake_vhost_ring *ring = &kernel.rings[index % FAKE_VHOST_RINGS];
	int fd = ((const struct vhost_vring_file *)arg)->fd;

	if (index >= FAKE_VHOST_RINGS)
		return ENOBUFS;
	switch (request) {
	case VHOST_SET_VRING_NUM:
		if (kernel.running)
			return EBUSY;
		if (!state->num || state->num > 0xffff || (state->num & (state->num - 1)))
			return EINVAL;
		ring->size = state->num;
		return 0;
	case VHOST_SET_VRING_BASE: ring->base = state->num; return kernel.running ? EBUSY : 0;
	case VHOST_GET_VRING_BASE: state->num = ring->base; return 0;
	case VHOST_SET_VRING_ADDR: return fake_vhost_address(ring, arg);
	case VHOST_SET_VRING_KICK: ring->kick_fd = fd; return 0;
	case VHOST_SET_VRING_CALL: ring->call_fd = fd; return 0;
	case VHOST_SET_VRING_ERR: ring->error_fd = fd; return 0;
	default: return ENOTTY;
	}
}

/* Returns an errno or 0. */
static inline int fake_vhost_call(unsigned long request, void *arg)
{
	switch (request) {
	case VHOST_GET_FEATURES: *(uint64_t *)arg = FAKE_VHOST_FEATURES; return 0;
	case VHOST_VSOCK_SET_GUEST_CID: kernel.cid = *(const uint64_t *)arg; return 0;
	case VHOST_SET_OWNER:
		if (kernel.owned)
			return EBUSY;
		kernel.owned = true;
		return 0;
	default: break;
	}
	if (!kernel.owned)
		return EPERM;
	switch (request) {
	case VHOST_SET_FEATURES: kernel.features = *(const uint64_t *)arg; return 0;
	case VHOST_SET_MEM_TABLE: return fake_vhost_take_memory(arg);
	case VHOST_VSOCK_SET_RUNNING: return fake_vhost_run(*(const int *)arg);
	default: return fake_vhost_ring_call(request, arg);
	}
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (strcmp(path, "/dev/vhost-vsock") != 0)
		return __real_open64(path, flags, mode);
	kernel = (struct fake_vhost){0};
	return __real_open64("/dev/null", flags);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (_IOC_TYPE(request) != VHOST_VIRTIO)
		return __real_ioctl(fd, request, arg);
	if (kernel.fails_after && !--kernel.fails_after) {
		kernel.failed++;
		errno = EIO;
		return -1;
	}
	errno = fake_vhost_call(request, arg);
	kernel.refused += errno != 0;
	return errno ? -1 : 0;
}

#endif
