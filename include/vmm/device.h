/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: what all devices share. A device is what the guest sees on ports or in memory-mapped registers.
 *
 * Each device is an object of a kind, and each kind is one source file in src/device. A board holds the
 * devices that were added to it, in that order. Functions that others call for one certain device are
 * declared in vmm/device/<name>.h.
 *
 * Devices are called from any vCPU thread and from the loop. Each device has a lock of its own. No device
 * blocks, allocates memory on behalf of the guest, or treats what the guest does as an error: nonsense reads
 * as ones, and writes of nonsense go nowhere.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"
#include "vmm/base/vmstate.h"
#include "vmm/device/bus.h"
#include "vmm/page.h"

struct config;

/* ---- what a device may reach: set in the board by its owner ---- */

/*
 * Sets an interrupt line by its global system interrupt number (GSI). A device calls it only when a level
 * changes. It runs on any thread, with the device's lock held so that levels arrive in the order in which
 * they happened: it must not call a device. set is NULL when the lines are not connected.
 */
struct device_irq {
	void (*set)(void *ctx, unsigned gsi, bool level);
	void *ctx;
};

/* A message-signalled interrupt: a write of data to an address in the local APICs' range. */
struct device_msi {
	uint64_t address;
	uint32_t data;
};

/*
 * Ways past the interrupt lines and past the exits of vCPUs. They end in the guest that runs now; between two
 * guests there is none, and all bindings and doorbells of the last one are gone. The functions may be called
 * from any thread, with a device's lock held: they must not call a device. A member that is NULL is not
 * connected.
 */
struct device_wires {
	/* Sends a message. */
	void (*send)(void *ctx, const struct device_msi *msi);
	/*
	 * Lets the kernel send a message whenever the eventfd fd is signalled, and take its count. A count
	 * that waits already sends one at once, but the kernel may leave it until the next signal. Returns -1
	 * if that is not possible: whoever owns fd must then read it and send the messages. An fd is bound
	 * once: unbind it before binding it to another message.
	 */
	int (*bind)(void *ctx, int fd, const struct device_msi *msi);
	void (*unbind)(void *ctx, int fd);
	/*
	 * Lets the kernel signal the eventfd fd when the guest writes to exactly this address, with any size,
	 * in place of an exit (on) or no longer. Returns -1 if that is not possible: the writes then arrive
	 * as exits.
	 */
	int (*doorbell)(void *ctx, int fd, uint64_t address, bool on);
	void *ctx;
};

/* The machine's one clock. Any thread. */
struct device_clock {
	uint64_t (*now_ns)(void *ctx); /* monotonic since the machine was made */
	int64_t (*wall_ns)(void *ctx); /* since 1970, UTC; it may be set */
	void *ctx;
};

/* An act of the guest that concerns the whole machine. */
enum device_event {
	DEVICE_EVENT_POWER_OFF,
	DEVICE_EVENT_RESET,
	DEVICE_EVENT_CRASH, /* the guest says that it cannot go on */
	DEVICE_EVENTS,
};

/*
 * How devices tell their owner what the guest did. They are called from any thread, without a device's lock
 * held. A member that is NULL is not called.
 */
struct device_events {
	/*
	 * Called once per request. The access that made the request answers DEVICE_STOP. how is a constant
	 * text for messages that says how the guest asked: "port 0xcf9".
	 */
	void (*on_event)(void *ctx, enum device_event event, const char *how);
	/*
	 * Called when the guest wrote to a console on which no output was waiting. The owner fetches all of
	 * the output: there is no further call while some of it waits.
	 */
	void (*on_output)(void *ctx);
	/* Called when a console has room again for input that it refused. */
	void (*on_room)(void *ctx);
	/* Called after a disk answered a request with an I/O error. */
	void (*on_disk_error)(void *ctx);
	/* Called when a disk has become quiet, after virtio_blk_quieten(), or after virtio_disks_release().
	 */
	void (*on_disk_quiet)(void *ctx);
	/* Called after the guest's system answered for memory that was added (device_dimms_list()). */
	void (*on_dimm_answer)(void *ctx);
	void *ctx;
};

/* ---- a device ---- */

/* The first member of every device's own struct. */
struct device {
	const struct device_kind *kind;
	pthread_mutex_t lock; /* guards what the device's own struct says */
};

struct device_board;

/* How the ACPI tables describe a device that no bus can be asked about. */
struct device_isa {
	const char *name;   /* four characters, unique on the board; NULL: the device is not described */
	const char *id;     /* _HID: an EISA id ("PNP0501") or an ACPI id ("QEMU0001") */
	uint16_t port;      /* the first of its ports */
	uint8_t ports, gsi; /* how many ports; its interrupt, 0: it has none */
};

/*
 * A kind of device: its properties, and the functions that act on a device. The board calls all of them from
 * one thread at a time, while no vCPU runs.
 */
struct device_kind {
	const char *name; /* for messages */
	size_t size;      /* of the device's own struct */
	/* Does a machine with this configuration have the device? NULL: every machine has it. */
	bool (*wanted)(const struct config *config);
	/*
	 * Puts a zeroed device into the state after power-on and claims its ranges on the board's bus. It may
	 * look for devices that were added to the board before. ask is what device_board_add() was given.
	 */
	int (*init)(struct device *device, struct device_board *board, const void *ask, struct err *err);
	/* Registers as after power-on. NULL: nothing in the device changes. */
	void (*reset)(struct device *device);
	/*
	 * Lends the device the guest's memory, which changes with each incarnation of the guest. memory is
	 * NULL between two of them. NULL: the device does not reach memory.
	 */
	void (*attach)(struct device *device, struct page_memory *memory);
	/*
	 * Visits all that the guest can have changed since power-on, for a guest that goes on elsewhere; when
	 * it loads, the device is as after power-on, with the guest's memory attached, and goes on with what
	 * was loaded: claims move, lines rise. What waits in a device's own rings to be read by the host does
	 * not travel. NULL: there is nothing of the kind.
	 */
	void (*visit)(struct device *device, struct vmstate *s);
	/* Completes "the guest cannot be moved: ...". NULL, or it returns NULL: the device can be moved. */
	const char *(*unmovable)(struct device *device);
	/* Frees what the device owns beside its own struct, also after a failed init. NULL: nothing. */
	void (*finish)(struct device *device);
	struct device_isa isa;
};

/*
 * All kinds, in the order in which a machine adds them: a kind stands behind those that its init looks for.
 * To add a kind, write its file, name it here and in src/device/meson.build.
 */
#define DEVICE_KINDS(KIND) \
	KIND(pci) \
	KIND(power) \
	KIND(serial) \
	KIND(rtc) \
	KIND(fw_cfg) \
	KIND(debugcon) \
	KIND(pvpanic)

#define DEVICE_DECLARE_KIND(name) extern const struct device_kind device_##name##_kind;
DEVICE_KINDS(DEVICE_DECLARE_KIND)
#undef DEVICE_DECLARE_KIND

extern const struct device_kind *const device_kinds[];
extern const size_t device_kinds_count;

/* ---- the board ---- */

#define DEVICE_BOARD_MAX 40 /* a PC's own devices, and CONFIG_DEVICES_MAX */

struct device_board {
	/* Set by the owner before the first device is added. */
	struct device_irq irq;
	struct device_wires wires;
	struct device_clock clock;
	struct device_events events;
	uint64_t low_bytes, high_bytes; /* RAM below and above 4 GiB */

	/* Kept by device_board_*(). */
	struct device_bus *bus;
	struct device *devices[DEVICE_BOARD_MAX]; /* in the order of adding */
	unsigned count;
};

/* Gives a zeroed board its bus. ERR_FAILED: no memory is left. */
int device_board_init(struct device_board *board, struct err *err) MUST_CHECK;
/* Destroys the devices, the last one first, and the bus. No vCPU runs any more. A zeroed board is allowed. */
void device_board_finish(struct device_board *board);
/*
 * Makes a device of this kind. ask says what the new device is to be, in a struct that the kind defines; NULL
 * for kinds that ask for nothing. Before device_bus_freeze() only. After an error the bus may hold ranges of
 * a device that does not exist: the board is then fit only for device_board_finish().
 */
int device_board_add(struct device_board *board, const struct device_kind *kind, const void *ask,
        struct err *err) MUST_CHECK;
/* Returns the first device of this kind, NULL if the board has none. Any thread once the bus is frozen. */
struct device *device_board_find(const struct device_board *board, const struct device_kind *kind);
/* Resets all devices, in the order in which they were added. Main thread, while no vCPU runs. */
void device_board_reset(struct device_board *board);
/* Lends the guest's memory to all devices, or takes it back (NULL). Main thread, while no vCPU runs. */
void device_board_attach(struct device_board *board, struct page_memory *memory);

/*
 * ---- a guest that goes on elsewhere: on a board that the same configuration made ----
 *
 * The other machine first gets the DIMMs (launch_plug()), then the guest's memory, its vCPUs, its
 * interrupt controllers and its clock, and then the devices, in the order of the board. So a message that a
 * device sends while it is loaded finds its local APIC. A level-triggered line that was high is raised again,
 * which is no news to a controller that has it already. An edge-triggered line is not: the controllers' state
 * says whether the edge was delivered. Saving changes no line and sends nothing, so it can be repeated, and
 * the guest can also go on where it is.
 */

/*
 * Returns why a guest on this board cannot be moved, as a text that completes "the guest cannot be moved:
 * ..."; NULL: it can. Main thread.
 */
const char *device_board_unmovable(const struct device_board *board);
/*
 * Saves the state of device number i of the board, or loads it into a board after power-on with the guest's
 * memory attached. No vCPU runs, and no device works. ERR_FAILED: what was loaded is impossible; the board is
 * then fit only for device_board_finish(). save: the caller finishes *ret_state, also after an error. Main
 * thread.
 */
int device_board_save(
        const struct device_board *board, unsigned i, struct vmstate *ret_state, struct err *err) MUST_CHECK;
int device_board_load(const struct device_board *board, unsigned i, const void *data, size_t size,
        struct err *err) MUST_CHECK;

#endif
