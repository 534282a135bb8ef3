/*
 * device: what the guest sees on a port and in MMIO. Devices are called from any vCPU thread and from the
 * loop; each has its own lock. None ever blocks, allocates on behalf of the guest, or treats what the guest
 * does as an error: nonsense reads as ones and writes to nowhere.
 *
 * Creating a device claims its ranges; after a failed create the bus is fit only to be destroyed. Destroy
 * devices when no vCPU runs any more.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/base.h"
#include "vmm/page.h"

/* What the vCPU does after an access. */
enum device_verdict {
	DEVICE_RESUME, /* go on */
	DEVICE_STOP,   /* leave the guest: an event (power-off, reset) is on its way to the loop */
};

/* ---- what a device may reach: handed in by the machine ---- */

/*
 * Sets an interrupt line by its global system interrupt number; told changes only. Any thread, with the
 * device's lock held so that levels arrive in the order in which they happened: it must not call a device.
 * NULL: not connected.
 */
struct device_irq {
	void (*set)(void *ctx, unsigned gsi, bool level);
	void *ctx;
};

/* The machine's one clock. Any thread. */
struct device_clock {
	uint64_t (*now_ns)(void *ctx); /* monotonic since the machine was made */
	int64_t (*wall_s)(void *ctx);  /* seconds since 1970, UTC */
	void *ctx;
};

/*
 * Called without the device's lock held, from any thread, when there is something to do for the loop. NULL:
 * nobody to tell.
 */
struct device_notify {
	void (*call)(void *ctx);
	void *ctx;
};

/* ---- the bus ---- */

enum device_space { DEVICE_PIO, DEVICE_MMIO };

/*
 * A claimed range. An access that lies wholly inside it arrives whole (size 1, 2, 4 or 8; PIO at most 4); one
 * that crosses its edge, or has another size, or is wider than `widest`, arrives split into bytes, lowest
 * address first. Bits of a value beyond its size are zero on the way in and ignored on the way out.
 */
struct device_range {
	const char *name;
	enum device_space space;
	uint64_t base, size;
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	enum device_verdict (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
	void *dev;
	unsigned widest; /* the largest access taken whole, in bytes: 1 for a device of bytes; 0: no limit */
};

struct device_bus;
struct device_claim; /* a range that the guest may move: PMBA, BARs */

int device_bus_create(struct device_bus **ret_bus, struct err *err) MUST_CHECK;
void device_bus_destroy(struct device_bus *bus);
/* Before device_bus_freeze() only. Overlaps with another fixed range are a programming error: ERR_FAILED. */
int device_bus_claim(struct device_bus *bus, const struct device_range *range, struct err *err) MUST_CHECK;
/* As above for a range that starts disabled and can be moved later, also while vCPUs run (range->base is
 * ignored). */
int device_bus_claim_movable(struct device_bus *bus, const struct device_range *range,
        struct device_claim **ret_claim, struct err *err) MUST_CHECK;
/* Any thread. Fixed ranges win where a movable one overlaps them; one that would leave its space is off. */
void device_claim_move(struct device_claim *claim, bool enabled, uint64_t base);
void device_bus_freeze(struct device_bus *bus);
/*
 * Unclaimed bytes read as 0xff and swallow writes. Any size from 1 to 8, any address; what lies past the end
 * of the space is unclaimed, nothing wraps. After a DEVICE_STOP the remaining bytes of a split write are not
 * written.
 */
uint64_t device_bus_read(struct device_bus *bus, enum device_space space, uint64_t address, unsigned size);
enum device_verdict device_bus_write(
        struct device_bus *bus, enum device_space space, uint64_t address, unsigned size, uint64_t value);

/* ---- serial port (16550A): bytes wait in bounded rings for the loop ---- */

struct device_serial;

/*
 * output: told when the guest writes and nothing was waiting (whoever takes only a part comes back by
 * itself); room: told when input that was refused fits again.
 */
int device_serial_create(struct device_bus *bus, uint16_t port, unsigned gsi, struct device_irq irq,
        struct device_notify output, struct device_notify room, struct device_serial **ret_serial,
        struct err *err) MUST_CHECK;
void device_serial_destroy(struct device_serial *serial);
/* From the loop: bytes for the guest. Returns how many were taken; `room` is called after fewer than size
 * were. */
size_t device_serial_input(struct device_serial *serial, const void *data, size_t size);
/* From the loop: takes what the guest wrote. When the ring is full the port says "busy" (THRE clear), the
 * guest waits. */
size_t device_serial_output(struct device_serial *serial, void *data, size_t max);
/* With nobody to read it the output, also what waits, is dropped instead of making the guest wait. */
void device_serial_discard(struct device_serial *serial, bool discard);
/* The registers as after power-on. Bytes that wait in either ring stay. */
void device_serial_reset(struct device_serial *serial);

/* ---- debug console: port 0x402 ---- */

struct device_debugcon;
/*
 * Each written byte waits in a bounded ring for the loop, told by `output` as for the serial port. The port
 * has no way to say "busy": what does not fit is lost. Reads give 0xe9, by which firmware knows the port.
 */
int device_debugcon_create(struct device_bus *bus, struct device_notify output,
        struct device_debugcon **ret_debugcon, struct err *err) MUST_CHECK;
void device_debugcon_destroy(struct device_debugcon *debugcon);
size_t device_debugcon_output(struct device_debugcon *debugcon, void *data, size_t max);

/* ---- RTC and CMOS: ports 0x70 and 0x71 ---- */

struct device_rtc;
/* low_bytes and high_bytes fill the memory size cells (34/35, 5B-5D) that firmware without fw_cfg reads. */
int device_rtc_create(struct device_bus *bus, struct device_clock clock, uint64_t low_bytes,
        uint64_t high_bytes, struct device_rtc **ret_rtc, struct err *err) MUST_CHECK;
void device_rtc_destroy(struct device_rtc *rtc);
/* As the chip's RESET pin: the time stays. The memory size cells are filled anew. */
void device_rtc_reset(struct device_rtc *rtc);

/* ---- fw_cfg: ports 0x510-0x51b ---- */

struct device_fw_cfg;
enum device_fw_cfg_key {
	FW_CFG_SIGNATURE = 0x00,
	FW_CFG_ID = 0x01,
	FW_CFG_NB_CPUS = 0x05,
	FW_CFG_KERNEL_ADDR = 0x07,
	FW_CFG_KERNEL_SIZE = 0x08,
	FW_CFG_INITRD_ADDR = 0x0a,
	FW_CFG_INITRD_SIZE = 0x0b,
	FW_CFG_KERNEL_DATA = 0x11,
	FW_CFG_INITRD_DATA = 0x12,
	FW_CFG_CMDLINE_ADDR = 0x13,
	FW_CFG_CMDLINE_SIZE = 0x14,
	FW_CFG_CMDLINE_DATA = 0x15,
	FW_CFG_SETUP_ADDR = 0x16,
	FW_CFG_SETUP_SIZE = 0x17,
	FW_CFG_SETUP_DATA = 0x18,
	FW_CFG_FILE_DIR = 0x19,
};
#define FW_CFG_FILES_MAX 32

/* Signature, id and file directory are there from the start; all items are read-only to the guest. */
int device_fw_cfg_create(
        struct device_bus *bus, struct device_fw_cfg **ret_fw_cfg, struct err *err) MUST_CHECK;
void device_fw_cfg_destroy(struct device_fw_cfg *fw_cfg);
/* The data is copied. Adding a key or a file twice is a programming error: ERR_FAILED. */
int device_fw_cfg_add(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;
/* The same, but the data is borrowed: it outlives the device and does not change. */
int device_fw_cfg_lend(struct device_fw_cfg *fw_cfg, uint16_t key, const void *data, size_t size,
        struct err *err) MUST_CHECK;
int device_fw_cfg_add_number(struct device_fw_cfg *fw_cfg, uint16_t key, uint64_t number, unsigned size,
        struct err *err) MUST_CHECK;
/* Files get keys from 0x20 in the order of adding; the directory lists them sorted by name. */
int device_fw_cfg_add_file(struct device_fw_cfg *fw_cfg, const char *name, const void *data, size_t size,
        struct err *err) MUST_CHECK;
/*
 * Brings the bytes of a file up to date, in place. Called each time the guest selects the file, with fw_cfg's
 * lock held: it must not call device_fw_cfg_*.
 */
typedef void device_fw_cfg_refresh(void *ctx, uint8_t *data, size_t size);
/* For a file that was added and tells what the guest does to other devices. Before the guest runs. */
void device_fw_cfg_follow(
        struct device_fw_cfg *fw_cfg, const char *name, device_fw_cfg_refresh *refresh, void *ctx);
/*
 * The memory that DMA reaches, borrowed; changes with each incarnation of the guest, while no vCPU runs.
 * NULL: DMA does nothing.
 */
void device_fw_cfg_attach(struct device_fw_cfg *fw_cfg, struct page_memory *memory);
void device_fw_cfg_reset(struct device_fw_cfg *fw_cfg);

/* ---- PCI configuration mechanism 1: ports 0xcf8-0xcff ---- */

struct device_pci;
struct device_pci_function {
	uint8_t device, function; /* on bus 0 */
	uint16_t vendor_id, device_id;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision;
	uint8_t header_type; /* 0x80: more functions follow */
	uint16_t subsystem_vendor_id, subsystem_id;
	uint8_t interrupt_pin;
	/* Values after reset, where no field above says it; NULL: zeros. 256 bytes, copied. */
	const uint8_t *initial;
	/* Which bits the guest can write, beyond the standard ones; NULL: none. 256 bytes, copied. */
	const uint8_t *write_mask;
	/*
	 * Told after a write or a reset, with PCI's lock held so that changes arrive in the order in which
	 * they happened: it moves claims and must not call device_pci_*. NULL: nobody.
	 */
	void (*on_write)(void *ctx, const uint8_t config[256]);
	void *ctx;
};

/* With the i440fx host bridge (8086:1237) as 00:00.0 and the PIIX3 ISA bridge (8086:7000) as 00:01.0. */
int device_pci_create(struct device_bus *bus, struct device_pci **ret_pci, struct err *err) MUST_CHECK;
void device_pci_destroy(struct device_pci *pci);
/* Before the bus is frozen. */
int device_pci_add(
        struct device_pci *pci, const struct device_pci_function *function, struct err *err) MUST_CHECK;
void device_pci_reset(struct device_pci *pci);

/* ---- power: PIIX4 PM function (00:01.3), PM block, reset ports 0xcf9, 0x64, 0x92 ---- */

struct device_power;
enum device_power_event { DEVICE_POWER_OFF, DEVICE_POWER_RESET };

/*
 * event: called once per request from a vCPU thread, without a lock; the access that made it answers
 * DEVICE_STOP. The SCI is GSI 9.
 */
int device_power_create(struct device_bus *bus, struct device_pci *pci, struct device_irq irq,
        struct device_clock clock, void (*event)(void *ctx, enum device_power_event event), void *ctx,
        struct device_power **ret_power, struct err *err) MUST_CHECK;
void device_power_destroy(struct device_power *power);
/* From the loop: the user pressed the button (PM1_STS.PWRBTN, SCI if enabled). */
void device_power_button(struct device_power *power);
/* The port at which firmware put the PM block; 0: it did not yet. Any thread. */
uint16_t device_power_port(const struct device_power *power);
/* The PM block itself is switched off by device_pci_reset(). */
void device_power_reset(struct device_power *power);

#endif
