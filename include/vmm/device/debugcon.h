/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugcon: the debug console of firmware.
 */
#ifndef VMM_DEVICE_DEBUGCON_H
#define VMM_DEVICE_DEBUGCON_H

#include "vmm/device.h"

struct device_debugcon;

/* NULL if the board has none. */
struct device_debugcon *device_debugcon_of(const struct device_board *board);
/*
 * From the loop: takes what the guest wrote, at most max bytes, and returns how many there were. The port
 * cannot say "busy": what did not fit into the ring is lost.
 */
size_t device_debugcon_output(struct device_debugcon *debugcon, void *data, size_t max);

#endif
