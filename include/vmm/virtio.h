/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio: devices whose requests wait in rings in the guest's memory. Virtual I/O Device (VIRTIO) 1.2.
 *
 * A device is a table of functions (struct virtio_kind) and a back end. It sees queues and chains, never the
 * bus. The transport owns registers, interrupts and doorbells. The rings have one walker.
 *
 *     driver ── doorbell (eventfd) ──▶ loop of the device ── kick ──▶ device ── pop, push, flush ──▶ queue
 *
 * Threads: each device has one loop, and that loop's thread alone touches its queues, so that they need no
 * lock: start, kick and stop run there. The guest's accesses to registers run on vCPU threads.
 *
 * The driver is hostile. Whatever it does wrong ends in virtio_device_break(): the device stops, and the
 * driver must reset it (DEVICE_NEEDS_RESET). Nothing else is touched.
 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/back/disk.h"
#include "vmm/back/net.h"
#include "vmm/base.h"
#include "vmm/config.h"
#include "vmm/device.h"
#include "vmm/loop.h"
#include "vmm/page.h"

#define VIRTIO_QUEUES_MAX     66   /* of a device: 32 pairs of virtio-net, its control queue, one to spare */
#define VIRTIO_QUEUE_SIZE_MAX 1024 /* entries of a ring; a power of two */
#define VIRTIO_SEGMENTS_MAX   256  /* descriptors of a chain, indirect ones counted */

struct virtio_device; /* the transport's half of a device */
struct virtio_queue;

/* ---- queues: VIRTIO 2.7, split virtqueues. On the thread of the device's loop ---- */

/*
 * A chain of buffers that the driver made available: first those that the device reads, then those that it
 * writes. The descriptors were copied once and checked. Each iov is a loan of guest memory (page_loan()): it
 * stays mapped until the chain is pushed, and the guest may change its bytes at any time.
 */
struct virtio_chain {
	uint16_t head;
	unsigned readable,
	        writable; /* how many of iov, in this order; together at most VIRTIO_SEGMENTS_MAX */
	uint64_t readable_bytes, writable_bytes; /* each less than 4 GiB */
	struct iovec iov[VIRTIO_SEGMENTS_MAX];
};

/*
 * Takes the next chain. Returns 1 with a chain, 0 if there is none, -1 if the ring is broken: the device was
 * broken then (virtio_device_break()) and must not touch the queue until it is started again.
 */
int virtio_queue_pop(struct virtio_queue *queue, struct virtio_chain *ret_chain) MUST_CHECK;
/* Puts the chain popped last back, so that the next pop returns it again. */
void virtio_queue_unpop(struct virtio_queue *queue);
/*
 * Gives a chain back, with its iov as they were popped: written is how many bytes of its writable part the
 * driver may read. In any order. The driver sees it after the next virtio_queue_flush(). The whole writable
 * part counts as written for whoever copies the guest's memory (page_wrote()).
 */
void virtio_queue_push(struct virtio_queue *queue, const struct virtio_chain *chain, uint32_t written);
/* The same for a device that keeps no chain: iov has its writable part, of which the first bytes were
 * written.
 */
void virtio_queue_push_iov(
        struct virtio_queue *queue, uint16_t head, const struct iovec *iov, unsigned count, uint32_t written);
/* Shows the driver all that was pushed, and interrupts it if it wants to be (VIRTIO 2.7.7, event index). */
void virtio_queue_flush(struct virtio_queue *queue);
/*
 * Asks the driver not to ring while the device looks at the queue anyway, and to ring again. The second
 * returns true if chains came meanwhile: the device then looks again before it waits. A device that never
 * asks for silence need not ask for kicks.
 */
void virtio_queue_hush(struct virtio_queue *queue);
bool virtio_queue_listen(struct virtio_queue *queue) MUST_CHECK;
/* Are there chains to pop? Cheap; the driver rings, or stays silent, as before. */
bool virtio_queue_has_more(const struct virtio_queue *queue);
unsigned virtio_queue_index(const struct virtio_queue *queue);

/*
 * Copies out of the readable part and into the writable part of a chain, from a byte offset of that part on.
 * They return how many bytes there were, at most size.
 */
size_t virtio_chain_read(const struct virtio_chain *chain, uint64_t offset, void *data, size_t size);
size_t virtio_chain_write(const struct virtio_chain *chain, uint64_t offset, const void *data, size_t size);

/* What a back end outside vmm needs (vhost in the kernel, vhost-user) to serve the queue itself. */
struct virtio_queue_place {
	uint64_t desc_gpa, avail_gpa, used_gpa;
	void *desc, *avail, *used; /* the same in vmm's memory, for the kernel's vhost only */
	uint16_t size;
	int kick_fd; /* eventfd: the driver rang */
	int call_fd; /* eventfd: interrupt the driver */
};
struct virtio_queue_place virtio_queue_place(const struct virtio_queue *queue);

/* ---- devices ---- */

/* What the driver has agreed to when it sets DRIVER_OK. */
struct virtio_start {
	uint64_t features;
	struct virtio_queue *
	        *queues;            /* NULL where the driver enabled none; count as in struct virtio_setup */
	struct page_memory *memory; /* until stop */
	/*
	 * The device was held (virtio_hold()), or held in another vmm, and goes on: what the driver has told
	 * it since DRIVER_OK still counts. Chains that it had not pushed are in their queues again.
	 */
	bool goes_on;
};

/* A kind of device. ctx is that of struct virtio_setup. */
struct virtio_kind {
	const char *name;   /* "virtio-blk" */
	uint16_t id;        /* VIRTIO 5, device id */
	uint32_t pci_class; /* 24 bits: class, subclass, interface */
	/*
	 * Reads and writes the device's own configuration (VIRTIO 5). On a vCPU's thread, with the
	 * transport's lock held; offset and size lie inside config_bytes. write NULL: the guest can write
	 * nothing.
	 */
	void (*config_read)(void *ctx, unsigned offset, void *data, unsigned size);
	void (*config_write)(void *ctx, unsigned offset, const void *data, unsigned size);
	/* The functions below run on the thread of the device's loop. */
	/* The driver is ready. After an error the device is broken, with the error's text, and not stopped.
	 */
	int (*start)(void *ctx, const struct virtio_start *start, struct err *err);
	/* The driver rang, or may have. Not called for queues that are served outside. */
	void (*kick)(void *ctx, struct virtio_queue *queue);
	/*
	 * Ends all work on the queues. The device calls virtio_device_stopped() when nothing is in flight any
	 * more, from this function or later from the loop. It keeps nothing of struct virtio_start. A kind
	 * whose queues vmm serves pushes chains of a queue in the order in which it popped them, except for
	 * chains that are done before it can be held.
	 */
	void (*stop)(void *ctx);
	/*
	 * Visits what the kind knows beside registers and queues, for a guest that goes on elsewhere: what
	 * must be the same there, and what the guest or a controller has changed. works: the driver is ready,
	 * and has agreed to these features; start follows with goes_on set when the guest runs. NULL: there
	 * is nothing.
	 */
	void (*visit)(void *ctx, bool works, uint64_t features, struct vmstate *s);
	/* Frees ctx. On the main thread; the device is stopped. */
	void (*finish)(void *ctx);
	/*
	 * Why a guest cannot be moved that has such a device with queues that are served outside, as for
	 * struct device_kind.
	 */
	const char *unmovable;
};

struct virtio_setup {
	const struct virtio_kind *kind;
	void *ctx;
	const char *id; /* the configuration's name of the device, for messages; copied */
	/*
	 * Bits that the device offers. The transport adds VERSION_1 and ACCESS_PLATFORM, and what the ring
	 * walker can do (INDIRECT_DESC, EVENT_IDX) unless queues are served outside: then the device says
	 * which of these the back end can do. Other bits of VIRTIO 6 are not offered.
	 */
	uint64_t features;
	unsigned queues; /* 1..VIRTIO_QUEUES_MAX */
	uint16_t queue_size;
	unsigned config_bytes;
	/*
	 * The device's own thread (loop_thread_loop()) or the main loop. A device on the main loop stops
	 * without waiting: its stop calls virtio_device_stopped() itself.
	 */
	struct loop *loop;
	/* Bit i: queue i is served outside (vhost): its kick_fd is not read, its call_fd interrupts (irqfd).
	 */
	uint64_t outside[2];
};

/*
 * Adds a device to a board's PCI bus, before its bus is frozen. The device owns ctx from then on, also after
 * an error. Main thread.
 */
int virtio_pci_add(struct device_board *board, const struct virtio_setup *setup,
        struct virtio_device **ret_device, struct err *err) MUST_CHECK;

/* Says that stop is complete. On the loop's thread. */
void virtio_device_stopped(struct virtio_device *device);
/* The driver broke the rules: says so once in the log, stops the device, sets NEEDS_RESET. Any thread. */
void virtio_device_break(struct virtio_device *device, const char *fmt, ...) PRINTF(2, 3);
/* Tells the driver that the device's configuration changed. Any thread. */
void virtio_device_config_changed(struct virtio_device *device);

/*
 * Finds a device of a kind on a board by its id; NULL: the first one. Returns the ctx of its struct
 * virtio_setup, NULL if there is none. Any thread once the bus is frozen.
 */
void *virtio_device_find(const struct device_board *board, const struct virtio_kind *kind, const char *id);
/* Returns the ctx of device number i of a board if it is of this kind, or NULL. Any thread as above. */
void *virtio_device_at(const struct device_board *board, const struct virtio_kind *kind, unsigned i);
/*
 * Returns the thread that serves the queues of the device with this id; 0: there is no such device, or the
 * main thread does it. Any thread once the bus is frozen.
 */
pid_t virtio_device_thread(const struct device_board *board, const char *id);

/* ---- a guest that does not run ---- */

/*
 * Makes all devices of a board whose queues vmm serves do nothing, while no vCPU runs: they neither read nor
 * write guest memory, and interrupt nobody. What they have done is shown to the driver before that, and
 * requests that they have not finished go back to their queues. Disks have no requests under way
 * (virtio_blk_quieten()). Devices whose queues are served outside go on: they are unmovable. Returns when it
 * is done; it waits for threads of devices, but not for back ends. Main thread, as all that follows here.
 */
void virtio_hold(const struct device_board *board);
/*
 * Lets them go on where they were, and tells the driver what changed meanwhile. Held devices that were reset
 * are not held any more. Called before vCPUs run again, and before the guest is ended, so that what it wrote
 * last comes out; no vCPU runs yet. Devices that are not held stay as they are.
 */
void virtio_wake(const struct device_board *board);

/* ---- a console's bytes: main thread ---- */

struct virtio_console;

/* NULL: the board has no console with this id. */
struct virtio_console *virtio_console_of(const struct device_board *board, const char *id);
/*
 * Takes bytes that the guest wrote, at most max, and returns their number. When it has returned less than
 * max, the board's on_output is called as soon as there are more. The guest waits while its bytes are not
 * taken.
 */
size_t virtio_console_output(struct virtio_console *console, void *data, size_t max);
/*
 * Gives the guest bytes and returns how many it had room for. When these are less than size, the board's
 * on_room is called as soon as there is room.
 */
size_t virtio_console_input(struct virtio_console *console, const void *data, size_t size);

/* ---- a balloon's size. Any thread ---- */

struct virtio_balloon;

/* NULL: the board has no balloon. */
struct virtio_balloon *virtio_balloon_of(const struct device_board *board);
/* Asks the guest to give this much of its memory back, in whole pages. It does so as far as it can. */
void virtio_balloon_ask(struct virtio_balloon *balloon, uint64_t bytes);
/* How much the guest says that it has given back. */
uint64_t virtio_balloon_given(const struct virtio_balloon *balloon);

/* ---- what controllers know of disks and networks, and change. Main thread ---- */

/* id: of the configuration. The counters are those of vmm's life; disks and networks count by themselves. */
struct virtio_blk_facts {
	uint64_t size_bytes;
	uint32_t block_bytes;
	bool read_only;
	uint64_t requests[BACK_DISK_KINDS], bytes[BACK_DISK_KINDS]; /* that were done, by their kind */
	uint64_t failed;                                            /* requests */
	enum back_disk_kind failed_kind;                            /* of the last one that failed, ... */
	int failed_sys;                                             /* ... and its errno */
};
/* false: there is no such disk. */
bool virtio_blk_facts(
        const struct device_board *board, const char *id, struct virtio_blk_facts *ret_facts) MUST_CHECK;
/*
 * Gives a disk another size, as back_disk_resize() can, and tells the driver. Waits for the disk's thread.
 */
int virtio_blk_resize(
        const struct device_board *board, const char *id, uint64_t bytes, struct err *err) MUST_CHECK;
/*
 * Asks a disk to do all that the guest has given it, while no vCPU runs. struct device_events' on_disk_quiet
 * is called when that is done: from then on nothing reads or writes the image until a vCPU runs again.
 * A server that does not answer keeps its disk busy. false: there is no such disk.
 */
bool virtio_blk_quieten(const struct device_board *board, const char *id) MUST_CHECK;
/* Has the disk become quiet since virtio_blk_quieten() was called last? */
bool virtio_blk_is_quiet(const struct device_board *board, const char *id) MUST_CHECK;

/*
 * The images of a guest that goes on in another vmm. Each is open for writing, and locked, on one side at
 * most. The order, with all devices held (virtio_hold()) from before the first step to after the last one:
 *
 *     source   virtio_disks_release(), until virtio_disks_released() returns 1     before it gives the guest
 * away target   virtio_disks_take(), then virtio_wake()                           when the guest is its own
 *     source   virtio_disks_take(), then virtio_wake()                           if it keeps the guest after
 * all
 *
 * A disk that is woken without its image answers all requests with I/O errors. An NBD server is connected to
 * from both sides at the same time, so it must take two clients (qemu-nbd -e 2).
 *
 * virtio_disks_release() asks all disks to flush, and then to close their images, by which the locks end.
 * on_disk_quiet of struct device_events is called after each. A server that does not answer never releases.
 */
void virtio_disks_release(const struct device_board *board);
/* Returns 1 if all disks are released, 0 if they are not yet, -1 with ERR_HOST if one could not be flushed.
 */
int virtio_disks_released(const struct device_board *board, struct err *err) MUST_CHECK;
/*
 * Opens the images of all disks that are released, or that were only looked at (struct virtio_place), and
 * locks them. ERR_USAGE, ERR_HOST: one is missing, locked, or shorter than the guest's disk; those before it
 * are taken, and it can be called again.
 */
int virtio_disks_take(const struct device_board *board, struct err *err) MUST_CHECK;

struct virtio_net_facts {
	uint8_t mac[BACK_NET_MAC_BYTES];
	const char *back; /* what it is connected to: "tap0", "passt"; lives as long as the board */
	bool link_up;     /* as the driver sees it */
	bool outside;     /* the kernel moves the frames (vhost-net), and nothing is counted here */
	uint64_t rx_frames, rx_bytes; /* that the guest received; bytes with Ethernet's headers */
	uint64_t tx_frames, tx_bytes; /* that the guest sent, ... */
	uint64_t tx_lost; /* ... and that are lost, because they cannot be sent or the link is down */
	uint64_t rx_lost; /* too long for the driver's buffers, or the link was down */
};
/* false: there is no such network. */
bool virtio_net_facts(
        const struct device_board *board, const char *id, struct virtio_net_facts *ret_facts) MUST_CHECK;
/*
 * Pulls the cable, or puts it in again, and tells the driver. While it is pulled no frame passes. A back end
 * that is gone for good keeps the link down. false: there is no such network. Waits for the network's thread.
 */
bool virtio_net_set_link(const struct device_board *board, const char *id, bool up) MUST_CHECK;

/* ---- the devices that a configuration names ---- */

struct virtio_place {
	struct device_board *board;
	struct loop *main_loop;
	unsigned vcpus;
	const char *machine; /* what tells this machine from others: its UUID, or its name */
	bool arrives; /* a guest from elsewhere: its disks are another vmm's until virtio_disks_take() */
};

/* Each opens the back end of a row of devices[] and adds the device. ERR_USAGE, ERR_HOST: why it cannot. */
typedef int virtio_adder(
        const struct virtio_place *place, const struct config_device *config, struct err *err);
virtio_adder virtio_blk_add, virtio_net_add, virtio_rng_add, virtio_vsock_add, virtio_console_add,
        virtio_fs_add, virtio_balloon_add;

#endif
