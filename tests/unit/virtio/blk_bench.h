/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_bench: a block device on an image of its own, and a driver that knows VIRTIO 1.2, 5.2 from the kernel's
 * header alone.
 */
#ifndef TEST_VIRTIO_BLK_BENCH_H
#define TEST_VIRTIO_BLK_BENCH_H

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <pthread.h>

#include "fake_transport.h"

#define QUEUE_SIZE 64
#define DISK_BYTES MIB(1)
#define ALL_BITS   (~UINT64_C(0))

static char path[] = "/tmp/vmm-blk-XXXXXX", id[] = "blk0", serial[] = "0123456789abcdefghijk";
static struct config_device config;
static struct bench *b;
static struct err err;
static int file;
static _Atomic unsigned disk_errors, changes, quiets;

static void on_disk_error(void *ctx)
{
	disk_errors++;
}

static void on_disk_quiet(void *ctx)
{
	quiets++;
}

static struct device_board board = {
        .events = {.on_disk_error = on_disk_error, .on_disk_quiet = on_disk_quiet}};

void __wrap_virtio_device_config_changed(struct virtio_device *device);
void __wrap_virtio_device_config_changed(struct virtio_device *device)
{
	changes++;
}

static inline int setup(void **state)
{
	if (bench_setup(state))
		return -1;
	b = *state;
	file = mkstemp(path);
	serial[20] = 0;
	config = (struct config_device){.id = id, .file = path, .serial = serial, .queues = 1};
	return file < 0 || ftruncate(file, DISK_BYTES) < 0;
}

/* ---- on the thread of the device's loop, which alone touches its queues ---- */

static uint64_t agreed;

static void on_start(void *ctx)
{
	struct virtio_queue *queues[] = {&b->queue};
	struct virtio_start start = {.queues = queues, .memory = b->memory, .features = agreed};

	bench_start(b, QUEUE_SIZE, VIRTIO_F_INDIRECT_DESC);
	b->queue.setup.index = 0;
	assert_int_equal(fake.setup.kind->start(fake.setup.ctx, &start, &b->err), 0);
}

static void on_kick(void *ctx)
{
	fake_kick(&b->queue);
}

static void on_stop(void *ctx)
{
	fake_stop();
}

static void on_read_stops(void *ctx)
{
	*(unsigned *)ctx = fake.stops;
}

/* ---- the driver ---- */

static inline void open_device(uint64_t features)
{
	const struct virtio_place place = {.board = &board, .vcpus = 1};

	assert_ok(virtio_blk_add(&place, &config, &err));
	agreed = fake.setup.features & features;
	loop_call(fake.setup.loop, on_start, NULL);
}

/* Stops the device, also in the middle of its work, and waits for it. */
static inline void stop_device(void)
{
	unsigned stops = 0;

	loop_call(fake.setup.loop, on_stop, NULL);
	while (!stops)
		loop_call(fake.setup.loop, on_read_stops, &stops);
	assert_int_equal(stops, 1);
}

static inline int teardown(void **state)
{
	if (fake.setup.ctx) {
		stop_device();
		fake.setup.kind->finish(fake.setup.ctx);
	}
	fake = (struct virtio_device){0};
	close(file);
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return bench_teardown(state);
}

static inline uint8_t *at(uint64_t gpa)
{
	return b->driver.ram + gpa;
}

static inline void kick(void)
{
	loop_call(fake.setup.loop, on_kick, NULL);
}

/* Waits for the next chain that comes back. */
static inline struct vring_used_elem take(void)
{
	struct vring_used_elem elem = {0};

	for (unsigned i = 0; i < 600000; i++) {
		if (driver_take(&b->driver, &elem))
			return elem;
		usleep(i < 100 ? 0 : 100);
	}
	fail_msg("the device does not answer");
	return elem;
}

#define HEADER 0x100000u
#define STATUS 0x100800u
#define DATA   0x110000u
#define NONE   0xee

struct part {
	uint64_t gpa;
	uint32_t bytes;
	bool write; /* by the device */
};

/* Offers a chain of these parts from descriptor `first` on. */
static inline void offer(unsigned first, const struct part *parts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		driver_desc(&b->driver, first + i, parts[i].gpa, parts[i].bytes,
		        (uint16_t)((parts[i].write ? VRING_DESC_F_WRITE : 0) |
		                   (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
		        (uint16_t)(first + i + 1));
	driver_offer(&b->driver, (uint16_t)first);
}

static inline void put_header(uint64_t gpa, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(at(gpa), &header, sizeof(header));
}

static uint32_t used_bytes;

/* Does one request of the usual three parts; data_bytes 0: of two. Returns its status. */
static inline uint8_t request(uint32_t type, uint64_t sector, uint32_t data_bytes, bool data_write)
{
	const struct part parts[] = {
	        {HEADER, sizeof(struct virtio_blk_outhdr), false},
	        {DATA, data_bytes, data_write},
	        {STATUS, 1, true},
	};
	const struct part bare[] = {parts[0], parts[2]};

	put_header(HEADER, type, sector);
	*at(STATUS) = NONE;
	if (data_bytes)
		offer(0, parts, 3);
	else
		offer(0, bare, 2);
	kick();
	used_bytes = take().len;
	return *at(STATUS);
}

static inline void fill(uint64_t gpa, uint32_t bytes, unsigned seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		at(gpa)[i] = (uint8_t)((i + seed) * 2654435761u >> 11);
}

#endif
