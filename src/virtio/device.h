/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: the transport's half of a device, which the files pci*.c and life.c share.
 *
 * Locks, outermost first: the transport's (device.lock: registers, and the order of starts and stops),
 * interrupt_lock, PCI's, bell_lock. run_lock is taken alone. While a vCPU holds the transport's lock it waits
 * for the device's loop, so nothing that runs on the loop takes that lock.
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <stdatomic.h>

#include "queue.h"
#include "vmm/device/pci.h"

#define VIRTIO_F_VERSION_1       (UINT64_C(1) << 32)
#define VIRTIO_F_ACCESS_PLATFORM (UINT64_C(1) << 33)

/* Device status (VIRTIO 2.1). */
enum {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_NO_VECTOR 0xffff

/* The BARs, and what is where in the first one. */
#define VIRTIO_BAR       0
#define VIRTIO_MSIX_BAR  1
#define VIRTIO_COMMON_AT 0x0000
#define VIRTIO_COMMON_BYTES \
	56 /* up to queue_device; what follows belongs to features that are not offered \
	    */
#define VIRTIO_ISR_AT        0x1000
#define VIRTIO_ISR_BYTES     1
#define VIRTIO_CONFIG_AT     0x2000
#define VIRTIO_CONFIG_BYTES  0x1000 /* room for it */
#define VIRTIO_NOTIFY_AT     0x3000
#define VIRTIO_NOTIFY_STRIDE 4 /* each queue has its own address to be rung at */
#define VIRTIO_BAR_BYTES     0x4000

/* A queue as the registers see it. */
struct virtio_slot {
	struct virtio_device *device;
	unsigned index;
	struct virtio_queue queue;
	uint16_t size;
	bool enabled;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t from; /* while the device's state is visited: where the queue goes on */
	_Atomic uint16_t vector;
	int kick_fd; /* eventfd: the driver rang */
	int call_fd; /* eventfd of a queue that is served outside: interrupt the driver; -1 */

	bool wired; /* call_fd belongs to the vector: the loop does not listen to it */
	struct loop_op
	        *bell_op; /* listens to kick_fd, or to a call_fd that is not wired; the loop's thread */
	bool hung;        /* with bell_lock: the kernel signals kick_fd when the guest writes to ... */
	uint64_t bell;    /* ... this address */
};

/* HELD: stopped, but its queues keep their places, and it goes on when it is woken. */
enum virtio_run { VIRTIO_IDLE, VIRTIO_RUNNING, VIRTIO_STOPPING, VIRTIO_HELD };

struct virtio_device {
	struct device device;
	struct device_board *board;
	struct device_pci_function *function;
	struct device_msix *msix;
	struct virtio_setup setup;
	char *id;
	uint64_t offered;  /* features */
	uint8_t window_at; /* of the capability for access through configuration space */
	struct virtio_queue_owner owner;
	struct virtio_slot *slots;  /* setup.queues of them */
	struct page_memory *memory; /* NULL between two guests */

	/* Registers. */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint16_t queue_select;
	_Atomic uint8_t status;
	_Atomic uint16_t config_vector;
	_Atomic uint8_t generation;

	pthread_mutex_t interrupt_lock;
	bool live; /* there is a guest to interrupt */
	bool held; /* but not now: ... */
	bool late; /* ... the driver is told of a change of the configuration when it goes on */
	uint8_t isr;

	pthread_mutex_t bell_lock;
	bool bar_on, ringing; /* the BAR is somewhere; the device runs */
	uint64_t bar;

	pthread_mutex_t run_lock;
	pthread_cond_t run_changed;
	enum virtio_run run;
	bool holding, goes_on; /* the next stop leads to VIRTIO_HELD; the next start comes from there */
	struct virtio_queue
	        *started[VIRTIO_QUEUES_MAX]; /* while it runs: the queues that the driver enabled */
	struct err start_err;
};

static inline bool virtio_serves_itself(const struct virtio_device *device)
{
	return !device->setup.outside[0] && !device->setup.outside[1];
}

static inline bool virtio_is_outside(const struct virtio_slot *slot)
{
	return slot->device->setup.outside[slot->index / 64] >> (slot->index % 64) & 1;
}

/* ---- the board (pci.c) ---- */

/* Returns device number i of a board; NULL: it is no virtio device. */
struct virtio_device *virtio_pci_device(const struct device_board *board, unsigned i);

/* ---- registers (pci_common.c). The transport's lock is held ---- */

uint64_t virtio_common_read(struct virtio_device *device, unsigned offset, unsigned size);
void virtio_common_write(struct virtio_device *device, unsigned offset, unsigned size, uint64_t value);
/* Puts the registers into the state after a reset. */
void virtio_common_reset(struct virtio_device *device);

/* Can the driver have agreed to these features? */
bool virtio_common_agrees(const struct virtio_device *device);

/* ---- a guest that goes on elsewhere (visit.c), as in struct device_kind. The transport's lock is held ----
 */

void virtio_visit(struct virtio_device *device, struct vmstate *s);
const char *virtio_unmovable(const struct virtio_device *device);

/* ---- interrupts (pci_interrupt.c). Any thread ---- */

/* Bits of the interrupt status. */
#define VIRTIO_ISR_QUEUE  1
#define VIRTIO_ISR_CONFIG 2
#define VIRTIO_ISR_BITS   (VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG)

void virtio_interrupt_queue(void *device, unsigned index);
void virtio_interrupt_config(struct virtio_device *device);
/* Reads the interrupt status, which ends the interrupt. */
uint8_t virtio_interrupt_status(struct virtio_device *device);
/* Says whether there is a guest; forgets what was to be told to the last one. */
void virtio_interrupt_live(struct virtio_device *device, bool live);
/* Keeps interrupts about the configuration back, or sends the one that was kept back. */
void virtio_interrupt_hold(struct virtio_device *device, bool held);

/* ---- doorbells (pci_bell.c). Any thread ---- */

/* The BAR's on_move. */
void virtio_bell_move(void *device, bool on, uint64_t base);
/* Lets the kernel ring for the enabled queues, or no longer. */
void virtio_bell_hang(struct virtio_device *device, bool ringing);
void virtio_bell_ring(const struct virtio_slot *slot);

/* ---- start and stop (life.c) ---- */

/* The driver is ready (DRIVER_OK). The transport's lock is held. */
void virtio_life_start(struct virtio_device *device);
/* Returns when the device has stopped and the registers are reset. The transport's lock is held. */
void virtio_life_reset(struct virtio_device *device);
/* virtio_hold() and virtio_wake() of one device. The transport's lock is held. */
void virtio_life_hold(struct virtio_device *device);
void virtio_life_wake(struct virtio_device *device);
bool virtio_life_is_held(struct virtio_device *device);
/*
 * Makes the device, which was reset, one that is held with what was loaded: each enabled queue at its index
 * (`from`). Impossible addresses make s bad. The transport's lock is held.
 */
void virtio_life_arrive(struct virtio_device *device, struct vmstate *s);
/* The vector of a queue has changed. The transport's lock is held. */
void virtio_life_rewire(struct virtio_slot *slot);
/* struct virtio_queue_owner's broken. */
void virtio_life_broken(void *device, const char *text);

#endif
