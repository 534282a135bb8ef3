/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside: a board with the real transport and a device whose queues are served outside vmm: fs by a
 * vhost-user peer, vsock by what stands in for the kernel. A test asks what the back end was told.
 */
#ifndef TEST_VIRTIO_OUTSIDE_H
#define TEST_VIRTIO_OUTSIDE_H

#include <stdatomic.h>
#include <sys/un.h>

#include "fake_vhost.h"
#include "noise.h"
#include "support/vhost_user.h"
#include "support/virtio_guest.h"
#include "support/wires.h"

#define RINGS      0x10000u
#define GROWTH     GIB(2)
#define SERVED     2 /* queues */
#define QUEUE_SIZE 128
#define CID        4243
#define RUNNING \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	        VIRTIO_CONFIG_S_DRIVER_OK)
#define BROKEN  (RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET)
#define OFFERED (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 32)

static struct virtio_guest guest;
static struct fake_wires wires;
static struct virtio_function victim;
static struct peer peer;
static char folder[40], path[60];
static int listener;

/* What a back end was told of a queue, with guest addresses. */
struct told {
	unsigned size;
	uint64_t at[3]; /* descriptors, available ring, used ring */
	int kick_fd, call_fd;
	bool works;
};

static const struct outside {
	bool needs_both; /* the back end serves both queues or none */
	const char *config;
	unsigned config_bytes;
	struct told (*told)(unsigned queue);
} * device;

/* ---- fs ---- */

static inline struct told fs_told(unsigned queue)
{
	const struct peer_ring *ring = &peer.rings[queue];

	return (struct told){ring->size, {ring->desc, ring->avail, ring->used}, ring->kick_fd, ring->call_fd,
	        ring->enabled};
}

static const struct outside fs_device = {
        .config = "home\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0",
        .config_bytes = 40,
        .told = fs_told,
};

static inline void fs_listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(folder, "/tmp/test-outside.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	memcpy(address.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	/* It offers more than vmm and the protocol know. */
	peer = (struct peer){.features = UINT64_MAX, .protocol_features = UINT64_MAX};
	peer_listen(&peer, listener);
}

static inline void fs_end(void)
{
	peer_end(&peer);
	close(listener);
	unlink(path);
	rmdir(folder);
}

/* ---- vsock ---- */

static inline uint64_t to_guest(uint64_t address)
{
	for (unsigned i = 0; i < kernel.region_count; i++) {
		const struct vhost_memory_region *region = &kernel.regions[i];

		if (address - region->userspace_addr < region->memory_size)
			return region->guest_phys_addr + (address - region->userspace_addr);
	}
	return UINT64_MAX;
}

static inline struct told vsock_told(unsigned queue)
{
	const struct fake_vhost_ring *ring = &kernel.rings[queue];

	return (struct told){ring->size, {to_guest(ring->desc), to_guest(ring->avail), to_guest(ring->used)},
	        ring->kick_fd, ring->call_fd, kernel.running};
}

static const struct outside vsock_device = {
        .needs_both = true,
        .config = "\x93\x10\0\0\0\0\0",
        .config_bytes = 8,
        .told = vsock_told,
};

/* ---- the board ---- */

static inline void add_device(virtio_adder *add, const struct config_device *config)
{
	virtio_guest_init_with(&guest, PAGE_SHARED, GROWTH);
	guest.board.wires = fake_wires(&wires);
	virtio_guest_add(&guest, add, config);
	virtio_guest_start(&guest);
	assert_true(virtio_function_find(&victim, &guest, 0, true));
	virtio_function_unmask(&victim);
}

static inline int setup_fs(void **state)
{
	static struct config_device config = {.driver = CONFIG_FS,
	        .id = (char *)(uintptr_t) "fs0",
	        .tag = (char *)(uintptr_t) "home",
	        .folder = (char *)(uintptr_t) "",
	        .socket = path};

	device = &fs_device;
	fs_listen();
	add_device(virtio_fs_add, &config);
	return 0;
}

static inline int setup_vsock(void **state)
{
	device = &vsock_device;
	add_device(virtio_vsock_add,
	        &(struct config_device){
	                .driver = CONFIG_VSOCK, .id = (char *)(uintptr_t) "vsock0", .cid = CID});
	assert_int_equal(kernel.cid, CID);
	return 0;
}

/* Whatever the driver did: what was bound is let go of, and the kernel had nothing to refuse. */
static inline int teardown(void **state)
{
	virtio_guest_finish(&guest);
	assert_int_equal(wires.bound_count, 0);
	assert_int_equal(wires.bell_count, 0);
	assert_false(wires.wrong);
	if (device == &fs_device)
		fs_end();
	else
		assert_int_equal(kernel.refused, 0);
	return 0;
}

/* ---- the driver ---- */

static inline void negotiate(void)
{
	assert_int_equal(virtio_function_negotiate(&victim, OFFERED), OFFERED);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_MSIX, 2, 0);
}

/* Writes a queue's registers, and enables it. */
static inline void put(unsigned queue, unsigned size, const uint64_t at[3])
{
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_MSIX, 2, queue + 1);
	for (unsigned i = 0; i < 3; i++)
		virtio_function_set_address(&victim, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, at[i]);
	virtio_function_set(&victim, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static inline void put_good(unsigned queue, unsigned size, uint64_t rings)
{
	uint64_t at = rings + 0x4000 * queue;

	put(queue, size, (const uint64_t[]){at, at + 0x1000, at + 0x2000});
}

static inline void go(void)
{
	virtio_function_add_status(&victim, VIRTIO_CONFIG_S_DRIVER_OK);
}

/* The back end serves both queues, at these addresses. */
static inline void assert_serves(unsigned size, uint64_t rings)
{
	assert_int_equal(virtio_function_status(&victim), RUNNING);
	for (unsigned i = 0; i < SERVED; i++) {
		struct told told = device->told(i);

		assert_true(told.works);
		assert_int_equal(told.size, size);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(told.at[k], rings + 0x4000 * i + 0x1000 * k);
	}
}

static inline void start_good(uint64_t rings)
{
	negotiate();
	for (unsigned i = 0; i < SERVED; i++)
		put_good(i, 64, rings);
	go();
	assert_serves(64, rings);
}

static inline void assert_serves_nothing(void)
{
	for (unsigned i = 0; i < SERVED; i++)
		assert_false(device->told(i).works);
}

#endif
