/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dimms: the registers by which a guest learns of RAM that is added while it runs. A piece of RAM is a memory
 * device ("DIMM") of a slot, and stays there for as long as the machine lives.
 */
#ifndef VMM_DEVICE_DIMMS_H
#define VMM_DEVICE_DIMMS_H

#include "vmm/device.h"

#define DEVICE_DIMMS_PORT  0x0a00
#define DEVICE_DIMMS_PORTS 24
#define DEVICE_DIMMS_GPE   3 /* the general-purpose event that tells of a new DIMM */

/* Only machines whose memory can grow have one: it is added by device_board_add(), with this ask. */
extern const struct device_kind device_dimms_kind;
struct device_dimms_ask {
	bool announced; /* the ACPI tables describe the slots, and the event comes */
};

struct device_dimms;

struct device_dimm {
	struct gpa gpa;
	uint64_t size_bytes;
	/* What the guest's system said of it since the last reset (_OST, ACPI 6.5, 6.3.5). */
	bool answered;
	uint32_t source, status; /* status 0: it uses the memory; both are 0 before an answer */
	uint64_t answers;        /* how many came since the DIMM was added */
};

/* Returns the board's device, NULL if it has none. */
struct device_dimms *device_dimms_of(const struct device_board *board);
/* Do the board's ACPI tables tell of added memory? */
bool device_dimms_are_announced(const struct device_board *board);
/*
 * Adds a DIMM in the next slot, and raises the event if it is announced. The memory is there already. There
 * can be PAGE_PLUGS_MAX. Main thread.
 */
void device_dimms_add(struct device_dimms *dimms, struct gpa gpa, uint64_t size_bytes);
/* Copies the DIMMs in the order of their slots, and returns their number; NULL: 0. Any thread. */
unsigned device_dimms_list(struct device_dimms *dimms, struct device_dimm ret_list[static PAGE_PLUGS_MAX]);

#endif
