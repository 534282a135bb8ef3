/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus: finds the device that answers at a port or at a memory-mapped address.
 */
#ifndef VMM_DEVICE_BUS_H
#define VMM_DEVICE_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base.h"

/* Says how the vCPU goes on after an access. */
enum device_verdict {
	DEVICE_RESUME, /* the vCPU goes on */
	DEVICE_STOP,   /* the vCPU leaves the guest: an event (power-off, reset) is on its way to the loop */
};

enum device_space { DEVICE_PIO, DEVICE_MMIO };

/*
 * A claimed range. An access that lies wholly inside it arrives whole (size 1, 2, 4 or 8; PIO at most 4). One
 * that crosses its edge, has another size, or is wider than `widest` arrives split into bytes, lowest address
 * first. Bits of a value beyond its size are zero on the way in and ignored on the way out.
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

/* Makes an empty bus. ERR_FAILED: no memory is left. */
int device_bus_create(struct device_bus **ret_bus, struct err *err) MUST_CHECK;
void device_bus_destroy(struct device_bus *bus); /* NULL is allowed */
/*
 * Claims a fixed range, before device_bus_freeze() only. The range is copied. An overlap with another fixed
 * range is a programming error: ERR_FAILED.
 */
int device_bus_claim(struct device_bus *bus, const struct device_range *range, struct err *err) MUST_CHECK;
/*
 * Claims a range that starts switched off and can be moved later, also while vCPUs run; range->base is
 * ignored. The bus owns the claim.
 */
int device_bus_claim_movable(struct device_bus *bus, const struct device_range *range,
        struct device_claim **ret_claim, struct err *err) MUST_CHECK;
/*
 * Moves a claim, or switches it on or off. Where a movable range overlaps a fixed one, the fixed one answers.
 * A range that would leave its space is switched off. Any thread.
 */
void device_claim_move(struct device_claim *claim, bool enabled, uint64_t base);
/* Ends the claiming of ranges; from now on the bus may be read and written. */
void device_bus_freeze(struct device_bus *bus);
/*
 * Read and write. Unclaimed bytes read as 0xff, and writes to them have no effect. The size is 1 to 8, the
 * address any; bytes past the end of the space are unclaimed, and addresses do not wrap. After a DEVICE_STOP
 * the remaining bytes of a split write are not written. Any thread.
 */
uint64_t device_bus_read(struct device_bus *bus, enum device_space space, uint64_t address, unsigned size);
enum device_verdict device_bus_write(
        struct device_bus *bus, enum device_space space, uint64_t address, unsigned size, uint64_t value);

#endif
