/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: boards with a device of each kind that vmm serves itself, and their drivers. The network's back end
 * is made up: link with --wrap=back_net_open.
 */
#ifndef TEST_VIRTIO_MOVE_H
#define TEST_VIRTIO_MOVE_H

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <poll.h>

#include "../../../src/virtio/queue.h"
#include "support/test.h"
#include "support/virtio_guest.h"
#include "vmm/device/pci.h"

enum move_device { RNG, CONSOLE, BLK, NET, BALLOON, DEVICES };

/* The first queues of each device, which the drivers use. */
#define RINGS(device, queue) (0x10000u + 0x8000u * (device) + 0x1000u * (queue))
#define BUFFERS(device)      (0x100000u + 0x80000u * (device))
#define SIZE                 16
#define QUEUES_MAX           5
#define DISK_BYTES           MIB(1)
#define HEADER               BACK_NET_HEADER_BYTES
#define FRAMES_MAX           64

/* A made-up network: it keeps the first byte of what it is sent, and gives frames of 60 bytes. */
struct move_net {
	struct back_net net;
	_Atomic unsigned room, sent_count;
	uint8_t sent[FRAMES_MAX];
	_Atomic unsigned waiting;
	_Atomic int watched;
	_Atomic unsigned offloads, queues;
};

struct move_side {
	struct virtio_guest guest;
	struct move_net net;
	struct virtio_function functions[DEVICES];
	struct driver drivers[DEVICES][QUEUES_MAX];
	uint64_t features[DEVICES];
	unsigned queues[DEVICES];
	_Atomic unsigned outputs, quiets;
	_Atomic int bells; /* that hang */
};

static char move_path[] = "/tmp/virtio-move-XXXXXX";
static struct move_net *move_next_net;

/* ---- the network ---- */

static inline int move_net_start(struct back_net *net, struct err *err)
{
	return 0;
}

static inline void move_net_stop(struct back_net *net)
{
	((struct move_net *)net)->watched = 0;
}

static inline void move_net_watch(struct back_net *net, unsigned queue, int events)
{
	if (!queue)
		((struct move_net *)net)->watched = events;
}

static inline unsigned move_net_send(
        struct back_net *base, unsigned queue, const struct back_net_frame *frames, unsigned count)
{
	struct move_net *net = (struct move_net *)base;
	unsigned i = 0;

	for (; i < count && net->room && net->sent_count < FRAMES_MAX; i++, net->room--)
		net->sent[net->sent_count++] = ((const uint8_t *)frames[i].iov->iov_base)[HEADER];
	return i;
}

static inline size_t move_net_receive(
        struct back_net *base, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct move_net *net = (struct move_net *)base;

	if (queue || !net->waiting)
		return 0;
	memset(iov->iov_base, 0x5a, iov->iov_len < HEADER + 60 ? iov->iov_len : HEADER + 60);
	net->waiting--;
	return HEADER + 60;
}

static inline int move_net_offloads(struct back_net *net, unsigned offloads, struct err *err)
{
	((struct move_net *)net)->offloads = offloads;
	return 0;
}

static inline int move_net_queues(struct back_net *net, unsigned count, struct err *err)
{
	((struct move_net *)net)->queues = count;
	return 0;
}

static inline void move_net_destroy(struct back_net *net)
{
}

static const struct back_net_ops move_net_ops = {.start = move_net_start,
        .stop = move_net_stop,
        .watch = move_net_watch,
        .send = move_net_send,
        .receive = move_net_receive,
        .set_offloads = move_net_offloads,
        .set_queues = move_net_queues,
        .destroy = move_net_destroy};

int __wrap_back_net_open(
        const struct config_device *config, const uint8_t *mac, struct back_net **ret_net, struct err *err);
int __wrap_back_net_open(
        const struct config_device *config, const uint8_t *mac, struct back_net **ret_net, struct err *err)
{
	move_next_net->net = (struct back_net){.ops = &move_net_ops,
	        .queues = 2,
	        .offloads = BACK_NET_CSUM | BACK_NET_TSO4,
	        .mtu = 1500,
	        .frame_max = 65535};
	*ret_net = &move_next_net->net;
	return 0;
}

/* What waits in the back end is there, or there is room again. */
struct move_ready {
	struct move_net *net;
	int events;
};

static inline void move_ready_on_loop(void *ctx)
{
	const struct move_ready *ready = ctx;
	const struct back_net_events *events = &ready->net->net.events;

	if (ready->net->watched & ready->events)
		events->on_ready(events->ctx, 0, ready->events & ready->net->watched);
}

static inline void move_ready(struct move_side *side, int events)
{
	struct move_ready ready = {&side->net, events};

	loop_call(side->net.net.loop, move_ready_on_loop, &ready);
}

/* ---- a board ---- */

static inline void move_on_output(void *ctx)
{
	((struct move_side *)ctx)->outputs++;
}

static inline void move_on_quiet(void *ctx)
{
	((struct move_side *)ctx)->quiets++;
}

static inline int move_on_bell(void *ctx, int fd, uint64_t address, bool on)
{
	((struct move_side *)ctx)->bells += on ? 1 : -1;
	return 0;
}

/* Messages go to the guest as before. */
static inline void move_on_message(void *ctx, const struct device_msi *msi)
{
	virtio_guest_on_message(&((struct move_side *)ctx)->guest, msi);
}

static char *const move_ids[DEVICES] = {(char *)(uintptr_t) "rng0", (char *)(uintptr_t) "con0",
        (char *)(uintptr_t) "disk0", (char *)(uintptr_t) "net0", (char *)(uintptr_t) "balloon0"};

static inline struct config_device move_config(enum move_device device)
{
	static char none[] = "", serial[] = "42";
	static const enum config_driver drivers[DEVICES] = {
	        CONFIG_RNG, CONFIG_CONSOLE, CONFIG_BLK, CONFIG_NET, CONFIG_BALLOON};

	return (struct config_device){.driver = drivers[device],
	        .id = move_ids[device],
	        .file = move_path,
	        .serial = serial,
	        .tap = none,
	        .tap_fd = -1,
	        .mac = none,
	        .queues = device == BLK};
}

static virtio_adder *const move_adders[DEVICES] = {
        virtio_rng_add, virtio_console_add, virtio_blk_add, virtio_net_add, virtio_balloon_add};

/*
 * Makes a board whose devices the driver has found, and whose BARs it has placed. arrives: for a guest from
 * another one (move_pci()).
 */
static inline void move_make(struct move_side *side, bool msix, bool arrives)
{
	struct virtio_place place;
	struct err err;

	virtio_guest_init(&side->guest);
	side->guest.board.events = (struct device_events){
	        .on_output = move_on_output, .on_disk_quiet = move_on_quiet, .ctx = side};
	side->guest.board.wires =
	        (struct device_wires){.send = move_on_message, .doorbell = move_on_bell, .ctx = side};
	move_next_net = &side->net;
	side->net = (struct move_net){.room = UINT32_MAX};
	place = virtio_guest_place(&side->guest);
	place.arrives = arrives;
	for (unsigned i = 0; i < DEVICES; i++) {
		struct config_device config = move_config(i);

		if (move_adders[i](&place, &config, &err) < 0)
			fail_msg("%s", err.text);
	}
	virtio_guest_start(&side->guest);
	for (unsigned i = 0; i < DEVICES && !arrives; i++) {
		assert_true(virtio_function_find(&side->functions[i], &side->guest, i, msix));
		if (msix)
			virtio_function_unmask(&side->functions[i]);
	}
}

#define MOVE_FIRST 1 /* of the board's devices: PCI comes before */

/* PCI's state comes first: where the BARs lie, and whom the vectors interrupt. */
static inline void move_pci(const struct move_side *source, struct move_side *target)
{
	struct vmstate saved;
	struct err err;

	assert_ok(device_board_save(&source->guest.board, 0, &saved, &err));
	if (device_board_load(&target->guest.board, 0, saved.data, saved.size, &err) < 0)
		fail_msg("%s", err.text);
	vmstate_finish(&saved);
	for (unsigned i = 0; i < DEVICES; i++) {
		target->functions[i] = source->functions[i];
		target->functions[i].guest = &target->guest;
	}
}

/* Starts the driver of a device with all its queues, or with fewer of them. */
static inline void move_start(struct move_side *side, enum move_device i, uint64_t features)
{
	static const unsigned queues[DEVICES] = {1, 2, 1, 5, 3};
	struct virtio_function *function = &side->functions[i];

	side->features[i] = virtio_function_negotiate(function, features);
	virtio_function_set(function, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	side->queues[i] = queues[i];
	for (unsigned q = 0; q < queues[i]; q++)
		virtio_function_queue(function, q, &side->drivers[i][q], RINGS(i, q), SIZE,
		        side->features[i] & VIRTIO_F_EVENT_IDX);
	virtio_function_add_status(function, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void move_finish(struct move_side *side)
{
	virtio_guest_finish(&side->guest);
}

static inline int move_setup(void **state)
{
	int fd;

	memcpy(move_path + strlen(move_path) - 6, "XXXXXX", 6);
	fd = mkstemp(move_path);
	if (fd < 0 || ftruncate(fd, (off_t)DISK_BYTES) < 0)
		return -1;
	return close(fd);
}

static inline int move_teardown(void **state)
{
	return unlink(move_path);
}

/* All that the driver gave the disk is done, and then nobody does anything. */
static inline void move_hold(struct move_side *side)
{
	unsigned before = side->quiets;

	assert_true(virtio_blk_quieten(&side->guest.board, move_ids[BLK]));
	VIRTIO_GUEST_UNTIL(&side->guest, side->quiets != before);
	virtio_hold(&side->guest.board);
}

/* ---- the drivers ---- */

static inline uint8_t *move_at(const struct move_side *side, uint64_t gpa)
{
	return side->guest.ram + gpa;
}

/* Offers one buffer, whose place follows from the descriptor's number. Rings if the device wants that. */
static inline void move_offer(struct move_side *side, enum move_device device, unsigned queue, unsigned i,
        uint32_t size, bool write)
{
	struct driver *driver = &side->drivers[device][queue];

	driver_desc(driver, i, BUFFERS(device) + 0x8000 * queue + 0x800 * i, size,
	        write ? VRING_DESC_F_WRITE : 0, 0);
	if (driver_offer(driver, (uint16_t)i))
		virtio_function_kick(&side->functions[device], queue);
}

static inline uint8_t *move_buffer(
        const struct move_side *side, enum move_device device, unsigned queue, unsigned i)
{
	return move_at(side, BUFFERS(device) + 0x8000 * queue + 0x800 * i);
}

static inline bool driver_has(const struct driver *driver)
{
	return __atomic_load_n(&driver->ring.used->idx, __ATOMIC_ACQUIRE) != driver->used_seen;
}

/* Waits for the next answer, which must be that of chain i. Returns its length. */
static inline uint32_t move_take(struct move_side *side, enum move_device device, unsigned queue, unsigned i)
{
	struct driver *driver = &side->drivers[device][queue];
	struct vring_used_elem elem = {0};

	VIRTIO_GUEST_UNTIL(&side->guest, driver_has(driver));
	assert_true(driver_take(driver, &elem));
	assert_int_equal(elem.id, i);
	return elem.len;
}

/* Nothing else is answered. */
static inline void move_has_nothing(struct move_side *side, enum move_device device, unsigned queue)
{
	struct vring_used_elem elem;

	virtio_guest_turn(&side->guest, 20);
	assert_false(driver_take(&side->drivers[device][queue], &elem));
}

static inline void move_print(struct move_side *side, unsigned i, const char *text)
{
	memcpy(move_buffer(side, CONSOLE, 1, i), text, strlen(text));
	move_offer(side, CONSOLE, 1, i, (uint32_t)strlen(text), false);
}

static inline void move_send(struct move_side *side, unsigned i, uint32_t bytes)
{
	memset(move_buffer(side, NET, 1, i), 0, HEADER);
	memset(move_buffer(side, NET, 1, i) + HEADER, (int)('a' + i), bytes);
	move_offer(side, NET, 1, i, HEADER + bytes, false);
}

/* Writes sectors of this value with the three descriptors from i on. rings: or leaves it in the queue. */
static inline void move_write(struct move_side *side, unsigned i, uint64_t sector, uint8_t value, bool rings)
{
	struct driver *driver = &side->drivers[BLK][0];
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_OUT, .sector = sector};
	uint64_t at = BUFFERS(BLK) + 0x800 * i;

	memcpy(move_at(side, at), &header, sizeof(header));
	memset(move_at(side, at + 0x200), value, 512);
	*move_at(side, at + 0x500) = 0xff;
	driver_desc(driver, i, at, sizeof(header), VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	driver_desc(driver, i + 1, at + 0x200, 512, VRING_DESC_F_NEXT, (uint16_t)(i + 2));
	driver_desc(driver, i + 2, at + 0x500, 1, VRING_DESC_F_WRITE, 0);
	if (driver_offer(driver, (uint16_t)i) && rings)
		virtio_function_kick(&side->functions[BLK], 0);
}

static inline uint8_t move_status(const struct move_side *side, unsigned i)
{
	return *move_at(side, BUFFERS(BLK) + 0x800 * i + 0x500);
}

/* Writes with the first count descriptors are answered, in any order, each once. */
static inline void move_take_writes(struct move_side *side, unsigned count)
{
	struct vring_used_elem elem = {0};
	uint32_t seen = 0;

	for (unsigned i = 0; i < count; i += 3) {
		VIRTIO_GUEST_UNTIL(&side->guest, driver_has(&side->drivers[BLK][0]));
		assert_true(driver_take(&side->drivers[BLK][0], &elem));
		assert_true(elem.id < count && elem.id % 3 == 0 && !(seen >> elem.id & 1));
		seen |= 1u << elem.id;
		assert_int_equal(elem.len, 1);
		assert_int_equal(move_status(side, elem.id), VIRTIO_BLK_S_OK);
	}
}

#endif
