/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugcon: the debug console of firmware.
 */
#ifndef VMM_DEVICE_DEBUGCON_H
#define VMM_DEVICE_DEBUGCON_H

#include "vmm/device.h"

struct device_debugcon;

/* Returns the board's device, NULL if it has none. */
struct device_debugcon *device_debugcon_of(const struct device_board *board);
/*
 * Takes bytes that the guest wrote, at most max, and returns their number. Called by the loop. The port
 * cannot say "busy", so bytes that did not fit into the ring are lost.
 */
size_t device_debugcon_output(struct device_debugcon *debugcon, void *data, size_t max);

#endif
