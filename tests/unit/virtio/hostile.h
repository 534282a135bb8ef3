/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile: a board for hostile drivers, with the real transport and devices: rng, console, another rng and
 * one whose requests take their time. Whatever a driver does, its own device stops at most (NEEDS_RESET),
 * works again after a reset, and the other devices notice nothing: the teardown asks the other rng.
 */
#ifndef TEST_VIRTIO_HOSTILE_H
#define TEST_VIRTIO_HOSTILE_H

#include <stdatomic.h>

#include "support/test.h"
#include "support/virtio_guest.h"

#include "noise.h"

#define RINGS   0x10000u /* of the hostile driver */
#define OTHER   0x40000u /* of the other device's driver */
#define BUFFERS 0x100000u
#define TURNS   4 /* of the loop, in which what must not happen would happen */

#define RUNNING \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	        VIRTIO_CONFIG_S_DRIVER_OK)
#define EVENT_IDX (UINT64_C(1) << 29)
#define INDIRECT  (UINT64_C(1) << 28)

static struct virtio_guest guest;
static struct virtio_function victim, other; /* the hostile driver's device, and another guest's eye on it */
static struct driver driver, other_driver;

/* ---- a device with requests in flight: it gives them back when it is told to, or when it stops ---- */

static struct slow {
	struct loop_thread *thread;
	struct virtio_device *device;
	struct virtio_queue *queue; /* NULL: stopped, or the driver has not enabled it */
	struct virtio_chain chain;
	uint16_t heads[VIRTIO_QUEUE_SIZE_MAX];
	_Atomic unsigned in_flight;
	_Atomic unsigned starts, stops;
	struct loop_op *timer;
} slow;

static inline int slow_start(void *ctx, const struct virtio_start *start, struct err *err)
{
	slow.queue = start->queues[0];
	slow.in_flight = 0;
	slow.starts++;
	return 0;
}

static inline void slow_kick(void *ctx, struct virtio_queue *queue)
{
	while (queue == slow.queue && virtio_queue_pop(queue, &slow.chain) == 1)
		slow.heads[slow.in_flight++] = slow.chain.head;
}

/* The requests end long after the device was told to stop. */
static inline void on_slow_end(void *ctx)
{
	while (slow.in_flight)
		virtio_queue_push_iov(slow.queue, slow.heads[--slow.in_flight], NULL, 0, 1);
	if (slow.queue)
		virtio_queue_flush(slow.queue);
	slow.queue = NULL;
	slow.stops++;
	virtio_device_stopped(slow.device);
}

static inline void slow_stop(void *ctx)
{
	struct err err;

	VIRTIO_GUEST_NEEDS(loop_timer_start(loop_thread_loop(slow.thread), 20000000, on_slow_end, NULL,
	                           &slow.timer, &err) == 0);
}

static inline void slow_finish(void *ctx)
{
	loop_thread_destroy(slow.thread);
}

static inline void slow_config_read(void *ctx, unsigned offset, void *data, unsigned size)
{
	VIRTIO_GUEST_NEEDS(offset < 5 && size && size <= 5 - offset);
	memset(data, 0x5a, size);
}

static inline void slow_config_write(void *ctx, unsigned offset, const void *data, unsigned size)
{
	VIRTIO_GUEST_NEEDS(offset < 5 && size && size <= 5 - offset);
}

static const struct virtio_kind slow_kind = {.name = "slow",
        .id = 42,
        .pci_class = 0xff0000,
        .config_read = slow_config_read,
        .config_write = slow_config_write,
        .start = slow_start,
        .kick = slow_kick,
        .stop = slow_stop,
        .finish = slow_finish};

static inline int slow_add(
        const struct virtio_place *place, const struct config_device *config, struct err *err)
{
	struct virtio_setup setup = {
	        .kind = &slow_kind, .id = config->id, .queues = 3, .queue_size = 256, .config_bytes = 5};

	slow = (struct slow){0};
	if (loop_thread_create("slow", &slow.thread, err) < 0)
		return -1;
	setup.loop = loop_thread_loop(slow.thread);
	return virtio_pci_add(place->board, &setup, &slow.device, err);
}

/* ---- the board: rng, console, rng, slow ---- */

enum { RNG, CONSOLE, OTHER_RNG, SLOW, FUNCTIONS };

static char names[FUNCTIONS][8] = {"rng0", "con0", "rng1", "slow0"};
static virtio_adder *const adders[FUNCTIONS] = {virtio_rng_add, virtio_console_add, virtio_rng_add, slow_add};

static inline bool start_rng(struct virtio_function *function, struct driver *with, uint64_t rings)
{
	virtio_function_negotiate(function, EVENT_IDX | INDIRECT);
	virtio_function_queue(function, 0, with, rings, 8, true);
	virtio_function_unmask(function);
	virtio_function_set(function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	virtio_function_add_status(function, VIRTIO_CONFIG_S_DRIVER_OK);
	return virtio_function_status(function) == RUNNING;
}

static inline int setup(void **state)
{
	virtio_guest_init(&guest);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		virtio_guest_add(&guest, adders[i], &(struct config_device){.id = names[i]});
	virtio_guest_start(&guest);
	return !virtio_function_find(&other, &guest, OTHER_RNG, true) ||
	       !start_rng(&other, &other_driver, OTHER);
}

/* Asks an rng for 16 bytes. Returns whether it gave them and interrupted. */
static inline bool rng_works(const struct virtio_function *function, struct driver *with)
{
	unsigned messages = guest.messages;
	struct vring_used_elem elem;

	memset(guest.ram + BUFFERS + 0x80000, 0, 16);
	driver_desc(with, 7, BUFFERS + 0x80000, 16, VRING_DESC_F_WRITE, 0);
	driver_listen(with);
	driver_offer(with, 7);
	virtio_function_kick(function, 0);
	VIRTIO_GUEST_UNTIL(&guest, guest.messages > messages);
	return driver_take(with, &elem) && elem.id == 7 && elem.len == 16 &&
	       load_le(guest.ram + BUFFERS + 0x80000, 8) && guest.messages == messages + 1 &&
	       guest.last_data == 1;
}

static inline int teardown(void **state)
{
	bool fine = virtio_function_status(&other) == RUNNING && rng_works(&other, &other_driver);

	virtio_guest_finish(&guest);
	return !fine; /* the other device must have noticed nothing */
}

/* ---- what drivers do ---- */

static inline void loop_of_descriptors(void)
{
	driver_desc(&driver, 0, BUFFERS, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	driver_desc(&driver, 1, BUFFERS, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
	driver_offer(&driver, 0);
}

static inline void jumping_index(void)
{
	__atomic_store_n(&driver.ring.avail->idx, 0x4000, __ATOMIC_SEQ_CST);
}

#endif
