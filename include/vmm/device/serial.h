/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial: COM1, a 16550A and the guest's console. Bytes wait in bounded rings between the guest and the loop.
 */
#ifndef VMM_DEVICE_SERIAL_H
#define VMM_DEVICE_SERIAL_H

#include "vmm/device.h"

#define DEVICE_SERIAL_PORT 0x3f8
#define DEVICE_SERIAL_GSI  4

struct device_serial;

/* NULL if the board has none. */
struct device_serial *device_serial_of(const struct device_board *board);
/* From the loop: bytes for the guest. Returns how many were taken. The board's on_room is called after fewer
 * than size were. */
size_t device_serial_input(struct device_serial *serial, const void *data, size_t size);
/*
 * From the loop: takes what the guest wrote, at most max bytes, and returns how many there were. When the
 * ring is full the port says "busy" (THRE is clear), and the guest waits.
 */
size_t device_serial_output(struct device_serial *serial, void *data, size_t max);
/* Nobody reads the output: it is dropped, also what waits already, so that the guest never waits for a
 * reader. */
void device_serial_discard(struct device_serial *serial, bool discard);

#endif
